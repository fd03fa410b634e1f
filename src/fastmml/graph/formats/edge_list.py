"""Edge lists: lines of source, target and perhaps a weight."""

from __future__ import annotations

import codecs
import io
import os
from contextlib import ExitStack
from itertools import pairwise
from typing import IO, Any, NamedTuple

import numpy as np

from fastmml._backend import get_num_threads, kernels, one_thread
from fastmml._files import atomic_write
from fastmml._kernels import F64, I64, LINE_FAULTS, U8, EdgeFormat, EdgeReport
from fastmml.errors import GraphFormatError
from fastmml.graph.collect import IntegerIds, TextIds
from fastmml.graph.formats import streams
from fastmml.graph.graph import Graph

_NOT_AN_INTEGER = 2  #: the key in LINE_FAULTS
_SHOWN_CHARACTERS = 80
_BOM = b"\xef\xbb\xbf"
#: Lines of the text that tell its form: the first ones that are neither blank nor comments.
_SNIFFED_LINES = 2


class Options(NamedTuple):
    """How to read an edge list; see `fastmml.read_graph`."""

    delimiter: str | None
    header: bool | None
    weighted: bool | None
    ids: str
    comments: str
    num_nodes: int | None
    max_memory: int  #: bytes that edges may take

    def check(self) -> None:
        """Refuse what no text can have."""
        if self.ids not in ("auto", "int", "str"):
            raise ValueError(f"ids: expected 'auto', 'int' or 'str', got {self.ids!r}")
        if self.delimiter is not None and (
            len(self.delimiter) != 1 or self.delimiter in '\n\r"' or not self.delimiter.isascii()
        ):
            raise ValueError(f"delimiter: expected one ASCII character, got {self.delimiter!r}")
        allowed = self.comments.isascii() and self.comments.isprintable()
        if len(self.comments) > 7 or not allowed or any(c in "0123456789 " for c in self.comments):
            raise ValueError(
                "comments: expected at most 7 visible ASCII characters, no digits, "
                f"got {self.comments!r}"
            )


def read(source: str | os.PathLike[str] | IO[Any], options: Options, progress: Any) -> Graph:
    """Read a graph from an edge list."""
    options.check()
    reader = _Reader(_name_of(source), options)
    try:
        with one_thread(_is_small(source)):
            for block in streams.blocks(source, progress):
                reader.take(np.frombuffer(block, np.uint8))
            return reader.finish(progress)
    except (ValueError, OverflowError) as error:
        if isinstance(error, GraphFormatError) and str(error).startswith(_name_of(source)):
            raise
        raise GraphFormatError(f"{_name_of(source)}: {error}") from error


def _is_small(source: Any) -> bool:
    if not isinstance(source, (str, os.PathLike)) or not os.path.isfile(source):
        return False
    return os.path.getsize(source) <= streams.SMALL_BYTES


def _name_of(source: Any) -> str:
    if source == "-":
        return "standard input"
    if isinstance(source, (str, os.PathLike)):
        return os.fspath(source)
    return str(getattr(source, "name", "stream"))


class _Reader:
    """Parses blocks of text; knows the form of the lines once it has seen the first ones."""

    def __init__(self, name: str, options: Options) -> None:
        self._name, self._options = name, options
        self._format: EdgeFormat | None = None
        self._lines = 0
        self._integers = IntegerIds(options.num_nodes, options.max_memory)
        self._texts: TextIds | None = None
        self._src, self._dst = np.empty(0, np.int64), np.empty(0, np.int64)
        self._weights: F64 | None = None

    def take(self, text: U8) -> None:
        """Parse a block of whole lines."""
        if self._lines == 0 and bytes(text[:3]) == _BOM:
            text = text[3:]
        if self._format is None:
            skipped = self._sniff(text)
            text = text[skipped:]
        if self._format is not None:
            self._parse(text)
        else:
            self._lines += int(np.count_nonzero(text == ord("\n")))

    def finish(self, progress: Any) -> Graph:
        """Make the graph of all blocks."""
        if self._texts is not None:
            return Graph.from_rows(*self._texts.finish(self._options.num_nodes, progress))
        return Graph.from_rows(*self._integers.finish(progress))

    def _parse(self, text: U8) -> None:
        assert self._format is not None
        report = self._parse_into_buffers(text)
        first_block = self._options.ids == "auto" and not self._has_edges()
        if report.fault == _NOT_AN_INTEGER and first_block:
            self._format = self._format._replace(spans=True)
            report = self._parse_into_buffers(text)
        if report.fault:
            raise self._line_error(text, report)
        self._lines += report.lines
        self._collect(text, report)

    def _has_edges(self) -> bool:
        return self._texts is not None or self._integers.has_edges

    def _parse_into_buffers(self, text: U8) -> EdgeReport:
        """Parse; when the buffers are too small the report says how large they must be."""
        assert self._format is not None
        while True:
            report = kernels().parse_edges(
                text, self._format, self._src, self._dst, self._weights, get_num_threads()
            )
            if report.lines <= len(self._src):
                return report
            room = report.lines + report.lines // 8
            self._src, self._dst = np.empty(room, np.int64), np.empty(room, np.int64)
            self._weights = np.empty(room) if self._format.weighted else None

    def _collect(self, text: U8, report: EdgeReport) -> None:
        assert self._format is not None
        if report.edges == 0:
            return
        src, dst = self._src[: report.edges], self._dst[: report.edges]
        weights = None if self._weights is None else self._weights[: report.edges]
        if not self._format.spans:
            self._integers.add_within(src, dst, weights, report.min_id, report.max_id)
            return
        if self._texts is None:
            self._texts = TextIds(self._options.max_memory)
        self._texts.add(text, src, dst, weights)

    def _line_error(self, text: U8, report: EdgeReport) -> GraphFormatError:
        assert self._format is not None
        line = bytes(text[report.fault_offset : report.fault_offset + 4 * _SHOWN_CHARACTERS])
        shown = line.split(b"\n", 1)[0].rstrip(b"\r").decode(errors="replace")
        if len(shown) > _SHOWN_CHARACTERS:
            shown = shown[:_SHOWN_CHARACTERS] + "..."
        reason = LINE_FAULTS[report.fault].format(columns=self._format.columns)
        hint = ""
        if report.fault == _NOT_AN_INTEGER and self._options.ids == "auto":
            hint = " (earlier ones are; ids='str' reads all ids as text)"
        number = self._lines + report.fault_line + 1
        return GraphFormatError(f"{self._name}, line {number}: {reason}{hint}: {shown!r}")

    # ---- what the first lines tell ----

    def _sniff(self, text: U8) -> int:
        """Find the form of the lines; return how many bytes a header and what precedes it take."""
        lines = self._first_lines(text)
        if not lines:
            return 0
        options = self._options
        delimiter = options.delimiter or _guess_delimiter(lines[0][0], self._name)
        rows = [_split(line, delimiter) for line, _ in lines]
        header = options.header
        if header is None:
            header = len(rows) > 1 and not _has_integer_ids(rows[0]) and _has_integer_ids(rows[1])
        model = rows[1] if header and len(rows) > 1 else rows[0]
        weighted = len(model) == 3 if options.weighted is None else options.weighted
        if len(model) > 3 and options.weighted is None:
            raise GraphFormatError(
                f"{self._name}: the first line has {len(model)} columns; "
                "say with weighted= whether the third is a weight"
            )
        columns = max(len(model), 3 if weighted else 2)
        spans = options.ids == "str" or (options.ids == "auto" and not _has_integer_ids(model))
        self._format = EdgeFormat(spans, delimiter, columns, weighted, options.comments)
        if not header:
            return 0
        end = lines[0][1]
        self._lines += int(np.count_nonzero(text[:end] == ord("\n")))
        return end

    def _first_lines(self, text: U8) -> list[tuple[str, int]]:
        """First lines that are neither blank nor comments, and where each ends in the text."""
        found: list[tuple[str, int]] = []
        data, start = text.data, 0
        while start < len(text) and len(found) < _SNIFFED_LINES:
            end = _line_end(data, start)
            line = bytes(data[start:end]).decode(errors="replace").strip()
            if line and line[0] not in self._options.comments:
                found.append((line, end))
            start = end
        return found


def _line_end(data: memoryview, start: int) -> int:
    """Where the line that starts here ends, newline included."""
    step = 1 << 12
    for at in range(start, len(data), step):
        newline = bytes(data[at : at + step]).find(b"\n")
        if newline >= 0:
            return at + newline + 1
    return len(data)


def _guess_delimiter(line: str, name: str) -> str:
    plain = name.removesuffix(".gz").removesuffix(".zst")
    if plain.endswith(".tsv") and "\t" in line:
        return "\t"
    return next((candidate for candidate in ",;" if candidate in line), " ")


def _split(line: str, delimiter: str) -> list[str]:
    if delimiter == " ":
        return line.split()
    if '"' not in line:
        return [field.strip() for field in line.split(delimiter)]
    return [field.strip() for field in _split_quoted(line, delimiter)]


def _split_quoted(line: str, delimiter: str) -> list[str]:
    import csv

    try:
        return next(csv.reader([line], delimiter=delimiter, skipinitialspace=True))
    except csv.Error as error:
        raise ValueError(str(error)) from error


def _has_integer_ids(fields: list[str]) -> bool:
    return all(field.lstrip("+-").isdecimal() and field.isascii() for field in fields[:2])


def write(graph: Graph, target: str | os.PathLike[str] | IO[Any]) -> None:
    """Write one line an edge: source, target and, if there are weights, the weight."""
    if not isinstance(target, (str, os.PathLike)):
        _write_lines(graph, target, "\t", is_text=_is_text(target))
        return
    stem, suffix = os.path.splitext(target)
    delimiter = "," if ".csv" in (suffix, os.path.splitext(stem)[1]) else "\t"
    with atomic_write(target) as file, ExitStack() as stack:
        _write_lines(graph, streams.compressor(suffix, file, stack), delimiter, is_text=False)


def _write_lines(graph: Graph, file: IO[Any], delimiter: str, is_text: bool) -> None:
    from fastmml.graph import convert

    pa = convert.import_pyarrow("writing edge lists")
    from pyarrow import csv as pa_csv

    options = pa_csv.WriteOptions(
        include_header=False, delimiter=delimiter, quoting_style=_quoting(graph, delimiter)
    )
    for batch in _batches(pa, graph):
        sink = pa.BufferOutputStream()
        pa_csv.write_csv(batch, sink, options)
        lines = sink.getvalue().to_pybytes()
        streams.write_all(file, lines.decode() if is_text else lines)


def _is_text(file: Any) -> bool:
    """Whether a file object takes text; those of codecs do not name its encoding."""
    return hasattr(file, "encoding") or isinstance(file, (io.TextIOBase, codecs.StreamWriter))


def _quoting(graph: Graph, delimiter: str) -> str:
    """Refuse labels that no reader could tell apart again."""
    if graph.labels is None or graph.labels.dtype.kind == "i":
        return "none"
    words = [str(label) for label in graph.labels.tolist()]
    if any("\n" in word or "\r" in word or '"' in word or word.strip() != word for word in words):
        raise ValueError("labels: line ends, quotes and outer blanks cannot be written as text")
    if "" in words or any(word[0] in "#%" for word in words if word):
        raise ValueError("labels: empty ones and ones that start a comment cannot be written")
    return "needed" if any(delimiter in word for word in words) else "none"


def _batches(pa: Any, graph: Graph) -> Any:
    """Record batches of edges, some rows of the graph at a time."""
    names = graph.labels
    bounds = _row_cuts(graph.indptr)
    for start, end in pairwise(bounds):
        first, last = graph.indptr[start], graph.indptr[end]
        src = graph.indices[first:last].astype(np.int64)
        dst = np.repeat(np.arange(start, end), np.diff(graph.indptr[start : end + 1]))
        columns = [src, dst]
        if names is not None:
            columns = [names[src], names[dst]]
        arrays = [
            pa.array(column if column.dtype.kind == "i" else [str(v) for v in column.tolist()])
            for column in columns
        ]
        if graph.weights is not None:
            arrays.append(pa.array(graph.weights[first:last]))
        yield pa.RecordBatch.from_arrays(arrays, ["src", "dst", "weight"][: len(arrays)])


def _row_cuts(indptr: I64) -> list[int]:
    """Rows at which to cut so that batches have about a million links."""
    edges = int(indptr[-1])
    marks = np.arange(0, edges, 1 << 20)
    cuts = np.searchsorted(indptr, marks, side="left")
    return [int(cut) for cut in np.unique(np.append(cuts, len(indptr) - 1))]
