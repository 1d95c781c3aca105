"""Messages from neighbours, channel by channel."""

import functools

import keras
import numpy as np

from keras_hamiltonian.irreps.product_paths import ProductPaths
from keras_hamiltonian.ops import backend
from keras_hamiltonian.ops.edges import split_channels
from keras_hamiltonian.ops.symbolic import is_symbolic
from keras_hamiltonian.ops.tensor_product import check_size
from keras_hamiltonian.ops.tensor_product import join_terms
from keras_hamiltonian.ops.tensor_product import split_terms


def channelwise_convolution(
    features, harmonics, weights, neighbors, reverse_edge, paths, kernel=None
):
    """Channel-wise tensor product with each neighbour, weighted and summed.

    `out[n, k, u] = Σ_m weights[n, m, path, u] Σ_ij C[i, j, k]
    features[neighbors[n, m], i, u] harmonics[n, m, j]` for every path. The
    sum over neighbours and the couplings are one matrix product for each atom
    and path; no message of a single edge is ever stored.

    Args:
        features: `(N, dim1)` tensor, `ir_mul` layout.
        harmonics: `(N, M, dim2)` tensor, such as `spherical_harmonics` of the
            edge vectors.
        weights: `(N, M, num_weights)` tensor, zero at padding edges.
        neighbors: `(N, M)` int tensor. Row of the neighbour.
        reverse_edge: `(N, M)` int tensor. Flat position of the reverse edge,
            for the gradient.
        paths: `ProductPaths.channelwise`, all multiplicities of the second
            input 1.
        kernel: `None` for the fused kernel (Triton, CUDA) where it can run,
            `"fused"` to insist on it, `"reference"` to do without.

    Returns:
        `(N, dim_out)` tensor, one term for each path.

    Raises:
        ValueError: if shapes and irreps do not fit, or the kernel cannot run.

    Example:

    >>> paths = ProductPaths.channelwise("8x0e + 4x1o", "0e + 1o", "0e + 1o")
    >>> convolved = channelwise_convolution(
    ...     keras.ops.ones((2, 20)),
    ...     keras.ops.ones((2, 1, 4)),
    ...     keras.ops.ones((2, 1, paths.num_weights)),
    ...     neighbors=keras.ops.convert_to_tensor([[1], [0]]),
    ...     reverse_edge=keras.ops.convert_to_tensor([[1], [0]]),
    ...     paths=paths,
    ... )
    >>> str(paths.irreps_out), tuple(convolved.shape)
    ('8x0e+8x1o+4x1o+4x0e', (2, 48))

    Reference: `e3nn.o3.TensorProduct` with `"uvu"` instructions, and a sum
    over neighbours as in NequIP (Batzner et al. 2022).
    """
    tensors = features, harmonics, weights, neighbors, reverse_edge
    if is_symbolic(*tensors):
        return ChannelwiseConvolution(paths, kernel)(*tensors)
    return _convolve(*tensors, paths, kernel)


@keras.saving.register_keras_serializable(package="keras_hamiltonian.ops")
class ChannelwiseConvolution(keras.Operation):
    """`channelwise_convolution` as a node of a graph."""

    def __init__(self, paths, kernel=None, name=None):
        super().__init__(name=name)
        self.paths = paths
        self.kernel = kernel

    def call(self, features, harmonics, weights, neighbors, reverse_edge):
        tensors = features, harmonics, weights, neighbors, reverse_edge
        return _convolve(*tensors, self.paths, self.kernel)

    def compute_output_spec(
        self, features, harmonics, weights, neighbors, reverse_edge
    ):
        _check(features, harmonics, weights, self.paths)
        shape = (features.shape[0], self.paths.irreps_out.dim)
        return keras.KerasTensor(shape, features.dtype)

    def get_config(self):
        return {
            "name": self.name,
            "paths": self.paths.as_dict(),
            "kernel": self.kernel,
        }

    @classmethod
    def from_config(cls, config):
        paths = ProductPaths.from_dict(config.pop("paths"))
        return cls(paths, **config)


def _check(features, harmonics, weights, paths):
    if not all(path.is_channelwise for path in paths.paths) or any(
        mul != 1 for mul, _ in paths.irreps_in2
    ):
        raise ValueError(
            "`paths` are channel-wise, with multiplicity 1 in the second "
            f"input. Received: irreps_in2={paths.irreps_in2}. Make them by "
            "`ProductPaths.channelwise`, or use `tensor_product`."
        )
    check_size(features, paths.irreps_in1.dim, "features", paths.irreps_in1)
    check_size(harmonics, paths.irreps_in2.dim, "harmonics", paths.irreps_in2)
    check_size(weights, paths.num_weights, "weights", "those of the paths")


def _convolve(
    features, harmonics, weights, neighbors, reverse_edge, paths, kernel
):
    _check(features, harmonics, weights, paths)
    tensors = features, harmonics, weights
    fused = backend.fused_kernel("channelwise_convolution", kernel, *tensors)
    if fused is not None:
        return fused(*tensors, neighbors, reverse_edge, paths)
    if not paths.paths:
        return features[:, :0]
    num_atoms, num_neighbors = backend.shape(neighbors)[:2]
    gathered = backend.take(features, neighbors, axis=0)
    terms = split_terms(gathered, paths.irreps_in1)
    sizes = [path.num_weights for path in paths.paths]
    matrices = {}
    results = []
    for path, w in zip(paths.paths, split_channels(weights, sizes)):
        x = terms[path.term1]
        dim1, mul = x.shape[-2:]
        dim = paths.irreps_out[path.term_out][1].dim
        # Equal for terms of equal degree.
        key = path.term2, dim1, dim, path.coefficient
        if key not in matrices:
            constant = backend.constant(_constant(paths, path), x)
            y = backend.dense(harmonics, constant)
            shape = (num_atoms, num_neighbors * dim1, dim)
            matrices[key] = backend.swapaxes(backend.reshape(y, shape), 1, 2)
        x = x * w[:, :, None]
        x = backend.reshape(x, (num_atoms, num_neighbors * dim1, mul))
        results.append(matrices[key] @ x)
    return join_terms(results, paths.irreps_out)


@functools.cache
def _constant(paths, path):
    """Couplings of a path, `(dim2, (2 l1 + 1) (2 l3 + 1))`.

    With rows for all harmonics, most of them zero, the gradient by the
    harmonics is a matrix product; put together from pieces, XLA of jaxlib
    0.10.2 miscompiles it on CPUs in float64.
    """
    coupling = np.swapaxes(paths.coupling(path), 0, 1)
    constant = np.zeros((paths.irreps_in2.dim, coupling[0].size))
    where = paths.irreps_in2.slices()[path.term2]
    constant[where] = coupling.reshape(len(coupling), -1)
    return constant
