"""Reading and writing graphs: every format, round trips, and what is refused."""

import codecs
import gc
import gzip
import io
import os
import subprocess
import sys
import textwrap

import numpy as np
import pytest
import scipy.io
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

import fastmml as fm
from fastmml import _backend
from fastmml.graph.formats import saved, streams


def links(g):
    """Every link as (source label, target label, weight), sorted."""
    names = list(range(g.num_nodes)) if g.labels is None else g.labels.tolist()
    targets = np.repeat(np.arange(g.num_nodes), np.diff(g.indptr)).tolist()
    weights = np.ones(g.num_edges) if g.weights is None else g.weights
    pairs = zip(g.indices.tolist(), targets, weights.tolist(), strict=True)
    return sorted((names[u], names[v], w) for u, v, w in pairs)


def read(text, **options):
    return fm.read_graph(io.BytesIO(text if isinstance(text, bytes) else text.encode()), **options)


# ---- file objects ----


def opened(kind, text, folder):
    """A file object that holds this text."""
    if kind in ("StringIO", "BytesIO"):
        return io.StringIO(text) if kind == "StringIO" else io.BytesIO(text.encode())
    path, mode = folder / "links", kind.split()[1]
    is_packed = kind.startswith("gzip")
    path.write_bytes(gzip.compress(text.encode()) if is_packed else text.encode())
    if mode == "raw":
        return path.open("rb", buffering=0)
    return gzip.open(path, mode) if is_packed else path.open(mode, **ENCODED.get(mode, {}))


ENCODED = {"r": {"encoding": "utf-8"}}
KINDS = ["StringIO", "BytesIO", "open r", "open rb", "open raw", "gzip.open rb", "gzip.open rt"]


@pytest.mark.parametrize("kind", KINDS)
def test_file_objects_are_read_to_their_end_and_stay_open(kind, tmp_path):
    text = "x\ty\n" + "ä\t\U0001f600\n" * 300_000
    with opened(kind, text, tmp_path) as file:
        graph = fm.read_graph(file)
        gc.collect()
        assert not file.closed
        assert file.read() in ("", b"")
    assert graph.num_edges == 300_001
    assert graph.labels.tolist() == ["x", "y", "ä", "\U0001f600"]


@pytest.mark.parametrize("make", [io.StringIO, io.BytesIO])
def test_file_objects_are_written(make):
    file = make()
    fm.write_graph(fm.Graph([0, 1], [1, 0], [1.0, 2.5], labels=["ä", "b"]), file)
    written = file.getvalue()
    text = written if isinstance(written, str) else written.decode()
    assert sorted(text.splitlines()) == ["b\tä\t2.5", "ä\tb\t1"]
    file.seek(0)
    assert links(fm.read_graph(file)) == [("b", "ä", 2.5), ("ä", "b", 1.0)]


class Raw(io.RawIOBase):
    """Takes seven bytes at most, or none; gives what it is told to."""

    def __init__(self, most=7, given=b""):
        self.most, self.given, self.written = most, given, b""

    def writable(self):
        return True

    def write(self, data):
        if self.most is not None:
            self.written += bytes(data[: self.most])
        return self.most and min(self.most, len(data))

    def read(self, size=-1):
        return self.given if size else b""


def test_raw_files_are_written_to_the_end():
    graph = fm.Graph([0, 1], [1, 0], labels=["some name", "another"])
    file, text = Raw(), io.BytesIO()
    fm.write_graph(graph, file)
    fm.write_graph(graph, text)
    assert file.written == text.getvalue()
    for most in (None, 0):
        with pytest.raises(BlockingIOError, match="path: expected a file object that waits"):
            fm.write_graph(graph, Raw(most))


def test_writers_of_codecs_take_text():
    file = io.BytesIO()
    fm.write_graph(fm.Graph([0], [1], labels=["ä", "b"]), codecs.getwriter("utf8")(file))
    assert file.getvalue().decode() == "ä\tb\n"
    assert links(fm.read_graph(codecs.getreader("utf8")(io.BytesIO(file.getvalue()))))


def test_streams_that_give_none_or_too_much_are_named():
    with pytest.raises(BlockingIOError, match="path: expected a stream that waits for data"):
        fm.read_graph(Raw(given=None))
    with pytest.raises(ValueError, match=r"path: expected at most \d+ of read\(\d+\)"):
        fm.read_graph(Raw(given=b"0 1\n" * (8 << 20)))


def test_what_is_no_file_object_is_named():
    with pytest.raises(TypeError, match="path: expected a path or a file object, got NoneType"):
        fm.write_graph(fm.Graph([0], [1]), None)
    with pytest.raises(ValueError, match="path: .* a file object, as sys.stdout, got '-'"):
        fm.write_graph(fm.Graph([0], [1]), "-")
    with pytest.raises(ValueError, match="path: expected a path for format 'npz', got 'BytesIO'"):
        fm.read_graph(io.BytesIO(), format="npz")


# ---- edge lists ----


@pytest.mark.parametrize(
    "text",
    [
        "1 2\n2 3\n",
        "1 2\n2 3",
        "1\t2\r\n2\t3\r\n",
        "# comment\n\n  % another\n1   2\n\t2 \t 3  \n",
        "1,2\n2,3\n",
        '"1" ; "2"\n2;3\n',
        "source,target\n1,2\n2,3\n",
        "from to\n1 2\n2 3\n",
        "\ufeff1 2\n2 3\n",
        "+1 2\n02 003\n",
    ],
)
def test_forms_of_text(text):
    g = read(text)
    assert links(g) == [(1, 2, 1), (2, 3, 1)]
    assert g.labels.dtype == np.int64


def test_ids_are_nodes_in_ascending_order():
    g = read("30 10\n-5 30\n")
    assert g.labels.tolist() == [-5, 10, 30]
    assert read("1 0\n2 1\n").labels is None
    assert read(f"{2**63 - 1} {-(2**63)}\n").labels.tolist() == [-(2**63), 2**63 - 1]
    assert read("0 5000000000\n7 0\n").labels.tolist() == [0, 7, 5000000000]


def test_num_nodes_says_which_ids_exist():
    g = read("0 2\n", num_nodes=5)
    assert g.num_nodes == 5
    assert g.labels is None
    with pytest.raises(fm.GraphFormatError, match="below num_nodes = 2, got 2"):
        read("0 2\n", num_nodes=2)
    with pytest.raises(fm.GraphFormatError, match="got -1"):
        read("0 -1\n", num_nodes=2)
    assert read("# nothing\n", num_nodes=3).num_nodes == 3


def test_text_ids_in_order_of_appearance():
    g = read("b a\na ç\nb b\n")
    assert g.labels.tolist() == ["b", "a", "ç"]
    assert links(g) == [("a", "ç", 1), ("b", "a", 1), ("b", "b", 1)]
    assert read("1 2\n10 1\n", ids="str").labels.tolist() == ["1", "2", "10"]
    assert read("a b\n1 2\n", header=False).labels.tolist() == ["a", "b", "1", "2"]
    assert read("a b\nc d\n", header=True).labels.tolist() == ["c", "d"]


def test_text_ids_after_integers_in_the_first_block():
    assert read("1 2\nx 1\n").labels.tolist() == ["1", "2", "x"]


def test_weights():
    assert links(read("0 1 0.5\n1 0 2e3\n")) == [(0, 1, 0.5), (1, 0, 2000.0)]
    assert read("0 1 5\n", weighted=False).weights is None
    assert links(read("0,1,0.25,x\n", weighted=True)) == [(0, 1, 0.25)]
    with pytest.raises(fm.GraphFormatError, match="4 columns; say with weighted="):
        read("0 1 5 7\n")


@settings(max_examples=200)
@given(st.lists(st.floats(0, allow_infinity=False), min_size=1, max_size=30), st.data())
def test_weights_are_correctly_rounded(values, data):
    form = data.draw(st.sampled_from(["{!r}", "{:.17e}", "{:.3f}", "{:.40g}", "+{!r}"]))
    words = [form.format(value) for value in values]
    words = [word for word in words if len(word) <= 255] or ["1"]
    g = read("".join(f"{i} {i} {word}\n" for i, word in enumerate(words)))
    assert g.weights.tolist() == [float(word) for word in words]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("1 2\n3\n", "line 2: expected 2 columns: '3'"),
        ("1 2\n3 4 5\n", "line 2: expected 2 columns: '3 4 5'"),
        ("# c\n1,2\n\n3,\n", "line 4: expected 2 columns: '3,'"),
        (
            "1 2 3\n1 2 x\n",
            "line 2: the weight is not a finite number of at least 0 (in at most 255 chara",
        ),
        ("1 2 3\n1 2 -1\n", "line 2: the weight"),
        ("1 2 3\n1 2 nan\n", "line 2: the weight"),
        ("1 2 3\n1 2 1e999\n", "line 2: the weight"),
        ("1 9223372036854775808\n", "line 1: a node id is beyond 64 bits"),
        ('1,2\n"3,4\n', "line 2: a quoted field does not close"),
        ('1,2\n"3"x,4\n', "line 2: a quoted field"),
        ("h1,h2\n1,2\n3\n", "line 3: expected 2 columns"),
    ],
)
def test_malformed_lines(text, words):
    with pytest.raises(fm.GraphFormatError) as caught:
        read(text)
    assert words in str(caught.value)
    assert str(caught.value).startswith("stream, ")


def test_malformed_line_shows_at_most_its_start():
    with pytest.raises(fm.GraphFormatError) as caught:
        read("1 2\n" + "x" * 10_000 + "\n", ids="int")
    assert len(str(caught.value)) < 250


def test_integers_are_asked_for():
    with pytest.raises(fm.GraphFormatError, match="line 2: a node id is not an integer: '1.5 2'"):
        read("1 2\n1.5 2\n", ids="int")


def test_text_far_behind_integers_is_refused(monkeypatch):
    monkeypatch.setattr(streams, "BLOCK_BYTES", 64)
    with pytest.raises(fm.GraphFormatError, match=r"line 101: .*earlier ones are; ids='str'"):
        read("1 2\n" * 100 + "a b\n")
    assert read("1 2\n" * 100 + "a b\n", ids="str").num_nodes == 4


def test_labels_must_be_utf8():
    with pytest.raises(fm.GraphFormatError, match="UTF-8"):
        read(b"\xff\xfe a\n")


def test_labels_must_be_utf8_each():
    with pytest.raises(fm.GraphFormatError, match="UTF-8"):
        fm.read_graph(io.BytesIO(b"a \xc3\n\xa9 b\n"))  # together they are


def test_labels_are_the_same_one_by_one_and_at_once():
    text = "".join(f"é{i} {chr(65 + i)}🙂\n" for i in range(20)).encode()
    graph = fm.read_graph(io.BytesIO(text))
    ranks = fm.pagerank(graph)
    few, every = ranks.top(3), ranks.top(40)
    assert few == every[:3]
    assert few == ranks.top(3)
    assert sorted(label for label, _ in every) == sorted(graph.labels.tolist())
    assert not graph.labels.flags.writeable


@pytest.mark.parametrize("text", ["", "\n\n", "# only\n# comments"])
def test_no_edges(text):
    g = read(text)
    assert (g.num_nodes, g.num_edges) == (0, 0)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"ids": "float"}, "ids: expected 'auto', 'int' or 'str'"),
        ({"delimiter": ",,"}, "delimiter: expected one ASCII character"),
        ({"delimiter": '"'}, "delimiter"),
        ({"comments": "#" * 8}, "comments: expected at most 7"),
        ({"comments": "1"}, "no digits, got '1'"),
        ({"format": "xml"}, "format: expected one of"),
        ({"num_nodes": -1}, "num_nodes"),
    ],
)
def test_bad_options(options, words):
    with pytest.raises(ValueError, match=words):
        read("1 2\n", **options)


names = st.text(
    st.characters(blacklist_categories=("Cs", "Cc", "Zs", "Zl", "Zp"), blacklist_characters=',"'),
    min_size=1,
    max_size=6,
).filter(lambda name: name[0] not in "#%\ufeff")


@settings(max_examples=150)
@given(
    edges=st.lists(st.tuples(names, names), min_size=1, max_size=40),
    block=st.sampled_from([32, 64, 1 << 20]),
)
def test_any_labels_in_any_blocks(edges, block):
    text = "".join(f"{u},{v}\n" for u, v in edges)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(streams, "BLOCK_BYTES", block)
        g = read(text, ids="str", delimiter=",", header=False)
    assert links(g) == sorted((u, v, 1.0) for u, v in edges)
    assert g.labels.tolist() == list(dict.fromkeys(name for edge in edges for name in edge))


@settings(max_examples=100)
@given(
    edges=st.lists(
        st.tuples(st.integers(-(2**63), 2**63 - 1) | st.integers(0, 50), st.integers(0, 50)),
        min_size=1,
    ),
    block=st.sampled_from([48, 1 << 20]),
)
def test_any_integers_in_any_blocks(edges, block):
    text = "".join(f"{u} {v}\n" for u, v in edges)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(streams, "BLOCK_BYTES", block)
        g = read(text)
    assert links(g) == sorted((u, v, 1.0) for u, v in edges)


def test_large_text_on_every_variant(variant):
    rng = np.random.default_rng(0)
    src, dst = rng.integers(0, 50_000, (2, 400_000)) * 3
    lines = [f"{u} {v}" for u, v in zip(src.tolist(), dst.tolist(), strict=True)]
    lines[1000] += " # not a comment"[:0] + "\n# comment\n"
    with _backend.use_kernels(variant):
        results = []
        for count in (1, 3):
            with fm.threads(count):
                results.append(read("\n".join(lines)))
    expected = sp.coo_array((np.ones(len(src)), (src, dst))).tocsr()
    labels = np.union1d(src, dst)
    for g in results:
        assert np.array_equal(g.labels, labels)
        assert (g.to_scipy() != expected[labels][:, labels]).nnz == 0


# ---- compression and streams ----


@pytest.mark.parametrize("compress", [gzip.compress, zstd.compress, bytes])
@pytest.mark.parametrize("block", [64, 8 << 20])
@pytest.mark.parametrize("small", [0, 1 << 20])
def test_compressed_files(tmp_path, compress, block, small, monkeypatch):
    monkeypatch.setattr(streams, "BLOCK_BYTES", block)
    monkeypatch.setattr(streams, "SMALL_BYTES", small)
    path = tmp_path / "graph.txt"  # recognised by content, not by name
    text = "".join(f"{i} {(i * 7) % 1000}\n" for i in range(1000)).encode()
    path.write_bytes(compress(text))
    seen = []
    g = fm.read_graph(path, progress=lambda *args: seen.append(args))
    assert g.num_edges == 1000
    assert seen[-1] == (path.stat().st_size,) * 2


def test_reading_leaves_the_number_of_threads(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("0 1\n1 2\n")
    with fm.threads(3):
        before = fm.get_num_threads()  # 3, or 1 without OpenMP
        fm.read_graph(path)
        path.write_text("0 1\n1\n")
        with pytest.raises(fm.GraphFormatError):
            fm.read_graph(path)
        assert fm.get_num_threads() == before


def test_concatenated_members(tmp_path):
    for name, compress in (("a.txt.gz", gzip.compress), ("a.txt.zst", zstd.compress)):
        path = tmp_path / name
        path.write_bytes(compress(b"0 1\n") + compress(b"1 2\n"))
        assert links(fm.read_graph(path)) == [(0, 1, 1), (1, 2, 1)]


@pytest.mark.parametrize("compress", [gzip.compress, zstd.compress])
def test_truncated_compression(tmp_path, compress):
    path = tmp_path / "a.txt"
    path.write_bytes(compress(b"".join(b"%d %d\n" % (i, i * i) for i in range(5000)))[:-900])
    with pytest.raises(fm.GraphFormatError, match=r"a\.txt: the compressed data are damaged"):
        fm.read_graph(path)


def test_standard_input():
    code = "import fastmml as fm; print(fm.read_graph('-').num_edges)"
    run = subprocess.run(
        [sys.executable, "-c", code], input=b"1 2\n3 4\n", stdout=subprocess.PIPE, check=True
    )
    assert run.stdout == b"2\n"


def test_missing_file():
    with pytest.raises(FileNotFoundError):
        fm.read_graph("no/such/file.txt")
    with pytest.raises(fm.GraphFormatError, match="no format is known by the suffix '.xyz'"):
        fm.read_graph("graph.xyz")


# ---- real graphs ----


def test_shipped_graph():
    g = fm.read_graph(os.path.join(os.path.dirname(__file__), "../examples/debian12.tsv.zst"))
    assert g.num_nodes > 60_000
    assert g.num_edges > 300_000
    assert "libc6" in [label for label, _ in fm.pagerank(g).top(3)]


def test_wiki_vote(data_folder):
    g = fm.read_graph(data_folder / "wiki-Vote" / "wiki-Vote.txt")
    assert (g.num_nodes, g.num_edges) == (7115, 103_689)


def test_cnr_2000(data_folder):
    g = fm.read_graph(data_folder / "cnr-2000" / "cnr-2000.npz")
    assert (g.num_nodes, g.num_edges) == (325_557, 3_216_152)
    with np.load(data_folder / "cnr-2000" / "cnr-2000.npz") as arrays:
        assert np.array_equal(g.out_strength(), np.diff(arrays["indptr"]))


# ---- other formats, and round trips ----

GRAPHS = {
    "plain": fm.Graph([0, 1, 1, 3], [1, 1, 2, 0], num_nodes=4),
    "weighted": fm.Graph([0, 2, 2, 1], [1, 0, 0, 2], [0.1, 2.0, 3.5, 1e-300]),
    "numbers": fm.Graph([0, 1], [1, 2], labels=[-3, 7, 10**15]),
    "names": fm.Graph([0, 1, 1], [1, 1, 2], [1.0, 0.5, 0.25], labels=["ä b", "x,y", "z"]),
}


@pytest.mark.parametrize("name", GRAPHS)
@pytest.mark.parametrize(
    "suffix",
    [".fastmml", ".npz", ".mtx", ".sg", ".wsg", ".tsv", ".csv", ".txt.gz", ".tsv.zst", ".csv.gz"],
)
def test_round_trip(tmp_path, name, suffix):
    g, path = GRAPHS[name], tmp_path / f"graph{suffix}"
    if suffix in (".npz", ".mtx", ".sg", ".wsg"):
        if g.labels is not None:
            with pytest.raises(ValueError, match="keeps no labels"):
                fm.write_graph(g, path)
            return
        if name == "weighted" and suffix in (".sg", ".wsg"):
            with pytest.raises(ValueError, match="holds"):
                fm.write_graph(g, path)
            return
        fm.write_graph(g, path)
        assert (fm.read_graph(path).to_scipy() != g.to_scipy()).nnz == 0
        return
    fm.write_graph(g, path)
    options = {} if suffix == ".fastmml" else {"header": False}
    if suffix.startswith(".txt") and name == "names":
        options["delimiter"] = "\t"
    again = fm.read_graph(path, **options)
    assert links(again) == links(g)
    assert os.listdir(tmp_path) == [path.name]


def test_labels_that_text_cannot_hold(tmp_path):
    for label in ("a\nb", 'a"b', " a", "", "#a"):
        g = fm.Graph([0], [1], labels=[label, "x"])
        with pytest.raises(ValueError, match="labels"):
            fm.write_graph(g, tmp_path / "a.tsv")
        g.save(tmp_path / "a.fastmml")
        assert fm.read_graph(tmp_path / "a.fastmml").labels.tolist() == [label, "x"]


def test_matrix_market_and_npy(tmp_path):
    matrix = sp.coo_array(np.array([[0, 1.5], [2, 0]]))
    scipy.io.mmwrite(tmp_path / "a.mtx", matrix)
    assert links(fm.read_graph(tmp_path / "a.mtx")) == [(0, 1, 1.5), (1, 0, 2.0)]
    np.save(tmp_path / "a.npy", np.array([[0, 3], [3, 1]]))
    assert links(fm.read_graph(tmp_path / "a.npy")) == [(0, 3, 1), (3, 1, 1)]
    np.savez(tmp_path / "a.npz", indptr=[0, 2, 2], indices=[0, 1])
    assert links(fm.read_graph(tmp_path / "a.npz")) == [(0, 0, 1), (0, 1, 1)]
    with pytest.raises(ValueError, match="only edge lists take it"):
        fm.read_graph(tmp_path / "a.npy", num_nodes=4)


@pytest.mark.parametrize(
    ("name", "save"),
    [
        ("a.npy", lambda p: np.save(p, np.zeros((3, 3), int))),
        ("a.npy", lambda p: np.save(p, np.zeros((3, 2)))),
        ("a.npy", lambda p: np.save(p, np.array([[-1, 0]]))),
        ("a.npy", lambda p: p.write_bytes(b"text")),
        ("a.npz", lambda p: np.savez(p, x=[1])),
        ("a.npz", lambda p: np.savez(p, indptr=[0, 2], indices=[0])),
        ("a.npz", lambda p: np.savez(p, indptr=[0, 1], indices=[7])),
        ("a.npz", lambda p: np.savez(p, indptr=[0, 2, 1], indices=[0, 1])),
        ("a.npz", lambda p: p.write_bytes(b"PK\3\4 not a zip")),
        ("a.mtx", lambda p: p.write_text("%%MatrixMarket nonsense\n")),
        ("a.mtx", lambda p: scipy.io.mmwrite(p, sp.coo_array((2, 3)))),
    ],
)
def test_damaged_files_of_others(tmp_path, name, save):
    save(tmp_path / name)
    with pytest.raises(fm.GraphFormatError, match=name):
        fm.read_graph(tmp_path / name)


def gap_bytes(directed=1, nodes=3, starts=(0, 2, 2, 3), targets=(1, 2, 0), links=None):
    """A graph in GAP's serialized form, its rows of in-links left out of account."""
    count = len(targets) if links is None else links
    rows = np.array(starts, "<i8").tobytes() + np.array(targets, "<i4").tobytes()
    header = bytes([directed]) + np.array([count, nodes], "<i8").tobytes()
    return header + rows * (1 + (directed == 1))


def test_gap_graphs(tmp_path):
    path = tmp_path / "a.sg"
    for directed in (0, 1):
        path.write_bytes(gap_bytes(directed))
        assert links(fm.read_graph(path)) == [(0, 1, 1), (0, 2, 1), (2, 0, 1)]
    path.write_bytes(gap_bytes(nodes=0, starts=(0,), targets=()))
    assert fm.read_graph(path).num_nodes == 0
    g = fm.Graph([2, 0, 0], [0, 1, 1], [7.0, 1.0, 2.0**31 - 1], num_nodes=4)
    fm.write_graph(g, tmp_path / "a.wsg")
    assert links(fm.read_graph(tmp_path / "a.wsg")) == links(g)
    # Our own reader skips the in-links, which GAP reads: they follow, row by row.
    tail = np.frombuffer((tmp_path / "a.wsg").read_bytes()[-24:], "<i4").reshape(3, 2)
    assert tail.tolist() == [[2, 7], [0, 1], [0, 2**31 - 1]]


@pytest.mark.parametrize(
    "damaged",
    [
        b"",
        gap_bytes()[:-1],
        gap_bytes() + b"\0",
        gap_bytes(directed=2),
        gap_bytes(nodes=-1),
        gap_bytes(nodes=2**40),
        gap_bytes(links=-1),
        gap_bytes(starts=(0, 2, 1, 3)),
        gap_bytes(starts=(0, 2, 2, 4)),
        gap_bytes(starts=(0, 1, 1, 2)),
        gap_bytes(starts=(-1, 2, 2, 3)),
        gap_bytes(targets=(1, 3, 0)),
        gap_bytes(targets=(1, -1, 0)),
    ],
)
def test_damaged_gap_graphs(tmp_path, damaged):
    (tmp_path / "a.sg").write_bytes(damaged)
    with pytest.raises(fm.GraphFormatError, match=r"a\.sg"):
        fm.read_graph(tmp_path / "a.sg")


# ---- fastmml's own form ----


@pytest.fixture(params=["plain", "names"])
def saved_file(request, tmp_path):
    path = tmp_path / "graph.fastmml"
    GRAPHS[request.param].save(path)
    return path


def test_saved_arrays_are_mapped(saved_file):
    g = fm.read_graph(saved_file)
    assert not g.indices.flags.owndata
    assert not g.indices.flags.writeable
    assert fm.pagerank(g).converged


def test_every_flipped_bit_is_detected(saved_file):
    intact = saved_file.read_bytes()
    for position in range(8 * len(intact)):
        damaged = bytearray(intact)
        damaged[position // 8] ^= 1 << position % 8
        saved_file.write_bytes(damaged)
        with pytest.raises(fm.GraphFormatError, match=r"graph\.fastmml: "):
            fm.read_graph(saved_file)


def test_every_truncation_is_detected(saved_file):
    intact = saved_file.read_bytes()
    for size in range(len(intact)):
        saved_file.write_bytes(intact[:size])
        with pytest.raises(fm.GraphFormatError):
            fm.read_graph(saved_file)
    saved_file.write_bytes(intact + b"\0")
    with pytest.raises(fm.GraphFormatError, match="longer than it was written"):
        fm.read_graph(saved_file)


def test_unverified_files_are_still_safe(saved_file):
    intact = saved_file.read_bytes()
    length = int.from_bytes(intact[8:12], "little")
    start = -(-(16 + length) // 64) * 64
    for position in range(8 * start, 8 * len(intact)):
        damaged = bytearray(intact)
        damaged[position // 8] ^= 1 << position % 8
        saved_file.write_bytes(damaged)
        try:
            g = fm.read_graph(saved_file, verify=False)
        except fm.GraphFormatError:
            continue
        assert g.num_edges == 0 or g.indices.max() < g.num_nodes


def test_blocks_of_checksums(tmp_path, monkeypatch):
    monkeypatch.setattr(saved, "_BLOCK_BYTES", 1000)
    g, path = fm.rmat(8, seed=2), tmp_path / "a.fastmml"
    g.save(path)
    assert np.array_equal(fm.read_graph(path).indices, g.indices)
    damaged = bytearray(path.read_bytes())
    damaged[-2500] ^= 1
    path.write_bytes(damaged)
    with pytest.raises(fm.GraphFormatError, match=r"damaged: the checksum of bytes \d+000 and on"):
        fm.read_graph(path)


def test_later_versions_are_refused(saved_file):
    content = bytearray(saved_file.read_bytes())
    content[7] = 9
    saved_file.write_bytes(content)
    with pytest.raises(fm.GraphFormatError, match="version 9 .* reads version 1"):
        fm.read_graph(saved_file)


def test_object_labels_cannot_be_saved(tmp_path):
    g = fm.Graph([0], [1], labels=[(1, 2), "x"])
    with pytest.raises(TypeError, match="all integers or all strings"):
        g.save(tmp_path / "a.fastmml")
    assert os.listdir(tmp_path) == []


def test_kill_during_save_leaves_the_old_file(tmp_path):
    path = tmp_path / "a.fastmml"
    GRAPHS["plain"].save(path)
    old = path.read_bytes()
    new_graph = tmp_path / "new.fastmml"
    fm.rmat(16, seed=1).save(new_graph)
    new = new_graph.read_bytes()
    code = textwrap.dedent(f"""
        import fastmml as fm
        g = fm.rmat(16, seed=1)
        print("ready", flush=True)
        while True:
            g.save({str(path)!r})
    """)
    for delay in np.linspace(0, 0.08, 12):
        path.write_bytes(old)
        with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as process:
            assert process.stdout.readline() == b"ready\n"
            with pytest.raises(subprocess.TimeoutExpired):
                process.wait(float(delay) + 1e-3)
            process.kill()
        assert path.read_bytes() in (old, new)
