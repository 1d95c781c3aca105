"""A block matrix as one HDF5 group: the chunk layout, half of it stored.

Datasets of the group, as in files of DeepH-dock: `atom_pairs (P, 5)`,
`chunk_shapes (P, 2)`, `chunk_boundaries (P + 1,)` and `entries` (flat, block
after block, row by row). If `M_ij(R) = M_ji(-R)^†` holds, only one block of
each such pair is stored (attribute `is_half_stored`); `position` and `partner`
`(P,)` are the positions of the block and of its conjugate transpose in the
whole matrix, so that the order of the pairs is kept.

Rounded entries are 32-bit integers in units of the attribute `quantum` (a power
of two, so that multiplication is exact), in zigzag order: 0, -1, 1, -2, ... are
written as 0, 1, 2, 3, ... so that the high bytes of small numbers are zero
(14 % smaller than two's complement). Complex ones have the shape `(2, M)`, real
parts first.
"""

import math

import numpy as np

from keras_hamiltonian.hdf5_files import read_dataset
from keras_hamiltonian.orbitals.block_matrix import BlockMatrix
from keras_hamiltonian.orbitals.whole_numbers import whole_numbers

DATASETS = ("atom_pairs", "chunk_shapes", "chunk_boundaries", "entries")

# Partners of a rounded matrix may differ by this much (eV; no unit for S) and
# are still stored as one block. Those of other matrices must be equal.
HERMITIAN_TOLERANCE = 1e-6


def write_matrix(group, matrix, precision=None, compression=0):
    """Writes a `BlockMatrix` into an empty HDF5 group.

    Args:
        group: `h5py.Group`.
        matrix: `BlockMatrix`.
        precision: float. Largest spacing of the stored numbers in the unit of
            the matrix; `None` stores float64 or complex128.
        compression: int. Level of gzip, 0 to 9; 0 for none.

    Raises:
        ValueError: if `precision` is not positive, or too fine for the largest
            entry in 32 bits.
    """
    filters = _filters(compression) if len(matrix) else {}
    tolerance = 0.0 if precision is None else HERMITIAN_TOLERANCE
    partners = matrix.reverse_positions()
    is_half_stored = _is_hermitian(matrix, partners, tolerance)
    positions, halves = np.arange(len(matrix)), None
    if is_half_stored:
        positions = positions[positions <= partners]
        halves = positions, partners[positions]
    write_layout(group, matrix.atom_pairs, matrix.shapes, halves, filters)
    entries = _gather(matrix, positions)
    if precision is not None:
        entries, quantum = _round(entries, precision)
        group.attrs["quantum"] = quantum
    _write(group, "entries", entries, filters)


def write_layout(group, atom_pairs, shapes, halves=None, filters=None):
    """Writes all of a matrix but its numbers.

    Args:
        group: `h5py.Group`.
        atom_pairs: `(P, 5)` int array.
        shapes: `(P, 2)` int array.
        halves: positions of the blocks that are stored, and of their reverses;
            `None` if all are.
        filters: dict. Options of the data sets.

    Returns:
        Where the stored blocks begin among the numbers, and the end of all:
        int array.
    """
    filters = filters or {}
    group.attrs["is_half_stored"] = halves is not None
    group.attrs["num_pairs"] = len(atom_pairs)
    if halves is not None:
        for name, positions in zip(("position", "partner"), halves):
            _write(group, name, positions.astype("i4"), filters)
        atom_pairs, shapes = atom_pairs[halves[0]], shapes[halves[0]]
    boundaries = _boundaries(shapes)
    _write(group, "atom_pairs", atom_pairs.astype("i4"), filters)
    _write(group, "chunk_shapes", shapes.astype("i4"), filters)
    _write(group, "chunk_boundaries", boundaries, filters)
    return boundaries


def read_matrix(group):
    """Reads a matrix of `write_matrix`, or of a plain chunk layout.

    Args:
        group: `h5py.Group`, or the open file.

    Returns:
        The whole `BlockMatrix`, pairs in their original order.

    Raises:
        ValueError: if a dataset is missing, the sizes do not fit together, or
            indices are out of bounds.
    """
    is_half_stored = bool(group.attrs.get("is_half_stored", False))
    names = (*DATASETS, *(("position", "partner") if is_half_stored else ()))
    missing = [name for name in names if name not in group]
    if missing:
        raise ValueError(
            f"{_place(group)} lacks the datasets {', '.join(missing)}. "
            f"Expected a matrix in the chunk layout ({', '.join(DATASETS)}); "
            f"found: {', '.join(sorted(group)[:8]) or 'nothing'}."
        )
    pairs, shapes, boundaries, entries, *halves = (
        read_dataset(group[name]) for name in names
    )
    entries = _restore_numbers(entries, group.attrs.get("quantum"))
    try:
        matrix = BlockMatrix(pairs, shapes, entries)
        if not np.array_equal(matrix.boundaries, boundaries):
            raise ValueError(
                "`chunk_boundaries` does not follow from `chunk_shapes`; "
                "expected the running sum of rows x columns, up to "
                f"{matrix.boundaries[-1]}."
            )
        return _restore_half(matrix, *halves) if is_half_stored else matrix
    except ValueError as error:
        raise ValueError(
            f"{_place(group)}: {error} The file is damaged or was cut off; "
            "write it again."
        ) from None


def _restore_half(stored, position, partner):
    """The whole matrix from one block of each Hermitian pair."""
    pairs, shapes, entries = stored.atom_pairs, stored.shapes, stored.entries
    num_pairs = _check_places(len(stored), position, partner)
    all_pairs = np.empty((num_pairs, 5), dtype=np.int64)
    all_shapes = np.empty((num_pairs, 2), dtype=np.int64)
    # Partners first: a block that is its own partner is not transposed.
    all_pairs[partner] = np.hstack([-pairs[:, :3], pairs[:, :2:-1]])
    all_pairs[position] = pairs
    all_shapes[partner] = shapes[:, ::-1]
    all_shapes[position] = shapes
    source = _boundaries(shapes)
    target = _boundaries(all_shapes)
    restored = np.empty(target[-1], dtype=entries.dtype)
    if num_pairs and (shapes == shapes[0, 0]).all():
        # Square blocks of one size (one element): a fast path.
        blocks = entries.reshape(-1, *shapes[0])
        restored = restored.reshape(-1, *shapes[0])
        restored[partner] = blocks.conj().swapaxes(1, 2)
        restored[position] = blocks
        return BlockMatrix(all_pairs, all_shapes, restored.ravel())
    for same in _equal_shapes(shapes):
        rows, columns = shapes[same[0]]
        inside = np.arange(rows * columns)
        blocks = entries[source[same][:, None] + inside]
        mirrored = blocks.reshape(-1, rows, columns).conj().swapaxes(1, 2)
        restored[target[partner[same]][:, None] + inside] = mirrored.reshape(
            len(same), -1
        )
        restored[target[position[same]][:, None] + inside] = blocks
    return BlockMatrix(all_pairs, all_shapes, restored)


def _check_places(num_stored, position, partner):
    """Number of all pairs; each is a block or the partner of one, once."""
    position, partner = (
        whole_numbers(x, "places of the pairs", 0, 2 * num_stored - 1)
        for x in (position, partner)
    )
    others = partner[partner != position]
    counts = np.bincount(np.concatenate([position, others]))
    if not len(position) == len(partner) == num_stored or (counts != 1).any():
        raise ValueError("`position` and `partner` do not name each pair once.")
    return len(counts)


def _is_hermitian(matrix, partners, tolerance):
    """Whether every block has a partner that agrees with it."""
    if len(matrix) == 0 or (partners < 0).any():
        return False
    if (matrix.shapes[partners] != matrix.shapes[:, ::-1]).any():
        return False
    start = matrix.boundaries[:-1]
    for same in _equal_shapes(matrix.shapes):
        rows, columns = matrix.shapes[same[0]]
        inside = np.arange(rows * columns)
        mirror = inside.reshape(columns, rows).T.ravel()
        blocks = matrix.entries[start[same][:, None] + inside]
        others = matrix.entries[start[partners[same]][:, None] + mirror].conj()
        # NaN is not Hermitian.
        if not (np.abs(blocks - others) <= tolerance).all():
            return False
    return True


def _equal_shapes(shapes):
    """Positions of the blocks of each shape, one array for each."""
    keys = shapes[:, 0].astype(np.int64) << 32 | shapes[:, 1]
    return [np.flatnonzero(keys == key) for key in np.unique(keys)]


def _gather(matrix, positions):
    """Flat entries of the blocks at ascending positions."""
    if len(positions) == len(matrix):
        return matrix.entries
    keep = np.zeros(len(matrix), dtype=bool)
    keep[positions] = True
    return matrix.entries[np.repeat(keep, matrix.shapes.prod(axis=1))]


def _round(entries, precision):
    if not precision > 0:
        raise ValueError(
            "`precision` is the largest spacing of the stored numbers and must "
            f"be positive, for example 1e-6. Received: {precision!r}."
        )
    quantum = 2.0 ** math.floor(math.log2(precision))
    if np.iscomplexobj(entries):
        entries = np.stack([entries.real, entries.imag])
    counts = np.rint(entries / quantum)
    if not (np.abs(counts) < 2**31).all():
        raise ValueError(
            f"The largest entry, {np.abs(entries).max()}, does not fit into 32 "
            f"bits in steps of {quantum}. Choose a coarser `precision`, or "
            "`None` to store the numbers as they are."
        )
    counts = counts.astype("i4")
    return ((counts << 1) ^ (counts >> 31)).view("u4"), quantum


def _restore_numbers(entries, quantum):
    if quantum is None:
        return entries
    counts = (entries >> 1).astype("i4") ^ -(entries & 1).astype("i4")
    entries = counts * float(quantum)
    return entries[0] + 1j * entries[1] if entries.ndim == 2 else entries


def _write(group, name, data, filters):
    # One chunk: matrices are read whole, and large chunks compress better.
    chunks = {"chunks": data.shape} if filters else {}
    group.create_dataset(name, data=data, **filters, **chunks)


def _filters(compression):
    if compression not in range(10):
        raise ValueError(
            "`compression` is the level of gzip, 0 (none) to 9. "
            f"Received: {compression!r}."
        )
    if compression == 0:
        return {}
    return {
        "compression": "gzip",
        "compression_opts": int(compression),
        "shuffle": True,
    }


def _boundaries(shapes):
    sizes = shapes.astype(np.int64).prod(axis=1)
    return np.concatenate([[0], np.cumsum(sizes)])


def _place(group):
    return f"{group.file.filename}, group {group.name}"
