"""Vectors of irreps from numbers without symmetry, and from features."""

import keras

from keras_hamiltonian.irreps.irreps import Irreps
from keras_hamiltonian.layers.layer import Layer
from keras_hamiltonian.layers.normal import Normal
from keras_hamiltonian.ops import backend


@keras.saving.register_keras_serializable(package="keras_hamiltonian")
class VectorHead(Layer):
    """Dense layer to the components of irreps, beside gated features.

        y = Dense(LN(x)) + Dense(f * Dense(LN(x)))

    f are the components of the first stage's features. A narrow x has no room
    for all components of a covariant vector; f brings them along, and x
    decides how much of each. The last dense layer starts as a covariant map,
    which mixes components of equal degree, parity and order, and is free to
    leave it. Without features the second term is left out.

    Args:
        irreps_out: str. What the components are.
        irreps_in: str. What the features are; empty without features.

    Call arguments:
        x: `(..., size)`.
        features: `(..., irreps_in.dim)` from `CrystalFeatures`.

    Output shape: `(..., irreps_out.dim)`, `ir_mul` layout.

    Example:

    >>> layer = VectorHead("2x0e + 1x1o", "3x0e + 2x1o")
    >>> tuple(layer(keras.ops.ones((4, 8)), keras.ops.ones((4, 9))).shape)
    (4, 5)
    """

    def __init__(self, irreps_out, irreps_in="", **kwargs):
        super().__init__(**kwargs)
        self.irreps_out = Irreps(irreps_out)
        self.irreps_in = Irreps(irreps_in)

    def build(self, x_shape, features_shape=None):
        size, units = x_shape[-1], self.irreps_out.dim
        given = self.irreps_in.dim
        self.kernel = self.add_weight(
            shape=(size, units),
            initializer=keras.initializers.LecunNormal(),
            name="kernel",
        )
        self.bias = self.add_weight(
            shape=(units,), initializer="zeros", name="bias"
        )
        if given:
            # Gates differ from one by half of it.
            self.gate = self.add_weight(
                shape=(size, given),
                initializer=Normal(stddev=0.5 * size**-0.5),
                name="gate",
            )
            self.gate_bias = self.add_weight(
                shape=(given,), initializer="ones", name="gate_bias"
            )
            self.feature_kernel = self.add_weight(
                shape=(given, units),
                initializer=self._covariant,
                name="feature_kernel",
            )

    def call(self, x, features=None):
        x = backend.layer_normalize(x, 1e-5)
        y = backend.dense(x, self.kernel.value) + self.bias.value
        if not self.irreps_in:
            return y
        gate = backend.dense(x, self.gate.value) + self.gate_bias.value
        return y + backend.dense(features * gate, self.feature_kernel.value)

    def compute_output_shape(self, x_shape):
        return (*x_shape[:-1], self.irreps_out.dim)

    def _covariant(self, shape, dtype=None):
        columns = []
        for number, irrep in self.irreps_out:
            rows = []
            for mul, other in self.irreps_in:
                size = (irrep.dim * number, other.dim * mul)
                if other != irrep:
                    rows.append(keras.ops.zeros(size, dtype=dtype))
                    continue
                draw = Normal(stddev=self.irreps_in.count(irrep) ** -0.5)
                mixing = draw((number, mul), dtype)
                identity = keras.ops.eye(irrep.dim, dtype=dtype)
                block = identity[:, None, :, None] * mixing[None, :, None]
                rows.append(keras.ops.reshape(block, size))
            columns.append(keras.ops.concatenate(rows, axis=1))
        kernel = keras.ops.concatenate(columns, axis=0)
        return keras.ops.transpose(kernel)
