"""Ragged blocks of a crystal as one array, and back."""

import numpy as np

from keras_hamiltonian.orbitals.block_matrix import BlockMatrix

# Their places take as much memory as their numbers.
BLOCKS_AT_ONCE = 2**13


def to_table(matrix, numbers, basis, is_spinful, positions=None):
    """Blocks in the common table of a basis, padded with zeros.

    Args:
        matrix: `BlockMatrix`.
        numbers: `(num_atoms,)` int array of atomic numbers.
        basis: `OrbitalBasis`, whose table the blocks are written to.
        is_spinful: bool. Whether blocks are `(2 n_i, 2 n_j)`.
        positions: int array of any shape. Which blocks; -1 gives zeros.
            Defaults to all in order.

    Returns:
        `(*positions.shape, rows, rows)` float64 array; with spin
        `(*positions.shape, 2, 2, 2, rows, rows)`: real and imaginary part,
        spin of the row, spin of the column.
    """
    if positions is None:
        positions = np.arange(len(matrix))
    flat = np.ravel(positions)
    rows = basis.num_rows
    inner = (2, 2, 2, rows, rows) if is_spinful else (rows, rows)
    table = np.zeros((flat.size, *inner))
    for members, source, where in _groups(
        matrix, flat, numbers, basis, is_spinful
    ):
        entries = matrix.entries[source]
        if is_spinful:
            view = np.zeros((len(entries), 2, 2, rows, rows), entries.dtype)
            view[(slice(None), *where)] = entries
            table[members, 0] = view.real
            table[members, 1] = view.imag
        else:
            view = np.zeros((len(entries), rows, rows))
            view[(slice(None), *where)] = entries
            table[members] = view
    return table.reshape(*np.shape(positions), *inner)


def from_table(table, atom_pairs, numbers, basis, is_spinful):
    """The inverse of `to_table` for given pairs.

    Args:
        table: `(P, rows, rows)` or `(P, 2, 2, 2, rows, rows)` array.
        atom_pairs: `(P, 5)` int array.
        numbers: `(num_atoms,)` int array of atomic numbers.
        basis: `OrbitalBasis`.
        is_spinful: bool.

    Returns:
        `BlockMatrix`, float64 or complex128.
    """
    table = np.asarray(table)
    pairs = np.asarray(atom_pairs, dtype=np.int64).reshape(-1, 5)
    sizes = np.array([basis.num_orbitals(z) for z in numbers], dtype=np.int64)
    shapes = sizes[pairs[:, 3:]] * (2 if is_spinful else 1)
    total = int(shapes.prod(axis=1).sum())
    entries = np.zeros(total, dtype=complex if is_spinful else float)
    matrix = BlockMatrix(pairs, shapes, entries)
    flat = np.arange(len(pairs))
    for members, target, where in _groups(
        matrix, flat, numbers, basis, is_spinful
    ):
        values = table[members]
        if is_spinful:
            values = values[:, 0] + 1j * values[:, 1]
        entries[target] = values[(slice(None), *where)]
    return matrix


def table_mask(species_i, species_j, basis):
    """Which elements of the table a pair of species has.

    Args:
        species_i, species_j: int arrays of equal shape; -1 has none.
        basis: `OrbitalBasis`.

    Returns:
        `(*shape, rows, rows)` bool array.
    """
    has = np.zeros((len(basis.symbols) + 1, basis.num_rows), dtype=bool)
    for k, symbol in enumerate(basis.symbols):
        has[k, basis.table_rows(symbol)] = True
    return has[species_i][..., :, None] & has[species_j][..., None, :]


def _groups(matrix, flat, numbers, basis, is_spinful):
    """Blocks of equal elements: members, flat entries, place in the table."""
    numbers = np.asarray(numbers)
    kept = np.flatnonzero(flat >= 0)
    pairs = matrix.atom_pairs[flat[kept]]
    kinds = numbers[pairs[:, 3]] * 1000 + numbers[pairs[:, 4]]
    for kind in np.unique(kinds):
        rows = basis.table_rows(kind // 1000)
        columns = basis.table_rows(kind % 1000)
        if is_spinful:
            row, s = np.tile(rows, 2), np.repeat([0, 1], len(rows))
            column, t = np.tile(columns, 2), np.repeat([0, 1], len(columns))
            where = (s[:, None], t[None, :], row[:, None], column[None, :])
        else:
            row, column = rows, columns
            where = (row[:, None], column[None, :])
        inside = np.arange(len(row) * len(column))
        same = kept[kinds == kind]
        for start in range(0, len(same), BLOCKS_AT_ONCE):
            members = same[start : start + BLOCKS_AT_ONCE]
            source = matrix.boundaries[flat[members], None] + inside
            yield members, source.reshape(-1, len(row), len(column)), where
