"""Structures of one kind: those that a split does not divide."""

import re

import numpy as np
from ase.geometry import minkowski_reduce

# Cells differ if a length does by this fraction, or the cosine of an angle by
# this much.
TOLERANCE = 0.05


def groups_by(kind, names, structures):
    """Group of each structure, for a split that keeps groups whole.

    Args:
        kind: str. `"cell"`: number of atoms and shape of the lattice, whatever
            vectors describe it, up to strains of 5 %; `"composition"`: the
            reduced formula, `"MoS2"` for any number of cells;
            `"trajectory"`: the name without the number at its end, `"md_300K"`
            for `"md_300K_017"`.
        names: sequence of str.
        structures: iterable of the `ase.Atoms` of these names.

    Returns:
        List of str, one for each name.

    Raises:
        ValueError: for another kind, or names that tell no trajectories.

    Example:

    >>> groups_by("trajectory", ["a-1", "a-2", "b-1"], [None] * 3)
    ['a', 'a', 'b']
    """
    if kind not in GROUPS:
        raise ValueError(
            f"Structures are grouped by {', '.join(GROUPS)}. Received: "
            f"{kind!r}."
        )
    return GROUPS[kind](list(names), structures)


def _cells(names, structures):
    known, found = [], []
    for atoms in structures:
        shape = _shape(atoms)
        for label, other in known:
            if label.startswith(f"{len(atoms)} atoms") and np.allclose(
                shape, other, rtol=0, atol=TOLERANCE
            ):
                break
        else:
            lengths = " x ".join(f"{x:.1f}" for x in np.exp(shape[:3]))
            label = f"{len(atoms)} atoms, {lengths} Å"
            same = sum(other.startswith(label) for other, _ in known)
            label += f", {same + 1}" if same else ""
            known.append((label, shape))
        found.append(label)
    return found


def _shape(atoms):
    """Logarithms of the reduced lengths, and cosines between them."""
    cell, _ = minkowski_reduce(atoms.cell.complete()[:])
    lengths = np.linalg.norm(cell, axis=1)
    cell = cell[np.argsort(lengths)] / np.sort(lengths)[:, None]
    # A reduced cell may have 60 degrees as well as 120.
    cosines = np.sort(np.abs(cell @ cell.T)[np.triu_indices(3, 1)])
    return np.concatenate([np.log(np.sort(lengths)), cosines])


def _compositions(names, structures):
    return [atoms.get_chemical_formula(empirical=True) for atoms in structures]


def _trajectories(names, structures):
    found = [re.sub(r"[\W_]*\d+$", "", name) for name in names]
    if not all(found):
        name = names[found.index("")]
        raise ValueError(
            f"The name {name!r} does not say which trajectory the structure is "
            "from. Names such as md_300K_017 do: keep each trajectory in a "
            "folder or container of its own, and split them together."
        )
    return found


GROUPS = {
    "cell": _cells,
    "composition": _compositions,
    "trajectory": _trajectories,
}
