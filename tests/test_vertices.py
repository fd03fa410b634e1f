"""Names of nodes in files beside a graph, and labels as one text."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import fastmml as fm
from fastmml.cli import main
from fastmml.errors import GraphFormatError
from fastmml.graph.labels import Labels, to_utf8

pytest.importorskip("pyarrow", reason="names of nodes are read by pyarrow")

NAMES = ["at.a", "com.b", "", 'org."q"', "zürich.ch", "com"]


@pytest.fixture
def graph_path(tmp_path: Path) -> Path:
    path = tmp_path / "g.npz"
    fm.write_graph(fm.Graph([0, 1, 2, 3], [1, 2, 0, 0], num_nodes=len(NAMES)), path)
    return path


def write(path: Path, names: list[str], first: int = 0, more: str = "") -> Path:
    text = "".join(f"{first + i}\t{name}{more}\n" for i, name in enumerate(names)).encode()
    path.write_bytes(gzip.compress(text) if path.suffix == ".gz" else text)
    return path


@pytest.mark.parametrize("more", ["", "\t17"])
@pytest.mark.parametrize("suffix", [".txt", ".txt.gz"])
def test_names_become_labels(graph_path: Path, more: str, suffix: str) -> None:
    g = fm.read_graph(graph_path, labels=write(graph_path.with_suffix(suffix), NAMES, more=more))
    assert g.ids(NAMES).tolist() == list(range(len(NAMES)))
    assert g.labels is not None
    assert g.labels.tolist() == NAMES


def test_several_files_follow_one_another(graph_path: Path, tmp_path: Path) -> None:
    parts = [write(tmp_path / "a", NAMES[:2]), write(tmp_path / "b.gz", NAMES[2:], first=2)]
    g = fm.read_graph(graph_path, labels=parts)
    assert g.labels is not None
    assert g.labels.tolist() == NAMES


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("0\ta\n1\tb\n", "expected 6 nodes, got 2"),
        ("".join(f"{i}\tn{i}\n" for i in range(7)), "expected 6 nodes, got more"),
        ("0\ta\n2\tb\n", "from line 1 on: expected id 1, got 2"),
        ("0 a\n", "expected an id, a tab and a name"),
        ("x\ta\n", "expected an id, a tab and a name"),
        ("0\ta\n1\n", "expected an id, a tab and a name"),
        ("".join(f"{i}\tsame\n" for i in range(6)), "expected distinct names"),
        ("", "expected 6 nodes, got 0"),
    ],
)
def test_refused(graph_path: Path, text: str, message: str) -> None:
    path = graph_path.with_suffix(".txt")
    path.write_text(text)
    with pytest.raises(GraphFormatError, match=message):
        fm.read_graph(graph_path, labels=path)


def test_text_that_is_not_utf8_is_refused(graph_path: Path) -> None:
    path = graph_path.with_suffix(".txt")
    path.write_bytes(b"0\t\xff\n")
    with pytest.raises(GraphFormatError, match="UTF-8"):
        fm.read_graph(graph_path, labels=path)


def test_a_graph_with_names_takes_no_others(tmp_path: Path) -> None:
    edges = tmp_path / "e.tsv"
    edges.write_text("a\tb\n")
    with pytest.raises(ValueError, match="names of nodes itself"):
        fm.read_graph(edges, labels=write(tmp_path / "names", ["x", "y"]))


def test_saved_names_are_mapped_as_they_are(graph_path: Path, tmp_path: Path) -> None:
    names = write(tmp_path / "names", NAMES)
    fm.read_graph(graph_path, labels=names).save(tmp_path / "g.fastmml")
    g = fm.read_graph(tmp_path / "g.fastmml")
    assert g._labels._text is not None
    assert not g._labels._text[1].flags.owndata
    assert g.ids(["com", ""]).tolist() == [5, 2]
    assert fm.pagerank(g, personalization={"com": 1}).top(1)[0][0] == "com"
    assert g._labels._text is not None  # none of this has made an object for each node
    g.save(tmp_path / "again.fastmml")
    assert (tmp_path / "again.fastmml").read_bytes() == (tmp_path / "g.fastmml").read_bytes()


def test_command(graph_path: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    names = write(tmp_path / "names", [f"n{i}" for i in range(len(NAMES))])
    with pytest.raises(SystemExit) as ended:
        main(["pagerank", str(graph_path), "--labels", str(names), "--top", "1"])
    assert ended.value.code == 0
    assert capsys.readouterr().out.startswith("n0\t")


@settings(deadline=None)
@given(words=st.lists(st.text(alphabet="abä", max_size=4), unique=True, max_size=30))
def test_look_up_in_text(words: list[str]) -> None:
    offsets, letters = to_utf8(np.array(words, np.dtypes.StringDType()))
    labels = Labels.in_utf8(offsets, letters)
    for i, word in enumerate(words):
        assert labels.ids([word]).tolist() == [i]
        assert labels.at(np.array([i])) == [word]
    for absent in ("c", "aaaaa", 3, None):
        with pytest.raises(KeyError):
            labels.ids([absent])


@pytest.mark.parametrize("offsets", [[1, 2], [0, 1], [0, 3], [0, 2, 1, 2]])
def test_strings_that_do_not_fill_the_text_are_refused(offsets: list[int]) -> None:
    with pytest.raises(ValueError, match="end to end"):
        Labels.in_utf8(np.array(offsets), np.frombuffer(b"ab", np.uint8))
