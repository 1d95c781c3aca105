"""Matrix blocks after the crystal has been rotated."""

import functools

import numpy as np

from keras_hamiltonian.ops import backend
from keras_hamiltonian.ops.rotate_irreps import determinant
from keras_hamiltonian.ops.wigner_d import rotation_matrices
from keras_hamiltonian.orbitals.coupling import join_spin_parts


def rotate_blocks(blocks, rotations, shells, spin="none"):
    """Rotates blocks, `D(Q) H D(Q)ᵀ`; with spin `D^{1/2}` stands on both sides.

    In terms of the parts of a spinful block, `(c_0 + c·σ) / √2`, the spin
    matrices leave c_0 as it is and rotate c as an axial vector: all is real.

    Args:
        blocks: `(N, ..., rows, rows)` tensor or, with spin,
            `(N, ..., 2, 2, 2, rows, rows)`.
        rotations: `(N, 3, 3)` tensor of orthogonal matrices, for each atom
            that of its crystal.
        shells: sequence of int. Degrees of the table's shells.
        spin: str. `"none"` or `"noncollinear"`.

    Returns:
        Tensor of the shape of `blocks`.

    Example:

    >>> import keras
    >>> quarter = keras.ops.array([[[0.0, -1, 0], [1, 0, 0], [0, 0, 1]]])
    >>> block = keras.ops.diag([7.0, 1, 2, 3])[None]  # s, then p: y, z, x
    >>> rotated = rotate_blocks(block, quarter, (0, 1))
    >>> print(keras.ops.convert_to_numpy(keras.ops.diagonal(rotated[0])))
    [7. 3. 2. 1.]

    Reference: `testing.rotate_blocks_in_numpy`, the same in complex NumPy.
    """
    shape = backend.shape(blocks)
    rows = shape[-1]
    degrees = rotation_matrices(rotations, max(1, *shells))
    matrix = _shell_matrix(degrees, tuple(shells))[:, None]
    flat = backend.reshape(blocks, (shape[0], -1, rows, rows))
    rotated = matrix @ flat @ backend.swapaxes(matrix, -1, -2)
    if spin != "none":
        parts = backend.reshape(rotated, (shape[0], -1, 8, rows * rows))
        mixed = _spin_matrix(degrees[1], rotations)[:, None] @ parts
        rotated = backend.reshape(mixed, (shape[0], -1, rows, rows))
    return backend.reshape(rotated, shape)


def _shell_matrix(degrees, shells):
    """Block-diagonal matrix of a table of shells: `(N, rows, rows)`."""
    flat = [
        backend.reshape(d, (-1, d.shape[-1] ** 2))
        for d in degrees[: max(shells) + 1]
    ]
    entries = backend.concatenate([backend.zeros_like(flat[0]), *flat], axis=-1)
    index = _entries(shells)
    taken = backend.take(entries, index.ravel(), axis=-1)
    return backend.reshape(taken, (-1, *index.shape))


@functools.cache
def _entries(shells):
    """Where each entry stands among 0 and the matrices of each degree."""
    starts = np.cumsum([0] + [2 * l + 1 for l in shells])
    offsets = np.cumsum([1] + [(2 * l + 1) ** 2 for l in range(max(shells))])
    index = np.zeros((starts[-1], starts[-1]), dtype="int32")
    for l, start, stop in zip(shells, starts, starts[1:]):
        size = stop - start
        entries = offsets[l] + np.arange(size * size)
        index[start:stop, start:stop] = entries.reshape(size, size)
    return index


def _spin_matrix(vector, rotations):
    """How the eight numbers (re/im, spin, spin) of an element rotate."""
    axial = vector * determinant(rotations)[:, None, None]
    split = backend.constant(_spin_parts(), vector)
    scalar, parts = split[:, :2], split[:, 2:]
    # Real and imaginary part of c, one after the other, rotate alike.
    parts = backend.reshape(parts, (8, 2, 3))
    rotated = backend.einsum("apk,nkl,bpl->nab", parts, axial, parts)
    return scalar @ backend.swapaxes(scalar, 0, 1) + rotated


@functools.cache
def _spin_parts():
    """Orthogonal `(8, 8)` array from the parts (c_0 re, im; c re, im) to the
    elements (re/im, spin, spin)."""
    columns = []
    for k in range(8):
        units = np.zeros(8)
        units[k] = 1
        scalar = np.full((1, 1), units[0] + 1j * units[1])
        vector = (units[2:5] + 1j * units[5:]).reshape(3, 1, 1)
        whole = join_spin_parts(scalar, vector)
        columns.append(np.stack([whole.real, whole.imag]).ravel())
    return np.array(columns).T
