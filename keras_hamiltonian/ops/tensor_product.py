"""Products of irreps with weights."""

import functools

import keras
import numpy as np

from keras_hamiltonian.irreps.product_paths import ProductPaths
from keras_hamiltonian.ops import backend
from keras_hamiltonian.ops.edges import split_channels
from keras_hamiltonian.ops.symbolic import broadcast_shapes
from keras_hamiltonian.ops.symbolic import is_symbolic


def tensor_product(x1, x2, weights, paths, kernel=None):
    """Couples two inputs along all paths, each with weights of its own.

    `out[k, w] = Σ_paths Σ_ijuv C[i, j, k] weights[u, v, w] x1[i, u] x2[j, v]`,
    or, along channel-wise paths, `weights[u, v]` and `w = u`.

    Args:
        x1: `(..., dim1)` tensor, `ir_mul` layout.
        x2: `(..., dim2)` tensor; leading axes broadcast against those of `x1`.
        weights: `(num_weights,)` tensor, shared by all samples, or
            `(..., num_weights)`, with the leading axes of the inputs.
        paths: `ProductPaths`.
        kernel: `None`, `"fused"` or `"reference"`.

    Returns:
        `(..., dim_out)` tensor.

    Raises:
        ValueError: if shapes and irreps do not fit, or the kernel cannot run.

    Example:

    >>> paths = ProductPaths.fully_connected("2x1o", "1x1o", "3x0e + 1x1e")
    >>> x1, x2 = keras.ops.ones((5, 6)), keras.ops.ones((5, 3))
    >>> weights = keras.ops.ones((paths.num_weights,))
    >>> tuple(tensor_product(x1, x2, weights, paths).shape)
    (5, 6)

    Reference: `e3nn.o3.FullyConnectedTensorProduct`, weights in its order.
    """
    if is_symbolic(x1, x2, weights):
        return TensorProduct(paths, kernel)(x1, x2, weights)
    return _product(x1, x2, weights, paths, kernel)


@keras.saving.register_keras_serializable(package="keras_hamiltonian.ops")
class TensorProduct(keras.Operation):
    """`tensor_product` as a node of a graph."""

    def __init__(self, paths, kernel=None, name=None):
        super().__init__(name=name)
        self.paths = paths
        self.kernel = kernel

    def call(self, x1, x2, weights):
        return _product(x1, x2, weights, self.paths, self.kernel)

    def compute_output_spec(self, x1, x2, weights):
        _check(x1, x2, weights, self.paths, self.kernel)
        leading = [x.shape[:-1] for x in (x1, x2, weights)]
        shape = (*broadcast_shapes(*leading), self.paths.irreps_out.dim)
        return keras.KerasTensor(shape, x1.dtype)

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


def check_kernel(kernel):
    """Raises an error where there is no such kernel."""
    if kernel == "fused":
        raise ValueError(
            "There is no fused kernel of this operation. Leave `kernel=None`, "
            'or take "reference".'
        )
    if kernel not in (None, "reference"):
        raise ValueError(
            '`kernel` is None, "fused" or "reference". Received: '
            f"kernel={kernel!r}."
        )


def check_size(x, size, name, what):
    """Raises an error where the last axis is not what it should be."""
    if x.shape[-1] != size:
        raise ValueError(
            f"The last axis of `{name}` holds {size} numbers, {what}. "
            f"Received the shape {tuple(x.shape)}."
        )


def _check(x1, x2, weights, paths, kernel):
    check_kernel(kernel)
    check_size(x1, paths.irreps_in1.dim, "x1", paths.irreps_in1)
    check_size(x2, paths.irreps_in2.dim, "x2", paths.irreps_in2)
    check_size(weights, paths.num_weights, "weights", "those of the paths")


def split_terms(x, irreps):
    """List of `(..., 2l+1, multiplicity)` tensors, one for each term."""
    if not irreps:
        return []
    sizes = [mul * irrep.dim for mul, irrep in irreps]
    leading = backend.shape(x)[:-1]
    return [
        backend.reshape(piece, (*leading, irrep.dim, mul))
        for (mul, irrep), piece in zip(irreps, split_channels(x, sizes))
    ]


def join_terms(terms, irreps):
    """`(..., dim)` tensor of `(..., 2l+1, multiplicity)` tensors."""
    flat = [
        backend.reshape(x, (*backend.shape(x)[:-2], mul * irrep.dim))
        for (mul, irrep), x in zip(irreps, terms)
    ]
    return flat[0] if len(flat) == 1 else backend.concatenate(flat, axis=-1)


def _product(x1, x2, weights, paths, kernel):
    _check(x1, x2, weights, paths, kernel)
    if not paths.irreps_out:
        return x1[..., :0] * x2[..., :0]
    terms1 = split_terms(x1, paths.irreps_in1)
    terms2 = split_terms(x2, paths.irreps_in2)
    coupled = {}
    for (term1, term2), (used, constant) in _pairs(paths).items():
        x, y = terms1[term1], terms2[term2]
        sizes = [paths.irreps_out[p.term_out][1].dim for p in used]
        pieces = _couple(x, y, backend.constant(constant, x), sizes)
        coupled.update(zip(used, pieces))
    weight_pieces = {}
    if paths.paths:
        sizes = [path.num_weights for path in paths.paths]
        split = split_channels(weights, sizes)
        weight_pieces = dict(zip(paths.paths, split))
    results = []
    for k, (mul, irrep) in enumerate(paths.irreps_out):
        used = [path for path in paths.paths if path.term_out == k]
        if used:
            results.append(_weigh(used, coupled, weight_pieces))
        else:
            nothing = backend.zeros_like(x1[..., :1] * x2[..., :1])[..., None]
            shape = (*backend.shape(nothing)[:-2], irrep.dim, mul)
            results.append(backend.broadcast_to(nothing, shape))
    return join_terms(results, paths.irreps_out)


@functools.cache
def _pairs(paths):
    """For each pair of input terms its paths, and all their couplings.

    The couplings are one `(2 l2 + 1, Σ (2 l3 + 1) (2 l1 + 1))` array.
    """
    pairs = {}
    for path in paths.paths:
        pairs.setdefault((path.term1, path.term2), []).append(path)
    result = {}
    for key, used in pairs.items():
        joined = np.concatenate([paths.coupling(p) for p in used], axis=2)
        size = joined.shape[1]
        result[key] = used, joined.transpose(1, 2, 0).reshape(size, -1)
    return result


def _couple(x, y, constant, sizes):
    """Unweighted products of two terms.

    The second input and the couplings make small matrices, which then act on
    all channels of the first at once.

    Args:
        x: `(..., 2 l1 + 1, mul1)` tensor.
        y: `(..., 2 l2 + 1, mul2)` tensor.
        constant: `(2 l2 + 1, Σ (2 l3 + 1) (2 l1 + 1))` tensor.
        sizes: list of int. The `2 l3 + 1` of each path.

    Returns:
        List of `(..., 2 l3 + 1, mul2, mul1)` tensors.
    """
    dim1, mul1 = x.shape[-2:]
    mul2 = y.shape[-1]
    matrices = backend.dense(backend.swapaxes(y, -1, -2), constant)
    leading = backend.shape(matrices)[:-2]
    shape = (*leading, mul2, sum(sizes), dim1)
    matrices = backend.swapaxes(backend.reshape(matrices, shape), -2, -3)
    matrices = backend.reshape(matrices, (*leading, sum(sizes) * mul2, dim1))
    products = matrices @ x
    leading = backend.shape(products)[:-2]
    products = backend.reshape(products, (*leading, sum(sizes), mul2, mul1))
    return split_channels(products, sizes, axis=-3)


def _weigh(used, coupled, weights):
    """Weighted sum of the products that belong to one output term."""
    if used[0].is_channelwise:
        total = 0
        for path in used:
            w = weights[path]
            shape = (*backend.shape(w)[:-1], 1, *path.weight_shape)
            w = backend.swapaxes(backend.reshape(w, shape), -1, -2)
            total = total + backend.sum(coupled[path] * w, axis=-2)
        return total
    xs, kernels = [], []
    for path in used:
        mul1, mul2, mul = path.weight_shape
        x, w = coupled[path], weights[path]
        shape = backend.shape(x)[:-2]
        xs.append(backend.reshape(x, (*shape, mul2 * mul1)))
        leading = backend.shape(w)[:-1]
        w = backend.reshape(w, (*leading, mul1, mul2, mul))
        w = backend.swapaxes(w, -3, -2)
        kernels.append(backend.reshape(w, (*leading, mul2 * mul1, mul)))
    if len(kernels[0].shape) == 2:
        return backend.sum_of_products(xs, kernels)
    total = xs[0] @ kernels[0]
    for x, w in zip(xs[1:], kernels[1:]):
        total = total + x @ w
    return total
