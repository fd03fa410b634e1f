"""Graphs that are built in files: the same, bit for bit, as those built in memory."""

from __future__ import annotations

import errno
import functools
import io
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import fastmml as fm
from fastmml import _backend
from fastmml._kernels import Kernels
from fastmml.graph import spill

IN_MEMORY = 1 << 40


def assert_same(got: fm.Graph, expected: fm.Graph) -> None:
    for name in ("indptr", "indices", "weights", "labels"):
        a, b = getattr(got, name), getattr(expected, name)
        if b is None:
            assert a is None
        else:
            assert a.dtype == b.dtype
            np.testing.assert_array_equal(a, b)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Where temporary files go; none may be left."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    yield tmp_path
    assert list(tmp_path.iterdir()) == []


@st.composite
def edge_chunks(draw: st.DrawFn) -> list[tuple[np.ndarray, ...]]:
    """Some chunks, a few edges each, with weights that tell parallel edges apart."""
    nodes = draw(st.integers(1, 200_000))
    node = st.integers(0, nodes - 1) | st.integers(0, min(nodes - 1, 3))
    sizes = draw(st.lists(st.integers(0, 12), min_size=1, max_size=6))
    weighted, number = draw(st.booleans()), 0.0
    chunks = []
    for size in sizes:
        ends = draw(st.lists(node, min_size=2 * size, max_size=2 * size))
        src, dst = np.array(ends, np.int64).reshape(2, size)
        weights = [np.arange(number, number + size)] if weighted else []
        chunks.append((src, dst, *weights))
        number += size
    return chunks


@given(chunks=edge_chunks(), max_memory=st.integers(1, 1000))
@settings(deadline=None, max_examples=60)
def test_chunks_in_files_are_chunks_in_memory(
    variant: Kernels, chunks: list[tuple[np.ndarray, ...]], max_memory: int
) -> None:
    with _backend.use_kernels(variant):
        got = fm.Graph.from_chunks(chunks, max_memory=max_memory)
        expected = fm.Graph.from_chunks(iter(chunks), max_memory=IN_MEMORY)
    assert_same(got, expected)
    whole = [np.concatenate(arrays) for arrays in zip(*chunks, strict=True)]
    assert_same(got, fm.Graph(*whole))


def many_edges(weighted: bool) -> tuple[np.ndarray, ...]:
    """Enough for several buckets; every tenth link goes to one node."""
    random = np.random.default_rng(3)
    src, dst = random.integers(0, 300_000, (2, 300_000))
    dst[::10] = 77
    return (src, dst, random.random(len(src))) if weighted else (src, dst)


@pytest.mark.parametrize("weighted", [False, True])
def test_many_ranges(variant: Kernels, weighted: bool) -> None:
    edges = many_edges(weighted)
    chunks = [[array[i::7] for array in edges] for i in range(7)]
    with _backend.use_kernels(variant):
        got = fm.Graph.from_chunks(chunks, max_memory=400_000)
        expected = fm.Graph.from_chunks(chunks, max_memory=IN_MEMORY)
    assert_same(got, expected)


IDS = {
    "dense": st.integers(0, 50),
    "with gaps": st.sampled_from([3, 5, 8, 70_000, 900_000]),
    "sparse": st.sampled_from([0, 7, 2**31, 2**32 - 1]),
    "wide": st.sampled_from([-(2**63), -1, 5, 9, 2**32, 2**63 - 1]),
    "late wide": st.integers(0, 3),
    "text": st.sampled_from(["a", "bb", "é", "c" * 40]),
}


@pytest.mark.parametrize("kind", IDS)
@given(data=st.data(), max_memory=st.integers(1, 100), weighted=st.booleans())
@settings(deadline=None, max_examples=15)
def test_read_in_files_is_read_in_memory(
    variant: Kernels, kind: str, data: st.DataObject, max_memory: int, weighted: bool
) -> None:
    pairs = data.draw(st.lists(st.tuples(IDS[kind], IDS[kind]), min_size=1, max_size=30))
    if kind == "late wide":
        pairs.append((2**40, 1))
    lines = [f"{a}\t{b}" + f"\t{i}" * weighted for i, (a, b) in enumerate(pairs)]
    text = "\n".join(lines).encode()
    with _backend.use_kernels(variant):
        got = fm.read_graph(io.BytesIO(text), max_memory=max_memory)
        expected = fm.read_graph(io.BytesIO(text), max_memory=IN_MEMORY)
    assert_same(got, expected)


def test_text_in_many_blocks(folder: Path) -> None:
    src, dst = many_edges(weighted=False)
    lines = "".join(f"{a} {b}\n" for a, b in zip(src, dst, strict=True)).encode()
    calls: list[tuple[int, int | None]] = []
    got = fm.read_graph(
        io.BytesIO(lines), max_memory=500_000, progress=lambda *done: calls.append(done)
    )
    assert_same(got, fm.read_graph(io.BytesIO(lines), max_memory=IN_MEMORY))
    moved = [(done, total) for done, total in calls if total is not None]
    assert len(moved) > 3
    assert moved == sorted(moved)
    assert moved[-1][0] == moved[-1][1]


@pytest.mark.parametrize("scale", [0, 5, 16])
def test_rmat_in_files_is_rmat_in_memory(variant: Kernels, scale: int) -> None:
    with _backend.use_kernels(variant):
        got = fm.rmat(scale, edge_factor=3, seed=4, max_memory=1 << scale)
        assert_same(got, fm.rmat(scale, edge_factor=3, seed=4, max_memory=IN_MEMORY))


def test_arrays_are_mapped_and_usable(folder: Path) -> None:
    built = fm.rmat(12, max_memory=100_000)
    assert not built.indices.flags.owndata
    assert not built.indices.flags.writeable
    expected = fm.pagerank(fm.rmat(12)).scores
    np.testing.assert_array_equal(fm.pagerank(built).scores, expected)


def test_saved_and_loaded(tmp_path: Path) -> None:
    fm.rmat(12, max_memory=100_000).save(tmp_path / "g.fastmml")
    assert_same(fm.read_graph(tmp_path / "g.fastmml"), fm.rmat(12))
    assert [path.name for path in tmp_path.iterdir()] == ["g.fastmml"]


@pytest.mark.parametrize("wrong", [0, -1])
def test_max_memory_is_positive(wrong: int) -> None:
    with pytest.raises(ValueError, match="max_memory"):
        fm.rmat(2, max_memory=wrong)
    with pytest.raises(ValueError, match="max_memory"):
        fm.read_graph(io.BytesIO(b"1 2"), max_memory=wrong)


def test_max_memory_is_an_int() -> None:
    with pytest.raises(TypeError, match="max_memory"):
        fm.Graph.from_chunks([], max_memory=1.5)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("chunks", "error", "words"),
    [
        ([([0], [1]), ([0], [1], [1.0])], ValueError, "expected 2 arrays each, or 3 each"),
        ([([0],)], ValueError, "got 1"),
        ([([0, 1], [1])], ValueError, "dst: expected 2 values"),
        ([([0], [1], [1.0, 2.0])], ValueError, "weights: expected 1 values"),
        ([([0], [2**32])], ValueError, "32-bit"),
        ([([0], [1], [-1.0])], ValueError, "weights: expected finite values"),
        ([([0.5], [1])], TypeError, "src: expected integer"),
    ],
)
def test_chunks_refused(chunks: object, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        fm.Graph.from_chunks(chunks)  # type: ignore[arg-type]


def test_no_chunks() -> None:
    assert repr(fm.Graph.from_chunks([])) == "Graph(num_nodes=0, num_edges=0)"
    assert fm.Graph.from_chunks([([], [])], num_nodes=3).num_nodes == 3


# ---- what is left when something goes wrong ----


FULL = """
import resource, signal, sys
import fastmml as fm

signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 16, 1 << 16))
try:
    fm.rmat(14, max_memory=1000)
except OSError as error:
    print(error.errno, error.filename)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="limits a file's size the POSIX way")
def test_a_full_disk_is_an_oserror_that_names_the_folder(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", FULL],
        env={**os.environ, "TMPDIR": str(tmp_path)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.split() == [str(errno.EFBIG), str(tmp_path)]
    assert list(tmp_path.iterdir()) == []


def test_no_folder_for_temporary_files(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "missing"))
    with pytest.raises(FileNotFoundError, match="missing"):
        fm.rmat(8, max_memory=100)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_no_space_left(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    full = functools.partial(open, "/dev/full", "r+b", buffering=0)
    monkeypatch.setattr(tempfile, "TemporaryFile", full)
    with pytest.raises(OSError, match="No space left") as caught:
        fm.rmat(8, max_memory=100)
    assert caught.value.filename == str(folder)


LONG = """
import tempfile
import fastmml as fm

class Chunks:
    def __iter__(self):
        print("ready", flush=True)
        while True:
            yield [1, 2, 3], [4, 5, 6]

try:
    fm.Graph.from_chunks(Chunks(), max_memory=1)
except KeyboardInterrupt:
    print("interrupted", flush=True)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no Ctrl-C to a single process")
def test_control_c_leaves_no_files(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", LONG],
        env={**os.environ, "TMPDIR": str(tmp_path)},
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        time.sleep(0.2)
        process.send_signal(signal.SIGINT)
        answer, _ = process.communicate(timeout=60)
    assert answer == "interrupted\n"
    assert list(tmp_path.iterdir()) == []


def test_a_chunk_that_fails_leaves_no_files(folder: Path) -> None:
    def chunks() -> Iterator[tuple[list[int], list[int]]]:
        yield [1, 2], [3, 4]
        raise RuntimeError("stop")

    with pytest.raises(RuntimeError, match="stop"):
        fm.Graph.from_chunks(chunks(), max_memory=1)


def test_half_of_the_free_memory_is_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spill._memory, "available", lambda: 2000)
    assert spill.budget(None) == 1000
    assert_same(fm.rmat(10), fm.rmat(10, max_memory=IN_MEMORY))
