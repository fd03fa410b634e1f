"""Print how fast fastmml is beside its peers and beside what the machine can do.

From the project's root, with the extras ``test`` and ``peers`` installed::

    python -m benchmarks.report                         # all tables
    python -m benchmarks.report --plot docs/benchmarks  # and docs/benchmarks.png, .svg
    python -m benchmarks.report --graphs debian12 --sections pagerank

Times are medians of runs in which fastmml and its peers take turns, on 1 thread and on all cores.
"(1 thread)" marks libraries that use one thread whatever they are given.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from functools import partial
from importlib import metadata
from pathlib import Path
from typing import NamedTuple, TypeVar

import fastmml as fm
from benchmarks import processes, systems
from benchmarks.graphs import (
    DAMPING,
    GRAPHS,
    USUAL_GRAPHS,
    Links,
    Unavailable,
    load,
    write_edge_list,
)
from benchmarks.limits import Limits, measure
from benchmarks.machine import busy, describe, environment, is_editable, thread_counts
from benchmarks.panels import OURS, Panel, Row, align, draw
from benchmarks.peers import PEERS, TARGET, Contest, enter
from benchmarks.products import GROUPS, compare_products
from benchmarks.readers import READERS, Reader, Reading, read_in_process
from benchmarks.timing import Run, interleave, seconds_of

SECTIONS = ("limits", "pagerank", "matmul", "read", "process", "systems", "import")
READ_GRAPHS = ("rmat-18", "rmat-20")
PROCESS_GRAPHS = ("debian12", "rmat-20")
IMPORTS = ("from fastmml import pagerank, read_graph", "import numpy, scipy.sparse")
IMPORT_ROUNDS = 11
#: What a pass of PageRank reads and computes (`fastmml._kernels.Kernels.rank_pull`).
BYTES_PER_LINK, BYTES_PER_NODE, FLOPS_PER_LINK = 4, 50, 1

Made = TypeVar("Made")
Type = TypeVar("Type")


class Settings(NamedTuple):
    """What the command line asks for."""

    graphs: Sequence[str]
    products: Sequence[str]
    sections: Sequence[str]
    rounds: int
    plot: Path | None


def available(make: Callable[[Type], Made], types: Sequence[Type]) -> list[Made]:
    """Make one of every type, printing the reason for each that is left out."""
    made = []
    for candidate in types:
        try:
            made.append(make(candidate))
        except Unavailable as reason:
            print(f"  skipped: {reason}", flush=True)
    return made


def label(name: str, parallel: bool, threads: int) -> str:
    """Name a contestant, marking those that cannot use the threads they are given."""
    return name if parallel or threads == 1 else f"{name} (1 thread)"


# ---- limits ----


def show_limits(limits: Sequence[Limits]) -> None:
    """Print bandwidth and arithmetic peak."""
    table = [("threads", "read GB/s", "float32 GFLOP/s", "float64 GFLOP/s")]
    table += [
        (
            str(limit.threads),
            f"{limit.read_bytes / 1e9:.1f}",
            f"{limit.float32_flops / 1e9:.0f}",
            f"{limit.float64_flops / 1e9:.0f}",
        )
        for limit in limits
    ]
    print("\nLimits of this machine, measured now", *align(table), sep="\n", flush=True)


# ---- PageRank ----


def compare_pagerank(name: str, limits: Sequence[Limits], rounds: int) -> list[Panel]:
    """Time to the accuracy of `TARGET` on a graph, for each number of threads."""
    print(flush=True)
    try:
        links = load(name)
    except Unavailable as reason:
        print(f"PageRank skipped: {reason}")
        return []
    print(f"PageRank of {name}: {links.num_nodes:,} nodes, {links.num_links:,} links", flush=True)
    contests = available(lambda peer: enter(peer, links), PEERS)
    panels = []
    for limit in limits:
        panel = race(name, contests, limit.threads, rounds)
        print(panel.text(), beside_limit(links, panel, limit), sep="\n", flush=True)
        panels.append(panel)
    return panels


def race(name: str, contests: Sequence[Contest], threads: int, rounds: int) -> Panel:
    """Let contestants (ours first) rank a graph in turns on this many threads."""
    ours, *peers = contests
    runs = {peer.peer.name: turn(peer, threads) for peer in peers}
    our_seconds, seconds = interleave(turn(ours, threads), runs, rounds)
    seconds |= {OURS: our_seconds}
    rows = tuple(
        Row(
            label(entry.peer.name, entry.peer.parallel, threads),
            seconds[entry.peer.name],
            (f"{entry.tolerance:.3g}", f"{entry.error:.1e}"),
            entry.reached,
        )
        for entry in contests
    )
    title = f"PageRank {name} to {TARGET:.0e}, {threads} thread{'s' * (threads > 1)}"
    return Panel(title, ("tolerance", "true L1 error"), rows)


def turn(entry: Contest, threads: int) -> Run:
    """Make a first call of the peer, on a graph that is already in memory."""

    def run() -> float:
        entry.peer.set_threads(threads)
        graph = entry.peer.fresh(entry.graph)
        return seconds_of(lambda: entry.peer.rank(graph, entry.tolerance))

    return run


def beside_limit(links: Links, panel: Panel, limit: Limits) -> str:
    """Say how near to the machine's limits our passes over the links come.

    A graph that fits into the caches can beat the limit.
    """
    graph = fm.Graph(links.src, links.dst, num_nodes=links.num_nodes)
    passes = fm.pagerank(graph, damping=DAMPING, tol=TARGET).iterations
    size = BYTES_PER_LINK * links.num_links + BYTES_PER_NODE * links.num_nodes
    by_bytes = passes * size / limit.read_bytes
    by_flops = passes * FLOPS_PER_LINK * links.num_links / limit.float64_flops
    seconds = next(row.seconds for row in panel.rows if row.name == OURS)
    return (
        f"  {OURS}: {passes} passes; reading every link from memory in each would take "
        f"{by_bytes * 1e3:.2f} ms (adding them up: {by_flops * 1e3:.2f} ms), "
        f"{by_bytes / seconds:.0%} of its time"
    )


# ---- reading ----


def compare_reading(name: str, limits: Sequence[Limits], rounds: int, folder: Path) -> list[Panel]:
    """Time from a file of text to an object in memory, for each number of threads."""
    print(flush=True)
    path = folder / f"{name}.tsv"
    write_edge_list(load(name), path)
    readers = available(lambda reader: checked(reader, path), READERS)
    panels = []
    for limit in limits:
        panel = read_race(readers, path, limit, rounds)
        print(panel.text(), flush=True)
        panels.append(panel)
    return panels


def checked(reader_type: type[Reader], path: Path) -> type[Reader]:
    """Return the reader if it is installed and the file is not too large for it."""
    reader_type().check_size(path)
    return reader_type


def read_race(readers: Sequence[type[Reader]], path: Path, limit: Limits, rounds: int) -> Panel:
    """Let readers (ours first) read a file in turns, each time in a process of its own."""
    last: dict[str, Reading] = {}

    def run(reader: type[Reader]) -> Run:
        def read() -> float:
            last[reader.name] = read_in_process(reader, path, limit.threads)
            return last[reader.name].seconds

        return read

    ours, *peers = readers
    our_seconds, seconds = interleave(run(ours), {p.name: run(p) for p in peers}, rounds)
    seconds |= {OURS: our_seconds}
    size = path.stat().st_size
    rows = tuple(
        Row(
            label(reader.name, reader.parallel, limit.threads),
            seconds[reader.name],
            (f"{size / 1e6 / seconds[reader.name]:.0f}", *memory_cells(last[reader.name])),
        )
        for reader in readers
    )
    title = f"Read {path.name}, {size / 1e6:.0f} MB, {limit.threads} thread"
    title += "s" * (limit.threads > 1)
    return Panel(title, ("MB/s", "peak memory MB", "peak / result"), rows)


def memory_cells(reading: Reading) -> tuple[str, str]:
    """Growth of the peak of memory, and its ratio to what was read."""
    if reading.peak_growth is None:
        return "", ""
    ratio = "" if reading.nbytes is None else f"{reading.peak_growth / reading.nbytes:.2f}"
    return f"{reading.peak_growth / 1e6:.0f}", ratio


# ---- processes ----


def compare_process(name: str, rounds: int, folder: Path) -> list[Panel]:
    """Time whole processes, and say how much of ours no program in Python can avoid."""
    print(flush=True)
    try:
        panel = processes.compare(name, rounds, folder)
    except Unavailable as reason:
        print(f"Process skipped: {reason}")
        return []
    seconds = {row.name: row.seconds for row in panel.rows}
    share = seconds[processes.FLOOR] / seconds[OURS]
    print(
        panel.text(), f"  {processes.FLOOR!r} takes {share:.0%} of our time", sep="\n", flush=True
    )
    return [panel]


# ---- small matrices ----


def compare_systems(threads: int, rounds: int) -> None:
    """Print one line a task: everyone's time, and ours beside the best peer's."""
    makers = systems.contestants()
    table = [(f"Small matrices, threads: {threads}", *(f"{name} ms" for name in makers), "ratio")]
    with systems.equal_threads(threads):
        for task in systems.tasks():
            operands = task.operands()
            ours, *peers = (make(task, operands) for make in makers.values())
            runs = {
                name: partial(seconds_of, call)
                for name, call in zip(list(makers)[1:], peers, strict=True)
            }
            our_seconds, seconds = interleave(partial(seconds_of, ours), runs, rounds)
            cells = (f"{1e3 * time:.2f}" for time in (our_seconds, *seconds.values()))
            table.append((str(task), *cells, f"{min(seconds.values()) / our_seconds:.1f}"))
    print("", *align(table), sep="\n", flush=True)


# ---- import ----


def compare_import() -> None:
    """Print the time of importing fastmml and of importing what it stands on."""
    ours, peers = interleave(
        lambda: import_seconds(IMPORTS[0]),
        {IMPORTS[1]: lambda: import_seconds(IMPORTS[1])},
        IMPORT_ROUNDS,
    )
    base = peers[IMPORTS[1]]
    table = [("Import", "ms"), (IMPORTS[0], f"{ours * 1e3:.0f}"), (IMPORTS[1], f"{base * 1e3:.0f}")]
    print("", *align(table), f"  ratio {ours / base:.2f}", sep="\n")
    if is_editable(OURS):
        print("  (an editable install: its import also checks whether to rebuild)")


def import_seconds(statement: str) -> float:
    """Time a statement in a new interpreter, without the interpreter's own start."""
    code = f"import time; t = time.perf_counter(); {statement}; print(time.perf_counter() - t)"
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment(), capture_output=True, text=True, check=True
    )
    return float(done.stdout.splitlines()[-1])


# ---- all ----


def parse_arguments() -> Settings:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.report",
        description="Compare fastmml with its peers and with the limits of this machine.",
    )
    parser.add_argument("--graphs", nargs="+", choices=GRAPHS, default=USUAL_GRAPHS)
    parser.add_argument("--products", nargs="+", choices=GROUPS, default=list(GROUPS))
    parser.add_argument("--sections", nargs="+", choices=SECTIONS, default=SECTIONS)
    parser.add_argument("--rounds", type=int, default=5, help="runs of each peer (default: 5)")
    parser.add_argument("--plot", type=Path, metavar="PATH", help="also draw PATH.png and PATH.svg")
    return Settings(**vars(parser.parse_args()))


def compare_graphs(settings: Settings, limits: Sequence[Limits]) -> list[Panel]:
    """Print the tables of graphs, which can be drawn, too."""
    panels: list[Panel] = []
    if "pagerank" in settings.sections:
        for name in settings.graphs:
            panels += compare_pagerank(name, limits, settings.rounds)
    with tempfile.TemporaryDirectory() as folder:
        if "read" in settings.sections:
            for name in READ_GRAPHS:
                panels += compare_reading(name, limits, settings.rounds, Path(folder))
        if "process" in settings.sections:
            for name in PROCESS_GRAPHS:
                panels += compare_process(name, settings.rounds, Path(folder))
    return panels


def main() -> None:
    """Print the tables, then draw them."""
    settings = parse_arguments()
    print(f"fastmml {metadata.version(OURS)} ({fm.backend()} backend) on {describe()}", flush=True)
    if busy():
        print("The machine is busy with other work: expect times to vary, most on all cores.")
    limits = [measure(threads) for threads in thread_counts()]
    if "limits" in settings.sections:
        show_limits(limits)
    panels = compare_graphs(settings, limits)
    if "matmul" in settings.sections:
        compare_products(settings.products, settings.rounds)
    if "systems" in settings.sections:
        for threads in thread_counts():
            compare_systems(threads, settings.rounds)
    if "import" in settings.sections:
        compare_import()
    if settings.plot is not None and panels:
        written = draw(panels, f"{describe()}; medians of interleaved runs", settings.plot)
        print("\ndrawn:", *written)


if __name__ == "__main__":
    main()
