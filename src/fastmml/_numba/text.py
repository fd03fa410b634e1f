"""Edge-list text to arrays of edges; csrc/io/edge_list.c explains the method.

The text is cut at line ends into segments that do not depend on the number of threads. Counting
the lines of every segment tells where its edges go, so that segments are parsed apart.
"""

from __future__ import annotations

import numpy as np

from fastmml._kernels import F64, I64, U8, EdgeFormat, EdgeReport
from fastmml._numba._jit import jit, readonly, signed
from fastmml._numba.decimal import DIGIT_0, REFUSED, parse_integer, parse_weight
from fastmml._threads import run_blocks

#: Text of a segment: 1 to 3 milliseconds of parsing.
SEGMENT_BYTES = 256 * 1024
#: Segments in one call.
SEGMENTS_AT_ONCE = 8

#: Keys of `fastmml._kernels.LINE_FAULTS`.
WRONG_COLUMNS = 1
BAD_WEIGHT = 4
BAD_QUOTE = 5

NEWLINE, RETURN, SPACE, TAB, QUOTE = (ord(c) for c in '\n\r \t"')
#: Integers of at most this many digits need no check for overflow.
SAFE_DIGITS = 18
LEAST_ID, LARGEST_ID = -(2**63), 2**63 - 1

#: Columns of the table of segments.
EDGES, MIN_ID, MAX_ID, FAULT, FAULT_LINE, FAULT_OFFSET = range(6)


# ---- one line ----


@jit
def _is_blank(letter: int, delimiter: int) -> bool:
    return letter == SPACE or (letter == TAB and delimiter != TAB)


@jit
def _skip_blanks(text: U8, at: int, end: int, delimiter: int) -> int:
    while at < end and _is_blank(text[at], delimiter):
        at += 1
    return at


@jit
def _find(text: U8, at: int, end: int, letter: int) -> int:
    while at < end and text[at] != letter:
        at += 1
    return at


@jit
def _take_quoted(text: U8, at: int, end: int, delimiter: int) -> tuple[int, int]:
    """Return where the text in quotes ends, and where the field does (-1: malformed)."""
    close = _find(text, at, end, QUOTE)
    if close == end:
        return end, -1
    stop = _skip_blanks(text, close + 1, end, delimiter)
    return close, stop if stop == end or text[stop] == delimiter else -1


@jit
def _take_plain(text: U8, at: int, end: int, delimiter: int) -> tuple[int, int]:
    """Return where the text ends, blanks behind it left out, and where the field does."""
    stop = at
    if delimiter == SPACE:
        while stop < end and not _is_blank(text[stop], SPACE):
            stop += 1
    else:
        stop = _find(text, at, end, delimiter)
    last = stop
    while last > at and _is_blank(text[last - 1], delimiter):
        last -= 1
    return last, stop


@jit
def _split_fields(text: U8, at: int, end: int, delimiter: int, columns: int, fields: I64) -> int:
    """Split [at, end) into exactly ``columns`` fields; keep where the first three start and end."""
    for column in range(columns):
        at = _skip_blanks(text, at, end, delimiter)
        if delimiter != SPACE and at < end and text[at] == QUOTE:
            start = at + 1
            last, at = _take_quoted(text, start, end, delimiter)
        else:
            start = at
            last, at = _take_plain(text, start, end, delimiter)
        if at < 0:
            return BAD_QUOTE
        if column < len(fields):
            fields[column, 0], fields[column, 1] = start, last
        if delimiter == SPACE:
            at = _skip_blanks(text, at, end, delimiter)
        if at == end:
            return 0 if column + 1 == columns else WRONG_COLUMNS
        if delimiter != SPACE:
            at += 1
    return WRONG_COLUMNS


@jit
def _parse_id(text: U8, start: int, end: int, spans: bool) -> tuple[int, int]:
    """Return a fault (0: none) and the id."""
    if start == end:
        return WRONG_COLUMNS, 0
    if spans:
        return 0, start << 32 | (end - start)
    return parse_integer(text, start, end)


@jit
def _parse_line(
    text: U8,
    at: int,
    end: int,
    spans: bool,
    delimiter: int,
    columns: int,
    fields: I64,
    src: I64,
    dst: I64,
    weights: F64 | None,
    edge: int,
) -> int:
    """Parse the line [at, end) to a place of the outputs; return a fault, or 0."""
    fault = _split_fields(text, at, end, delimiter, columns, fields)
    if fault == 0:
        fault, src[edge] = _parse_id(text, fields[0, 0], fields[0, 1], spans)
    if fault == 0:
        fault, dst[edge] = _parse_id(text, fields[1, 0], fields[1, 1], spans)
    if weights is not None and fault == 0:
        weight = parse_weight(text, fields[2, 0], fields[2, 1])
        weights[edge] = weight
        fault = BAD_WEIGHT if weight == REFUSED else 0
    return fault


@jit
def _is_skipped(text: U8, at: int, end: int, delimiter: int, comments: U8) -> bool:
    at = _skip_blanks(text, at, end, delimiter)
    skipped = at == end
    for letter in comments:
        skipped = skipped or text[at] == letter
    return skipped


# ---- the short path: two integers, one delimiter, a newline ----


@jit
def _take_safe_digits(text: U8, at: int) -> tuple[int, int]:
    """Return where at most 18 digits end (-1: none, or more of them) and their value.

    A newline stands at or behind ``at``, so the digits end.
    """
    start, value = at, 0
    digit = signed(text[at]) - DIGIT_0
    while 0 <= digit <= 9:
        value = value * 10 + digit
        at += 1
        digit = signed(text[at]) - DIGIT_0
    return at if 0 < at - start <= SAFE_DIGITS else -1, value


@jit
def _parse_plain_line(text: U8, at: int, delimiter: int) -> tuple[int, int, int]:
    """Return where the next line starts (-1: this one is not of that form) and the two ids."""
    at, source = _take_safe_digits(text, at)
    if at < 0 or not (text[at] == delimiter or (delimiter == SPACE and text[at] == TAB)):
        return -1, 0, 0
    at, target = _take_safe_digits(text, at + 1)
    if at < 0 or text[at] != NEWLINE:
        return -1, 0, 0
    return at + 1, source, target


# ---- segments ----


@jit
def _cut_segments(text: U8, cuts: I64) -> None:
    """``cuts[s]`` is the first line start at or behind ``s * SEGMENT_BYTES``."""
    at = 0
    for s in range(len(cuts)):
        if at < s * SEGMENT_BYTES:
            at = min(_find(text, s * SEGMENT_BYTES - 1, len(text), NEWLINE) + 1, len(text))
        cuts[s] = at


@jit
def _count_lines(first: int, last: int, text: U8, cuts: I64, lines: I64) -> None:
    for s in range(first, last):
        start, end = cuts[s], cuts[s + 1]
        count = 0
        for letter in text[start:end]:
            count += letter == NEWLINE
        lines[s] = count + (end > start and text[end - 1] != NEWLINE)


@jit
def _parse_segment(
    text: U8,
    at: int,
    end: int,
    first_line: int,
    spans: bool,
    delimiter: int,
    columns: int,
    comments: U8,
    src: I64,
    dst: I64,
    weights: F64 | None,
    report: I64,
) -> None:
    """Parse lines to places ``first_line, ...`` of the outputs."""
    plain = not spans and columns == 2 and end > at and text[end - 1] == NEWLINE
    fields = np.empty((3, 2), np.int64)
    edge, line = first_line, first_line
    low, high = LARGEST_ID, LEAST_ID
    following = -1
    while at < end:
        if plain:
            following, src[edge], dst[edge] = _parse_plain_line(text, at, delimiter)
        if not plain or following < 0:
            stop = _find(text, at, end, NEWLINE)
            following = min(stop + 1, end)
            if stop > at and text[stop - 1] == RETURN:
                stop -= 1
            if _is_skipped(text, at, stop, delimiter, comments):
                at = following
                line += 1
                continue
            fault = _parse_line(
                text, at, stop, spans, delimiter, columns, fields, src, dst, weights, edge
            )
            if fault != 0:
                report[FAULT], report[FAULT_LINE], report[FAULT_OFFSET] = fault, line, at
                return
        low, high = min(low, src[edge], dst[edge]), max(high, src[edge], dst[edge])
        edge += 1
        line += 1
        at = following
    report[EDGES], report[MIN_ID], report[MAX_ID] = edge - first_line, low, high


@jit
def _parse_segments(
    first: int,
    last: int,
    text: U8,
    cuts: I64,
    first_lines: I64,
    spans: bool,
    delimiter: int,
    columns: int,
    comments: U8,
    src: I64,
    dst: I64,
    weights: F64 | None,
    reports: I64,
) -> None:
    for s in range(first, last):
        _parse_segment(
            text,
            cuts[s],
            cuts[s + 1],
            first_lines[s],
            spans,
            delimiter,
            columns,
            comments,
            src,
            dst,
            weights,
            reports[s],
        )


def _close_gaps(counts: I64, first_lines: I64, columns: list[I64 | F64]) -> int:
    """Move the edges of the segments together, where comments left gaps; return their number."""
    edges = 0
    for count, start in zip(counts.tolist(), first_lines.tolist(), strict=True):
        if start != edges:
            for column in columns:
                column[edges : edges + count] = column[start : start + count]
        edges += count
    return edges


def parse_edges(
    text: U8, format: EdgeFormat, src: I64, dst: I64, weights: F64 | None, threads: int
) -> EdgeReport:
    """See `fastmml._kernels.Kernels.parse_edges`."""
    letters = readonly(text)
    segments = len(text) // SEGMENT_BYTES + 1
    cuts = np.empty(segments + 1, np.int64)
    _cut_segments(letters, cuts)
    lines = np.empty(segments, np.int64)
    run_blocks(
        lambda first, last: _count_lines(first, last, letters, cuts, lines),
        segments,
        threads,
        SEGMENTS_AT_ONCE,
    )
    total = int(lines.sum())
    if total > len(src):
        return EdgeReport(0, total, 0, 0, 0, 0, 0)
    first_lines = np.cumsum(lines) - lines
    reports = np.zeros((segments, 6), np.int64)
    if not format.weighted:
        weights = None
    layout = (
        format.spans,
        ord(format.delimiter),
        format.columns,
        readonly(np.frombuffer(format.comments.encode("latin-1"), np.uint8)),
    )

    def work(first: int, last: int) -> None:
        _parse_segments(
            first, last, letters, cuts, first_lines, *layout, src, dst, weights, reports
        )

    run_blocks(work, segments, threads, SEGMENTS_AT_ONCE)
    faulty = np.flatnonzero(reports[:, FAULT])
    if len(faulty):
        fault, line, offset = reports[faulty[0], FAULT:].tolist()
        return EdgeReport(0, total, 0, 0, fault, line, offset)
    columns: list[I64 | F64] = [src, dst] if weights is None else [src, dst, weights]
    edges = _close_gaps(reports[:, EDGES], first_lines, columns)
    if edges == 0 or format.spans:
        return EdgeReport(edges, total, 0, 0, 0, 0, 0)
    used = reports[reports[:, EDGES] > 0]
    low, high = int(used[:, MIN_ID].min()), int(used[:, MAX_ID].max())
    return EdgeReport(edges, total, low, high, 0, 0, 0)
