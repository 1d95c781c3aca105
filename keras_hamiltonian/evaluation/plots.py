"""Pictures of results, written as PNG files, or SVG by the suffix."""

import numpy as np
from matplotlib import colormaps
from matplotlib import rc_context
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter
from matplotlib.ticker import LogLocator

from keras_hamiltonian.conventions import MEV_PER_EV

REFERENCE_COLOR = "#9aa3ad"
PREDICTED_COLOR = "#c8352b"
TRAINING_COLOR = "#3b6ea5"
INK = "#22272e"
DOTS_PER_INCH = 200


def plot_bands(
    predicted,
    reference,
    path,
    window=(-6.0, 6.0),
    title=None,
    labels=("predicted", "DFT"),
):
    """Draws two band structures over each other.

    Both share one energy zero, the Fermi level of the reference, so that a
    shift of all bands shows.

    Args:
        predicted: `BandStructure`, or `None` to draw the reference alone.
        reference: `BandStructure`, or `None` to draw the prediction alone.
        path: str or path. The PNG file.
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
    figure = Figure(figsize=(4.6, 4.8), layout="constrained")
    axes = figure.add_subplot()
    axes.axhline(0.0, color=INK, linewidth=0.7, linestyle=(0, (1, 2)))
    if reference is not None:
        style = {"color": REFERENCE_COLOR, "linewidth": 2.2}
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
        # Below the axes, where no title is.
        figure.legend(
            loc="outside lower center", ncols=2, frameon=False, fontsize=9
        )
    finish_axes(figure, axes, title, path, is_boxed=True)


def plot_learning_curve(history, path, title=None):
    """Draws the error of training and validation against time.

    Args:
        history: dict of lists of equal length, in eV: `"mae"` or `"loss"`, and
            `"val_mae"` or `"val_loss"` if there is a validation set; `None`
            where an epoch has no value.
            `"cpu_seconds"` is the horizontal axis; without it epochs are.
            Where the strings of `"stage"` change stands a vertical line.
        path: str or path. The PNG file.
        title: str.

    Raises:
        ValueError: if the history has no error.
    """
    training = history.get("mae", history.get("loss"))
    validation = history.get("val_mae", history.get("val_loss"))
    if not (training or validation):
        raise ValueError(
            'A history has the list "mae" or "loss". Received the keys '
            f"{sorted(history)}."
        )
    times = history.get("cpu_seconds")
    count = len(training or validation)
    horizontal = np.arange(1, count + 1) if times is None else np.array(times)
    figure = Figure(figsize=(5.4, 3.6), layout="constrained")
    axes = figure.add_subplot()
    for values, name, color in (
        (training, "training", TRAINING_COLOR),
        (validation, "validation", PREDICTED_COLOR),
    ):
        if values:
            errors = MEV_PER_EV * np.array(values, dtype=np.float64)
            # Not every epoch is validated; the line goes on to the next.
            known = np.isfinite(errors)
            axes.plot(
                horizontal[known],
                errors[known],
                color=color,
                lw=1.6,
                label=name,
            )
    if validation:
        errors = MEV_PER_EV * np.array(validation, dtype=np.float64)
        _mark_best(axes, horizontal, errors)
    _mark_stages(axes, horizontal, history.get("stage", ()))
    axes.set_yscale("log")
    plain_log_labels(axes.yaxis)
    axes.grid(axis="y", color="#e4e7ea", linewidth=0.7)
    axes.set_axisbelow(True)
    axes.margins(x=0.02)
    axes.set_xlabel("epoch" if times is None else "CPU time (s)")
    axes.set_ylabel("mean absolute error (meV)")
    axes.legend(frameon=False)
    finish_axes(figure, axes, title, path)


def plot_block_errors(
    errors, labels, path, title=None, quantity="mean absolute error"
):
    """Draws the mean absolute error of each orbital block.

    Args:
        errors: `(num_shells, num_shells)` array, in eV; NaN where no element
            has the block.
        labels: list of str. Names of the shells.
        path: str or path. The PNG file.
        title: str.
        quantity: str. What the numbers are, in meV.

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
    side = 1.6 + 0.56 * len(labels)
    figure = Figure(figsize=(side + 0.5, side), layout="constrained")
    axes = figure.add_subplot()
    positive = values[np.isfinite(values) & (values > 0)]
    low = positive.min() if positive.size else 1.0
    high = max(positive.max() if positive.size else 1.0, low * 1.01)
    norm = LogNorm(low, high, clip=True)
    colors = colormaps["YlOrRd"].with_extremes(bad="#eceff1")
    # A block without error takes the lowest colour; one without data is grey.
    shown = np.where(values == 0, low, values)
    image = axes.imshow(shown, cmap=colors, norm=norm)
    _write_numbers(axes, values, lambda value: norm(max(value, low)) > 0.6)
    axes.set_xticks(range(len(labels)), labels)
    axes.set_yticks(range(len(labels)), labels)
    axes.tick_params(length=0, top=True, labeltop=True, labelbottom=False)
    axes.set_xlabel("shell of the second atom")
    axes.set_ylabel("shell of the first atom")
    bar = figure.colorbar(image, ax=axes, shrink=0.85, pad=0.02)
    bar.set_label(f"{quantity} (meV)", color=INK)
    bar.outline.set_visible(False)
    plain_log_labels(bar.ax.yaxis)
    axes.spines[:].set_visible(False)
    finish_axes(figure, axes, title, path)


def plot_equivariance(curves, path, title=None):
    """Draws the equivariance error against the number of rotations averaged.

    Args:
        curves: dict from name to what `averaged_equivariance_error` returned.
            A dotted line falls as 1/√n from the first point of the first one.
        path: str or path. The PNG file.
        title: str.

    Raises:
        ValueError: if there is nothing to draw.
    """
    if not curves or not all(curves.values()):
        raise ValueError(
            "Give at least one curve with at least one number of rotations. "
            f"Received: {curves!r}."
        )
    figure = Figure(figsize=(4.6, 3.6), layout="constrained")
    axes = figure.add_subplot()
    colors = (PREDICTED_COLOR, TRAINING_COLOR, INK, REFERENCE_COLOR)
    numbers = sorted({n for curve in curves.values() for n in curve})
    for k, (name, curve) in enumerate(curves.items()):
        own = sorted(curve)
        errors = np.array([curve[n]["mae_mev"] for n in own])
        color = colors[k % len(colors)]
        axes.plot(own, errors, "o-", color=color, lw=1.6, ms=4, label=name)
        if k == 0:
            fall = errors[0] * np.sqrt(own[0] / np.array(numbers))
            style = {"color": INK, "lw": 0.9, "ls": (0, (1, 2))}
            axes.plot(numbers, fall, label=r"$1/\sqrt{n}$", **style)
    axes.set_xscale("log", base=2)
    axes.set_yscale("log")
    axes.set_xticks(numbers, [str(n) for n in numbers])
    axes.minorticks_off()
    axes.grid(axis="y", color="#e4e7ea", linewidth=0.7)
    axes.set_axisbelow(True)
    axes.set_xlabel("rotations averaged")
    axes.set_ylabel("equivariance error (meV)")
    axes.legend(frameon=False)
    finish_axes(figure, axes, title, path)


def _write_numbers(axes, values, is_dark):
    for (row, column), value in np.ndenumerate(values):
        if np.isfinite(value):
            axes.text(
                column,
                row,
                f"{value:.3g}" if value < 1000 else f"{value:.0f}",
                ha="center",
                va="center",
                fontsize=8,
                color="white" if is_dark(value) else INK,
            )


def plain_log_labels(axis):
    """Labels 1, 2, 5, 10 instead of powers."""
    axis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.set_minor_formatter(FuncFormatter(lambda value, _: ""))


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
    lines = axes.plot(
        distances, np.insert(energies[:, near], jumps, np.nan, axis=0), **style
    )
    if lines:
        lines[0].set_label(label)


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
    digits = name[len(letters) :]
    return rf"{letters}$_{{{digits}}}$" if digits else letters


def _mark_stages(axes, horizontal, stages):
    """A line between two stages, with the name of the later one."""
    for k, (before, after) in enumerate(zip(stages, stages[1:]), start=1):
        if before != after:
            place = horizontal[k - 1]
            axes.axvline(place, color=INK, linewidth=0.8, linestyle=(0, (4, 3)))
            axes.annotate(
                f"{after} stage",
                (place, 1.0),
                xycoords=("data", "axes fraction"),
                xytext=(3, -9),
                textcoords="offset points",
                fontsize=9,
                color=INK,
            )


def _mark_best(axes, horizontal, errors):
    best = int(np.nanargmin(errors))
    axes.plot(
        horizontal[best], errors[best], "o", color=PREDICTED_COLOR, markersize=5
    )
    axes.annotate(
        f"{errors[best]:.3g} meV",
        (horizontal[best], errors[best]),
        xytext=(-4, 9),
        textcoords="offset points",
        ha="right",
        color=PREDICTED_COLOR,
        fontsize=9,
    )


def finish_axes(figure, axes, title, path, is_boxed=False):
    """Gives axes the common look and writes the file."""
    style_axes(axes, is_boxed)
    if title:
        axes.set_title(title, loc="left", fontsize=11, color=INK)
    save_figure(figure, path)


def style_axes(axes, is_boxed=False):
    """Colours of axes and ticks; no frame unless boxed."""
    axes.xaxis.label.set_color(INK)
    axes.yaxis.label.set_color(INK)
    axes.tick_params(colors=INK)
    if not is_boxed:
        axes.spines[["top", "right"]].set_visible(False)
    axes.spines[:].set_color("#8a9199")
    axes.spines[:].set_linewidth(0.8)


def save_figure(figure, path):
    """Writes a PNG file, or an SVG one if the path ends so."""
    if str(path).endswith(".svg"):
        empty = dict.fromkeys(("Creator", "Date", "Format", "Type"))
        with rc_context({"svg.hashsalt": "keras_hamiltonian"}):
            figure.savefig(path, format="svg", metadata=empty)
    else:
        figure.savefig(path, dpi=DOTS_PER_INCH, format="png")
