"""Operations beside e3nn's and cuEquivariance's, forward and backward.

    OMP_NUM_THREADS=1 OMP_WAIT_POLICY=PASSIVE \\
        pytest tests/benchmarks/test_operations.py --benchmark-only -s

By turns in one run, float32, one thread, CPU seconds; nothing fails because of
a time. cuEquivariance takes part where it can be imported.
"""

import keras
import numpy as np
import pytest
from alternating import alternate

from keras_hamiltonian import ops
from keras_hamiltonian.irreps import Irreps
from keras_hamiltonian.irreps import ProductPaths
from keras_hamiltonian.irreps import symmetric_couplings
from keras_hamiltonian.irreps.symmetric_couplings import count_symmetric_paths

pytestmark = pytest.mark.skipif(
    keras.config.backend() != "torch", reason="the peers are torch programs"
)
LOW = "64x0e + 64x1o + 64x2e"
HIGH = "64x0e + 32x1o + 16x2e + 8x3o + 8x4e"
TO_E3NN = [1, 2, 0]


@pytest.fixture
def torch():
    torch = pytest.importorskip("torch")
    torch.set_num_threads(1)
    torch.manual_seed(0)
    return torch


@pytest.fixture
def o3():
    return pytest.importorskip("e3nn.o3")


def forward_and_backward(function, *inputs):
    def program():
        for x in inputs:
            x.grad = None
        function(*inputs).sum().backward()

    return program


def ring(torch, num_atoms, num_neighbors):
    """Neighbours on a ring, and where the reverse of each edge stands."""
    half = np.arange(1, num_neighbors // 2 + 1)
    steps = np.concatenate([half, -half])
    neighbors = (np.arange(num_atoms)[:, None] + steps) % num_atoms
    opposite = np.roll(np.arange(num_neighbors), num_neighbors // 2)
    reverse_edge = neighbors * num_neighbors + opposite
    return torch.tensor(neighbors), torch.tensor(reverse_edge)


def harmonics_to(lmax):
    return " + ".join(f"1x{l}{'eo'[l % 2]}" for l in range(lmax + 1))


@pytest.mark.parametrize("lmax", [4, 8])
def test_spherical_harmonics(benchmark, torch, o3, lmax):
    vectors = torch.randn(20000, 3, requires_grad=True)
    degrees = list(range(lmax + 1))

    def theirs(x):
        return o3.spherical_harmonics(degrees, x[:, TO_E3NN], True, "component")

    alternate(
        benchmark,
        f"spherical harmonics, 20000 vectors, lmax {lmax}",
        ours=forward_and_backward(
            lambda x: ops.spherical_harmonics(x, lmax), vectors
        ),
        e3nn=forward_and_backward(theirs, vectors),
    )


@pytest.mark.parametrize(
    "irreps, lmax, num_atoms, num_neighbors",
    [(LOW, 2, 500, 20), (LOW, 3, 72, 30), (HIGH, 4, 72, 44)],
)
def test_channelwise_convolution(
    benchmark, torch, o3, irreps, lmax, num_atoms, num_neighbors
):
    kept = irreps if lmax != 3 else None
    paths = ProductPaths.channelwise(irreps, harmonics_to(lmax), kept)
    size = num_atoms, num_neighbors
    neighbors, reverse_edge = ring(torch, *size)
    receivers = torch.arange(num_atoms).repeat_interleave(num_neighbors)
    inputs = [
        torch.randn(num_atoms, paths.irreps_in1.dim, requires_grad=True),
        torch.randn(*size, paths.irreps_in2.dim, requires_grad=True),
        torch.randn(*size, paths.num_weights, requires_grad=True),
    ]

    def ours(x, y, w):
        return ops.channelwise_convolution(
            x, y, w, neighbors, reverse_edge, paths
        )

    def gather_and_scatter(product):
        def convolve(x, y, w):
            messages = product(
                x[neighbors.ravel()], y.flatten(0, 1), w.flatten(0, 1)
            )
            sums = torch.zeros(num_atoms, messages.shape[1])
            return sums.index_add(0, receivers, messages)

        return convolve

    peers = {"cuequivariance": cuequivariance(paths)}
    peers["e3nn"] = o3.TensorProduct(
        str(paths.irreps_in1),
        str(paths.irreps_in2),
        str(paths.irreps_out),
        [(p.term1, p.term2, p.term_out, "uvu", True) for p in paths.paths],
        shared_weights=False,
        internal_weights=False,
    )
    alternate(
        benchmark,
        f"channel-wise convolution, {irreps}, lmax {lmax}, "
        f"{num_atoms} atoms, {num_neighbors} neighbours",
        ours=forward_and_backward(ours, *inputs),
        **{
            name: forward_and_backward(gather_and_scatter(product), *inputs)
            for name, product in peers.items()
            if product is not None
        },
    )


def cuequivariance(paths):
    """The same product by cuEquivariance on a CPU, or `None`."""
    try:
        import cuequivariance as cue
        import cuequivariance_torch as cuet
    except ImportError:
        return None
    irreps1, irreps2, irreps_out = (
        cue.Irreps("O3", str(irreps).replace("+", " + "))
        for irreps in (paths.irreps_in1, paths.irreps_in2, paths.irreps_out)
    )
    return cuet.ChannelWiseTensorProduct(
        irreps1,
        irreps2,
        [irrep for _, irrep in irreps_out],
        layout=cue.ir_mul,
        shared_weights=False,
        internal_weights=False,
        method="naive",
    )


def test_so2_convolution(benchmark, torch, o3):
    """With the kernels of a full product, and that product by e3nn."""
    lmax, size = 4, (36, 44)
    paths = ProductPaths.fully_connected(HIGH, harmonics_to(lmax), HIGH)
    neighbors, reverse_edge = ring(torch, *size)
    vectors = torch.randn(*size, 3)
    vectors = vectors - vectors.reshape(-1, 3)[reverse_edge]
    wigner = ops.wigner_d(ops.bond_frames(vectors), lmax)
    harmonics = ops.spherical_harmonics(vectors, lmax)
    inputs = [
        torch.randn(size[0], Irreps(HIGH).dim, requires_grad=True),
        torch.randn(paths.num_weights, requires_grad=True),
    ]

    def ours(x, weights):
        kernels = ops.so2_kernels(weights, paths)
        return ops.so2_convolution(
            x, wigner, kernels, neighbors, HIGH, HIGH, None, reverse_edge
        )

    def full(x, weights):
        product = ops.tensor_product(x[neighbors], harmonics, weights, paths)
        return product.sum(1)

    theirs = o3.FullyConnectedTensorProduct(
        HIGH, harmonics_to(lmax), HIGH, internal_weights=False
    )

    def gathered(x, weights):
        return theirs(x[neighbors], harmonics, weights).sum(1)

    alternate(
        benchmark,
        f"fully connected convolution, {HIGH}, lmax {lmax}, 1584 edges",
        frame=forward_and_backward(ours, *inputs),
        tensor_product=forward_and_backward(full, *inputs),
        e3nn=forward_and_backward(gathered, *inputs),
    )


@pytest.mark.parametrize("correlation", [2, 3])
def test_symmetric_contraction(benchmark, torch, o3, correlation):
    """Beside the same orders by full tensors, contracted factor by factor."""
    irreps, single = Irreps(LOW), Irreps("0e + 1o + 2e")
    counts = count_symmetric_paths(irreps, irreps, correlation)
    num_paths = sum(map(sum, counts.values()))
    tensors = [
        [
            torch.tensor(
                symmetric_couplings(single, irrep, order).tensor(single.dim),
                dtype=torch.float32,
            )
            for order in range(1, correlation + 1)
        ]
        for _, irrep in irreps
    ]

    def by_factors(x, weights):
        x = x.reshape(len(x), single.dim, -1)
        results, start = [], 0
        for orders in tensors:
            total, stop = None, start + sum(map(len, orders))
            end = stop
            for tensor in reversed(orders):
                own = weights[end - len(tensor) : end]
                end -= len(tensor)
                mixed = torch.tensordot(own.T, tensor, 1)[None]
                total = mixed if total is None else total + mixed
                total = torch.einsum("nc...i,nic->nc...", total, x)
            start = stop
            results.append(total.swapaxes(1, 2).flatten(1))
        return torch.cat(results, dim=1)

    inputs = [
        torch.randn(72, irreps.dim, requires_grad=True),
        torch.randn(num_paths, 64, requires_grad=True),
    ]

    def ours(x, weights):
        return ops.symmetric_contraction(x, weights, LOW, LOW, correlation)

    np.testing.assert_allclose(
        *(f(*inputs).detach().numpy() for f in (ours, by_factors)), atol=1e-3
    )
    alternate(
        benchmark,
        f"symmetric contraction, {LOW}, order {correlation}, 72 atoms",
        ours=forward_and_backward(ours, *inputs),
        by_factors=forward_and_backward(by_factors, *inputs),
    )
