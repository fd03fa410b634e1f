"""`fastmml.gram`: x.T @ x, exactly symmetric."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from products import DTYPES, LAYOUTS, adjoint, assert_product, ill_scaled, operand

import fastmml as fm
from fastmml import _backend
from fastmml._kernels import Kernels


@pytest.fixture(autouse=True)
def on_every_variant(variant: Kernels) -> Iterator[None]:
    with _backend.use_kernels(variant):
        yield


def assert_gram(result: np.ndarray, x: np.ndarray) -> None:
    assert_product(result, adjoint(x), x)
    np.testing.assert_array_equal(result, adjoint(result))


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("dtype", DTYPES)
def test_types_and_layouts(dtype: str, layout: str) -> None:
    x = operand((30, 17), dtype, 1)
    held = LAYOUTS[layout](x)
    before = held.tobytes()
    assert_gram(fm.gram(held), x)
    assert held.tobytes() == before


@pytest.mark.parametrize("dtype", ["d", "f", "D"])
def test_numbers_of_all_sizes(dtype: str) -> None:
    x = ill_scaled((400, 20), dtype, 2)
    assert_gram(fm.gram(x), x)


@settings(max_examples=25, deadline=None)
@given(
    rows=st.integers(0, 70),
    columns=st.integers(0, 70),
    dtype=st.sampled_from(["d", "f", "D", "i"]),
    seed=st.integers(0, 1000),
)
def test_any_size(rows: int, columns: int, dtype: str, seed: int) -> None:
    x = operand((rows, columns), dtype, seed)
    result = fm.gram(x)
    assert_gram(result, x)
    if dtype != "i":
        assert np.all(np.diag(result).real >= 0)


def test_nan_stays_in_its_row_and_column() -> None:
    x = operand((50, 40), "d", 3)
    x[7, 30] = np.nan
    found = np.isnan(fm.gram(x))
    expected = np.zeros((40, 40), bool)
    expected[30] = expected[:, 30] = True
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("dtype", ["d", "f", "D", "i", "?"])
@pytest.mark.parametrize("shape", [(5, 3), (300, 70), (70, 300), (20_000, 9)])
def test_matmul_knows_a_matrix_with_itself(
    variant: Kernels, shape: tuple[int, int], dtype: str
) -> None:
    x = operand(shape, dtype, 3)
    for other in (x, np.asfortranarray(x), x[:, ::-1]):
        result = fm.matmul(other.T, other)
        assert_product(result, other.T, other)
        if dtype != "D" and variant.name == "native":
            np.testing.assert_array_equal(result, result.T)
    out = np.empty((shape[1], 2 * shape[1]), x.dtype)[:, : shape[1]]
    assert_product(fm.matmul(x.T, x, out=out), x.T, x)


def test_list() -> None:
    assert fm.gram([[1, 2], [3, 4]]).tolist() == [[10, 14], [14, 20]]


@pytest.mark.parametrize("shape", [(), (3,), (2, 3, 4)])
def test_other_dimensions_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=f"x: expected 2 dimensions, got {len(shape)}"):
        fm.gram(np.ones(shape))


@pytest.mark.parametrize("number", ["g", "O", "U3"])
def test_types_without_kernels_are_refused(number: str) -> None:
    with pytest.raises(TypeError, match="x: expected bool, integers of at most 64 bits"):
        fm.gram(np.zeros((2, 2), number))
