"""Pictures of band structures."""

import numpy as np

from keras_hamiltonian.plots.style import DOTTED
from keras_hamiltonian.plots.style import INK
from keras_hamiltonian.plots.style import PREDICTED_COLOR
from keras_hamiltonian.plots.style import REFERENCE_COLOR
from keras_hamiltonian.plots.style import finish_axes
from keras_hamiltonian.plots.style import new_axes
from keras_hamiltonian.plots.style import plain


def plot_bands(
    predicted,
    reference,
    path,
    window=(-6.0, 6.0),
    title=None,
    labels=("predicted", "DFT"),
):
    """Draws two band structures over each other.

    Both have one energy zero, the Fermi level of the reference, so that a
    shift of all bands is visible. Expected errors of the levels, if they are
    known, are shaded. A reference alone is drawn in ink, whatever it is.

    Args:
        predicted: `BandStructure`, or `None` to draw the reference alone.
        reference: `BandStructure`, or `None` to draw the prediction alone.
        path: str or path. The file, PNG, SVG or PDF by its suffix.
        window: two floats. Energies about the Fermi level, in eV.
        title: str.
        labels: two strs. Names of prediction and reference in the legend.

    Raises:
        ValueError: if there is nothing to draw, or no Fermi level is known.
    """
    given = [bands for bands in (reference, predicted) if bands is not None]
    if not given:
        raise ValueError("Neither predicted nor reference bands were given.")
    levels = [b.fermi_level for b in given if b.fermi_level is not None]
    if not levels:
        raise ValueError("Set `fermi_level` of the bands: it is the zero.")
    figure, axes = new_axes(4.6, 4.8)
    axes.axhline(0.0, color=INK, linewidth=0.7, linestyle=DOTTED)
    if reference is not None:
        style = {"color": REFERENCE_COLOR, "linewidth": 2.2}
        if predicted is None:
            style = {"color": INK, "linewidth": 1.1}
        _draw_bands(axes, reference, levels[0], labels[1], style, window)
    if predicted is not None:
        style = {"color": PREDICTED_COLOR, "linewidth": 1.1}
        if reference is not None:
            style["linestyle"] = (0, (4, 2.2))
        _draw_bands(axes, predicted, levels[0], labels[0], style, window)
    _mark_special_points(axes, given[0])
    axes.set_ylim(*window)
    axes.set_ylabel(r"$E - E_\mathrm{F}$ (eV)")
    if len(given) == 2:
        # Below the axes; above them is the title.
        figure.legend(
            loc="outside lower center", ncols=2, frameon=False, fontsize=9
        )
    finish_axes(figure, axes, title, path, is_boxed=True)


def _draw_bands(axes, bands, zero, label, style, window):
    energies = bands.energies - zero
    # Bands far outside would only make the file large.
    margin = window[1] - window[0]
    with np.errstate(invalid="ignore"):
        near = (energies.max(axis=0) > window[0] - margin) & (
            energies.min(axis=0) < window[1] + margin
        )
    # A line must not cross a jump of the path.
    jumps = 1 + np.flatnonzero(np.diff(bands.distances) == 0)
    distances = np.insert(bands.distances, jumps, np.nan)
    energies = np.insert(energies[:, near], jumps, np.nan, axis=0)
    if bands.errors is not None:
        errors = np.insert(bands.errors[:, near], jumps, np.nan, axis=0)
        for level, error in zip(energies.T, errors.T):
            axes.fill_between(
                distances,
                level - error,
                level + error,
                color=style["color"],
                alpha=0.25,
                linewidth=0,
            )
    lines = axes.plot(distances, energies, **style)
    if lines:
        lines[0].set_label(plain(label))


def _mark_special_points(axes, bands):
    names = {}
    for position, name in bands.labels:
        place = float(bands.distances[position])
        names.setdefault(place, []).append(_display_name(name))
    for place in list(names)[1:-1]:
        axes.axvline(place, color="#d5d9dd", linewidth=0.8, zorder=0)
    axes.set_xticks(list(names), ["|".join(n) for n in names.values()])
    axes.set_xlim(bands.distances[0], bands.distances[-1])
    axes.tick_params(axis="x", length=0, labelsize=11)


def _display_name(name):
    """Γ for G; digits after a letter become an index."""
    if name in ("G", "Gamma", "GAMMA"):
        return "Γ"
    letters = name.rstrip("0123456789")
    digits, letters = name[len(letters) :], plain(letters)
    return rf"{letters}$_{{{digits}}}$" if digits else letters
