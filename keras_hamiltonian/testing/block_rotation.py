"""Rotation of matrix blocks with the crystal, in NumPy."""

import numpy as np
import scipy.linalg
from scipy.spatial.transform import Rotation

from keras_hamiltonian.irreps.wigner import wigner_d_matrix

PAULI = np.array([[[0, 1], [1, 0]], [[0, -1j], [1j, 0]], [[1, 0], [0, -1]]])


def shell_matrix(shells, rotation):
    """Block-diagonal matrix that rotates the orbitals of a table.

    Args:
        shells: sequence of int. Degrees of the shells.
        rotation: `(3, 3)` orthogonal matrix, proper or improper.

    Returns:
        `(rows, rows)` float64 array.
    """
    sign = np.sign(np.linalg.det(rotation))
    return scipy.linalg.block_diag(
        *[sign**l * wigner_d_matrix(l, sign * rotation) for l in shells]
    )


def spin_matrix(rotation):
    """`D^{1/2}` of a rotation: a `(2, 2)` unitary matrix, up to its sign.

    Inversion does not act on spin.
    """
    sign = np.sign(np.linalg.det(rotation))
    x, y, z, w = Rotation.from_matrix(sign * rotation).as_quat()
    return w * np.eye(2) - 1j * np.tensordot([x, y, z], PAULI, axes=1)


def rotate_blocks_in_numpy(blocks, shells, rotation, spin="none"):
    """Rotates blocks: `D(Q) H D(Q)^†`.

    With spin, `D` includes `D^{1/2}`. The arithmetic is complex, unlike that
    of the layers, which can be checked by it.

    Args:
        blocks: `(..., rows, rows)` array or, with spin,
            `(..., 2, 2, 2, rows, rows)`.
        shells: sequence of int. Degrees of the table's shells.
        rotation: `(3, 3)` orthogonal matrix, proper or improper.
        spin: str. `"none"` or `"noncollinear"`.

    Returns:
        Float64 array of the shape of `blocks`.
    """
    blocks = np.asarray(blocks, dtype=np.float64)
    matrix = shell_matrix(shells, rotation)
    rotated = matrix @ blocks @ matrix.T
    if spin == "none":
        return rotated
    spinor = spin_matrix(rotation)
    whole = rotated[..., 0, :, :, :, :] + 1j * rotated[..., 1, :, :, :, :]
    whole = np.einsum(
        "st,...tuab,vu->...svab", spinor, whole, spinor.conj(), optimize=True
    )
    return np.stack([whole.real, whole.imag], axis=-5)
