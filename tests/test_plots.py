"""`PCA.plot` draws what it says, and the example of eigenfaces runs."""

from __future__ import annotations

import runpy
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fastmml as fm

matplotlib = pytest.importorskip("matplotlib")
matplotlib.use("agg")
pyplot = pytest.importorskip("matplotlib.pyplot")

Array = Any
ROOT = Path(__file__).parents[1]


def data(rows: int = 60, columns: int = 5, dtype: Any = np.float64) -> Array:
    rng = np.random.default_rng(0)
    scale = np.geomspace(3, 0.1, columns)
    return (rng.normal(size=(rows, columns)) * scale + 2).astype(dtype)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("columns", [5, 40])
@pytest.mark.parametrize("whiten", [True, False])
def test_what_is_drawn(dtype: Any, columns: int, whiten: bool, tmp_path: Path) -> None:
    x = data(60, columns, dtype)
    pca = fm.PCA(4, whiten=whiten).fit(x)
    figure = pca.plot(x)
    variances, loadings, rows = figure.axes
    ratios = pca.explained_variance_ratio_
    np.testing.assert_array_equal(variances.patches[0].get_data().values, ratios)
    np.testing.assert_array_equal(variances.lines[0].get_ydata(), np.cumsum(ratios))
    expected = pca.components_[:2] * np.sqrt(pca.explained_variance_[:2, None])
    if columns == 5:
        drawn = [[bar.get_width() for bar in bars] for bars in loadings.containers]
    else:
        drawn = [line.get_ydata() for line in loadings.lines[:2]]
    np.testing.assert_array_equal(drawn, expected)
    points = np.asarray(rows.collections[0].get_offsets())
    np.testing.assert_array_equal(points, pca.transform(x)[:, :2])
    assert rows.get_xlabel() == f"component 1 ({ratios[0]:.1%})"
    for name in ("picture.png", "picture.svg"):
        figure.savefig(tmp_path / name)
        assert (tmp_path / name).stat().st_size > 1000
    assert pyplot.get_fignums() == []


def test_one_component_has_a_histogram() -> None:
    x = data()
    rows = fm.PCA(1).fit(x).plot(x).axes[2]
    assert sum(patch.get_height() for patch in rows.patches) == len(x)
    assert rows.get_ylabel() == "rows"
    labels = np.repeat(["a", "b", "c"], 20)
    rows = fm.PCA(1).fit(x).plot(x, labels).axes[2]
    assert [text.get_text() for text in rows.get_legend().get_texts()] == ["a", "b", "c"]


@pytest.mark.parametrize("count", [1, 2, 11, 20])
def test_labels_have_colours(count: int) -> None:
    x = data()
    rows = fm.PCA(2).fit(x).plot(x, np.arange(60) % count).axes[2]
    assert len(rows.collections) == count
    colours = {tuple(part.get_facecolor()[0]) for part in rows.collections}
    assert len(colours) == count
    assert sum(len(part.get_offsets()) for part in rows.collections) == len(x)


@pytest.mark.parametrize("kept", [1, 2])
@pytest.mark.parametrize("kinds", [["_a", "b", "$c_d"], ["_only"]])
def test_labels_are_shown_as_they_are(kept: int, kinds: list[str], tmp_path: Path) -> None:
    x = data()
    figure = fm.PCA(kept).fit(x).plot(x, np.resize(kinds, 60))
    legend = figure.axes[2].get_legend()
    assert [text.get_text() for text in legend.get_texts()] == sorted(kinds)
    assert len(legend.legend_handles) == len(kinds)
    figure.savefig(tmp_path / "picture.png")


def test_names_of_features_are_shown_as_they_are(tmp_path: Path) -> None:
    pandas = pytest.importorskip("pandas")
    pytest.importorskip("sklearn")
    names = ["_a", "$b", r"$\nothing$", "d", "e"]
    figure = fm.PCA(2).fit(pandas.DataFrame(data(), columns=names)).plot()
    assert [text.get_text() for text in figure.axes[1].get_yticklabels()] == names
    figure.savefig(tmp_path / "picture.png")


def test_rows_without_a_label_are_drawn() -> None:
    x = np.random.default_rng(0).normal(size=(60, 5))
    figure = fm.PCA(2).fit(x).plot(x, np.where(np.arange(60) % 3, 1.0, np.nan))
    drawn = [len(points.get_offsets()) for points in figure.axes[2].collections]
    assert sorted(drawn) == [20, 40]


def test_without_rows_there_are_two_panels() -> None:
    pca = fm.PCA().fit(data())
    assert len(pca.plot().axes) == 2
    figure, axes = pyplot.subplots(1, 2)
    assert pca.plot(axes=axes) is figure
    assert axes[0].get_title() == "Explained variance, and its sum"
    figure, axes = pyplot.subplots(2, 2)
    assert pca.plot(data(), axes=axes.flat[:3]) is figure
    assert not axes[1, 1].has_data()
    pyplot.close("all")


def test_features_of_frames_have_their_names() -> None:
    pandas = pytest.importorskip("pandas")
    pytest.importorskip("sklearn")
    x = pandas.DataFrame(data(), columns=["mass", "height", "width", "age", "price"])
    pca = fm.PCA(2).set_output(transform="pandas").fit(x)
    names = [text.get_text() for text in pca.plot(x).axes[1].get_yticklabels()]
    assert names == ["mass", "height", "width", "age", "price"]


def test_data_without_variance(tmp_path: Path) -> None:
    x = np.ones((4, 2))
    fm.PCA(2).fit(x).plot(x).savefig(tmp_path / "picture.png")


FITTED = fm.PCA(2).fit(data())


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: fm.PCA(0).fit(data()).plot(), "n_components: expected at least 1 component"),
        (lambda: FITTED.plot(data(9, 4)), "5 features"),
        (lambda: FITTED.plot(data(), [1]), r"y: expected 60 labels, one a row, got \(1,\)"),
        (lambda: FITTED.plot(data(), range(60)), "y: expected at most 20 different labels, got 60"),
        (lambda: FITTED.plot(None, [1]), "y: expected rows X that have these labels, got none"),
        (lambda: FITTED.plot(axes=[1, 2]), "axes: expected 2 axes of matplotlib, got int, int"),
        (lambda: FITTED.plot(axes=[]), "axes: expected 2 axes of matplotlib, got none"),
        (lambda: fm.PCA().plot(), "fit"),
    ],
)
def test_refused(call: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()


def test_without_matplotlib(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("matplotlib", "matplotlib.axes", "matplotlib.figure"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(ImportError, match=r'matplotlib: pip install "fastmml\[plot\]"'):
        FITTED.plot()


def test_matplotlib_is_imported_by_plot_alone() -> None:
    code = (
        "import sys, numpy as np, fastmml as fm\n"
        "pca = fm.PCA(1).fit(np.eye(3))\n"
        "assert 'matplotlib' not in sys.modules\n"
        "pca.plot()\n"
        "assert 'matplotlib' in sys.modules and 'matplotlib.pyplot' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


# ---- examples ----


@pytest.fixture
def example(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Run an example with these arguments."""

    def run(name: str, *arguments: str) -> None:
        monkeypatch.setattr(sys, "argv", [name, *arguments])
        runpy.run_path(str(ROOT / "examples" / name), run_name="__main__")

    return run


def errors_printed(text: str) -> list[float]:
    return [float(line.rsplit(maxsplit=1)[1]) for line in text.splitlines() if "error" in line]


def test_eigenfaces_of_digits(example: Any, tmp_path: Path, capsys: Any) -> None:
    pytest.importorskip("sklearn")
    pictures = [tmp_path / name for name in ("digits.svg", "pca.svg")]
    example("eigenfaces.py", str(pictures[0]), "--digits", "--plot", str(pictures[1]))
    assert all(picture.stat().st_size > 1000 for picture in pictures)
    errors = errors_printed(capsys.readouterr().out)
    assert len(errors) == 2
    assert errors == sorted(errors, reverse=True)


def test_eigenfaces(example: Any, tmp_path: Path, capsys: Any, data_folder: Path) -> None:
    if not (data_folder / "olivetti").is_dir():
        pytest.skip("no faces in the data folder")
    pictures = [tmp_path / name for name in ("faces.png", "pca.png")]
    example("eigenfaces.py", str(pictures[0]), "--plot", str(pictures[1]))
    assert all(picture.stat().st_size > 1000 for picture in pictures)
    errors = errors_printed(capsys.readouterr().out)
    assert len(errors) == 3
    assert errors == sorted(errors, reverse=True)
