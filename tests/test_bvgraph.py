"""Graphs of the WebGraph framework: what an encoder of our own writes is read, damage is refused.

The encoder writes the codes as strings of binary digits, straight from their definitions.
"""

import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import fastmml as fm
from fastmml import _backend
from fastmml._kernels import CODINGS, BvgraphFormat

# ---- an encoder ----


def binary(value, width):
    return format(value, f"0{width}b") if width else ""


def unary(value):
    return "0" * value + "1"


def gamma(value):
    width = (value + 1).bit_length() - 1
    return unary(width) + binary(value + 1 - 2**width, width)


def delta(value):
    width = (value + 1).bit_length() - 1
    return gamma(width) + binary(value + 1 - 2**width, width)


def zeta(value, k):
    h = ((value + 1).bit_length() - 1) // k
    # Minimal binary code of a number below 2^((h + 1) k) - 2^(hk).
    size, rest = 2 ** ((h + 1) * k) - 2 ** (h * k), value + 1 - 2 ** (h * k)
    width = (size - 1).bit_length()
    short = 2**width - size
    code = binary(rest, width - 1) if rest < short else binary(rest + short, width)
    return unary(h) + code


def nibble(value):
    *digits, last = format(value, "o")
    return "".join("0" + binary(int(digit), 3) for digit in digits) + "1" + binary(int(last), 3)


CODERS = {
    "GAMMA": lambda value, k: gamma(value),
    "DELTA": lambda value, k: delta(value),
    "UNARY": lambda value, k: unary(value),
    "ZETA": zeta,
    "NIBBLE": lambda value, k: nibble(value),
}


def code(fmt, field, value):
    names = {number: name for name, number in CODINGS.items()}
    return CODERS[names[getattr(fmt, field)]](value, fmt.zeta_k)


def natural(value):
    return 2 * value if value >= 0 else -2 * value - 1


def runs(flags):
    """Lengths of the runs of equal flags; the first is of true ones and may be 0."""
    lengths, current = [0], True
    for flag in flags:
        if flag != current:
            lengths.append(0)
            current = flag
        lengths[-1] += 1
    return lengths


def encode_blocks(fmt, row, other):
    blocks = runs([link in row for link in other])[:-1]
    lengths = [length - (i > 0) for i, length in enumerate(blocks)]
    return code(fmt, "block_counts", len(blocks)) + "".join(
        code(fmt, "blocks", length) for length in lengths
    )


def split_intervals(links, least):
    """Runs of at least so many consecutive nodes, as (first, length), and all other links."""
    pieces = []
    for link in links:
        if pieces and sum(pieces[-1]) == link:
            pieces[-1] = (pieces[-1][0], pieces[-1][1] + 1)
        else:
            pieces.append((link, 1))
    intervals = [piece for piece in pieces if least and piece[1] >= least]
    inside = {link for first, length in intervals for link in range(first, first + length)}
    return intervals, [link for link in links if link not in inside]


def encode_intervals(fmt, node, intervals):
    text, end = gamma(len(intervals)), None
    for first, length in intervals:
        text += gamma(natural(first - node) if end is None else first - end - 1)
        text += gamma(length - fmt.min_interval)
        end = first + length
    return text


def encode_residuals(fmt, node, links):
    text, last = "", None
    for link in links:
        gap = natural(link - node) if last is None else link - last - 1
        text += code(fmt, "residuals", gap)
        last = link
    return text


def encode_row(fmt, node, rows, reference):
    links = sorted(rows[node])
    text = code(fmt, "degrees", len(links))
    if not links:
        return text
    if fmt.window:
        text += code(fmt, "references", reference)
    if reference:
        other = sorted(rows[node - reference])
        text += encode_blocks(fmt, rows[node], other)
        links = sorted(rows[node] - set(other))
    if links and fmt.min_interval:
        intervals, links = split_intervals(links, fmt.min_interval)
        text += encode_intervals(fmt, node, intervals)
    return text + encode_residuals(fmt, node, links)


def pack(text):
    """Bytes of a string of binary digits, the last one filled with zeros."""
    text += "0" * (-len(text) % 8)
    return int("1" + text, 2).to_bytes(len(text) // 8 + 1)[1:]


def encode(rows, fmt, references=None):
    """Bytes of the rows (sets of links), and where each starts, in bits, and the last ends."""
    texts = [
        encode_row(fmt, node, rows, references(node) if references else min(node, fmt.window))
        for node in range(len(rows))
    ]
    return pack("".join(texts)), np.cumsum([0, *map(len, texts)])


def layout(zeta_k=3, window=7, min_interval=4, **codings):
    default = {
        "degrees": "GAMMA",
        "references": "UNARY",
        "block_counts": "GAMMA",
        "blocks": "GAMMA",
        "residuals": "ZETA",
    }
    numbers = {field: CODINGS[name] for field, name in (default | codings).items()}
    return BvgraphFormat(**numbers, zeta_k=zeta_k, window=window, min_interval=min_interval)


# ---- kernels ----


def decode(variant, stream, fmt, nodes, links, offsets=None, threads=1):
    """Report and rows of a stream whose copy ends where an array ends."""
    indptr, indices = np.empty(nodes + 1, np.int64), np.empty(links, np.uint32)
    starts = None if offsets is None else np.array(offsets, np.int64)
    bits = np.frombuffer(stream, np.uint8)
    report = variant.bvgraph_rows(bits, fmt, starts, indptr, indices, threads)
    return report, np.split(indices[: indptr[-1]], indptr[1:-1]) if not report.fault else []


def check_rows(variant, rows, fmt, references=None):
    stream, offsets = encode(rows, fmt, references)
    links = sum(map(len, rows))
    for starts, threads in [(None, 1), (offsets, 1), (offsets, 2)]:
        report, found = decode(variant, stream, fmt, len(rows), links, starts, threads)
        assert report == (0, 0, offsets[-1])
        assert [row.tolist() for row in found] == [sorted(row) for row in rows]


def similar_rows(nodes, degree, seed):
    """Rows that share links with those before them and hold runs, as those of web graphs do."""
    draw = random.Random(seed)
    rows = []
    for node in range(nodes):
        row = set() if draw.random() < 0.2 else set(draw.sample(range(nodes), min(degree, nodes)))
        if rows and draw.random() < 0.8:
            row |= {link for link in rows[-draw.randint(1, min(7, node))] if draw.random() < 0.7}
        if draw.random() < 0.4:
            first = draw.randrange(nodes)
            row |= set(range(first, min(first + draw.randrange(12), nodes)))
        rows.append(set(sorted(row)[: 4 * degree]))
    return rows


formats = st.builds(
    layout,
    zeta_k=st.integers(1, 9),
    window=st.integers(0, 9),
    min_interval=st.integers(0, 5),
    degrees=st.sampled_from(["GAMMA", "DELTA"]),
    references=st.sampled_from(["UNARY", "GAMMA", "DELTA"]),
    block_counts=st.sampled_from(["UNARY", "GAMMA", "DELTA"]),
    blocks=st.sampled_from(["UNARY", "GAMMA", "DELTA"]),
    residuals=st.sampled_from(["ZETA", "GAMMA", "DELTA", "NIBBLE"]),
)


@st.composite
def graphs(draw):
    nodes = draw(st.integers(1, 40))
    links = st.sets(st.integers(0, nodes - 1)) | st.just(set(range(nodes)))
    return [draw(links) for _ in range(nodes)]


@settings(deadline=None)
@given(graphs(), formats, st.randoms(use_true_random=False))
def test_every_format_is_read(variant, rows, fmt, draw):
    choices = [draw.randint(0, min(node, fmt.window)) for node in range(len(rows))]
    check_rows(variant, rows, fmt, choices.__getitem__)


@pytest.mark.parametrize("residuals", ["ZETA", "GAMMA", "DELTA", "NIBBLE"])
def test_far_links(variant, residuals):
    nodes = 70_000
    draw = random.Random(3)
    rows = [
        set(draw.sample(range(nodes), 40)) if node % 999 == 0 else set() for node in range(nodes)
    ]
    check_rows(variant, rows, layout(residuals=residuals, zeta_k=5))


@pytest.mark.parametrize("longest_chain", [3, 10**9])
def test_rows_in_blocks(variant, longest_chain):
    """Blocks of 4096 rows are decoded apart, though rows copy over their borders."""
    rows, chain = similar_rows(10_000, 5, 1), []
    for node in range(len(rows)):
        chain.append(chain[node - 1] + 1 if node and chain[node - 1] < longest_chain else 0)
    check_rows(variant, rows, layout(), lambda node: int(chain[node] > 0))


def test_long_codes(variant):
    """Differences of offsets reach numbers that no row of a small graph holds."""
    values = [0, 1, 2**28 - 2, 2**28 - 1, 2**29, 2**40 + 12345, 2**59, 7]
    expected = np.cumsum(values)
    for name, coder in [("GAMMA", gamma), ("DELTA", delta), ("NIBBLE", nibble)]:
        stream = np.frombuffer(pack("".join(map(coder, values))), np.uint8)
        offsets = np.empty(len(values), np.int64)
        report = variant.bvgraph_offsets(stream, CODINGS[name], 2**61, offsets)
        assert report.fault == 0
        assert report.bits == sum(len(coder(value)) for value in values)
        assert offsets.tolist() == expected.tolist()
        for limit in (0, 5, int(expected[-1]) - 1):
            report = variant.bvgraph_offsets(stream, CODINGS[name], limit, offsets)
            assert (report.fault, report.node) == (8, np.searchsorted(expected, limit, "right"))
    zeros = np.zeros(100, np.uint8)
    for name in CODINGS:
        assert variant.bvgraph_offsets(zeros, CODINGS[name], 2**61, offsets).fault == 1


SMALL_ROWS = similar_rows(30, 4, 5)
SMALL_STREAM, SMALL_OFFSETS = encode(SMALL_ROWS, layout())
SMALL_LINKS = sum(map(len, SMALL_ROWS))


def test_every_truncation_is_refused(variant):
    for size in range(len(SMALL_STREAM)):
        report, _ = decode(variant, SMALL_STREAM[:size], layout(), 30, SMALL_LINKS)
        assert report.fault == 1
        assert SMALL_OFFSETS[report.node] <= 8 * size < SMALL_OFFSETS[report.node + 1]


def flipped(stream, bit):
    damaged = bytearray(stream)
    damaged[bit // 8] ^= 128 >> bit % 8
    return bytes(damaged)


@pytest.mark.parametrize("residuals", ["ZETA", "DELTA", "NIBBLE"])
def test_a_flipped_bit_is_refused_or_gives_rows(variant, residuals):
    """Every backend, with offsets or without, refuses the same row for the same reason."""
    reference = _backend.load("numba", None)
    fmt = layout(residuals=residuals)
    stream, offsets = encode(SMALL_ROWS, fmt)
    for bit in range(8 * len(stream)):
        for starts in (None, offsets):
            arguments = flipped(stream, bit), fmt, 30, SMALL_LINKS, starts
            report, found = decode(variant, *arguments, threads=2)
            expected, _ = decode(reference, *arguments)
            assert report[:2] == expected[:2] or report.fault == expected.fault == 0
            for row in found:
                assert (np.diff(row.astype(np.int64)) > 0).all()
                assert (row < 30).all()


def test_the_fault_is_named(variant):
    """A stream of one row each, wrong in one way."""
    fmt = layout(window=2, min_interval=2)
    one_link = gamma(1) + unary(0) + gamma(0)  # up to its residual
    for text, nodes, links, fault in [
        (one_link + zeta(natural(0), 3) + gamma(3), 2, 5, 2),  # three links to two nodes
        (gamma(2), 2, 1, 2),  # more links than there should be
        (gamma(1) + unary(1), 2, 1, 3),
        (gamma(0) * 3 + gamma(1) + unary(3), 4, 1, 3),
        (gamma(0) + gamma(1) + unary(1) + gamma(2), 2, 1, 4),
        (gamma(0) + gamma(1) + unary(1) + gamma(1) + gamma(1), 2, 1, 4),
        (one_link + zeta(natural(0), 3) + gamma(2) + unary(1) + gamma(1) + gamma(5), 2, 3, 4),
        (gamma(2) + unary(0) + gamma(2), 3, 3, 5),
        (gamma(2) + unary(0) + gamma(1) + gamma(natural(2)) + gamma(0), 3, 3, 5),
        (gamma(2) + unary(0) + gamma(1) + gamma(natural(-1)) + gamma(0), 3, 3, 5),
        (gamma(2) + unary(0) + gamma(1) + gamma(natural(0)) + gamma(1), 3, 3, 5),
        (one_link + zeta(natural(-1), 3), 3, 3, 6),
        (one_link + zeta(natural(3), 3), 3, 3, 6),
        (one_link + zeta(natural(1), 3) + gamma(2) + unary(1) + gamma(0) + gamma(0)
         + zeta(natural(0), 3), 2, 4, 7),
    ]:  # fmt: skip
        report, _ = decode(variant, pack(text + "1" * 9), fmt, nodes, links)
        assert report.fault == fault
    wrong = SMALL_OFFSETS.copy()
    wrong[9] += 1
    report, _ = decode(variant, SMALL_STREAM, layout(), 30, SMALL_LINKS, wrong, 2)
    assert (report.fault, report.node) == (8, 8)


# ---- files ----

PROPERTIES = {
    "graphclass": "it.unimi.dsi.webgraph.BVGraph",
    "version": "0",
    "nodes": "30",
    "arcs": str(SMALL_LINKS),
    "windowsize": "7",
    "minintervallength": "4",
    "maxrefcount": "3",
    "zetak": "3",
    "compressionflags": "",
}


def write_properties(path, changes):
    values = {name: value for name, value in (PROPERTIES | changes).items() if value is not None}
    text = "".join(f"{name}={value}\n" for name, value in values.items())
    path.with_suffix(".properties").write_text("#BVGraph properties\n" + text)


def write_offsets(path, offsets, coder=gamma):
    text = "".join(coder(more) for more in np.diff(offsets, prepend=0).tolist())
    path.with_suffix(".offsets").write_bytes(pack(text))


@pytest.fixture
def small(tmp_path):
    path = tmp_path / "small.graph"
    path.write_bytes(SMALL_STREAM)
    write_properties(path, {})
    return path


def out_rows(g):
    matrix = g.to_scipy()
    return [set(row) for row in np.split(matrix.indices, matrix.indptr[1:-1])]


@pytest.mark.parametrize("backend", ["native", "numba"])
def test_files(small, backend):
    if backend == "native" and not _backend.has_native():
        pytest.skip("no compiled kernels")
    with fm.use_backend(backend):
        assert out_rows(fm.read_graph(small)) == SMALL_ROWS
        write_offsets(small, SMALL_OFFSETS)
        assert out_rows(fm.read_graph(small)) == SMALL_ROWS
        assert out_rows(fm.read_graph(small, format="bvgraph")) == SMALL_ROWS


def test_flags_and_forms_of_properties(small):
    fmt = layout(degrees="DELTA", block_counts="UNARY", residuals="NIBBLE", references="GAMMA")
    stream, offsets = encode(SMALL_ROWS, fmt)
    small.write_bytes(stream + b"\0" * 7)  # the last word may be filled
    flags = "OUTDEGREES_DELTA | BLOCK_COUNT_UNARY|RESIDUALS_NIBBLE | REFERENCES_GAMMA"
    write_properties(small, {"compressionflags": flags + " | OFFSETS_DELTA", "zetak": None})
    write_offsets(small, offsets, delta)
    assert out_rows(fm.read_graph(small)) == SMALL_ROWS
    small.with_suffix(".properties").write_text(
        "! written by hand\r\n\n  graphclass : class it.unimi.dsi.big.webgraph.BVGraph\r\n"
        f"nodes 30\narcs\t= {SMALL_LINKS}\nwindow\\\n   size=7\nminintervallength:4\n"
        "compressionflags=OUTDEGREES_DELTA | \\\n  BLOCK_COUNT_UNARY \\\n | RESIDUALS_NIBBLE \\\n"
        "  | REFERENCES_GAMMA | OFFSETS_DELTA\nnote=a\\=b\\\\\n"
    )
    assert out_rows(fm.read_graph(small)) == SMALL_ROWS


def test_graphs_without_links_or_nodes(small):
    small.write_bytes(pack(gamma(0) * 3))
    write_properties(small, {"nodes": 3, "arcs": 0})
    assert fm.read_graph(small).num_nodes == 3
    for stream in (b"", b"\0"):
        small.write_bytes(stream)
        write_properties(small, {"nodes": 0, "arcs": 0})
        assert fm.read_graph(small).num_nodes == 0


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"graphclass": "it.unimi.dsi.webgraph.EFGraph"}, "graphclass: expected a BVGraph"),
        ({"graphclass": None}, "graphclass"),
        ({"endianness": "little"}, "endianness: expected 'big', got 'little'"),
        ({"version": "1"}, "version: expected 0 to 0, got 1"),
        ({"nodes": None}, "nodes: missing"),
        ({"nodes": "many"}, "nodes: expected an integer, got 'many'"),
        ({"nodes": "-1"}, "nodes: expected 0 to 4294967296, got -1"),
        ({"nodes": 2**33}, "nodes: expected 0 to 4294967296"),
        ({"arcs": 901}, "arcs: expected 0 to 900, got 901"),
        ({"windowsize": None}, "windowsize: missing"),
        ({"windowsize": "-1"}, "windowsize: expected 0 to"),
        ({"minintervallength": "9" * 40}, "minintervallength: expected an integer"),
        ({"maxrefcount": "-2"}, "maxrefcount: expected -1 to 2147483647, got -2"),
        ({"zetak": "0"}, "zetak: expected 1 to 31, got 0"),
        ({"compressionflags": "RESIDUALS_GOLOMB"}, "'RESIDUALS_GOLOMB' is none that is known"),
        ({"compressionflags": "OUTDEGREES_ZETA"}, "'OUTDEGREES_ZETA' is none"),
    ],
)
def test_wrong_properties(small, changes, message):
    write_properties(small, changes)
    with pytest.raises(fm.GraphFormatError, match=rf"small\.properties: .*{message}"):
        fm.read_graph(small)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"nodes": 2**32, "arcs": 2**60}, "expected a bit or more for each of 4294967296 nodes"),
        ({"arcs": SMALL_LINKS + 1}, rf"expected {SMALL_LINKS + 1} arcs, got {SMALL_LINKS}"),
        ({"arcs": SMALL_LINKS - 1}, "row of node 29: it has more links than"),
        ({"nodes": 31}, "row of node 3[01]: "),
        ({"nodes": 28, "arcs": SMALL_LINKS}, r"row of node \d+: it|expected .* arcs"),
    ],
)
def test_properties_that_lie(small, changes, message):
    write_properties(small, changes)
    with pytest.raises(fm.GraphFormatError, match=rf"small\.graph: {message}"):
        fm.read_graph(small)


def test_a_giant_that_is_none(small):
    small.write_bytes(bytes(2**17))
    write_properties(small, {"nodes": 2**20, "arcs": 2**40})
    with pytest.raises((fm.GraphFormatError, MemoryError)):
        fm.read_graph(small)


def test_what_follows_the_rows(small):
    for tail in (b"\0" * 8, b"\1"):
        small.write_bytes(SMALL_STREAM + tail)
        with pytest.raises(fm.GraphFormatError, match="expected zeros to the end of a word"):
            fm.read_graph(small)


def test_missing_files(small):
    with pytest.raises(FileNotFoundError, match=r"other\.graph"):
        fm.read_graph(small.with_name("other.graph"))
    small.with_suffix(".properties").unlink()
    with pytest.raises(fm.GraphFormatError, match=r"properties in .*small\.properties"):
        fm.read_graph(small)


def test_wrong_offsets(small):
    moved = SMALL_OFFSETS.copy()
    moved[5:8] += 1
    for offsets, message in [
        (moved, r"small\.graph: row of node 4: it is not where the offsets say"),
        (SMALL_OFFSETS[:4], r"small\.offsets: expected .*31 offsets"),
        (SMALL_OFFSETS + 1, r"small\.offsets: expected 31 offsets within"),
        (SMALL_OFFSETS * 9, r"small\.offsets: expected 31 offsets within"),
    ]:
        write_offsets(small, offsets)
        with pytest.raises(fm.GraphFormatError, match=message):
            fm.read_graph(small)


def test_a_graph_is_not_written(small):
    with pytest.raises(ValueError, match=r"not written to \.graph"):
        fm.write_graph(fm.read_graph(small), small)


# ---- a real graph ----


def test_cnr_2000_by_kernel(variant, data_folder):
    path = data_folder / "cnr-2000" / "cnr-2000.graph"
    with np.load(path.with_suffix(".npz")) as arrays:
        starts, links = arrays["indptr"], arrays["indices"]
    indptr, indices = np.empty_like(starts), np.empty_like(links)
    stream = np.fromfile(path, np.uint8)
    report = variant.bvgraph_rows(stream, layout(), None, indptr, indices, 1)
    assert report.fault == 0
    assert np.array_equal(indptr, starts)
    assert np.array_equal(indices, links)


def test_cnr_2000(data_folder):
    folder = data_folder / "cnr-2000"
    g, expected = (fm.read_graph(folder / f"cnr-2000.{suffix}") for suffix in ("graph", "npz"))
    assert np.array_equal(g.indptr, expected.indptr)
    assert np.array_equal(g.indices, expected.indices)
