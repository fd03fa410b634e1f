"""The commands and their options; each one's work is done in a module of its own."""

from __future__ import annotations

import atexit
import gc
import os
import sys
from argparse import ArgumentParser, HelpFormatter, Namespace
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Any, NoReturn

import fastmml as fm
from fastmml.cli._exit import USAGE, exit_codes
from fastmml.cli._options import (
    add_reading,
    add_running,
    at_least,
    graph_path,
    ranks_path,
    reading,
)

_COLUMNS = 80
_EXIT_CODES = "Exit codes: 0 success, 1 bad input, 2 wrong usage, 3 not converged, 130 interrupted."


class _Formatter(HelpFormatter):
    """Help with the names of options in a column that holds most of them."""

    def __init__(self, prog: str) -> None:
        super().__init__(prog, max_help_position=28, width=_columns() - 2)


def _columns() -> int:
    """Width of the terminal.

    argparse asks for every option that it adds; `shutil`, its way to know, takes long to load.
    """
    try:
        asked = int(os.environ.get("COLUMNS", "0"))
        return asked or os.get_terminal_size(sys.stdout.fileno()).columns or _COLUMNS
    except (OSError, ValueError):
        return _COLUMNS


class _Parser(ArgumentParser):
    """A parser whose options are not to be shortened, and that says where to find help.

    ``fill`` adds its arguments when it is used: of several commands only one is.
    """

    def __init__(
        self, fill: Callable[[ArgumentParser], None] | None = None, **settings: Any
    ) -> None:
        super().__init__(**settings, allow_abbrev=False, formatter_class=_Formatter)
        self._fill = fill

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """Parse what there is, the command's own arguments too."""
        fill, self._fill = self._fill, None
        if fill is not None:
            fill(self)
        return super().parse_known_args(args, namespace)

    def error(self, message: str) -> NoReturn:
        """Say what is wrong with the usage, and exit."""
        usage = self.format_usage()
        self.exit(USAGE, f"{usage}Try '{self.prog} -h' for help.\nfastmml: error: {message}\n")


def run(arguments: Sequence[str] | None) -> NoReturn:
    """Do what the arguments ask for, then exit."""
    with exit_codes(), _uncollected():
        options = _parser().parse_args(arguments)
        options.run(options)
    raise SystemExit(0)


@contextmanager
def _uncollected() -> Iterator[None]:
    """Leave the little garbage there is to the system, which takes it all when the process ends."""
    atexit.register(gc.freeze)
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def _parser() -> ArgumentParser:
    parser = _Parser(
        prog="fastmml",
        usage="%(prog)s [OPTIONS] COMMAND ...",
        description="Rank large graphs by PageRank, with a proved error bound.",
        epilog=_EXIT_CODES,
    )
    parser.add_argument(
        "--version", action="version", version=f"fastmml {fm.__version__}", help="Show and exit."
    )
    commands = _commands(parser)
    more = "On a terminal prints a table and a summary; into a pipe, lines of label, tab and score."
    _add(commands, "pagerank", "Rank the nodes of a graph.", "GRAPH", _fill_pagerank, more)
    _add(commands, "convert", "Write a graph in another format.", "IN OUT", _fill_convert)
    about = "Show versions, backend, CPU level and build: what a bug report needs."
    _add(commands, "info", about, "", _fill_info)
    _add(commands, "generate", "Make a random graph.", "COMMAND ...", _fill_generate)
    return parser


def _commands(parser: ArgumentParser) -> Any:
    """Let a parser have commands; without one it shows its help."""
    parser.set_defaults(run=partial(_show_help, parser))
    return parser.add_subparsers(title="commands", metavar="COMMAND", prog=parser.prog)


def _show_help(parser: ArgumentParser, _options: Namespace) -> NoReturn:
    parser.exit(USAGE, parser.format_help())


def _add(
    commands: Any,
    name: str,
    about: str,
    arguments: str,
    fill: Callable[[ArgumentParser], None],
    more: str = "",
) -> None:
    """Add a command: what it is about, what follows its options, and what adds these."""
    commands.add_parser(
        name,
        fill=fill,
        usage=f"%(prog)s [OPTIONS] {arguments}".rstrip(),
        help=about,
        description=f"{about} {more}",
    )


@contextmanager
def _running(options: Namespace) -> Iterator[None]:
    """Run the block on the backend and threads that were asked for."""
    if "numpy" not in sys.modules:
        # For OpenBLAS, which nothing here asks for much: idle threads of its own would spin on our
        # cores for a tenth of a second.
        os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    with ExitStack() as stack:
        if options.backend is not None:
            stack.enter_context(fm.use_backend(options.backend))
        if options.threads is not None:
            stack.enter_context(fm.threads(options.threads))
        yield


def _fill_pagerank(command: ArgumentParser) -> None:
    command.set_defaults(run=_pagerank)
    add = command.add_argument
    add("graph", metavar="GRAPH", help="A file; - is standard input.")
    add(
        "--damping",
        type=float,
        default=0.85,
        metavar="P",
        help="Probability of following a link, below 1. (default: %(default)s)",
    )
    add(
        "--tol",
        type=float,
        default=1e-8,
        help="Largest L1 error of all scores together, as proved. (default: %(default)s)",
    )
    add("--max-iter", type=at_least(1), metavar="N", help="Most passes over the links.")
    add(
        "--personalize",
        action="append",
        default=[],
        metavar="LABEL",
        help="A node to start walks from; may be repeated.",
    )
    add(
        "--top",
        type=at_least(1),
        metavar="K",
        help="How many to print. By default 10 on a terminal, else all (none with --output).",
    )
    add(
        *("--output", "-o"),
        type=ranks_path,
        metavar="FILE",
        help="Write all: .csv and .parquet (label and score, best first) or .npy (scores in "
        "the order of the nodes).",
    )
    add_running(command)
    add_reading(command)


def _pagerank(options: Namespace) -> None:
    from fastmml.cli import _rank

    with _running(options):
        _rank.run(
            options.graph,
            reading=reading(options),
            ranking={name: getattr(options, name) for name in ("damping", "tol", "max_iter")},
            personalize=options.personalize,
            top=options.top,
            output=options.output,
        )


def _fill_generate(command: ArgumentParser) -> None:
    about = "R-MAT with the parameters of Graph500 and GAP."
    _add(_commands(command), "rmat", about, "--scale SCALE --output FILE", _fill_rmat)


def _fill_rmat(command: ArgumentParser) -> None:
    command.set_defaults(run=_rmat)
    add = command.add_argument
    add("--scale", required=True, type=at_least(0, 32), help="The graph has 2**SCALE nodes.")
    add(
        *("--output", "-o"),
        required=True,
        type=graph_path,
        metavar="FILE",
        help="The suffix is the format.",
    )
    add(
        "--edge-factor",
        type=at_least(1),
        default=16,
        metavar="K",
        help="Links per node. (default: %(default)s)",
    )
    add(
        "--seed",
        type=at_least(0),
        default=0,
        help="The same seed makes the same graph. (default: %(default)s)",
    )
    add_running(command)


def _rmat(options: Namespace) -> None:
    from fastmml.cli import _convert

    with _running(options):
        _convert.generate_rmat(
            options.output, options.scale, options.edge_factor, options.seed, options.max_memory
        )


def _fill_convert(command: ArgumentParser) -> None:
    command.set_defaults(run=_convert)
    command.add_argument("source", metavar="IN", help="A file; - is standard input.")
    command.add_argument("target", metavar="OUT", type=graph_path, help="The suffix is the format.")
    add_running(command)
    add_reading(command)


def _convert(options: Namespace) -> None:
    from fastmml.cli import _convert

    with _running(options):
        _convert.convert(options.source, options.target, reading(options))


def _fill_info(command: ArgumentParser) -> None:
    command.set_defaults(run=_info)


def _info(_options: Namespace) -> None:
    from fastmml.cli import _info, _print

    print(_print.aligned(_info.collect()))
