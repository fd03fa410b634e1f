"""Fixtures that several test modules use."""

from __future__ import annotations

import importlib
import os
from pathlib import Path

import pytest

import fastmml as fm
from fastmml import _backend
from fastmml._kernels import Kernels

# Two processes that save to one cache of numba's at once may give two versions of a function one
# name: each worker of pytest-xdist has a cache of its own, for itself and its children.
if worker := os.environ.get("PYTEST_XDIST_WORKER"):
    cache = Path(fm.__file__).parent / "_numba" / "__pycache__"
    os.environ["NUMBA_CACHE_DIR"] = str(Path(os.environ.get("NUMBA_CACHE_DIR", cache)) / worker)


def _variant_names() -> list[str]:
    """Every backend that is installed, at every CPU level that this machine runs."""
    if not _backend.has_native():
        return ["numba"]
    levels = importlib.import_module("fastmml._native").isa_levels()
    return [f"native-{isa}" for isa in levels] + ["numba"]


def _own_kernels(names: list[str]) -> list[str]:
    """Those variants that are not another one with a product of 8 bits of its own."""
    return [name for name in names if not name.endswith("_vnni")]


@pytest.fixture(scope="session", params=_own_kernels(_variant_names()))
def variant(request: pytest.FixtureRequest) -> Kernels:
    """The kernels of one backend at one CPU level."""
    name, _, isa = request.param.partition("-")
    return _backend.load(name, isa or None)


@pytest.fixture(scope="session", params=_variant_names())
def byte_variant(request: pytest.FixtureRequest) -> Kernels:
    """The same at every level that has a product of 8 bits of its own, too."""
    name, _, isa = request.param.partition("-")
    return _backend.load(name, isa or None)


@pytest.fixture(scope="session", params=_variant_names()[-2:])
def backend(request: pytest.FixtureRequest) -> Kernels:
    """The kernels of each backend at its best CPU level, for what is built on those kernels."""
    name, _, isa = request.param.partition("-")
    return _backend.load(name, isa or None)


ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="session")
def data_folder() -> Path:
    """Real data beside the checkout, or where FASTMML_DATA says."""
    folder = Path(os.environ.get("FASTMML_DATA") or ROOT.parent / "shared" / "data")
    if not folder.is_dir():
        pytest.skip(f"no data folder at {folder} (set FASTMML_DATA)")
    return folder


@pytest.fixture(scope="session", params=["debian12", "cnr-2000", "rmat-16", "rmat-20"])
def shared_graph(request: pytest.FixtureRequest) -> fm.Graph:
    """Graphs of the size that users have."""
    if request.param == "debian12":
        return fm.read_graph(ROOT / "examples" / "debian12.tsv.zst")
    if request.param == "cnr-2000":
        folder = request.getfixturevalue("data_folder")
        return fm.read_graph(folder / "cnr-2000" / "cnr-2000.npz")
    return fm.rmat(int(request.param.partition("-")[2]))
