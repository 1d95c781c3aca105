"""Messages from neighbours by tensor products channel by channel."""

import keras

from keras_hamiltonian.irreps.irreps import Irreps
from keras_hamiltonian.irreps.product_paths import ProductPaths
from keras_hamiltonian.layers.layer import Layer
from keras_hamiltonian.layers.linear.equivariant_linear import EquivariantLinear
from keras_hamiltonian.ops.channelwise_convolution import (
    channelwise_convolution,
)


@keras.saving.register_keras_serializable(package="keras_hamiltonian")
class ChannelwiseConvolution(Layer):
    """Convolution in which the edge's length weighs every path and channel.

    Each channel of a neighbour is coupled with the spherical harmonics of the
    edge along every path that leads to `irreps_out`; weights that a network of
    your own makes from the edge's length multiply the result, neighbours are
    summed, and a linear map mixes what came out. For many channels of low
    degree; where the degree is high and channels are few, `SO2Convolution`
    costs less.

    Args:
        irreps_in: str. Irreps of the atoms.
        irreps_harmonics: str. Irreps of the harmonics, each once.
        irreps_out: str. Irreps of the result, each term of a kind of its own.
        num_neighbors: float. Typical number of neighbours; sums are divided by
            its root.

    Call arguments:
        features: `(N, irreps_in.dim)`, `ir_mul` layout.
        harmonics: `(N, M, irreps_harmonics.dim)` from `SphericalHarmonics`.
        weights: `(N, M, num_weights)`, for example a dense layer of radial
            features; `num_weights` is an attribute. Zero at padding edges.
        neighbors: `(N, M)` int.
        reverse_edge: `(N, M)` int.

    Output shape: `(N, irreps_out.dim)`.
    Raises: `ValueError` if an output irrep is on no path.

    Example:

    >>> layer = ChannelwiseConvolution("8x0e + 4x1o", "0e + 1o", "4x0e + 4x1o")
    >>> layer.num_weights
    24
    >>> edge = keras.ops.convert_to_tensor([[1], [0]])  # two atoms, one edge
    >>> out = layer(
    ...     keras.ops.ones((2, 20)),
    ...     keras.ops.ones((2, 1, 4)),
    ...     keras.ops.ones((2, 1, 24)),
    ...     edge,
    ...     edge,
    ... )
    >>> tuple(out.shape)
    (2, 16)

    Reference: NequIP, Batzner et al. 2022.
    """

    def __init__(
        self,
        irreps_in,
        irreps_harmonics,
        irreps_out,
        num_neighbors=20.0,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.irreps_out = Irreps(irreps_out)
        self.num_neighbors = num_neighbors
        self.paths = ProductPaths.channelwise(
            irreps_in, irreps_harmonics, irreps_out
        )
        self.num_weights = self.paths.num_weights
        self.linear = EquivariantLinear(
            self.paths.irreps_out,
            self.irreps_out,
            use_bias=False,
            dtype=self.dtype_policy,
            name="linear",
        )

    def build(self, *shapes):
        self.linear.build()

    def call(self, features, harmonics, weights, neighbors, reverse_edge):
        sums = channelwise_convolution(
            features, harmonics, weights, neighbors, reverse_edge, self.paths
        )
        return self.linear.call(sums) * self.num_neighbors**-0.5

    def compute_output_shape(self, features_shape):
        return (features_shape[0], self.irreps_out.dim)
