"""Fused kernels against the reference.

With CUDA they run there. Elsewhere `make test-kernels` runs them in Triton's
interpreter, on a CPU and with toy sizes, in a process of its own: TensorFlow
and Triton in one process abort it.
"""

import importlib.util
import itertools

import keras
import numpy as np
import pytest

from keras_hamiltonian.irreps import EdgeIrreps
from keras_hamiltonian.irreps import Irreps
from keras_hamiltonian.irreps.edge import edge_dim
from keras_hamiltonian.irreps.product_paths import ProductPaths
from keras_hamiltonian.layers import EdgeEnds
from keras_hamiltonian.ops import backend
from keras_hamiltonian.ops.channelwise_convolution import (
    channelwise_convolution,
)
from keras_hamiltonian.ops.edges import reverse_edges
from keras_hamiltonian.ops.edges import rotate_both_ends
from keras_hamiltonian.ops.edges import rotate_into_edges
from keras_hamiltonian.ops.edges import sum_over_edges

if keras.config.backend() != "torch":
    pytest.skip("fused kernels are for torch", allow_module_level=True)
if importlib.util.find_spec("triton") is None:
    pytest.skip("triton is not installed", allow_module_level=True)

import torch  # noqa: E402

from keras_hamiltonian.ops.backend.torch.fused import INTERPRETED  # noqa: E402

if not (torch.cuda.is_available() or INTERPRETED):
    pytest.skip("neither CUDA nor TRITON_INTERPRET=1", allow_module_level=True)

DEVICE = "cpu" if INTERPRETED else "cuda"
DTYPES = {"float64": 1e-13, "float32": 1e-5, "bfloat16": 2e-2}
# Both parities, odd multiplicities, a degree that is missing.
IRREPS = "3x0e + 2x0o + 5x1o + 1x1e + 3x2e + 1x2o + 2x4e"
SMALL = "2x0e + 1x0o + 2x1o + 1x1e"


def tensor(array, dtype="float64"):
    return torch.tensor(array, dtype=getattr(torch, dtype), device=DEVICE)


def neighbor_lists(num_atoms, num_neighbors, num_padding=1, seed=0):
    """Lists of a random crystal: `neighbors` and `reverse_edge`."""
    number = num_atoms * num_neighbors
    reverse = np.arange(number)
    real = np.random.default_rng(seed).permutation(number)[num_padding:]
    half = len(real) // 2
    reverse[real[:half]] = real[half : 2 * half]
    reverse[real[half : 2 * half]] = real[:half]
    reverse = reverse.reshape(num_atoms, num_neighbors)
    return [
        torch.tensor(index.astype("int32"), device=DEVICE)
        for index in (reverse // max(num_neighbors, 1), reverse)
    ]


def edge_tensors(num_atoms, num_neighbors, irreps, dtype="float64", lmax=4):
    """Atoms, matrices for l = 0.. and edge features, not all contiguous."""
    random = np.random.default_rng(1)
    shape = (num_atoms, num_neighbors)
    atoms = random.normal(size=(Irreps(irreps).dim, num_atoms)).T
    wigner = [
        tensor(random.normal(size=(*shape, 2 * l + 1, 2 * l + 1)), dtype)
        for l in range(lmax + 1)
    ]
    # The layout of `wigner_d`, and one that no kernel reads as it is.
    wigner[1] = wigner[1].permute(2, 0, 1, 3).contiguous().permute(1, 2, 0, 3)
    wigner[-1] = wigner[-1].transpose(2, 3).contiguous().transpose(2, 3)
    edges = {
        kind: tensor(random.normal(size=(*shape, edge_dim(kind), n)), dtype)
        for kind, n in EdgeIrreps(irreps).items()
    }
    first = edges["0+"]
    edges["0+"] = torch.stack([first, first], dim=-1)[..., 0]
    return tensor(atoms, dtype), wigner, edges


def convolution_tensors(num_atoms, num_neighbors, paths, dtype="float64"):
    random = np.random.default_rng(2)
    shape = (num_atoms, num_neighbors)
    return [
        tensor(random.normal(size=size), dtype)
        for size in (
            (num_atoms, paths.irreps_in1.dim),
            (*shape, paths.irreps_in2.dim),
            (*shape, paths.num_weights),
        )
    ]


def assert_close(found, expected, dtype="float64", name=""):
    assert found.dtype == getattr(torch, dtype), name
    assert found.shape == expected.shape, name
    scale = max(expected.abs().max().item(), 1) if expected.numel() else 1
    np.testing.assert_allclose(
        found.detach().double().cpu().numpy(),
        expected.detach().double().cpu().numpy(),
        rtol=0,
        atol=DTYPES[dtype] * scale,
        err_msg=name,
    )


def double(x):
    return keras.tree.map_structure(lambda t: t.double(), x)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("which", ["own", "neighbor"])
def test_rotating_into_edges(dtype, which):
    atoms, wigner, _ = edge_tensors(3, 5, IRREPS, dtype)
    lists = neighbor_lists(3, 5) if which == "neighbor" else []
    found = rotate_into_edges(atoms, IRREPS, wigner, *lists, kernel="fused")
    expected = rotate_into_edges(
        atoms.double(), IRREPS, double(wigner), *lists, kernel="reference"
    )
    assert set(found) == set(expected)
    for kind, x in expected.items():
        assert_close(found[kind], x, dtype, kind)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("missing", [(), ("1",), ("3", "4")])
def test_summing_over_edges(dtype, missing):
    irreps = "2x1e + 3x2e + 2x4e" if missing else IRREPS
    _, wigner, edges = edge_tensors(3, 9, irreps, dtype)
    whole = {
        kind: x.double() * (kind not in missing) for kind, x in edges.items()
    }
    edges = {kind: x for kind, x in edges.items() if kind not in missing}
    found = sum_over_edges(edges, irreps, wigner, kernel="fused")
    expected = sum_over_edges(whole, irreps, double(wigner), kernel="reference")
    assert_close(found, expected, dtype)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    "irreps, angular, kept",
    [
        ("3x0e + 5x1o + 2x1e + 3x2e", "0e + 1o + 2e", None),
        ("33x0e + 17x1o", "0e + 1o", "0e + 1o"),
        ("1x0e + 2x4e", "4e", "0e + 1e + 4e"),
        ("2x0e + 3x2e", "1o", "1o"),  # a term that every path leaves out
    ],
)
def test_channelwise_convolution(dtype, irreps, angular, kept):
    paths = ProductPaths.channelwise(irreps, angular, kept)
    tensors = convolution_tensors(3, 5, paths, dtype)
    lists = neighbor_lists(3, 5)
    fused = backend.fused_kernel("channelwise_convolution", "fused", *tensors)
    found = fused(*tensors, *lists, paths)
    expected = channelwise_convolution(
        *double(tensors), *lists, paths, kernel="reference"
    )
    assert_close(found, expected, dtype)


def test_more_channels_than_a_tile_holds():
    irreps = "300x0e + 70x1o + 40x4e"
    atoms, wigner, edges = edge_tensors(2, 3, irreps)
    found = rotate_into_edges(atoms, irreps, wigner, kernel="fused")
    expected = rotate_into_edges(atoms, irreps, wigner, kernel="reference")
    for kind, x in expected.items():
        assert_close(found[kind], x, name=kind)
    found = sum_over_edges(edges, irreps, wigner, kernel="fused")
    assert_close(found, sum_over_edges(edges, irreps, wigner, "reference"))
    paths = ProductPaths.channelwise(irreps, "0e + 1o", "0e + 1o")
    tensors = convolution_tensors(2, 3, paths)
    lists = neighbor_lists(2, 3)
    fused = backend.fused_kernel("channelwise_convolution", "fused", *tensors)
    assert_close(
        fused(*tensors, *lists, paths),
        channelwise_convolution(*tensors, *lists, paths, kernel="reference"),
    )


@pytest.mark.parametrize("shape", [(0, 3), (2, 0)])
def test_no_edges(shape):
    atoms, wigner, edges = edge_tensors(*shape, SMALL, lmax=1)
    lists = neighbor_lists(*shape, num_padding=0)
    found = rotate_into_edges(atoms, SMALL, wigner, *lists, kernel="fused")
    assert {k: x.shape for k, x in found.items()} == {
        k: x.shape for k, x in edges.items()
    }
    found = sum_over_edges(edges, SMALL, wigner, kernel="fused")
    np.testing.assert_array_equal(found.cpu(), np.zeros(atoms.shape))
    paths = ProductPaths.channelwise(SMALL, "0e + 1o")
    tensors = convolution_tensors(*shape, paths)
    fused = backend.fused_kernel("channelwise_convolution", "fused", *tensors)
    found = fused(*tensors, *lists, paths)
    np.testing.assert_array_equal(
        found.cpu(), np.zeros((shape[0], paths.irreps_out.dim))
    )


def rotation_case(which, num_atoms=2, num_neighbors=3, irreps=SMALL):
    """A function of a list of tensors and the kernel, and the tensors."""
    atoms, wigner, edges = edge_tensors(
        num_atoms, num_neighbors, irreps, lmax=1
    )
    lists = neighbor_lists(num_atoms, num_neighbors)
    kinds = list(edges)
    if which == "sum_over_edges":

        def run(kernel, *tensors):
            features = dict(zip(kinds, tensors))
            matrices = tensors[len(kinds) :]
            return (sum_over_edges(features, irreps, matrices, kernel),)

        return run, [*edges.values(), *wigner]
    if which == "rotate_own":
        lists = [None, None]

    def run(kernel, atoms, *matrices):
        found = rotate_into_edges(
            atoms, irreps, matrices, *lists, kernel=kernel
        )
        return tuple(found[kind] for kind in kinds)

    return run, [atoms, *wigner]


def convolution_case(num_atoms=2, num_neighbors=3, irreps="3x0e + 2x1o"):
    paths = ProductPaths.channelwise(irreps, "0e + 1o", "0e + 1o")
    lists = neighbor_lists(num_atoms, num_neighbors)

    def run(kernel, *tensors):
        if kernel == "reference":
            return (
                channelwise_convolution(
                    *tensors, *lists, paths, kernel="reference"
                ),
            )
        fused = backend.fused_kernel(
            "channelwise_convolution", kernel, *tensors
        )
        return (fused(*tensors, *lists, paths),)

    return run, convolution_tensors(num_atoms, num_neighbors, paths)


CASES = ["rotate_own", "rotate_neighbor", "sum_over_edges", "convolution"]


def case(name, **sizes):
    if name == "convolution":
        return convolution_case(**sizes)
    return rotation_case(name, **sizes)


def derivatives(function, tensors, order):
    """All derivatives to an order, each weighted by sines."""
    tensors = [t.detach().clone().requires_grad_() for t in tensors]
    values = function(*tensors)
    result = list(values)
    count = itertools.count(1)
    for _ in range(order):
        weights = [
            torch.sin(
                next(count)
                + torch.arange(v.numel(), dtype=v.dtype, device=v.device)
            ).reshape(v.shape)
            for v in values
        ]
        weights = [w.requires_grad_() for w in weights]
        total = sum((v * w).sum() for v, w in zip(values, weights))
        tensors = [*tensors, *weights]
        values = torch.autograd.grad(
            total,
            tensors,
            create_graph=True,
            allow_unused=True,
            materialize_grads=True,
        )
        result.extend(values)
    return result


@pytest.mark.parametrize("name", CASES)
def test_derivatives_are_those_of_the_reference(name):
    run, tensors = case(name)
    found = derivatives(lambda *t: run("fused", *t), tensors, order=3)
    expected = derivatives(lambda *t: run("reference", *t), tensors, order=3)
    assert len(found) == len(expected) > 20
    for k, (x, y) in enumerate(zip(found, expected)):
        assert_close(x, y, name=f"derivative {k}")


@pytest.mark.parametrize("name", CASES)
def test_gradients_by_some_of_the_inputs(name):
    """The others are left out, as in training they mostly are."""
    run, tensors = case(name)
    for k in (0, len(tensors) - 1):
        gradients = []
        for kernel in ("fused", "reference"):
            own = [t.detach().clone() for t in tensors]
            own[k].requires_grad_()
            total = sum((v * v).sum() for v in run(kernel, *own))
            gradients += torch.autograd.grad(total, own[k])
        assert_close(*gradients)


@pytest.mark.parametrize("name", CASES)
def test_derivatives_are_those_of_the_values(name):
    irreps = "2x1o" if name == "convolution" else "1x0e + 2x1o"
    run, tensors = case(name, num_neighbors=2, irreps=irreps)
    tensors = [t.requires_grad_() for t in tensors]
    arguments = (lambda *t: run("fused", *t)), tensors
    torch.autograd.gradcheck(*arguments, fast_mode=True)
    torch.autograd.gradgradcheck(*arguments, fast_mode=True)


def test_operations_of_torch_are_well_formed():
    from keras_hamiltonian.ops.backend.torch.kernels import convolution
    from keras_hamiltonian.ops.backend.torch.kernels import edge_rotation

    atoms, wigner, edges = edge_tensors(2, 3, SMALL, lmax=1)
    lists = neighbor_lists(2, 3)
    features = [edges[kind] for kind in edges]
    names = SMALL, ",".join(edges), "weight"
    paths = ProductPaths.channelwise(SMALL, "0e + 1o")
    x, y, w = convolution_tensors(2, 3, paths)
    couplings = convolution._names(paths)
    matrices = y @ convolution._couplings(paths, y.dtype, y.device)
    out = convolution.to_outputs(x, matrices, w, *lists, *couplings)
    for operation, arguments in (
        (edge_rotation.rotate_in, (atoms, wigner, *lists, 3, *names)),
        (edge_rotation.rotate_out, (features, wigner, *lists, *names)),
        (edge_rotation.outer, (atoms, features, *lists, *names)),
        (convolution.to_outputs, (x, matrices, w, *lists, *couplings)),
        (convolution.to_weights, (x, matrices, out, *lists, *couplings)),
        (convolution.to_features, (matrices, w, out, *lists, *couplings)),
        (convolution.to_matrices, (x, w, out, *lists, *couplings)),
    ):
        arguments = keras.tree.map_structure(
            lambda t: (
                t.detach().requires_grad_()
                if isinstance(t, torch.Tensor) and t.is_floating_point()
                else t
            ),
            arguments,
        )
        torch.library.opcheck(
            operation,
            arguments,
            test_utils=(
                "test_schema",
                "test_autograd_registration",
                "test_faketensor",
            ),
        )


def test_both_ends_of_the_edges(cluster):
    """On a real structure, where frames of reverse edges fit each other."""
    from keras_hamiltonian.ops.wigner_d import edge_frames
    from keras_hamiltonian.ops.wigner_d import wigner_d

    wigner = wigner_d(edge_frames(tensor(cluster["edge_vectors"])), 4)
    reverse_edge = torch.tensor(cluster["reverse_edge"], device=DEVICE)
    size = (len(cluster["species"]), Irreps(IRREPS).dim)
    atoms = tensor(np.random.default_rng(0).normal(size=size))
    arguments = atoms, IRREPS, wigner, reverse_edge
    own, other = rotate_both_ends(*arguments, kernel="fused")
    expected = rotate_into_edges(*arguments[:3], kernel="reference")
    mask = torch.tensor(cluster["edge_mask"] > 0, device=DEVICE)
    rotated = reverse_edges(expected, IRREPS, reverse_edge)
    layer = EdgeEnds(IRREPS, dtype="float64")
    ends = layer(atoms, wigner=wigner, reverse_edge=reverse_edge)
    for kind, x in expected.items():
        assert_close(own[kind], x, name=kind)
        assert_close(other[kind][mask], rotated[kind][mask], name=kind)
        assert_close(ends["neighbor"][kind], other[kind], name=kind)


def test_kernel_that_cannot_run_says_why():
    atoms, wigner, _ = edge_tensors(2, 3, SMALL, lmax=1)
    mixed = [wigner[0], wigner[1].float()]
    with pytest.raises(ValueError, match="float64 and of torch.float32"):
        rotate_into_edges(atoms, SMALL, mixed, kernel="fused")
    elsewhere = [wigner[0], wigner[1].to("meta")]
    with pytest.raises(ValueError, match="on meta"):
        rotate_into_edges(atoms, SMALL, elsewhere, kernel="fused")
    with pytest.raises(ValueError, match="Received: kernel='fast'"):
        rotate_into_edges(atoms, SMALL, wigner, kernel="fast")
    with pytest.raises(ValueError, match="reverse_edge=None"):
        rotate_into_edges(
            atoms, SMALL, wigner, neighbor_lists(2, 3)[0], kernel="fused"
        )
