"""Large results: where they lie, and that memory of dropped ones serves the next."""

from __future__ import annotations

import ctypes
import gc
import importlib
import itertools
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import fastmml as fm
from fastmml import _backend
from fastmml._kernels import Kernels

LARGE_PAGE = 1 << 21
LIMIT = 1 << 26


@pytest.fixture
def pooled() -> Iterator[Callable[[], int]]:
    """Let 64 MB be kept; how much memory is kept now."""
    if not _backend.has_native():
        pytest.skip("the numba backend keeps no memory")
    before = fm.get_memory_pool()
    fm.set_memory_pool(LIMIT)
    with fm.use_backend("native"):
        yield importlib.import_module("fastmml._native").memory_pool_bytes
    fm.set_memory_pool(before)


@pytest.mark.parametrize("shape", [0, 1, (3, 5), 1 << 18, (1 << 18) + 1, (3, 1 << 17), (2, 0)])
@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("dtype", [np.float64, np.complex64, bool, "<i2", ">f8", "U7", "M8[s]"])
def test_empty(variant: Kernels, shape: Any, order: Any, dtype: Any) -> None:
    array = variant.empty(shape, dtype, order)
    expected = np.empty(shape, dtype, order)
    assert (array.shape, array.dtype, array.strides) == (
        expected.shape,
        expected.dtype,
        expected.strides,
    )
    assert array.flags.owndata
    assert array.flags.writeable
    array[...] = 1
    assert (array == np.array(1).astype(dtype)).all()


@pytest.mark.parametrize("dtype", ["f8, >i2", "(2,)f8", object])
@pytest.mark.parametrize("length", [3, 1 << 18])
def test_empty_of_other_types(variant: Kernels, dtype: Any, length: int) -> None:
    array, expected = variant.empty(length, dtype), np.empty(length, dtype)
    assert (array.shape, array.dtype) == (expected.shape, expected.dtype)


def test_no_memory(variant: Kernels) -> None:
    with pytest.raises(MemoryError):
        variant.empty(1 << 50, np.float64)


def _is_sanitized() -> bool:
    return bool(importlib.import_module("fastmml._native").build_info()["sanitize"])


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere malloc says where")
def test_on_whole_large_pages(pooled: Callable[[], int]) -> None:
    if _is_sanitized():
        pytest.skip("AddressSanitizer says where")
    array = fm.matmul(np.ones((1024, 1)), np.ones((1, 1024)))
    assert array.__array_interface__["data"][0] % LARGE_PAGE == 64  # the block starts with its size


def test_dropped_memory_serves_the_next_result(pooled: Callable[[], int]) -> None:
    kernels = _backend.load("native")
    first = kernels.empty((700, 700), np.float64)
    address = first.ctypes.data
    assert pooled() == 0
    del first
    assert pooled() >= 700 * 700 * 8
    second = kernels.empty((690, 700), np.float64)
    assert second.ctypes.data == address
    assert pooled() == 0
    third = kernels.empty((690, 700), np.float64)
    assert third.ctypes.data != address
    del second
    fourth = kernels.empty((400, 700), np.float64)  # much less than there is
    assert fourth.ctypes.data != address


REFUSED = """
import resource
import fastmml as fm
from fastmml import _backend, _memory, _native

kernels = _backend.load("native")
fm.set_memory_pool(1 << 30)
for make in (kernels.empty, _memory.empty):
    dropped = [kernels.empty(200 << 20, bool) for i in range(3)]
    del dropped
    assert _native.memory_pool_bytes() >= 600 << 20
    pages = int(open("/proc/self/statm").read().split()[0])
    most = pages * resource.getpagesize() + (100 << 20)
    resource.setrlimit(resource.RLIMIT_AS, (most, resource.RLIM_INFINITY))
    assert make(500 << 20, bool).nbytes == 500 << 20
    resource.setrlimit(resource.RLIMIT_AS, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="limits of other systems differ")
def test_the_pool_goes_back_before_an_allocation_fails(pooled: Callable[[], int]) -> None:
    if _is_sanitized():
        pytest.skip("AddressSanitizer takes terabytes of addresses")
    done = subprocess.run(
        [sys.executable, "-c", REFUSED], check=False, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr


def test_setting_the_limit_empties_the_pool(pooled: Callable[[], int]) -> None:
    fm.gram(np.ones((2, 1024)))
    assert pooled() > 0
    fm.set_memory_pool(0)
    assert pooled() == 0
    assert fm.get_memory_pool() == 0
    fm.gram(np.ones((2, 1024)))
    assert pooled() == 0


def test_a_result_that_changes_its_size(pooled: Callable[[], int]) -> None:
    array = fm.gram(np.ones((2, 1024)))
    array.resize((2048, 1024), refcheck=False)
    np.testing.assert_array_equal(array[:1024], 2)
    np.testing.assert_array_equal(array[1024:], 0)
    array.resize((3,), refcheck=False)
    np.testing.assert_array_equal(array, 2)


@settings(max_examples=30, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 5), st.integers(1, 1 << 22)), max_size=40),
    st.sampled_from([0, LARGE_PAGE, LIMIT]),
)
def test_live_results_never_share_memory(changes: list[tuple[int, int]], limit: int) -> None:
    if not _backend.has_native():
        pytest.skip("the numba backend keeps no memory")
    native, before = importlib.import_module("fastmml._native"), fm.get_memory_pool()
    kernels, live = _backend.load("native"), dict.fromkeys(range(6))
    fm.set_memory_pool(limit)
    try:
        for i, (slot, size) in enumerate(changes):
            live[slot] = kernels.empty(size, np.float32)  # drops the one before
            live[slot][[0, -1]] = i
            marks = {slot: x[0] for slot, x in live.items() if x is not None}
            assert len(set(marks.values())) == len(marks)
            assert all(x is None or x[0] == x[-1] for x in live.values())
            assert native.memory_pool_bytes() <= limit
    finally:
        fm.set_memory_pool(before)


def test_threads_take_and_give_at_once(pooled: Callable[[], int]) -> None:
    def work(number: int) -> bool:
        ok = True
        for size in itertools.islice(itertools.cycle([600, 1024, 700]), 30):
            rows = np.full((1, size), float(number))
            ok &= bool((fm.gram(rows) == number * number).all())
        return ok

    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(work, range(8)))
    gc.collect()
    assert 0 < pooled() <= LIMIT


#: Arrays may outlive the test that set the handler of their memory.
HANDLERS: list[Any] = []


@pytest.fixture
def handler_of_a_user() -> Iterator[str]:
    """Set a handler of NumPy's memory under a name of its own (NEP 49), as C extensions do."""
    api = ctypes.pythonapi
    api.PyCapsule_GetPointer.restype = ctypes.c_void_p
    api.PyCapsule_GetPointer.argtypes = [ctypes.py_object, ctypes.c_char_p]
    api.PyCapsule_New.restype = ctypes.py_object
    api.PyCapsule_New.argtypes = [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p]
    numpy_api = importlib.import_module("numpy._core._multiarray_umath")._ARRAY_API
    table = ctypes.cast(api.PyCapsule_GetPointer(numpy_api, None), ctypes.POINTER(ctypes.c_void_p))
    set_handler = ctypes.PYFUNCTYPE(ctypes.py_object, ctypes.py_object)(table[304])
    default = ctypes.cast(table[306] or 0, ctypes.POINTER(ctypes.py_object))[0]
    name = b"theirs"
    size = 128 + 5 * ctypes.sizeof(ctypes.c_void_p)  # a name, a version and an allocator
    theirs = ctypes.create_string_buffer(
        ctypes.string_at(api.PyCapsule_GetPointer(default, b"mem_handler"), size), size
    )
    ctypes.memmove(theirs, name + b"\0", len(name) + 1)
    HANDLERS.append(theirs)
    before = set_handler(api.PyCapsule_New(ctypes.addressof(theirs), b"mem_handler", None))
    yield name.decode()
    set_handler(before)


def test_a_handler_of_a_user_is_left_alone(variant: Kernels, handler_of_a_user: str) -> None:
    owner = importlib.import_module("numpy._core.multiarray").get_handler_name
    for size in (8, 1 << 20):
        assert owner(variant.empty((2, size), np.float64)) == handler_of_a_user
    if variant.name == "native":  # numba's results are NumPy's products
        with _backend.use_kernels(variant):
            assert owner(fm.matmul(np.ones((512, 2)), np.ones((2, 512)))) == handler_of_a_user
    assert owner(np.empty(1)) == handler_of_a_user


def test_integers_of_numpy_are_limits(pooled: Callable[[], int]) -> None:
    fm.set_memory_pool(np.int64(1 << 20))
    assert fm.get_memory_pool() == 1 << 20


@pytest.mark.parametrize("wrong", [-1, 1.5, True, "64 MB", None])
def test_wrong_limits(wrong: Any) -> None:
    with pytest.raises(ValueError, match="num_bytes: expected an integer of at least 0"):
        fm.set_memory_pool(wrong)
