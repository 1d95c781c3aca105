"""Frames of the edges of a crystal that has been rotated."""

import keras

from keras_hamiltonian.layers.layer import Layer
from keras_hamiltonian.ops import backend
from keras_hamiltonian.ops.crystal_axes import rotate_frames
from keras_hamiltonian.ops.wigner_d import rotation_matrices


@keras.saving.register_keras_serializable(package="keras_hamiltonian")
class RotatedFrames(Layer):
    """Wigner matrices of the frames after a rotation of the crystal.

    Outside training the crystal is not rotated, and nothing is computed.

    Call arguments:
        wigner: list of `(N, M, 2l+1, 2l+1)` tensors for l = 0..lmax.
        rotations: `(N, 3, 3)` from `RandomRotation`.

    Output: a dict of `"wigner"`, the list of Wigner matrices of the rotated
        edges, and `"rotation"`, the list of the `(N, 2l+1, 2l+1)` matrices of
        the rotation.

    Example:

    >>> wigner = [keras.ops.ones((2, 5, d, d)) for d in (1, 3)]
    >>> found = RotatedFrames()(wigner, keras.ops.ones((2, 3, 3)))
    >>> bool(keras.ops.all(found["wigner"][0] == wigner[0]))
    True
    """

    def call(self, wigner, rotations, training=None):
        if not training:
            size = backend.shape(rotations)[0]
            matrices = []
            for w in wigner:
                dim = w.shape[-1]
                identity = keras.ops.eye(dim, dtype=self.compute_dtype)
                shape = (size, dim, dim)
                matrices.append(backend.broadcast_to(identity, shape))
            return {"wigner": list(wigner), "rotation": matrices}
        matrices = rotation_matrices(rotations, len(wigner) - 1)
        return {"wigner": rotate_frames(wigner, matrices), "rotation": matrices}

    def compute_output_shape(self, wigner_shape, rotations_shape):
        return {
            "wigner": [tuple(shape) for shape in wigner_shape],
            "rotation": [
                (rotations_shape[0], *shape[2:]) for shape in wigner_shape
            ],
        }
