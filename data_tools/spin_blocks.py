"""Blocks with spin, `[[uu, ud], [du, dd]]`, from four parts, and back."""

import numpy as np

from keras_hamiltonian.orbitals.block_matrix import BlockMatrix


def join_spins(up, down, mixed=None, reverse=None):
    """One matrix with spin from matrices that list the same pairs.

    Args:
        up: `BlockMatrix`. Up in rows and columns.
        down: `BlockMatrix`. Down in rows and columns.
        mixed: `BlockMatrix`. Up in rows, down in columns. Defaults to zeros.
        reverse: `BlockMatrix`. Down in rows, up in columns. Defaults to zeros.

    Returns:
        `BlockMatrix`.
    """
    zero = up.with_entries(np.zeros_like(up.entries))
    mixed = zero if mixed is None else mixed
    reverse = zero if reverse is None else reverse
    parts = (up, mixed, reverse, down)
    return BlockMatrix.from_blocks(
        up.atom_pairs,
        [
            np.block([[uu, ud], [du, dd]])
            for uu, ud, du, dd in zip(*(part.blocks() for part in parts))
        ],
    )


def spin_part(matrix, row, column):
    """Blocks of one spin in the rows and one in the columns.

    Args:
        matrix: `BlockMatrix` with spin.
        row, column: int. 0 up, 1 down.

    Returns:
        `BlockMatrix` of a quarter of the numbers.
    """
    blocks = [
        block.reshape(2, block.shape[0] // 2, 2, -1)[row, :, column]
        for block in matrix.blocks()
    ]
    return BlockMatrix.from_blocks(matrix.atom_pairs, blocks)


def adjoint(matrix):
    """The matrix with blocks `M_ji(-R)^†`.

    Args:
        matrix: `BlockMatrix`.

    Returns:
        `BlockMatrix` with the same pairs.

    Raises:
        ValueError: if a pair lacks its reverse.
    """
    partners = matrix.reverse_positions()
    if (partners < 0).any():
        raise ValueError(
            f"{int((partners < 0).sum())} of {len(matrix)} pairs lack the "
            "partner (-R, j, i), which holds their down-up block."
        )
    blocks = [matrix.block(p).conj().T for p in partners]
    return BlockMatrix.from_blocks(matrix.atom_pairs, blocks)
