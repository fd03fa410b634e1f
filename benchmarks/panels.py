"""Results of one comparison, as a table of text and as a picture."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

OURS = "fastmml"
#: Ours stands out; the peers share a quiet colour that reads on white and in grey print.
OUR_COLOUR, PEER_COLOUR = "#c2410c", "#64748b"


@dataclass(frozen=True)
class Row:
    """A contestant."""

    name: str
    seconds: float
    #: Cells of the panel's own columns.
    details: tuple[str, ...] = ()
    #: Whether it did the whole job; otherwise it is shown but is not the best peer.
    valid: bool = True


@dataclass(frozen=True)
class Panel:
    """A comparison: ours and the peers at one task."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[Row, ...]

    @property
    def best_peer(self) -> Row | None:
        """The fastest peer that did the whole job; ours under another name is none."""
        peers = [row for row in self.rows if row.valid and OURS not in row.name]
        return min(peers, key=lambda row: row.seconds, default=None)

    def by_speed(self) -> list[Row]:
        """Rows, fastest first."""
        return sorted(self.rows, key=lambda row: row.seconds)

    def text(self) -> str:
        """Table, fastest first, with how often faster each is than the best peer."""
        best = self.best_peer
        table = [("", "ms", "speed / best peer", *self.columns)]
        for row in self.by_speed():
            ratio = "" if best is None else f"{best.seconds / row.seconds:.2f}"
            table.append((row.name, f"{row.seconds * 1e3:.2f}", ratio, *row.details))
        return "\n".join([self.title, *align(table)])


def align(table: Sequence[Sequence[str]]) -> list[str]:
    """Lines of a table: the first column to the left, the others to the right."""
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    return [
        "  " + row[0].ljust(widths[0]) + "".join(
            "  " + cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True)
        )
        for row in table
    ]  # fmt: skip


def draw(panels: Sequence[Panel], footnote: str, path: Path) -> list[Path]:
    """Draw all panels into ``path`` with the suffixes .png and .svg; needs matplotlib."""
    figure_class = importlib.import_module("matplotlib.figure").Figure
    height = 0.7 + sum(_inches(pair) for pair in _pairs(panels))
    figure = figure_class(figsize=(11, height), layout="constrained")
    pairs = _pairs(panels)
    axes = figure.subplots(
        len(pairs), 2, squeeze=False, height_ratios=[_inches(pair) for pair in pairs]
    )
    for pair, row in zip(pairs, axes, strict=True):
        for panel, axis in zip(pair, row, strict=False):
            _draw_panel(panel, axis)
        for axis in row[len(pair) :]:
            axis.set_axis_off()
    figure.supxlabel(footnote, fontsize=8, color="#475569")
    written = [path.with_name(path.name + suffix) for suffix in (".png", ".svg")]
    path.parent.mkdir(parents=True, exist_ok=True)
    for file in written:
        figure.savefig(file, dpi=150)
    return written


def _pairs(panels: Sequence[Panel]) -> list[Sequence[Panel]]:
    return [panels[i : i + 2] for i in range(0, len(panels), 2)]


def _inches(pair: Sequence[Panel]) -> float:
    return 0.9 + 0.24 * max(len(panel.rows) for panel in pair)


def _milliseconds(time: float) -> str:
    return f"{time:.3g} ms" if time < 100 else f"{time:,.0f} ms"


def _draw_panel(panel: Panel, axis: Any) -> None:
    """Dots on a logarithmic axis of time: bars would need a zero, which it does not have."""
    rows = panel.by_speed()[::-1]
    ours = [row.name == OURS for row in rows]
    colours = [OUR_COLOUR if mine else PEER_COLOUR for mine in ours]
    times = [row.seconds * 1e3 for row in rows]
    axis.scatter(times, range(len(rows)), c=colours, s=36, zorder=3)
    for place, (row, time) in enumerate(zip(rows, times, strict=True)):
        label = _milliseconds(time) + ("" if row.valid else " (less accurate)")
        axis.annotate(
            label, (time, place), (7, 0), textcoords="offset points", va="center",
            fontsize=8, color=colours[place],
        )  # fmt: skip
    axis.set_xscale("log")
    axis.xaxis.set_major_formatter(lambda time, _: _milliseconds(time))
    axis.xaxis.set_minor_formatter("")
    axis.set_xlim(min(times) / 1.5, max(times) * 5)  # room for the labels
    axis.set_ylim(-0.6, len(rows) - 0.4)
    axis.set_yticks(range(len(rows)), [row.name for row in rows], fontsize=9)
    for tick, mine in zip(axis.get_yticklabels(), ours, strict=True):
        tick.set_fontweight("bold" if mine else "normal")
    axis.grid(axis="both", color="#e2e8f0", linewidth=0.7)
    axis.tick_params(axis="x", labelsize=8)
    axis.tick_params(axis="both", which="both", length=0)
    axis.spines[["top", "right", "left"]].set_visible(False)
    axis.set_title(panel.title, fontsize=10, loc="left")
