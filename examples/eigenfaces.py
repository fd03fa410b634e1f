"""Draws eigenfaces: the mean, the first components and reconstructions (needs matplotlib).

    python examples/eigenfaces.py faces.png
    python examples/eigenfaces.py docs/eigenfaces.svg --digits

Faces are the 400 pictures of 64 x 64 of 40 people that AT&T Laboratories Cambridge took from 1992
to 1994, where ``../shared/data/olivetti`` beside the project (or in the folder FASTMML_DATA) has
them; else, and with ``--digits``, they are the 1797 handwritten digits of 8 x 8 that scikit-learn
ships. For each number of components the average squared error of the reconstructions is printed,
over all pictures: `PCA` finds it with the components, without making a reconstruction.
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


def pictures(want_digits: bool) -> NDArray[Any]:
    """Grey pictures: (pictures, height, width), of numbers from 0 up."""
    if FACES.is_file() and not want_digits:
        return np.asarray(np.load(FACES)["images"], np.float32)
    from sklearn.datasets import load_digits

    return np.asarray(load_digits().images, np.float32)


def draw(images: NDArray[Any], path: Path) -> None:
    """Draw one row for the components, one for pictures and one for each reconstruction."""
    x = images.reshape(len(images), -1)
    counts = [count for count in COMPONENTS if count <= min(x.shape)]
    largest = fm.PCA().fit(x)
    shown = x[:: len(x) // COLUMNS][:COLUMNS]
    rows = [
        ("mean, components", [largest.mean_, *largest.components_[: COLUMNS - 1]]),
        ("pictures", list(shown)),
    ]
    for count in counts:
        pca = fm.PCA(count).fit(x)
        print(f"{count} components, average squared error {pca.reconstruction_error_:.6g}")
        rows.append((f"of {count}", list(pca.inverse_transform(pca.transform(shown)))))
    figure = Figure(figsize=(COLUMNS, 1.02 * len(rows)), layout="constrained")
    for axes, (title, row) in zip(figure.subplots(len(rows), COLUMNS), rows, strict=True):
        axes[0].set_ylabel(title, fontsize=8)
        for axis, picture in zip(axes, row, strict=True):
            axis.imshow(picture.reshape(images.shape[1:]), cmap="gray", interpolation="none")
            axis.set(xticks=[], yticks=[])
    matplotlib.rcParams["svg.hashsalt"] = "fastmml"  # the same bytes each time
    figure.savefig(path, metadata={"Date": None} if path.suffix == ".svg" else None)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("picture", type=Path, help="file to draw to: .svg, .png, ...")
    parser.add_argument("--digits", action="store_true", help="digits, even if there are faces")
    arguments = parser.parse_args()
    draw(pictures(arguments.digits), arguments.picture)
