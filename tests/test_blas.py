"""The limit of threads that LAPACK works under between products of ours."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest
import scipy.linalg  # noqa: F401 - its LAPACK is one of the libraries
from threadpoolctl import ThreadpoolController, threadpool_limits

from fastmml._blas import on_one_thread


def blas_threads() -> set[int]:
    found = ThreadpoolController().select(user_api="blas").info()
    return {library["num_threads"] for library in found}


@pytest.fixture(autouse=True)
def two_threads() -> Iterator[None]:
    with threadpool_limits(2, "blas"):
        yield


def test_overlapping_callers_leave_all_as_it_was() -> None:
    """The one that came first leaves first, while the other still works."""
    entered, done = threading.Event(), threading.Event()

    def other() -> None:
        with on_one_thread():
            entered.set()
            done.wait()

    helper = threading.Thread(target=other)
    with on_one_thread():
        assert blas_threads() == {1}
        helper.start()
        entered.wait()
    done.set()
    helper.join()
    assert blas_threads() == {2}


def test_an_exception_ends_the_limit() -> None:
    with pytest.raises(ValueError, match="x"), on_one_thread():
        raise ValueError("x")
    assert blas_threads() == {2}
