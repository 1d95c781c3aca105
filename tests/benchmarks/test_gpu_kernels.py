"""Fused kernels beside the reference and e3nn, on a CUDA device.

    KERAS_BACKEND=torch pytest tests/benchmarks/test_gpu_kernels.py \\
        --benchmark-only -s

Device events around each call, after a warm-up; inputs rotate, so that they
do not stay in the cache; the median counts. "Bound" is the time in which the
device would copy as many bytes as inputs and outputs have, at the speed of a
large copy measured in the same run. Nothing fails because of a time.
"""

import importlib.util

import keras
import numpy as np
import pytest

from keras_hamiltonian.irreps import EdgeIrreps
from keras_hamiltonian.irreps import Irreps
from keras_hamiltonian.irreps.edge import edge_dim
from keras_hamiltonian.irreps.product_paths import ProductPaths
from keras_hamiltonian.ops import backend
from keras_hamiltonian.ops.channelwise_convolution import (
    channelwise_convolution,
)
from keras_hamiltonian.ops.edges import rotate_both_ends
from keras_hamiltonian.ops.edges import sum_over_edges

if keras.config.backend() != "torch":
    pytest.skip("the kernels are for torch", allow_module_level=True)

import torch  # noqa: E402

if not torch.cuda.is_available():
    pytest.skip("no CUDA device", allow_module_level=True)
if importlib.util.find_spec("triton") is None:
    pytest.skip("triton is not installed", allow_module_level=True)

NUM_ATOMS, NUM_NEIGHBORS = 2500, 40
NUM_COPIES = 3
HIDDEN = "64x0e + 32x1o + 16x2e + 8x3o + 8x4e"


def milliseconds(function, inputs, rounds=30):
    """Median, smallest and largest time of a call on the device."""
    for k in range(5):
        function(*inputs[k % len(inputs)])
    times = []
    for k in range(rounds):
        start, stop = (torch.cuda.Event(enable_timing=True) for _ in "ab")
        start.record()
        function(*inputs[k % len(inputs)])
        stop.record()
        stop.synchronize()
        times.append(start.elapsed_time(stop))
    return float(np.median(times)), min(times), max(times)


def num_bytes(tree):
    return sum(x.numel() * x.element_size() for x in keras.tree.flatten(tree))


def copy_speed():
    """Bytes read and written in a millisecond by a large copy."""
    source = torch.empty(2**28, device="cuda")
    target = torch.empty_like(source)
    time, _, _ = milliseconds(target.copy_, [(source,)])
    return 2 * num_bytes(source) / time


def report(benchmark, title, programs, inputs, traffic):
    """Times programs on equal inputs, forward, or with gradients."""
    speed = copy_speed()
    bound = traffic / speed
    print(f"\n{title}: {torch.cuda.get_device_name()}, {speed / 1e9:.2f} TB/s")

    def one_round():
        for name, program in programs.items():
            median, low, high = milliseconds(program, inputs)
            benchmark.extra_info[name] = median
            print(
                f"  {name:12s} {median:8.3f} ms ({low:.3f} - {high:.3f})"
                f"  {bound / median:5.0%} of the bound"
            )

    benchmark.pedantic(one_round, rounds=1)


def ring():
    """Atoms on a ring: `neighbors` and `reverse_edge`."""
    step = np.arange(1, NUM_NEIGHBORS // 2 + 1)
    offsets = np.stack([step, -step], axis=1).ravel()
    neighbors = (np.arange(NUM_ATOMS)[:, None] + offsets) % NUM_ATOMS
    reverse = neighbors * NUM_NEIGHBORS + (np.arange(NUM_NEIGHBORS) ^ 1)
    return [
        torch.tensor(x, dtype=torch.int32).cuda() for x in (neighbors, reverse)
    ]


def random_edges():
    shape = NUM_ATOMS, NUM_NEIGHBORS
    wigner = [
        torch.randn(*shape, 2 * l + 1, 2 * l + 1, device="cuda")
        for l in range(5)
    ]
    edges = {
        kind: torch.randn(*shape, edge_dim(kind), n, device="cuda")
        for kind, n in EdgeIrreps(HIDDEN).items()
    }
    atoms = torch.randn(NUM_ATOMS, Irreps(HIDDEN).dim, device="cuda")
    return atoms, wigner, edges


def test_rotating_into_edges(benchmark):
    """Features of both atoms of 100 000 edges."""
    _, reverse_edge = ring()
    inputs = [random_edges()[:2] for _ in range(NUM_COPIES)]

    def run(kernel):
        return lambda atoms, wigner: rotate_both_ends(
            atoms, HIDDEN, wigner, reverse_edge, kernel
        )

    atoms, wigner = inputs[0]
    outputs = run("fused")(atoms, wigner)
    # Each end reads the matrices once.
    traffic = num_bytes([atoms, wigner[1:], outputs, reverse_edge])
    programs = {k: run(k) for k in ("fused", "reference")}
    report(benchmark, "rotating into edges", programs, inputs, traffic)


def test_summing_over_edges(benchmark):
    inputs = [random_edges()[1:] for _ in range(NUM_COPIES)]

    def run(kernel):
        return lambda wigner, edges: sum_over_edges(
            edges, HIDDEN, wigner, kernel
        )

    traffic = num_bytes([inputs[0], run("fused")(*inputs[0])])
    programs = {k: run(k) for k in ("fused", "reference")}
    report(benchmark, "summing over edges", programs, inputs, traffic)


@pytest.mark.parametrize("backward", [False, True], ids=["forward", "both"])
@pytest.mark.parametrize(
    "irreps, angular",
    [
        ("64x0e + 64x1o + 64x2e", "0e + 1o + 2e + 3o"),
        ("64x0e + 32x1o + 16x2e", "0e + 1o + 2e"),
    ],
)
def test_channelwise_convolution(benchmark, irreps, angular, backward):
    """Weights of 100 000 edges; gradients by features and weights."""
    paths = ProductPaths.channelwise(irreps, angular, "0e + 1o + 2e")
    neighbors, reverse_edge = ring()
    shape = NUM_ATOMS, NUM_NEIGHBORS
    inputs = [
        (
            torch.randn(
                NUM_ATOMS,
                paths.irreps_in1.dim,
                device="cuda",
                requires_grad=backward,
            ),
            torch.randn(*shape, paths.irreps_in2.dim, device="cuda"),
            torch.randn(
                *shape, paths.num_weights, device="cuda", requires_grad=backward
            ),
        )
        for _ in range(NUM_COPIES)
    ]
    lists = neighbors, reverse_edge

    def fused(x, y, w):
        kernel = backend.fused_kernel(
            "channelwise_convolution", "fused", x, y, w
        )
        return kernel(x, y, w, *lists, paths)

    def reference(x, y, w):
        return channelwise_convolution(
            x, y, w, *lists, paths, kernel="reference"
        )

    def with_gradients(program):
        def run(x, y, w):
            result = program(x, y, w)
            if backward:
                torch.autograd.grad(result.sum(), (x, w))

        return run

    programs = {"fused": fused, "reference": reference}
    if importlib.util.find_spec("e3nn") is not None:
        programs["e3nn"] = e3nn_program(paths, neighbors)
    result = fused(*inputs[0])
    traffic = num_bytes([inputs[0], lists, result])
    if backward:  # both gradients written, all factors read again
        x, _, w = inputs[0]
        traffic += num_bytes([inputs[0], lists, result, x, w])
    report(
        benchmark,
        f"convolution of {irreps}, {'both ways' if backward else 'forward'}",
        {name: with_gradients(p) for name, p in programs.items()},
        inputs,
        traffic,
    )


def e3nn_program(paths, neighbors):
    """A product of every edge, in e3nn's layout, and their sum."""
    from e3nn import o3

    product = o3.TensorProduct(
        str(paths.irreps_in1),
        str(paths.irreps_in2),
        str(paths.irreps_out),
        [(p.term1, p.term2, p.term_out, "uvu", True) for p in paths.paths],
        shared_weights=False,
        internal_weights=False,
    ).cuda()
    second = neighbors.long().ravel()

    def run(x, y, w):
        messages = product(x[second], y.flatten(0, 1), w.flatten(0, 1)).reshape(
            *neighbors.shape, -1
        )
        return messages.sum(1)

    return run
