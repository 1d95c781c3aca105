"""Pictures of attention: on the crystal, by distance and by angle."""

import ase.data
import numpy as np
from matplotlib import colormaps
from matplotlib.colors import PowerNorm
from matplotlib.figure import Figure

from keras_hamiltonian.plots.scene import view_axes
from keras_hamiltonian.plots.style import COLORS
from keras_hamiltonian.plots.style import DOTTED
from keras_hamiltonian.plots.style import GREEN
from keras_hamiltonian.plots.style import INK
from keras_hamiltonian.plots.style import OUTLINE
from keras_hamiltonian.plots.style import PREDICTED_COLOR
from keras_hamiltonian.plots.style import REFERENCE_COLOR
from keras_hamiltonian.plots.style import TRAINING_COLOR
from keras_hamiltonian.plots.style import add_color_bar
from keras_hamiltonian.plots.style import draw_grid
from keras_hamiltonian.plots.style import finish_panels
from keras_hamiltonian.plots.style import style_axes

PAIR_COLORS = (PREDICTED_COLOR, TRAINING_COLOR, GREEN, "#b8860b")
PAIR_COLORS += ("#7a4fa0", INK, REFERENCE_COLOR)
# Smaller shares are drawn at the lower edge of the picture.
LEAST_SHARE = 1e-5
# The line leaves out bins with a smaller share of the expected attention.
LEAST_OF_LINE = 0.01
# Thicker layers are drawn a little from the side, in Å.
THICKNESS = 1.0
TILT_IN_DEGREES = 14.0


def plot_attention_map(maps, path, atom=0, blocks=None, title=None):
    """Draws the attention of one atom to its neighbours, for every head.

    The atom is the ring in the middle; circles are its neighbours at their
    places, coloured by their share of the atom's attention. Layers are drawn
    from above, thick ones a little from the side.

    Args:
        maps: `AttentionMaps`.
        path: str or path. The file, PNG, SVG or PDF by its suffix.
        atom: int.
        blocks: list of str. Rows of the picture. Defaults to the first and
            the last block.
        title: str.

    Raises:
        ValueError: if there is no such atom or block.
    """
    check_atom(maps.atoms, atom)
    rows = _rows(maps, blocks)
    shares = maps.shares()[:, :, atom]
    mask = maps.edge_mask[atom]
    view = _tilted(maps.atoms)
    places = maps.edge_vectors[atom, mask] @ view.T
    numbers = maps.atoms.numbers[maps.neighbors[atom, mask]]
    sizes = 46 * (ase.data.covalent_radii[numbers] / 0.76) ** 1.5
    largest = max(shares[rows][..., mask].max(initial=0.0), 1e-12)
    norm, colors = PowerNorm(0.5, 0, 100 * largest), colormaps[COLORS]
    figure, grid = _grid(maps, rows, 2.15, 2.05)
    for axes, (block, head) in _panels(grid, rows):
        share = 100 * shares[block, head, mask]
        shade = colors(norm(share))
        for k in np.argsort(share, kind="stable"):
            axes.plot(
                *np.stack([np.zeros(2), places[k, :2]], axis=1),
                color=shade[k],
                lw=0.3 + 4.0 * (share[k] / (100 * largest)) ** 0.5,
                zorder=1,
                solid_capstyle="round",
            )
        # Atoms nearer to the eye cover the others.
        order = np.argsort(places[:, 2], kind="stable")
        axes.scatter(
            *places[order, :2].T,
            s=sizes[order],
            c=shade[order],
            edgecolors=OUTLINE,
            linewidths=0.5,
            zorder=2,
        )
        own = 46 * (ase.data.covalent_radii[maps.atoms.numbers[atom]] / 0.76)
        axes.scatter(
            [0], [0], s=own, c="white", edgecolors=INK, lw=1.8, zorder=3
        )
        axes.set_aspect("equal")
        axes.margins(0.06)
        axes.set_xticks([])
        axes.set_yticks([])
        axes.spines[:].set_visible(False)
    name = f"{maps.atoms[atom].symbol}{atom}"
    label = f"share of the attention of {name} (%)"
    every = grid.ravel().tolist()
    add_color_bar(figure, every, norm, colors, label, pad=0.01, aspect=30)
    _finish(figure, grid, maps, rows, title, path)


def plot_attention_by_distance(maps, path, blocks=None, title=None):
    """Draws the attention to every edge against its length, for each head.

    Args:
        maps: `AttentionMaps`.
        path: str or path. The file, PNG, SVG or PDF by its suffix.
        blocks: list of str. See `plot_attention_map`.
        title: str.

    Raises:
        ValueError: if there is no such block.
    """
    rows = _rows(maps, blocks)
    shares = maps.shares()
    lengths, names = maps.lengths, _pair_names(maps)
    figure, grid = _grid(maps, rows, 2.2, 2.0)
    for axes, (block, head) in _panels(grid, rows):
        share = np.maximum(100 * shares[block, head], 100 * LEAST_SHARE)
        for color, name in zip(PAIR_COLORS, np.unique(names[maps.edge_mask])):
            chosen = maps.edge_mask & (names == name)
            style = {"ms": 3, "mew": 0, "alpha": 0.5, "color": color}
            axes.plot(lengths[chosen], share[chosen], "o", label=name, **style)
        axes.set_yscale("log")
        axes.set_ylim(80 * LEAST_SHARE, 130)
        ticks = [0.001, 0.01, 0.1, 1, 10, 100]
        axes.set_yticks(ticks, ["<0.001", *(f"{t:g}" for t in ticks[1:])])
        axes.minorticks_off()
        _finish_panel(axes)
    _label(figure, "length of the edge (Å)", "share of an atom's attention (%)")
    _legend(figure, grid)
    _finish(figure, grid, maps, rows, title, path, with_counts=True)


def plot_attention_by_angle(maps, path, blocks=None, title=None):
    """Draws how attention depends on directions, for each head.

    Each dot is an edge: its attention over the mean of all edges of similar
    length and equal elements, against the angle to the closest short edge of
    the atom (`AttentionMaps.angles`); large dots have a large mean. The line
    is the same ratio for all edges in bins of ten degrees.

    Args:
        maps: `AttentionMaps`.
        path: str or path. The file, PNG, SVG or PDF by its suffix.
        blocks: list of str. See `plot_attention_map`.
        title: str.

    Raises:
        ValueError: if there is no such block.
    """
    rows = _rows(maps, blocks)
    expected, attention = maps.mean_by_length(), maps.attention
    angles, names = maps.angles, _pair_names(maps)
    found = maps.against_angle()
    middles = (found["from"] + found["to"]) / 2
    lines = found["relative"]
    lines = np.where(found["share"] < LEAST_OF_LINE * lines, np.nan, lines)
    figure, grid = _grid(maps, rows, 2.2, 2.0)
    for axes, (block, head) in _panels(grid, rows):
        mean = expected[block, head]
        size = 60 * mean / max(mean.max(initial=0.0), 1e-30)
        with np.errstate(invalid="ignore", divide="ignore"):
            ratio = np.clip(attention[block, head] / mean, 0.1, 10)
        for color, name in zip(PAIR_COLORS, np.unique(names[maps.edge_mask])):
            chosen = maps.edge_mask & (names == name) & (mean > 0)
            axes.scatter(
                angles[chosen],
                ratio[chosen],
                s=size[chosen],
                color=color,
                alpha=0.35,
                linewidths=0,
                label=name,
            )
        axes.axhline(1.0, color=INK, lw=0.7, ls=DOTTED)
        axes.plot(
            middles,
            np.clip(lines[block, head], 0.1, 10),
            color=INK,
            lw=1.3,
        )
        axes.set_yscale("log")
        axes.set_ylim(0.09, 11)
        axes.set_yticks([0.1, 1, 10], ["0.1", "1", "10"])
        axes.minorticks_off()
        _finish_panel(axes)
    _label(
        figure,
        "angle to the closest short edge (degrees)",
        "attention / mean of similar edges",
    )
    _legend(figure, grid)
    _finish(figure, grid, maps, rows, title, path)


def check_atom(atoms, atom):
    """Raises `ValueError` if there is no atom of this number."""
    if not 0 <= atom < len(atoms):
        raise ValueError(
            f"The structure has the atoms 0 to {len(atoms) - 1}. "
            f"Received: atom={atom}."
        )


def _rows(maps, blocks):
    """Positions of the blocks that are drawn."""
    if blocks is None:
        return sorted({0, len(maps.blocks) - 1})
    missing = [name for name in blocks if name not in maps.blocks]
    if missing or not blocks:
        raise ValueError(
            f"The model has the blocks {', '.join(maps.blocks)}. Received: "
            f"blocks={blocks!r}."
        )
    return [maps.blocks.index(name) for name in blocks]


def _pair_names(maps):
    """Elements of each edge, `(N, M)` array such as `"C to N"`."""
    symbols = np.array(maps.atoms.get_chemical_symbols())
    first, second = np.broadcast_arrays(
        symbols[:, None], symbols[maps.neighbors]
    )
    return np.char.add(np.char.add(first, " to "), second)


def _tilted(atoms):
    """Axes of the picture; thick layers are rotated about the horizontal."""
    view = view_axes(atoms)
    if np.ptp(atoms.positions @ view[2]) < THICKNESS:
        return view
    angle = np.radians(TILT_IN_DEGREES)
    right, up, depth = view
    return np.stack(
        [
            right,
            np.cos(angle) * up + np.sin(angle) * depth,
            np.cos(angle) * depth - np.sin(angle) * up,
        ]
    )


def _grid(maps, rows, width, height):
    num_heads = maps.weights.shape[1]
    size = (0.9 + width * num_heads, 0.7 + height * len(rows))
    figure = Figure(figsize=size, layout="constrained")
    shape = {"sharex": True, "sharey": True, "squeeze": False}
    return figure, figure.subplots(len(rows), num_heads, **shape)


def _panels(grid, rows):
    for axes_of_row, block in zip(grid, rows):
        for head, axes in enumerate(axes_of_row):
            yield axes, (block, head)


def _finish_panel(axes):
    draw_grid(axes)
    style_axes(axes)


def _finish(figure, grid, maps, rows, title, path, with_counts=False):
    counts = maps.num_attended().mean(axis=-1)
    for axes, (block, head) in _panels(grid, rows):
        text = f"{maps.blocks[block]}, head {head + 1}"
        if with_counts:
            text += f": {counts[block, head]:.1f} neighbors"
        axes.set_title(text, fontsize=8.5, color=INK, loc="left", pad=3)
    finish_panels(figure, title, path)


def _label(figure, horizontal, vertical):
    figure.supxlabel(horizontal, fontsize=9.5, color=INK)
    figure.supylabel(vertical, fontsize=9.5, color=INK)


def _legend(figure, grid):
    handles, names = grid[0, 0].get_legend_handles_labels()
    if len(names) > 1:
        legend = figure.legend(
            handles,
            names,
            loc="outside upper right",
            ncols=len(names),
            frameon=False,
            fontsize=8.5,
        )
        for handle in legend.legend_handles:
            handle.set_alpha(1)
            if hasattr(handle, "set_sizes"):
                handle.set_sizes([24])
