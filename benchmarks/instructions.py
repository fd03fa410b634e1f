"""Count the instructions of every kernel and compare them with the committed baseline.

From the project's root, with valgrind installed::

    python -m benchmarks.instructions            # fails past +2 % on any kernel
    python -m benchmarks.instructions --update   # rewrites benchmarks/instructions.json

Counts are the same in every run, however busy the machine is, so that a small loss shows at once.
They depend on the compiler: with another one than the baseline's nothing is compared, which is
said. Only the baseline CPU level is counted (valgrind does not know AVX-512), on one thread.

How it counts: callgrind writes its counters out, and starts again at 0, whenever the C function
``getppid`` is entered; `benchmarks.kernel_cases` calls it before and after each kernel. No symbols
are needed in the extension module. The cost of an empty Python call is subtracted.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TypedDict

from benchmarks.graphs import ROOT
from benchmarks.kernel_cases import CASES, uncounted_kernels
from benchmarks.panels import align

BASELINE = Path(__file__).with_suffix(".json")
#: A kernel may grow by this much; a change that costs more must update the baseline, and say why.
ALLOWED = 0.02


class Counts(TypedDict):
    """What the baseline holds."""

    build: dict[str, str]  #: what counts depend on beside our own sources
    instructions: dict[str, int]


def build() -> dict[str, str]:
    """Describe the installed build; an ImportError says that there are no native kernels."""
    native = importlib.import_module("fastmml._native")
    info = native.build_info()
    return {
        "compiler": info["compiler"],
        "flags": info["flags"].strip(),
        "openmp": info["openmp"],
        "isa": native.isa_levels()[0],
        "machine": platform.machine(),
    }


def count_instructions(isa: str) -> dict[str, int]:
    """Run all cases under callgrind, at this CPU level."""
    settings = {
        "FASTMML_BACKEND": "native",
        "FASTMML_ISA": isa,
        "OMP_NUM_THREADS": "1",
        "PYTHONHASHSEED": "0",
    }
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "counts"
        command = [
            "valgrind", "--tool=callgrind", "--dump-before=getppid",
            f"--callgrind-out-file={out}", sys.executable, "-m", "benchmarks.kernel_cases",
        ]  # fmt: skip
        done = subprocess.run(
            command,
            cwd=ROOT,
            env=os.environ | settings,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            sys.exit(f"{done.stderr}\nvalgrind or the kernels failed: exit {done.returncode}")
        # Dumps are numbered from 1, two a case: what came before it, and it.
        empty, *counts = [total(out.with_suffix(f".{2 * i + 2}")) for i in range(len(CASES) + 1)]
    return {name: count - empty for name, count in zip(CASES, counts, strict=True)}


def total(dump: Path) -> int:
    """Instructions of one dump of callgrind."""
    found = re.search(r"^totals: (\d+)$", dump.read_text(), re.MULTILINE)
    if found is None:
        sys.exit(f"{dump.name}: expected a line 'totals: N', as callgrind writes")
    return int(found[1])


def compare(old: dict[str, int], new: dict[str, int]) -> list[str]:
    """Print old and new counts; return what is wrong."""
    table = [("kernel", "baseline", "now", "change")]
    wrong = []
    for name in sorted(old.keys() | new.keys()):
        if name not in old or name not in new:
            wrong.append(f"{name}: only {'in the baseline' if name in old else 'counted now'}")
            continue
        change = new[name] / old[name] - 1
        table.append((name, f"{old[name]:,}", f"{new[name]:,}", f"{change:+.2%}"))
        if change > ALLOWED:
            wrong.append(f"{name}: {change:+.2%} instructions, {ALLOWED:+.0%} allowed")
        elif change < -ALLOWED:
            print(f"improved: {name} ({change:+.2%}); --update keeps the gain")
    print(*align(table), sep="\n")
    return wrong


def check(found: dict[str, str]) -> list[str]:
    """Compare with the baseline where the builds are alike; return what is wrong."""
    if not BASELINE.exists():
        return [f"{BASELINE.name} does not exist; --update writes it"]
    baseline: Counts = json.loads(BASELINE.read_text())
    if baseline["build"] != found:
        print("Not compared: counts depend on the build, and this one is another.")
        print(f"  baseline: {baseline['build']}\n  here:     {found}")
        return []
    return compare(baseline["instructions"], count_instructions(found["isa"]))


def update(found: dict[str, str]) -> None:
    """Write the counts of now as the baseline."""
    counts = Counts(build=found, instructions=count_instructions(found["isa"]))
    BASELINE.write_text(json.dumps(counts, indent=2) + "\n")
    print(f"written: {BASELINE.relative_to(ROOT)}")


def main() -> None:
    """Check, or update; exit with 1 when something is wrong and 2 when nothing can be counted."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.instructions",
        description="Compare the instructions of every kernel with the baseline.",
    )
    parser.add_argument("--update", action="store_true", help="rewrite the baseline")
    arguments = parser.parse_args()
    if shutil.which("valgrind") is None:
        print("valgrind is not on PATH: nothing can be counted", file=sys.stderr)
        sys.exit(2)
    wrong = [f"{name}: no case in kernel_cases.py counts it" for name in uncounted_kernels()]
    if not wrong and arguments.update:
        update(build())
    elif not wrong:
        wrong = check(build())
    if wrong:
        print(*sorted(wrong), sep="\n", file=sys.stderr)
        sys.exit(1)


if __name__ == "__main__":
    main()
