"""Linear maps of edge features."""

import keras

from keras_hamiltonian.irreps.edge import edge_dim
from keras_hamiltonian.ops import backend
from keras_hamiltonian.ops.symbolic import is_symbolic


def so2_linear(inputs, kernels, bias=None):
    """Mixes the channels of each kind: all that the edge's symmetry allows.

    For pairs the same matrix acts on both partners; with the partner order of
    unnatural parity (see `frame_rows`) this holds between all parities. It is
    the tensor product with the spherical harmonics of the edge, up to a change
    of parameters.

    Args:
        inputs: list of edge features (see `keras_hamiltonian.ops.edges`),
            whose channels are taken one after the other.
        kernels: dict from kind to a list of `(channels_in, channels_out)`
            tensors, one per input, `None` where an input lacks the kind.
        bias: `(channels_out,)` tensor, added to `"0+"`.

    Returns:
        Edge features: dict of `(N, M, d, channels_out)` tensors.

    Example:

    >>> edges = {"0+": keras.ops.ones((5, 7, 1, 8)),
    ...          "1": keras.ops.ones((5, 7, 2, 4))}
    >>> kernels = {"0+": [keras.ops.ones((8, 3))],
    ...            "1": [keras.ops.ones((4, 2))]}
    >>> mixed = so2_linear([edges], kernels)
    >>> {kind: tuple(x.shape) for kind, x in mixed.items()}
    {'0+': (5, 7, 1, 3), '1': (5, 7, 2, 2)}
    """
    # The first tensors stand for all: this runs in every layer of a network.
    if is_symbolic(*inputs[0].values()) or any(
        is_symbolic(kernel) for kernel in next(iter(kernels.values()), ())
    ):
        return SO2Linear()(inputs, kernels, bias)
    return _mix(inputs, kernels, bias)


@keras.saving.register_keras_serializable(package="keras_hamiltonian.ops")
class SO2Linear(keras.Operation):
    """`so2_linear` as a node of a graph."""

    def call(self, inputs, kernels, bias=None):
        return _mix(inputs, kernels, bias)

    def compute_output_spec(self, inputs, kernels, bias=None):
        result = {}
        for kind, given in kernels.items():
            for edges, kernel in zip(inputs, given):
                if kernel is None:
                    continue
                x = edges[kind]
                if x.shape[-1] != kernel.shape[0]:
                    raise ValueError(
                        f"The kernel of kind {kind} takes {kernel.shape[0]} "
                        f"channels. Received: {x.shape[-1]}."
                    )
                shape = (*x.shape[:2], edge_dim(kind), kernel.shape[1])
                result[kind] = keras.KerasTensor(shape, x.dtype)
        return result


def _mix(inputs, kernels, bias):
    result = {}
    for kind, kernel_list in kernels.items():
        given = [
            (edges[kind], kernel)
            for edges, kernel in zip(inputs, kernel_list)
            if kernel is not None
        ]
        result[kind] = backend.sum_of_products(
            *zip(*given), bias if kind == "0+" else None
        )
    return result
