import numpy as np
import pytest

from keras_hamiltonian.irreps import Irreps
from keras_hamiltonian.irreps import random_rotations
from keras_hamiltonian.orbitals.coupling import BlockCoupling
from keras_hamiltonian.orbitals.coupling import join_spin_parts
from keras_hamiltonian.orbitals.coupling import label_irreps
from keras_hamiltonian.orbitals.coupling import spin_parts
from keras_hamiltonian.testing import rotate_blocks_in_numpy

CARBON = (0, 0, 1, 1, 2)
HEAVY = (0, 0, 0, 1, 1, 2, 2)
TO_E3NN = [1, 2, 0]


@pytest.mark.parametrize(
    "shells, spin_orbit, irreps, dim",
    [
        (
            CARBON,
            False,
            "9x0e+5x1e+12x1o+9x2e+4x2o+1x3e+4x3o+1x4e",
            169,
        ),
        (
            HEAVY,
            False,
            "17x0e+8x1e+20x1o+20x2e+8x2o+4x3e+8x3o+4x4e",
            361,
        ),
        (
            HEAVY,
            True,
            "50x0e+40x0o+106x1e+96x1o+104x2e+88x2o+64x3e+48x3o+24x4e+16x4o"
            "+8x5e",
            2888,
        ),
    ],
)
def test_irreps_of_the_published_bases(shells, spin_orbit, irreps, dim):
    found = label_irreps(shells, spin_orbit)
    assert str(found) == irreps
    assert found.dim == dim


@pytest.mark.parametrize("part", ["scalar", "vector"])
@pytest.mark.parametrize("shells", [CARBON, (0,), (2, 0, 1)])
def test_map_is_orthogonal(shells, part):
    coupling = BlockCoupling(shells, part)
    size = coupling.num_parts * coupling.num_rows**2
    assert coupling.matrix.shape == (size, size) == (size, coupling.irreps.dim)
    np.testing.assert_allclose(
        coupling.matrix.T @ coupling.matrix, np.eye(size), atol=1e-13
    )


@pytest.mark.parametrize("part", ["scalar", "vector"])
def test_blocks_come_back_and_keep_their_norm(part):
    coupling = BlockCoupling(CARBON, part)
    shape = (4, 13, 13) if part == "scalar" else (4, 3, 13, 13)
    blocks = np.random.default_rng(0).normal(size=shape)
    irreps = coupling.to_irreps(blocks)
    assert irreps.shape == (4, coupling.irreps.dim)
    np.testing.assert_allclose(coupling.to_blocks(irreps), blocks, atol=1e-13)
    np.testing.assert_allclose((irreps**2).sum(), (blocks**2).sum())


@pytest.mark.parametrize("inversion", [1, -1])
def test_scalar_part_rotates_as_its_irreps(o3, inversion):
    """Blocks rotated by e3nn's matrices, irreps by ours."""
    import torch

    rotation = inversion * random_rotations(1, seed=0)[0]
    theirs = torch.tensor(rotation[np.ix_(TO_E3NN, TO_E3NN)])
    shells = "+".join(f"1x{l}{'eo'[l % 2]}" for l in CARBON)
    matrix = o3.Irreps(shells).D_from_matrix(theirs).numpy()
    blocks = np.random.default_rng(1).normal(size=(3, 13, 13))
    coupling = BlockCoupling(CARBON)
    np.testing.assert_allclose(
        coupling.to_irreps(matrix @ blocks @ matrix.T),
        coupling.to_irreps(blocks) @ coupling.irreps.d_matrix(rotation).T,
        atol=1e-10,
    )


def spinful(shape=(3,), rows=13):
    random = np.random.default_rng(2)
    shape = (*shape, 2, 2, rows, rows)
    return random.normal(size=shape) + 1j * random.normal(size=shape)


@pytest.mark.parametrize("inversion", [1, -1])
def test_spinful_blocks_rotate_as_their_irreps(inversion):
    """`D^(1/2)` on both sides of the whole block, against the irreps."""
    rotation = inversion * random_rotations(1, seed=4)[0]
    blocks = spinful()
    rotated = rotate_blocks_in_numpy(
        np.stack([blocks.real, blocks.imag], axis=1),
        CARBON,
        rotation,
        "noncollinear",
    )
    rotated = rotated[:, 0] + 1j * rotated[:, 1]
    for part, before, after in zip(
        ("scalar", "vector"), spin_parts(blocks), spin_parts(rotated)
    ):
        coupling = BlockCoupling(CARBON, part)
        matrix = coupling.irreps.d_matrix(rotation)
        np.testing.assert_allclose(
            coupling.to_irreps(after),
            coupling.to_irreps(before) @ matrix.T,
            atol=1e-10,
        )


def test_spin_parts_are_the_formula_of_the_method():
    blocks = spinful()
    scalar, vector = spin_parts(blocks)
    y, z, x = vector[:, 0], vector[:, 1], vector[:, 2]
    root = np.sqrt(2)
    np.testing.assert_allclose(blocks[:, 0, 0], (scalar + z) / root)
    np.testing.assert_allclose(blocks[:, 0, 1], (x - 1j * y) / root)
    np.testing.assert_allclose(blocks[:, 1, 0], (x + 1j * y) / root)
    np.testing.assert_allclose(blocks[:, 1, 1], (scalar - z) / root)
    np.testing.assert_allclose(join_spin_parts(scalar, vector), blocks)
    norm = (np.abs(scalar) ** 2).sum() + (np.abs(vector) ** 2).sum()
    np.testing.assert_allclose(norm, (np.abs(blocks) ** 2).sum())


def test_time_reversal_makes_the_scalar_real_and_the_vector_imaginary():
    blocks = spinful()
    # Kramers: dd = uu*, du = -ud*.
    blocks[:, 1, 1] = blocks[:, 0, 0].conj()
    blocks[:, 1, 0] = -blocks[:, 0, 1].conj()
    scalar, vector = spin_parts(blocks)
    np.testing.assert_allclose(scalar.imag, 0, atol=1e-15)
    np.testing.assert_allclose(vector.real, 0, atol=1e-15)


def test_channels_name_the_shells_of_each_multiplicity():
    coupling = BlockCoupling((0, 1))
    assert [c[:3] for c in coupling.channels] == [
        (0, 0, 0),
        (1, 1, 0),
        (1, 1, 1),
        (0, 1, 1),
        (1, 0, 1),
        (1, 1, 2),
    ]
    assert coupling.irreps == Irreps("2x0e+1x1e+2x1o+1x2e")
    # The trace of the p-p block is its 0e.
    block = np.zeros((4, 4))
    block[1:, 1:] = np.eye(3)
    found = np.abs(coupling.to_irreps(block))
    np.testing.assert_allclose(found, np.eye(16)[1] * np.sqrt(3), atol=1e-15)


def test_unknown_part():
    with pytest.raises(ValueError, match="Received: 'tensor'"):
        BlockCoupling(CARBON, "tensor")
