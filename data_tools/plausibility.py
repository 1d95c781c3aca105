"""What a file may say and no program computes: refused when it is read."""

import functools
import itertools

import numpy as np

# S of an orbital with itself is 1; of real bases, cut off, 0.98 too.
NORM_TOLERANCE = 0.1
# Å, and without unit: an image that is nearer by this must have a block where
# one further away has a number of this size.
NEARER = 0.1
SIZE_OF_BLOCK = 1e-2


def plausible(read):
    """Decorator of a reader: see `check_plausible`."""

    @functools.wraps(read)
    def wrapped(*args, **options):
        calculation = read(*args, **options)
        check_plausible(calculation)
        return calculation

    return wrapped


def check_plausible(calculation):
    """Refuses zeros, and matrices of all cells added up.

    Args:
        calculation: `Calculation`.

    Raises:
        ValueError: if H or S is zero throughout, or that of all cells.
    """
    for field in ("hamiltonian", "overlap"):
        matrix = getattr(calculation, field)
        if matrix is not None and len(matrix) and not matrix.entries.any():
            raise ValueError(
                f"The {field} is zero throughout: the program did not write "
                "it. Repeat the run, or leave it out."
            )
    if calculation.overlap is not None:
        _check_folded(calculation)


def onsite_overlaps(calculation):
    """Overlap of the radial functions within each atom.

    Of each pair of shells with one l the mean of the diagonal in m: no
    rotation changes it.

    Args:
        calculation: `Calculation` with an overlap.

    Returns:
        List of `(shells, shells)` arrays, zero between different l; `None` of
        an atom without an on-site block.
    """
    found = []
    for atom, symbol in enumerate(calculation.atoms.symbols):
        block = calculation.overlap.find((0, 0, 0, atom, atom))
        if block is None:
            found.append(None)
            continue
        degrees = calculation.basis.shells[symbol]
        starts = np.cumsum([0, *(2 * l + 1 for l in degrees)])
        means = np.zeros((len(degrees), len(degrees)))
        for (a, la), (b, lb) in itertools.product(enumerate(degrees), repeat=2):
            if la == lb:
                rows = slice(starts[a], starts[a + 1])
                columns = slice(starts[b], starts[b + 1])
                means[a, b] = np.trace(block[rows, columns].real) / (2 * la + 1)
        found.append(means)
    return found


def _check_folded(calculation):
    """Without neighbours in other cells, there must be none."""
    overlap, pbc = calculation.overlap, calculation.atoms.pbc
    if not len(overlap) or not pbc.any() or overlap.atom_pairs[:, :3].any():
        return
    norms = [
        np.diag(means)
        for means in onsite_overlaps(calculation)
        if means is not None
    ]
    reason = None
    if norms and np.abs(np.concatenate(norms) - 1).max() > NORM_TOLERANCE:
        worst = max(np.concatenate(norms), key=lambda x: abs(x - 1))
        reason = f"S of an orbital with itself is {worst:.3f} and not 1"
    elif (pair := _nearer_image(calculation)) is not None:
        reason = (
            f"the atoms {pair[0]} and {pair[1]} (from 0) have nearer images, "
            "which are not listed"
        )
    if reason:
        raise ValueError(
            f"No neighbours in other cells are listed, but {reason}: the "
            "matrices of all cells are added up, as in a run with the Γ point "
            "alone. Its bands would be flat. Repeat the run with more k points "
            "(SIESTA: kgrid.MonkhorstPack or ForceAuxCell true; ABACUS: "
            "gamma_only 0; CP2K: KPOINTS)."
        )


def _nearer_image(calculation):
    """Atoms i and j of a block that has a nearer image, or `None`."""
    overlap, atoms = calculation.overlap, calculation.atoms
    spans = [(-1, 0, 1) if x else (0,) for x in atoms.pbc]
    shifts = np.array(list(itertools.product(*spans))) @ np.asarray(atoms.cell)
    vectors = calculation.edge_vectors(overlap.atom_pairs)
    lengths = np.linalg.norm(vectors, axis=1)
    nearest = np.full(len(vectors), np.inf)
    for shift in shifts:
        image = np.linalg.norm(vectors + shift, axis=1)
        nearest = np.minimum(nearest, image)
    for position in np.flatnonzero(nearest < lengths - NEARER):
        if np.abs(overlap.block(position)).max() > SIZE_OF_BLOCK:
            return overlap.atom_pairs[position, 3:].tolist()
    return None
