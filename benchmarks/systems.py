"""Stacks of small matrices: solve, inv, det, eigh beside NumPy and, where installed, PyTorch."""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

import fastmml as fm

BATCH = 100_000
ROWS = (3, 4, 8)
DTYPES = ("float64", "float32")
NAMES = ("solve", "inv", "det", "eigh")

Operands = tuple[NDArray[Any], ...]


class Task(NamedTuple):
    """A function, and the size and type of the matrices."""

    name: str
    rows: int
    dtype: str

    def __str__(self) -> str:
        return f"{self.name} of {BATCH:,} {self.rows}x{self.rows} {self.dtype}"

    def operands(self) -> Operands:
        """Normally distributed numbers; symmetric for eigh."""
        random = np.random.default_rng(0)
        a = random.standard_normal((BATCH, self.rows, self.rows)).astype(self.dtype)
        if self.name == "eigh":
            return (a + a.swapaxes(1, 2),)
        b = random.standard_normal((BATCH, self.rows, 1)).astype(self.dtype)
        return (a, b) if self.name == "solve" else (a,)


def tasks(dtypes: tuple[str, ...] = DTYPES) -> list[Task]:
    """All of them."""
    return [Task(name, rows, dtype) for dtype in dtypes for name in NAMES for rows in ROWS]


def contestants() -> dict[str, Callable[[Task, Operands], Callable[[], object]]]:
    """Makers of calls, ours first."""
    found = {"fastmml": _from_arrays(fm), "numpy": _from_arrays(np.linalg)}
    if importlib.util.find_spec("torch") is not None:
        found["torch"] = _from_tensors
    return found


def _from_arrays(module: Any) -> Callable[[Task, Operands], Callable[[], object]]:
    return lambda task, operands: lambda: getattr(module, task.name)(*operands)


def _from_tensors(task: Task, operands: Operands) -> Callable[[], object]:
    torch = importlib.import_module("torch")
    function, tensors = getattr(torch.linalg, task.name), [torch.from_numpy(x) for x in operands]
    return lambda: function(*tensors)


@contextmanager
def equal_threads(threads: int) -> Iterator[None]:
    """As many threads for everyone."""
    with threadpool_limits(threads), fm.threads(threads):
        if importlib.util.find_spec("torch") is not None:
            importlib.import_module("torch").set_num_threads(threads)
        yield
