"""Ctrl-C stops a long computation at once, in the middle of a kernel."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import pytest

from fastmml import _backend
from fastmml._kernels import EdgeFormat

#: fastmml promises 0.2 s; the rest is for a machine that is busy with other work.
PATIENCE_SECONDS = 2.0

needs_native = pytest.mark.skipif(
    not _backend.has_native(), reason="needs the native backend: it polls within a kernel"
)
pytestmark = pytest.mark.skipif(
    sys.platform == "win32", reason="Windows has no alarm, and no Ctrl-C to a single process"
)


@contextmanager
def interrupted(after_seconds: float = 0.02) -> Iterator[None]:
    """Raise KeyboardInterrupt in the block by a signal; it must end the block without delay."""
    previous = signal.signal(signal.SIGALRM, signal.default_int_handler)
    signal.setitimer(signal.ITIMER_REAL, after_seconds)
    sent = time.monotonic() + after_seconds
    try:
        with pytest.raises(KeyboardInterrupt):
            yield
        assert time.monotonic() - sent < PATIENCE_SECONDS
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, previous)


# A kernel that does not poll would end its call (0.5 s and more here) before the signal is seen:
# the outputs would be complete. So each test looks for outputs that were never written.


@needs_native
@pytest.mark.parametrize("threads", [1, 2])
def test_rank_pull_stops_in_the_middle(threads: int) -> None:
    nodes, degree = 1 << 22, 48
    indptr = np.arange(nodes + 1, dtype=np.int64) * degree
    links = np.random.default_rng(0).integers(nodes, size=(1 << 20, degree), dtype=np.uint32)
    indices = np.tile(links.ravel(), nodes >> 20)  # far apart: every link waits for memory
    x, one = np.full(nodes, 1 / nodes), np.full(1, 1 / nodes)
    y = np.full(nodes, np.nan)
    kernels = _backend.load("native")
    with interrupted():
        kernels.rank_pull(
            *(indptr, indices, None, x, one, one),
            *(0.85, 1.0, 0.0, x, x, y, np.empty(nodes), threads),
        )
    assert np.isnan(y).any()


@needs_native
@pytest.mark.parametrize("threads", [1, 2])
def test_parse_edges_stops_in_the_middle(threads: int) -> None:
    lines = 1 << 22
    text = np.tile(np.frombuffer(b"123456,654321,0.12345678901234567890\n", np.uint8), lines)
    layout = EdgeFormat(spans=False, delimiter=",", columns=3, weighted=True, comments="#")
    src, dst = np.full((2, lines), -1, np.int64)
    with interrupted():
        _backend.load("native").parse_edges(text, layout, src, dst, np.empty(lines), threads)
    assert (dst == -1).any()


@needs_native
@pytest.mark.parametrize("threads", [1, 2])
def test_rmat_edges_stops_in_the_middle(threads: int) -> None:
    missing = 2**32 - 1  # no id at scale 30
    src, dst = np.full((2, 1 << 25), missing, np.uint32)
    with interrupted():
        _backend.load("native").rmat_edges(30, 1, 0, src, dst, threads)
    assert (dst == missing).any()


@needs_native
@pytest.mark.parametrize("dtype", ["d", "D"])
def test_many_short_products_stop_in_the_middle(dtype: str) -> None:
    """Each of them ends before its own first poll would be due."""
    a = np.broadcast_to(np.ones((17, 16_000), dtype), (20_000, 17, 16_000))
    out = np.full((20_000, 17, 17), np.nan, dtype)
    with interrupted():
        _backend.load("native").matmul(a, a.swapaxes(1, 2), out, 1)
    assert np.isnan(out).any()


#: Work of the public API that takes far longer than the test waits.
LONG_CALLS = {
    "pagerank": "fm.pagerank(chain, damping=1 - 1e-12, tol=1e-6, max_iter=10**9)",
    "power": "fm.pagerank(graph, damping=1 - 1e-12, tol=1e-300, max_iter=10**9, method='power')",
    "local": "fm.local_pagerank(chain, 0, damping=1 - 1e-12, tol=1e-6)",
    "rmat": "fm.rmat(24)",
    "distances": "fm.pairwise_distances(points[:16384])",
    "neighbors": "fm.kneighbors(points)",
    "projection": "model.project(np.lib.stride_tricks.as_strided(points, (10**8, 300), (0, 8)))",
}

SCRIPT = """
import contextlib, sys, time
import fastmml as fm, numpy as np

graph = fm.rmat(15)
ends = list(range(2**17 - 1)), list(range(1, 2**17))
points = np.ones((1 << 17, 300))  # all alike: every pair is measured by differences
chain = fm.Graph(ends[0] + ends[1], ends[1] + ends[0])  # both ways: ranks spread slowly
with fm.use_backend(sys.argv[1]):
    for method in ("auto", "power"):  # what is compiled at the first call, is now
        with contextlib.suppress(fm.ConvergenceError):
            fm.pagerank(graph, damping=1 - 1e-12, tol=1e-300, max_iter=100, method=method)
    fm.local_pagerank(graph, 0)
    fm.pairwise_distances(points[:9])
    fm.kneighbors(points[:9])
    model = fm.PCA(2).fit(points[:9])
    model.project(points[:9])
    try:
        print("ready", flush=True)
        {call}
    except KeyboardInterrupt:
        print(time.monotonic(), flush=True)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="compares clocks of processes")
@pytest.mark.parametrize("backend", _backend.BACKENDS)
@pytest.mark.parametrize("call", LONG_CALLS)
def test_control_c_reaches_the_caller(call: str, backend: str) -> None:
    if backend == "native" and not _backend.has_native():
        pytest.skip("needs the native backend")
    command = [sys.executable, "-c", SCRIPT.format(call=LONG_CALLS[call]), backend]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
            time.sleep(0.5)
            sent = time.monotonic()
            process.send_signal(signal.SIGINT)
            answer, _ = process.communicate(timeout=60)
        finally:
            process.kill()
    assert process.returncode == 0
    assert float(answer) - sent < PATIENCE_SECONDS
