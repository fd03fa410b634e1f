"""Reading an edge list in fastmml and in its peers: a few lines each.

``python -m benchmarks.readers NAME PATH THREADS`` reads once in a process of its own and prints the
seconds, the growth of the process's peak memory and the size of what was read, as JSON.
"""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
import tempfile
import time
from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import numpy as np

import fastmml as fm
from benchmarks.graphs import ROOT, Unavailable


class Reader(ABC):
    """What a benchmark needs from a library that reads edge lists."""

    name: ClassVar[str]
    #: The module to import.
    module: ClassVar[str]
    #: Whether `set_threads`, or a variable that `read_in_process` sets, has an effect.
    parallel: ClassVar[bool] = True
    #: Files above this size are skipped for `why_limited`.
    max_bytes: ClassVar[int | None] = None
    why_limited: ClassVar[str] = ""

    def __init__(self) -> None:
        try:
            self.library = importlib.import_module(self.module)
        except ImportError as error:
            raise Unavailable(f"{self.name}: not installed ({error})") from error

    def check_size(self, path: Path) -> None:
        """Raise `Unavailable` when the file is too large for this reader."""
        if self.max_bytes is not None and path.stat().st_size > self.max_bytes:
            raise Unavailable(f"{self.name} on {path.stem}: {self.why_limited}")

    def set_threads(self, threads: int) -> None:  # noqa: B027 (many readers have nothing to set)
        """Use this many threads from now on."""

    @abstractmethod
    def read(self, path: Path) -> Any:
        """Read a file of ``source<TAB>target`` lines into the library's own object."""


class FastmmlReader(Reader):
    """`fastmml.read_graph`, with its defaults."""

    name = "fastmml"
    module = "fastmml"

    def set_threads(self, threads: int) -> None:
        fm.set_num_threads(threads)

    def read(self, path: Path) -> fm.Graph:
        return fm.read_graph(path)


class PyarrowReader(Reader):
    """``pyarrow.csv`` alone: two columns of numbers, not yet a graph."""

    name = "pyarrow.csv alone"
    module = "pyarrow"

    def set_threads(self, threads: int) -> None:
        self.library.set_cpu_count(threads)

    def read(self, path: Path) -> Any:
        csv = importlib.import_module("pyarrow.csv")
        return csv.read_csv(
            path,
            read_options=csv.ReadOptions(column_names=["src", "dst"]),
            parse_options=csv.ParseOptions(delimiter="\t"),
        )


class PolarsReader(Reader):
    """Polars for the text (``POLARS_MAX_THREADS``), scipy for the matrix."""

    name = "polars + scipy"
    module = "polars"

    def read(self, path: Path) -> Any:
        schema = {"src": self.library.Int32, "dst": self.library.Int32}
        table = self.library.read_csv(path, separator="\t", has_header=False, schema=schema)
        src, dst = table["src"].to_numpy(), table["dst"].to_numpy()
        n = int(max(src.max(), dst.max())) + 1
        matrix = importlib.import_module("scipy.sparse").csr_array
        return matrix((np.ones(len(src)), (src, dst)), shape=(n, n))


class NetworkitReader(Reader):
    """``networkit.graphio.EdgeListReader``."""

    name = "networkit"
    module = "networkit"
    parallel = False

    def set_threads(self, threads: int) -> None:
        self.library.setNumberOfThreads(threads)

    def read(self, path: Path) -> Any:
        reader = self.library.graphio.EdgeListReader("\t", 0, continuous=True, directed=True)
        return reader.read(str(path))


class IgraphReader(Reader):
    """``Graph.Read_Edgelist``."""

    name = "igraph"
    module = "igraph"
    parallel = False
    max_bytes = 100_000_000
    why_limited = "it reads about 10 MB/s"

    def read(self, path: Path) -> Any:
        return self.library.Graph.Read_Edgelist(str(path), directed=True)


#: Ourselves first.
READERS: tuple[type[Reader], ...] = (
    FastmmlReader,
    PyarrowReader,
    PolarsReader,
    NetworkitReader,
    IgraphReader,
)


class Reading(NamedTuple):
    """One read of one file."""

    seconds: float
    #: Growth of the peak resident memory, or None where the system does not tell.
    peak_growth: int | None
    #: Bytes of the arrays that were read, or None where the object does not tell.
    nbytes: int | None


def read_in_process(reader_type: type[Reader], path: Path, threads: int) -> Reading:
    """Read in a new process that may use this many threads."""
    variables = {"OMP_NUM_THREADS": str(threads), "POLARS_MAX_THREADS": str(threads)}
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.readers", reader_type.name, str(path), str(threads)],
        cwd=ROOT,
        env=os.environ | variables,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return Reading(*json.loads(done.stdout.splitlines()[-1]))


def _measure(reader: Reader, path: Path) -> Reading:
    _warm_up(reader, path)
    before = _reset_peak()
    start = time.perf_counter()
    graph = reader.read(path)
    seconds = time.perf_counter() - start
    growth = None if before is None else _status("VmHWM") - before
    return Reading(seconds, growth, getattr(graph, "nbytes", None))


def _warm_up(reader: Reader, path: Path) -> None:
    """Import what reading needs, start threads, and bring the file into the page cache."""
    with tempfile.TemporaryDirectory() as folder:
        small = Path(folder) / "small.tsv"
        small.write_text("0\t1\n1\t2\n2\t0\n")
        reader.read(small)
    with path.open("rb") as file:
        while file.read(1 << 20):
            pass


def _reset_peak() -> int | None:
    """Set the peak of resident memory to its present value and return that (Linux only)."""
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        return None
    return _status("VmRSS")


def _status(field: str) -> int:
    """Bytes from a line of /proc/self/status such as ``VmHWM:  123 kB``."""
    for line in Path("/proc/self/status").read_text().splitlines():
        name, _, value = line.partition(":")
        if name == field:
            return int(value.split()[0]) * 1024
    raise LookupError(f"/proc/self/status: expected a line {field!r}")


def main() -> None:
    """Read once and print the `Reading`."""
    name, path, threads = sys.argv[1:]
    reader = next(reader_type for reader_type in READERS if reader_type.name == name)()
    reader.set_threads(int(threads))
    print(json.dumps(_measure(reader, Path(path))))


if __name__ == "__main__":
    main()
