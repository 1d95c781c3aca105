"""Two linear maps of irreps with a gate in between."""

import keras

from keras_hamiltonian.irreps.irreps import Irreps
from keras_hamiltonian.layers.layer import Layer
from keras_hamiltonian.layers.linear.equivariant_linear import EquivariantLinear
from keras_hamiltonian.layers.linear.gate import Gate


@keras.saving.register_keras_serializable(package="keras_hamiltonian")
class FeedForward(Layer):
    """The feed-forward network of a Transformer, for irreps.

    A linear map makes more channels, a `Gate` acts on them, and a second
    linear map returns to the irreps of the input.

    Args:
        irreps: str. Input and output irreps, `0e` among them.
        expansion: int. Channels in between, relative to those of the input.

    Call arguments:
        features: `(N, irreps.dim)`, `ir_mul` layout.

    Output shape: `(N, irreps.dim)`.
    Raises: `ValueError` without `0e`, which the gates are made of.

    Example:

    >>> layer = FeedForward("8x0e + 4x1o")
    >>> tuple(layer(keras.ops.ones((5, 20))).shape)
    (5, 20)

    Reference: Liao & Smidt, arXiv 2206.11990.
    """

    def __init__(self, irreps, expansion=2, **kwargs):
        super().__init__(**kwargs)
        self.irreps_in = self.irreps_out = Irreps(irreps)
        hidden = [(expansion * mul, irrep) for mul, irrep in self.irreps_in]
        own = {"dtype": self.dtype_policy}
        self.gate = Gate(str(Irreps(hidden)), name="gate", **own)
        self.first = EquivariantLinear(
            irreps, str(self.gate.irreps_in), name="first", **own
        )
        self.second = EquivariantLinear(
            str(self.gate.irreps_out), irreps, name="second", **own
        )

    def build(self, *shapes):
        for layer in (self.first, self.gate, self.second):
            layer.build()

    def call(self, features):
        return self.second.call(self.gate.call(self.first.call(features)))

    def compute_output_shape(self, features_shape):
        return tuple(features_shape)
