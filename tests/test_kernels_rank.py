"""The kernels of PageRank on every backend, against NumPy and the theory of rounding errors."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields, replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from laws import assert_same_for_all_threads, frozen, gamma, mapped

from fastmml._kernels import COLUMNS, F64, I64, U32, Kernels

#: Links and rows of a block in both backends: enough of them must be in the large examples.
WORK_PER_BLOCK = 1 << 16

#: Roundings of a pass beside those of a row's sum: two products and two sums, each with slack.
OTHER_ROUNDINGS = 8

# ---- rank_pull ----


@dataclass(frozen=True)
class Pass:
    """The inputs of one call of rank_pull."""

    indptr: I64
    indices: U32
    weights: F64 | None
    inverse_strength: F64
    teleport: F64
    jump: F64
    x: F64
    contribution: F64
    damping: float = 0.85
    total: float = 0.75
    mass: float = 0.125

    @property
    def nodes(self) -> int:
        return len(self.x)

    @property
    def rows(self) -> I64:
        """Row of every link."""
        return np.repeat(np.arange(self.nodes), np.diff(self.indptr))

    def run(self, kernels: Kernels, threads: int = 2) -> tuple[F64, F64, float, float]:
        """Return y, next_contribution, the change and the dangling mass."""
        y, following = np.full(self.nodes, -1.0), np.full(self.nodes, -1.0)
        change, dangling = kernels.rank_pull(
            self.indptr, self.indices, self.weights, self.inverse_strength,
            self.teleport, self.jump, self.damping, self.total, self.mass, self.x,
            self.contribution, y, following, threads,
        )  # fmt: skip
        return y, following, change, dangling

    def expected(self) -> tuple[F64, F64]:
        """Compute y with NumPy; the second array bounds what each of two such results is off."""
        terms = self.contribution[self.indices]
        if self.weights is not None:
            terms = terms * self.weights
        sums = np.bincount(self.rows, terms, self.nodes)
        y = self.damping * (sums + self.mass * self.jump)
        y += (1 - self.damping) * self.total * self.teleport
        return y, gamma(np.diff(self.indptr) + OTHER_ROUNDINGS) * np.abs(y)


def make_pass(
    src: list[int] | U32, dst: list[int] | U32, nodes: int, weighted: bool, seed: int = 0
) -> Pass:
    """Links between nodes, and random numbers for everything else; some nodes dangle."""
    random = np.random.default_rng(seed)
    sources, targets = np.asarray(src, np.uint32), np.asarray(dst, np.int64)
    order = np.lexsort((sources, targets))
    degrees = np.bincount(sources, minlength=nodes)
    inverse = np.where(degrees > 0, random.random(nodes) + 0.5, 0.0)
    x = random.random(nodes)
    return Pass(
        indptr=np.concatenate([[0], np.cumsum(np.bincount(targets, minlength=nodes))]),
        indices=sources[order],
        weights=random.random(len(sources)) if weighted else None,
        inverse_strength=inverse,
        teleport=random.random(nodes),
        jump=random.random(nodes),
        x=x,
        contribution=x * inverse,
    )


@cache
def large_pass(weighted: bool) -> Pass:
    """Several blocks of work: a hub with three blocks of links, and a tail of empty rows."""
    random = np.random.default_rng(1)
    nodes, hub_links = 20_000, 3 * WORK_PER_BLOCK + 5
    dst = np.concatenate([random.integers(0, nodes // 2, 150_000), np.full(hub_links, 777)])
    src = random.integers(0, nodes, len(dst))
    return make_pass(src.astype(np.uint32), dst.astype(np.uint32), nodes, weighted)


def assert_is_pass(p: Pass, kernels: Kernels) -> None:
    """All laws of the outputs: y to rounding, and what follows from the y that came out."""
    y, following, change, dangling = p.run(kernels)
    expected, error = p.expected()
    assert (np.abs(y - expected) <= 2 * error).all()
    assert (following == y * p.inverse_strength).all()
    moved = math.fsum(np.abs(y - p.x))
    assert abs(change - moved) <= gamma(p.nodes + 2) * moved
    lost = math.fsum(y[p.inverse_strength == 0])
    assert abs(dangling - lost) <= gamma(p.nodes + 2) * lost


@st.composite
def passes(draw: st.DrawFn) -> Pass:
    """Small graphs of every shape: loops, parallel links, empty rows, equal rows."""
    nodes = draw(st.integers(1, 12))
    links = draw(st.lists(st.tuples(*[st.integers(0, nodes - 1)] * 2), max_size=60))
    p = make_pass(
        [link[0] for link in links],
        [link[1] for link in links],
        nodes,
        weighted=draw(st.booleans()),
        seed=draw(st.integers(0, 99)),
    )
    return replace(p, damping=draw(st.floats(0, 1)), mass=draw(st.floats(0, 1)))


@given(p=passes())
@settings(deadline=None, max_examples=100)
def test_rank_pull_of_small_graphs(variant: Kernels, p: Pass) -> None:
    assert_is_pass(p, variant)


def beside(vectors: list[F64]) -> F64:
    """Columns side by side; a single number stays one for all nodes."""
    return np.ascontiguousarray(np.array(vectors).T)


def columns_of(p: Pass) -> list[Pass]:
    """Passes over the links of p that differ in all that a column may differ in."""
    random = np.random.default_rng(p.nodes)
    columns = []
    for i in range(COLUMNS):
        x, teleport, jump = random.random((3, p.nodes))
        contribution = x * p.inverse_strength
        vectors = {"x": x, "contribution": contribution, "teleport": teleport, "jump": jump}
        columns.append(replace(p, **vectors, mass=i / COLUMNS, total=1.0 + i))
    return columns


@given(p=passes(), uniform=st.booleans())
@settings(deadline=None, max_examples=50)
def test_rank_pull_of_columns(variant: Kernels, p: Pass, uniform: bool) -> None:
    columns = columns_of(p)
    if uniform:
        columns = [replace(c, teleport=c.teleport[:1], jump=c.jump[:1]) for c in columns]
    y, following = np.full((2, p.nodes, COLUMNS), np.nan)
    change, dangling = variant.rank_pull_columns(
        p.indptr, p.indices, p.weights, p.inverse_strength,
        beside([c.teleport for c in columns]), beside([c.jump for c in columns]), p.damping,
        np.array([c.total for c in columns]), np.array([c.mass for c in columns]),
        beside([c.x for c in columns]), beside([c.contribution for c in columns]), y, following, 2,
    )  # fmt: skip
    assert (following == y * p.inverse_strength[:, None]).all()
    for i, column in enumerate(columns):
        expected, error = column.expected()
        assert (np.abs(y[:, i] - expected) <= 2 * error).all()
        moved = math.fsum(np.abs(y[:, i] - column.x))
        assert abs(change[i] - moved) <= gamma(p.nodes + 2) * moved
        lost = math.fsum(y[p.inverse_strength == 0, i])
        assert abs(dangling[i] - lost) <= gamma(p.nodes + 2) * lost


@pytest.mark.parametrize("weighted", [False, True])
def test_rank_pull_of_several_blocks_and_a_hub(variant: Kernels, weighted: bool) -> None:
    assert_is_pass(large_pass(weighted), variant)


@pytest.mark.parametrize("weighted", [False, True])
def test_rank_pull_has_the_same_bits_for_all_threads(variant: Kernels, weighted: bool) -> None:
    p = large_pass(weighted)
    assert_same_for_all_threads(lambda threads: p.run(variant, threads))


def test_rank_pull_of_no_nodes(variant: Kernels) -> None:
    p = make_pass([], [], 0, weighted=False)
    y, _, change, dangling = replace(p, teleport=np.ones(1), jump=np.ones(1)).run(variant)
    assert (len(y), change, dangling) == (0, 0.0, 0.0)


def test_rank_pull_of_one_node(variant: Kernels) -> None:
    assert_is_pass(make_pass([], [], 1, weighted=False), variant)
    assert_is_pass(make_pass([0], [0], 1, weighted=True), variant)


@pytest.mark.parametrize("links", range(1, 14))
def test_rank_pull_of_every_row_length(variant: Kernels, links: int) -> None:
    """Rows are summed four links at a time, the last row of all perhaps in another way."""
    dst = [0] * links + [1] * links
    src = [*range(links), *range(3, links + 3)]
    for weighted in (False, True):
        assert_is_pass(make_pass(src, dst, links + 3, weighted), variant)
        assert_is_pass(make_pass(src, [d + links + 1 for d in dst], links + 3, weighted), variant)


def test_rank_pull_of_equal_rows(variant: Kernels) -> None:
    """Many rows repeat the one before, across the borders of blocks too."""
    nodes, links = 10_000, 20
    src = np.tile(np.arange(links, dtype=np.uint32), nodes)
    dst = np.repeat(np.arange(nodes, dtype=np.uint32), links)
    src[dst % 1000 == 999] += 1
    p = make_pass(src, dst, nodes, weighted=False)
    assert_is_pass(p, variant)


def test_one_number_stands_for_a_uniform_vector(variant: Kernels) -> None:
    p = large_pass(weighted=False)
    uniform = replace(p, teleport=np.array([0.25]), jump=np.array([0.5]))
    written = replace(p, teleport=np.full(p.nodes, 0.25), jump=np.full(p.nodes, 0.5))
    for short, full in zip(uniform.run(variant), written.run(variant), strict=True):
        assert np.asarray(short).tobytes() == np.asarray(full).tobytes()


@pytest.mark.parametrize("weighted", [False, True])
def test_rank_pull_takes_read_only_and_mapped_inputs(
    variant: Kernels, tmp_path: Path, weighted: bool
) -> None:
    p = make_pass([0, 2, 2, 1, 0], [1, 1, 3, 3, 3], 4, weighted)
    expected = p.run(variant)
    held = {field.name: getattr(p, field.name) for field in fields(p)}
    arrays = {name: value for name, value in held.items() if isinstance(value, np.ndarray)}
    read_only: dict[str, Any] = {name: frozen(value) for name, value in arrays.items()}
    in_file: dict[str, Any] = {
        name: mapped(value, tmp_path / name) for name, value in arrays.items()
    }
    for other in (replace(p, **read_only), replace(p, **in_file)):
        for got, wanted in zip(other.run(variant), expected, strict=True):
            assert np.asarray(got).tobytes() == np.asarray(wanted).tobytes()


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_rank_pull_lets_nan_and_infinity_through_to_the_targets_only(
    variant: Kernels, weighted: bool, value: float
) -> None:
    p = large_pass(weighted)
    sick = 123
    contribution = p.contribution.copy()
    contribution[sick] = value
    targets = np.unique(p.rows[p.indices == sick])
    y, following, change, dangling = replace(p, contribution=contribution).run(variant)
    healthy = p.run(variant)[0]
    healthy[targets] = value
    assert 0 < len(targets) < p.nodes
    assert y.tobytes() == healthy.tobytes()
    np.testing.assert_array_equal(following, y * p.inverse_strength)
    assert not math.isfinite(change)
    if p.inverse_strength[targets].all():
        assert math.isfinite(dangling)


# ---- single precision ----


def gamma_single(roundings: int | I64) -> F64:
    """Bound on the relative error of this many roundings to float32."""
    product = np.asarray(roundings) * 2.0**-24
    return product / (1 - product)


@pytest.mark.parametrize("weighted", [False, True])
def test_rank_pull_in_single_precision(variant: Kernels, weighted: bool) -> None:
    p = large_pass(weighted)
    reals = ("inverse_strength", "teleport", "jump", "x", "contribution")
    single: dict[str, Any] = {name: getattr(p, name).astype(np.float32) for name in reals}
    y, following = np.full((2, p.nodes), -1, np.float32)
    change, dangling = variant.rank_pull(
        p.indptr, p.indices, p.weights, single["inverse_strength"], single["teleport"],
        single["jump"], p.damping, p.total, p.mass, single["x"], single["contribution"], y,
        following, 2,
    )  # fmt: skip
    expected, _ = p.expected()
    error = gamma_single(np.diff(p.indptr) + OTHER_ROUNDINGS) * expected
    assert (np.abs(y - expected) <= error).all()
    assert (following == y * single["inverse_strength"]).all()
    moved = np.abs(y.astype(float) - single["x"].astype(float)).sum()
    assert abs(change - moved) <= gamma_single(4) * (y.sum(dtype=float) + moved)
    lost = math.fsum(y[p.inverse_strength == 0])
    assert abs(dangling - lost) <= gamma(p.nodes + 2) * lost


@pytest.mark.parametrize("size", [1, 513, 20_001])
def test_combinations_in_single_precision(variant: Kernels, size: int) -> None:
    x = vectors(5, size).astype(np.float32)
    wide = x.astype(float)
    differences = np.diff(wide, axis=0)
    scale = np.abs(wide[:-1]) + np.abs(wide[1:])
    error = gamma_single(8) * (scale @ np.abs(differences).T + np.abs(differences) @ scale.T)
    gram = variant.difference_gram(x, 2)
    assert gram.dtype == np.float64
    assert (np.abs(gram - differences @ differences.T) <= error + 1e-9 * scale.max() ** 2).all()
    coefficients, y = np.array([1.0, -2.0, 0.5, 3.0, -1.0]), np.empty(size, np.float32)
    total = variant.combine(coefficients, x, y, 2)
    expected = np.maximum(coefficients @ wide, 0)
    assert (np.abs(y - expected) <= gamma_single(2) * (np.abs(coefficients) @ np.abs(wide))).all()
    assert total == pytest.approx(y.sum(dtype=float), rel=1e-12)


# ---- rank_image ----


def image_of(
    p: Pass, kernels: Kernels, roundings: float = 3.0, threads: int = 2
) -> tuple[F64, float, float]:
    """Return y, the change and the weighted sum."""
    y = np.full(p.nodes, np.nan)
    change, rounded = kernels.rank_image(
        p.indptr, p.indices, p.weights, p.teleport, p.jump, p.damping, p.total, p.mass, roundings,
        p.x, p.contribution, y, threads,
    )  # fmt: skip
    return y, change, rounded


def assert_is_image(p: Pass, kernels: Kernels) -> None:
    """It is the pass of rank_pull, divided by the total, without what is negative."""
    y, change, rounded = image_of(p, kernels)
    pulled, _, moved, _ = p.run(kernels)
    error = p.expected()[1]
    assert (np.abs(y * p.total - np.maximum(pulled, 0)) <= 2 * error + gamma(4) * y).all()
    assert abs(change - moved) <= 2 * error.sum() + 2 * gamma(p.nodes + 4) * moved
    weighted = math.fsum((np.diff(p.indptr) + 3) * y)
    assert abs(rounded - weighted) <= gamma(p.nodes + 4) * weighted


@settings(max_examples=60, deadline=None)
@given(p=passes(), uniform=st.booleans(), negative=st.booleans())
def test_rank_image_of_small_graphs(
    variant: Kernels, p: Pass, uniform: bool, negative: bool
) -> None:
    if uniform:
        p = replace(p, teleport=p.teleport[:1], jump=p.jump[:1])
    if negative:
        p = replace(p, contribution=-p.contribution)
        y, _, _ = image_of(p, variant)
        assert (y >= 0).all()
    else:
        assert_is_image(p, variant)


@pytest.mark.parametrize("weighted", [False, True])
def test_rank_image_of_several_blocks_and_a_hub(variant: Kernels, weighted: bool) -> None:
    assert_is_image(large_pass(weighted), variant)


@pytest.mark.parametrize("weighted", [False, True])
def test_rank_image_has_the_same_bits_for_all_threads(variant: Kernels, weighted: bool) -> None:
    p = large_pass(weighted)
    assert_same_for_all_threads(lambda threads: image_of(p, variant, threads=threads))


def test_rank_image_lets_nan_through(variant: Kernels) -> None:
    p = make_pass([0, 1, 2], [1, 2, 0], 3, weighted=False)
    y, change, rounded = image_of(replace(p, contribution=np.array([1.0, np.nan, 1.0])), variant)
    assert np.isnan(y).tolist() == [False, False, True]
    assert np.isnan([change, rounded]).all()


@given(p=passes(), uniform=st.booleans())
@settings(deadline=None, max_examples=50)
def test_rank_image_of_columns(variant: Kernels, p: Pass, uniform: bool) -> None:
    columns = columns_of(p)
    if uniform:
        columns = [replace(c, teleport=c.teleport[:1], jump=c.jump[:1]) for c in columns]
    y = np.full((p.nodes, COLUMNS), np.nan)
    change, rounded = variant.rank_image_columns(
        p.indptr, p.indices, p.weights, beside([c.teleport for c in columns]),
        beside([c.jump for c in columns]), p.damping, np.array([c.total for c in columns]),
        np.array([c.mass for c in columns]), 3.0, beside([c.x for c in columns]),
        beside([c.contribution for c in columns]), y, 2,
    )  # fmt: skip
    for i, column in enumerate(columns):
        expected, moved, weighted = image_of(column, variant)
        error = 2 * column.expected()[1]
        assert (np.abs(y[:, i] - expected) * column.total <= error + gamma(4) * expected).all()
        assert abs(change[i] - moved) <= error.sum() + 2 * gamma(p.nodes + 4) * moved
        off = len(p.indices) + 3  # the most that a value counts
        slack = off * error.sum() / column.total + gamma(2 * p.nodes + 8) * weighted
        assert abs(rounded[i] - weighted) <= slack


# ---- difference_gram and combine ----

VECTOR_SIZES = (1, 2, 7, 8, 9, 511, 512, 513, 4095, 4096, 4097, 20_001)


def vectors(count: int, size: int, seed: int = 0) -> F64:
    """Rows of numbers of very different sizes and of both signs."""
    random = np.random.default_rng(seed)
    return random.standard_normal((count, size)) * 10.0 ** random.integers(-3, 4, (count, size))


def assert_is_gram(gram: F64, x: F64) -> None:
    """Symmetric, nonnegative on the diagonal, and right to the rounding of an inner product."""
    differences = np.diff(x, axis=0)
    error = 2 * gamma(x.shape[1] + 1) * (np.abs(differences) @ np.abs(differences).T)
    assert (np.abs(gram - differences @ differences.T) <= error).all()
    assert (gram == gram.T).all()
    assert (np.diag(gram) >= 0).all()


@pytest.mark.parametrize("size", VECTOR_SIZES)
@pytest.mark.parametrize("count", [1, 2, 5, 9])
def test_difference_gram(variant: Kernels, count: int, size: int) -> None:
    x = frozen(vectors(count + 1, size))
    gram = variant.difference_gram(x, 2)
    assert gram.shape == (count, count)
    assert_is_gram(gram, x)


@given(count=st.integers(1, 6), size=st.integers(1, 40), seed=st.integers(0, 999))
@settings(deadline=None, max_examples=50)
def test_difference_gram_of_small_vectors(
    variant: Kernels, count: int, size: int, seed: int
) -> None:
    x = vectors(count + 1, size, seed)
    assert_is_gram(variant.difference_gram(x, 1), x)


def test_difference_gram_of_equal_vectors_is_zero(variant: Kernels) -> None:
    x = np.tile(vectors(1, 5000), (4, 1))
    assert (variant.difference_gram(x, 2) == 0).all()


def test_difference_gram_without_columns_is_zero(variant: Kernels) -> None:
    assert (variant.difference_gram(np.empty((3, 0)), 2) == 0).all()


def test_difference_gram_has_the_same_bits_for_all_threads(variant: Kernels) -> None:
    x = vectors(6, 30_003)
    assert_same_for_all_threads(lambda threads: (variant.difference_gram(x, threads),))


def test_difference_gram_shows_nan_where_it_enters(variant: Kernels) -> None:
    x = vectors(6, 5000)
    x[2, 4321] = math.nan
    touched = np.isin(np.arange(5), [1, 2])
    gram = variant.difference_gram(x, 2)
    assert (np.isnan(gram) == (touched[:, None] | touched)).all()


def assert_is_combination(kernels: Kernels, coefficients: F64, x: F64) -> None:
    """Within rounding of NumPy, never negative, and its sum is the one returned."""
    y = np.full(x.shape[1], -1.0)
    total = kernels.combine(coefficients, x, y, 2)
    error = 2 * gamma(len(coefficients) + 1) * (np.abs(coefficients) @ np.abs(x))
    assert (np.abs(y - np.maximum(coefficients @ x, 0)) <= error).all()
    assert (y >= 0).all()
    exact = math.fsum(y)
    assert abs(total - exact) <= gamma(len(y) + 1) * exact


@pytest.mark.parametrize("size", VECTOR_SIZES)
@pytest.mark.parametrize("count", [1, 2, 9])
def test_combine(variant: Kernels, count: int, size: int) -> None:
    coefficients = np.random.default_rng(2).standard_normal(count)
    assert_is_combination(variant, frozen(coefficients), frozen(vectors(count, size)))


@given(count=st.integers(1, 6), size=st.integers(1, 40), seed=st.integers(0, 999))
@settings(deadline=None, max_examples=50)
def test_combine_of_small_vectors(variant: Kernels, count: int, size: int, seed: int) -> None:
    x = vectors(count + 1, size, seed)
    assert_is_combination(variant, x[0, :1].repeat(count), x[1:])


def test_combine_of_no_columns(variant: Kernels) -> None:
    assert variant.combine(np.ones(3), np.empty((3, 0)), np.empty(0), 2) == 0.0


def test_combine_has_the_same_bits_for_all_threads(variant: Kernels) -> None:
    coefficients, x = np.array([2.0, -1.0, 0.5]), vectors(3, 30_003)

    def run(threads: int) -> tuple[F64, float]:
        y = np.empty(x.shape[1])
        total = variant.combine(coefficients, x, y, threads)
        return y, total

    assert_same_for_all_threads(run)


def test_combine_keeps_nan_and_infinity_but_no_negative_infinity(variant: Kernels) -> None:
    x, y = np.abs(vectors(3, 9000)) + 1, np.empty(9000)
    x[1, 100], x[1, 5000], x[1, 8999] = math.nan, math.inf, -math.inf
    total = variant.combine(np.array([1.0, 2.0, 3.0]), x, y, 2)
    assert math.isnan(y[100])
    assert y[5000] == math.inf
    assert y[8999] == 0
    assert np.isfinite(np.delete(y, [100, 5000])).all()
    assert math.isnan(total)
