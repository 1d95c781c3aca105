"""Pictures of where errors lie: distance, energy, structure, stage, cost."""

import numpy as np
from matplotlib import colormaps
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from keras_hamiltonian.conventions import MEV_PER_EV
from keras_hamiltonian.evaluation.plots import INK
from keras_hamiltonian.evaluation.plots import PREDICTED_COLOR
from keras_hamiltonian.evaluation.plots import REFERENCE_COLOR
from keras_hamiltonian.evaluation.plots import TRAINING_COLOR
from keras_hamiltonian.evaluation.plots import finish_axes
from keras_hamiltonian.evaluation.plots import plain_log_labels
from keras_hamiltonian.evaluation.plots import save_figure
from keras_hamiltonian.evaluation.plots import style_axes

# The last curve is the model itself; those before it are what it improves on.
STYLES = (
    {"color": PREDICTED_COLOR, "marker": "o"},
    {"color": TRAINING_COLOR, "marker": "s", "linestyle": (0, (4, 2))},
    {"color": INK, "marker": "^", "linestyle": (0, (1, 2))},
)
GRID = {"color": "#e4e7ea", "linewidth": 0.7}
MOST_NAMES = 40


def plot_errors_by_distance(curves, path, field="mae"):
    """Draws errors of hoppings against the distance of the two atoms.

    Args:
        curves: dict from name to a list of dicts: `from`, `to` (Å), the
            error in eV, and in the first one `blocks`, which is drawn below.
        path: str or path. PNG, or SVG by its suffix.
        field: str. Key of the error, or dict from name to key.

    Raises:
        ValueError: if there is no distance at all.
    """
    if not curves or not all(curves.values()):
        raise ValueError(f"Each curve needs a distance. Received: {curves!r}.")
    figure = Figure(figsize=(5.4, 3.9), layout="constrained")
    axes, below = figure.subplots(
        2, 1, sharex=True, height_ratios=(4, 1), squeeze=True
    )
    for style, (name, bins) in zip(STYLES, curves.items()):
        key = field if isinstance(field, str) else field[name]
        errors = MEV_PER_EV * np.array([entry[key] for entry in bins])
        axes.plot(_middles(bins), _positive(errors), label=name, ms=4, **style)
    _log_axis(axes)
    axes.set_ylabel("mean absolute (meV)", color=INK)
    if len(curves) > 1:
        axes.legend(frameon=False, fontsize=9)
    bins = next(iter(curves.values()))
    width = bins[0]["to"] - bins[0]["from"]
    counts = [entry.get("blocks", entry.get("count")) for entry in bins]
    below.bar(_middles(bins), counts, 0.9 * width, color=REFERENCE_COLOR)
    below.set_ylabel("blocks", color=INK)
    below.set_xlabel("distance of the atoms (Å)", color=INK)
    style_axes(below)
    finish_axes(figure, axes, None, path)


def plot_errors_by_energy(curves, path):
    """Draws errors of levels and wave functions against the energy.

    Args:
        curves: dict from name to `energy_bins` of `SpectrumErrors.result`.
        path: str or path. PNG, or SVG by its suffix.

    Raises:
        ValueError: if there is no level at all.
    """
    if not curves or not all(curves.values()):
        raise ValueError(f"Each curve needs levels. Received: {curves!r}.")
    figure = Figure(figsize=(5.4, 4.4), layout="constrained")
    axes, below = figure.subplots(2, 1, sharex=True)
    for style, (name, bins) in zip(STYLES, curves.items()):
        errors = MEV_PER_EV * np.array([entry["mae"] for entry in bins])
        loss = 1 - np.array([entry["similarity"] for entry in bins])
        style = {**style, "ms": 4, "label": name}
        axes.plot(_middles(bins), _positive(errors), **style)
        below.plot(_middles(bins), _positive(loss), **style)
    for part in (axes, below):
        part.axvline(0.0, color=INK, linewidth=0.7, linestyle=(0, (1, 2)))
        part.set_yscale("log")
        part.grid(axis="y", **GRID)
        part.set_axisbelow(True)
    plain_log_labels(axes.yaxis)
    axes.set_ylabel("levels, MAE (meV)", color=INK)
    below.set_ylabel("1 - similarity", color=INK)
    below.set_xlabel(r"$E - E_\mathrm{F}$ (eV)", color=INK)
    if len(curves) > 1:
        axes.legend(frameon=False, fontsize=9)
    style_axes(below)
    finish_axes(figure, axes, None, path)


def plot_errors_by_structure(curves, path):
    """Draws the error of each structure, from the best to the worst.

    Args:
        curves: dict from name to `MatrixErrors.structures`, in one order; the
            first one sorts.
        path: str or path. PNG, or SVG by its suffix.

    Raises:
        ValueError: if there is no structure.
    """
    if not curves or not all(curves.values()):
        raise ValueError(f"Each curve needs structures. Received: {curves!r}.")
    first = next(iter(curves.values()))
    order = np.argsort([entry["mae"] for entry in first], kind="stable")
    figure = Figure(figsize=(5.4, 3.4), layout="constrained")
    axes = figure.add_subplot()
    for style, (name, structures) in zip(STYLES, curves.items()):
        errors = MEV_PER_EV * np.array([entry["mae"] for entry in structures])
        style = {**style, "linestyle": "none", "ms": 5, "label": name}
        axes.plot(range(len(order)), _positive(errors[order]), **style)
    _log_axis(axes)
    axes.set_ylabel("mean absolute error (meV)")
    axes.margins(x=0.04)
    if len(order) <= MOST_NAMES:
        names = [first[k]["name"] for k in order]
        is_long = sum(map(len, names)) > 60
        turn = {"rotation": 90, "fontsize": 7} if is_long else {}
        axes.set_xticks(range(len(order)), names, **turn)
        axes.set_xlabel("structure")
    else:
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.set_xlabel("structures, from the best to the worst")
    if len(curves) > 1:
        axes.legend(frameon=False, fontsize=9)
    finish_axes(figure, axes, None, path)


def plot_improved_blocks(fractions, labels, path):
    """Draws which part of the orbital blocks a second stage improved.

    Args:
        fractions: `(num_shells, num_shells)` nested list, from 0 to 1; `None`
            where no element has the block.
        labels: list of str. Names of the shells.
        path: str or path. PNG, or SVG by its suffix.
    """
    values = np.array(fractions, dtype=np.float64)
    side = 1.6 + 0.56 * len(labels)
    figure = Figure(figsize=(side + 0.5, side), layout="constrained")
    axes = figure.add_subplot()
    colors = colormaps["PuOr"].with_extremes(bad="#eceff1")
    image = axes.imshow(100 * values, cmap=colors, norm=Normalize(0, 100))
    for (row, column), value in np.ndenumerate(values):
        if np.isfinite(value):
            axes.text(
                column,
                row,
                f"{100 * value:.0f}",
                ha="center",
                va="center",
                fontsize=8,
                color="white" if abs(value - 0.5) > 0.27 else INK,
            )
    axes.set_xticks(range(len(labels)), labels)
    axes.set_yticks(range(len(labels)), labels)
    axes.tick_params(length=0, top=True, labeltop=True, labelbottom=False)
    axes.set_xlabel("shell of the second atom")
    axes.set_ylabel("shell of the first atom")
    bar = figure.colorbar(image, ax=axes, shrink=0.85, pad=0.02)
    bar.set_label("improved (%)", color=INK)
    bar.outline.set_visible(False)
    axes.spines[:].set_visible(False)
    finish_axes(figure, axes, None, path)


def plot_costs(costs, path):
    """Draws time and memory of a prediction against the number of atoms.

    Args:
        costs: list of dicts, of `prediction_costs`.
        path: str or path. PNG, or SVG by its suffix.

    Raises:
        ValueError: if nothing was measured.
    """
    if not costs:
        raise ValueError("No prediction was measured.")
    sizes = [entry["num_atoms"] for entry in costs]
    panels = [("CPU time (s)", "cpu_seconds")]
    if all(entry["peak_megabytes"] is not None for entry in costs):
        panels.append(("peak memory (MB)", "peak_megabytes"))
    figure = Figure(figsize=(3.1 * len(panels), 3.0), layout="constrained")
    grid = figure.subplots(1, len(panels), squeeze=False)[0]
    for axes, (label, field) in zip(grid, panels):
        values = [entry[field] for entry in costs]
        axes.plot(sizes, values, ms=5, **STYLES[0])
        axes.set_xlabel("atoms")
        axes.set_ylabel(label)
        axes.set_xlim(0, 1.08 * max(sizes))
        axes.set_ylim(0, 1.1 * max(max(values), 1e-6))
        axes.grid(axis="y", **GRID)
        style_axes(axes)
    save_figure(figure, path)


def _middles(bins):
    return np.array([(entry["from"] + entry["to"]) / 2 for entry in bins])


def _positive(values):
    """Zeros, which a logarithm has no place for, are left out."""
    return np.where(values > 0, values, np.nan)


def _log_axis(axes):
    axes.set_yscale("log")
    plain_log_labels(axes.yaxis)
    axes.grid(axis="y", **GRID)
    axes.set_axisbelow(True)
