"""``fastmml info``: what one pastes into a bug report."""

from __future__ import annotations

import importlib
import os
import platform
from importlib import metadata
from typing import Any

import numpy as np

import fastmml as fm
from fastmml._backend import has_native, kernels


def collect() -> list[tuple[str, str]]:
    """Names and values, in the order in which they are printed."""
    return [
        ("fastmml", version("fastmml")),
        ("backend", fm.backend()),
        ("CPU level", kernels().isa),
        *_native_build(),
        ("threads", f"{fm.get_num_threads()} of {os.cpu_count()} CPUs"),
        ("BLAS", _blas()),
        ("Python", f"{platform.python_version()} ({platform.python_implementation()})"),
        ("NumPy", version("numpy")),
        ("SciPy", version("scipy")),
        ("numba", version("numba")),
        ("platform", platform.platform()),
    ]


def version(package: str) -> str:
    """Version of an installed package; the package is not imported."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "not installed"


def _native_build() -> list[tuple[str, str]]:
    """What is known of the compiled kernels, in use or not."""
    if not has_native():
        return [("native kernels", "not installed")]
    native = importlib.import_module("fastmml._native")
    build: dict[str, str] = native.build_info()
    return [
        ("levels that run", " ".join(native.isa_levels())),
        ("levels built", build.get("levels", "")),
        ("OpenMP", build.get("openmp", "")),
        ("compiler", build.get("compiler", "")),
        ("build flags", build.get("flags", "").strip()),
        ("sanitizers", build.get("sanitize") or "none"),
    ]


def _blas() -> str:
    return "; ".join(_loaded_blas() or [_configured_blas()])


def _loaded_blas() -> list[str]:
    """BLAS libraries in the process, as threadpoolctl sees them; nothing without it."""
    try:
        threadpoolctl = importlib.import_module("threadpoolctl")
    except ImportError:
        return []
    pools: list[dict[str, Any]] = threadpoolctl.threadpool_info()
    return [
        f"{pool['internal_api']} {pool['version']}, {pool['num_threads']} threads"
        for pool in pools
        if pool["user_api"] == "blas"
    ]


def _configured_blas() -> str:
    """The BLAS that NumPy was built with."""
    config: dict[str, Any] = np.show_config(mode="dicts")  # type: ignore[assignment]
    blas = config.get("Build Dependencies", {}).get("blas", {})
    return f"{blas.get('name', 'unknown')} {blas.get('version', '')}".rstrip()
