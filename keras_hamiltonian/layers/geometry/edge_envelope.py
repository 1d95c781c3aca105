"""How an edge vanishes at the reach of its orbitals."""

import keras
import numpy as np

from keras_hamiltonian.layers.geometry.species_pairs import pair_index
from keras_hamiltonian.layers.layer import Layer
from keras_hamiltonian.ops import backend


@keras.saving.register_keras_serializable(package="keras_hamiltonian")
class EdgeEnvelope(Layer):
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
        wigner: list of tensors from `EdgeGeometry`; may be left out.

    Output: a dict of `"relative"` `(N, M)`, the length over the pair's reach;
        `"envelope"` `(N, M)`, inside the reach `(1 - relative²)³`, outside and
        at padding zero, so that two derivatives are continuous; and
        `"weighted_wigner"`, the list of Wigner matrices times the weight of
        the edge in sums over neighbours, the envelope over the root of
        `num_neighbors`.

    Example:

    >>> layer = EdgeEnvelope(reaches=[2.0, 3.0])
    >>> found = layer(
    ...     lengths=keras.ops.convert_to_tensor([[2.5], [2.5]]),
    ...     species=keras.ops.convert_to_tensor([0, 1]),
    ...     neighbors=keras.ops.convert_to_tensor([[1], [0]]),
    ...     edge_mask=keras.ops.ones((2, 1)),
    ... )
    >>> float(found["relative"][0, 0]), float(found["envelope"][0, 0])
    (0.5, 0.421875)
    """

    def __init__(self, reaches, num_neighbors=20.0, **kwargs):
        super().__init__(**kwargs)
        self.reaches = [float(r) for r in reaches]
        self.num_neighbors = num_neighbors

    def call(self, lengths, species, neighbors, edge_mask, wigner=()):
        number = len(self.reaches)
        reach = np.add.outer(self.reaches, self.reaches).ravel()
        reach = backend.constant(reach, lengths)
        pairs = pair_index(species, neighbors, number)
        relative = lengths / backend.take(reach, pairs, axis=0)
        inside = backend.relu(1 - relative * relative)
        envelope = inside * inside * inside * edge_mask
        return {
            "relative": relative,
            "envelope": envelope,
            "weighted_wigner": self.weighted(envelope, wigner),
        }

    def weighted(self, envelope, wigner):
        """Wigner matrices times the weights of the edges."""
        weight = envelope[..., None, None] * self.num_neighbors**-0.5
        return [weight if w.shape[-1] == 1 else w * weight for w in wigner]

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
            "envelope": shape,
            "weighted_wigner": [tuple(w) for w in wigner_shape],
        }
