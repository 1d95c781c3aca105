"""Definitions in `keras.ops`, for every backend.

Names and arguments are those of `keras.ops` where it has the function.
`keras.ops.mean` and `keras.ops.matmul` are not among them: on torch they
compute float64 in float32. Sums, `@` and `einsum` do not.
"""

import math

import keras
import numpy as np

FUNCTIONS = (
    "abs",
    "add_segments",
    "broadcast_to",
    "cast",
    "concatenate",
    "constant",
    "dense",
    "einsum",
    "equal",
    "exchange_rows",
    "exp",
    "in_rows",
    "layer_normalize",
    "maximum",
    "one_hot",
    "ones_like",
    "relu",
    "reshape",
    "rms_normalize",
    "rsqrt",
    "segment_sum",
    "shape",
    "sigmoid",
    "silu",
    "split",
    "sqrt",
    "stack",
    "sum",
    "sum_of_products",
    "swapaxes",
    "take",
    "transpose",
    "used_columns",
    "where",
    "zeros",
    "zeros_like",
)

abs = keras.ops.abs
broadcast_to = keras.ops.broadcast_to
cast = keras.ops.cast
concatenate = keras.ops.concatenate
einsum = keras.ops.einsum
equal = keras.ops.equal
exp = keras.ops.exp
maximum = keras.ops.maximum
one_hot = keras.ops.one_hot
ones_like = keras.ops.ones_like
relu = keras.ops.relu
reshape = keras.ops.reshape
rsqrt = keras.ops.rsqrt
shape = keras.ops.shape
sigmoid = keras.ops.sigmoid
silu = keras.ops.silu
sqrt = keras.ops.sqrt
stack = keras.ops.stack
sum = keras.ops.sum
swapaxes = keras.ops.swapaxes
take = keras.ops.take
transpose = keras.ops.transpose
where = keras.ops.where
zeros = keras.ops.zeros
zeros_like = keras.ops.zeros_like


def constant(array, like):
    """A NumPy array as a tensor of the float type of `like`, beside it."""
    return keras.ops.convert_to_tensor(array, dtype=like.dtype)


def dense(x, kernel):
    """Matrix product of the last axis, as one large product.

    Args:
        x: `(..., A)` tensor.
        kernel: `(A, B)` tensor.
    """
    leading = shape(x)[:-1]
    flat = reshape(x, (-1, kernel.shape[0]))
    return reshape(flat @ kernel, (*leading, kernel.shape[1]))


def sum_of_products(xs, kernels, bias=None):
    """Sum of the matrix products of several tensors.

    Args:
        xs: list of `(..., A_k)` tensors with equal leading axes.
        kernels: list of `(A_k, B)` tensors.
        bias: `(B,)` tensor or `None`.

    Returns:
        `(..., B)` tensor.
    """
    total = dense(xs[0], kernels[0])
    for x, kernel in zip(xs[1:], kernels[1:]):
        total = total + dense(x, kernel)
    return total if bias is None else total + bias


def split(x, sizes, axis):
    """Pieces of given sizes along an axis."""
    return keras.ops.split(x, np.cumsum(sizes)[:-1].tolist(), axis=axis)


def exchange_rows(x, partners, factors=None):
    """Rows in the order of their partners, times factors.

    Args:
        x: `(E, size)` tensor.
        partners: `(E,)` int tensor, its own inverse: the partner of a row's
            partner is the row.
        factors: `(size,)` tensor without a gradient, or `None`.
    """
    taken = take(x, partners, axis=0)
    return taken if factors is None else taken * factors


def in_rows(function, tensors):
    """A function whose rows depend on the same rows alone, of tensors.

    Where the backend runs eagerly it may take some rows at a time.

    Args:
        function: function of `tensors`, or of rows of them.
        tensors: dict, list or nest of tensors with equal first axes.

    Returns:
        What the function returns, a nest of tensors.
    """
    return function(tensors)


def segment_sum(x, segments, num_segments):
    """Sums of the rows of each segment.

    Args:
        x: `(E, ...)` tensor.
        segments: `(E,)` int tensor, in any order, less than `num_segments`.
        num_segments: int.

    Returns:
        `(num_segments, ...)` tensor.
    """
    return keras.ops.segment_sum(x, segments, num_segments=num_segments)


def add_segments(total, x, segments):
    """`total + segment_sum(x, segments)`; `total` is not to be used again.

    Args:
        total: `(num_segments, ...)` tensor of `segment_sum`.
        x, segments: see `segment_sum`.
    """
    return total + segment_sum(x, segments, shape(total)[0])


def used_columns(x):
    """How many columns hold all that is not zero.

    Args:
        x: `(N, M)` tensor.

    Returns:
        int, at least 1; M where shapes are compiled and cannot depend on
        values.
    """
    return shape(x)[1]


def rms_normalize(x, epsilon, num_axes):
    """Divides by the root mean square over the last axes.

    Args:
        x: tensor.
        epsilon: float. Added to the mean square.
        num_axes: int. How many trailing axes are averaged over.
    """
    axes = tuple(range(-num_axes, 0))
    size = math.prod(x.shape[axis] for axis in axes)
    square = sum(x * x, axis=axes, keepdims=True)
    return x * rsqrt(square * (1 / size) + epsilon)


def layer_normalize(x, epsilon):
    """Zero mean and unit variance over the last axis.

    Args:
        x: tensor.
        epsilon: float. Added to the variance.
    """
    mean = sum(x, axis=-1, keepdims=True) * (1 / x.shape[-1])
    return rms_normalize(x - mean, epsilon, num_axes=1)
