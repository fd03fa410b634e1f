"""The documents are true: links resolve, the Python in fenced blocks and docstrings runs."""

from __future__ import annotations

import doctest
import importlib
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
DOCUMENTS = sorted(
    path.relative_to(ROOT).as_posix()
    for pattern in ("*.md", "docs/**/*.md", "examples/**/*.md", "benchmarks/**/*.md")
    for path in ROOT.glob(pattern)
)

#: Modules whose docstrings have examples.
MODULES = sorted(
    ".".join(path.relative_to(ROOT / "src").with_suffix("").parts)
    for path in ROOT.glob("src/fastmml/**/*.py")
    if ">>>" in path.read_text(encoding="utf-8")
)

FENCE = re.compile(r"^```(\w*)[^\n]*\n(.*?)^```", flags=re.MULTILINE | re.DOTALL)
TARGET = re.compile(r"""\]\(([^)\s]+)[^)]*\)|(?:src|href)="([^"]+)\"""")
HEADING = re.compile(r"^#+ +(.+?) *$", flags=re.MULTILINE)


def prose(document: Path) -> str:
    return FENCE.sub("", document.read_text(encoding="utf-8"))


def anchors(document: Path) -> set[str]:
    """The anchors that GitHub gives the headings of a document."""
    headings = HEADING.findall(prose(document))
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def resolves(document: Path, target: str) -> bool:
    """Whether a relative link names a file of the project, and a heading in it."""
    name, _, anchor = target.partition("#")
    path = document.parent / name if name else document
    if not path.exists():
        return False
    return not anchor or path.suffix != ".md" or anchor in anchors(path)


@pytest.mark.parametrize("name", DOCUMENTS)
def test_links_resolve(name: str) -> None:
    document = ROOT / name
    targets = [first or second for first, second in TARGET.findall(prose(document))]
    local = [target for target in targets if not re.match(r"[a-z]+:", target)]
    assert [target for target in local if not resolves(document, target)] == []


def python_blocks(document: Path) -> list[str]:
    text = document.read_text(encoding="utf-8")
    return [block for language, block in FENCE.findall(text) if language in ("python", "pycon")]


@pytest.mark.parametrize("name", [name for name in DOCUMENTS if python_blocks(ROOT / name)])
def test_python_runs(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The blocks of a document are one session, in a folder that holds our examples."""
    (tmp_path / "examples").symlink_to(ROOT / "examples", target_is_directory=True)
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {"__name__": "__main__"}
    parser, runner = doctest.DocTestParser(), doctest.DocTestRunner(optionflags=doctest.ELLIPSIS)
    for number, block in enumerate(python_blocks(ROOT / name), start=1):
        label = f"{name}, block {number}"
        if ">>>" not in block:
            exec(compile(block, label, "exec"), names)
            continue
        test = parser.get_doctest(block, names, label, None, None)
        runner.run(test, clear_globs=False)
        names |= test.globs
    assert runner.summarize().failed == 0


@pytest.mark.parametrize("name", MODULES)
def test_docstrings_run(name: str) -> None:
    found = doctest.testmod(importlib.import_module(name))
    assert found.failed == 0
