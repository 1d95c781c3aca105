"""Picture of the corrections of a second stage, by group."""

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from keras_hamiltonian.conventions import MEV_PER_EV
from keras_hamiltonian.plots.style import INK
from keras_hamiltonian.plots.style import PREDICTED_COLOR
from keras_hamiltonian.plots.style import REFERENCE_COLOR
from keras_hamiltonian.plots.style import TRAINING_COLOR
from keras_hamiltonian.plots.style import draw_grid
from keras_hamiltonian.plots.style import finish_panels
from keras_hamiltonian.plots.style import plain
from keras_hamiltonian.plots.style import plain_log_labels
from keras_hamiltonian.plots.style import style_axes

MOST_STRUCTURES = 8
# By the sign of the gain.
EFFECT_COLORS = {1: TRAINING_COLOR, 0: INK, -1: PREDICTED_COLOR}


def plot_corrections(corrections, path, title=None):
    """Draws size and effect of the second stage's corrections.

    Grey diamonds are the mean absolute correction of each group. Lines go
    from the error of the first stage (hollow) to that of both (full), blue
    where the second stage helps, red where it hurts; without Hamiltonians
    there are no lines. Groups are those of `Corrections.groups`; of the
    structures, the eight with the smallest gain.

    Args:
        corrections: `Corrections`.
        path: str or path. The file, PNG, SVG or PDF by its suffix.
        title: str.
    """
    structures = corrections.ranked("structure", MOST_STRUCTURES)
    shown = "helped least" if corrections.is_compared else "changed most"
    panels = [
        (f"by {kind}", list(corrections.groups(kind).items()))
        for kind in ("block type", "distance", "element pair")
    ]
    panels.append((f"structures, {shown}", structures))
    heights = [len(panels[k][1]) + len(panels[k + 2][1]) for k in (0, 1)]
    figure = Figure(
        figsize=(8.4, 1.5 + 0.24 * max(heights)), layout="constrained"
    )
    columns = figure.subfigures(1, 2)
    # Both columns have one height: fewer groups have wider rows.
    for k, column in enumerate(columns):
        parts = panels[k::2]
        ratios = [len(groups) + 1.5 for _, groups in parts]
        all_axes = column.subplots(2, 1, height_ratios=ratios)
        for axes, (name, groups) in zip(all_axes, parts):
            _draw(axes, groups, corrections.is_compared)
            axes.set_title(name, loc="left", fontsize=9.5, color=INK)
            if axes is all_axes[-1]:
                axes.set_xlabel("mean over orbital blocks (meV)", color=INK)
    _share_limits([axes for column in columns for axes in column.axes])
    _legend(figure, corrections.is_compared)
    finish_panels(figure, title, path)


def _draw(axes, groups, is_compared):
    names = [plain(name) for name, _ in groups]
    places = np.arange(len(groups))
    corrections = MEV_PER_EV * np.array([g["correction"] for _, g in groups])
    axes.plot(corrections, places, "D", ms=5, color=REFERENCE_COLOR, mew=0)
    if is_compared:
        for place, (_, group) in zip(places, groups):
            before, after = (
                MEV_PER_EV * group[key]
                for key in ("baseline_mae", "refined_mae")
            )
            color = EFFECT_COLORS[int(np.sign(group["gain"]))]
            axes.plot([before, after], [place, place], color=color, lw=1.6)
            style = {"ms": 5.5, "mec": color, "mew": 1.3}
            axes.plot(before, place, "o", mfc="white", **style)
            axes.plot(after, place, "o", mfc=color, **style)
    axes.set_yticks(places, names, fontsize=8)
    axes.set_ylim(len(groups) - 0.4, -0.6)
    axes.set_xscale("log")
    plain_log_labels(axes.xaxis)
    draw_grid(axes, "x")
    axes.tick_params(axis="y", length=0)
    axes.tick_params(axis="x", labelsize=8)
    style_axes(axes)


def _share_limits(all_axes):
    """One scale for all panels; zero corrections are outside."""
    limits = np.array([axes.get_xlim() for axes in all_axes])
    low, high = limits[:, 0].min(), limits[:, 1].max()
    for axes in all_axes:
        axes.set_xlim(max(low, high * 1e-5), high)


def _legend(figure, is_compared):
    style = {"marker": "D", "ms": 5, "mew": 0, "lw": 0}
    handles = [Line2D([], [], color=REFERENCE_COLOR, **style)]
    names = ["size of the correction"]
    if is_compared:
        style = {"marker": "o", "ms": 5.5, "mew": 1.3, "lw": 0, "color": INK}
        handles += [
            Line2D([], [], mfc="white", **style),
            Line2D([], [], **style),
            Line2D([], [], color=TRAINING_COLOR, lw=1.6),
            Line2D([], [], color=PREDICTED_COLOR, lw=1.6),
        ]
        names += ["error of the first stage", "of both", "it helps"]
        names.append("it hurts")
    figure.legend(
        handles,
        names,
        loc="outside lower center",
        ncols=len(names),
        frameon=False,
        fontsize=8.5,
    )
