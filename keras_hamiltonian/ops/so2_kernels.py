"""Weights of a full tensor product as matrices in the frame of the edge."""

import keras

from keras_hamiltonian.irreps.edge import edge_kinds
from keras_hamiltonian.irreps.product_paths import ProductPaths
from keras_hamiltonian.irreps.so2_coupling import path_couplings
from keras_hamiltonian.irreps.so2_coupling import terms_of_kinds
from keras_hamiltonian.ops import backend
from keras_hamiltonian.ops.symbolic import is_symbolic
from keras_hamiltonian.ops.tensor_product import check_size


def so2_kernels(weights, paths):
    """Kernels of `so2_convolution` that make a given tensor product.

    The fully connected product of features with the spherical harmonics of an
    edge is, in the frame of the edge, one matrix for each kind. The matrices
    are linear in the weights.

    Args:
        weights: `(num_weights,)` tensor, in the order of `paths` (e3nn's).
        paths: `ProductPaths.fully_connected` with spherical harmonics, each
            degree once, as the second input.

    Returns:
        Dict from kind to `(channels in, channels out)` tensors, for the kinds
        that input and output share.

    Raises:
        ValueError: if the paths are not such a product.

    Example:

    >>> paths = ProductPaths.fully_connected("2x0e + 3x1o", "0e + 1o", "4x1o")
    >>> kernels = so2_kernels(keras.ops.ones((paths.num_weights,)), paths)
    >>> {kind: tuple(matrix.shape) for kind, matrix in kernels.items()}
    {'0+': (5, 4), '1': (3, 4)}

    Reference: Passaro & Zitnick 2023, which has the weights in this form.
    """
    if is_symbolic(weights):
        return SO2Kernels(paths)(weights)
    return _kernels(weights, paths)


@keras.saving.register_keras_serializable(package="keras_hamiltonian.ops")
class SO2Kernels(keras.Operation):
    """`so2_kernels` as a node of a graph."""

    def __init__(self, paths, name=None):
        super().__init__(name=name)
        self.paths = paths

    def call(self, weights):
        return _kernels(weights, self.paths)

    def compute_output_spec(self, weights):
        check_size(weights, self.paths.num_weights, "weights", "of the paths")
        return {
            kind: keras.KerasTensor(shape, weights.dtype)
            for kind, shape in kernel_shapes(
                self.paths.irreps_in1, self.paths.irreps_out
            ).items()
        }

    def get_config(self):
        return {"name": self.name, "paths": self.paths.as_dict()}

    @classmethod
    def from_config(cls, config):
        paths = ProductPaths.from_dict(config.pop("paths"))
        return cls(paths, **config)


def kernel_shapes(irreps_in, irreps_out):
    """Dict from kind to the shape of its matrix."""
    terms1, terms = terms_of_kinds(irreps_in), terms_of_kinds(irreps_out)
    mmax = max([irrep.l for _, irrep in irreps_in], default=0)
    return {
        kind: (
            sum(irreps_in[k][0] for k in terms1[kind]),
            sum(irreps_out[k][0] for k in terms[kind]),
        )
        for kind in edge_kinds(mmax)
        if kind in terms1 and kind in terms
    }


def _kernels(weights, paths):
    check_size(weights, paths.num_weights, "weights", "those of the paths")
    irreps1, irreps = paths.irreps_in1, paths.irreps_out
    blocks = {}
    for (term1, term), (used, kinds, numbers) in path_couplings(paths).items():
        rows = [weights[path.weight_slice] for path in used]
        mixed = backend.constant(numbers, weights) @ backend.stack(rows, axis=0)
        shape = irreps1[term1][0], irreps[term][0]
        for k, kind in enumerate(kinds):
            blocks[kind, term1, term] = backend.reshape(mixed[k], shape)
    terms1, terms = terms_of_kinds(irreps1), terms_of_kinds(irreps)
    kernels = {}
    for kind in kernel_shapes(irreps1, irreps):
        rows = []
        for term1 in terms1[kind]:
            row = []
            for term in terms[kind]:
                block = blocks.get((kind, term1, term))
                if block is None:
                    shape = irreps1[term1][0], irreps[term][0]
                    block = backend.zeros(shape, dtype=weights.dtype)
                row.append(block)
            rows.append(backend.concatenate(row, axis=1))
        kernels[kind] = backend.concatenate(rows, axis=0)
    return kernels
