"""Which images of an atom moved together in all training structures."""

import numpy as np

from keras_hamiltonian.physics.k_points import periodic_directions

# Cells of a set differ by strain; translations this close are the same.
TOLERANCE = 0.03


def translation_lengths(atoms, longest):
    """Lengths of the lattice translations of a crystal.

    Args:
        atoms: `ase.Atoms`. Directions with a vacuum do not count.
        longest: float, in Å.

    Returns:
        Ascending array of different lengths up to `longest`, Å.
    """
    is_periodic = periodic_directions(atoms)
    cell = np.asarray(atoms.cell.complete())
    # |n| = |t · reciprocal vector| is at most the length over the height.
    reciprocal = np.linalg.norm(np.linalg.inv(cell), axis=0)
    most = np.where(is_periodic, np.floor(longest * reciprocal), 0).astype(int)
    axes = [np.arange(-n, n + 1) for n in most]
    steps = np.stack(np.meshgrid(*axes, indexing="ij"), -1).reshape(-1, 3)
    lengths = np.linalg.norm(steps @ cell, axis=1)
    lengths = np.unique(lengths[(lengths > 0) & (lengths <= longest)].round(3))
    apart = np.diff(lengths, prepend=0) > TOLERANCE * lengths
    return lengths[apart]


def common_translations(structures, longest):
    """Lengths that are lattice translations of every structure.

    Atoms that far apart were images of each other, and moved together, in
    every one: training cannot tell the influence of one from that of the
    other. In 3 × 3 graphene that is 7.4 Å; a set that has other cells too,
    none of whose translations are those of all, leaves nothing.

    Args:
        structures: iterable of `ase.Atoms`.
        longest: float. Twice the distance at which atoms still matter, Å: of
            images farther apart at most one does.

    Returns:
        List of floats, Å.
    """
    common = None
    for atoms in structures:
        lengths = translation_lengths(atoms, longest * (1 + TOLERANCE))
        if common is None:
            common = lengths
        common = np.array([x for x in common if _has(lengths, x)])
        if not common.size:
            break
    return [] if common is None else common[common <= longest].tolist()


def missing_translations(atoms, common):
    """Those of `common_translations` that a structure does not have.

    Args:
        atoms: `ase.Atoms`.
        common: list of floats, Å.

    Returns:
        List of floats, Å: atoms that far apart move independently here, as
        they did in no training structure.
    """
    if not common:
        return []
    lengths = translation_lengths(atoms, max(common) * (1 + TOLERANCE))
    return [x for x in common if not _has(lengths, x)]


def _has(lengths, length):
    return bool((np.abs(lengths - length) <= TOLERANCE * length).any())
