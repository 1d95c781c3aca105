"""First features of edges that know their direction."""

import keras

from keras_hamiltonian.layers.layer import Layer
from keras_hamiltonian.ops import backend
from keras_hamiltonian.ops.edges import join_channels


@keras.saving.register_keras_serializable(package="keras_hamiltonian")
class DirectedEdges(Layer):
    """Dense layer of radial features and spherical harmonics of the edge.

    Without the harmonics a network that takes no covariant features could not
    tell one direction from another. They are the first rows of the Wigner
    matrices, already rotated.

    Args:
        units: int. Size of the output.

    Call arguments:
        radial: `(N, M, size)` from `RadialFeatures`.
        wigner: list of `(N, M, 2l+1, 2l+1)` tensors from `RotatedFrames`.

    Output shape: `(N, M, units)`.

    Example:

    >>> wigner = [keras.ops.ones((2, 5, d, d)) for d in (1, 3)]
    >>> tuple(DirectedEdges(4)(keras.ops.ones((2, 5, 8)), wigner).shape)
    (2, 5, 4)
    """

    def __init__(self, units, **kwargs):
        super().__init__(**kwargs)
        self.units = units

    def build(self, radial_shape, wigner_shape):
        size = radial_shape[-1] + sum(shape[-1] for shape in wigner_shape[1:])
        self.kernel = self.add_weight(
            shape=(size, self.units),
            initializer=keras.initializers.LecunNormal(),
            name="kernel",
        )
        self.bias = self.add_weight(
            shape=(self.units,), initializer="zeros", name="bias"
        )

    def call(self, radial, wigner):
        # Mean square one, as the radial features have.
        harmonics = [w.shape[-1] ** 0.5 * w[:, :, 0] for w in wigner[1:]]
        x = join_channels([radial, *harmonics])
        return backend.dense(x, self.kernel.value) + self.bias.value

    def compute_output_shape(self, radial_shape):
        return (*radial_shape[:-1], self.units)
