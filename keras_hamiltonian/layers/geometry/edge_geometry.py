"""Lengths, frames and Wigner matrices of all edges."""

import keras

from keras_hamiltonian.layers.layer import Layer
from keras_hamiltonian.ops import backend
from keras_hamiltonian.ops.wigner_d import edge_frames
from keras_hamiltonian.ops.wigner_d import wigner_d


@keras.saving.register_keras_serializable(package="keras_hamiltonian")
class EdgeGeometry(Layer):
    """What the other layers need to know about the edges, computed once.

    Args:
        lmax: int. Largest degree to be rotated, at least 1.

    Input shape: `(N, M, 3)`, edge vectors in Å.
    Output: a dict of `"lengths"` `(N, M)` in Å and `"wigner"`, the list of
        `(N, M, 2l+1, 2l+1)` tensors of `ops.wigner_d` for l = 0..lmax.
    Raises: `ValueError` if `lmax` is below 1.

    Example:

    >>> vectors = keras.ops.convert_to_tensor([[[3.0, 0.0, 4.0]]])
    >>> geometry = EdgeGeometry(lmax=2)(vectors)
    >>> float(geometry["lengths"][0, 0])
    5.0
    >>> [tuple(matrix.shape) for matrix in geometry["wigner"]]
    [(1, 1, 1, 1), (1, 1, 3, 3), (1, 1, 5, 5)]
    """

    def __init__(self, lmax, **kwargs):
        super().__init__(**kwargs)
        if lmax < 1:
            raise ValueError(f"`lmax` is at least 1. Received: {lmax}.")
        self.lmax = lmax

    def call(self, edge_vectors):
        squared = backend.sum(edge_vectors * edge_vectors, axis=-1)
        return {
            "lengths": backend.sqrt(squared),
            "wigner": wigner_d(edge_frames(edge_vectors), self.lmax),
        }

    def compute_output_shape(self, edge_vectors_shape):
        leading = tuple(edge_vectors_shape[:2])
        degrees = range(self.lmax + 1)
        return {
            "lengths": leading,
            "wigner": [(*leading, 2 * l + 1, 2 * l + 1) for l in degrees],
        }
