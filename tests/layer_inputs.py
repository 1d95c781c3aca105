"""What the cases of all layers share: a small graph and features of it."""

import numpy as np

from keras_hamiltonian.irreps import EdgeIrreps
from keras_hamiltonian.irreps import Irreps
from keras_hamiltonian.orbitals.block_layout import BlockLayout

# Natural parity alone, and both parities.
SMALL = "4x0e + 3x1o + 2x2e"
MIXED = "4x0e + 1x0o + 2x1e + 3x1o + 2x2e"
BASIS = {"C": "1s 1p", "N": "2s 1p"}
REACHES = [1.6, 1.9]
N, M = 5, 4


def graph(random, *names):
    """Some of the inputs by name; with padding, and an atom without edges."""
    mask = np.ones((N, M))
    mask[1, 2:] = 0
    mask[3] = 0
    reverse = np.arange(N * M, dtype="int32")
    first, second = random.permutation(np.flatnonzero(mask)).reshape(2, -1)
    reverse[first], reverse[second] = second, first
    reverse = reverse.reshape(N, M)
    missing = N * (M + 1)
    found = {
        "species": np.array([0, 1, 0, 1, 0], "int32"),
        "structure": np.array([0, 0, 0, 1, 1], "int32"),
        "neighbors": reverse // M,
        "reverse_edge": reverse,
        "edge_mask": mask,
        "common_neighbors": random.integers(
            0, missing + 1, (N, M + 1, M + 1)
        ).astype("int32"),
        "edge_vectors": random.normal(size=(N, M, 3)),
        "lengths": random.uniform(1, 3, (N, M)),
        "relative": random.uniform(0.2, 0.9, (N, M)),
        "envelope": mask * random.uniform(0.1, 0.9, (N, M)),
    }
    return {name: found[name] for name in names}


def atoms_of(random, irreps):
    return random.normal(size=(N, Irreps(irreps).dim))


def packed_of(random, irreps):
    """Features of edges as one tensor."""
    return random.normal(size=(N, M, Irreps(irreps).dim))


def edges_of(random, irreps):
    """Edge features."""
    shapes = EdgeIrreps(irreps).shapes((N, M))
    return {kind: random.normal(size=shape) for kind, shape in shapes.items()}


def wigner_of(random, lmax=2, leading=(N, M)):
    """Matrices of the degrees from 0 on."""
    ones = np.ones((*leading, 1, 1))
    dims = [2 * l + 1 for l in range(1, lmax + 1)]
    return [ones, *(random.normal(size=(*leading, d, d)) for d in dims)]


def readout_irreps(spin):
    """Irreps with all that the blocks need."""
    layout = BlockLayout(BASIS, spin)
    names = {
        str(irrep) for c in layout.onsite.values() for _, irrep in c.irreps
    }
    return "+".join(f"2x{name}" for name in sorted(names))
