"""A process that has run kernels on several threads may fork, and its children may rank."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest

from fastmml import _backend

FORKS = 100
TIMEOUT_SECONDS = 180  # a child that hangs does so for ever

#: Every second child ranks in a thread of its own. Its scores are the parent's, bit for bit.
SCRIPT = """
import os, sys, threading
import fastmml as fm

backend, forks = sys.argv[1], int(sys.argv[2])
graph = fm.rmat(16, seed=1)  # a million links: not so small that one thread ranks them

def rank():
    with fm.use_backend(backend), fm.threads(2):
        return fm.pagerank(graph, tol=1e-4).scores

expected = rank()

def child(in_thread):
    answers = []
    if in_thread:
        thread = threading.Thread(target=lambda: answers.append(rank()))
        thread.start()
        thread.join()
    else:
        answers.append(rank())
    return len(answers) == 1 and (answers[0] == expected).all()

for number in range(forks):
    pid = os.fork()
    if pid == 0:
        agrees = False
        try:
            agrees = child(in_thread=number % 2 == 1)
        finally:
            os._exit(0 if agrees else 1)
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    if code != 0:
        sys.exit(f"child {number} ended with {code}")
    if number % 10 == 0:
        assert (rank() == expected).all()  # the parent keeps its threads
"""


#: What the parent has not loaded, a library beside it may have: its threads stay behind, too.
LATE_SCRIPT = """
import os, sys
import fastmml as fm

use_backend = fm.use_backend
assert "fastmml._native" not in sys.modules
pid = os.fork()
if pid == 0:
    with use_backend("native"):
        os._exit(fm.get_num_threads())
sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) != 1)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_children_that_load_the_kernels_run_them_on_one_thread() -> None:
    if not _backend.has_native():
        pytest.skip("needs the native backend")
    subprocess.run([sys.executable, "-c", LATE_SCRIPT], check=True, timeout=TIMEOUT_SECONDS)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
@pytest.mark.parametrize("backend", _backend.BACKENDS)
def test_children_rank_after_parallel_work(backend: str) -> None:
    if backend == "native" and not _backend.has_native():
        pytest.skip("needs the native backend")
    if backend == "numba" and "libasan" in os.environ.get("LD_PRELOAD", ""):
        pytest.skip("forked while a thread ends, gcc's AddressSanitizer leaves malloc locked")
    command = [sys.executable, "-c", SCRIPT, backend, str(FORKS)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, start_new_session=True) as p:
        try:
            _, complaints = p.communicate(timeout=TIMEOUT_SECONDS)
        except subprocess.TimeoutExpired:
            os.killpg(p.pid, signal.SIGKILL)  # the child that hangs too
            pytest.fail(f"a forked child still runs after {TIMEOUT_SECONDS} s")
    assert p.returncode == 0, complaints
