"""Pictures of local environments: a map, and error against novelty."""

import numpy as np
from matplotlib import colormaps
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

from keras_hamiltonian.conventions import MEV_PER_EV
from keras_hamiltonian.plots.style import COLORS
from keras_hamiltonian.plots.style import DOTTED
from keras_hamiltonian.plots.style import GREEN
from keras_hamiltonian.plots.style import INK
from keras_hamiltonian.plots.style import PREDICTED_COLOR
from keras_hamiltonian.plots.style import REFERENCE_COLOR
from keras_hamiltonian.plots.style import TEXT_BOX
from keras_hamiltonian.plots.style import TRAINING_COLOR
from keras_hamiltonian.plots.style import add_color_bar
from keras_hamiltonian.plots.style import finish_axes
from keras_hamiltonian.plots.style import finish_panels
from keras_hamiltonian.plots.style import new_axes
from keras_hamiltonian.plots.style import plain
from keras_hamiltonian.plots.style import style_axes
from keras_hamiltonian.plots.style import use_log_scale

SET_COLORS = (PREDICTED_COLOR, TRAINING_COLOR, GREEN, INK)
NUM_NAMED = 3


def plot_environment_map(
    environments, placed, path, title=None, num_named=NUM_NAMED
):
    """Draws atoms on the map of their element, coloured by their error.

    Grey dots are the training atoms. Atoms without a known error are hollow.
    The atoms with the largest errors have names.

    Args:
        environments: `EnvironmentMap`.
        placed: `Environments`, by `environments.place`.
        path: str or path. The file, PNG, SVG or PDF by its suffix.
        title: str.
        num_named: int. Number of atoms with names.
    """
    symbols = [s for s in environments.symbols if s in set(placed.symbols)]
    size = (1.0 + 4.1 * len(symbols), 4.0)
    figure = Figure(figsize=size, layout="constrained")
    grid = figure.subplots(1, len(symbols), squeeze=False)[0]
    errors = MEV_PER_EV * placed.errors
    known = np.isfinite(errors)
    norm, colors = None, colormaps[COLORS]
    if known.any():
        norm = Normalize(errors[known].min(), errors[known].max())
    named = {}
    for entry in placed.worst(num_named):
        named[entry["structure"], entry["atom"]] = entry
    for axes, symbol in zip(grid, symbols):
        axes.plot(
            *environments.known(symbol).T,
            "o",
            ms=3,
            mew=0,
            color=REFERENCE_COLOR,
            alpha=0.45,
            label="training set",
        )
        chosen = np.flatnonzero(placed.symbols == symbol)
        bare = chosen[~known[chosen]]
        axes.plot(
            *placed.points[bare].T, "o", ms=5, mfc="none", mec=PREDICTED_COLOR
        )
        # Large errors cover small ones.
        chosen = chosen[known[chosen]]
        chosen = chosen[np.argsort(errors[chosen], kind="stable")]
        if len(chosen):
            axes.scatter(
                *placed.points[chosen].T,
                c=colors(norm(errors[chosen])),
                s=26,
                edgecolors=INK,
                linewidths=0.4,
                zorder=3,
            )
        _name_worst(axes, placed, chosen, named)
        first, second = (100 * x for x in environments.explained[symbol])
        axes.set_xlabel(f"first axis ({first:.0f} % of the variance)")
        axes.set_ylabel(f"second axis ({second:.0f} %)")
        axes.set_title(symbol, loc="left", fontsize=10, color=INK)
        axes.margins(0.08)
        style_axes(axes)
    if norm is not None:
        label = "error of an atom's blocks (meV)"
        options = {"pad": 0.01, "shrink": 1.0}
        add_color_bar(figure, grid.tolist(), norm, colors, label, **options)
    finish_panels(figure, title, path)


def plot_novelty(placed, path, title=None):
    """Draws the error of each atom against the novelty of its environment.

    Args:
        placed: dict from name to `Environments` with errors, four at most.
        path: str or path. The file, PNG, SVG or PDF by its suffix.
        title: str.

    Raises:
        ValueError: if no error is known, or there are too many sets.
    """
    known = {name: np.isfinite(p.errors) for name, p in placed.items()}
    if not 1 <= len(placed) <= len(SET_COLORS) or not all(
        mask.any() for mask in known.values()
    ):
        raise ValueError(
            f"One to {len(SET_COLORS)} sets with Hamiltonians fit. Received: "
            f"{len(placed)}, with {[int(m.sum()) for m in known.values()]} "
            "known errors."
        )
    figure, axes = new_axes(5.4, 3.8)
    for color, (name, found) in zip(SET_COLORS, placed.items()):
        mask, rank = known[name], found.rank_correlation()
        axes.plot(
            found.novelty[mask],
            MEV_PER_EV * found.errors[mask],
            "o",
            ms=4,
            mew=0,
            alpha=0.55,
            color=color,
            label=f"{plain(name)} (rank correlation {rank:.2f})",
        )
    axes.axvline(1.0, color=INK, lw=0.7, ls=DOTTED)
    use_log_scale(axes)
    axes.set_xlim(left=0)
    axes.set_xlabel("novelty (1: as far as training atoms)")
    axes.set_ylabel("error of an atom's blocks (meV)")
    figure.legend(loc="outside upper left", frameon=False, fontsize=8.5)
    finish_axes(figure, axes, title, path)


def _name_worst(axes, placed, chosen, named):
    middle = np.mean(axes.get_xlim())
    size = np.ptp([axes.get_xlim(), axes.get_ylim()], axis=1)
    taken = np.empty((0, 2))
    for k in chosen[::-1]:
        atom = f"{placed.symbols[k]}{placed.atoms[k]}"
        near = np.abs(placed.points[k] - taken) < 0.02 * size
        # Equivalent atoms have one point, which gets one name.
        if (placed.structures[k], atom) not in named or near.all(axis=1).any():
            continue
        taken = np.vstack([taken, placed.points[k]])
        # Towards the middle of the picture.
        side = 1 if placed.points[k, 0] < middle else -1
        axes.annotate(
            plain(f"{atom} of {placed.structures[k]}"),
            placed.points[k],
            xytext=(8 * side, 0),
            textcoords="offset points",
            ha="left" if side > 0 else "right",
            va="center",
            fontsize=8,
            color=INK,
            zorder=4,
            bbox=TEXT_BOX,
        )
