"""Elements of a block matrix, one after another, and where they stand."""

import numpy as np


def element_pairs(matrix):
    """Position of the atom pair that each element belongs to."""
    return np.repeat(np.arange(len(matrix)), np.diff(matrix.boundaries))


def rows_and_columns(matrix):
    """Row and column of each element within its block."""
    pair = element_pairs(matrix)
    inside = np.arange(len(pair)) - matrix.boundaries[pair]
    return np.divmod(inside, matrix.shapes[pair, 1])


def overlap_of_elements(reference, overlap):
    """The overlap that belongs to every element of a Hamiltonian.

    Args:
        reference: `BlockMatrix`, with or without spin.
        overlap: `BlockMatrix`, spinless. A pair it does not list is zero.

    Returns:
        `(num_elements,)` array; zero where the two spins differ.
    """
    same_pairs = np.array_equal(overlap.atom_pairs, reference.atom_pairs)
    if same_pairs and np.array_equal(overlap.shapes, reference.shapes):
        return overlap.entries
    position = np.array(
        [overlap.index.get(p, -1) for p in reference.index], dtype=np.int64
    )
    pair = element_pairs(reference)
    rows, columns = rows_and_columns(reference)
    partner = position[pair]
    known = partner >= 0
    sizes = overlap.shapes[partner[known]]
    row, column = rows[known], columns[known]
    # Division by the spinless size splits a spinful index into (spin, orbital).
    same_spin = row // sizes[:, 0] == column // sizes[:, 1]
    places = (
        overlap.boundaries[partner[known]]
        + (row % sizes[:, 0]) * sizes[:, 1]
        + column % sizes[:, 1]
    )
    values = np.zeros(len(pair))
    values[known] = np.where(same_spin, overlap.entries[places], 0.0)
    return values


def least_squares_shift(difference, overlap):
    """The μ of `difference - μ overlap` with the smallest sum of squares.

    `μ = Σ S·D / Σ S·S`: the energy zero of one Hamiltonian against another of
    which D is the difference (Yin et al., arXiv 2509.19877).

    Args:
        difference: `(num_elements,)` array in eV, real or complex.
        overlap: `(num_elements,)` array of `overlap_of_elements`.

    Returns:
        float in eV; 0 without an overlap that is not zero.
    """
    norm = float(overlap @ overlap)
    return float(overlap @ difference.real) / norm if norm else 0.0


def matrix_difference(predicted, reference):
    """`H_pred - H_ref` for every element of the reference.

    Args:
        predicted: `BlockMatrix`. Its pairs may be in another order.
        reference: `BlockMatrix`.

    Returns:
        `(num_elements,)` array in the order of `reference.entries`.

    Raises:
        ValueError: if the prediction lacks a pair or has other block shapes.
    """
    return entries_at(predicted, reference) - reference.entries


def entries_at(matrix, reference, name="prediction"):
    """Entries of a matrix in the order of those of another.

    Args:
        matrix, reference: `BlockMatrix`. The first may list pairs in another
            order, and more of them.
        name: str. What the first one is, for errors.

    Returns:
        `(num_elements,)` array.

    Raises:
        ValueError: if the matrix lacks a pair or has other block shapes.
    """
    if np.array_equal(matrix.atom_pairs, reference.atom_pairs):
        same = np.array_equal(matrix.shapes, reference.shapes)
        entries = matrix.entries
    else:
        missing = [p for p in reference.index if p not in matrix.index]
        if missing:
            raise ValueError(
                f"The {name} lacks {len(missing)} of {len(reference)} "
                f"atom pairs of the reference, first {missing[0]}. Compare "
                "with the reference's own `select`, or compute all pairs."
            )
        chosen = matrix.select([matrix.index[p] for p in reference.index])
        same = np.array_equal(chosen.shapes, reference.shapes)
        entries = chosen.entries
    if not same:
        raise ValueError(
            f"The {name} and its reference have blocks of different shapes; "
            "their orbitals or their spin layouts differ."
        )
    return entries
