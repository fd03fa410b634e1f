"""Covariance and PCA of a file that memory does not hold, and memory beyond data that it does.

``python -m benchmarks.larger_than_memory FOLDER`` writes a file of 20 GB there, reads it and
deletes it. Each stage is a process of its own, whose peak of resident memory counts the pages of
the mapped file, too. Linux only: other systems do not say what a process had in memory.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

import fastmml as fm
from benchmarks import machine

#: Columns of the file, and components.
COLUMNS, COMPONENTS = 784, 50
#: Rows that are drawn at a time.
DRAWN = 1 << 15
#: Data in memory: rows, columns, components.
SHAPES = ((1_000_000, 100, 10), (60_000, 784, 50))


def peak_memory() -> int:
    """Bytes that this process had in memory at most."""
    return _memory("VmHWM")


def _memory(field: str) -> int:
    for line in Path("/proc/self/status").read_text().splitlines():
        name, _, value = line.partition(":")
        if name == field:
            return int(value.split()[0]) * 1024
    raise OSError(f"/proc/self/status: expected a line {field}")


def write(path: Path, rows: int) -> None:
    """Random numbers around a mean of 10."""
    rng = np.random.default_rng(0)
    with path.open("wb") as file:
        for start in range(0, rows, DRAWN):
            count = min(DRAWN, rows - start)
            x = rng.standard_normal((count, COLUMNS), dtype=np.float32)
            x *= np.geomspace(1, 0.1, COLUMNS, dtype=np.float32)
            x += 10
            x.tofile(file)


def read(path: Path, what: str) -> None:
    """One pass over the file."""
    x = np.memmap(path, np.float32, "r").reshape(-1, COLUMNS)
    model = fm.PCA(COMPONENTS)
    calls: dict[str, Callable[[], Any]] = {
        "covariance": lambda: fm.covariance(x),
        "PCA.fit": lambda: model.fit(x),
        "PCA.reconstruction_errors": lambda: model.fit(x[:DRAWN]).reconstruction_errors(x),
    }
    start = time.perf_counter()
    calls[what]()
    seconds = time.perf_counter() - start
    size, peak = x.nbytes / 1e9, peak_memory() / 1e9
    print(f"{what} of {size:.1f} GB in {seconds:.0f} s, {size / seconds:.1f} GB/s,", end=" ")
    print(f"peak of resident memory {peak:.2f} GB", flush=True)


def in_memory(rows: int, columns: int, k: int, what: str) -> None:
    """What a call needs beyond its input."""
    x = np.empty((rows, columns), np.float32)
    np.random.default_rng(0).standard_normal(out=x, dtype=np.float32)
    model = fm.PCA(k).fit(x[:1000])
    calls: dict[str, Callable[[], Any]] = {
        "covariance": lambda: fm.covariance(x),
        "PCA.fit": lambda: model.fit(x),
        "PCA.transform": lambda: model.transform(x),
        "PCA.reconstruction_errors": lambda: model.reconstruction_errors(x),
    }
    before = _memory("VmRSS")
    calls[what]()
    beyond = (peak_memory() - before) / x.nbytes
    print(f"{what} of {rows:,} x {columns} float32: {beyond:.1%} of the input", flush=True)


def main() -> None:
    """Run the stages, each in a process of its own."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="where the file is kept")
    parser.add_argument("--gigabytes", type=float, default=20)
    parser.add_argument("--stage", nargs="+", help="only this, in this process")
    args = parser.parse_args()
    path = args.folder / "rows.f32"
    if args.stage and args.stage[0] == "write":
        write(path, int(args.gigabytes * 1e9) // (4 * COLUMNS))
    elif args.stage and args.stage[0] == "read":
        read(path, args.stage[1])
    elif args.stage:
        in_memory(*map(int, args.stage[1:4]), args.stage[4])
    else:
        print(machine.describe(), flush=True)
        _run_stages(path)


def _run_stages(path: Path) -> None:
    in_file = ("covariance", "PCA.fit", "PCA.reconstruction_errors")
    try:
        for stage in (["write"], *(["read", what] for what in in_file)):
            _run(stage)
    finally:
        path.unlink(missing_ok=True)
    for shape in SHAPES:
        for what in ("covariance", "PCA.fit", "PCA.transform", "PCA.reconstruction_errors"):
            _run(["memory", *map(str, shape), what])


def _run(stage: list[str]) -> None:
    command = [sys.executable, "-m", "benchmarks.larger_than_memory", *sys.argv[1:]]
    subprocess.run([*command, "--stage", *stage], check=True)


if __name__ == "__main__":
    main()
