"""Layer norm and a dense layer."""

import keras

from keras_hamiltonian.layers.layer import Layer
from keras_hamiltonian.ops import backend


@keras.saving.register_keras_serializable(package="keras_hamiltonian")
class NormedDense(Layer):
    """A dense layer of vectors normalised over their components.

    Scale and shift of the norm are part of the dense layer. In contrast to
    `keras.layers.Dense`, float64 stays float64 on torch.

    Args:
        units: int. Size of the output.
        activation: str or `None`. `"silu"`, or none.

    Call arguments:
        x: `(..., size)`.

    Output shape: `(..., units)`.

    Example:

    >>> layer = NormedDense(3, "silu")
    >>> tuple(layer(keras.ops.ones((5, 2, 4))).shape)
    (5, 2, 3)
    """

    def __init__(self, units, activation=None, **kwargs):
        super().__init__(**kwargs)
        if activation not in (None, "silu"):
            raise ValueError(
                '`activation` is "silu" or None. Received: '
                f"activation={activation!r}."
            )
        self.units = units
        self.activation = activation

    def build(self, x_shape):
        self.kernel = self.add_weight(
            shape=(x_shape[-1], self.units),
            initializer=keras.initializers.LecunNormal(),
            name="kernel",
        )
        self.bias = self.add_weight(
            shape=(self.units,), initializer="zeros", name="bias"
        )

    def call(self, x):
        x = backend.layer_normalize(x, 1e-5)
        x = backend.dense(x, self.kernel.value) + self.bias.value
        return backend.silu(x) if self.activation else x

    def compute_output_shape(self, x_shape):
        return (*x_shape[:-1], self.units)
