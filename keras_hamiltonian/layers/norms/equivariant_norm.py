"""Normalisation of irreps, atom by atom."""

import keras

from keras_hamiltonian.irreps.irreps import Irrep
from keras_hamiltonian.irreps.irreps import Irreps
from keras_hamiltonian.layers.layer import Layer
from keras_hamiltonian.ops import backend
from keras_hamiltonian.ops.edges import join_channels
from keras_hamiltonian.ops.edges import split_channels


@keras.saving.register_keras_serializable(package="keras_hamiltonian")
class EquivariantNorm(Layer):
    """Gives every irrep of every atom unit size, with a learned scale.

    Scalars (`0e`) are layer-normalised over channels; every other term is
    divided by its root mean square over channels and components. Statistics
    are those of one atom, so that a prediction stays local.

    Args:
        irreps: str. Input and output irreps.
        epsilon: float. Added to the mean square. Terms much smaller than its
            root stay small, so that what vanishes by symmetry, rounding noise,
            is not blown up (see `EdgeNorm`).

    Input and output shape: `(N, irreps.dim)`, `ir_mul` layout.

    Example:

    >>> layer = EquivariantNorm("4x0e + 2x1o")
    >>> tuple(layer(keras.ops.ones((3, 10))).shape)
    (3, 10)
    """

    def __init__(self, irreps, epsilon=0.1, **kwargs):
        super().__init__(**kwargs)
        self.irreps_in = self.irreps_out = Irreps(irreps)
        self.epsilon = epsilon

    def build(self, *shapes):
        self.scales = [
            self.add_weight(
                shape=(mul,), initializer="ones", name=f"scale_{irrep}"
            )
            for mul, irrep in self.irreps_in
        ]
        self.bias = self.add_weight(
            shape=(self.irreps_in.count("0e"),),
            initializer="zeros",
            name="bias",
        )

    def call(self, features):
        sizes = [mul * irrep.dim for mul, irrep in self.irreps_in]
        pieces = []
        for (mul, irrep), scale, x in zip(
            self.irreps_in, self.scales, split_channels(features, sizes)
        ):
            if irrep == Irrep(0, 1):
                y = backend.layer_normalize(x, self.epsilon)
                y = y * scale + self.bias
            else:
                y = backend.rms_normalize(x, self.epsilon, num_axes=1)
                y = backend.reshape(y, (-1, irrep.dim, mul)) * scale
                y = backend.reshape(y, (-1, irrep.dim * mul))
            pieces.append(y)
        return join_channels(pieces)

    def compute_output_shape(self, features_shape):
        return tuple(features_shape)
