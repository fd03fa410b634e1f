"""Large arrays in small pages of their own, and how much memory there is."""

from __future__ import annotations

import math
import mmap
import os
import sys
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from fastmml._backend import empty_memory_pool

#: Smaller arrays come from NumPy's allocator, which reuses them without page faults.
_SMALL_BYTES = 1 << 16


def empty(shape: int | tuple[int, ...], dtype: DTypeLike) -> NDArray[Any]:
    """Like `numpy.empty`, in a private mapping of its own and in small pages.

    Only pages that are written take memory (NumPy asks for pages of 2 MiB, which would make a
    scattered write touch all of the array at once), and dropping the array returns them, which
    malloc may put off.
    """
    count = math.prod(shape) if isinstance(shape, tuple) else shape
    size = count * np.dtype(dtype).itemsize
    if size < _SMALL_BYTES:
        return np.empty(shape, dtype)
    try:
        region = _map_at_last(size)
    except OSError as error:
        raise MemoryError(f"no memory for {size} bytes") from error
    return np.frombuffer(region, dtype, count).reshape(shape)


def available() -> int:
    """Bytes of physical memory that programs can still take."""
    try:
        with open("/proc/meminfo") as lines:
            fields = dict(line.split(":", 1) for line in lines)
        return int(fields["MemAvailable"].split()[0]) * 1024
    except (OSError, KeyError):
        return _installed()


def _installed() -> int:
    """Bytes of physical memory of the machine; no limit where the system does not say."""
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):
        return sys.maxsize


def _map_at_last(size: int) -> mmap.mmap:
    """A mapping, for which what is kept for results goes back if it must."""
    try:
        return _map(size)
    except OSError:
        empty_memory_pool()
        return _map(size)


def _map(size: int) -> mmap.mmap:
    if not hasattr(mmap, "MAP_PRIVATE"):
        return mmap.mmap(-1, size)
    region = mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    if hasattr(mmap, "MADV_NOHUGEPAGE"):
        region.madvise(mmap.MADV_NOHUGEPAGE)
    return region
