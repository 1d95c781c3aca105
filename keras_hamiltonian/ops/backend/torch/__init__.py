"""The same functions called straight from torch; see `reference`."""

import torch

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


def exchange_rows(x, partners):
    return _ExchangeRows.apply(x, partners.long())


def layer_normalize(x, epsilon):
    return torch.nn.functional.layer_norm(x, x.shape[-1:], eps=epsilon)


def rms_normalize(x, epsilon, num_axes):
    return torch.nn.functional.rms_norm(x, x.shape[-num_axes:], eps=epsilon)


class _ExchangeRows(torch.autograd.Function):
    """The gradient of an exchange is the same exchange; torch would scatter."""

    @staticmethod
    def forward(ctx, x, partners):
        ctx.save_for_backward(partners)
        return torch.index_select(x, 0, partners)

    @staticmethod
    def backward(ctx, gradient):
        (partners,) = ctx.saved_tensors
        return _ExchangeRows.apply(gradient, partners), None
