"""How many threads benchmarks use, and what they ran on."""

from __future__ import annotations

import json
import os
import platform
from importlib import metadata
from pathlib import Path


def all_threads() -> int:
    """Processors that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def thread_counts() -> tuple[int, ...]:
    """One thread and all of them."""
    return (1,) if all_threads() == 1 else (1, all_threads())


def busy() -> bool:
    """Whether other work took a good part of a core in the last minute, where the system tells."""
    return hasattr(os, "getloadavg") and os.getloadavg()[0] > 0.5


def environment() -> dict[str, str]:
    """Variables of a program as users start it: Python may keep its bytecode."""
    return {name: os.environ[name] for name in os.environ if name != "PYTHONDONTWRITEBYTECODE"}


def is_editable(package: str) -> bool:
    """Whether a package is installed with ``pip install -e``."""
    origin = metadata.distribution(package).read_text("direct_url.json")
    return origin is not None and bool(json.loads(origin).get("dir_info", {}).get("editable"))


def describe() -> str:
    """Name the processor, the system and the Python in one line."""
    system = f"{platform.system()}, Python {platform.python_version()}"
    return f"{_processor()}, {all_threads()} cores, {system}"


def _processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text().splitlines():
            name, _, value = line.partition(":")
            if name.strip() == "model name":
                return value.strip()
    return platform.processor() or platform.machine()
