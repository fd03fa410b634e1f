"""`fastmml.einsum` does what `numpy.einsum` does."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from products import DTYPES, FLOATS, gamma, operand

import fastmml as fm
from fastmml import _backend
from fastmml._kernels import Kernels

SIZES = dict(zip("abcdefg", (3, 4, 2, 5, 1, 3, 2), strict=True))


@pytest.fixture(autouse=True)
def on_every_variant(variant: Kernels) -> Iterator[None]:
    with _backend.use_kernels(variant):
        yield


def operands_of(subscripts: str, dtype: str = "d") -> list[Any]:
    terms = subscripts.split("->", maxsplit=1)[0].split(",")
    return [
        operand(tuple(SIZES[label] for label in term), dtype, seed)
        for seed, term in enumerate(terms)
    ]


def assert_same(result: Any, subscripts: str, *arrays: Any) -> None:
    """As near to NumPy's result as the number of products and factors allows to each of them."""
    expected = np.einsum(subscripts, *arrays)
    assert type(result) is type(expected)
    assert result.dtype == expected.dtype
    assert result.shape == expected.shape
    if expected.dtype.kind in "biu":
        np.testing.assert_array_equal(result, expected)
        return
    terms = np.einsum(subscripts, *(np.ones(array.shape) for array in arrays)).max(initial=1)
    bound = np.einsum(subscripts, *map(np.abs, arrays))
    error = 4 * gamma(int(terms) + len(arrays) + 2, bound.dtype)
    assert (np.abs(result - expected) <= error * bound).all()


EXPRESSIONS = [
    "ab,bd->ad",
    "ab,bd",
    "ab,cb->ac",
    "ba,bc->ca",
    "a,a->",
    "a,b->ab",
    "ab,ab->ab",
    "ab,ab->",
    "cab,cbd->cad",
    "abc,cd->abd",
    "abcd,bd->ca",
    "ab->ba",
    "ab->b",
    "aa->a",
    "aab,bcc->ac",
    "aa,b->ab",
    "ab,c->c",
    "ab,bd,de->ae",
    "ab,bd,da",
    "abc,bcd,cda->a",
    "a,b,c,d->abcd",
    "ab,b,b->a",
    "aeb,bec->ac",
    "ab,ab,ab->a",
]


@pytest.mark.parametrize("subscripts", EXPRESSIONS)
@pytest.mark.parametrize("optimize", [True, False, "greedy", "optimal"])
def test_expressions(subscripts: str, optimize: Any) -> None:
    arrays = operands_of(subscripts)
    assert_same(fm.einsum(subscripts, *arrays, optimize=optimize), subscripts, *arrays)


@pytest.mark.parametrize("dtype", DTYPES.replace("e", ""))
@pytest.mark.parametrize("subscripts", ["ab,bd->ad", "ab,ab->a", "ab,bd,de->ae", "ab->b"])
def test_dtypes(dtype: str, subscripts: str) -> None:
    arrays = operands_of(subscripts, dtype)
    assert_same(fm.einsum(subscripts, *arrays), subscripts, *arrays)


def test_float16_is_summed_in_single_precision() -> None:
    a, b = operands_of("ab,bd->ad", "e")
    exact = a.astype(float) @ b.astype(float)
    bound = gamma(2, "e") * np.abs(exact) + gamma(8, "f") * np.abs(a.astype(float)) @ np.abs(b)
    result = fm.einsum("ab,bd->ad", a, b)
    assert result.dtype == np.float16
    assert (np.abs(result - exact) <= bound).all()


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_any_two_operands(data: st.DataObject) -> None:
    labels = st.lists(st.sampled_from("abcdef"), max_size=4).map("".join)
    left, right = data.draw(labels), data.draw(labels)
    result = "".join(data.draw(st.permutations(sorted(set(left + right)))))
    result = result[: data.draw(st.integers(0, len(result)))]
    subscripts = f"{left},{right}->{result}"
    arrays = operands_of(subscripts, data.draw(st.sampled_from(FLOATS[1:])))
    assert_same(fm.einsum(subscripts, *arrays), subscripts, *arrays)


def test_mixed_dtypes_promote_together() -> None:
    a, b, c = (operand((3, 3), dtype, seed) for seed, dtype in enumerate("bfd"))
    assert_same(fm.einsum("ab,bc,cd->ad", a, b, c), "ab,bc,cd->ad", a, b, c)
    assert fm.einsum("ab,bc->ac", a, a, dtype=np.float64).dtype == np.float64


def test_lists_of_labels_and_ellipsis() -> None:
    a, b = operand((2, 3, 4), "d", 1), operand((4, 5), "d", 2)
    np.testing.assert_allclose(fm.einsum(a, [0, 1, 2], b, [2, 3], [0, 1, 3]), a @ b)
    np.testing.assert_allclose(fm.einsum("...ij,jk->...ik", a, b), a @ b)
    np.testing.assert_allclose(fm.einsum("...ij,...jk", a, b[None]), a @ b)
    np.testing.assert_allclose(fm.einsum("ij,jk", a[0].tolist(), b.tolist()), a[0] @ b)
    held = type("Held", (), {"__array__": lambda *_, **__: a[0]})()
    np.testing.assert_allclose(fm.einsum("ij,jk", held, b), a[0] @ b)
    np.testing.assert_allclose(fm.einsum(held, [0, 1], b, [1, 2], [0, 2]), a[0] @ b)


@pytest.mark.parametrize("left", [1, 3])
@pytest.mark.parametrize("right", [1, 3])
def test_dimensions_of_one_element_broadcast(left: int, right: int) -> None:
    a, b = operand((2, left), "d", 1), operand((right, 2), "d", 2)
    for subscripts in ("ab,bc->ac", "ab,bc->abc", "ab,ba->ab"):
        assert_same(fm.einsum(subscripts, a, b), subscripts, a, b)


@pytest.mark.parametrize("subscripts", ["ab,bd->ad", "ab,cd->abcd", "ab,bd->", "ab->b"])
def test_nothing_to_sum(subscripts: str) -> None:
    arrays = [array[:, :0] for array in operands_of(subscripts)]
    arrays[1:] = [np.zeros((0, 5)) if "bd" in subscripts else array for array in arrays[1:]]
    assert_same(fm.einsum(subscripts, *arrays), subscripts, *arrays)


def test_strides_and_read_only() -> None:
    a, b = operand((6, 8), "d", 1)[::-2, ::2], np.broadcast_to(operand((4, 1), "d", 2), (4, 5))
    assert_same(fm.einsum("ab,bc->ca", a, b), "ab,bc->ca", a, b)


def test_out() -> None:
    a, b = operands_of("ab,bd->ad")
    out = np.full((3, 5), np.nan)
    assert fm.einsum("ab,bd->ad", a, b, out=out) is out
    np.testing.assert_allclose(out, a @ b)
    scalar = np.empty(())
    assert fm.einsum("ab,ab->", a, a, out=scalar) is scalar
    np.testing.assert_allclose(scalar, (a * a).sum())


@pytest.mark.parametrize(
    ("arguments", "options", "error"),
    [
        (("ab,bc->ac", np.ones((2, 3)), np.ones((4, 2))), {}, ValueError),
        (("ab,bc->ac", np.ones((2, 3))), {}, ValueError),
        (("ab->ac", np.ones((2, 3))), {}, ValueError),
        (("abc->a", np.ones((2, 3))), {}, ValueError),
        (("ab,bc", np.ones((2, 2)), np.ones((2, 2))), {"out": np.ones((3, 2))}, ValueError),
        (("ab,bc", np.ones((2, 2)), np.ones((2, 2))), {"out": [1]}, TypeError),
        (("ab,bc", np.ones((2, 2)), np.ones((2, 2), np.longdouble)), {}, TypeError),
        (("ab,bc", np.ones((2, 2)), np.ones((2, 2), object)), {}, TypeError),
        (("ab,bc", np.ones((2, 2)), np.ones((2, 2))), {"dtype": int}, TypeError),
    ],
)
def test_refusals(arguments: Any, options: Any, error: type[Exception]) -> None:
    with pytest.raises(error):
        fm.einsum(*arguments, **options)
