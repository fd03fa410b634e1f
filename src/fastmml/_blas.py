"""How many threads BLAS and LAPACK use between products of ours."""

from __future__ import annotations

from contextlib import AbstractContextManager
from functools import cache
from typing import Any

from threadpoolctl import ThreadpoolController


def on_one_thread() -> AbstractContextManager[Any]:
    """For small matrices: other threads of OpenBLAS would look for work for 0.1 s after the call.

    It holds for the whole process while it lasts; results may differ in the last bits.
    """
    limited: AbstractContextManager[Any] = _controller().limit(limits=1, user_api="blas")
    return limited


@cache
def _controller() -> ThreadpoolController:
    """Of the libraries that are loaded now: LAPACK is SciPy's, which was imported before."""
    return ThreadpoolController()
