"""Draws eigenfaces: the mean, the first components and reconstructions (needs matplotlib).

    python examples/eigenfaces.py faces.png
    python examples/eigenfaces.py docs/eigenfaces.svg --digits --plot docs/pca.svg

Faces are the 400 pictures of 64 x 64 of 40 people that AT&T Laboratories Cambridge took from 1992
to 1994, where ``../shared/data/olivetti`` beside the project (or in the folder FASTMML_DATA) has
them; else, and with ``--digits``, they are the 1797 handwritten digits of 8 x 8 that scikit-learn
ships. For each number of components the average squared error of the reconstructions is printed,
over all pictures: `PCA` finds it with the components, without making a reconstruction. ``--plot``
draws ``PCA.plot``, too, of ten components.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

import fastmml as fm

ROOT = Path(__file__).resolve().parents[1]
DATA = Path(os.environ.get("FASTMML_DATA") or ROOT.parent / "shared" / "data")
FACES = DATA / "olivetti" / "olivetti.npz"
COMPONENTS = (10, 50, 200)
COLUMNS = 8


def pictures(want_digits: bool) -> tuple[NDArray[Any], NDArray[Any] | None]:
    """Grey pictures, (pictures, height, width), and what they show, unless that is 40 people."""
    if FACES.is_file() and not want_digits:
        return np.asarray(np.load(FACES)["images"], np.float32), None
    from sklearn.datasets import load_digits

    digits = load_digits()
    return np.asarray(digits.images, np.float32), digits.target


def draw(images: NDArray[Any], path: Path) -> None:
    """Draw one row for the components, one for pictures and one for each reconstruction."""
    x = images.reshape(len(images), -1)
    counts = [count for count in COMPONENTS if count <= min(x.shape)]
    largest = fm.PCA().fit(x)
    shown = x[:: len(x) // COLUMNS][:COLUMNS]
    rows = [
        ("mean and\ncomponents", [largest.mean_, *largest.components_[: COLUMNS - 1]]),
        ("pictures", list(shown)),
    ]
    for count in counts:
        pca = fm.PCA(count).fit(x)
        print(f"{count} components, average squared error {pca.reconstruction_error_:.6g}")
        rows.append((f"{count} components", list(pca.inverse_transform(pca.transform(shown)))))
    figure = Figure(figsize=(COLUMNS, 1.02 * len(rows)), layout="constrained")
    for axes, (title, row) in zip(figure.subplots(len(rows), COLUMNS), rows, strict=True):
        axes[0].set_ylabel(title, fontsize=8)
        for axis, picture in zip(axes, row, strict=True):
            axis.imshow(picture.reshape(images.shape[1:]), cmap="gray", interpolation="none")
            axis.set(xticks=[], yticks=[])
    save(figure, path)


def save(figure: Figure, path: Path) -> None:
    """Write a picture, the same bytes each time."""
    matplotlib.rcParams["svg.hashsalt"] = "fastmml"
    figure.savefig(path, dpi=90, metadata={"Date": None} if path.suffix == ".svg" else None)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("picture", type=Path, help="file to draw to: .svg, .png, ...")
    parser.add_argument("--digits", action="store_true", help="digits, even if there are faces")
    parser.add_argument("--plot", type=Path, help="file to draw variances and loadings to")
    arguments = parser.parse_args()
    images, labels = pictures(arguments.digits)
    draw(images, arguments.picture)
    if arguments.plot:
        x = images.reshape(len(images), -1)
        save(fm.PCA(10).fit(x).plot(x, labels), arguments.plot)
