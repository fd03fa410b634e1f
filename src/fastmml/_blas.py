"""How many threads BLAS and LAPACK use between products of ours."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache

from threadpoolctl import ThreadpoolController

_limiting = threading.Lock()


@contextmanager
def on_one_thread() -> Iterator[None]:
    """For small matrices: other threads of OpenBLAS would look for work for 0.1 s after a call.

    It holds for the whole process, as all limits of threadpoolctl: of those that overlap, the last
    one to end decides. Of ours there is one at a time.
    """
    if not _limiting.acquire(blocking=False):
        yield
        return
    try:
        with _controller().limit(limits=1, user_api="blas"):
            yield
    finally:
        _limiting.release()


@cache
def _controller() -> ThreadpoolController:
    """Of the libraries that are loaded now: SciPy's LAPACK was imported before."""
    return ThreadpoolController()
