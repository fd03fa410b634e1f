"""Pictures of principal components, by matplotlib, which only this module imports."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[Any]

#: Components that have loadings and coordinates drawn, and their colours.
_COLOURS = ("#0e7490", "#c2410c")
_GREY = "#94a3b8"
#: Features that have a bar each and a name; more of them are a line.
_MOST_BARS = 30
#: Labels that can be told apart by colour.
_MOST_LABELS = 20
_BINS = 30


def draw(
    pca: Any, coordinates: Array | None, labels: ArrayLike | None, axes: ArrayLike | None
) -> Any:
    """Draw variances, loadings and, if there are any, coordinates of rows; returns the figure."""
    if pca.n_components_ == 0:
        raise ValueError("n_components: expected at least 1 component to plot, got 0")
    if coordinates is None and labels is not None:
        raise ValueError("y: expected rows X that have these labels, got none")
    groups = None if coordinates is None else list(_groups(coordinates, labels))
    panels = _panels(2 if groups is None else 3, axes)
    ratios = np.nan_to_num(pca.explained_variance_ratio_)  # nothing explains data without variance
    _draw_variances(panels[0], ratios)
    scale = np.sqrt(pca.explained_variance_[:2, np.newaxis])
    _draw_loadings(panels[1], pca.components_[:2] * scale, _names(pca))
    if groups is not None:
        _draw_coordinates(panels[2], groups, ratios)
    return panels[0].figure


def _panels(count: int, axes: ArrayLike | None) -> list[Any]:
    """The axes that were given, or those of a new figure, which pyplot does not know of."""
    try:
        from matplotlib.axes import Axes
        from matplotlib.figure import Figure
    except ImportError as error:
        raise ImportError('PCA.plot needs matplotlib: pip install "fastmml[plot]"') from error
    if axes is None:
        figure = Figure(figsize=(4 * count, 3.6), layout="constrained")
        return list(figure.subplots(1, count))
    panels = list(np.ravel(np.asarray(axes, object)))
    if len(panels) != count or not all(isinstance(panel, Axes) for panel in panels):
        kinds = ", ".join(type(panel).__name__ for panel in panels)
        raise ValueError(f"axes: expected {count} axes of matplotlib, got {kinds or 'none'}")
    return panels


def _names(pca: Any) -> list[str]:
    names = getattr(pca, "feature_names_in_", range(pca.n_features_in_))
    return [str(name) for name in names]


def _groups(coordinates: Array, labels: ArrayLike | None) -> Iterator[tuple[str | None, Array]]:
    """Labels and the coordinates of the rows that have them."""
    if labels is None:
        yield None, coordinates
        return
    known = np.asarray(labels)
    if known.shape != (len(coordinates),):
        raise ValueError(f"y: expected {len(coordinates)} labels, one a row, got {known.shape}")
    try:
        kinds, which = np.unique(known, return_inverse=True)
    except TypeError:
        raise TypeError("y: expected labels that can be sorted, as those of one type") from None
    if len(kinds) > _MOST_LABELS:
        raise ValueError(f"y: expected at most {_MOST_LABELS} different labels, got {len(kinds)}")
    for number, kind in enumerate(kinds):
        yield str(kind), coordinates[which == number]


def _draw_variances(axis: Any, ratios: Array) -> None:
    """Parts of the variance, and their sums; one path each, however many components there are."""
    numbers = np.arange(1, len(ratios) + 1)
    axis.stairs(ratios, np.arange(len(ratios) + 1) + 0.5, fill=True, color=_COLOURS[0])
    marker = "o" if len(ratios) <= _MOST_BARS else ""
    axis.plot(numbers, np.cumsum(ratios), color=_COLOURS[1], marker=marker, markersize=3)
    axis.set(xlabel="component", ylabel="part of the variance", ylim=(0, 1.05))
    axis.set_title("Explained variance, and its sum")
    axis.xaxis.get_major_locator().set_params(integer=True, min_n_ticks=1)


def _draw_loadings(axis: Any, loadings: Array, names: list[str]) -> None:
    """How far each feature moves with one standard deviation along a component."""
    labels = [f"component {i + 1}" for i in range(len(loadings))]
    drawn = zip(loadings, labels, _COLOURS, strict=False)
    if len(names) <= _MOST_BARS:
        places, width = np.arange(len(names)), 0.8 / len(loadings)
        for i, (values, label, colour) in enumerate(drawn):
            axis.barh(places + (i + 0.5) * width - 0.4, values, width, color=colour, label=label)
        axis.set_yticks(places, names, fontsize=8 if len(names) <= _MOST_BARS // 2 else 5)
        for text in axis.get_yticklabels():
            text.set_parse_math(False)
        axis.invert_yaxis()
        axis.axvline(0, color=_GREY, linewidth=0.7)
        axis.set(xlabel="loading", ylabel="feature")
    else:
        for values, label, colour in drawn:
            axis.plot(values, color=colour, linewidth=1, label=label)
        axis.axhline(0, color=_GREY, linewidth=0.7)
        axis.set(xlabel="feature", ylabel="loading")
    axis.set_title("Loadings")
    axis.legend(fontsize=8, loc="upper right")


def _draw_coordinates(axis: Any, groups: list[tuple[str | None, Array]], ratios: Array) -> None:
    """Rows along the first two components; their distribution along the only one."""
    names = [f"component {i + 1} ({ratio:.1%})" for i, ratio in enumerate(ratios[:2])]
    colours = _group_colours(len(groups))
    if len(names) == 1:
        along = [part[:, 0] for _, part in groups]
        drawn = axis.hist(along, _BINS, stacked=True, color=colours)[2]
        drawn = drawn if len(groups) > 1 else [drawn]
    else:
        drawn = [
            axis.scatter(*part[:, :2].T, s=6, color=colour, linewidths=0, rasterized=True)
            for (_, part), colour in zip(groups, colours, strict=True)
        ]
    axis.set(xlabel=names[0], ylabel="rows" if len(names) == 1 else names[1])
    axis.set_title("Coordinates of the rows")
    if groups[0][0] is not None:
        _draw_legend(axis, drawn, [str(label) for label, _ in groups])


def _draw_legend(axis: Any, drawn: list[Any], labels: list[str]) -> None:
    """Labels as they are: matplotlib hides those that start with "_", and typesets "$"."""
    legend = axis.legend(
        drawn, map(str, range(len(drawn))), loc="center left", bbox_to_anchor=(1, 0.5),
        frameon=False, fontsize=8, markerscale=2, handletextpad=0.2,
    )  # fmt: skip
    for text, label in zip(legend.get_texts(), labels, strict=True):
        text.set(text=label, parse_math=False)


def _group_colours(count: int) -> list[Any]:
    """As many colours; those of a map made for labels where there are more than one."""
    if count == 1:
        return [_COLOURS[0]]
    import matplotlib

    colours = matplotlib.colormaps["tab10" if count <= 10 else "tab20"]
    return [colours(i) for i in range(count)]
