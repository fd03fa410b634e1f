"""The threads of the numba backend."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time

import pytest
from laws import THREADS

from fastmml._numba._blocks import get_num_threads, set_num_threads
from fastmml._threads import run_blocks


@pytest.mark.parametrize("threads", THREADS)
@pytest.mark.parametrize("blocks", [0, 1, 2, 7, 100])
@pytest.mark.parametrize("at_once", [1, 3, 64])
def test_every_block_is_done_once(threads: int, blocks: int, at_once: int) -> None:
    ranges: list[tuple[int, int]] = []
    run_blocks(lambda first, last: ranges.append((first, last)), blocks, threads, at_once)
    done = [block for first, last in sorted(ranges) for block in range(first, last)]
    assert done == list(range(blocks))
    assert all(0 < last - first <= at_once for first, last in ranges)


@pytest.mark.parametrize(("threads", "blocks"), [(1, 100), (8, 1), (8, 0)])
def test_no_thread_starts_without_need(
    monkeypatch: pytest.MonkeyPatch, threads: int, blocks: int
) -> None:
    monkeypatch.setattr(threading.Thread, "start", lambda thread: pytest.fail("started a thread"))
    run_blocks(lambda first, last: None, blocks, threads, 1)


def test_the_caller_does_all_when_the_system_has_no_more_threads(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuse(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    done: list[int] = []
    run_blocks(lambda first, last: done.append(first), 10, 4, 1)
    assert done == list(range(10))


def test_an_error_in_a_helper_is_raised_and_stops_the_others() -> None:
    failed = threading.Event()
    calls: list[int] = []

    def work(first: int, last: int) -> None:
        if threading.current_thread() is threading.main_thread():
            assert failed.wait(10)
            time.sleep(0.05)  # until the helper has reported
        elif not failed.is_set():
            failed.set()
            raise MemoryError("no memory")
        calls.append(first)

    with pytest.raises(MemoryError, match="no memory"):
        run_blocks(work, 1000, 2, 1)
    assert len(calls) <= 1


def test_an_error_in_the_caller_waits_for_the_range_under_way_and_no_other() -> None:
    running = threading.Event()
    ended: list[int] = []

    def work(first: int, last: int) -> None:
        if threading.current_thread() is threading.main_thread():
            assert running.wait(10)
            raise ValueError("wrong")
        running.set()
        time.sleep(0.05)
        ended.append(first)

    with pytest.raises(ValueError, match="wrong"):
        run_blocks(work, 100, 2, 1)
    assert len(ended) == 1


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no alarm")
@pytest.mark.parametrize("threads", [1, 2])
def test_ctrl_c_stops_all_threads(threads: int) -> None:
    calls: list[int] = []

    def work(first: int, last: int) -> None:
        time.sleep(0.005)
        calls.append(first)

    previous = signal.signal(signal.SIGALRM, signal.default_int_handler)
    signal.setitimer(signal.ITIMER_REAL, 0.05)
    start = time.monotonic()
    try:
        with pytest.raises(KeyboardInterrupt):
            run_blocks(work, 2000, threads, 1)
        assert time.monotonic() - start < 2.0  # 0.25 s, and patience with a busy machine
        done = len(calls)
        time.sleep(0.05)
        assert len(calls) == done
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, previous)


@pytest.mark.parametrize(("text", "threads"), [("3", 3), ("4,2", 4), (" 5 , 1", 5)])
def test_omp_num_threads_is_the_default(
    monkeypatch: pytest.MonkeyPatch, text: str, threads: int
) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", text)
    assert in_new_thread() == threads


@pytest.mark.parametrize("text", ["", "0", "-2", "many", "²"])
def test_a_wrong_omp_num_threads_is_ignored(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", text)
    has_affinity = hasattr(os, "sched_getaffinity")
    assert in_new_thread() == (len(os.sched_getaffinity(0)) if has_affinity else os.cpu_count())


def test_the_number_of_threads_is_set_for_one_thread_alone() -> None:
    before = get_num_threads()
    assert in_new_thread(before + 5) == before + 5
    assert get_num_threads() == before


def in_new_thread(setting: int | None = None) -> int:
    """What get_num_threads answers in a thread that has set this, or nothing."""
    answers: list[int] = []

    def ask() -> None:
        if setting is not None:
            set_num_threads(setting)
        answers.append(get_num_threads())

    thread = threading.Thread(target=ask)
    thread.start()
    thread.join()
    return answers[0]
