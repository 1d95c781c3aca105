"""From edge channels to hopping blocks in the crystal's axes, and back."""

import functools

import numpy as np

from keras_hamiltonian.irreps.edge import edge_dim
from keras_hamiltonian.ops import backend
from keras_hamiltonian.ops.edges import join_channels
from keras_hamiltonian.ops.edges import split_channels
from keras_hamiltonian.orbitals.edge_blocks import EdgeBlockLayout


def frame_blocks(edges, layout):
    """Blocks in the frame of the edge.

    Args:
        edges: dict from kind to `(N, M, d, channels)` tensors, all kinds and
            channels of the layout.
        layout: `EdgeBlockLayout`.

    Returns:
        `(N, M, rows, columns)` tensor in frame order, or
        `(N, M, 3, rows, columns)` for the vector part.
    """
    sizes = {kind: [] for kind in layout.channels}
    for slab in layout.slabs:
        for kind in slab.kinds:
            sizes[kind].append(slab.num_channels)
    pieces = {
        kind: iter(split_channels(edges[kind], sizes[kind])) for kind in sizes
    }
    num_kinds = layout.mmax + 1
    rows = {}
    for slab in layout.slabs:
        block = _slab_block([next(pieces[k]) for k in slab.kinds], slab, layout)
        rows.setdefault(slab.spin, {}).setdefault(slab.m1, []).append(block)
    parts = [
        backend.concatenate(
            [join_channels(rows[spin][m]) for m in range(num_kinds)], axis=-2
        )
        for spin in rows
    ]
    if layout.part == "scalar":
        return parts[0][:, :, 0]
    return backend.concatenate(parts, axis=2)


def _slab_block(pieces, slab, layout):
    """One slab: `(N, M, d_spin, d1 · n1, d2 · n2)`."""
    x = pieces[0] if len(pieces) == 1 else backend.concatenate(pieces, axis=2)
    d1, d2 = min(slab.m1, 1) + 1, min(slab.m2, 1) + 1
    n1 = len(layout.shells_of[slab.m1])
    n2 = len(layout.columns.shells_of[slab.m2])
    if not np.array_equal(slab.coupling, np.eye(len(slab.coupling))):
        coupling = backend.constant(slab.coupling, x)
        x = coupling @ x
    shape = backend.shape(x)[:2]
    spin = edge_dim(slab.spin)
    x = backend.reshape(x, (*shape, spin, d1, d2, n1, n2))
    x = backend.transpose(x, (0, 1, 2, 3, 5, 4, 6))
    return backend.reshape(x, (*shape, spin, d1 * n1, d2 * n2))


def edge_channels(blocks, layout):
    """Edge channels of spinless blocks, the inverse of `frame_blocks`.

    Args:
        blocks: `(N, M, rows, rows)` tensor in the frame of the edge.
        layout: `EdgeBlockLayout` of the scalar part.

    Returns:
        Dict from kind to `(N, M, d, channels)` tensors.
    """
    found = {kind: [] for kind in layout.channels}
    slices, columns = layout.row_slices, layout.columns.row_slices
    leading = backend.shape(blocks)[:2]
    for slab in layout.slabs:
        d1, d2 = min(slab.m1, 1) + 1, min(slab.m2, 1) + 1
        n1 = len(layout.shells_of[slab.m1])
        n2 = len(layout.columns.shells_of[slab.m2])
        x = blocks[:, :, slices[slab.m1], columns[slab.m2]]
        x = backend.reshape(x, (*leading, d1, n1, d2, n2))
        x = backend.transpose(x, (0, 1, 2, 4, 3, 5))
        x = backend.reshape(x, (*leading, d1 * d2, n1 * n2))
        if not np.array_equal(slab.coupling, np.eye(len(slab.coupling))):
            x = backend.constant(slab.coupling.T, x) @ x
        sizes = [edge_dim(kind) for kind in slab.kinds]
        for kind, piece in zip(slab.kinds, split_channels(x, sizes, axis=2)):
            found[kind].append(piece)
    return {kind: join_channels(pieces) for kind, pieces in found.items()}


def shell_rotations(wigner, layout):
    """Block-diagonal Wigner matrices of a whole table of shells.

    Args:
        wigner: list of `(N, M, 2l+1, 2l+1)` tensors, as `wigner_d` gives.
        layout: `EdgeBlockLayout`.

    Returns:
        `(N, M, rows, rows)` tensor: rows in frame order, columns in the
        table's own order.
    """
    num_atoms, num_neighbors = backend.shape(wigner[0])[:2]
    flat = [
        backend.reshape(w, (num_atoms, num_neighbors, -1))
        for w in wigner[: layout.mmax + 1]
    ]
    entries = backend.concatenate([backend.zeros_like(flat[0]), *flat], axis=-1)
    index = _rotation_index(layout.shells)
    taken = backend.take(entries, index.ravel(), axis=-1)
    shape = (num_atoms, num_neighbors, *index.shape)
    return backend.reshape(taken, shape)


@functools.cache
def _rotation_index(shells):
    """Where each entry of the block-diagonal matrix stands among 0, 1 and
    the entries of the Wigner matrices."""
    layout = EdgeBlockLayout(shells)
    starts = np.cumsum([0] + [2 * l + 1 for l in layout.shells])
    offsets = [1]
    for l in range(layout.mmax):
        offsets.append(offsets[-1] + (2 * l + 1) ** 2)
    index = np.zeros((layout.num_rows, layout.num_rows), dtype="int32")
    row = 0
    for m in range(layout.mmax + 1):
        for component in range(1 if m == 0 else 2):
            for k in layout.shells_of[m]:
                l = layout.shells[k]
                source = 0 if m == 0 else 2 * m - 1 + component
                begin = offsets[l] + source * (2 * l + 1)
                index[row, starts[k] : starts[k + 1]] = np.arange(
                    begin, begin + 2 * l + 1
                )
                row += 1
    return index


def rotate_blocks_out(blocks, rotations, column_rotations=None):
    """Rotates frame blocks into the crystal's axes: `Uᵀ B V`.

    Args:
        blocks: `(N, M, rows, columns)` or `(N, M, 3, rows, columns)` tensor.
        rotations: U, `(N, M, rows, rows)` tensor from `shell_rotations`.
        column_rotations: V, `(N, M, columns, columns)` tensor, where the second
            atom has other shells. Defaults to U.

    Returns:
        Tensor of the shape of `blocks`, rows and columns in table order.
    """
    if column_rotations is None:
        column_rotations = rotations
    if len(blocks.shape) == 5:
        rotations = rotations[:, :, None]
        column_rotations = column_rotations[:, :, None]
    return backend.swapaxes(rotations, -1, -2) @ (blocks @ column_rotations)


def rotate_blocks_in(blocks, rotations):
    """Rotates spinless blocks into the frame of their edge: `U B Uᵀ`.

    Args:
        blocks: `(N, M, rows, rows)` tensor, rows and columns in table order.
        rotations: U, `(N, M, rows, rows)` tensor from `shell_rotations`.

    Returns:
        Tensor of the shape of `blocks`, in frame order.
    """
    return (rotations @ blocks) @ backend.swapaxes(rotations, -1, -2)
