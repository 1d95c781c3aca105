"""Features of edges and blocks in the axes of a rotated crystal."""

import keras
import numpy as np
import pytest

from keras_hamiltonian.irreps import EdgeIrreps
from keras_hamiltonian.irreps import Irreps
from keras_hamiltonian.irreps.edge import edge_dim
from keras_hamiltonian.irreps.rotation import random_rotations
from keras_hamiltonian.ops.crystal_axes import axes_to_edges
from keras_hamiltonian.ops.crystal_axes import edges_to_axes
from keras_hamiltonian.ops.crystal_axes import rotate_frames
from keras_hamiltonian.ops.crystal_axes import rotate_irreps
from keras_hamiltonian.ops.rotate_blocks import rotate_blocks
from keras_hamiltonian.ops.wigner_d import edge_frames
from keras_hamiltonian.ops.wigner_d import rotation_matrices
from keras_hamiltonian.ops.wigner_d import wigner_d
from keras_hamiltonian.testing import rotate_blocks_in_numpy

N, M = 3, 4
# Not sorted, parities of both kinds.
IRREPS = Irreps("2x1e + 3x0e + 1x0o + 2x2e + 3x1o + 1x3e")


def tensor(array):
    return keras.ops.convert_to_tensor(array, dtype="float64")


def numpy(found):
    return keras.tree.map_structure(keras.ops.convert_to_numpy, found)


@pytest.fixture
def wigner():
    vectors = np.random.default_rng(0).normal(size=(N, M, 3))
    return wigner_d(edge_frames(tensor(vectors)), 3)


@pytest.fixture
def edges():
    random = np.random.default_rng(1)
    return {
        kind: tensor(random.normal(size=(N, M, edge_dim(kind), size)))
        for kind, size in EdgeIrreps(IRREPS).items()
    }


def test_there_and_back(wigner, edges):
    there = edges_to_axes(edges, IRREPS, wigner)
    assert tuple(there.shape) == (N, M, IRREPS.dim)
    back = numpy(axes_to_edges(there, IRREPS, wigner))
    for kind, x in numpy(edges).items():
        np.testing.assert_allclose(back[kind], x, atol=1e-12)


def test_rotated_frames_rotate_features(wigner, edges):
    """One product does what two would: out of the frame, then by Q."""
    rotations = random_rotations(N, 2)
    matrices = rotation_matrices(tensor(rotations), 3)
    plain = numpy(edges_to_axes(edges, IRREPS, wigner))
    rotated = rotate_frames(wigner, matrices)
    found = numpy(edges_to_axes(edges, IRREPS, rotated))
    for k, rotation in enumerate(rotations):
        expected = plain[k] @ IRREPS.d_matrix(rotation).T
        np.testing.assert_allclose(found[k], expected, atol=1e-12)
    atoms = plain[:, 0]
    forth = rotate_irreps(tensor(atoms), IRREPS, matrices)
    for k, rotation in enumerate(rotations):
        expected = IRREPS.d_matrix(rotation) @ atoms[k]
        np.testing.assert_allclose(numpy(forth)[k], expected, atol=1e-12)
    back = rotate_irreps(forth, IRREPS, matrices, inverse=True)
    np.testing.assert_allclose(numpy(back), atoms, atol=1e-12)


@pytest.mark.parametrize("spin", ["none", "noncollinear"])
@pytest.mark.parametrize("sign", [1, -1])
def test_blocks_rotate_as_in_complex_numpy(spin, sign):
    shells = (0, 2, 1)
    inner = (9, 9) if spin == "none" else (2, 2, 2, 9, 9)
    blocks = np.random.default_rng(3).normal(size=(2, M, *inner))
    rotations = sign * random_rotations(2, 4)
    found = numpy(
        rotate_blocks(tensor(blocks), tensor(rotations), shells, spin)
    )
    for k in range(2):
        expected = rotate_blocks_in_numpy(blocks[k], shells, rotations[k], spin)
        np.testing.assert_allclose(found[k], expected, atol=1e-12)
    onsite = rotate_blocks(
        tensor(blocks[:, 0]), tensor(rotations), shells, spin
    )
    np.testing.assert_allclose(numpy(onsite), found[:, 0], atol=1e-12)
