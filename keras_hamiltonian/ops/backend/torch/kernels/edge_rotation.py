"""The edge rotations as operations of torch, differentiable to any order.

Three operations, `rotate_in`, `rotate_out` and `outer`: the derivatives of the
form in `edge_kernels`, so the backward pass of each calls the other two.
"""

import torch

from keras_hamiltonian.irreps.edge import edge_kinds
from keras_hamiltonian.irreps.edge_irreps import EdgeIrreps
from keras_hamiltonian.irreps.irreps import Irreps
from keras_hamiltonian.ops.backend.torch.kernels import edge_gradient_kernels
from keras_hamiltonian.ops.backend.torch.kernels import edge_kernels
from keras_hamiltonian.ops.backend.torch.kernels.edge_plan import edge_plan
from keras_hamiltonian.ops.backend.torch.kernels.edge_plan import edge_shapes
from keras_hamiltonian.ops.backend.torch.kernels.edge_plan import matrix_degrees
from keras_hamiltonian.ops.backend.torch.kernels.launching import launch

Tensor = torch.Tensor


def rotate_into_edges(atoms, irreps, wigner, neighbors, reverse_edge):
    """`ops.edges.rotate_into_edges`."""
    irreps = Irreps(irreps)
    kinds = list(EdgeIrreps(irreps))
    used = [wigner[l] for l in matrix_degrees(irreps, "one")]
    num_neighbors = wigner[0].shape[1]
    edges = rotate_in(
        atoms,
        used,
        neighbors,
        reverse_edge,
        num_neighbors,
        str(irreps),
        ",".join(kinds),
        "one",
    )
    return dict(zip(kinds, edges))


def sum_over_edges(edges, irreps, wigner):
    """`ops.edges.sum_over_edges`."""
    irreps = Irreps(irreps)
    channels = EdgeIrreps(irreps)
    kinds = [k for k in edge_kinds(irreps.lmax) if k in edges and k in channels]
    if not kinds:
        return wigner[0].new_zeros(wigner[0].shape[0], irreps.dim)
    used = [wigner[l] for l in matrix_degrees(irreps, "weight")]
    return rotate_out(
        [edges[kind] for kind in kinds],
        used,
        None,
        None,
        str(irreps),
        ",".join(kinds),
        "weight",
    )


@torch.library.custom_op("keras_hamiltonian::rotate_in", mutates_args=())
def rotate_in(
    atoms: Tensor,
    wigner: list[Tensor],
    neighbors: Tensor | None,
    reverse_edge: Tensor | None,
    num_neighbors: int,
    irreps: str,
    kinds: str,
    scalars: str,
) -> list[Tensor]:
    """Features of each edge's atom in its frame: `(N, M, d, width)` each."""
    edges = _new_edges(atoms, num_neighbors, irreps, kinds)
    plan = edge_plan(irreps, kinds, scalars)
    num_edges = atoms.shape[0] * num_neighbors
    matrices, rows_first = _matrices(wigner)
    launch(
        edge_kernels.rotate_in_kernel,
        (-(-num_edges // plan.edges) * len(plan.terms), plan.num_chunks),
        atoms.contiguous(),
        matrices,
        tuple(edges),
        _contiguous(neighbors),
        num_edges,
        num_neighbors,
        like=atoms,
        PLAN=plan,
        ROWS_FIRST=rows_first,
    )
    return edges


@torch.library.custom_op("keras_hamiltonian::rotate_out", mutates_args=())
def rotate_out(
    edges: list[Tensor],
    wigner: list[Tensor],
    neighbors: Tensor | None,
    reverse_edge: Tensor | None,
    irreps: str,
    kinds: str,
    scalars: str,
) -> Tensor:
    """Sums at each atom of features rotated out of the frames, `(N, dim)`."""
    num_atoms, num_neighbors = edges[0].shape[:2]
    plan = edge_plan(irreps, kinds, scalars)
    atoms = edges[0].new_empty(num_atoms, plan.dim)
    matrices, rows_first = _matrices(wigner)
    launch(
        edge_kernels.rotate_out_kernel,
        (num_atoms * len(plan.terms), plan.num_chunks),
        atoms,
        matrices,
        tuple(x.contiguous() for x in edges),
        _contiguous(reverse_edge),
        num_atoms * num_neighbors,
        num_neighbors,
        like=atoms,
        PLAN=plan,
        ROWS_FIRST=rows_first,
    )
    return atoms


@torch.library.custom_op("keras_hamiltonian::outer", mutates_args=())
def outer(
    atoms: Tensor,
    edges: list[Tensor],
    neighbors: Tensor | None,
    reverse_edge: Tensor | None,
    irreps: str,
    kinds: str,
    scalars: str,
) -> list[Tensor]:
    """Products of both features, summed over channels: like `wigner`."""
    plan = edge_plan(irreps, kinds, scalars)
    wigner = _new_matrices(atoms, edges[0].shape[1], irreps, scalars)
    num_edges = edges[0].shape[0] * edges[0].shape[1]
    launch(
        edge_gradient_kernels.outer_kernel,
        (-(-num_edges // plan.edges) * len(plan.degrees),),
        atoms.contiguous(),
        tuple(wigner),
        tuple(x.contiguous() for x in edges),
        _contiguous(neighbors),
        num_edges,
        edges[0].shape[1],
        like=atoms,
        PLAN=plan,
    )
    return wigner


@rotate_in.register_fake
def _(
    atoms,
    wigner,
    neighbors,
    reverse_edge,
    num_neighbors,
    irreps,
    kinds,
    scalars,
):
    return _new_edges(atoms, num_neighbors, irreps, kinds)


@rotate_out.register_fake
def _(edges, wigner, neighbors, reverse_edge, irreps, kinds, scalars):
    return edges[0].new_empty(edges[0].shape[0], Irreps(irreps).dim)


@outer.register_fake
def _(atoms, edges, neighbors, reverse_edge, irreps, kinds, scalars):
    return _new_matrices(atoms, edges[0].shape[1], irreps, scalars)


def _save(ctx, x, edges, wigner, neighbors, reverse_edge, names):
    """Keeps the operands; `names` are irreps, kinds and `scalars`."""
    parts = [x is not None, len(edges or ()), len(wigner or ())]
    tensors = [t for t in (x,) if t is not None]
    ctx.save_for_backward(
        *tensors, *(edges or ()), *(wigner or ()), neighbors, reverse_edge
    )
    ctx.parts, ctx.names = parts, names


def _restore(ctx):
    *tensors, neighbors, reverse_edge = ctx.saved_tensors
    has_x, num_kinds, num_wigner = ctx.parts
    x = tensors.pop(0) if has_x else None
    edges = list(tensors[:num_kinds])
    wigner = list(tensors[num_kinds:])
    return x, edges, wigner, (neighbors, reverse_edge), ctx.names


def _needed(need):
    return any(need) if isinstance(need, (list, tuple)) else bool(need)


def _rotate_in_setup(ctx, inputs, output):
    atoms, wigner, neighbors, reverse_edge, _, *names = inputs
    _save(ctx, atoms, None, wigner, neighbors, reverse_edge, names)


def _rotate_in_backward(ctx, gradients):
    atoms, _, wigner, graph, names = _restore(ctx)
    to_atoms, to_wigner = None, [None] * len(wigner)
    if _needed(ctx.needs_input_grad[0]):
        to_atoms = rotate_out(gradients, wigner, *graph, *names)
    if _needed(ctx.needs_input_grad[1]):
        to_wigner = outer(atoms, gradients, *graph, *names)
    return to_atoms, to_wigner, *[None] * 6


def _rotate_out_setup(ctx, inputs, output):
    edges, wigner, neighbors, reverse_edge, *names = inputs
    _save(ctx, None, edges, wigner, neighbors, reverse_edge, names)


def _rotate_out_backward(ctx, gradient):
    _, edges, wigner, graph, names = _restore(ctx)
    to_edges, to_wigner = [None] * len(edges), [None] * len(wigner)
    if _needed(ctx.needs_input_grad[0]):
        num_neighbors = edges[0].shape[1]
        to_edges = rotate_in(gradient, wigner, *graph, num_neighbors, *names)
    if _needed(ctx.needs_input_grad[1]):
        to_wigner = outer(gradient, edges, *graph, *names)
    return to_edges, to_wigner, *[None] * 5


def _outer_setup(ctx, inputs, output):
    atoms, edges, neighbors, reverse_edge, *names = inputs
    _save(ctx, atoms, edges, None, neighbors, reverse_edge, names)


def _outer_backward(ctx, gradients):
    atoms, edges, _, graph, (irreps, kinds, scalars) = _restore(ctx)
    # What has no matrix has no part in the derivative by the matrices.
    names = irreps, kinds, "zero" if scalars == "one" else scalars
    to_atoms, to_edges = None, [None] * len(edges)
    if _needed(ctx.needs_input_grad[0]):
        to_atoms = rotate_out(edges, gradients, *graph, *names)
    if _needed(ctx.needs_input_grad[1]):
        num_neighbors = edges[0].shape[1]
        to_edges = rotate_in(atoms, gradients, *graph, num_neighbors, *names)
    return to_atoms, to_edges, *[None] * 5


rotate_in.register_autograd(_rotate_in_backward, setup_context=_rotate_in_setup)
rotate_out.register_autograd(
    _rotate_out_backward, setup_context=_rotate_out_setup
)
outer.register_autograd(_outer_backward, setup_context=_outer_setup)


def _new_edges(atoms, num_neighbors, irreps, kinds):
    shapes = edge_shapes(irreps, kinds, atoms.shape[0], num_neighbors)
    return [atoms.new_empty(shape) for shape in shapes]


def _new_matrices(atoms, num_neighbors, irreps, scalars):
    leading = (atoms.shape[0], num_neighbors)
    return [
        atoms.new_empty(*leading, 2 * l + 1, 2 * l + 1)
        for l in matrix_degrees(irreps, scalars)
    ]


def _contiguous(tensor):
    return None if tensor is None else tensor.contiguous()


def _matrices(wigner):
    """Matrices in a layout the kernels know, and whether rows come first.

    `wigner_d` makes them with the rows outermost; that is read as it is.
    """
    matrices, rows_first = [], []
    for matrix in wigner:
        if not matrix.is_contiguous():
            rotated = matrix.permute(2, 0, 1, 3)
            if rotated.is_contiguous():
                matrices.append(rotated)
                rows_first.append(True)
                continue
        matrices.append(matrix.contiguous())
        rows_first.append(False)
    return tuple(matrices), tuple(rows_first)
