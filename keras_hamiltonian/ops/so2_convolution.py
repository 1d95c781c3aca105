"""Messages from neighbours by way of the frame of each edge."""

import keras

from keras_hamiltonian.irreps.irreps import Irreps
from keras_hamiltonian.irreps.so2_coupling import terms_of_kinds
from keras_hamiltonian.ops import backend
from keras_hamiltonian.ops.crystal_axes import axes_to_edges
from keras_hamiltonian.ops.edges import reverse_edges
from keras_hamiltonian.ops.edges import rotate_into_edges
from keras_hamiltonian.ops.edges import split_channels
from keras_hamiltonian.ops.edges import sum_over_edges
from keras_hamiltonian.ops.so2_kernels import kernel_shapes
from keras_hamiltonian.ops.so2_linear import so2_linear
from keras_hamiltonian.ops.symbolic import is_symbolic
from keras_hamiltonian.ops.tensor_product import check_size


def so2_convolution(
    features,
    wigner,
    kernels,
    neighbors,
    irreps_in,
    irreps_out,
    weights=None,
    reverse_edge=None,
    kernel=None,
):
    """Fully connected product with each neighbour, weighted and summed.

    Features of the neighbours are rotated into the frame of the edge, their
    channels mixed kind by kind, multiplied by weights of the edge, rotated back
    and summed. With the kernels of `so2_kernels` this is the fully connected
    tensor product with the spherical harmonics of the edges, at O(L³) instead
    of O(L⁶).

    Args:
        features: `(N, irreps_in.dim)` tensor, `ir_mul` layout.
        wigner: list of `(N, M, 2l+1, 2l+1)` tensors for l = 0.. to the largest
            degree of both irreps: `wigner_d` of the edge frames.
        kernels: dict from kind to `(channels in, channels out)` tensors, from
            `so2_kernels` or weights in their own right.
        neighbors: `(N, M)` int tensor. Row of the neighbour.
        irreps_in, irreps_out: str or `Irreps`.
        weights: `(N, M, irreps_out.num_irreps)` tensor, one number for each
            channel, zero at padding edges. Default: ones, no padding.
        reverse_edge: `(N, M)` int tensor. Flat position of the reverse edge.
            If given, features are rotated where they are and then exchanged,
            which is faster; the frames must then be those of `edge_frames`.
        kernel: `None` for the fused rotations (Triton, CUDA) where they can
            run, `"fused"` to insist on them, `"reference"` to do without.

    Returns:
        `(N, irreps_out.dim)` tensor.

    Raises:
        ValueError: if shapes and irreps do not fit, or the kernel cannot run.

    Example:

    >>> from keras_hamiltonian.ops.wigner_d import edge_frames, wigner_d
    >>> vectors = keras.ops.convert_to_tensor([[[0, 0, 1.0]], [[0, 0, -1.0]]])
    >>> convolved = so2_convolution(
    ...     keras.ops.ones((2, 3)),
    ...     wigner_d(edge_frames(vectors), lmax=1),
    ...     {"0+": keras.ops.ones((1, 2)), "1": keras.ops.ones((1, 2))},
    ...     neighbors=keras.ops.convert_to_tensor([[1], [0]]),
    ...     irreps_in="1x1o",
    ...     irreps_out="2x1o",
    ... )
    >>> tuple(convolved.shape)
    (2, 6)

    Reference: eSCN, Passaro & Zitnick 2023.
    """
    tensors = features, wigner, kernels, neighbors, weights, reverse_edge
    if is_symbolic(*tensors):
        return SO2Convolution(irreps_in, irreps_out, kernel)(*tensors)
    irreps = Irreps(irreps_in), Irreps(irreps_out)
    return _convolve(*tensors, *irreps, kernel)


@keras.saving.register_keras_serializable(package="keras_hamiltonian.ops")
class SO2Convolution(keras.Operation):
    """`so2_convolution` as a node of a graph."""

    def __init__(self, irreps_in, irreps_out, kernel=None, name=None):
        super().__init__(name=name)
        self.irreps_in = Irreps(irreps_in)
        self.irreps_out = Irreps(irreps_out)
        self.kernel = kernel

    def call(
        self,
        features,
        wigner,
        kernels,
        neighbors,
        weights=None,
        reverse_edge=None,
    ):
        tensors = features, wigner, kernels, neighbors, weights, reverse_edge
        irreps = self.irreps_in, self.irreps_out
        return _convolve(*tensors, *irreps, self.kernel)

    def compute_output_spec(
        self,
        features,
        wigner,
        kernels,
        neighbors,
        weights=None,
        reverse_edge=None,
    ):
        irreps = self.irreps_in, self.irreps_out
        _check(features, wigner, kernels, weights, *irreps)
        shape = (features.shape[0], self.irreps_out.dim)
        return keras.KerasTensor(shape, features.dtype)

    def get_config(self):
        return {
            "name": self.name,
            "irreps_in": str(self.irreps_in),
            "irreps_out": str(self.irreps_out),
            "kernel": self.kernel,
        }


def _check(features, wigner, kernels, weights, irreps_in, irreps_out):
    check_size(features, irreps_in.dim, "features", irreps_in)
    lmax = max(irreps_in.lmax, irreps_out.lmax)
    if len(wigner) <= lmax:
        raise ValueError(
            f"Wigner matrices are needed for l = 0..{lmax}, the degrees of "
            f"{irreps_in} and {irreps_out}. Received: {len(wigner)} of them."
        )
    expected = kernel_shapes(irreps_in, irreps_out)
    received = {kind: tuple(k.shape) for kind, k in kernels.items()}
    if received != expected:
        raise ValueError(
            f"Kernels from {irreps_in} to {irreps_out} have the shapes "
            f"{expected}. Received: {received}."
        )
    if weights is not None:
        what = f"one for each channel of {irreps_out}"
        check_size(weights, irreps_out.num_irreps, "weights", what)


def _convolve(
    features,
    wigner,
    kernels,
    neighbors,
    weights,
    reverse_edge,
    irreps_in,
    irreps_out,
    kernel,
):
    _check(features, wigner, kernels, weights, irreps_in, irreps_out)
    if reverse_edge is None:
        gathered = backend.take(features, neighbors, axis=0)
        edges = axes_to_edges(gathered, irreps_in, wigner, kernel)
    elif backend.fused_kernel("rotate_into_edges", kernel, features, *wigner):
        edges = rotate_into_edges(
            features, irreps_in, wigner, neighbors, reverse_edge, kernel
        )
    else:
        edges = rotate_into_edges(features, irreps_in, wigner, kernel=kernel)
        edges = reverse_edges(edges, irreps_in, reverse_edge)
    edges = so2_linear([edges], {kind: [k] for kind, k in kernels.items()})
    if weights is not None:
        sizes = [mul for mul, _ in irreps_out]
        terms = split_channels(weights[:, :, None], sizes)
        edges = {
            kind: x
            * backend.concatenate(
                [terms[k] for k in terms_of_kinds(irreps_out)[kind]], axis=-1
            )
            for kind, x in edges.items()
        }
    return sum_over_edges(edges, irreps_out, wigner, kernel)
