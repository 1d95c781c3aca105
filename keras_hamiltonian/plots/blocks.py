"""Pictures of orbital blocks: one number for each pair of shells."""

import numpy as np
from matplotlib import colormaps
from matplotlib.colors import LogNorm
from matplotlib.colors import Normalize

from keras_hamiltonian.conventions import MEV_PER_EV
from keras_hamiltonian.plots.style import COLORS
from keras_hamiltonian.plots.style import INK
from keras_hamiltonian.plots.style import NO_DATA
from keras_hamiltonian.plots.style import add_color_bar
from keras_hamiltonian.plots.style import finish_axes
from keras_hamiltonian.plots.style import new_axes
from keras_hamiltonian.plots.style import plain_log_labels


def plot_block_errors(
    errors, labels, path, title=None, quantity="mean absolute error"
):
    """Draws the mean absolute error of each orbital block.

    Args:
        errors: `(num_shells, num_shells)` array, in eV; NaN where no element
            has the block.
        labels: list of str. Names of the shells.
        path: str or path. The file, PNG, SVG or PDF by its suffix.
        title: str.
        quantity: str. Name of the numbers, in meV.

    Raises:
        ValueError: if the array is not square or the names do not fit.
    """
    values = MEV_PER_EV * np.asarray(errors, dtype=np.float64)
    if values.shape != (len(labels), len(labels)):
        raise ValueError(
            f"{len(labels)} names of shells need a square array of errors. "
            f"Received the shape {values.shape}."
        )
    if not np.isfinite(values).any():
        raise ValueError("No orbital block has an error.")
    positive = values[np.isfinite(values) & (values > 0)]
    low = positive.min() if positive.size else 1.0
    high = max(positive.max() if positive.size else 1.0, low * 1.01)
    norm = LogNorm(low, high, clip=True)
    figure, axes, bar = _draw(
        # A block without error has the lowest colour, one without data is grey.
        np.where(values == 0, low, values),
        labels,
        norm,
        COLORS,
        f"{quantity} (meV)",
    )
    plain_log_labels(bar.ax.yaxis)
    for place, value in _known(values):
        text = f"{value:.3g}" if value < 1000 else f"{value:.0f}"
        _write(axes, place, text, norm(max(value, low)) > 0.6)
    finish_axes(figure, axes, title, path)


def plot_improved_blocks(fractions, labels, path):
    """Draws the fraction of orbital blocks that a second stage improved.

    Args:
        fractions: `(num_shells, num_shells)` nested list, from 0 to 1; `None`
            where no element has the block.
        labels: list of str. Names of the shells.
        path: str or path. The file, PNG, SVG or PDF by its suffix.
    """
    values = 100 * np.array(fractions, dtype=np.float64)
    norm = Normalize(0, 100)
    figure, axes, _ = _draw(values, labels, norm, "PuOr", "improved (%)")
    for place, value in _known(values):
        _write(axes, place, f"{value:.0f}", abs(value - 50) > 27)
    finish_axes(figure, axes, None, path)


def _draw(values, labels, norm, colors, quantity):
    side = 1.6 + 0.56 * len(labels)
    figure, axes = new_axes(side + 0.5, side)
    colors = colormaps[colors].with_extremes(bad=NO_DATA)
    axes.imshow(values, cmap=colors, norm=norm)
    axes.set_xticks(range(len(labels)), labels)
    axes.set_yticks(range(len(labels)), labels)
    axes.tick_params(length=0, top=True, labeltop=True, labelbottom=False)
    axes.set_xlabel("shell of the second atom")
    axes.set_ylabel("shell of the first atom")
    axes.spines[:].set_visible(False)
    bar = add_color_bar(figure, axes, norm, colors, quantity, shrink=0.85)
    return figure, axes, bar


def _known(values):
    """Place and value of each number."""
    return [x for x in np.ndenumerate(values) if np.isfinite(x[1])]


def _write(axes, place, text, is_dark):
    color = "white" if is_dark else INK
    axes.text(*place[::-1], text, ha="center", va="center", fontsize=8, c=color)
