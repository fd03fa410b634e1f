"""Files of ranks: ``.csv``, ``.parquet`` and ``.npy``."""

from __future__ import annotations

import csv
import importlib
import io
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

import fastmml as fm
from fastmml._files import atomic_write

F64 = NDArray[np.float64]


def write(path: str, graph: fm.Graph, scores: F64) -> None:
    """Write scores in the form that the suffix names; the file appears when it is complete."""
    with atomic_write(path) as file:
        WRITERS[Path(path).suffix.lower()](file, graph, scores)


def check(path: str) -> None:
    """Fail before the work is done, not after, where the file cannot be written."""
    if Path(path).suffix.lower() == ".parquet":
        _parquet()
    folder = Path(path).parent
    if not folder.is_dir():
        raise NotADirectoryError(f"--output: {folder} is not a directory")


def _write_csv(file: BinaryIO, graph: fm.Graph, scores: F64) -> None:
    labels, values = _best_first(graph, scores)
    text = io.TextIOWrapper(file, encoding="utf-8", newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(("label", "score"))
    writer.writerows(zip(labels.tolist(), values.tolist(), strict=True))
    text.detach()


def _write_parquet(file: BinaryIO, graph: fm.Graph, scores: F64) -> None:
    arrow, parquet = importlib.import_module("pyarrow"), _parquet()
    labels, values = _best_first(graph, scores)
    names = labels if labels.dtype.kind == "i" else [str(label) for label in labels.tolist()]
    parquet.write_table(arrow.table({"label": names, "score": values}), file)


def _write_npy(file: BinaryIO, _graph: fm.Graph, scores: F64) -> None:
    np.save(file, scores, allow_pickle=False)


def _best_first(graph: fm.Graph, scores: F64) -> tuple[NDArray[Any], F64]:
    """Labels and scores in the order of `PageRankResult.top`."""
    order = np.argsort(-scores, kind="stable")
    return (order if graph.labels is None else graph.labels[order]), scores[order]


def _parquet() -> Any:
    try:
        return importlib.import_module("pyarrow.parquet")
    except ImportError as error:
        raise ImportError(
            "--output: a .parquet file needs pyarrow: pip install 'fastmml[arrow]'"
        ) from error


WRITERS: dict[str, Callable[[BinaryIO, fm.Graph, F64], None]] = {
    ".csv": _write_csv,
    ".parquet": _write_parquet,
    ".npy": _write_npy,
}
