"""The command ``fastmml``: what it prints, what it writes, how it ends."""

from __future__ import annotations

import csv
import gc
import itertools
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest

import fastmml as fm

pytest.importorskip("rich")

from rich.progress import Progress

from fastmml.cli import _bars, _info, _print, main

EDGES = "hub\tmate\nmate\thub\nleaf\thub\nleaf\tmate\n"
RUN = "from fastmml.cli import main; main()"
WITHOUT_RICH = "import sys; sys.modules['rich'] = None; " + RUN
TIMEOUT = 300
Invoke = Callable[..., "Done"]

posix = pytest.mark.skipif(os.name != "posix", reason="POSIX signals and terminals")


@pytest.fixture
def graph(tmp_path: Path) -> Path:
    """A labelled graph in a file."""
    path = tmp_path / "graph.tsv"
    path.write_text(EDGES)
    return path


@pytest.fixture
def numbers(tmp_path: Path) -> Path:
    """A graph in a file whose labels are integers, not 0 .. n - 1."""
    path = tmp_path / "numbers.txt"
    path.write_text("10 20\n20 10\n30 10\n")
    return path


class Done(NamedTuple):
    """How the command ended."""

    exit_code: int
    stdout: str
    stderr: str


@pytest.fixture
def invoke(capsys: pytest.CaptureFixture[str]) -> Invoke:
    """Run the command in this process."""

    def run(*arguments: object) -> Done:
        with pytest.raises(SystemExit) as end:
            main([str(argument) for argument in arguments])
        assert isinstance(end.value.code, int)
        return Done(end.value.code, *capsys.readouterr())

    return run


def environment() -> dict[str, str]:
    """Of a child that runs on the backend of this process, without its warning."""
    return {**os.environ, "FASTMML_BACKEND": fm.backend(), "PYTHONIOENCODING": "ascii"}


def argv(arguments: Sequence[object], program: str = RUN) -> list[str]:
    return [sys.executable, "-c", program, *(str(argument) for argument in arguments)]


def execute(*arguments: object, program: str = RUN, stdin: str = "") -> Done:
    """Run the command in a process of its own, its output piped."""
    done = subprocess.run(
        argv(arguments, program),
        input=stdin,
        capture_output=True,
        encoding="utf-8",
        timeout=TIMEOUT,
        env=environment(),
        check=False,
    )
    return Done(done.returncode, done.stdout, done.stderr)


def without(module: str) -> str:
    """Program that runs the command and fails if that imported a module."""
    return f"import sys\ntry:\n    {RUN}\nfinally:\n    assert {module!r} not in sys.modules"


def parse(output: str) -> dict[str, float]:
    """Read ``label<TAB>score`` lines back."""
    pairs = [line.split("\t") for line in output.splitlines()]
    return {label: float(score) for label, score in pairs}


def assert_one_line(stderr: str, *words: str) -> None:
    assert stderr.startswith("fastmml: error: ")
    assert stderr.count("\n") == 1
    for word in words:
        assert word in stderr


# ---- ranks into a pipe ----


def test_pipe_gets_every_score_exactly(graph: Path) -> None:
    done = execute("pagerank", graph)
    assert done.exit_code == 0
    assert "error bound" in done.stderr
    assert parse(done.stdout) == dict(fm.pagerank(fm.read_graph(graph)).top(3))


def test_pipe_is_utf_8_whatever_the_locale() -> None:
    done = execute("pagerank", "-", stdin="π\tü\n")
    assert set(parse(done.stdout)) == {"π", "ü"}


def test_scores_sum_to_1(invoke: Invoke, tmp_path: Path) -> None:
    path = tmp_path / "rmat.fastmml"
    fm.rmat(8, edge_factor=4, seed=1).save(path)
    scores = parse(invoke("pagerank", path).stdout)
    assert len(scores) == 256
    assert sum(scores.values()) == pytest.approx(1, abs=1e-8)
    assert list(scores.values()) == sorted(scores.values(), reverse=True)


def test_top(invoke: Invoke, graph: Path) -> None:
    done = invoke("pagerank", graph, "--top", 1)
    assert list(parse(done.stdout)) in (["hub"], ["mate"])  # they tie but for rounding errors
    assert len(parse(invoke("pagerank", graph, "--top", 99).stdout)) == 3


def test_standard_input(graph: Path) -> None:
    done = execute("pagerank", "-", stdin=EDGES)
    assert done.stdout == execute("pagerank", graph).stdout


def test_options_reach_the_functions(invoke: Invoke, graph: Path) -> None:
    options = ["--damping", 0.5, "--tol", 1e-12, "--max-iter", 500, "--threads", 1]
    done = invoke("pagerank", graph, *options, "--backend", fm.backend())
    expected = fm.pagerank(fm.read_graph(graph), damping=0.5, tol=1e-12, max_iter=500)
    assert parse(done.stdout) == dict(expected.top(3))


def test_options_of_edge_lists(invoke: Invoke, tmp_path: Path) -> None:
    path = tmp_path / "table.data"
    path.write_text("from;to;strength\n0;1;2\n1;2;1\n0;2;6\n")
    options = ["--format", "edges", "--delimiter", ";", "--header", "--weighted"]
    done = invoke("pagerank", path, *options, "--ids", "int", "--num-nodes", 4)
    expected = fm.pagerank(fm.Graph([0, 1, 0], [1, 2, 2], [2, 1, 6], num_nodes=4))
    assert parse(done.stdout) == {str(label): score for label, score in expected.top(4)}


@pytest.mark.parametrize(("name", "character"), [("tab", "\t"), (r"\t", "\t"), ("space", " ")])
def test_delimiters_have_names(invoke: Invoke, tmp_path: Path, name: str, character: str) -> None:
    path = tmp_path / "graph.txt"
    path.write_text(f"a{character}b\n")
    assert set(parse(invoke("pagerank", path, "--delimiter", name).stdout)) == {"a", "b"}


def test_labels_cannot_break_lines(capsys: pytest.CaptureFixture[str]) -> None:
    _print.lines([("a\tb\nc", 0.25)])
    assert capsys.readouterr().out == "a\\tb\\nc\t0.25\n"


def test_empty_graph(invoke: Invoke, tmp_path: Path) -> None:
    path = tmp_path / "empty.txt"
    path.write_text("# nothing\n")
    done = invoke("pagerank", path)
    assert (done.exit_code, done.stdout) == (0, "")


# ---- personalization ----


def test_personalize_text_labels(invoke: Invoke, graph: Path) -> None:
    done = invoke("pagerank", graph, "--personalize", "leaf", "--personalize", "mate")
    expected = fm.pagerank(fm.read_graph(graph), personalization={"leaf": 1, "mate": 1})
    assert parse(done.stdout) == dict(expected.top(3))


def test_personalize_integer_labels(invoke: Invoke, numbers: Path) -> None:
    done = invoke("pagerank", numbers, "--personalize", "30")
    expected = fm.pagerank(fm.read_graph(numbers), personalization={30: 1})
    assert parse(done.stdout) == {str(label): score for label, score in expected.top(3)}


def test_personalize_unlabelled(invoke: Invoke, tmp_path: Path) -> None:
    path = tmp_path / "plain.fastmml"
    fm.Graph([0, 1, 2], [1, 0, 0]).save(path)
    scores = parse(invoke("pagerank", path, "--personalize", "2").stdout)
    assert scores["2"] == pytest.approx(0.15)


@pytest.mark.parametrize(
    ("file", "label", "words"),
    [("graph", "nobody", ["--personalize", "'nobody'"]),
     ("numbers", "11", ["--personalize", "no node 11"]),
     ("numbers", "ten", ["--personalize", "integer", "'ten'"])],
)  # fmt: skip
def test_personalize_unknown(
    invoke: Invoke, request: pytest.FixtureRequest, file: str, label: str, words: list[str]
) -> None:
    done = invoke("pagerank", request.getfixturevalue(file), "--personalize", label)
    assert done.exit_code == 1
    assert_one_line(done.stderr, *words)


# ---- files of ranks ----


def test_csv(invoke: Invoke, graph: Path, tmp_path: Path) -> None:
    path = tmp_path / "ranks.csv"
    done = invoke("pagerank", graph, "--output", path)
    assert (done.exit_code, done.stdout) == (0, "")
    header, *rows = csv.reader(path.read_text("utf-8").splitlines())
    assert header == ["label", "score"]
    ranks = [(label, float(score)) for label, score in rows]
    assert ranks == fm.pagerank(fm.read_graph(graph)).top(3)


@pytest.mark.parametrize("file", ["graph", "numbers"])
def test_parquet(invoke: Invoke, request: pytest.FixtureRequest, file: str, tmp_path: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    source, path = request.getfixturevalue(file), tmp_path / "ranks.parquet"
    assert invoke("pagerank", source, "--output", path).exit_code == 0
    columns = parquet.read_table(path).to_pydict()
    ranks = list(zip(columns["label"], columns["score"], strict=True))
    assert ranks == fm.pagerank(fm.read_graph(source)).top(3)


def test_npy_is_in_the_order_of_the_nodes(invoke: Invoke, graph: Path, tmp_path: Path) -> None:
    path = tmp_path / "ranks.npy"
    assert invoke("pagerank", graph, "--output", path, "--top", 1).exit_code == 0
    np.testing.assert_array_equal(np.load(path), fm.pagerank(fm.read_graph(graph)).scores)


def test_output_replaces_only_when_complete(invoke: Invoke, graph: Path, tmp_path: Path) -> None:
    path = tmp_path / "ranks.csv"
    path.write_text("old")
    assert invoke("pagerank", graph, "--output", path, "--max-iter", 1).exit_code == 3
    assert path.read_text() == "old"
    assert invoke("pagerank", graph, "--output", path).exit_code == 0
    assert sorted(file.name for file in tmp_path.iterdir()) == ["graph.tsv", "ranks.csv"]


def test_parquet_without_pyarrow(
    invoke: Invoke, graph: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)
    done = invoke("pagerank", graph, "--output", tmp_path / "ranks.parquet")
    assert done.exit_code == 1
    assert_one_line(done.stderr, "pyarrow", "fastmml[arrow]")


def test_output_into_no_folder(invoke: Invoke, graph: Path, tmp_path: Path) -> None:
    done = invoke("pagerank", graph, "--output", tmp_path / "none" / "ranks.csv")
    assert done.exit_code == 1
    assert_one_line(done.stderr, "--output")


# ---- exit codes ----


def test_exit_1_missing_file(tmp_path: Path) -> None:
    done = execute("pagerank", tmp_path / "missing.tsv")
    assert (done.exit_code, done.stdout) == (1, "")
    assert_one_line(done.stderr, "missing.tsv", "No such file")


def test_exit_1_malformed_file(invoke: Invoke, tmp_path: Path) -> None:
    path = tmp_path / "bad.txt"
    path.write_text("0 1\n0 2 3 4\n")
    done = invoke("pagerank", path)
    assert done.exit_code == 1
    assert_one_line(done.stderr, "bad.txt", "line 2")


def test_exit_1_value_out_of_range(invoke: Invoke, graph: Path) -> None:
    done = invoke("pagerank", graph, "--damping", 1)
    assert done.exit_code == 1
    assert_one_line(done.stderr, "damping")


def test_exit_1_no_memory(invoke: Invoke, graph: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise MemoryError

    monkeypatch.setattr(fm, "pagerank", fail)
    done = invoke("pagerank", graph)
    assert done.exit_code == 1
    assert_one_line(done.stderr, "memory")


@posix
@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_exit_1_disk_full(graph: Path) -> None:
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            argv(["pagerank", graph]), stdout=full, stderr=subprocess.PIPE, encoding="utf-8",
            timeout=TIMEOUT, env=environment(), check=False,
        )  # fmt: skip
    assert done.returncode == 1
    assert_one_line(done.stderr, "No space left")


@pytest.mark.parametrize(
    "arguments",
    [["pagerank"], ["pagerank", "g.tsv", "--top", "0"], ["pagerank", "g.tsv", "-o", "x.doc"],
     ["pagerank", "g.tsv", "--ids", "float"], ["convert", "a.tsv", "b.doc"], ["nothing"],
     ["generate", "rmat", "--scale", "4"], ["generate", "rmat", "--scale", "4", "-o", "x.doc"]],
)  # fmt: skip
def test_exit_2_usage(invoke: Invoke, arguments: list[str]) -> None:
    done = invoke(*arguments)
    assert (done.exit_code, done.stdout) == (2, "")
    assert "usage: fastmml" in done.stderr


def test_exit_2_unknown_option() -> None:
    done = execute("pagerank", "g.tsv", "--bogus")
    assert done.exit_code == 2
    assert "--bogus" in done.stderr


@posix
def test_exit_2_without_the_extra_on_a_terminal() -> None:
    status, output = on_terminal("--version", program=WITHOUT_RICH)
    assert status == 2
    assert output.startswith("fastmml: a terminal needs ")
    assert "fastmml[cli]" in output
    assert output.count("\n") == 1


def test_pipes_need_no_extra(graph: Path) -> None:
    done = execute("pagerank", graph, program=WITHOUT_RICH)
    assert done.exit_code == 0
    assert len(parse(done.stdout)) == 3


def test_exit_3_not_converged(graph: Path) -> None:
    done = execute("pagerank", graph, "--max-iter", 1)
    assert (done.exit_code, done.stdout) == (3, "")
    with pytest.raises(fm.ConvergenceError) as caught:
        fm.pagerank(fm.read_graph(graph), max_iter=1)
    assert_one_line(done.stderr, f"{caught.value.result.error_bound:.2g}")


@posix
@pytest.mark.parametrize("lines", [100_000, 5_000_000])
def test_exit_130_interrupted_while_reading(lines: int) -> None:
    child = subprocess.Popen(
        argv(["pagerank", "-"]), stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, env=environment(),
    )  # fmt: skip
    with child:
        assert child.stdin is not None
        # More than a pipe holds: once it is written, the child reads.
        child.stdin.write(b"0 1\n" * lines)
        child.stdin.flush()
        time.sleep(0.2)
        child.send_signal(signal.SIGINT)
        try:
            status = child.wait(10)
        finally:
            child.kill()
        assert status == 130
        assert child.stderr is not None
        assert child.stderr.read() == b"fastmml: interrupted\n"


@posix
def test_closed_standard_output(graph: Path, tmp_path: Path) -> None:
    path = tmp_path / "ranks.csv"
    command = ["sh", "-c", 'exec "$@" >&-', "sh", *argv(["pagerank", graph, "-o", path])]
    done = subprocess.run(
        command, stderr=subprocess.PIPE, timeout=TIMEOUT, env=environment(), check=False
    )
    assert done.returncode == 0
    assert b"rror:" not in done.stderr
    assert path.read_text().startswith("label,score\n")


@posix
def test_reader_that_stops_is_no_error(tmp_path: Path) -> None:
    path = tmp_path / "rmat.fastmml"
    fm.rmat(14, edge_factor=1).save(path)
    child = subprocess.Popen(
        argv(["pagerank", path]), stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment()
    )
    with child:
        assert child.stdout is not None
        assert child.stderr is not None
        assert b"\t" in child.stdout.readline()
        child.stdout.close()
        assert child.stderr.read() == b""
        assert child.wait(TIMEOUT) == 128 + signal.SIGPIPE


# ---- on a terminal ----


def on_terminal(*arguments: object, columns: int = 100, program: str = RUN) -> tuple[int, str]:
    """Run the command with a pseudo-terminal as its output; return exit code and output."""
    ours, theirs = os.openpty()
    terminal = {"PYTHONIOENCODING": "utf-8", "TERM": "xterm", "COLUMNS": str(columns)}
    child = subprocess.Popen(
        argv(arguments, program), stdin=subprocess.DEVNULL, stdout=theirs, stderr=theirs,
        env={**environment(), **terminal},
    )  # fmt: skip
    os.close(theirs)
    output = b"".join(iter(lambda: _read_terminal(ours), b""))
    os.close(ours)
    return child.wait(TIMEOUT), output.decode()


def _read_terminal(descriptor: int) -> bytes:
    try:
        return os.read(descriptor, 1 << 16)
    except OSError:  # Linux says so when the other end is closed
        return b""


@posix
def test_terminal_shows_progress_table_and_summary(graph: Path) -> None:
    status, output = on_terminal("pagerank", graph)
    assert status == 0
    for word in ("reading graph.tsv", "ranking, pass", "error ≤"):
        assert word in output
    for word in ("rank", "label", "score", "hub", "mate", "leaf"):
        assert word in output
    for word in ("nodes", "links", "iterations", "error bound", "reading", "million edges/s"):
        assert f"\n{word}" in output or word in output.splitlines()[-1]


@posix
def test_terminal_shows_10_of_many(tmp_path: Path) -> None:
    path = tmp_path / "rmat.fastmml"
    fm.rmat(6, edge_factor=4, seed=3).save(path)
    _, output = on_terminal("pagerank", path)
    assert sum(line.startswith("│") for line in output.splitlines()) == 10


@posix
def test_labels_cannot_steer_the_terminal(tmp_path: Path) -> None:
    path = tmp_path / "evil.tsv"
    path.write_text("\x1b[31mred\t[bold]b\n")
    _, output = on_terminal("pagerank", path)
    assert "\\x1b[31mred" in output
    assert "[bold]b" in output


@posix
def test_error_on_a_terminal(tmp_path: Path) -> None:
    status, output = on_terminal("pagerank", tmp_path / "missing.tsv", columns=20)
    assert status == 1
    assert "fastmml: error: " in output.splitlines()[-1]
    assert "Traceback" not in output


@posix
def test_terminal_hears_of_a_written_graph(graph: Path, tmp_path: Path) -> None:
    status, output = on_terminal("convert", graph, tmp_path / "graph.fastmml")
    assert status == 0
    assert "3 nodes, 4 links" in output


# ---- the bar that falls ----


def test_time_left_follows_the_geometric_rate() -> None:
    clock = itertools.count().__next__
    now = 0.0
    with Progress(disable=True, get_time=lambda: now) as bar:
        task = bar.add_task("", total=None)
        descent = _bars.Descent(bar, task, tol=1e-8)
        for iteration in range(1, 41):
            now = float(clock())
            descent(iteration, 0.85**iteration)
        passes_left = np.log(1e-8) / np.log(0.85) - 40
        assert bar.tasks[0].time_remaining == pytest.approx(passes_left, abs=2)


def test_bar_never_goes_back_and_ends_full() -> None:
    with Progress(disable=True) as bar:
        descent = _bars.Descent(bar, bar.add_task("", total=None), tol=1e-6)
        shares = []
        for iteration, bound in enumerate([2.0, 0.1, 0.5, 1e-3, 1e-2, 0.0], start=1):
            descent(iteration, bound)
            shares.append(bar.tasks[0].percentage)
    assert shares == sorted(shares)
    assert shares[-1] == pytest.approx(100)


def test_bar_of_a_graph_that_is_ranked_at_once() -> None:
    with Progress(disable=True) as bar:
        descent = _bars.Descent(bar, bar.add_task("", total=None), tol=1e-6)
        descent(1, 0.0)
        assert bar.tasks[0].finished


# ---- the other commands ----


def test_generate_is_deterministic(invoke: Invoke, tmp_path: Path) -> None:
    path = tmp_path / "rmat.fastmml"
    arguments = ["--scale", 7, "--edge-factor", 3, "--seed", 5, "-o", path]
    done = invoke("generate", "rmat", *arguments)
    assert (done.exit_code, done.stdout) == (0, "")
    assert "128 nodes, 384 links" in done.stderr
    found, expected = fm.read_graph(path), fm.rmat(7, edge_factor=3, seed=5)
    np.testing.assert_array_equal(found.indptr, expected.indptr)
    np.testing.assert_array_equal(found.indices, expected.indices)


@pytest.mark.parametrize("size", ["1", "1kB", "0.001MiB", "2GiB", "3 gb"])
def test_max_memory(invoke: Invoke, numbers: Path, tmp_path: Path, size: str) -> None:
    made = tmp_path / "made.fastmml", tmp_path / "read.fastmml"
    arguments = ["--scale", 7, "-o", made[0], "--max-memory", size]
    assert invoke("generate", "rmat", *arguments).exit_code == 0
    assert invoke("convert", numbers, made[1], "--max-memory", size).exit_code == 0
    assert set(tmp_path.iterdir()) == {numbers, *made}
    for path, expected in zip(made, (fm.rmat(7), fm.read_graph(numbers)), strict=True):
        np.testing.assert_array_equal(fm.read_graph(path).indices, expected.indices)
    ranks = invoke("pagerank", numbers, "--max-memory", size).stdout
    assert ranks == invoke("pagerank", numbers).stdout


@pytest.mark.parametrize("size", ["much", "0", "-1", "4XB", "1e9"])
def test_max_memory_refused(invoke: Invoke, numbers: Path, size: str) -> None:
    done = invoke("pagerank", numbers, f"--max-memory={size}")
    assert done.exit_code == 2
    assert "expected" in done.stderr


@pytest.mark.parametrize("suffix", [".fastmml", ".txt", ".csv"])
def test_convert_there_and_back(invoke: Invoke, graph: Path, tmp_path: Path, suffix: str) -> None:
    if suffix != ".fastmml":
        pytest.importorskip("pyarrow")
    there, back = tmp_path / f"there{suffix}", tmp_path / "back.fastmml"
    assert invoke("convert", graph, there).exit_code == 0
    assert invoke("convert", there, back).exit_code == 0
    ranks = invoke("pagerank", back).stdout
    assert parse(ranks) == pytest.approx(parse(invoke("pagerank", graph).stdout), abs=1e-8)


def test_graphs_of_webgraph(invoke: Invoke, data_folder: Path, tmp_path: Path) -> None:
    folder, saved = data_folder / "cnr-2000", tmp_path / "cnr.fastmml"
    assert invoke("convert", folder / "cnr-2000.graph", saved).exit_code == 0
    assert fm.read_graph(saved).num_edges == 3_216_152
    ranks = [invoke("pagerank", folder / f"cnr-2000.{kind}") for kind in ("graph", "npz")]
    assert ranks[0].exit_code == 0
    assert ranks[0].stdout == ranks[1].stdout


def test_convert_refuses_what_a_format_cannot_hold(
    invoke: Invoke, graph: Path, tmp_path: Path
) -> None:
    done = invoke("convert", graph, tmp_path / "graph.npz")
    assert done.exit_code == 1
    assert_one_line(done.stderr, "labels")


def test_info_names_what_a_bug_report_needs(invoke: Invoke) -> None:
    facts = dict(line.split(maxsplit=1) for line in invoke("info").stdout.splitlines() if line)
    assert facts["fastmml"] == fm.__version__
    assert facts["backend"] == fm.backend()
    assert facts["NumPy"] == np.__version__
    for name in ("CPU", "threads", "BLAS", "Python", "SciPy", "numba", "platform"):
        assert facts[name]


def test_info_does_not_import_numba() -> None:
    if fm.backend() == "numba":
        pytest.skip("the backend in use is numba")
    assert execute("info", program=without("numba")).exit_code == 0


def test_info_without_threadpoolctl(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "threadpoolctl", None)
    assert dict(_info.collect())["BLAS"]


def test_info_without_native(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_info, "has_native", lambda: False)
    assert ("native kernels", "not installed") in _info.collect()


def test_version_is_quick_to_answer() -> None:
    done = execute("--version", program=without("rich.console"))
    assert (done.exit_code, done.stdout) == (0, f"fastmml {fm.__version__}\n")


def test_rich_is_for_terminals_only(graph: Path) -> None:
    done = execute("pagerank", str(graph), program=without("rich.console"))
    assert done.exit_code == 0
    assert len(done.stdout.splitlines()) == 3


@pytest.mark.parametrize("command", [[], ["pagerank"], ["generate", "rmat"], ["convert"], ["info"]])
def test_help(invoke: Invoke, command: list[str]) -> None:
    done = invoke(*command, "--help")
    assert done.exit_code == 0
    assert "usage: fastmml" in done.stdout


@pytest.mark.parametrize("columns", ["60", "100"])
def test_help_fits_the_terminal(
    invoke: Invoke, monkeypatch: pytest.MonkeyPatch, columns: str
) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    widths = [len(line) for line in invoke("pagerank", "--help").stdout.splitlines()]
    assert int(columns) - 15 < max(widths) < int(columns)


def test_process_is_left_as_it_was(invoke: Invoke, graph: Path) -> None:
    before = gc.isenabled(), dict(os.environ)
    invoke("pagerank", graph)
    assert (gc.isenabled(), dict(os.environ)) == before
