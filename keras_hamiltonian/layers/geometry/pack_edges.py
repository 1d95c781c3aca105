"""Edge features as one tensor."""

import keras

from keras_hamiltonian.irreps.edge_irreps import EdgeIrreps
from keras_hamiltonian.layers.layer import Layer
from keras_hamiltonian.ops.packing import pack_edges


@keras.saving.register_keras_serializable(package="keras_hamiltonian")
class PackEdges(Layer):
    """Joins edge features of all kinds into one tensor.

    For data sets that keep the features of a stage.

    Args:
        irreps: str. `EdgeIrreps` of the features.

    Call arguments:
        edges: edge features (see `keras_hamiltonian.ops.edges`).

    Output shape: `(N, M, size)`, kind after kind, components outer, channels
        inner.

    Example:

    >>> layer = PackEdges("6x0+ + 2x1")
    >>> edges = {
    ...     "0+": keras.ops.zeros((3, 5, 1, 6)),
    ...     "1": keras.ops.zeros((3, 5, 2, 2)),
    ... }
    >>> tuple(layer(edges).shape)
    (3, 5, 10)
    """

    def __init__(self, irreps, **kwargs):
        super().__init__(**kwargs)
        self.irreps_in = EdgeIrreps(irreps)

    def call(self, edges):
        return pack_edges(edges, self.irreps_in)

    def compute_output_shape(self, edges_shape):
        leading = tuple(next(iter(edges_shape.values()))[:2])
        return (*leading, self.irreps_in.dim)
