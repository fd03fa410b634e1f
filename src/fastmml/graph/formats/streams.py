"""Bytes of a file, compressed or not, in large blocks that end with a line."""

from __future__ import annotations

import importlib
import io
import os
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import IO, Any, BinaryIO, Protocol, cast

from fastmml.errors import GraphFormatError

#: Text parsed at once, at most: some 30 segments for the threads.
BLOCK_BYTES = 8 << 20
#: A file is read in at least this many blocks, so that they take little memory beside the graph.
_BLOCKS = 64
_SMALLEST_BLOCK = 1 << 20
_LONGEST_LINE = 1 << 30
#: Bytes of a character, at most.
_MOST_UTF8 = 4
#: A file of up to so many bytes is read on one thread, a step in less than a millisecond. 10 MB of
#: names took 25 ms for 40 on two threads just after NumPy's import, and 19 for 21 later.
SMALL_BYTES = 16 << 20

Progress = Callable[[int, int | None], object]


class Readable(Protocol):
    """A binary stream that fills a buffer."""

    def readinto(self, buffer: Any, /) -> int | None:
        """Read up to the buffer's length; 0 at the end."""
        ...


class _Borrowed(io.RawIOBase):
    """A stream of a user, which stays open; what text it holds is encoded in UTF-8."""

    def __init__(self, source: Any) -> None:
        super().__init__()
        self._source = source
        self._is_text = isinstance(source.read(0), str)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any, /) -> int:
        """Read up to the buffer's length, which is that of a block; 0 at the end."""
        most = len(buffer) // _MOST_UTF8 if self._is_text else len(buffer)
        data = self._source.read(most)
        if data is None:
            raise BlockingIOError("path: expected a stream that waits for data, read() gave None")
        if len(data) > most:
            raise ValueError(f"path: expected at most {most} of read({most}), got {len(data)}")
        if self._is_text:
            data = data.encode()
        buffer[: len(data)] = data
        return len(data)


def blocks(
    source: str | os.PathLike[str] | IO[Any], progress: Progress | None
) -> Iterator[memoryview]:
    """Yield the decompressed text in blocks of whole lines (the last may lack its newline).

    A block is valid until the next one is asked for. The next block of a large or compressed file
    is made on a thread of its own while the caller works on this one; a pipe, which may stall, is
    read on the calling thread, where Ctrl-C reaches it.
    """
    with ExitStack() as stack:
        raw, total = _open(source, stack)
        stream = _decompressed(raw, stack)
        pays = total is not None and (total > SMALL_BYTES or stream is not raw)
        reader = _ReadAhead(stream, stack) if pays else None
        done = 0
        room = BLOCK_BYTES
        if total is not None:
            room = min(room, max(total // _BLOCKS, _SMALLEST_BLOCK))
        filling, idle = bytearray(room), bytearray()
        size = _fill(stream, filling, 0)
        while size:
            ended = len(filling) > size  # before the buffer was full
            end = size if ended else filling.rfind(b"\n", 0, size) + 1
            if end == 0:
                filling = _grown(filling)
                size = _fill(stream, filling, size)
                continue
            tail = filling[end:size]
            if reader is not None:
                if len(idle) < len(filling):  # or not made yet
                    idle = bytearray(len(filling))
                reader.start(idle, tail)
            yield memoryview(filling)[:end]
            done += end
            if progress is not None:
                progress(done if total is None else raw.tell(), total)
            if reader is None:
                size = _fill_behind(stream, filling, tail)
            else:
                size = reader.result()
                filling, idle = idle, filling


class _ReadAhead:
    """Fills one buffer at a time on a thread of its own, which ends before the stack closes."""

    def __init__(self, stream: Readable, stack: ExitStack) -> None:
        self._stream = stream
        self._thread: threading.Thread | None = None
        self._size = 0
        self._error: BaseException | None = None
        stack.callback(self._join)

    def start(self, buffer: bytearray, tail: bytearray) -> None:
        """Begin to fill the buffer with this and what follows in the stream."""
        thread = threading.Thread(target=self._fill, args=(buffer, tail), name="fastmml")
        thread.start()
        self._thread = thread

    def result(self) -> int:
        """Wait; return how many bytes the buffer holds, or raise what reading raised."""
        self._join()
        if self._error is not None:
            raise self._error
        return self._size

    def _fill(self, buffer: bytearray, tail: bytearray) -> None:
        try:
            self._size = _fill_behind(self._stream, buffer, tail)
        except BaseException as error:
            self._error = error

    def _join(self) -> None:
        if self._thread is not None:
            self._thread.join()


def _grown(buffer: bytearray) -> bytearray:
    """Make room for a line longer than a block."""
    if len(buffer) >= _LONGEST_LINE:
        raise GraphFormatError(f"a line is longer than {_LONGEST_LINE} bytes")
    return buffer + bytearray(len(buffer))


def _fill_behind(stream: Readable, buffer: bytearray, tail: bytearray) -> int:
    """Fill a buffer with the tail of the block before and what follows in the stream."""
    buffer[: len(tail)] = tail
    return _fill(stream, buffer, len(tail))


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
        file = stack.enter_context(open(source, "rb"))  # noqa: SIM115 (the stack closes it)
        return file, os.fstat(file.fileno()).st_size or None
    if hasattr(source, "peek"):
        return source, None
    return io.BufferedReader(_Borrowed(source)), None


class _Decompressor:
    """A compressed stream whose damage is a GraphFormatError."""

    def __init__(self, stream: Readable, error: type[Exception]) -> None:
        self._stream = stream
        import gzip
        import zlib

        self._errors = (error, EOFError, zlib.error, gzip.BadGzipFile)

    def readinto(self, buffer: Any, /) -> int | None:
        """Read up to the buffer's length; 0 at the end."""
        try:
            return self._stream.readinto(buffer)
        except self._errors as error:
            raise GraphFormatError(f"the compressed data are damaged: {error}") from error


def _decompressed(raw: io.BufferedReader, stack: ExitStack) -> Readable:
    """Recognise compression by its first bytes, whatever the name of the file."""
    start = raw.peek(4)[:4]
    if start.startswith(b"\x1f\x8b"):
        igzip = _import_igzip()
        file = stack.enter_context(igzip.IGzipFile(fileobj=raw, mode="rb"))
        return _Decompressor(file, igzip.igzip_lib.IsalError)
    if start == b"\x28\xb5\x2f\xfd":
        zstd = _import_zstd()
        return _Decompressor(stack.enter_context(zstd.ZstdFile(raw, "rb")), zstd.ZstdError)
    return raw


def write_all(file: Any, data: bytes | str) -> None:
    """Write to a user's file object, which may take a part at a time if it is raw."""
    count = file.write(data)
    if isinstance(data, str):
        return
    done, is_raw = 0, isinstance(file, io.RawIOBase)
    while count is not None and 0 < count < len(data) - done:
        done += count
        count = file.write(memoryview(data)[done:])
    if count == 0 < len(data) - done or (count is None and is_raw):
        raise BlockingIOError("path: expected a file object that waits until it can write")


def compressor(suffix: str, file: BinaryIO, stack: ExitStack) -> BinaryIO:
    """Wrap a file in the compression that a suffix names, or return it as it is."""
    if suffix == ".gz":
        return cast(
            BinaryIO, stack.enter_context(_import_igzip().IGzipFile(fileobj=file, mode="wb"))
        )
    if suffix == ".zst":
        return cast(BinaryIO, stack.enter_context(_import_zstd().ZstdFile(file, "wb")))
    return file


def _import_igzip() -> Any:
    try:
        from isal import igzip
    except ImportError as error:
        raise ImportError('.gz files need isal: pip install "fastmml[cli]"') from error
    return igzip


def _import_zstd() -> Any:
    """Import the standard library's module, or its backport to older Pythons."""
    if sys.version_info >= (3, 14):
        return importlib.import_module("compression.zstd")
    try:
        from backports import zstd
    except ImportError as error:
        raise ImportError('.zst files need backports.zstd: pip install "fastmml[cli]"') from error
    return zstd
