"""Matrix products that are compared, and the libraries that compute them."""

from __future__ import annotations

import contextlib
import importlib
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

import fastmml as fm
from benchmarks.graphs import Unavailable
from benchmarks.machine import thread_counts
from benchmarks.panels import OURS, align
from benchmarks.timing import Run, interleave, seconds_of

Array = NDArray[Any]
Call = Callable[[], object]

#: A run repeats a short call for about so many seconds.
RUN_SECONDS = 0.01


class Case(NamedTuple):
    """A product of two arrays, or a Gram matrix where ``b`` is None."""

    name: str
    a: Array
    b: Array | None
    flops: float
    dtype: str | None = None  #: of the result, where it is not that of the operands
    algorithm: str = "classical"


def _numbers(shape: tuple[int, ...], dtype: str) -> Array:
    rng = np.random.default_rng(1)
    kind = np.dtype(dtype).kind
    if kind in "iub":
        return rng.integers(2 if dtype == "bool" else 100, size=shape).astype(dtype)
    reals = rng.standard_normal(shape)
    return (reals + 1j * rng.standard_normal(shape) if kind == "c" else reals).astype(dtype)


def square(n: int, dtype: str) -> Case:
    """Two square matrices."""
    a, b = _numbers((n, n), dtype), _numbers((n, n), dtype)
    return Case(f"{dtype} {n}", a, b, (8.0 if a.dtype.kind == "c" else 2.0) * n**3)


def widened(n: int, dtype: str) -> Case:
    """Numbers of 8 bits with sums of 32."""
    a, b = _numbers((n, n), dtype), _numbers((n, n), dtype)
    return Case(f"{dtype} {n} into int32", a, b, 2.0 * n**3, dtype="int32")


def strassen(n: int, dtype: str) -> Case:
    """Square matrices by Strassen's algorithm; flops are those of the classical one."""
    return square(n, dtype)._replace(algorithm="strassen")


def stack(n: int, dtype: str) -> Case:
    """100,000 pairs of square matrices."""
    a, b = _numbers((100_000, n, n), dtype), _numbers((100_000, n, n), dtype)
    return Case(f"{dtype} 100,000 x {n}", a, b, 2e5 * n**3)


def turned(n: int, dtype: str, left: bool, right: bool) -> Case:
    """Square matrices of which one or both are transposed."""
    a, b, flops = _numbers((n, n), dtype), _numbers((n, n), dtype), 2.0 * n**3
    name = f"{dtype} {n}, a{'.T' * left} b{'.T' * right}"
    return Case(name, a.T if left else a, b.T if right else b, flops)


def strided(n: int, dtype: str) -> Case:
    """Every second row and column of larger matrices."""
    a, b = _numbers((2 * n, 2 * n), dtype), _numbers((2 * n, 2 * n), dtype)
    return Case(f"{dtype} {n}, a[::2, ::2] b[::2, ::2]", a[::2, ::2], b[::2, ::2], 2.0 * n**3)


def shape(m: int, k: int, n: int, dtype: str) -> Case:
    """Matrices of which a side is short."""
    a, b = _numbers((m, k), dtype), _numbers((k, n), dtype)
    return Case(f"{dtype} {m:,} x {k:,} x {n:,}", a, b, 2.0 * m * k * n)


def gram(k: int, n: int, dtype: str) -> Case:
    """A matrix with itself; flops are those of a product that does not know."""
    return Case(f"gram {dtype} {k:,} x {n:,}", _numbers((k, n), dtype), None, 2.0 * k * n * n)


REALS = ("float32", "float64")
SIZES = (2, 4, 8, 16, 32, 64, 100, 128, 256, 512, 1024, 2048, 4096)
TURNED_SIZES = (64, 128, 256, 512, 1024, 2048)
#: Makers of cases, by what they have in common.
GROUPS: dict[str, list[Callable[[], Case]]] = {
    "square": [lambda n=n, d=d: square(n, d) for d in REALS for n in SIZES],
    "stacks": [lambda n=n, d=d: stack(n, d) for d in REALS for n in (2, 3, 4, 8, 16, 32)],
    "turned": [
        lambda n=n, d=d, t=t: turned(n, d, *t)
        for d in REALS
        for n in (16, *TURNED_SIZES)
        for t in ((True, False), (False, True), (True, True))
    ],
    "strided": [lambda n=n, d=d: strided(n, d) for d in REALS for n in TURNED_SIZES],
    "strassen": [lambda n=n, d=d: strassen(n, d) for d in REALS for n in (1024, 2048, 4096)],
    "shapes": [
        lambda s=s, d=d: shape(*s, d)
        for d in REALS
        for s in (
            (1, 1_000_000, 1),
            (2000, 2000, 1),
            (1, 2000, 2000),
            (2000, 1, 2000),
            (100_000, 16, 16),
            (16, 4096, 4096),
            (4096, 4096, 16),
            (32, 100_000, 32),
        )
    ],
    "types": [
        lambda n=n, d=d: square(n, d)
        for d in ("int8", "int16", "int32", "int64", "bool", "float16")
        for n in (16, 512)
    ]
    + [lambda n=n, d=d: widened(n, d) for d in ("int8", "uint8") for n in (16, 64, 512, 1024)],
    "complex": [
        lambda n=n, d=d: square(n, d)
        for d in ("complex64", "complex128")
        for n in (16, 64, 128, 256, 512, 1024)
    ],
    "gram": [
        lambda s=s, d=d: gram(*s, d)
        for d, s in (
            ("float32", (100_000, 784)),
            ("float32", (1_000_000, 32)),
            ("float64", (100_000, 100)),
            ("float64", (1000, 1000)),
        )
    ],
}


def _keywords(case: Case) -> dict[str, Any]:
    """What `fastmml.matmul` is told beside the operands: nothing where that is the usual."""
    keywords = {} if case.dtype is None else {"dtype": case.dtype}
    return keywords if case.algorithm == "classical" else keywords | {"algorithm": case.algorithm}


class Fastmml:
    """Ours."""

    name = "fastmml"

    def __init__(self, case: Case) -> None:
        a, b, keywords = case.a, case.b, _keywords(case)
        self.call: Call = (
            (lambda: fm.gram(a)) if b is None else (lambda: fm.matmul(a, b, **keywords))
        )

    @staticmethod
    def set_threads(threads: int) -> None:
        """Use so many threads."""
        fm.set_num_threads(threads)


class Classical(Fastmml):
    """Ours beside Strassen's algorithm."""

    name = "classical"

    def __init__(self, case: Case) -> None:
        if case.algorithm == "classical":
            raise Unavailable("the algorithm that is compared")
        super().__init__(case._replace(algorithm="classical"))


class Numpy:
    """NumPy, on the BLAS that it came with."""

    name = "numpy"

    def __init__(self, case: Case) -> None:
        a, b, dtype = case.a, case.b, case.dtype
        self.call: Call = (lambda: a.T @ a) if b is None else (lambda: np.matmul(a, b, dtype=dtype))

    @staticmethod
    def set_threads(threads: int) -> None:
        """Use so many threads."""
        threadpool_limits(threads, user_api="blas")


class Torch:
    """PyTorch, on MKL."""

    name = "torch"

    def __init__(self, case: Case) -> None:
        try:
            self._torch = importlib.import_module("torch")
        except ImportError:
            raise Unavailable("torch is not installed") from None
        is_widened = case.dtype == "int32" and case.a.dtype == np.int8 and len(case.a) > 16
        if not is_widened and (case.a.dtype.kind not in "fc" or case.a.dtype.itemsize < 4):
            raise Unavailable("torch: it has no product of this type, or none by a library")
        a = self._torch.from_numpy(case.a)
        b = None if case.b is None else self._torch.from_numpy(case.b)
        product = self._torch._int_mm if is_widened else self._torch.matmul
        self.call: Call = (lambda: product(a.T, a)) if b is None else (lambda: product(a, b))

    def set_threads(self, threads: int) -> None:
        """Use so many threads."""
        self._torch.set_num_threads(threads)


LIBRARIES = (Fastmml, Classical, Numpy, Torch)


def repeated(library: Fastmml | Numpy | Torch, threads: int) -> Run:
    """A run of calls, which returns the seconds of one."""
    library.set_threads(threads)
    library.call()
    once = seconds_of(library.call)
    calls = max(1, min(100_000, int(RUN_SECONDS / max(once, 1e-9))))

    def call_often() -> None:
        for _ in range(calls):
            library.call()

    def run() -> float:
        library.set_threads(threads)
        library.call()
        return seconds_of(call_often) / calls

    return run


def compare_products(groups: Sequence[str], rounds: int) -> None:
    """Print the times of all products, and the ratios to the best peer."""
    names = [library.name for library in LIBRARIES]
    head = ("", *(f"{name} us" for name in names), "speed / best peer", "GFLOP/s")
    for group in groups:
        for threads in thread_counts():
            rows = [_race(make(), threads, rounds) for make in GROUPS[group]]
            title = f"Matrix products, {group}, {threads} thread{'s' * (threads > 1)}"
            print("", title, *align([head, *rows]), sep="\n", flush=True)


def _race(case: Case, threads: int, rounds: int) -> tuple[str, ...]:
    """Let the libraries that can compute a product do so in turns; a row of the table."""
    runs: dict[str, Run] = {}
    for library in LIBRARIES:
        with contextlib.suppress(Unavailable):
            runs[library.name] = repeated(library(case), threads)
    ours, seconds = interleave(runs.pop(OURS), runs, rounds)
    ratio, rate = min(seconds.values()) / ours, case.flops / ours / 1e9
    seconds |= {OURS: ours}
    cells = (
        f"{seconds[library.name] * 1e6:.2f}" if library.name in seconds else ""
        for library in LIBRARIES
    )
    return case.name, *cells, f"{ratio:.2f}", f"{rate:.1f}"
