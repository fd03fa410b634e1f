"""How many threads BLAS and LAPACK use between products of ours."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache

from threadpoolctl import ThreadpoolController

#: Columns of a tall matrix up to which LAPACK's work is small beside that of our kernels, or
#: numbers of any other one.
_SMALL = 512

_limiting = threading.Lock()


@contextmanager
def on_one_thread(size: int = 0) -> Iterator[None]:
    """For small matrices: other threads of OpenBLAS would look for work for 0.1 s after a call.

    It holds for the whole process, as all limits of threadpoolctl: of those that overlap, the last
    one to end decides. Of ours there is one at a time. Matrices whose ``size``, the columns
    of tall ones and the numbers of others, is not small keep the threads.
    """
    if size > _SMALL or not _limiting.acquire(blocking=False):
        yield
        return
    try:
        with _controller("scipy.linalg" in sys.modules).limit(limits=1, user_api="blas"):
            yield
    finally:
        _limiting.release()


@cache
def _controller(has_scipy: bool) -> ThreadpoolController:
    """Of the libraries that are loaded now, with SciPy's LAPACK or without."""
    del has_scipy  # the key of the cache
    return ThreadpoolController()
