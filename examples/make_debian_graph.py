"""Make the package dependency graph of Debian 12 from apt's own index.

    python examples/make_debian_graph.py examples/debian12.tsv.zst

Needs Debian 12 (bookworm) with a fetched index (``apt-get update``) and the Python package
``zstandard``. A line ``A<TAB>B`` says that package A names B in Depends, Pre-Depends or
Recommends. The same index and the same zstandard give the same bytes.
"""

import argparse
import hashlib
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

from backports import zstd

FIELDS = ("Depends", "Pre-Depends", "Recommends")
# Exact lines of `apt-get indextargets`: they leave out updates, security and other origins.
TARGET = (
    "Identifier: Packages",
    "Origin: Debian",
    "Codename: bookworm",
    "Component: main",
    "Architecture: amd64",
)
LEVEL = 19


def run(*command: str) -> bytes:
    """Return what a command prints; end with one line if it is missing or fails."""
    try:
        return subprocess.run(command, check=True, capture_output=True).stdout
    except FileNotFoundError:
        raise SystemExit(f"{command[0]}: not found; this script needs Debian 12 with apt") from None
    except subprocess.CalledProcessError as error:
        raise SystemExit(f"{' '.join(command)}: {error.stderr.decode().strip()}") from None


def find_index() -> Path:
    """Return the file in which apt keeps the index (the first, if several mirrors have one)."""
    listed = run("apt-get", "indextargets", "--format", "$(FILENAME)", *TARGET).decode()
    for name in listed.splitlines():
        if Path(name).is_file():
            return Path(name)
    raise SystemExit("no index of Debian 12 (bookworm) main amd64 found: run `apt-get update`")


def release_fields(index: Path) -> dict[str, str]:
    """Return the one-line fields of the Release file that came with the index."""
    prefix = index.name.partition("main_binary-amd64_Packages")[0]
    for name in ("InRelease", "Release"):
        path = index.with_name(prefix + name)
        if path.is_file():
            return dict(re.findall(r"^([\w-]+): (.+)$", path.read_text(encoding="utf-8"), re.M))
    raise SystemExit(f"no Release file beside {index}: run `apt-get update`")


def stanzas(text: str) -> Iterator[dict[str, str]]:
    """Yield the fields of each package, folded lines joined."""
    for stanza in text.strip().split("\n\n"):
        unfolded = re.sub(r"\n[ \t]+", " ", stanza)
        yield {
            name: value.strip()
            for name, _, value in (line.partition(":") for line in unfolded.splitlines())
        }


def named_packages(relation: str, alternatives: str) -> Iterator[str]:
    """Yield the names in ``a (>= 1) | b, c:any`` without version and architecture."""
    for clause in filter(None, map(str.strip, relation.split(","))):
        choices = clause.split("|")
        for choice in choices if alternatives == "all" else choices[:1]:
            yield re.split(r"[\s:(\[]", choice.strip(), maxsplit=1)[0]


def build(text: str, alternatives: str) -> tuple[set[str], list[tuple[str, str]]]:
    """Return the names of all packages in the index and the distinct links, sorted."""
    packages: set[str] = set()
    links: set[tuple[str, str]] = set()
    for fields in stanzas(text):
        source = fields["Package"]
        packages.add(source)
        for field in FIELDS:
            targets = named_packages(fields.get(field, ""), alternatives)
            links.update((source, target) for target in targets)
    return packages, sorted(links)


def describe(
    release: dict[str, str],
    digest: str,
    alternatives: str,
    packages: set[str],
    links: list[tuple[str, str]],
) -> str:
    """Return the comment lines that open the file."""
    nodes = {name for link in links for name in link}
    counted = "every alternative" if alternatives == "all" else "the first alternative"
    return "".join(
        f"# {line}\n"
        for line in (
            "Package dependency graph of Debian 12 (bookworm), main, amd64",
            "A<TAB>B: package A names B in Depends, Pre-Depends or Recommends;",
            f"of `a | b` {counted} counts; versions and :architectures are stripped",
            f"Origin: {release['Origin']} {release['Version']} ({release['Codename']})",
            f"Release date: {release['Date']}",
            f"Index: main/binary-amd64/Packages, SHA-256 {digest}",
            f"Nodes: {len(nodes)}, of which not packages in the index: {len(nodes - packages)}",
            f"Links: {len(links)}",
            f"Packages in the index: {len(packages)}, isolated and left out: "
            f"{len(packages - nodes)}",
        )
    )


def main() -> None:
    """Read the index, write the graph and print what it says of itself."""
    parser = argparse.ArgumentParser(
        description="Make the dependency graph of Debian 12 from apt's index."
    )
    parser.add_argument("output", type=Path, help="file to write, such as debian12.tsv.zst")
    parser.add_argument(
        "--alternatives",
        choices=("first", "all"),
        default="first",
        help="which names of `a | b` count (default: first, the one apt prefers)",
    )
    arguments = parser.parse_args()

    index = find_index()
    raw = run("/usr/lib/apt/apt-helper", "cat-file", str(index))
    packages, links = build(raw.decode("utf-8"), arguments.alternatives)
    digest = hashlib.sha256(raw).hexdigest()
    head = describe(release_fields(index), digest, arguments.alternatives, packages, links)
    body = "".join(f"{source}\t{target}\n" for source, target in links)
    options = {
        zstd.CompressionParameter.compression_level: LEVEL,
        zstd.CompressionParameter.checksum_flag: 1,
    }
    text = (head + body).encode("utf-8")
    arguments.output.write_bytes(zstd.compress(text, options=options))
    print(head, end="")


if __name__ == "__main__":
    main()
