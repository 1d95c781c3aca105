"""Lengths of edges."""

import keras

from keras_hamiltonian.layers.layer import Layer
from keras_hamiltonian.ops import backend


@keras.saving.register_keras_serializable(package="keras_hamiltonian")
class EdgeLengths(Layer):
    """Length of every edge.

    Call arguments:
        edge_vectors: `(N, M, 3)`, Å.

    Output shape: `(N, M)`, Å.

    Example:

    >>> tuple(EdgeLengths()(keras.ops.ones((4, 2, 3))).shape)
    (4, 2)
    """

    def call(self, edge_vectors):
        squared = backend.sum(edge_vectors * edge_vectors, axis=-1)
        return backend.sqrt(squared)

    def compute_output_shape(self, edge_vectors_shape):
        return tuple(edge_vectors_shape[:2])
