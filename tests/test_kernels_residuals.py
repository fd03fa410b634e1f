"""Products of rows with their residuals, beside exact ones of fractions."""

from __future__ import annotations

from fractions import Fraction
from typing import Any, NamedTuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from laws import assert_same_for_all_threads, frozen

from fastmml._kernels import Kernels

Array = Any


class Problem(NamedTuple):
    """Rows and a model of them that fits to some rounding errors."""

    x: Array
    y: Array
    coef: Array
    constant: Array
    unit: Array
    scale: Array | None


def problem(m: int, n: int, p: int, is_weighted: bool = False, offset: float = 0.0) -> Problem:
    rng = np.random.default_rng(m + n + p)
    x = rng.standard_normal((m, n)) + offset
    coef = rng.standard_normal((p, n))
    y = 2 * (x @ coef.T + 1 + 1e-9 * rng.standard_normal((m, p)))
    constant = np.stack([np.ones(p), 1e-17 * rng.standard_normal(p)])
    scale = rng.random(m) * (rng.random(m) < 0.7) if is_weighted else None
    return Problem(*(a if a is None else frozen(a) for a in (x, y, coef, constant)),
                   frozen(np.full(p, 0.5)), scale)  # fmt: skip


def products(kernels: Kernels, of: Problem, threads: int = 2) -> tuple[Array, Array]:
    (p, n) = of.coef.shape
    out, squares = np.full((2, p, n + 1), np.nan), np.full(p, np.nan)
    kernels.residual_products(*of, out, squares, threads)
    return out, squares


def fractions(numbers: Array) -> Array:
    return np.vectorize(Fraction, otypes=[object])(numbers)


def assert_exact(of: Problem, found: Array, squares: Array) -> None:
    """Both to what sums of two numbers hold, of the sizes of what cancels."""
    x, y, coef, unit = (fractions(part) for part in (of.x, of.y, of.coef, of.unit))
    constant = fractions(of.constant).sum(axis=0)
    m = len(x)
    roots = np.ones(m) if of.scale is None else of.scale
    weights = fractions(roots * roots)[:, np.newaxis]
    rest = (y * unit - constant - x @ coef.T) * weights
    ones = np.hstack([x, np.full((m, 1), Fraction(1))])
    sizes = (np.abs(y * unit) + np.abs(constant) + np.abs(x) @ np.abs(coef).T) * weights
    limit = Fraction(m + x.shape[1] + 8, 2**102) * (sizes.T @ np.abs(ones))
    assert (np.abs(fractions(found).sum(axis=0) - rest.T @ ones) <= limit).all()
    used = weights[:, 0] > 0
    over = 1 / weights[used]
    exact = (rest[used] ** 2 * over).sum(axis=0)
    lost = Fraction(x.shape[1] + 8, 2**102) * (2 * np.abs(rest) * sizes)[used] * over
    limit = Fraction(m + 8, 2**52) * exact + lost.sum(axis=0)
    assert (np.abs(fractions(squares) - exact) <= limit).all()


@settings(max_examples=30, deadline=None)
@given(
    m=st.integers(1, 70), n=st.integers(1, 20), p=st.integers(1, 4), is_weighted=st.booleans(),
    offset=st.sampled_from([0.0, 1e9]),
)  # fmt: skip
def test_any_size(
    variant: Kernels, m: int, n: int, p: int, is_weighted: bool, offset: float
) -> None:
    of = problem(m, n, p, is_weighted, offset)
    assert_exact(of, *products(variant, of))


@pytest.mark.parametrize(("m", "n", "p"), [(1000, 300, 1), (150, 2, 70)])
def test_several_blocks(variant: Kernels, m: int, n: int, p: int) -> None:
    of = problem(m, n, p)
    found, squares = products(variant, of)
    some = np.r_[0, n - 1]
    few = of._replace(x=of.x[:, some], y=of.y)
    rest = of.y * of.unit - of.constant[0] - of.x.astype(np.longdouble) @ of.coef.T
    exact = rest.T @ few.x
    scale = np.abs(of.x).sum(axis=0).max() * np.abs(of.y).max() * n
    assert np.abs(found.sum(axis=0)[:, some] - exact).max() < 1e-18 * scale
    np.testing.assert_allclose(squares, np.einsum("ij,ij->j", rest, rest).astype(float), rtol=1e-6)


def test_layouts_have_the_same_bits(variant: Kernels) -> None:
    of = problem(100, 7, 3, is_weighted=True)
    apart = np.zeros((200, 14))
    apart[::2, ::2] = of.x
    layouts = [of.x, np.asfortranarray(of.x), apart[::2, ::2], of.x[::-1].copy()[::-1]]
    found = [products(variant, of._replace(x=frozen(x))) for x in layouts]
    found.append(products(variant, of._replace(y=np.asfortranarray(of.y))))
    for parts in found[1:]:
        np.testing.assert_array_equal(parts[0], found[0][0])
        np.testing.assert_array_equal(parts[1], found[0][1])


def test_bits(variant: Kernels) -> None:
    of = problem(50_000, 5, 2, is_weighted=True)
    assert_same_for_all_threads(lambda threads: products(variant, of, threads))


def test_rows_without_weight_have_any_size(variant: Kernels) -> None:
    of = problem(40, 3, 2)
    scale, x, y = np.ones(40), of.x.copy(), of.y.copy()
    scale[5::7] = 0
    x[5::7], y[5::7] = 1e308, -1e308
    kept = scale > 0
    whole = products(variant, of._replace(x=x, y=y, scale=scale))
    part = products(variant, of._replace(x=x[kept], y=y[kept], scale=scale[kept]))
    np.testing.assert_allclose(whole[0].sum(axis=0), part[0].sum(axis=0), rtol=1e-12)
    np.testing.assert_allclose(whole[1], part[1], rtol=1e-14)
