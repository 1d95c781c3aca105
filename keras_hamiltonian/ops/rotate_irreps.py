"""Features after the crystal has been rotated."""

import keras

from keras_hamiltonian.irreps.irreps import Irreps
from keras_hamiltonian.ops.symbolic import broadcast_shapes
from keras_hamiltonian.ops.symbolic import is_symbolic
from keras_hamiltonian.ops.tensor_product import join_terms
from keras_hamiltonian.ops.tensor_product import split_terms
from keras_hamiltonian.ops.wigner_d import rotation_matrices


def rotate_irreps(features, irreps, rotations):
    """Rotates features of irreps, as they rotate when the crystal does.

    A rotation with determinant -1 is a proper one times the inversion, which
    multiplies each irrep by its parity: `1o` follows the matrix itself, `1e`
    does not change sign under inversion.

    Args:
        features: `(..., dim)` tensor, `ir_mul` layout.
        irreps: str or `Irreps`. What they are.
        rotations: `(..., 3, 3)` tensor of orthogonal matrices for columns
            (x, y, z); leading axes broadcast against those of `features`.

    Returns:
        `(..., dim)` tensor.

    Raises:
        ValueError: if shapes and irreps do not fit.

    Example:

    >>> inversion = -keras.ops.eye(3)
    >>> vectors = keras.ops.ones((4, 4))
    >>> rotated = rotate_irreps(vectors, "1x0e + 1x1o", inversion)
    >>> print(keras.ops.convert_to_numpy(rotated)[0])
    [ 1. -1. -1. -1.]

    Reference: `Irreps.d_matrix`, the same in NumPy.
    """
    if is_symbolic(features, rotations):
        return RotateIrreps(irreps)(features, rotations)
    return _rotate(features, Irreps(irreps), rotations)


@keras.saving.register_keras_serializable(package="keras_hamiltonian.ops")
class RotateIrreps(keras.Operation):
    """`rotate_irreps` as a node of a graph."""

    def __init__(self, irreps, name=None):
        super().__init__(name=name)
        self.irreps = Irreps(irreps)

    def call(self, features, rotations):
        return _rotate(features, self.irreps, rotations)

    def compute_output_spec(self, features, rotations):
        _check(features, self.irreps, rotations)
        leading = broadcast_shapes(features.shape[:-1], rotations.shape[:-2])
        return keras.KerasTensor((*leading, self.irreps.dim), features.dtype)

    def get_config(self):
        return {"name": self.name, "irreps": str(self.irreps)}


def _check(features, irreps, rotations):
    if features.shape[-1] != irreps.dim:
        raise ValueError(
            f"Features of {irreps} have {irreps.dim} components. Received the "
            f"shape {tuple(features.shape)}."
        )
    if tuple(rotations.shape[-2:]) != (3, 3):
        raise ValueError(
            "Rotations are (..., 3, 3) matrices. Received the shape "
            f"{tuple(rotations.shape)}."
        )


def _rotate(features, irreps, rotations):
    _check(features, irreps, rotations)
    lmax = max([irrep.l for _, irrep in irreps], default=0)
    matrices = rotation_matrices(rotations, lmax)
    sign = determinant(rotations)[..., None, None]
    rotated = []
    for (_, irrep), x in zip(irreps, split_terms(features, irreps)):
        # The matrices carry the parity (-1)^l already.
        y = matrices[irrep.l] @ x
        rotated.append(y if irrep.is_natural else y * sign)
    return join_terms(rotated, irreps)


def determinant(matrices):
    """Determinants of `(..., 3, 3)` matrices."""
    (a, b, c), (d, e, f), (g, h, i) = [
        [matrices[..., row, column] for column in range(3)] for row in range(3)
    ]
    return a * (e * i - f * h) - b * (d * i - f * g) + c * (d * h - e * g)
