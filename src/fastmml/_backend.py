"""Which kernels run: the backend, its CPU level, and the number of threads."""

from __future__ import annotations

import importlib
import operator
import os
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from contextvars import ContextVar
from functools import cache
from types import ModuleType
from typing import TYPE_CHECKING, SupportsIndex

from fastmml._warn import warn

if TYPE_CHECKING:
    from fastmml._kernels import Kernels

#: Best first.
BACKENDS = ("native", "numba")

_chosen: ContextVar[Kernels | None] = ContextVar("fastmml_backend", default=None)
#: What runs where nothing was chosen, once it is known.
_default: Kernels | None = None


#: How often an idle OpenMP thread looks for work before it sleeps, about 10 microseconds. GCC's
#: own 300,000 turns keep a core that another process, or our waiting thread, needs: on a busy
#: machine PageRank took 1.4 times as long (docs/performance.md).
_SPINS = "3000"

#: Whether this process was forked from one that had imported this module.
_forked = False


@cache
def _native_module() -> ModuleType:
    """Import the extension; ImportError where there is none."""
    native = _import_native()
    if _forked:
        # Another library may have started the OpenMP threads that did not come along.
        native.after_fork_in_child()
    return native


def _import_native() -> ModuleType:
    asked = {"GOMP_SPINCOUNT", "OMP_WAIT_POLICY"} & os.environ.keys()
    if asked or "fastmml._native" in sys.modules:
        return importlib.import_module("fastmml._native")
    # Read by the OpenMP runtime when it is loaded, and by nothing else.
    os.environ["GOMP_SPINCOUNT"] = _SPINS
    try:
        return importlib.import_module("fastmml._native")
    finally:
        del os.environ["GOMP_SPINCOUNT"]


def _numba_kernels() -> Kernels:
    kernels: Kernels = importlib.import_module("fastmml._numba").NumbaKernels()
    return kernels


@cache
def load(name: str, isa: str | None = None) -> Kernels:
    """Make the kernels of a backend; its own ImportError comes through."""
    if name == "native":
        kernels: Kernels = _native_module().NativeKernels(isa)
        return kernels
    if name != "numba":
        raise ValueError(f"backend: expected one of {BACKENDS}, got {name!r}")
    if isa is not None:
        raise ValueError("isa: the numba backend compiles for the CPU at hand; leave isa out")
    return _numba_kernels()


def has_native() -> bool:
    """Whether the compiled extension was built and loads."""
    try:
        _native_module()
    except ImportError:
        return False
    return True


@cache
def _default_name() -> str:
    """FASTMML_BACKEND, else native, else numba with a warning."""
    asked = os.environ.get("FASTMML_BACKEND")
    if asked:
        if asked not in BACKENDS:
            raise ValueError(f"FASTMML_BACKEND: expected one of {BACKENDS}, got {asked!r}")
        return asked
    if has_native():
        return "native"
    warn(
        "fastmml runs on numba: its compiled kernels are not installed. Install a C compiler and "
        "run 'pip install --force-reinstall --no-cache-dir fastmml' to get them, or set "
        "FASTMML_BACKEND=numba to silence this.",
        RuntimeWarning,
    )
    return "numba"


def _default_kernels() -> Kernels:
    """The kernels that the environment asks for at their first use."""
    global _default  # noqa: PLW0603 (read without a call: a small product takes 200 ns)
    name = _default_name()
    isa = (os.environ.get("FASTMML_ISA") or None) if name == "native" else None
    _default = load(name, isa)
    return _default


def kernels() -> Kernels:
    """The kernels in use in this context."""
    return _chosen.get() or _default or _default_kernels()


def backend() -> str:
    """Name the backend in use: ``"native"`` (compiled C) or ``"numba"``."""
    return kernels().name


@contextmanager
def use_kernels(chosen: Kernels) -> Iterator[None]:
    """Run the block on these kernels, with as many threads as those before."""
    chosen.set_num_threads(get_num_threads())
    token = _chosen.set(chosen)
    try:
        yield
    finally:
        _chosen.reset(token)


def use_backend(name: str, isa: str | None = None) -> AbstractContextManager[None]:
    """Run a ``with`` block on the backend of this name.

    Parameters
    ----------
    name : {"native", "numba"}
    isa : str, optional
        A CPU level of the native backend, such as ``"x86_v2"``; by default the best one that
        the machine runs.

    Raises
    ------
    ImportError
        The backend cannot be loaded; there is no silent fallback.
    ValueError, RuntimeError
        No such backend or level, or the machine does not run it.

    Notes
    -----
    The choice holds in the current context (`contextvars`): other threads and tasks keep theirs.
    """
    return use_kernels(load(name, isa))


def get_num_threads() -> int:
    """How many threads kernels use in the calling thread.

    With the native backend this is OpenMP's own setting: ``OMP_NUM_THREADS`` and threadpoolctl
    have their usual effect.
    """
    return kernels().get_num_threads()


def set_num_threads(num_threads: SupportsIndex) -> None:
    """Set how many threads kernels use in the calling thread, as threadpoolctl does.

    Parameters
    ----------
    num_threads : int
        At least 1; no more than 1024 are used.

    Raises
    ------
    ValueError
        ``num_threads`` is not a positive integer.
    """
    number = as_int(num_threads)
    if number is None or number < 1:
        raise ValueError(f"num_threads: expected a positive integer, got {num_threads!r}")
    kernels().set_num_threads(min(number, 1024))


@contextmanager
def threads(num_threads: SupportsIndex) -> Iterator[None]:
    """Run a ``with`` block on this many threads, then restore the number from before.

    Parameters
    ----------
    num_threads : int
        As in `set_num_threads`.

    Raises
    ------
    ValueError
        As `set_num_threads`, where the block begins.
    """
    before = get_num_threads()
    set_num_threads(num_threads)
    try:
        yield
    finally:
        set_num_threads(before)


def one_thread(small: bool) -> AbstractContextManager[None]:
    """Run a ``with`` block on one thread if the work is small, some milliseconds.

    Several would then save a millisecond on an idle machine, and lose some wherever one of them
    waits for a core: for 0.1 s after NumPy's import OpenBLAS's threads spin on all the others.
    """
    return threads(1) if small else nullcontext()


def get_memory_pool() -> int:
    """How many bytes of dropped results are kept for the next ones, at most."""
    return int(_native_module().get_memory_pool()) if has_native() else 0


def set_memory_pool(num_bytes: SupportsIndex) -> None:
    """Set how many bytes of dropped results are kept for the next ones, and give back all now.

    Parameters
    ----------
    num_bytes : int
        At most this much is kept; with 0 all memory goes back to the system at once. At first it
        is a 32nd of the machine's memory on Linux, elsewhere 64 MB.

    Raises
    ------
    ValueError
        ``num_bytes`` is negative or not an integer.

    Notes
    -----
    The system's first touch of new memory takes as long as many a computation that writes to it.
    Large results (from 128 KB on) and scratch memory of kernels are therefore kept when they are
    dropped. What is beyond 32 MB and in blocks of at least 4 MB is marked as free (``MADV_FREE``)
    on Linux: the system takes it back when memory gets short, though it counts as resident until
    then. fastmml gives back all that is kept before an allocation of its own fails; NumPy's do not
    know of it. The numba backend keeps nothing.
    """
    number = as_int(num_bytes)
    if number is None or number < 0:
        raise ValueError(f"num_bytes: expected an integer of at least 0, got {num_bytes!r}")
    if has_native():
        _native_module().set_memory_pool(min(number, sys.maxsize))


def as_int(value: SupportsIndex) -> int | None:
    """The int that a value stands for; None of truth values, and of what is no integer."""
    try:
        return None if isinstance(value, bool) else operator.index(value)
    except TypeError:
        return None


def empty_memory_pool() -> None:
    """Give back all memory that is kept for results."""
    if has_native():
        _native_module().empty_memory_pool()


def _after_fork_in_child() -> None:
    global _forked  # noqa: PLW0603 (what a process is)
    _forked = True
    if "fastmml._native" in sys.modules:
        _native_module().after_fork_in_child()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)
