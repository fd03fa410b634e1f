"""Formats of graphs by the suffixes of files; loads nothing, so that the command can ask early."""

from __future__ import annotations

import os
from typing import Any

from fastmml.errors import GraphFormatError

#: Format of a file by its suffix, a compression suffix taken off before.
SUFFIXES = {
    ".fastmml": "fastmml",
    ".npz": "npz",
    ".npy": "npy",
    ".mtx": "mtx",
    ".sg": "gap",
    ".wsg": "gap",
    ".graph": "bvgraph",
    ".txt": "edges",
    ".tsv": "edges",
    ".csv": "edges",
    ".el": "edges",
    ".wel": "edges",
    ".edges": "edges",
}
FORMATS = tuple(dict.fromkeys(SUFFIXES.values()))
#: Suffixes of the formats that are written, too.
WRITTEN = tuple(suffix for suffix, kind in SUFFIXES.items() if kind not in ("npy", "bvgraph"))
_COMPRESSIONS = (".gz", ".zst")


def suffix_of(path: str | os.PathLike[str]) -> str:
    """Return the suffix of a file's name, that of a compression taken off before."""
    stem, suffix = os.path.splitext(path)
    return os.path.splitext(stem)[1] if suffix in _COMPRESSIONS else suffix


def format_of(path: Any, format: str | None) -> str:
    """Return the format that was asked for, or the one of the path's suffix."""
    if format is not None:
        if format not in FORMATS:
            raise ValueError(f"format: expected one of {FORMATS}, got {format!r}")
        return format
    if path == "-" or not isinstance(path, (str, os.PathLike)):
        return "edges"
    suffix = suffix_of(path)
    if suffix.lower() in SUFFIXES:
        return SUFFIXES[suffix.lower()]
    raise GraphFormatError(
        f"{os.fspath(path)}: no format is known by the suffix {suffix!r}; "
        f"expected one of {', '.join(SUFFIXES)}, or format="
    )
