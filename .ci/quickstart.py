"""Print a command of the README: fenced block number N under the heading "Quick start".

Usage: ``python .ci/quickstart.py N [README.md]``
"""

from __future__ import annotations

import re
import sys
from pathlib import Path


def quick_start_blocks(readme: str) -> list[str]:
    """Return the fenced blocks between the heading "Quick start" and the next of its level."""
    section = re.search(
        r"^(#+) +Quick start *$\n(.*?)(?=^\1 |\Z)", readme, flags=re.MULTILINE | re.DOTALL
    )
    if section is None:
        raise SystemExit('README: no heading "Quick start"')
    return re.findall(r"^```\w*\n(.*?)^```$", section[2], flags=re.MULTILINE | re.DOTALL)


def main() -> None:
    """Print the block that the command line names."""
    number = int(sys.argv[1])
    readme = Path(sys.argv[2] if len(sys.argv) > 2 else "README.md")
    blocks = quick_start_blocks(readme.read_text(encoding="utf-8"))
    if not 1 <= number <= len(blocks):
        raise SystemExit(f"{readme}: expected block 1 to {len(blocks)}, got {number}")
    print(blocks[number - 1], end="")


if __name__ == "__main__":
    main()
