"""The kernels that read text, on every backend, against a parser in plain Python."""

from __future__ import annotations

import re
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from laws import THREADS, assert_same_for_all_threads, frozen, mapped

from fastmml._kernels import F64, I64, LINE_FAULTS, U8, U32, EdgeFormat, EdgeReport, Kernels

#: Text of a segment in both backends; lines at its borders are the dangerous ones.
SEGMENT_BYTES = 256 * 1024

COLUMNS, INTEGER, RANGE, WEIGHT, QUOTE = 1, 2, 3, 4, 5

SPACES = EdgeFormat(spans=False, delimiter=" ", columns=2, weighted=False, comments="#%")
COMMAS = SPACES._replace(delimiter=",")
LABELS = SPACES._replace(spans=True)


# ---- the reference ----


class Parsed(NamedTuple):
    """Report and edges."""

    report: EdgeReport
    src: I64
    dst: I64
    weights: F64


class Refused(Exception):
    """A malformed line."""

    def __init__(self, fault: int) -> None:
        super().__init__(LINE_FAULTS[fault])
        self.fault = fault


def split_line(line: bytes, layout: EdgeFormat) -> list[tuple[int, bytes]]:
    """Offset in the line and text of every field."""
    delimiter = layout.delimiter.encode()
    if delimiter == b" ":
        found = [(match.start(), match[0]) for match in re.finditer(rb"[^ \t]+", line)]
        if len(found) != layout.columns:
            raise Refused(COLUMNS)
        return found
    blanks = b" " if delimiter == b"\t" else b" \t"
    fields = []
    rest = line
    for _ in range(layout.columns):
        rest = rest.lstrip(blanks)
        quoted = rest.startswith(b'"')
        if quoted:
            rest = rest[1:]
        start = len(line) - len(rest)
        field, mark, rest = rest.partition(b'"' if quoted else delimiter)
        fields.append((start, field if quoted else field.rstrip(blanks)))
        if quoted:
            between, separator, behind = rest.partition(delimiter)
            if not mark or between.strip(blanks):
                raise Refused(QUOTE)
            mark, rest = separator, behind
        if not mark:
            break
    if len(fields) < layout.columns or mark:
        raise Refused(COLUMNS)
    return fields


def parse_id(offset: int, field: bytes, spans: bool) -> int:
    if not field:
        raise Refused(COLUMNS)
    if spans:
        return offset << 32 | len(field)
    if not re.fullmatch(rb"[+-]?[0-9]+", field):
        raise Refused(INTEGER)
    if not -(2**63) <= int(field) < 2**63:
        raise Refused(RANGE)
    return int(field)


def parse_weight(field: bytes) -> float:
    decimal = rb"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?"
    if len(field) > 255 or not re.fullmatch(decimal, field):
        raise Refused(WEIGHT)
    if not 0 <= float(field) < float("inf"):
        raise Refused(WEIGHT)
    return abs(float(field))


def reference(text: bytes, layout: EdgeFormat) -> Parsed:
    """What `Kernels.parse_edges` must find."""
    edges: list[tuple[int, int, float]] = []
    lines = text.removesuffix(b"\n").split(b"\n") if text else []
    blanks = b" " if layout.delimiter == "\t" else b" \t"
    start = 0
    for number, ended in enumerate(lines):
        line = ended.removesuffix(b"\r")
        visible = line.lstrip(blanks)
        if visible and visible[:1] not in [letter.encode() for letter in layout.comments]:
            try:
                fields = split_line(line, layout)
                ids = [parse_id(start + at, field, layout.spans) for at, field in fields[:2]]
                weight = parse_weight(fields[2][1]) if layout.weighted else 0.0
            except Refused as refused:
                report = EdgeReport(0, len(lines), 0, 0, refused.fault, number, start)
                return Parsed(report, np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0))
            edges.append((ids[0], ids[1], weight))
        start += len(ended) + 1
    ids = [i for edge in edges for i in edge[:2]] if not layout.spans else []
    low, high = min(ids, default=0), max(ids, default=0)
    return Parsed(
        EdgeReport(len(edges), len(lines), low, high, 0, 0, 0),
        np.array([source for source, _, _ in edges], np.int64),
        np.array([target for _, target, _ in edges], np.int64),
        np.array([weight for _, _, weight in edges if layout.weighted], np.float64),
    )


# ---- the kernel ----


def as_array(text: bytes) -> U8:
    return np.frombuffer(text, np.uint8)


def parse(kernels: Kernels, text: bytes | U8, layout: EdgeFormat, threads: int = 2) -> Parsed:
    """Run the kernel with room for just as many edges as there are lines."""
    letters = as_array(text) if isinstance(text, bytes) else text
    lines = int((letters == ord("\n")).sum()) + 1
    src, dst = np.full(lines, -7, np.int64), np.full(lines, -7, np.int64)
    weights = np.full(lines, -7.0) if layout.weighted else None
    report = kernels.parse_edges(letters, layout, src, dst, weights, threads)
    if report.fault:  # the counts of the lines before a fault mean nothing
        report = report._replace(edges=0, min_id=0, max_id=0)
    kept = slice(report.edges)
    return Parsed(report, src[kept], dst[kept], np.empty(0) if weights is None else weights[kept])


def assert_same_parse(got: Parsed, expected: Parsed) -> None:
    assert got.report == expected.report
    for got_array, expected_array in zip(got[1:], expected[1:], strict=True):
        assert got_array.tobytes() == expected_array.tobytes()


def assert_parses_like_reference(kernels: Kernels, text: bytes, layout: EdgeFormat) -> None:
    assert_same_parse(parse(kernels, text, layout), reference(text, layout))


# ---- lines ----

FIELDS = [
    "0", "7", "12345", "-3", "+5", "0042", "123456789012345678", "1234567890123456789",
    "9223372036854775807", "-9223372036854775808", "9223372036854775808",
    "-9223372036854775809", "18446744073709551617", "00000000000000000000001",
    "", "+", "-", "--1", "1-", "1.0", "0x1", "é", "a b", "node", "1\r", "\v",
    '"5"', '"a,b"', '"a;b"', '""', '"', '"5', '5"', '"5"6', '"5""6"', ' "8" ', '" 8"', "#", "%5",
    "0.5", "1e3", "1E-3", ".5", "5.", ".", "e5", "1e", "1e+", "1e5.5", "-0", "-0.0", "-1", "nan",
    "inf", "Infinity", "1e308", "1e309", "-1e-400", "0x1p3", "1_000", "0.1", "123456789.123456789",
]  # fmt: skip
SEPARATORS = [" ", "  ", "\t", " \t ", ",", " , ", ", ", ",\t", ";", "|", ",,", ", ,", ""]
LINE_ENDS = ["\n", "\r\n", "\n\n", "\n \t\n", "\n#,1\n", "\n  % x\r\n", "\r\r\n", ""]

LAYOUTS = st.builds(
    lambda columns, weighted, **rest: EdgeFormat(
        columns=max(columns, 3) if weighted else columns, weighted=weighted, **rest
    ),
    spans=st.booleans(),
    delimiter=st.sampled_from([" ", ",", ";", "\t", "|"]),
    columns=st.integers(2, 4),
    weighted=st.booleans(),
    comments=st.sampled_from(["", "#", "#%", "%#!;/*+"]),
)


@st.composite
def plausible_texts(draw: st.DrawFn) -> tuple[bytes, EdgeFormat]:
    """Lines that mostly have the right form, and mostly only one thing wrong."""
    layout = draw(LAYOUTS)
    good = st.sampled_from(["1", "20", "-300", "4000000"])
    field = st.one_of(good, good, good, st.sampled_from(FIELDS))
    own = st.just(layout.delimiter)
    separator = st.one_of(own, own, own, st.sampled_from(SEPARATORS))
    end = st.one_of(*[st.just("\n")] * 4, st.sampled_from(LINE_ENDS))
    parts = []
    for _ in range(draw(st.integers(0, 6))):
        count = draw(st.sampled_from([layout.columns] * 8 + [1, layout.columns + 1]))
        for column in range(count):
            parts += [draw(separator)] * (column > 0) + [draw(field)]
        parts.append(draw(end))
    return "".join(parts).encode(), layout


@given(case=plausible_texts())
@settings(deadline=None, max_examples=250)
def test_parse_edges_of_plausible_texts(variant: Kernels, case: tuple[bytes, EdgeFormat]) -> None:
    assert_parses_like_reference(variant, *case)


@given(
    text=st.lists(st.sampled_from(list(b'0123459+-.eE ,;\t"#%\r\n\n\xc3\xa9\x00|x')), max_size=40),
    layout=LAYOUTS,
)
@example(text=list(b"1\t\t2\n"), layout=SPACES._replace(delimiter="\t"))
@example(text=list(b'"1"\t"2" \n'), layout=SPACES._replace(delimiter="\t"))
@settings(deadline=None, max_examples=250)
def test_parse_edges_of_any_bytes(variant: Kernels, text: list[int], layout: EdgeFormat) -> None:
    assert_parses_like_reference(variant, bytes(text), layout)


@pytest.mark.parametrize("delimiter", [" ", ",", "\t"])
@pytest.mark.parametrize("spans", [False, True])
@pytest.mark.parametrize("columns", [2, 3])
def test_parse_edges_of_every_kind_of_field(
    variant: Kernels, columns: int, spans: bool, delimiter: str
) -> None:
    layout = EdgeFormat(spans, delimiter, columns, weighted=columns == 3, comments="#")
    good = ["7", "8", "9"][:columns]
    for field in FIELDS:
        for place in range(columns):
            fields = [*good[:place], field, *good[place + 1 :]]
            text = "\n".join(delimiter.join(line) for line in (good, fields))
            for end in ("", "\n", "\r\n"):
                assert_parses_like_reference(variant, f"{text}{end}".encode(), layout)


@pytest.mark.parametrize("text", [b"", b"\n", b"\r\n", b" \t", b"# only\n\n% comments", b"1 2"])
def test_parse_edges_of_hardly_any_text(variant: Kernels, text: bytes) -> None:
    assert_parses_like_reference(variant, text, SPACES)


def test_parse_edges_takes_read_only_and_mapped_text(variant: Kernels, tmp_path: Path) -> None:
    text = b"1 2 0.25\n3 4 1e-3\n"
    layout = SPACES._replace(columns=3, weighted=True)
    expected = reference(text, layout)
    writable = as_array(text).copy()
    for held in (writable, frozen(writable), mapped(writable, tmp_path / "edges.txt")):
        assert_same_parse(parse(variant, held, layout), expected)


def test_columns_beyond_those_used_may_hold_anything(variant: Kernels) -> None:
    text = b"1,2,,nan,x\n3,4,#,\xff\xfe,9 9\n"
    assert parse(variant, text, COMMAS._replace(columns=5)).src.tolist() == [1, 3]


# ---- long texts ----


def comment(length: int) -> bytes:
    """A skipped line of exactly so many bytes."""
    return b"#" + b"x" * (length - 2) + b"\n" if length > 1 else b"\n" * length


def at_borders(piece: bytes, shift: int) -> bytes:
    """Put the piece at every border of five segments, ``shift`` bytes off the border."""
    text = b""
    for segment in range(1, 5):
        text += comment(segment * SEGMENT_BYTES + shift - len(text)) + piece
    return text + comment(SEGMENT_BYTES // 2)


PIECES = [
    (b"1 2\n", SPACES),
    (b"1 2\r\n3 4\r\n", SPACES),
    (b"\n\n", SPACES),
    (b"  # text\n5\t6\n", SPACES),
    (b'"a","b"\n', COMMAS._replace(spans=True)),
    ("\xe9t\xe9 caf\xe9\n".encode(), LABELS),
    (b"12345678901234567890 1\n", SPACES),
    (b"1 2\n3\n", SPACES),
    (b'1,"2\n', COMMAS),
]


@pytest.mark.parametrize(("piece", "layout"), PIECES)
def test_parse_edges_at_the_borders_of_segments(
    variant: Kernels, piece: bytes, layout: EdgeFormat
) -> None:
    for shift in range(-len(piece) - 1, 2):
        assert_parses_like_reference(variant, at_borders(piece, shift), layout)


def test_parse_edges_of_a_line_longer_than_segments(variant: Kernels) -> None:
    label = b"y" * (2 * SEGMENT_BYTES + 99)
    for text in (b"a b\n" + label + b" c\nd e\n", label + b" " + label, comment(len(label))):
        assert_parses_like_reference(variant, text, LABELS)


def test_parse_edges_returns_what_was_printed(variant: Kernels) -> None:
    """Several segments full of lines, in four layouts, with comments that leave gaps."""
    random = np.random.default_rng(7)
    count = 65_000
    src = random.integers(-(2**63), 2**63 - 1, count) >> random.integers(0, 63, count)
    dst = random.integers(0, 100_000, count)
    for end in ("\n", "\r\n"):
        lines = [f"{s} {d}{end}" for s, d in zip(src.tolist(), dst.tolist(), strict=True)]
        for step in (0, 999):
            commented = lines.copy()
            if step:
                commented[::step] = [f"# note{end}{line}" for line in lines[::step]]
            text = "".join(commented).encode()
            assert len(text) > 4 * SEGMENT_BYTES
            for threads in THREADS:
                parsed = parse(variant, text, SPACES, threads)
                np.testing.assert_array_equal(parsed.src, src)
                np.testing.assert_array_equal(parsed.dst, dst)
                ids = np.concatenate([src, dst])
                assert parsed.report.min_id == ids.min()
                assert parsed.report.max_id == ids.max()
                assert parsed.report.lines == text.count(b"\n")


def test_parse_edges_returns_the_weights_that_were_printed(variant: Kernels) -> None:
    weights = np.random.default_rng(8).random(50_000)
    text = "".join(f"{i},{i + 1},{w}\n" for i, w in enumerate(weights.tolist())).encode()
    assert len(text) > 4 * SEGMENT_BYTES
    layout = COMMAS._replace(columns=3, weighted=True)
    assert_same_for_all_threads(lambda threads: parse(variant, text, layout, threads))
    assert parse(variant, text, layout).weights.tobytes() == weights.tobytes()


@pytest.mark.parametrize("faulty", [[0], [49_999], [30_000, 30_001], [20_000, 45_000], [5, 40_000]])
def test_parse_edges_reports_the_first_malformed_line(variant: Kernels, faulty: list[int]) -> None:
    lines = [b"%d   %d       \n" % (i, i) for i in range(50_000)]
    for line, wrong in zip(faulty, (b"1 2 3\n", b"a 1\n"), strict=False):
        lines[line] = wrong
    offset = sum(map(len, lines[: faulty[0]]))
    text = b"".join(lines)
    assert len(text) > 3 * SEGMENT_BYTES
    for threads in THREADS:
        report = parse(variant, text, SPACES, threads).report
        assert report == EdgeReport(0, len(lines), 0, 0, COLUMNS, faulty[0], offset)


@pytest.mark.parametrize("lines", [1, 5, 90_000])
def test_parse_edges_without_room_parses_nothing(variant: Kernels, lines: int) -> None:
    text = as_array(b"10000 20000\n" * lines)
    src, dst = np.full(lines - 1, -7, np.int64), np.full(lines - 1, -7, np.int64)
    report = variant.parse_edges(text, SPACES, src, dst, None, 2)
    assert (report.edges, report.lines, report.fault) == (0, lines, 0)
    assert (src == -7).all()
    assert (dst == -7).all()


# ---- weights ----

HARD_DECIMALS = [
    "9007199254740993",  # halfway between two float64: ties go to even
    "9007199254740993.00000000000000000000000000000000001",
    "9007199254740992.99999999999999999999999999999999999",
    "1.00000000000000011102230246251565404236316680908203125",
    "1.00000000000000011102230246251565404236316680908203124",
    "1.00000000000000011102230246251565404236316680908203126",
    "2.2250738585072011e-308",  # around the smallest normal number
    "2.2250738585072014e-308",
    "4.9e-324",
    "2.4703282292062327e-324",  # around half the smallest number
    "2.4703282292062328e-324",
    "1.7976931348623157e308",  # around the largest number
    "1.797693134862315807e308",
    "179769313486231580" + "0" * 200 + "e91",
    "0." + "0" * 240 + "12345",
    "1" * 255,
    "3" * 20 + "e-300",
    "0e999999999999999999999",
    "1e-99999999999999999999",
    "0" * 250 + "1",
    "123456789012345678901234567890e-40",
    "8.5e22",
    "9007199254740991e22",
    "9007199254740992e-22",
    "1e23",
    "-0.0",
    "-1e-999",
]
REFUSED_DECIMALS = [
    "1.7976931348623159e308", "1e309", "1e99999999999999999999", "-1e-300", "-4.9e-324",
    "1" * 310, "1" * 256, "", ".", "e5", "1e", "1e+", "--1", "+-1", "1 2", "1d5", "0x10", "nan",
    "inf", "-inf", "infinity", "1e5e5", "1..2", "1,5", "\u0661",
]  # fmt: skip


def parsed_weights(kernels: Kernels, decimals: list[str]) -> F64:
    text = "".join(f"0|1|{decimal}\n" for decimal in decimals).encode()
    layout = EdgeFormat(spans=False, delimiter="|", columns=3, weighted=True, comments="")
    parsed = parse(kernels, text, layout)
    assert parsed.report.fault == 0
    return parsed.weights


def assert_rounded_correctly(kernels: Kernels, decimals: list[str]) -> None:
    expected = np.abs([float(decimal) for decimal in decimals])
    assert parsed_weights(kernels, decimals).tobytes() == expected.tobytes()


def test_hard_decimals_are_rounded_correctly(variant: Kernels) -> None:
    assert_rounded_correctly(variant, HARD_DECIMALS)


def test_other_decimals_are_refused(variant: Kernels) -> None:
    layout = EdgeFormat(spans=False, delimiter=";", columns=3, weighted=True, comments="")
    for decimal in REFUSED_DECIMALS:
        report = parse(variant, f"0;1;2\n0;1;{decimal}\n".encode(), layout).report
        assert report == EdgeReport(0, 2, 0, 0, WEIGHT, 1, 6)


FINITE = st.floats(min_value=0, allow_nan=False, allow_infinity=False)


@given(
    values=st.lists(st.tuples(FINITE, st.integers(0, 25)), min_size=1, max_size=20),
    halfway=st.booleans(),
)
@settings(deadline=None, max_examples=100)
def test_printed_floats_are_rounded_correctly(
    variant: Kernels, values: list[tuple[float, int]], halfway: bool
) -> None:
    """At any precision, and with a digit more, which is near the middle of two numbers."""
    decimals = [f"{value:.{digits}e}" for value, digits in values]
    if halfway:
        decimals = [decimal.replace("e", "5e", 1) for decimal in decimals]
    decimals += [repr(value) for value, _ in values]
    assert_rounded_correctly(variant, [d for d in decimals if float(d) != float("inf")])


@given(
    decimals=st.lists(
        st.from_regex(r"\A[0-9]{0,25}\.[0-9]{1,25}(e[+-]?[0-9]{1,2})?\Z"), min_size=1, max_size=20
    )
)
@settings(deadline=None, max_examples=100)
def test_any_decimals_are_rounded_correctly(variant: Kernels, decimals: list[str]) -> None:
    assert_rounded_correctly(variant, decimals)


# ---- numbering strings ----


def number_strings(kernels: Kernels, batches: list[list[bytes]]) -> tuple[list[int], list[bytes]]:
    """Numbers of all strings, and the labels; a batch is one call, of pairs of strings."""
    interner = kernels.interner()
    numbers: list[int] = []
    for batch in batches:
        ends = np.cumsum([0, *map(len, batch)], dtype=np.int64)
        spans = ends[:-1] << 32 | np.diff(ends)
        text = frozen(as_array(b"".join(batch) or b"\0"))
        first_ids, second_ids = np.empty((2, len(batch) // 2), np.uint32)
        interner.add(text, frozen(spans[::2]), frozen(spans[1::2]), first_ids, second_ids)
        numbers += np.stack([first_ids, second_ids], axis=1).ravel().tolist()
    offsets, letters = interner.labels()
    assert len(interner) == len(offsets) - 1
    assert offsets[0] == 0
    assert offsets[-1] == len(letters)
    whole = letters.tobytes()
    limits = offsets.tolist()
    labels = [whole[start:end] for start, end in pairwise(limits)]
    return numbers, labels


def assert_numbered_in_order(kernels: Kernels, batches: list[list[bytes]]) -> None:
    numbers: dict[bytes, int] = {}
    expected = [numbers.setdefault(s, len(numbers)) for batch in batches for s in batch]
    assert number_strings(kernels, batches) == (expected, list(numbers))


STRINGS = st.one_of(
    st.binary(max_size=20),
    st.text(max_size=8).map(str.encode),
    st.sampled_from([b"", b"a", b"a\0", b"a\0\0\0\0\0\0\0\0", b"12345678", b"123456789"]),
)
BATCHES = st.lists(
    st.lists(st.tuples(STRINGS, STRINGS), max_size=10).map(
        lambda pairs: [string for pair in pairs for string in pair]
    ),
    max_size=4,
)


@given(batches=BATCHES)
@settings(deadline=None, max_examples=150)
def test_interner_numbers_strings_in_order(variant: Kernels, batches: list[list[bytes]]) -> None:
    assert_numbered_in_order(variant, batches)


def test_interner_of_many_strings(variant: Kernels) -> None:
    """The table grows many times, in the middle of calls; half of the strings are repeated."""
    strings = [b"node-%d" % (i * 7919 % 40_000) for i in range(100_000)]
    assert_numbered_in_order(variant, [strings[:2], strings[2:70_000], strings[70_000:]])


def test_interner_of_long_strings(variant: Kernels) -> None:
    """One string is larger than everything that came before it."""
    strings = [b"z" * length for length in (0, 1, 100, 20_000, 500_000, 19_999, 20_000, 3_000_000)]
    assert_numbered_in_order(variant, [strings, strings[::-1]])


def test_labels_can_be_asked_for_between_calls(variant: Kernels) -> None:
    interner = variant.interner()
    assert len(interner) == 0
    assert interner.labels()[0].tolist() == [0]
    for count, text in enumerate([b"one", b"two", b"three"], start=1):
        span = np.array([len(text)], np.int64)
        ids: tuple[U32, U32] = np.empty(1, np.uint32), np.empty(1, np.uint32)
        interner.add(as_array(text), span, span, *ids)
        assert [int(i[0]) for i in ids] == [count - 1, count - 1]
        assert interner.labels()[1].tobytes().endswith(text)
        assert len(interner) == count


def test_parsed_labels_come_back_as_text(variant: Kernels) -> None:
    """From the text of an edge list to its labels, letters of several bytes among them."""
    names = ["Größe", "日本", "naïve", "🙂", "plain", "Größ", "Größe "]
    lines = [f'"{a}";"{b}"\n' for a in names for b in names]
    text = "".join(lines).encode()
    parsed = parse(variant, text, LABELS._replace(delimiter=";"))
    interner = variant.interner()
    src, dst = np.empty((2, len(lines)), np.uint32)
    interner.add(as_array(text), parsed.src, parsed.dst, src, dst)
    offsets, letters = interner.labels()
    labels = [letters[start:end].tobytes().decode() for start, end in pairwise(offsets)]
    assert labels == names
    pairs = [f'"{labels[a]}";"{labels[b]}"\n' for a, b in zip(src, dst, strict=True)]
    assert pairs == lines
