"""From an edge list to ranks as a whole process: the interpreter's start, imports, text, ranking.

Every contestant is the short program that its users write. It reads the file named by its argument,
ranks to about 1e-9 and prints the ten best nodes as ``label<TAB>score``; its time is that of the
process, on all cores. A program counts as a peer if it prints the scores that we print.

What is measured are the packages that pip installed where this runs, ours as well, with their
bytecode: an editable install of fastmml, which looks at every start whether to rebuild, is refused.
"""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import fastmml as fm
from benchmarks.graphs import ROOT, Links, Unavailable, load, write_edge_list
from benchmarks.machine import environment, is_editable
from benchmarks.panels import OURS, Panel, Row
from benchmarks.peers import TARGET
from benchmarks.timing import Run, interleave, seconds_of

#: What neither our programs nor most peers can do without; it prints no ranks, so it is no peer.
FLOOR = "import numpy"

_READ_WITH = {
    "names": """
ids, ends = {unique}
src, dst = ends.reshape(2, -1)
n = len(ids)
""",
    "numbers": """
src, dst = {columns}
n = int(max(src.max(), dst.max())) + 1
ids = range(n)
""",
}
_POWER_ITERATION = """
import numpy as np, scipy.sparse as sp
a = sp.csr_array((np.ones(len(src)), (dst, src)), shape=(n, n))
out = a.sum(axis=0)
sinks = np.flatnonzero(out == 0)
out[sinks] = np.inf
x, change = np.full(n, 1 / n), 1
while change * 0.85 / 0.15 > 1e-9:
    y = 0.85 * (a @ (x / out) + x[sinks].sum() / n) + 0.15 / n
    change, x = abs(y - x).sum(), y
for i in np.argsort(-x)[:10]:
    print(f"{ids[i]}\\t{x[i]}")
"""
_PANDAS = """
import sys, numpy as np, pandas as pd
t = pd.read_csv(sys.argv[1], sep="\\t", names=["src", "dst"])
"""
_POLARS = """
import sys, numpy as np, polars as pl
t = pl.read_csv(sys.argv[1], separator="\\t", has_header=False, new_columns=["src", "dst"])
"""
_FASTMML = """
import sys, fastmml as fm
graph = fm.read_graph(sys.argv[1]{options})
for label, score in fm.pagerank(graph, tol=1e-9).top(10):
    print(f"{{label}}\\t{{score}}")
"""
_IGRAPH = """
import sys, igraph
graph = igraph.Graph.{read}
x = graph.pagerank()
for i in sorted(range(len(x)), key=lambda i: -x[i])[:10]:
    print(f"{{{label}}}\\t{{x[i]}}")
"""
_NETWORKIT = """
import sys, networkit as nk
reader = nk.graphio.EdgeListReader("\\t", 0, continuous={continuous}, directed=True)
graph = reader.read(sys.argv[1])
names = {names}
sinks = nk.centrality.SinkHandling.DistributeSinks
ranking = nk.centrality.PageRank(graph, tol=1e-10, distributeSinks=sinks)
ranking.norm = nk.centrality.Norm.L1_NORM
for i, score in ranking.run().ranking()[:10]:
    print(f"{{names[i]}}\\t{{score}}")
"""
_NETWORKX = """
import sys, networkx as nx
graph = nx.read_edgelist(sys.argv[1], delimiter="\\t", create_using=nx.MultiDiGraph)
x = nx.pagerank(graph, tol=1e-10 / len(graph), max_iter=1000)
for label in sorted(x, key=x.get, reverse=True)[:10]:
    print(f"{label}\\t{x[label]}")
"""


class Program(NamedTuple):
    """A peer's program."""

    module: str
    code: str
    #: Files above this size are left out: reading them takes minutes or all of the memory.
    max_bytes: float = float("inf")


def _programs(kind: str) -> Mapping[str, Program]:
    """Programs for an edge list whose nodes have names, or numbers from 0 on."""
    read, are_numbers = _READ_WITH[kind], kind == "numbers"
    both = "np.concatenate([t['src'], t['dst']])"
    unique = {
        "pandas": f"(lambda e, i: (i, e))(*pd.factorize({both}))",
        "polars": f"np.unique({both}, return_inverse=True)",
    }
    columns = {"pandas": "t.src.values, t.dst.values", "polars": "t['src'], t['dst']"}
    scipy = {
        name: start + read.format(unique=unique[name], columns=columns[name]) + _POWER_ITERATION
        for name, start in {"pandas": _PANDAS, "polars": _POLARS}.items()
    }
    igraph = {
        "names": ("Read_Ncol(sys.argv[1], weights=False, directed=True)", "graph.vs[i]['name']"),
        "numbers": ("Read_Edgelist(sys.argv[1], directed=True)", "i"),
    }[kind]
    names = "range(graph.upperNodeIdBound())"
    if not are_numbers:
        names = "{i: name for name, i in reader.getNodeMap().items()}"
    networkit = _NETWORKIT.format(continuous=are_numbers, names=names)
    return {
        "pandas + scipy": Program("pandas", scipy["pandas"]),
        "polars + scipy": Program("polars", scipy["polars"]),
        "igraph": Program("igraph", _IGRAPH.format(read=igraph[0], label=igraph[1])),
        "networkit": Program("networkit", networkit),
        "networkx": Program("networkx", _NETWORKX, 20e6),
    }


def write_text(name: str, folder: Path) -> tuple[Path, str, list[str]]:
    """Write a graph of the benchmarks as text.

    Returns the file, its kind and the options that we read it with: R-MAT numbers its nodes from 0
    on and some have no links, which peers take for nodes as well.
    """
    links, path = load(name), folder / f"{name}.tsv"
    if name == "debian12":
        fm.write_graph(fm.read_graph(ROOT / "examples" / "debian12.tsv.zst"), path)
        return path, "names", []
    write_edge_list(links, path)
    return path, "numbers", ["--num-nodes", str(_numbered_nodes(links))]


def _numbered_nodes(links: Links) -> int:
    return int(max(links.src.max(), links.dst.max())) + 1


def compare(name: str, rounds: int, folder: Path) -> Panel:
    """Let whole processes (our command first) rank a file in turns."""
    if is_editable(OURS):
        raise Unavailable("fastmml is an editable install; `nox -s bench` makes a copy")
    path, kind, options = write_text(name, folder)
    commands = _commands(path, kind, options)
    found: dict[str, dict[str, float]] = {}

    def run(contestant: str) -> Run:
        def work() -> None:
            found[contestant] = _best_nodes(commands[contestant])

        return lambda: seconds_of(work)

    peers = {contestant: run(contestant) for contestant in commands if contestant != OURS}
    ours, seconds = interleave(run(OURS), peers, rounds)
    seconds |= {OURS: ours}
    rows = tuple(
        Row(contestant, seconds[contestant], valid=_agree(found[OURS], found[contestant]))
        for contestant in commands
    )
    title = f"Process from {path.name}, {path.stat().st_size / 1e6:.0f} MB, to ranks, all cores"
    return Panel(title, (), rows)


def _commands(path: Path, kind: str, options: list[str]) -> dict[str, list[str]]:
    python = [sys.executable, "-c"]
    ours = [sys.executable, "-m", OURS, "pagerank", str(path), "--tol", f"{TARGET:g}"]
    argument = f", num_nodes={options[1]}" if options else ""
    commands = {
        OURS: [*ours, "--top", "10", *options],
        f"{OURS} in Python": [*python, _FASTMML.format(options=argument), str(path)],
        FLOOR: [*python, FLOOR],
    }
    for name, program in _programs(kind).items():
        try:
            _check(name, program, path)
        except Unavailable as reason:
            print(f"  skipped: {reason}", flush=True)
        else:
            commands[name] = [*python, program.code, str(path)]
    return commands


def _check(name: str, program: Program, path: Path) -> None:
    if importlib.util.find_spec(program.module) is None:
        raise Unavailable(f"{name}: not installed")
    if path.stat().st_size > program.max_bytes:
        raise Unavailable(f"{name} on {path.name}: takes minutes or all of the memory")


def _best_nodes(command: list[str]) -> dict[str, float]:
    """Run a program; return the labels and scores that it prints."""
    done = subprocess.run(command, env=environment(), capture_output=True, text=True, check=True)
    fields = [line.split("\t") for line in done.stdout.splitlines()]
    return {label: float(score) for label, score in fields}


def _agree(ours: dict[str, float], theirs: dict[str, float]) -> bool:
    """Whether both found the same nodes, with scores that differ by what is allowed to each."""
    return ours.keys() == theirs.keys() and all(
        abs(ours[label] - theirs[label]) <= 2 * TARGET for label in ours
    )
