"""Operations beside e3nn's and cuEquivariance's, forward and backward.

    OMP_NUM_THREADS=1 OMP_WAIT_POLICY=PASSIVE \\
        pytest tests/benchmarks/test_operations.py --benchmark-only -s

Alternating in one run, float32, one thread, CPU seconds; nothing fails
because of a time. cuEquivariance takes part where it can be imported:

    pip install --no-deps --target cue cuequivariance cuequivariance-torch
    PYTHONPATH=cue pytest ...
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

if keras.config.backend() != "torch":
    pytest.skip("the peers are torch programs", allow_module_level=True)
o3 = pytest.importorskip("e3nn.o3")

import torch  # noqa: E402
from convolution_programs import FOURTH  # noqa: E402
from convolution_programs import LOW  # noqa: E402
from convolution_programs import SIXTH  # noqa: E402
from convolution_programs import TO_E3NN  # noqa: E402
from convolution_programs import harmonics_to  # noqa: E402
from convolution_programs import measure  # noqa: E402
from convolution_programs import mixing_convolution  # noqa: E402
from convolution_programs import mixing_e3nn  # noqa: E402
from convolution_programs import program_of  # noqa: E402
from convolution_programs import ring  # noqa: E402

FORWARD_OR_BOTH = pytest.mark.parametrize(
    "backward", [False, True], ids=["forward", "both"]
)


@pytest.fixture(autouse=True)
def one_thread():
    torch.set_num_threads(1)
    torch.manual_seed(0)


@pytest.mark.parametrize("lmax", [4, 8])
def test_spherical_harmonics(benchmark, lmax):
    vectors = torch.randn(20000, 3, requires_grad=True)
    degrees = list(range(lmax + 1))

    def ours():
        return ops.spherical_harmonics(vectors, lmax)

    def theirs():
        x = vectors[:, TO_E3NN]
        return o3.spherical_harmonics(degrees, x, True, "component")

    alternate(
        benchmark,
        f"spherical harmonics, 20000 vectors, lmax {lmax}",
        ours=program_of(ours, [vectors]),
        e3nn=program_of(theirs, [vectors]),
    )


@FORWARD_OR_BOTH
@pytest.mark.parametrize(
    "irreps, num_edges",
    [(FOURTH, 800), (FOURTH, 5000), (FOURTH, 20000), (SIXTH, 800)]
    + [(SIXTH, 5000), (SIXTH, 20000)],
    ids=lambda x: x if isinstance(x, int) else f"l{Irreps(x).lmax}",
)
def test_mixing_convolution(benchmark, irreps, num_edges, backward):
    """The product of the network: [n_i | n_j | e_ij] with the direction."""
    if (irreps, num_edges, backward) == (SIXTH, 20000, True):
        pytest.skip("e3nn to l = 6 takes 8 GB for gradients at 20000 edges")
    # Where e3nn needs more than ten seconds, one round.
    is_long = num_edges * (1 + backward) * (5 if irreps == SIXTH else 1) > 12000
    programs = mixing_convolution(irreps, num_edges, backward)
    alternate(
        benchmark,
        f"mixing convolution, {irreps}, {num_edges} edges, "
        f"{'forward and backward' if backward else 'forward'}",
        rounds=1 if is_long else 5,
        **programs,
        **mixing_e3nn(irreps, num_edges, backward),
    )


@FORWARD_OR_BOTH
@pytest.mark.parametrize(
    "irreps, lmax, num_atoms, num_neighbors",
    [(LOW, 2, 500, 20), (LOW, 3, 72, 30), (FOURTH, 4, 72, 44)],
)
def test_channelwise_convolution(
    benchmark, irreps, lmax, num_atoms, num_neighbors, backward
):
    """Beside a product of each edge whose messages are then added up."""
    kept = irreps if lmax != 3 else None
    paths = ProductPaths.channelwise(irreps, harmonics_to(lmax), kept)
    size = num_atoms, num_neighbors
    neighbors, reverse_edge, _ = ring(*size)
    receivers = torch.arange(num_atoms).repeat_interleave(num_neighbors)
    inputs = x, y, w = [
        torch.randn(num_atoms, paths.irreps_in1.dim),
        torch.randn(*size, paths.irreps_in2.dim),
        torch.randn(*size, paths.num_weights),
    ]
    for tensor in inputs:
        tensor.requires_grad_(backward)

    def ours():
        return ops.channelwise_convolution(
            *inputs, neighbors, reverse_edge, paths
        )

    def gather_and_scatter(product):
        def convolve():
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
        f"{num_atoms} atoms, {num_neighbors} neighbours, "
        f"{'forward and backward' if backward else 'forward'}",
        ours=program_of(ours, inputs, backward),
        **{
            name: program_of(gather_and_scatter(product), inputs, backward)
            for name, product in peers.items()
            if product is not None
        },
    )


def cuequivariance(paths):
    """The same product by cuEquivariance on a CPU, or `None`."""
    try:
        import cuequivariance as cue
        import cuequivariance_torch as cuet
    except ImportError as error:
        print(f"\nwithout cuEquivariance: {error}")
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


@pytest.mark.parametrize(
    "title, program, sizes",
    [
        (
            f"mixing convolution, {FOURTH}",
            "mixing_convolution(FOURTH, {}, True)['ours']",
            (800, 2000, 5000, 10000, 20000),
        ),
        (
            f"channel-wise convolution, {LOW}, lmax 2",
            "channelwise({})['ours']",
            (800, 2000, 5000, 10000, 20000),
        ),
        (
            f"mixing convolution by e3nn, {FOURTH}",
            "mixing_e3nn(FOURTH, {}, True)['e3nn']",
            (800, 2000, 5000),
        ),
    ],
    ids=["mixing", "channelwise", "e3nn"],
)
def test_cost_of_an_edge(benchmark, title, program, sizes):
    """Time and peak memory, forward and backward, grow as the edges do."""
    found = {}

    def one_round():
        for n in sizes:
            found[n] = measure(program.format(n))

    benchmark.pedantic(one_round, rounds=1)
    print(f"\n{title}, forward and backward")
    for n, result in found.items():
        microseconds = 1e6 * result["seconds"] / n
        size = 1e-3 * result["bytes"] / n
        benchmark.extra_info[str(n)] = [microseconds, size]
        print(
            f"  {n:6d} edges {microseconds:8.1f} CPU us / edge"
            f" {size:8.1f} kB / edge"
        )


def test_so2_convolution(benchmark):
    """With the kernels of a full product, and that product by e3nn."""
    lmax, size = 4, (36, 44)
    paths = ProductPaths.fully_connected(FOURTH, harmonics_to(lmax), FOURTH)
    neighbors, reverse_edge, vectors = ring(*size)
    wigner = ops.wigner_d(ops.edge_frames(vectors), lmax)
    harmonics = ops.spherical_harmonics(vectors, lmax)
    inputs = x, weights = [
        torch.randn(size[0], Irreps(FOURTH).dim, requires_grad=True),
        torch.randn(paths.num_weights, requires_grad=True),
    ]

    def ours():
        kernels = ops.so2_kernels(weights, paths)
        return ops.so2_convolution(
            x, wigner, kernels, neighbors, FOURTH, FOURTH, None, reverse_edge
        )

    def full():
        product = ops.tensor_product(x[neighbors], harmonics, weights, paths)
        return product.sum(1)

    theirs = o3.FullyConnectedTensorProduct(
        FOURTH, harmonics_to(lmax), FOURTH, internal_weights=False
    )

    def gathered():
        return theirs(x[neighbors], harmonics, weights).sum(1)

    alternate(
        benchmark,
        f"fully connected convolution, {FOURTH}, lmax {lmax}, 1584 edges",
        frame=program_of(ours, inputs),
        tensor_product=program_of(full, inputs),
        e3nn=program_of(gathered, inputs),
    )


@pytest.mark.parametrize("correlation", [2, 3])
def test_symmetric_contraction(benchmark, correlation):
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

    def by_factors():
        x = features.reshape(len(features), single.dim, -1)
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

    inputs = features, weights = [
        torch.randn(72, irreps.dim, requires_grad=True),
        torch.randn(num_paths, 64, requires_grad=True),
    ]

    def ours():
        return ops.symmetric_contraction(*inputs, LOW, LOW, correlation)

    np.testing.assert_allclose(
        *(f().detach().numpy() for f in (ours, by_factors)), atol=1e-3
    )
    alternate(
        benchmark,
        f"symmetric contraction, {LOW}, order {correlation}, 72 atoms",
        ours=program_of(ours, inputs),
        by_factors=program_of(by_factors, inputs),
    )
