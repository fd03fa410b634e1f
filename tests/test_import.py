"""What is imported when, and what is said where the compiled kernels are missing."""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import fastmml as fm
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
    "sklearn",
]

#: What ranking a small text does not need, unless NumPy itself imports it.
NOT_FOR_RANKING = [
    *OPTIONAL,
    *("asyncio", "concurrent", "csv", "gzip", "importlib.metadata", "json", "logging"),
    *("multiprocessing", "pathlib", "scipy", "shutil", "subprocess", "tempfile", "urllib"),
    *("zipfile", "zlib"),
    *(f"fastmml.graph.formats.{name}" for name in ("bvgraph", "gap", "matrix_market")),
    *(f"fastmml.graph.formats.{name}" for name in ("numpy_files", "saved", "vertices")),
    *(f"fastmml.graph.{name}" for name in ("convert", "katz", "local_pagerank", "out_links")),
    *(f"fastmml.graph.{name}" for name in ("power_iteration", "rmat", "spectral")),
    *("fastmml._numba", "fastmml.integrations"),
]

#: Programs that rank the file named by their argument.
RANKING = {
    "in Python": "fm.pagerank(fm.read_graph(sys.argv[1])).top(3)",
    "command": """
from fastmml.cli import main
try:
    main(["pagerank", sys.argv[1], "--top", "3"])
except SystemExit as end:
    assert end.code == 0
""",
}

#: Stands before a script: the compiled kernels are not to be had.
WITHOUT_NATIVE = "import sys; sys.modules['fastmml._native'] = None\n"


def python(script: str, *arguments: object, **variables: str) -> subprocess.CompletedProcess[str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("FASTMML_")}
    command = [sys.executable, "-W", "always", "-c", script, *map(str, arguments)]
    return subprocess.run(
        command, env=kept | variables, capture_output=True, text=True, check=False
    )


def imported(before: str, after: str, *arguments: object) -> set[str]:
    """Modules that the second part of a script imported."""
    show = "print(json.dumps(list(sys.modules.keys() - loaded)))"
    script = f"import json, sys\n{before}\nloaded = set(sys.modules)\n{after}\n{show}"
    done = python(script, *arguments)
    assert done.returncode == 0, done.stderr
    return set(json.loads(done.stdout.splitlines()[-1]))


def test_import_loads_nothing() -> None:
    found = imported("", "import fastmml")
    heavy = {"fastmml", "numpy", "scipy", *OPTIONAL}  # the hook of an editable install is not ours
    assert {name for name in found if name.partition(".")[0] in heavy} == {"fastmml"}


@pytest.mark.skipif(not _backend.has_native(), reason="needs the native backend")
@pytest.mark.parametrize("program", RANKING)
def test_ranking_a_text_loads_what_it_needs(tmp_path: Path, program: str) -> None:
    path = tmp_path / "links.tsv"
    path.write_text("leaf\thub\nmate\thub\nhub\tmate\n")
    # An editable install rebuilds at the first import, with modules of its own.
    before = "import numpy, fastmml as fm; from fastmml import _backend; _backend.has_native()"
    found = imported(before, RANKING[program], path)
    assert [name for name in NOT_FOR_RANKING if name in found] == []
    assert "fastmml.graph.gauss_seidel" in found


def test_every_public_name_is_there() -> None:
    script = """
from fastmml import *
import fastmml
assert set(fastmml.__all__) <= set(dir(fastmml))
assert all(globals()[name] is getattr(fastmml, name) for name in fastmml.__all__)
"""
    assert python(script, FASTMML_BACKEND="numba").stderr == ""


def test_type_checkers_see_every_public_name() -> None:
    stub = Path(fm.__file__).with_suffix(".pyi").read_text()
    imports = [node for node in ast.parse(stub).body if isinstance(node, ast.ImportFrom)]
    seen = {alias.asname: node.module for node in imports for alias in node.names}
    assert seen == {name: f"fastmml.{module}" for name, module in fm._MODULES.items()}


def test_unknown_name_is_refused() -> None:
    with pytest.raises(AttributeError, match="module 'fastmml' has no attribute 'page_rank'"):
        fm.page_rank  # noqa: B018


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
