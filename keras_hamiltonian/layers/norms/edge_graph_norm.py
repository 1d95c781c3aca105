"""Normalisation of edge features over all edges of a structure."""

import keras

from keras_hamiltonian.layers.norms.edge_norm import EdgeNorm
from keras_hamiltonian.layers.norms.structure_normalize import (
    structure_normalize,
)


@keras.saving.register_keras_serializable(package="keras_hamiltonian")
class EdgeGraphNorm(EdgeNorm):
    """`EdgeNorm` with one mean and one size for the whole structure.

    Args:
        epsilon: float. Added to mean squares.

    Call arguments:
        edges: edge features.
        structure: `(N,)` int, which structure an atom belongs to.
        edge_mask: `(N, M)`, 1 for edges, 0 for padding.

    Output: edge features.

    Example:

    >>> layer = EdgeGraphNorm(epsilon=0.0)
    >>> x = keras.ops.reshape(keras.ops.array([1.0, 3.0]), (2, 1, 1, 1))
    >>> structure = keras.ops.array([0, 0])
    >>> normed = layer({"0+": x}, structure, keras.ops.ones((2, 1)))
    >>> keras.ops.convert_to_numpy(normed["0+"]).ravel().tolist()
    [-1.0, 1.0]

    Reference: see `AtomGraphNorm`.
    """

    def call(self, edges, structure, edge_mask):
        return {
            kind: structure_normalize(
                x, edge_mask, structure, self.epsilon, kind == "0+"
            )
            for kind, x in edges.items()
        }

    def compute_output_shape(self, edges_shape):
        return dict(edges_shape)
