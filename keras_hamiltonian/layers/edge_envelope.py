"""How an edge fades out at the reach of its orbitals."""

import keras
import numpy as np

from keras_hamiltonian.layers.species_pairs import pair_index
from keras_hamiltonian.ops import backend


@keras.saving.register_keras_serializable(package="keras_hamiltonian")
class EdgeEnvelope(keras.layers.Layer):
    """Distance relative to the reach of the pair, and a smooth cut-off.

    Args:
        reaches: list of float. Reach of each element's orbitals in Å, in the
            order of the basis; a pair reaches the sum of both.
        num_neighbors: float. Typical number of neighbours; weights are divided
            by its root.

    Call arguments:
        lengths: `(N, M)`, Å.
        species: `(N,)` int.
        neighbors: `(N, M)` int.
        edge_mask: `(N, M)`.
        wigner: list of tensors from `EdgeGeometry`, l = 1..lmax; may be left
            out.

    Output: a dict of `"relative"` `(N, M)`, the length over the pair's reach,
        and `"weighted_wigner"`, the list of Wigner matrices for l = 0..lmax
        times the weight of the edge in sums over neighbours: inside the reach
        `(1 - relative²)³`, outside and at padding zero, so that two
        derivatives are continuous.

    Example:

    >>> layer = EdgeEnvelope(reaches=[2.0, 3.0])
    >>> envelope = layer(
    ...     lengths=keras.ops.convert_to_tensor([[2.5], [2.5]]),
    ...     species=keras.ops.convert_to_tensor([0, 1]),
    ...     neighbors=keras.ops.convert_to_tensor([[1], [0]]),
    ...     edge_mask=keras.ops.ones((2, 1)),
    ...     wigner=[keras.ops.ones((2, 1, 3, 3))],
    ... )
    >>> float(envelope["relative"][0, 0])
    0.5
    """

    def __init__(self, reaches, num_neighbors=20.0, **kwargs):
        super().__init__(**kwargs)
        self.reaches = [float(r) for r in reaches]
        self.num_neighbors = num_neighbors

    def build(
        self,
        lengths_shape=None,
        species_shape=None,
        neighbors_shape=None,
        edge_mask_shape=None,
        wigner_shape=None,
    ):
        self.built = True

    def call(self, lengths, species, neighbors, edge_mask, wigner=()):
        number = len(self.reaches)
        reach = np.add.outer(self.reaches, self.reaches).ravel()
        reach = backend.constant(reach, lengths)
        pairs = pair_index(species, neighbors, number)
        relative = lengths / backend.take(reach, pairs, axis=0)
        inside = backend.relu(1 - relative * relative)
        weight = inside * inside * inside * edge_mask
        weight = weight[..., None, None] * self.num_neighbors**-0.5
        return {
            "relative": relative,
            "weighted_wigner": [weight, *(w * weight for w in wigner)],
        }

    def compute_output_shape(
        self,
        lengths_shape,
        species_shape,
        neighbors_shape,
        edge_mask_shape,
        wigner_shape=(),
    ):
        shape = tuple(lengths_shape)
        return {
            "relative": shape,
            "weighted_wigner": [(*shape, 1, 1), *map(tuple, wigner_shape)],
        }

    def get_config(self):
        return {
            **super().get_config(),
            "reaches": self.reaches,
            "num_neighbors": self.num_neighbors,
        }
