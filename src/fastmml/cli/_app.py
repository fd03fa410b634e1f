"""The commands and their options; each one's work is done in a module of its own."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

import fastmml as fm
from fastmml.cli._exit import exit_codes
from fastmml.cli._options import (
    Backend,
    BackendOption,
    DelimiterOption,
    FormatOption,
    GraphFile,
    HeaderOption,
    Ids,
    IdsOption,
    MaxMemoryOption,
    NumNodesOption,
    ThreadsOption,
    WeightedOption,
    graph_path,
    ranks_path,
)

# rich takes as long to import as all of typer: only what a terminal shows loads it.


class _Commands(TyperGroup):
    """Commands that end with an exit code, never with a traceback."""

    def invoke(self, ctx: Any) -> Any:
        with exit_codes():
            return super().invoke(ctx)


app = typer.Typer(
    name="fastmml",
    cls=_Commands,
    epilog="Exit codes: 0 success, 1 bad input, 2 wrong usage, 3 not converged, 130 interrupted.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
generate = typer.Typer(help="Make a random graph.", no_args_is_help=True)
app.add_typer(generate, name="generate")


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"fastmml {fm.__version__}")
        raise typer.Exit


@app.callback()
def _common(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_show_version, is_eager=True, help="Show and exit."),
    ] = False,
) -> None:
    """Rank large graphs by PageRank, with a proved error bound."""


@contextmanager
def _running_on(backend: Backend | None, threads: int | None) -> Iterator[None]:
    with ExitStack() as stack:
        if backend is not None:
            stack.enter_context(fm.use_backend(backend))
        if threads is not None:
            stack.enter_context(fm.threads(threads))
        yield


@app.command()
def pagerank(
    graph: GraphFile,
    *,
    damping: Annotated[
        float, typer.Option(help="Probability of following a link, below 1.")
    ] = 0.85,
    tol: Annotated[
        float, typer.Option(help="Largest L1 error of all scores together, as proved.")
    ] = 1e-8,
    max_iter: Annotated[int | None, typer.Option(min=1, help="Most passes over the links.")] = None,
    personalize: Annotated[
        list[str] | None,
        typer.Option(metavar="LABEL", help="A node to start walks from; may be repeated."),
    ] = None,
    top: Annotated[
        int | None,
        typer.Option(
            min=1,
            metavar="K",
            help="How many to print. By default 10 on a terminal, else all (none with --output).",
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            metavar="FILE",
            callback=ranks_path,
            help="Write all: .csv and .parquet (label and score, best first) or .npy (scores in "
            "the order of the nodes).",
        ),
    ] = None,
    threads: ThreadsOption = None,
    backend: BackendOption = None,
    format_: FormatOption = None,
    delimiter: DelimiterOption = None,
    header: HeaderOption = None,
    weighted: WeightedOption = None,
    ids: IdsOption = Ids.auto,
    num_nodes: NumNodesOption = None,
    max_memory: MaxMemoryOption = None,
) -> None:
    """Rank the nodes of a graph.

    On a terminal prints a table and a summary; into a pipe, lines of label, tab and score.
    """
    from fastmml.cli import _rank

    reading = {
        "format": format_,
        "delimiter": delimiter,
        "header": header,
        "weighted": weighted,
        "ids": ids,
        "num_nodes": num_nodes,
        "max_memory": max_memory,
    }
    ranking = {"damping": damping, "tol": tol, "max_iter": max_iter}
    with _running_on(backend, threads):
        _rank.run(
            graph,
            reading=reading,
            ranking=ranking,
            personalize=personalize or [],
            top=top,
            output=output,
        )


@generate.command()
def rmat(
    *,
    scale: Annotated[int, typer.Option(min=0, max=32, help="The graph has 2**SCALE nodes.")],
    output: Annotated[
        Path,
        typer.Option(
            "--output", "-o", metavar="FILE", callback=graph_path, help="The suffix is the format."
        ),
    ],
    edge_factor: Annotated[int, typer.Option(min=1, help="Links per node.")] = 16,
    seed: Annotated[int, typer.Option(min=0, help="The same seed makes the same graph.")] = 0,
    max_memory: MaxMemoryOption = None,
    threads: ThreadsOption = None,
    backend: BackendOption = None,
) -> None:
    """R-MAT with the parameters of Graph500 and GAP."""
    from fastmml.cli import _convert

    with _running_on(backend, threads):
        _convert.generate_rmat(output, scale, edge_factor, seed, max_memory)


@app.command()
def convert(
    source: Annotated[str, typer.Argument(metavar="IN", help="A file; - is standard input.")],
    target: Annotated[
        Path, typer.Argument(metavar="OUT", callback=graph_path, help="The suffix is the format.")
    ],
    *,
    threads: ThreadsOption = None,
    backend: BackendOption = None,
    format_: FormatOption = None,
    delimiter: DelimiterOption = None,
    header: HeaderOption = None,
    weighted: WeightedOption = None,
    ids: IdsOption = Ids.auto,
    num_nodes: NumNodesOption = None,
    max_memory: MaxMemoryOption = None,
) -> None:
    """Write a graph in another format."""
    from fastmml.cli import _convert

    reading = {
        "format": format_,
        "delimiter": delimiter,
        "header": header,
        "weighted": weighted,
        "ids": ids,
        "num_nodes": num_nodes,
        "max_memory": max_memory,
    }
    with _running_on(backend, threads):
        _convert.convert(source, target, reading)


@app.command()
def info() -> None:
    """Show versions, backend, CPU level and build: what a bug report needs."""
    from fastmml.cli import _info, _print

    print(_print.aligned(_info.collect()))
