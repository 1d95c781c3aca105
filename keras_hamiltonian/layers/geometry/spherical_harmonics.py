"""Directions of edges as irreps."""

import keras

from keras_hamiltonian.irreps.irreps import Irrep
from keras_hamiltonian.irreps.irreps import Irreps
from keras_hamiltonian.layers.layer import Layer
from keras_hamiltonian.ops.spherical_harmonics import spherical_harmonics


@keras.saving.register_keras_serializable(package="keras_hamiltonian")
class SphericalHarmonics(Layer):
    """Spherical harmonics of vectors, the second factor of tensor products.

    Args:
        lmax: int. Largest degree.
        normalize: bool. Whether only the direction counts. Defaults to `True`.

    Input shape: `(..., 3)`, x, y, z.
    Output shape: `(..., (lmax+1)²)`, the irreps `irreps_out`, squares of each
        degree summing to 2l+1.

    Example:

    >>> layer = SphericalHarmonics(2)
    >>> str(layer.irreps_out), tuple(layer(keras.ops.ones((5, 8, 3))).shape)
    ('1x0e+1x1o+1x2e', (5, 8, 9))
    """

    def __init__(self, lmax, normalize=True, **kwargs):
        super().__init__(**kwargs)
        self.lmax = lmax
        self.normalize = normalize
        self.irreps_out = Irreps(
            [(1, Irrep(l, (-1) ** l)) for l in range(lmax + 1)]
        )

    def call(self, vectors):
        return spherical_harmonics(vectors, self.lmax, self.normalize)

    def compute_output_shape(self, vectors_shape):
        return (*vectors_shape[:-1], self.irreps_out.dim)
