"""The number of threads: one setting, shared with OpenMP's, that never changes a result."""

from __future__ import annotations

import contextlib
import importlib
import os
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
from threadpoolctl import threadpool_info, threadpool_limits

import fastmml as fm
from fastmml import _backend
from fastmml._kernels import F64, Kernels


def has_openmp() -> bool:
    if not _backend.has_native():
        return False
    native = importlib.import_module("fastmml._native")
    return bool(native.build_info()["openmp"] == "yes")


needs_openmp = pytest.mark.skipif(not has_openmp(), reason="needs a native build with OpenMP")

#: The backends of this installation.
INSTALLED = [name for name in _backend.BACKENDS if name != "native" or _backend.has_native()]


def openmp_pools() -> set[int]:
    """The numbers of threads of the OpenMP libraries in this process."""
    return {pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "openmp"}


@needs_openmp
def test_threadpoolctl_limits_native_kernels() -> None:
    with fm.use_backend("native"), fm.threads(3):
        with threadpool_limits(1):
            assert fm.get_num_threads() == 1
        with threadpool_limits(2, user_api="openmp"):
            assert fm.get_num_threads() == 2
        assert fm.get_num_threads() == 3


@needs_openmp
@pytest.mark.parametrize("num_threads", [1, 5])
def test_threadpoolctl_shows_our_setting(num_threads: int) -> None:
    with fm.use_backend("native"), fm.threads(num_threads):
        assert num_threads in openmp_pools()


@pytest.mark.parametrize("backend", INSTALLED)
def test_setting_holds_in_its_block_and_its_thread(backend: str) -> None:
    with fm.use_backend(backend):
        before = fm.get_num_threads()
        with contextlib.suppress(KeyError), fm.threads(1):
            assert fm.get_num_threads() == 1
            raise KeyError
        assert fm.get_num_threads() == before


@needs_openmp
def test_setting_does_not_reach_other_threads() -> None:
    before = fm.get_num_threads()
    other = threading.Thread(target=fm.set_num_threads, args=(before + 1,))
    other.start()
    other.join()
    assert fm.get_num_threads() == before


@needs_openmp
def test_integers_of_numpy_are_numbers_of_threads() -> None:
    with fm.threads(np.int64(2)):
        assert fm.get_num_threads() == 2


def test_a_team_returns_what_its_function_does(backend: Kernels) -> None:
    assert backend.with_team(lambda: 5, 2) == 5
    with pytest.raises(ZeroDivisionError):
        backend.with_team(lambda: 1 // 0, 2)


@needs_openmp
def test_a_list_of_numbers_of_threads_does_not_take_a_team_s(tmp_path: Path) -> None:
    code = (
        "import fastmml as fm; from fastmml._backend import kernels;"
        "print(fm.get_num_threads(), kernels().with_team(fm.get_num_threads, 2))"
    )
    env = {**os.environ, "OMP_NUM_THREADS": "2,1", "FASTMML_BACKEND": "native"}
    found = subprocess.check_output([sys.executable, "-c", code], cwd=tmp_path, env=env, text=True)
    assert found.split() == ["2", "2"]


@pytest.mark.parametrize("backend", INSTALLED)
def test_a_callback_sees_the_setting_outside(backend: str) -> None:
    seen = []

    def look(iteration: int, bound: float) -> None:
        seen.append(fm.get_num_threads())

    with fm.use_backend(backend), fm.threads(3):
        fm.pagerank(fm.Graph([0, 1, 2], [1, 0, 0]), callback=look)
        expected = fm.get_num_threads()
    assert set(seen) == {expected}


def test_kernels_of_a_team_have_the_same_bits(backend: Kernels) -> None:
    rng = np.random.default_rng(8)
    ids = rng.integers(5000, size=400_000).astype(np.uint32)
    order = rng.permutation(100_000).astype(np.uint32)
    values = rng.random((100_000, 1))

    def run(threads: int) -> tuple[F64, F64]:
        strength, out = np.empty(5000), np.empty((100_000, 1))
        backend.out_strength(ids, None, strength, threads)
        backend.gather_values(order, values, 0, 1, out, threads)
        return strength, out

    def run_twice() -> tuple[tuple[F64, F64], tuple[F64, F64]]:
        return run(3), run(2)  # all of the team, and some

    alone = np.bincount(ids, minlength=5000), values[order]
    for found in backend.with_team(run_twice, 3):
        for got, expected in zip(found, alone, strict=True):
            np.testing.assert_array_equal(got, expected)


@pytest.mark.parametrize("wrong", [0, -1, 1.0, "2", True, np.True_, None])
def test_wrong_numbers_are_refused(wrong: object) -> None:
    with pytest.raises(ValueError, match="num_threads: expected a positive integer"):
        fm.set_num_threads(wrong)  # type: ignore[arg-type]


@pytest.mark.parametrize("backend", INSTALLED)
@pytest.mark.parametrize("weighted", [False, True])
def test_same_bits_on_any_number_of_threads(backend: str, weighted: bool) -> None:
    links = 400_000  # several blocks of work
    rng = np.random.default_rng(5)
    src, dst = rng.integers(20_000, size=(2, links))
    weights = rng.random(links) if weighted else None
    scores = []
    for num_threads in (1, 2, 3, 8):
        with fm.use_backend(backend), fm.threads(num_threads):
            graph = fm.Graph(src, dst, weights)
            scores.append(fm.pagerank(graph, tol=1e-9).scores)
    for others in scores[1:]:
        np.testing.assert_array_equal(others, scores[0])
