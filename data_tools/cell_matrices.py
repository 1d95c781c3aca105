"""Blocks between atoms against sparse matrices H(R) of whole cells."""

import itertools

import numpy as np
import scipy.sparse

from keras_hamiltonian.data.calculation import TYPES
from keras_hamiltonian.orbitals.block_matrix import BlockMatrix
from keras_hamiltonian.orbitals.whole_numbers import whole_numbers


def csr_of_file(data, columns, pointers, num_rows, num_columns):
    """A CSR matrix from arrays of a file, which SciPy would believe.

    Args:
        data: `(n,)` floats of single or double precision, real or complex.
        columns: `(n,)` ints. Column of each number.
        pointers: `(num_rows + 1,)` ints. Where each row starts.
        num_rows, num_columns: int.

    Returns:
        `scipy.sparse.csr_matrix`.

    Raises:
        ValueError: if the arrays are not those of such a matrix.
    """
    data = np.asarray(data)
    columns = whole_numbers(columns, "columns", 0, num_columns - 1)
    pointers = whole_numbers(pointers, "row pointers", 0, len(data))
    if (
        data.dtype.name not in TYPES
        or columns.shape != data.shape
        or pointers.shape != (num_rows + 1,)
        or (pointers[0], pointers[-1]) != (0, len(data))
        or (np.diff(pointers) < 0).any()
    ):
        raise ValueError(
            "Numbers, columns and row pointers do not belong to a matrix of "
            f"{num_rows} rows with {data.shape} numbers ({data.dtype}). The "
            "file is damaged."
        )
    return scipy.sparse.csr_matrix(
        (data, columns, pointers), shape=(num_rows, num_columns)
    )


def blocks_of_matrix(matrix, widths):
    """The blocks of all pairs of atoms of one cell, a molecule above all.

    Args:
        matrix: `(n, n)` array.
        widths: `(num_atoms,)` ints. Rows of the blocks of each atom.

    Returns:
        `BlockMatrix`.
    """
    starts = np.cumsum([0, *widths])
    parts = [slice(a, b) for a, b in zip(starts, starts[1:])]
    pairs = list(itertools.product(range(len(parts)), repeat=2))
    return BlockMatrix.from_blocks(
        [(0, 0, 0, *pair) for pair in pairs],
        [matrix[parts[i], parts[j]] for i, j in pairs],
    )


def stack_of_blocks(matrix, widths):
    """The matrices of all cells, one below the other.

    Numbers that are zero stay in the list, so that no pair is lost.

    Args:
        matrix: `BlockMatrix`.
        widths: `(num_atoms,)` ints. Rows of the blocks of each atom.

    Returns:
        Cells `(num_R, 3)` ints, sorted, and a CSR matrix `(num_R n, n)`; rows
        r n to (r + 1) n are those of the r-th cell.

    Example:

    >>> hopping = BlockMatrix([(1, 0, 0, 0, 1)], [(1, 2)], [3.0, 4.0])
    >>> cells, stack = stack_of_blocks(hopping, [1, 2])
    >>> cells.tolist(), stack.toarray().tolist()[0]
    ([[1, 0, 0]], [0.0, 3.0, 4.0])
    """
    widths = np.asarray(widths, dtype=np.int64)
    starts, size = np.cumsum(widths) - widths, int(widths.sum())
    pairs = matrix.atom_pairs
    cells, cell = np.unique(pairs[:, :3], axis=0, return_inverse=True)
    counts = matrix.shapes.prod(axis=1)
    pair = np.repeat(np.arange(len(matrix)), counts)
    inside = np.arange(len(pair)) - matrix.boundaries[pair]
    row, column = np.divmod(inside, matrix.shapes[pair, 1])
    row += starts[pairs[pair, 3]] + size * cell.ravel()[pair]
    column += starts[pairs[pair, 4]]
    stack = scipy.sparse.coo_matrix(
        (matrix.entries, (row, column)), shape=(len(cells) * size, size)
    ).tocsr()
    stack.sort_indices()
    return cells, stack


def blocks_of_stack(cells, stack, widths):
    """The blocks of all pairs of atoms that have a listed number.

    Args:
        cells: `(num_R, 3)` ints.
        stack: sparse matrix `(num_R n, n)`, see `stack_of_blocks`.
        widths: `(num_atoms,)` ints. Rows of the blocks of each atom.

    Returns:
        `BlockMatrix`, the home cell's pairs where the cells list it.

    Raises:
        ValueError: if the sizes do not fit together.
    """
    cells = whole_numbers(cells, "cells").reshape(-1, 3)
    if len(np.unique(cells, axis=0)) < len(cells):
        raise ValueError("A cell is listed twice. The file is damaged.")
    widths = np.asarray(widths, dtype=np.int64)
    starts, size = np.cumsum(widths) - widths, int(widths.sum())
    if stack.shape != (len(cells) * size, size):
        raise ValueError(
            f"The atoms have {size} orbitals in all, and there are "
            f"{len(cells)} cells; expected a stack of "
            f"{(len(cells) * size, size)} numbers. Received: {stack.shape}."
        )
    stack = stack.tocsr()
    stack.sum_duplicates()
    stack = stack.tocoo()
    atom = np.repeat(np.arange(len(widths)), widths)
    cell, row = np.divmod(stack.row.astype(np.int64), size)
    i, j = atom[row], atom[stack.col]
    keys = np.column_stack([cell, i, j])
    keys, pair = np.unique(keys, axis=0, return_inverse=True)
    pairs = np.column_stack([cells[keys[:, 0]], keys[:, 1:]])
    shapes = widths[keys[:, 1:]]
    sizes = shapes.prod(axis=1)
    boundaries = np.cumsum(sizes) - sizes
    entries = np.zeros(int(sizes.sum()), stack.data.dtype)
    place = boundaries[pair.ravel()] + (row - starts[i]) * widths[j]
    entries[place + stack.col - starts[j]] = stack.data
    return BlockMatrix(pairs, shapes, entries)
