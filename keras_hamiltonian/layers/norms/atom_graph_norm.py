"""Normalisation of atom features over all atoms of a structure."""

import keras

from keras_hamiltonian.irreps.irreps import Irrep
from keras_hamiltonian.layers.norms.equivariant_norm import EquivariantNorm
from keras_hamiltonian.layers.norms.structure_normalize import (
    structure_normalize,
)
from keras_hamiltonian.ops import backend
from keras_hamiltonian.ops.edges import join_channels
from keras_hamiltonian.ops.edges import split_channels


@keras.saving.register_keras_serializable(package="keras_hamiltonian")
class AtomGraphNorm(EquivariantNorm):
    """`EquivariantNorm` with one mean and one size for the whole structure.

    DeepH-E3's norm takes its statistics there. An atom then depends on all
    others, however far away.

    Args:
        irreps: str. Irreps of the features.
        epsilon: float. Added to mean squares.

    Call arguments:
        features: `(N, irreps.dim)`, `ir_mul` layout.
        structure: `(N,)` int, which structure an atom belongs to.

    Output shape: `(N, irreps.dim)`.

    Example:

    >>> layer = AtomGraphNorm("1x0e", epsilon=0.0)
    >>> atoms = keras.ops.convert_to_tensor([[1.0], [3.0], [7.0], [9.0]])
    >>> structure = keras.ops.convert_to_tensor([0, 0, 1, 1])
    >>> keras.ops.convert_to_numpy(layer(atoms, structure))[:, 0].tolist()
    [-1.0, 1.0, -1.0, 1.0]

    Reference: Gong et al., Nat. Commun. 14, 2848 (2023), and its code
    (e3LayerNorm), which also takes out the mean of every component of higher
    degree and does not divide those. Frames of edges have no such mean;
    atoms and edges are treated alike here.
    """

    def build(self, features_shape=None, structure_shape=None):
        super().build(features_shape)

    def call(self, features, structure):
        sizes = [mul * irrep.dim for mul, irrep in self.irreps_in]
        every = backend.ones_like(features[:, :1])
        pieces = []
        for (mul, irrep), scale, x in zip(
            self.irreps_in, self.scales, split_channels(features, sizes)
        ):
            is_scalar = irrep == Irrep(0, 1)
            x = backend.reshape(x, (-1, 1, irrep.dim, mul))
            x = structure_normalize(
                x, every, structure, self.epsilon, is_scalar
            )
            x = x * scale + self.bias if is_scalar else x * scale
            pieces.append(backend.reshape(x, (-1, irrep.dim * mul)))
        return join_channels(pieces)

    def compute_output_shape(self, features_shape):
        return tuple(features_shape)
