"""Pictures of influence: on the crystal, by distance, by degree."""

import numpy as np
from matplotlib import colormaps
from matplotlib.colors import LogNorm
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

from keras_hamiltonian.conventions import SHELL_LETTERS
from keras_hamiltonian.plots.scene import Scene
from keras_hamiltonian.plots.style import COLORS
from keras_hamiltonian.plots.style import INK
from keras_hamiltonian.plots.style import PREDICTED_COLOR
from keras_hamiltonian.plots.style import TRAINING_COLOR
from keras_hamiltonian.plots.style import add_color_bar
from keras_hamiltonian.plots.style import draw_grid
from keras_hamiltonian.plots.style import finish_axes
from keras_hamiltonian.plots.style import finish_panels
from keras_hamiltonian.plots.style import new_axes
from keras_hamiltonian.plots.style import plain
from keras_hamiltonian.plots.style import style_axes

EDGE_ORDERS = "σπδφγ"
# Of the colour scale, down from the largest influence.
DECADES = 5
RADIUS_IN_ANGSTROM = 12.0
# Edges that are no chemical bonds are drawn from this share of the largest.
LEAST_SHARE = 0.01


def plot_influence_map(
    influence, path, title=None, radius=RADIUS_IN_ANGSTROM, values=None
):
    """Draws the crystal, atoms and edges coloured by their influence.

    Layers are drawn from above. Each atom is drawn once, at its image nearest
    to the pair, which has dark rings. Chemical bonds are thick lines, other
    edges thin ones if their influence exceeds 1 % of the largest.

    Args:
        influence: `Influence`.
        path: str or path. The file, PNG, SVG or PDF by its suffix.
        title: str.
        radius: float. Atoms within this distance of the pair are drawn, Å.
        values: `(N,)` array in eV, such as an `activation_map`, to colour the
            atoms by, blue below zero and red above; edges are then grey.

    Raises:
        ValueError: if nothing has any influence.
    """
    atoms, target = influence.atoms, influence.target
    scene = Scene(atoms, target, influence.origin, radius)
    figure, axes = _crystal_axes()
    if values is None:
        influence.check()
        largest = influence.largest
        norm = LogNorm(largest * 10.0**-DECADES, largest, clip=True)
        colors = colormaps[COLORS]
        shown = colors(norm(np.maximum(influence.atom_influence, norm.vmin)))
        strong = influence.edge_influence >= LEAST_SHARE * largest
        lines = colors(norm(np.maximum(influence.edge_influence, norm.vmin)))
        scene.draw_edges(axes, influence.edges, lines, strong)
        label = "influence (eV/Å)"
    else:
        largest = np.abs(values).max()
        if not largest > 0:
            raise ValueError(f"Nothing has an influence on {target.label}.")
        norm = Normalize(-largest, largest)
        colors = colormaps["RdBu_r"]
        shown = colors(norm(np.asarray(values)))
        scene.draw_edges(axes, influence.edges)
        label = "gradient times features (eV)"
    scene.draw_atoms(axes, shown)
    add_color_bar(figure, axes, norm, colors, label)
    title = influence.origin.label if title is None else title
    finish_axes(figure, axes, title, path)


def plot_influence_by_distance(influences, path, title=None):
    """Draws the influence of each atom against its distance from the pair.

    The line connects the largest influences of each half ångström. Beyond the
    dashed line the images of an atom overlap.

    Args:
        influences: dict from name to `Influence`, three at most.
        path: str or path. The file, PNG, SVG or PDF by its suffix.
        title: str.

    Raises:
        ValueError: if there is nothing to draw, or a target has no place in
            the cell.
    """
    if not 1 <= len(influences) <= 3:
        raise ValueError(
            f"One to three influences fit. Received: {len(influences)}."
        )
    figure, axes = new_axes(5.4, 3.6)
    colors = (PREDICTED_COLOR, TRAINING_COLOR, INK)
    ends = [x.image_distance for x in influences.values()]
    for color, (name, influence) in zip(colors, influences.items()):
        values = influence.atom_influence
        seen = values > 0
        axes.plot(
            influence.atom_distances[seen],
            values[seen],
            "o",
            ms=3.5,
            alpha=0.45,
            color=color,
            mew=0,
        )
        shells = influence.against_distance(0.5)
        shells = [shell for shell in shells if shell["largest"] > 0]
        axes.plot(
            [(shell["from"] + shell["to"]) / 2 for shell in shells],
            [shell["largest"] for shell in shells],
            color=color,
            lw=1.5,
            label=plain(name),
        )
    end = min(ends)
    if np.isfinite(end):
        axes.axvline(end, color=INK, lw=0.8, ls=(0, (4, 3)))
        axes.annotate(
            "images overlap",
            (end, 0.98),
            xycoords=("data", "axes fraction"),
            xytext=(-4, 0),
            textcoords="offset points",
            rotation=90,
            ha="right",
            va="top",
            fontsize=8,
            color=INK,
        )
    axes.set_yscale("log")
    axes.set_xlim(left=0)
    draw_grid(axes)
    axes.set_xlabel("distance from the middle of the pair (Å)")
    axes.set_ylabel("influence of an atom (eV/Å)")
    if len(influences) > 1:
        axes.legend(frameon=False, fontsize=9)
    finish_axes(figure, axes, title, path)


def plot_degree_shares(influence, path, title=None):
    """Draws the influence of features by degree, after each group.

    On the left, features of atoms by degree l; on the right, features of edges
    by |m| about the edge. Bars of one panel add up to 100 %.

    Args:
        influence: `Influence` of a model with a first stage.
        path: str or path. The file, PNG, SVG or PDF by its suffix.
        title: str.

    Raises:
        ValueError: if there is no first stage, or the target does not depend
            on its features.
    """
    panels = (
        ("atoms", influence.degrees, SHELL_LETTERS, "degree l of features"),
        ("edges", influence.edge_orders, EDGE_ORDERS, "|m| about the edge"),
    )
    if not any(values.sum() > 0 for _, values, _, _ in panels):
        raise ValueError(
            f"{influence.target.label} depends on no features of a first stage."
        )
    figure = Figure(figsize=(6.6, 3.3), layout="constrained")
    all_axes = figure.subplots(1, 2, sharey=True)
    for axes, (name, values, letters, label) in zip(all_axes, panels):
        shares = 100 * values / (values.sum() or 1.0)
        groups, count = shares.shape
        width = 0.8 / groups
        tints = colormaps["Blues"](np.linspace(0.35, 0.9, groups))
        for k in range(groups):
            places = np.arange(count) + (k - (groups - 1) / 2) * width
            axes.bar(
                places,
                shares[k],
                0.92 * width,
                color=tints[k],
                label=f"after group {k + 1}",
            )
        ticks = [
            f"{k} ({letters[k]})" if k < len(letters) else str(k)
            for k in range(count)
        ]
        axes.set_xticks(range(count), ticks)
        axes.set_xlabel(label)
        axes.set_title(name, fontsize=10, color=INK)
        draw_grid(axes)
        style_axes(axes)
    all_axes[0].set_ylabel("share of the influence (%)", color=INK)
    all_axes[1].legend(frameon=False, fontsize=8)
    finish_panels(figure, title, path)


def plot_displacement(
    displacement, path, title=None, radius=RADIUS_IN_ANGSTROM
):
    """Draws the displacement that changes a target most, as arrows.

    Args:
        displacement: `Displacement`.
        path: str or path. The file, PNG, SVG or PDF by its suffix.
        title: str.
        radius: float. Atoms within this distance of the pair are drawn, Å.

    Raises:
        ValueError: if no displacement changes the target.
    """
    displacement.check()
    atoms, target = displacement.atoms, displacement.target
    scene = Scene(atoms, target, target, radius)
    figure, axes = _crystal_axes()
    shares = displacement.shares
    norm = LogNorm(1e-4, 1.0, clip=True)
    colors = colormaps[COLORS]
    scene.draw_edges(axes, displacement.edges)
    scene.draw_atoms(axes, colors(norm(np.maximum(shares, 1e-4))))
    scene.draw_arrows(axes, displacement.vectors)
    label = "share of an atom in the squared length"
    add_color_bar(figure, axes, norm, colors, label)
    if title is None:
        largest = displacement.singular_values[0]
        title = f"{target.label}: {largest:.3g} eV/Å along the arrows"
    finish_axes(figure, axes, title, path)


def _crystal_axes():
    figure, axes = new_axes(5.6, 4.8)
    axes.set_aspect("equal")
    axes.set_xlabel("Å")
    axes.set_ylabel("Å")
    return figure, axes
