"""The bond rotations as operations of torch, differentiable to any order.

Three operations, `turn_in`, `turn_out` and `outer`: the derivatives of the
form in `bond_kernels`, so the backward pass of each calls the other two.
"""

import torch

from keras_hamiltonian.irreps.bond import bond_channels
from keras_hamiltonian.irreps.bond import bond_kinds
from keras_hamiltonian.irreps.irreps import Irreps
from keras_hamiltonian.ops.backend.torch.kernels import bond_gradient_kernels
from keras_hamiltonian.ops.backend.torch.kernels import bond_kernels
from keras_hamiltonian.ops.backend.torch.kernels.bond_plan import bond_plan
from keras_hamiltonian.ops.backend.torch.kernels.bond_plan import bond_shapes
from keras_hamiltonian.ops.backend.torch.kernels.bond_plan import matrix_degrees
from keras_hamiltonian.ops.backend.torch.kernels.launching import launch

Tensor = torch.Tensor


def rotate_into_bonds(atoms, irreps, wigner, neighbors, reverse_edge):
    """`ops.bonds.rotate_into_bonds`."""
    irreps = Irreps(irreps)
    kinds = list(bond_channels(irreps))
    used = [wigner[l - 1] for l in matrix_degrees(irreps, "one")]
    num_neighbors = wigner[0].shape[1]
    bonds = turn_in(
        atoms,
        used,
        neighbors,
        reverse_edge,
        num_neighbors,
        str(irreps),
        ",".join(kinds),
        "one",
    )
    return dict(zip(kinds, bonds))


def sum_over_bonds(bonds, irreps, wigner):
    """`ops.bonds.sum_over_bonds`."""
    irreps = Irreps(irreps)
    channels = bond_channels(irreps)
    kinds = [k for k in bond_kinds(irreps.lmax) if k in bonds and k in channels]
    if not kinds:
        return wigner[0].new_zeros(wigner[0].shape[0], irreps.dim)
    used = [wigner[l] for l in matrix_degrees(irreps, "weight")]
    return turn_out(
        [bonds[kind] for kind in kinds],
        used,
        None,
        None,
        str(irreps),
        ",".join(kinds),
        "weight",
    )


@torch.library.custom_op("keras_hamiltonian::turn_in", mutates_args=())
def turn_in(
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
    bonds = _new_bonds(atoms, num_neighbors, irreps, kinds)
    plan = bond_plan(irreps, kinds, scalars)
    num_edges = atoms.shape[0] * num_neighbors
    matrices, rows_first = _matrices(wigner)
    launch(
        bond_kernels.turn_in_kernel,
        (-(-num_edges // plan.edges) * len(plan.terms), plan.num_chunks),
        atoms.contiguous(),
        matrices,
        tuple(bonds),
        _contiguous(neighbors),
        num_edges,
        num_neighbors,
        like=atoms,
        PLAN=plan,
        ROWS_FIRST=rows_first,
    )
    return bonds


@torch.library.custom_op("keras_hamiltonian::turn_out", mutates_args=())
def turn_out(
    bonds: list[Tensor],
    wigner: list[Tensor],
    neighbors: Tensor | None,
    reverse_edge: Tensor | None,
    irreps: str,
    kinds: str,
    scalars: str,
) -> Tensor:
    """Sums at each atom of features turned out of the frames, `(N, dim)`."""
    num_atoms, num_neighbors = bonds[0].shape[:2]
    plan = bond_plan(irreps, kinds, scalars)
    atoms = bonds[0].new_empty(num_atoms, plan.dim)
    matrices, rows_first = _matrices(wigner)
    launch(
        bond_kernels.turn_out_kernel,
        (num_atoms * len(plan.terms), plan.num_chunks),
        atoms,
        matrices,
        tuple(x.contiguous() for x in bonds),
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
    bonds: list[Tensor],
    neighbors: Tensor | None,
    reverse_edge: Tensor | None,
    irreps: str,
    kinds: str,
    scalars: str,
) -> list[Tensor]:
    """Products of both features, summed over channels: like `wigner`."""
    plan = bond_plan(irreps, kinds, scalars)
    wigner = _new_matrices(atoms, bonds[0].shape[1], irreps, scalars)
    num_edges = bonds[0].shape[0] * bonds[0].shape[1]
    launch(
        bond_gradient_kernels.outer_kernel,
        (-(-num_edges // plan.edges) * len(plan.degrees),),
        atoms.contiguous(),
        tuple(wigner),
        tuple(x.contiguous() for x in bonds),
        _contiguous(neighbors),
        num_edges,
        bonds[0].shape[1],
        like=atoms,
        PLAN=plan,
    )
    return wigner


@turn_in.register_fake
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
    return _new_bonds(atoms, num_neighbors, irreps, kinds)


@turn_out.register_fake
def _(bonds, wigner, neighbors, reverse_edge, irreps, kinds, scalars):
    return bonds[0].new_empty(bonds[0].shape[0], Irreps(irreps).dim)


@outer.register_fake
def _(atoms, bonds, neighbors, reverse_edge, irreps, kinds, scalars):
    return _new_matrices(atoms, bonds[0].shape[1], irreps, scalars)


def _save(ctx, x, bonds, wigner, neighbors, reverse_edge, names):
    """Keeps the operands; `names` are irreps, kinds and `scalars`."""
    parts = [x is not None, len(bonds or ()), len(wigner or ())]
    tensors = [t for t in (x,) if t is not None]
    ctx.save_for_backward(
        *tensors, *(bonds or ()), *(wigner or ()), neighbors, reverse_edge
    )
    ctx.parts, ctx.names = parts, names


def _restore(ctx):
    *tensors, neighbors, reverse_edge = ctx.saved_tensors
    has_x, num_bonds, num_wigner = ctx.parts
    x = tensors.pop(0) if has_x else None
    bonds = list(tensors[:num_bonds])
    wigner = list(tensors[num_bonds:])
    return x, bonds, wigner, (neighbors, reverse_edge), ctx.names


def _needed(need):
    return any(need) if isinstance(need, (list, tuple)) else bool(need)


def _turn_in_setup(ctx, inputs, output):
    atoms, wigner, neighbors, reverse_edge, _, *names = inputs
    _save(ctx, atoms, None, wigner, neighbors, reverse_edge, names)


def _turn_in_backward(ctx, gradients):
    atoms, _, wigner, graph, names = _restore(ctx)
    to_atoms, to_wigner = None, [None] * len(wigner)
    if _needed(ctx.needs_input_grad[0]):
        to_atoms = turn_out(gradients, wigner, *graph, *names)
    if _needed(ctx.needs_input_grad[1]):
        to_wigner = outer(atoms, gradients, *graph, *names)
    return to_atoms, to_wigner, *[None] * 6


def _turn_out_setup(ctx, inputs, output):
    bonds, wigner, neighbors, reverse_edge, *names = inputs
    _save(ctx, None, bonds, wigner, neighbors, reverse_edge, names)


def _turn_out_backward(ctx, gradient):
    _, bonds, wigner, graph, names = _restore(ctx)
    to_bonds, to_wigner = [None] * len(bonds), [None] * len(wigner)
    if _needed(ctx.needs_input_grad[0]):
        num_neighbors = bonds[0].shape[1]
        to_bonds = turn_in(gradient, wigner, *graph, num_neighbors, *names)
    if _needed(ctx.needs_input_grad[1]):
        to_wigner = outer(gradient, bonds, *graph, *names)
    return to_bonds, to_wigner, *[None] * 5


def _outer_setup(ctx, inputs, output):
    atoms, bonds, neighbors, reverse_edge, *names = inputs
    _save(ctx, atoms, bonds, None, neighbors, reverse_edge, names)


def _outer_backward(ctx, gradients):
    atoms, bonds, _, graph, (irreps, kinds, scalars) = _restore(ctx)
    # What has no matrix has no part in the derivative by the matrices.
    names = irreps, kinds, "zero" if scalars == "one" else scalars
    to_atoms, to_bonds = None, [None] * len(bonds)
    if _needed(ctx.needs_input_grad[0]):
        to_atoms = turn_out(bonds, gradients, *graph, *names)
    if _needed(ctx.needs_input_grad[1]):
        num_neighbors = bonds[0].shape[1]
        to_bonds = turn_in(atoms, gradients, *graph, num_neighbors, *names)
    return to_atoms, to_bonds, *[None] * 5


turn_in.register_autograd(_turn_in_backward, setup_context=_turn_in_setup)
turn_out.register_autograd(_turn_out_backward, setup_context=_turn_out_setup)
outer.register_autograd(_outer_backward, setup_context=_outer_setup)


def _new_bonds(atoms, num_neighbors, irreps, kinds):
    shapes = bond_shapes(irreps, kinds, atoms.shape[0], num_neighbors)
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
            turned = matrix.permute(2, 0, 1, 3)
            if turned.is_contiguous():
                matrices.append(turned)
                rows_first.append(True)
                continue
        matrices.append(matrix.contiguous())
        rows_first.append(False)
    return tuple(matrices), tuple(rows_first)
