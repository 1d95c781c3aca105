"""Pictures of errors: by distance, energy, structure, number of rotations."""

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from keras_hamiltonian.conventions import MEV_PER_EV
from keras_hamiltonian.plots.style import DOTTED
from keras_hamiltonian.plots.style import INK
from keras_hamiltonian.plots.style import PREDICTED_COLOR
from keras_hamiltonian.plots.style import REFERENCE_COLOR
from keras_hamiltonian.plots.style import TRAINING_COLOR
from keras_hamiltonian.plots.style import draw_grid
from keras_hamiltonian.plots.style import finish_axes
from keras_hamiltonian.plots.style import new_axes
from keras_hamiltonian.plots.style import plain
from keras_hamiltonian.plots.style import style_axes
from keras_hamiltonian.plots.style import use_log_scale

# First the model itself, then what it is compared with.
STYLES = (
    {"color": PREDICTED_COLOR, "marker": "o"},
    {"color": TRAINING_COLOR, "marker": "s", "linestyle": (0, (4, 2))},
    {"color": INK, "marker": "^", "linestyle": DOTTED},
)
MOST_NAMES = 40


def plot_errors_by_distance(curves, path, field="mae"):
    """Draws errors of hoppings against the distance of the two atoms.

    Args:
        curves: dict from name to a list of dicts: `from`, `to` (Å), the
            error in eV, and in the first one `blocks` or `count`, which is
            drawn below.
        path: str or path. The file, PNG, SVG or PDF by its suffix.
        field: str. Key of the error, or dict from name to key.

    Raises:
        ValueError: if there is no distance at all.
    """
    _check(curves, "a distance")
    figure = Figure(figsize=(5.4, 3.9), layout="constrained")
    axes, below = figure.subplots(2, 1, sharex=True, height_ratios=(4, 1))
    for style, (name, bins) in zip(STYLES, curves.items()):
        key = field if isinstance(field, str) else field[name]
        errors = _positive(MEV_PER_EV * _values(bins, key))
        axes.plot(_middles(bins), errors, label=plain(name), ms=4, **style)
    use_log_scale(axes)
    axes.set_ylabel("mean absolute (meV)", color=INK)
    _legend(axes, curves)
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
        path: str or path. The file, PNG, SVG or PDF by its suffix.

    Raises:
        ValueError: if there is no level at all.
    """
    _check(curves, "levels")
    figure = Figure(figsize=(5.4, 4.4), layout="constrained")
    axes, below = figure.subplots(2, 1, sharex=True)
    for style, (name, bins) in zip(STYLES, curves.items()):
        style = {**style, "ms": 4, "label": plain(name)}
        errors = MEV_PER_EV * _values(bins, "mae")
        axes.plot(_middles(bins), _positive(errors), **style)
        loss = 1 - _values(bins, "similarity")
        below.plot(_middles(bins), _positive(loss), **style)
    for part in (axes, below):
        part.axvline(0.0, color=INK, linewidth=0.7, linestyle=DOTTED)
    use_log_scale(axes)
    below.set_yscale("log")
    draw_grid(below)
    axes.set_ylabel("levels, MAE (meV)", color=INK)
    below.set_ylabel("1 - similarity", color=INK)
    below.set_xlabel(r"$E - E_\mathrm{F}$ (eV)", color=INK)
    _legend(axes, curves)
    style_axes(below)
    finish_axes(figure, axes, None, path)


def plot_errors_by_structure(curves, path):
    """Draws the error of each structure, from the best to the worst.

    Args:
        curves: dict from name to `MatrixErrors.structures`, in one order; the
            first one sorts.
        path: str or path. The file, PNG, SVG or PDF by its suffix.

    Raises:
        ValueError: if there is no structure.
    """
    _check(curves, "structures")
    first = next(iter(curves.values()))
    order = np.argsort(_values(first, "mae"), kind="stable")
    figure, axes = new_axes(5.4, 3.4)
    for style, (name, structures) in zip(STYLES, curves.items()):
        errors = MEV_PER_EV * _values(structures, "mae")
        style = {**style, "linestyle": "none", "ms": 5, "label": plain(name)}
        axes.plot(range(len(order)), _positive(errors[order]), **style)
    use_log_scale(axes)
    axes.set_ylabel("mean absolute error (meV)")
    axes.margins(x=0.04)
    if len(order) <= MOST_NAMES:
        names = [plain(first[k]["name"]) for k in order]
        is_long = sum(map(len, names)) > 60
        options = {"rotation": 90, "fontsize": 7} if is_long else {}
        axes.set_xticks(range(len(order)), names, **options)
        axes.set_xlabel("structure")
    else:
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.set_xlabel("structures, from the best to the worst")
    _legend(axes, curves)
    finish_axes(figure, axes, None, path)


def plot_equivariance(curves, path, title=None):
    """Draws the equivariance error against the number of rotations averaged.

    Args:
        curves: dict from name to what `averaged_equivariance_error` returned.
            A dotted line falls as 1/√n from the first point of the first one.
        path: str or path. The file, PNG, SVG or PDF by its suffix.
        title: str.

    Raises:
        ValueError: if there is nothing to draw.
    """
    _check(curves, "at least one number of rotations")
    figure, axes = new_axes(4.6, 3.6)
    colors = (PREDICTED_COLOR, TRAINING_COLOR, INK, REFERENCE_COLOR)
    numbers = sorted({n for curve in curves.values() for n in curve})
    for k, (name, curve) in enumerate(curves.items()):
        own = sorted(curve)
        errors = np.array([curve[n]["mae_mev"] for n in own])
        style = {"color": colors[k % len(colors)], "label": plain(name)}
        axes.plot(own, errors, "o-", lw=1.6, ms=4, **style)
        if k == 0:
            fall = errors[0] * np.sqrt(own[0] / np.array(numbers))
            style = {"color": INK, "lw": 0.9, "ls": DOTTED}
            axes.plot(numbers, fall, label=r"$1/\sqrt{n}$", **style)
    axes.set_xscale("log", base=2)
    axes.set_yscale("log")
    axes.set_xticks(numbers, [str(n) for n in numbers])
    axes.minorticks_off()
    draw_grid(axes)
    axes.set_xlabel("rotations averaged")
    axes.set_ylabel("equivariance error (meV)")
    axes.legend(frameon=False)
    finish_axes(figure, axes, title, path)


def _check(curves, what):
    if not curves or not all(curves.values()):
        raise ValueError(
            f"Give one curve or more, each with {what}. Received: {curves!r}."
        )


def _values(entries, key):
    return np.array([entry[key] for entry in entries])


def _middles(bins):
    return (_values(bins, "from") + _values(bins, "to")) / 2


def _positive(values):
    """Zeros, which have no logarithm, are left out."""
    return np.where(values > 0, values, np.nan)


def _legend(axes, curves):
    if len(curves) > 1:
        axes.legend(frameon=False, fontsize=9)
