"""Mean over the neighbours of an atom, without attention."""

import keras

from keras_hamiltonian.layers.attention.neighbor_attention import (
    edges_and_neighbors,
)
from keras_hamiltonian.layers.layer import Layer
from keras_hamiltonian.ops import backend


@keras.saving.register_keras_serializable(package="keras_hamiltonian")
class NeighborMean(Layer):
    """Dense layer of the mean of [edge | neighbour], weighted by the envelope.

    Stands in for `NeighborAttention` with mixing weights that are stationary:
    they do not depend on the features.

    Call arguments and output: those of `NeighborAttention`.

    Example:

    >>> atoms, edges = keras.ops.ones((2, 8)), keras.ops.ones((2, 5, 8))
    >>> neighbors = keras.ops.zeros((2, 5), "int32")
    >>> ones = keras.ops.ones((2, 5))
    >>> tuple(NeighborMean()(atoms, edges, neighbors, ones, ones).shape)
    (2, 8)

    Reference: Yin et al., arXiv 2401.00744, ablation C.
    """

    def build(
        self,
        atoms_shape,
        edges_shape,
        neighbors_shape=None,
        envelope_shape=None,
        edge_mask_shape=None,
    ):
        size = atoms_shape[-1]
        self.kernel = self.add_weight(
            shape=(size + edges_shape[-1], size),
            initializer=keras.initializers.LecunNormal(),
            name="kernel",
        )

    def call(self, atoms, edges, neighbors, envelope, edge_mask):
        given = edges_and_neighbors(atoms, edges, neighbors)
        given = given * envelope[..., None]
        total = backend.sum(envelope, axis=1, keepdims=True) + 1e-6
        mean = backend.sum(given, axis=1) / total
        return backend.dense(mean, self.kernel.value)

    def compute_output_shape(self, atoms_shape):
        return tuple(atoms_shape)
