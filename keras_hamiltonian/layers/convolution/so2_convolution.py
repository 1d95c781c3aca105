"""Messages from neighbours by way of the frame of each edge."""

import keras

from keras_hamiltonian.irreps.irreps import Irreps
from keras_hamiltonian.layers.layer import Layer
from keras_hamiltonian.layers.linear.so2_linear import SO2Linear
from keras_hamiltonian.ops.so2_convolution import so2_convolution
from keras_hamiltonian.ops.so2_kernels import kernel_shapes


@keras.saving.register_keras_serializable(package="keras_hamiltonian")
class SO2Convolution(Layer):
    """Convolution that mixes all channels along all paths at once.

    The fully connected tensor product with all spherical harmonics of the
    edge, computed in the edge's frame; weights that a network of your own
    makes from the edge's length multiply each channel before neighbours are
    summed. `EquivariantConvolution` adds gates and features of edges.

    Args:
        irreps_in: str. Irreps of the atoms.
        irreps_out: str. Irreps of the result.
        num_neighbors: float. Typical number of neighbours; sums are divided by
            its root.

    Call arguments:
        features: `(N, irreps_in.dim)`, `ir_mul` layout.
        wigner: list of tensors from `EdgeGeometry`, to the largest degree of
            both irreps.
        weights: `(N, M, irreps_out.num_irreps)`, zero at padding edges.
        neighbors: `(N, M)` int.
        reverse_edge: `(N, M)` int.

    Output shape: `(N, irreps_out.dim)`.
    Raises: `ValueError` if input and output have no kind in common.

    Example:

    >>> from keras_hamiltonian.layers.geometry.edge_geometry import EdgeGeometry
    >>> vectors = keras.ops.convert_to_tensor([[[0, 0, 1.0]], [[0, 0, -1.0]]])
    >>> edge = keras.ops.convert_to_tensor([[1], [0]])  # two atoms, one edge
    >>> layer = SO2Convolution("8x0e + 4x1o", "4x0e + 2x2e")
    >>> out = layer(
    ...     keras.ops.ones((2, 20)),
    ...     EdgeGeometry(lmax=2)(vectors)["wigner"],
    ...     keras.ops.ones((2, 1, 6)),
    ...     edge,
    ...     edge,
    ... )
    >>> tuple(out.shape)
    (2, 14)

    Reference: eSCN, Passaro & Zitnick 2023.
    """

    def __init__(self, irreps_in, irreps_out, num_neighbors=20.0, **kwargs):
        super().__init__(**kwargs)
        self.irreps_in = Irreps(irreps_in)
        self.irreps_out = Irreps(irreps_out)
        self.num_neighbors = num_neighbors
        shapes = kernel_shapes(self.irreps_in, self.irreps_out)
        if not shapes:
            raise ValueError(
                "Input and output have no component in common that the frame "
                f"of an edge would let pass. Received: irreps_in={irreps_in}, "
                f"irreps_out={irreps_out}."
            )
        self.linear = SO2Linear(
            [{kind: shape[0] for kind, shape in shapes.items()}],
            {kind: shape[1] for kind, shape in shapes.items()},
            use_bias=False,
            dtype=self.dtype_policy,
            name="linear",
        )

    def build(self, *shapes):
        self.linear.build()

    def call(self, features, wigner, weights, neighbors, reverse_edge):
        kernels = {kind: k[0] for kind, k in self.linear.kernels().items()}
        sums = so2_convolution(
            features,
            wigner,
            kernels,
            neighbors,
            self.irreps_in,
            self.irreps_out,
            weights,
            reverse_edge,
        )
        return sums * self.num_neighbors**-0.5

    def compute_output_shape(self, features_shape):
        return (features_shape[0], self.irreps_out.dim)
