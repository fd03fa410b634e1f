"""The C library alone, under sanitizers: fuzzed, out of memory, interrupted (see tests/native)."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from fastmml import _backend

ROOT = Path(__file__).parent.parent
NATIVE = ROOT / "tests" / "native"
FUZZ_SECONDS = os.environ.get("FASTMML_FUZZ_SECONDS", "3")
CLANG_NAMES = ["clang", *(f"clang-{version}" for version in range(30, 12, -1))]

pytestmark = pytest.mark.skipif(
    sys.platform != "linux", reason="the trust tests need the linker and the sanitizers of Linux"
)


def environment() -> dict[str, str]:
    """The environment without the sanitizers that the interpreter itself may run under."""
    dropped = ("LD_PRELOAD", "ASAN_OPTIONS", "UBSAN_OPTIONS")
    return {name: value for name, value in os.environ.items() if name not in dropped}


def links(compiler: str, sanitizers: str, workdir: Path) -> bool:
    """Whether the compiler is there with the runtime of these sanitizers."""
    source = workdir / "probe.c"
    source.write_text(
        "int LLVMFuzzerTestOneInput(const char *, long);\n"
        "int LLVMFuzzerTestOneInput(const char *data, long size) { return !data && size; }\n"
        + ("" if "fuzzer" in sanitizers else "int main(void) { return 0; }\n")
    )
    command = [compiler, f"-fsanitize={sanitizers}", str(source), "-o", str(workdir / "probe")]
    if shutil.which(compiler) is None:
        return False
    done = subprocess.run(command, env=environment(), capture_output=True, check=False)
    return done.returncode == 0


def run(*command: str | Path) -> None:
    done = subprocess.run(
        command,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        check=False,
    )
    assert done.returncode == 0, f"{command[0]} said:\n{done.stdout[-20000:]}"


def build_and_test(workdir: Path, compilers: list[str], sanitizers: str, tests: list[str]) -> None:
    """Build the programs of these names in a folder and run them, or skip with a reason."""
    builder = shutil.which("ninja") or shutil.which("make")
    if shutil.which("cmake") is None or builder is None:
        pytest.skip("the trust tests need cmake, and ninja or make")
    compiler = next((name for name in compilers if links(name, sanitizers, workdir)), None)
    if compiler is None:
        pytest.skip(f"no compiler of {', '.join(compilers[:3])} links -fsanitize={sanitizers}")
    build = workdir / "build"
    run(
        *("cmake", "-S", NATIVE, "-B", build, f"-DCMAKE_C_COMPILER={compiler}"),
        *("-G", "Ninja" if Path(builder).stem == "ninja" else "Unix Makefiles"),
        f"-DFASTMML_FUZZ_SECONDS={FUZZ_SECONDS}",
    )
    run("cmake", "--build", build, "--target", *tests)
    run("ctest", "--test-dir", build, "--output-on-failure", "-R", f"^({'|'.join(tests)})$")


def test_every_allocation_may_fail_and_every_poll_may_stop(tmp_path: Path) -> None:
    compilers = [os.environ.get("CC", "cc"), "gcc", *CLANG_NAMES]
    tests = ["failing_malloc", "interrupted"]
    build_and_test(tmp_path, compilers, "address,undefined", tests)


def test_parsers_survive_fuzzing(tmp_path: Path) -> None:
    tests = ["fuzz_bvgraph", "fuzz_edge_list", "fuzz_number"]
    build_and_test(tmp_path, CLANG_NAMES, "fuzzer,address,undefined", tests)


def test_every_function_with_a_status_has_a_scenario() -> None:
    header = (ROOT / "csrc" / "fastmml.h").read_text()
    scenarios = (NATIVE / "scenarios.c").read_text()
    functions = re.findall(r"^fml_status (fml_\w+)\(", header, flags=re.MULTILINE)
    assert len(functions) > 5
    assert [name for name in functions if f"{name}(" not in scenarios] == []


@pytest.mark.skipif(not _backend.has_native(), reason="needs the native backend")
def test_strings_of_equal_hash_are_told_apart() -> None:
    """Among 400,000 strings about 18 pairs share their 32-bit hash."""
    strings = np.unique(np.random.default_rng(3).integers(2**63, size=400_000))
    spans = np.arange(strings.size, dtype=np.int64) * 8 << 32 | 8
    ids = np.empty((2, strings.size), np.uint32)
    _backend.load("native").interner().add(strings.view(np.uint8), spans, spans, *ids)
    np.testing.assert_array_equal(ids, [np.arange(strings.size)] * 2)
