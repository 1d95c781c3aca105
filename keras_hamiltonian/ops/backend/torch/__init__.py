"""The same functions called straight from torch; see `reference`."""

import math

import keras
import torch

# Rows (atoms with all their edges) that are worked on together where nothing
# is differentiated: what lies between then stays in the cache.
ROWS = 64

abs = torch.abs
broadcast_to = torch.broadcast_to
dense = torch.matmul
einsum = torch.einsum
equal = torch.eq
exp = torch.exp
ones_like = torch.ones_like
relu = torch.relu
reshape = torch.reshape
rsqrt = torch.rsqrt
sigmoid = torch.sigmoid
silu = torch.nn.functional.silu
sqrt = torch.sqrt
swapaxes = torch.swapaxes
transpose = torch.permute
where = torch.where
zeros_like = torch.zeros_like


def cast(x, dtype):
    return x.to(dtype)


def concatenate(xs, axis):
    return torch.cat(xs, dim=axis)


def constant(array, like):
    return torch.as_tensor(array, dtype=like.dtype, device=like.device)


def maximum(x, y):
    return torch.clamp(x, min=y)


def shape(x):
    return tuple(x.shape)


def split(x, sizes, axis):
    return torch.split(x, list(sizes), dim=axis)


def stack(xs, axis):
    return torch.stack(xs, dim=axis)


def sum(x, axis, keepdims=False):
    return torch.sum(x, dim=axis, keepdim=keepdims)


def take(x, indices, axis):
    indices = torch.as_tensor(indices, device=x.device).long()
    taken = torch.index_select(x, axis, indices.reshape(-1))
    axis = axis % x.ndim
    return taken.reshape(*x.shape[:axis], *indices.shape, *x.shape[axis + 1 :])


def sum_of_products(xs, kernels, bias=None):
    # Accumulated in place: one pass over the result instead of one per term.
    flat = [x.reshape(-1, x.shape[-1]) for x in xs]
    if bias is None:
        total = flat[0] @ kernels[0]
    else:
        total = torch.addmm(bias, flat[0], kernels[0])
    for x, kernel in zip(flat[1:], kernels[1:]):
        total.addmm_(x, kernel)
    return total.reshape(*xs[0].shape[:-1], total.shape[-1])


def exchange_rows(x, partners, factors=None):
    return _ExchangeRows.apply(x, partners.long(), factors)


def in_rows(function, tensors):
    some = keras.tree.flatten(tensors)[0]
    num_rows, found = some.shape[0], None
    is_on_cpu = some.device.type == "cpu"
    if torch.is_grad_enabled() or not is_on_cpu or num_rows <= ROWS:
        return function(tensors)
    for start in range(0, num_rows, ROWS):
        rows = slice(start, start + ROWS)
        piece = function(
            keras.tree.map_structure(lambda x, rows=rows: x[rows], tensors)
        )
        if found is None:
            found = keras.tree.map_structure(
                lambda x: x.new_empty((num_rows, *x.shape[1:])), piece
            )
        keras.tree.map_structure(
            lambda x, y, rows=rows: x[rows].copy_(y), found, piece
        )
    return found


def segment_sum(x, segments, num_segments):
    # Keras has it in float32 alone.
    shape = (num_segments, *x.shape[1:])
    return x.new_zeros(shape).index_add(0, segments.long(), x)


def add_segments(total, x, segments):
    # In place: another copy for each of many pieces costs more than the sums.
    return total.index_add_(0, segments.long(), x)


def used_columns(x):
    if x.is_meta:  # Keras looks for shapes, there are no values
        return x.shape[1]
    used = (x != 0).any(dim=0).nonzero()
    return int(used.max()) + 1 if len(used) else 1


def layer_normalize(x, epsilon):
    return torch.nn.functional.layer_norm(x, x.shape[-1:], eps=epsilon)


def rms_normalize(x, epsilon, num_axes):
    if x.is_cuda:  # one kernel there, a chain of them on CPUs
        shape = x.shape[-num_axes:]
        return torch.nn.functional.rms_norm(x, shape, eps=epsilon)
    return _RMSNormalize.apply(x, epsilon, num_axes)[0]


class _ExchangeRows(torch.autograd.Function):
    """The gradient of an exchange is the same exchange; torch would scatter."""

    @staticmethod
    def forward(ctx, x, partners, factors):
        ctx.save_for_backward(partners, factors)
        taken = torch.index_select(x, 0, partners)
        return taken if factors is None else taken.mul_(factors)

    @staticmethod
    def backward(ctx, gradient):
        return _ExchangeRows.apply(gradient, *ctx.saved_tensors), None, None


class _RMSNormalize(torch.autograd.Function):
    """Returns the scale, too: the gradient is made of both results."""

    @staticmethod
    def forward(ctx, x, epsilon, num_axes):
        axes = tuple(range(-num_axes, 0))
        norm = torch.linalg.vector_norm(x, dim=axes, keepdim=True)
        size = math.prod(x.shape[-num_axes:])
        scale = torch.rsqrt(norm * norm * (1 / size) + epsilon)
        normalized = x * scale
        ctx.save_for_backward(normalized, scale)
        ctx.set_materialize_grads(False)
        ctx.axes, ctx.size = axes, size
        return normalized, scale

    @staticmethod
    def backward(ctx, gradient, gradient_of_scale):
        normalized, scale = ctx.saved_tensors
        along = 0.0
        if gradient is not None:
            along = torch.sum(gradient * normalized, ctx.axes, keepdim=True)
        if gradient_of_scale is not None:
            along = along + gradient_of_scale * scale
        along = along * (-1 / ctx.size)
        if gradient is None:
            return normalized * along * scale, None, None
        return torch.addcmul(gradient, normalized, along) * scale, None, None
