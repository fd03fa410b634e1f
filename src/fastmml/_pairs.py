"""A backend of opt_einsum: what `fastmml.einsum` does with one operand, or with a pair of them.

A pair is a stack of matrix products: labels of both operands that the result has, too, number the
matrices, those of one operand are rows or columns, and those that the result has not are summed.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastmml.linalg import matmul

Array = NDArray[Any]


def einsum(subscripts: str, *operands: Array) -> Array:
    """Evaluate explicit subscripts of one or two operands of one dtype."""
    labels, result = subscripts.split("->")
    if len(operands) == 1:
        return _alone(labels, operands[0], result)
    left, right = labels.split(",")
    (left, a), (right, b) = (
        _without_short(left, operands[0], right, operands[1]),
        _without_short(right, operands[1], left, operands[0]),
    )
    rows, columns = _kept(left, right + result), _kept(right, left + result)
    return _multiply(rows, _alone(left, a, rows), columns, _alone(right, b, columns), result)


def _alone(labels: str, x: Array, result: str) -> Array:
    """Diagonals, sums and another order of the dimensions of one operand."""
    return x if labels == result else np.asarray(np.einsum(f"{labels}->{result}", x))


def _without_short(labels: str, x: Array, others: str, other: Array) -> tuple[str, Array]:
    """Leave out the dimensions of one element that are longer in the other operand."""
    sizes = dict(zip(others, other.shape, strict=True))
    short = [
        size == 1 and sizes.get(label, 1) != 1 for label, size in zip(labels, x.shape, strict=True)
    ]
    index = tuple(0 if is_short else slice(None) for is_short in short)
    rest = (label for label, is_short in zip(labels, short, strict=True) if not is_short)
    return "".join(rest), x[index]


def _kept(labels: str, wanted: str) -> str:
    """Labels, each once, that the other operand or the result has; the others are summed."""
    return "".join(dict.fromkeys(label for label in labels if label in wanted))


def _multiply(left: str, a: Array, right: str, b: Array, result: str) -> Array:
    """Contract two operands without repeated labels."""
    sizes = dict(zip(left + right, a.shape + b.shape, strict=True))
    summed = [label for label in left if label in right and label not in result]
    stack = [label for label in left if label in right and label in result]
    rows = [label for label in left if label not in right]
    columns = [label for label in right if label not in left]
    found_labels = [*stack, *rows, *columns]
    a = _matrices(left, a, stack, rows, summed)
    b = _matrices(right, b, stack, summed, columns)
    found = matmul(a, b) if summed else a * b
    found = np.reshape(found, [sizes[label] for label in found_labels])
    return found.transpose([found_labels.index(label) for label in result])


def _matrices(labels: str, x: Array, stack: list[str], *sides: list[str]) -> Array:
    """Bring an operand into the form of a stack of matrices, with these labels on either side."""
    order = [labels.index(label) for label in (*stack, *sides[0], *sides[1])]
    sizes = dict(zip(labels, x.shape, strict=True))
    return x.transpose(order).reshape(
        [*_sizes(sizes, stack), *(math.prod(_sizes(sizes, side)) for side in sides)]
    )


def _sizes(sizes: dict[str, int], labels: Iterable[str]) -> list[int]:
    return [sizes[label] for label in labels]
