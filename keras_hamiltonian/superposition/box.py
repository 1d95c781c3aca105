"""Vacuum where a structure has no period."""

import numpy as np

from keras_hamiltonian.conventions import BOHR_IN_ANGSTROM

# Å between the orbitals of an atom and those of its images.
VACUUM = 1.0


def boxed(atoms, species):
    """The atoms in a periodic cell whose images do not meet.

    Along a direction without a period the lattice vector is kept if it leaves
    room for the orbitals, and else made longer: upright on the other two, if
    it has no length at all.

    Args:
        atoms: `ase.Atoms`.
        species: dict from element symbols to `Species`.

    Returns:
        `ase.Atoms` with the same positions and `pbc`.

    Raises:
        ValueError: if there are no atoms.
    """
    if not len(atoms):
        raise ValueError("There are no atoms, so there is no H⁰ of them.")
    open_axes = np.flatnonzero(~np.asarray(atoms.pbc))
    if not len(open_axes):
        return atoms
    boxed = atoms.copy()
    boxed.cell = atoms.cell.complete()
    reach = max((s.reach + s.field_reach for s in species.values()), default=0)
    for axis in open_axes:
        cell = np.asarray(boxed.cell)
        normal = np.cross(cell[axis - 2], cell[axis - 1])
        normal /= np.linalg.norm(normal)
        heights = boxed.positions @ normal
        needed = np.ptp(heights) + reach * BOHR_IN_ANGSTROM + VACUUM
        height = abs(cell[axis] @ normal)
        if height < needed:
            cell[axis] *= needed / height
            boxed.cell = cell
    return boxed
