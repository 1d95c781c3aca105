"""Convolutions on a ring of atoms: ours, e3nn's, and their memory."""

import json
import os
import subprocess
import sys

import numpy as np
import torch

from keras_hamiltonian import ops
from keras_hamiltonian.irreps import EdgeIrreps
from keras_hamiltonian.irreps import Irreps
from keras_hamiltonian.irreps import ProductPaths
from keras_hamiltonian.irreps.edge import edge_dim

FOURTH = "64x0e + 32x1o + 16x2e + 8x3o + 8x4e"
SIXTH = FOURTH + " + 4x5o + 4x6e"
LOW = "64x0e + 64x1o + 64x2e"
TO_E3NN = [1, 2, 0]


def harmonics_to(lmax):
    """Irreps of the spherical harmonics, each degree once."""
    return " + ".join(f"1x{l}{'eo'[l % 2]}" for l in range(lmax + 1))


def ring(num_atoms, num_neighbors):
    """Neighbours on a ring, where the reverse of each edge stands, vectors."""
    half = np.arange(1, num_neighbors // 2 + 1)
    steps = np.concatenate([half, -half])
    neighbors = (np.arange(num_atoms)[:, None] + steps) % num_atoms
    opposite = np.roll(np.arange(num_neighbors), num_neighbors // 2)
    reverse = torch.tensor(neighbors * num_neighbors + opposite)
    vectors = torch.randn(num_atoms, num_neighbors, 3)
    vectors = vectors - vectors.reshape(-1, 3)[reverse]
    return torch.tensor(neighbors), reverse, vectors


def program_of(function, inputs, backward=True):
    """A call of the function, and the gradients by all inputs.

    Args:
        function: callable without arguments.
        inputs: list of tensors, whose old gradients are dropped.
        backward: bool. Whether gradients are taken.
    """

    def program():
        for x in inputs:
            x.grad = None
        with torch.set_grad_enabled(backward):
            result = function()
            if backward:
                result.sum().backward()

    return program


def mixing_convolution(irreps, num_edges, backward, num_neighbors=40):
    """[n_i | n_j | e_ij] times the harmonics of the edge, summed at the atoms.

    Args:
        irreps: str. Of the atoms, the edges and the result.
        num_edges: int.
        backward: bool. Whether gradients are taken, by features and weights.

    Returns:
        Dict of programs: `"ours"`, and `"frames_once"`, which all layers
        share.
    """
    irreps = Irreps(irreps)
    num_atoms = num_edges // num_neighbors
    _, reverse, vectors = ring(num_atoms, num_neighbors)
    channels = EdgeIrreps(irreps)
    atoms = torch.randn(num_atoms, irreps.dim)
    edges = {
        kind: torch.randn(*reverse.shape, edge_dim(kind), size)
        for kind, size in channels.items()
    }
    kernels = {
        kind: [torch.randn(size, size) for _ in range(3)]
        for kind, size in channels.items()
    }
    inputs = [atoms, *edges.values(), *sum(kernels.values(), [])]
    for x in inputs:
        x.requires_grad_(backward)

    def frames():
        return ops.wigner_d(ops.edge_frames(vectors), irreps.lmax)

    wigner = frames()

    def ours():
        center = ops.rotate_into_edges(atoms, irreps, wigner)
        neighbor = ops.reverse_edges(center, irreps, reverse)
        mixed = ops.so2_linear([center, neighbor, edges], kernels)
        return ops.sum_over_edges(mixed, irreps, wigner)

    return {"ours": program_of(ours, inputs, backward), "frames_once": frames}


def mixing_e3nn(irreps, num_edges, backward, num_neighbors=40):
    """The same by e3nn's fully connected tensor product."""
    from deeph_e3_like import sort_order
    from e3nn import o3

    hidden = o3.Irreps(irreps)
    lmax = max(hidden.ls)
    num_atoms = num_edges // num_neighbors
    neighbors, _, vectors = ring(num_atoms, num_neighbors)
    sorted_irreps, order = sort_order(3 * hidden)
    product = o3.FullyConnectedTensorProduct(
        sorted_irreps, o3.Irreps.spherical_harmonics(lmax), hidden
    )
    harmonics = o3.spherical_harmonics(
        list(range(lmax + 1)), vectors.reshape(-1, 3)[:, TO_E3NN], True
    )
    first = torch.arange(num_atoms).repeat_interleave(num_neighbors)
    second = neighbors.ravel()
    atoms = torch.randn(num_atoms, hidden.dim, requires_grad=backward)
    edges = torch.randn(num_edges, hidden.dim, requires_grad=backward)

    def convolve():
        x = torch.cat([atoms[first], atoms[second], edges], dim=1)
        messages = product(x[:, order], harmonics)
        sums = torch.zeros(num_atoms, hidden.dim)
        return sums.index_add(0, first, messages)

    inputs = [atoms, edges, *product.parameters()]
    return {"e3nn": program_of(convolve, inputs, backward)}


def channelwise(num_edges, num_neighbors=40):
    """Ours, channel by channel, with weights of each edge."""
    num_atoms = num_edges // num_neighbors
    neighbors, reverse, vectors = ring(num_atoms, num_neighbors)
    paths = ProductPaths.channelwise(LOW, harmonics_to(2), LOW)
    inputs = [
        torch.randn(num_atoms, paths.irreps_in1.dim, requires_grad=True),
        ops.spherical_harmonics(vectors, 2).requires_grad_(),
        torch.randn(*reverse.shape, paths.num_weights, requires_grad=True),
    ]

    def ours():
        return ops.channelwise_convolution(*inputs, neighbors, reverse, paths)

    return {"ours": program_of(ours, inputs)}


MEASURE = """
import json, sys, time
import torch
sys.path.insert(0, sys.argv[1])
from convolution_programs import *
torch.set_num_threads(1)
program = eval(sys.argv[2])
def memory(field):
    # Not `getrusage`: its peak includes the process that started this one.
    with open("/proc/self/status") as status:
        return next(int(x.split()[1]) for x in status if x.startswith(field))
def peak():
    # Of one call, over what was there before.
    with open("/proc/self/clear_refs", "w") as file:
        file.write("5")
    before = memory("VmRSS")
    start = time.process_time()
    program()
    return time.process_time() - start, 1024 * (memory("VmHWM") - before)
found = [peak() for _ in range(int(sys.argv[3]))]
seconds, size = min(s for s, _ in found), max(b for _, b in found)
print(json.dumps({"seconds": seconds, "bytes": size}))
"""


def measure(program, rounds=3):
    """CPU seconds and peak memory of a program, in a process of its own.

    Args:
        program: str. An expression in the names of this module.
        rounds: int. Calls; the fastest and the largest count.

    Returns:
        Dict of `"seconds"` and `"bytes"`.
    """
    here = os.path.dirname(__file__)
    done = subprocess.run(
        [sys.executable, "-c", MEASURE, here, program, str(rounds)],
        env={**os.environ, "KERAS_BACKEND": "torch"},
        capture_output=True,
        text=True,
        check=True,
    )
    return json.loads(done.stdout.splitlines()[-1])
