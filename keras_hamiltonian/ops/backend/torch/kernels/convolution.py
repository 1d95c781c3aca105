"""The channel-wise convolution as operations of torch.

Four operations: the derivatives of the form in `convolution_kernels`, so the
backward pass of each calls the other three, to any order. The matrices of the
edges are one dense product of the harmonics with a constant, which torch
differentiates; nothing is written that has both an edge, a component and a
channel.
"""

import functools

import numpy as np
import torch

from keras_hamiltonian.ops.backend.torch.kernels import (
    convolution_gradient_kernels,
)
from keras_hamiltonian.ops.backend.torch.kernels import convolution_kernels
from keras_hamiltonian.ops.backend.torch.kernels.convolution_plan import (
    convolution_plan,
)
from keras_hamiltonian.ops.backend.torch.kernels.launching import launch

Tensor = torch.Tensor


def channelwise_convolution(
    features, harmonics, weights, neighbors, reverse_edge, paths
):
    """`ops.channelwise_convolution.channelwise_convolution`."""
    if not paths.paths:
        return features.new_zeros(features.shape[0], 0)
    table = _couplings(paths, features.dtype, features.device)
    return to_outputs(
        features,
        harmonics @ table,
        weights,
        neighbors,
        reverse_edge,
        *_names(paths),
    )


@functools.cache
def _names(paths):
    couplings = (
        f"{path.term1}:{paths.irreps_out[path.term_out][1].l}"
        for path in paths.paths
    )
    return str(paths.irreps_in1), ",".join(couplings)


@functools.cache
def _couplings(paths, dtype, device):
    """From harmonics to the matrices of all paths, `(dim2, size)`."""
    slices = paths.irreps_in2.slices()
    columns = []
    for path in paths.paths:
        coupling = paths.coupling(path)
        dim1, dim2, dim_out = coupling.shape
        column = np.zeros((paths.irreps_in2.dim, dim1 * dim_out))
        column[slices[path.term2]] = coupling.transpose(1, 0, 2).reshape(
            dim2, dim1 * dim_out
        )
        columns.append(column)
    table = np.concatenate(columns, axis=1)
    return torch.tensor(table, dtype=dtype, device=device)


@functools.cache
def _table_of_paths(irreps, couplings, device):
    table = convolution_plan(irreps, couplings).table
    return torch.tensor(table, dtype=torch.int64, device=device)


def _run(kernel, target, operands, graph, irreps, couplings, by_edges=False):
    """Launches a kernel that fills the tensor at position `target`."""
    neighbors = graph[0]
    num_atoms, num_neighbors = neighbors.shape
    plan = convolution_plan(irreps, couplings)
    features, matrices, weights, outputs = operands
    lists = [index.contiguous() for index in graph]
    tensors = [
        operand if k == target else operand.contiguous()
        for k, operand in enumerate((features, matrices, weights, outputs))
    ]
    number = num_atoms
    if by_edges:
        number = -(-num_atoms * num_neighbors // plan.edges)
    grid = (number * len(plan.terms), 1 if by_edges else plan.num_chunks)
    launch(
        kernel,
        grid,
        *tensors[:3],
        *lists,
        tensors[3],
        _table_of_paths(irreps, couplings, neighbors.device),
        num_atoms * num_neighbors,
        num_neighbors,
        like=operands[target],
        PLAN=plan,
    )
    return operands[target]


def _new(like, neighbors, name, irreps, couplings):
    plan = convolution_plan(irreps, couplings)
    shapes = {
        "features": (neighbors.shape[0], plan.dim),
        "outputs": (neighbors.shape[0], plan.dim_out),
        "matrices": (*neighbors.shape, plan.matrix_size),
        "weights": (*neighbors.shape, plan.num_weights),
    }
    return like.new_empty(shapes[name])


@torch.library.custom_op("keras_hamiltonian::to_outputs", mutates_args=())
def to_outputs(
    features: Tensor,
    matrices: Tensor,
    weights: Tensor,
    neighbors: Tensor,
    reverse_edge: Tensor,
    irreps: str,
    couplings: str,
) -> Tensor:
    """Sums over the edges of each atom, `(N, dim_out)`."""
    outputs = _new(features, neighbors, "outputs", irreps, couplings)
    return _run(
        convolution_kernels.to_outputs_kernel,
        3,
        (features, matrices, weights, outputs),
        (neighbors,),
        irreps,
        couplings,
    )


@torch.library.custom_op("keras_hamiltonian::to_weights", mutates_args=())
def to_weights(
    features: Tensor,
    matrices: Tensor,
    outputs: Tensor,
    neighbors: Tensor,
    reverse_edge: Tensor,
    irreps: str,
    couplings: str,
) -> Tensor:
    """Products of all but the weights, `(N, M, num_weights)`."""
    weights = _new(features, neighbors, "weights", irreps, couplings)
    return _run(
        convolution_kernels.to_weights_kernel,
        2,
        (features, matrices, weights, outputs),
        (neighbors,),
        irreps,
        couplings,
    )


@torch.library.custom_op("keras_hamiltonian::to_features", mutates_args=())
def to_features(
    matrices: Tensor,
    weights: Tensor,
    outputs: Tensor,
    neighbors: Tensor,
    reverse_edge: Tensor,
    irreps: str,
    couplings: str,
) -> Tensor:
    """Sums over the edges that end at each atom, `(N, dim)`."""
    features = _new(outputs, neighbors, "features", irreps, couplings)
    return _run(
        convolution_gradient_kernels.to_features_kernel,
        0,
        (features, matrices, weights, outputs),
        (neighbors, reverse_edge),
        irreps,
        couplings,
    )


@torch.library.custom_op("keras_hamiltonian::to_matrices", mutates_args=())
def to_matrices(
    features: Tensor,
    weights: Tensor,
    outputs: Tensor,
    neighbors: Tensor,
    reverse_edge: Tensor,
    irreps: str,
    couplings: str,
) -> Tensor:
    """Products summed over channels, `(N, M, matrix_size)`."""
    matrices = _new(features, neighbors, "matrices", irreps, couplings)
    return _run(
        convolution_gradient_kernels.to_matrices_kernel,
        1,
        (features, matrices, weights, outputs),
        (neighbors,),
        irreps,
        couplings,
        by_edges=True,
    )


# The factor that each operation makes; it takes the others in this order.
OPERATIONS = {
    "features": to_features,
    "matrices": to_matrices,
    "weights": to_weights,
    "outputs": to_outputs,
}


def _register(name, operation):
    given = [other for other in OPERATIONS if other != name]

    def fake(*arguments):
        return _new(arguments[0], arguments[3], name, *arguments[5:])

    def setup_context(ctx, inputs, output):
        ctx.save_for_backward(*inputs[:5])
        ctx.names = inputs[5:]

    def backward(ctx, gradient):
        *factors, neighbors, reverse_edge = ctx.saved_tensors
        factors = {**dict(zip(given, factors)), name: gradient}
        gradients = []
        for wanted, is_needed in zip(given, ctx.needs_input_grad):
            others = [factors[k] for k in OPERATIONS if k != wanted]
            gradients.append(
                OPERATIONS[wanted](*others, neighbors, reverse_edge, *ctx.names)
                if is_needed
                else None
            )
        return *gradients, None, None, None, None

    operation.register_fake(fake)
    operation.register_autograd(backward, setup_context=setup_context)


for _name, _operation in OPERATIONS.items():
    _register(_name, _operation)
