"""Bytes of a file, compressed or not, in large blocks that end with a line."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import Any, BinaryIO, Protocol, cast

from fastmml.errors import GraphFormatError

#: Text parsed at once: some 30 segments for the threads, and little memory beside the graph.
BLOCK_BYTES = 8 << 20
_LONGEST_LINE = 1 << 30

Progress = Callable[[int, int | None], object]


class Readable(Protocol):
    """A binary stream that fills a buffer."""

    def readinto(self, buffer: Any, /) -> int | None:
        """Read up to the buffer's length; 0 at the end."""
        ...


def blocks(
    source: str | os.PathLike[str] | BinaryIO, progress: Progress | None
) -> Iterator[memoryview]:
    """Yield the decompressed text in blocks of whole lines (the last may lack its newline).

    A block is valid until the next one is asked for. The next block is read, and decompressed, on
    a thread of its own while the caller works on this one.
    """
    with ExitStack() as stack:
        raw, total = _open(source, stack)
        stream = _decompressed(raw, stack)
        reader = stack.enter_context(ThreadPoolExecutor(1))
        filling, idle = bytearray(BLOCK_BYTES), bytearray(BLOCK_BYTES)
        size = _fill(stream, filling, 0)
        while size:
            complete = len(filling) > size  # the stream ended before the buffer did
            end = size if complete else filling.rfind(b"\n", 0, size) + 1
            if end == 0:
                filling = _grown(filling)
                size = _fill(stream, filling, size)
                continue
            tail = filling[end:size]
            if len(idle) < len(filling):
                idle = bytearray(len(filling))
            idle[: len(tail)] = tail
            ahead = reader.submit(_fill, stream, idle, len(tail)) if not complete else None
            yield memoryview(filling)[:end]
            if progress is not None:
                progress(_position(raw), total)
            size = ahead.result() if ahead is not None else 0
            filling, idle = idle, filling


def _grown(buffer: bytearray) -> bytearray:
    """Make room for a line longer than a block."""
    if len(buffer) >= _LONGEST_LINE:
        raise GraphFormatError(f"a line is longer than {_LONGEST_LINE} bytes")
    return buffer + bytearray(len(buffer))


def _fill(stream: Readable, buffer: bytearray, start: int) -> int:
    """Read until the buffer is full or the stream ends; return how many bytes it holds."""
    with memoryview(buffer) as view:
        while start < len(view):
            count = stream.readinto(view[start:])
            if not count:
                break
            start += count
    return start


def _open(source: Any, stack: ExitStack) -> tuple[io.BufferedReader, int | None]:
    if source == "-":
        return cast(io.BufferedReader, sys.stdin.buffer), None
    if isinstance(source, (str, os.PathLike)):
        file = stack.enter_context(open(source, "rb"))
        return file, os.fstat(file.fileno()).st_size or None
    if hasattr(source, "peek"):
        return source, None
    return io.BufferedReader(source), None


def _position(raw: io.BufferedReader) -> int:
    try:
        return raw.tell()
    except OSError:
        return 0  # a pipe has no position


def _decompressed(raw: io.BufferedReader, stack: ExitStack) -> Readable:
    """Recognise compression by its first bytes, whatever the name of the file."""
    start = raw.peek(4)[:4]
    if start.startswith(b"\x1f\x8b"):
        igzip = _import("isal.igzip", ".gz")
        return cast(Readable, stack.enter_context(igzip.IGzipFile(fileobj=raw, mode="rb")))
    if start == b"\x28\xb5\x2f\xfd":
        zstandard = _import("zstandard", ".zst")
        reader = zstandard.ZstdDecompressor().stream_reader(
            raw, read_across_frames=True, closefd=False
        )
        return cast(Readable, stack.enter_context(reader))
    return raw


def compressor(suffix: str, file: BinaryIO, stack: ExitStack) -> BinaryIO:
    """Wrap a file in the compression that a suffix names, or return it as it is."""
    if suffix == ".gz":
        igzip = _import("isal.igzip", ".gz")
        return cast(BinaryIO, stack.enter_context(igzip.IGzipFile(fileobj=file, mode="wb")))
    if suffix == ".zst":
        writer = _import("zstandard", ".zst").ZstdCompressor().stream_writer(file, closefd=False)
        return cast(BinaryIO, stack.enter_context(writer))
    return file


def _import(name: str, suffix: str) -> Any:
    import importlib

    try:
        return importlib.import_module(name)
    except ImportError as error:
        package = name.partition(".")[0]
        raise ImportError(
            f'{suffix} files need {package}: pip install "fastmml[cli]"'
        ) from error
