"""Picture of matrix elements, predicted over those of DFT."""

import numpy as np
from matplotlib.figure import Figure

from keras_hamiltonian.conventions import MEV_PER_EV
from keras_hamiltonian.plots.style import COLORS
from keras_hamiltonian.plots.style import DOTTED
from keras_hamiltonian.plots.style import INK
from keras_hamiltonian.plots.style import finish_panels
from keras_hamiltonian.plots.style import style_axes

# Along the horizontal axis.
NUM_BINS = 70


def plot_elements(predicted, reference, path, title=None):
    """Draws all matrix elements, and what they are off by.

    The darker, the more elements. Of complex ones real and imaginary parts
    are drawn, each as an element.

    Args:
        predicted, reference: `(num_elements,)` arrays in eV.
        path: str or path. The file, PNG, SVG or PDF by its suffix.
        title: str.

    Raises:
        ValueError: if shapes differ, or there is no element.
    """
    predicted, reference = np.asarray(predicted), np.asarray(reference)
    if predicted.shape != reference.shape or not predicted.size:
        raise ValueError(
            "Elements are drawn in pairs. Received: shapes "
            f"{predicted.shape} and {reference.shape}."
        )
    x, y = _parts(reference), _parts(predicted)
    figure = Figure(figsize=(7.6, 3.6), layout="constrained")
    both, off = figure.subplots(1, 2)
    options = {"gridsize": NUM_BINS, "bins": "log", "cmap": COLORS}
    options |= {"mincnt": 1, "linewidths": 0.2, "rasterized": True}
    both.hexbin(x, y, **options)
    off.hexbin(x, MEV_PER_EV * (y - x), **options)
    line = {"color": INK, "linewidth": 0.7, "linestyle": DOTTED}
    both.axline((0, 0), slope=1, **line)
    off.axhline(0, **line)
    both.set_ylabel("predicted (eV)")
    off.set_ylabel("predicted - DFT (meV)")
    for axes in (both, off):
        axes.set_xlabel("DFT (eV)")
        style_axes(axes, is_boxed=True)
    finish_panels(figure, title, path)


def _parts(values):
    """Real numbers, or real and imaginary parts."""
    if np.iscomplexobj(values):
        return np.concatenate([values.real, values.imag])
    return values
