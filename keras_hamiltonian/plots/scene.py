"""Drawings of the crystal about a target: atoms, edges, arrows."""

import ase.data
import numpy as np
from ase.geometry import find_mic
from matplotlib.collections import LineCollection

from keras_hamiltonian.physics.k_points import periodic_directions
from keras_hamiltonian.plots.style import INK
from keras_hamiltonian.plots.style import OUTLINE
from keras_hamiltonian.plots.style import REFERENCE_COLOR
from keras_hamiltonian.plots.style import TEXT_BOX

# A chemical bond is at most this much longer than the shortest edges of its
# atoms.
BOND_STRETCH = 1.2
# A circle's area in points² for the covalent radius of carbon.
ATOM_SIZE = 90.0
ARROW_IN_ANGSTROM = 0.55


class Scene:
    """Atoms about a target, in the projection of `view_axes`.

    Args:
        atoms: `ase.Atoms`.
        target: `BlockTarget` or `KindTarget`.
        origin: the target in the original cell, which numbers its atoms.
        radius: float. Atoms farther away in the picture are left out, Å.
    """

    def __init__(self, atoms, target, origin, radius):
        self.atoms = atoms
        self.center = target.center(atoms)
        if self.center is None:
            self.center = atoms.positions.mean(axis=0)
        self.axes = view_axes(atoms)
        self.places = self._project(atoms.positions)
        self.is_near = np.linalg.norm(self.places[:, :2], axis=1) < radius
        self.names = {}
        for end in ("i", "j"):
            atom = getattr(target, end, None)
            if atom is not None:
                number = getattr(origin, end)
                self.names[atom] = f"{atoms[atom].symbol}{number}"

    def draw_atoms(self, axes, colors):
        """Draws circles, higher atoms over lower ones; rings about the pair."""
        radii = ase.data.covalent_radii[self.atoms.numbers]
        size = ATOM_SIZE * (radii / ase.data.covalent_radii[6]) ** 2
        near = np.flatnonzero(self.is_near)
        order = near[np.argsort(self.places[near, 2])]
        is_pair = np.isin(order, list(self.names))
        axes.scatter(
            *self.places[order, :2].T,
            s=size[order],
            c=colors[order],
            edgecolors=np.where(is_pair, INK, OUTLINE),
            linewidths=np.where(is_pair, 2.2, 0.6),
            zorder=3,
        )
        for atom, name in self.names.items():
            place = self.places[atom, :2]
            out = place / max(np.linalg.norm(place), 0.1)
            gap = 8 + 0.75 * size[atom] ** 0.5
            axes.annotate(
                name,
                place,
                xytext=gap * out,
                textcoords="offset points",
                ha="center",
                va="center",
                fontsize=8,
                color=INK,
                zorder=6,
                bbox=TEXT_BOX,
            )
        limit = np.abs(self.places[near, :2]).max(initial=1.0) + 1.0
        axes.set_xlim(-limit, limit)
        axes.set_ylim(-limit, limit)

    def draw_edges(self, axes, edges, colors=None, is_strong=None):
        """Draws lines between the atoms of the picture.

        Args:
            axes: matplotlib axes.
            edges: `(P, 5)` int array of `(R1, R2, R3, i, j)`.
            colors: `(P, 4)` array. Defaults to grey chemical bonds only.
            is_strong: `(P,)` bools. Edges to draw besides chemical bonds.
        """
        i, j = edges[:, 3:].T
        positions = self.atoms.positions
        steps = (
            positions[j] + edges[:, :3] @ np.asarray(self.atoms.cell)
        ) - positions[i]
        half = steps @ self.axes.T / 2
        middle = self._project(positions[i] + steps / 2)
        ends = np.stack([middle - half, middle + half], axis=1)
        # Edges to images that are not drawn are left out.
        seen = self.is_near[i] & self.is_near[j]
        for atom, end in ((i, 0), (j, 1)):
            gap = np.abs(self.places[atom] - ends[:, end]).max(axis=1)
            seen &= gap < 1e-3
        is_chemical = _are_chemical(edges, np.linalg.norm(steps, axis=1))
        if colors is None:
            colors = np.full((len(edges), 1), REFERENCE_COLOR)[:, 0]
            is_strong = np.zeros(len(edges), dtype=bool)
        for chosen, width, zorder in (
            (seen & is_strong & ~is_chemical, 1.2, 1),
            (seen & is_chemical, 4.0, 2),
        ):
            axes.add_collection(
                LineCollection(
                    ends[chosen][..., :2],
                    colors=colors[chosen],
                    linewidths=width,
                    zorder=zorder,
                )
            )

    def draw_arrows(self, axes, vectors):
        """Draws arrows along displacements, the longest of a fixed length."""
        flat = vectors @ self.axes.T
        longest = np.linalg.norm(vectors, axis=1).max() or 1.0
        seen = np.linalg.norm(flat[:, :2], axis=1) > 0.02 * longest
        chosen = np.flatnonzero(seen & self.is_near)
        axes.quiver(
            *self.places[chosen, :2].T,
            *(ARROW_IN_ANGSTROM / longest * flat[chosen, :2]).T,
            angles="xy",
            scale_units="xy",
            scale=1,
            width=0.008,
            color=INK,
            zorder=5,
        )

    def _project(self, positions):
        steps = positions - self.center
        nearest, _ = find_mic(steps, self.atoms.cell, self.atoms.pbc)
        return nearest @ self.axes.T


def _are_chemical(edges, lengths):
    """Which edges are chemical bonds, by their lengths."""
    shortest = np.full(edges[:, 3:].max(initial=0) + 1, np.inf)
    for end in edges[:, 3:].T:
        np.minimum.at(shortest, end, lengths)
    return lengths < BOND_STRETCH * shortest[edges[:, 3:]].min(axis=1)


def view_axes(atoms):
    """Axes of a picture: right, up, towards the eye, in rows.

    A layer is seen from above, a chain from its flattest side, with its axis
    to the right, a molecule from its flattest side.
    """
    periodic = periodic_directions(atoms)
    cell = np.asarray(atoms.cell.complete())[periodic]
    if len(cell) >= 2:
        right, depth = cell[0], np.cross(cell[0], cell[1])
    else:
        steps = atoms.positions - atoms.positions.mean(axis=0)
        if len(cell):
            right = cell[0]
            across = np.linalg.svd(cell)[2][1:]
            depth = np.linalg.svd(steps @ across.T)[2][-1] @ across
        else:
            right, _, depth = np.linalg.svd(steps)[2]
    right = right / np.linalg.norm(right)
    depth = depth / np.linalg.norm(depth)
    return np.stack([right, np.cross(depth, right), depth])
