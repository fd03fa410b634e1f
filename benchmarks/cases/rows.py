"""Coordinates and distances of rows."""

from __future__ import annotations

import numpy as np

from benchmarks.cases.inputs import THREADS, Call, reals
from fastmml._kernels import EUCLIDEAN, Kernels


def project_rows(kernels: Kernels, dtype: str) -> Call:
    """Coordinates and squared errors of several blocks of rows."""
    x, basis = reals((500, 70), 33).astype(dtype), reals((9, 70), 34).astype(dtype)
    shift, out, errors = np.ones((2, 70), dtype), np.empty((500, 9), dtype), np.empty(500)
    return lambda: kernels.project_rows(x, shift, basis, out, errors, THREADS)


def reconstruct_rows(kernels: Kernels, dtype: str) -> Call:
    """Several blocks of rows from their coordinates."""
    y, basis = reals((500, 9), 33).astype(dtype), reals((9, 70), 34).astype(dtype)
    shift, out = np.ones((2, 70), dtype), np.empty((500, 70), dtype)
    return lambda: kernels.reconstruct_rows(y, basis, shift, out, THREADS)


def pairwise_distances(kernels: Kernels, is_own: bool, dtype: str) -> Call:
    """Distances of random rows, few of which are near to each other."""
    x, y = reals((150, 70), 18).astype(dtype), reals((130, 70), 19).astype(dtype)
    out = np.empty((len(x), len(x if is_own else y)), dtype)
    other = None if is_own else y
    return lambda: kernels.pairwise_distances(x, None, other, None, EUCLIDEAN, out, THREADS)


def kneighbors(kernels: Kernels) -> Call:
    """The nearest of random rows."""
    x, y = reals((100, 70), 20).astype("f"), reals((1000, 70), 21).astype("f")
    distances, indices = np.empty((100, 5), "f"), np.empty((100, 5), np.int64)
    return lambda: kernels.kneighbors(x, None, y, None, EUCLIDEAN, distances, indices, THREADS)


def empty(kernels: Kernels) -> Call:
    """A large array, in memory of the one before."""
    return lambda: kernels.empty((1 << 11, 1 << 9), np.float64)
