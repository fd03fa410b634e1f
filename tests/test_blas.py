"""The limit of threads that LAPACK works under between products of ours."""

from __future__ import annotations

import threading

import pytest
import scipy.linalg  # noqa: F401 - its LAPACK is one of the libraries
from threadpoolctl import ThreadpoolController

from fastmml._blas import on_one_thread


def blas_threads() -> set[int]:
    found = ThreadpoolController().select(user_api="blas").info()
    return {library["num_threads"] for library in found}


def test_overlapping_callers_leave_all_as_it_was() -> None:
    """The one that came first leaves first, while the other still works."""
    entered, done = threading.Event(), threading.Event()

    def other() -> None:
        with on_one_thread():
            entered.set()
            done.wait()

    helper = threading.Thread(target=other)
    before = blas_threads()
    with on_one_thread():
        assert blas_threads() == {1}
        helper.start()
        entered.wait()
    done.set()
    helper.join()
    assert blas_threads() == before


def test_an_exception_ends_the_limit() -> None:
    before = blas_threads()
    with pytest.raises(ValueError, match="x"), on_one_thread():
        raise ValueError("x")
    assert blas_threads() == before
