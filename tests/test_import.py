"""Importing fastmml is cheap, and says so when the compiled kernels are missing."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from fastmml import _backend

OPTIONAL = [
    "numba",
    "networkx",
    "pandas",
    "polars",
    "pyarrow",
    "rich",
    "isal",
    "backports.zstd",
]

#: Stands before a script: the compiled kernels are not to be had.
WITHOUT_NATIVE = "import sys; sys.modules['fastmml._native'] = None\n"


def python(script: str, **variables: str) -> subprocess.CompletedProcess[str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("FASTMML_")}
    command = [sys.executable, "-W", "always", "-c", script]
    return subprocess.run(
        command, env=kept | variables, capture_output=True, text=True, check=False
    )


@pytest.mark.skipif(not _backend.has_native(), reason="needs the native backend")
def test_import_loads_nothing_that_it_may_not_need() -> None:
    done = python("import json, sys, fastmml; print(json.dumps(list(sys.modules)))")
    assert done.stderr == ""
    assert [name for name in OPTIONAL if name in json.loads(done.stdout)] == []


def test_native_kernels_never_load_numba() -> None:
    if not _backend.has_native():
        pytest.skip("needs the native backend")
    done = python(
        "import sys, fastmml as fm; fm.pagerank(fm.rmat(6)); print('numba' in sys.modules)"
    )
    assert done.stdout == "False\n"


def test_pure_python_fallback_warns_once() -> None:
    script = "import fastmml as fm; fm.pagerank(fm.rmat(5)); fm.pagerank(fm.rmat(5))"
    done = python(WITHOUT_NATIVE + script + "; print(fm.backend())")
    assert done.stdout == "numba\n"
    assert done.stderr.count("RuntimeWarning") == 1
    assert "Install a C compiler" in done.stderr


def test_numba_on_purpose_does_not_warn() -> None:
    script = WITHOUT_NATIVE + "import fastmml as fm; fm.pagerank(fm.rmat(5)); print(fm.backend())"
    done = python(script, FASTMML_BACKEND="numba")
    assert (done.stdout, done.stderr) == ("numba\n", "")


def test_native_on_purpose_never_falls_back() -> None:
    done = python(WITHOUT_NATIVE + "import fastmml as fm; fm.backend()", FASTMML_BACKEND="native")
    assert done.returncode != 0
    assert "ImportError" in done.stderr or "ModuleNotFoundError" in done.stderr


@pytest.mark.parametrize(
    ("variable", "value"), [("FASTMML_BACKEND", "fortran"), ("FASTMML_ISA", "x86_v9")]
)
def test_wrong_environment_is_refused(variable: str, value: str) -> None:
    if variable == "FASTMML_ISA" and not _backend.has_native():
        pytest.skip("needs the native backend")
    done = python("import fastmml as fm; fm.backend()", **{variable: value})
    assert done.returncode != 0
    assert value in done.stderr
    assert "expected one of" in done.stderr
