import numpy as np
import pytest

from keras_hamiltonian.data.store import HamiltonianStore
from keras_hamiltonian.irreps import edge_frames
from keras_hamiltonian.irreps import random_rotations
from keras_hamiltonian.irreps.edge import edge_dim
from keras_hamiltonian.orbitals.block_layout import BlockLayout
from keras_hamiltonian.orbitals.coupling import BlockCoupling
from keras_hamiltonian.orbitals.edge_blocks import EdgeBlockLayout
from keras_hamiltonian.orbitals.table_blocks import to_table
from keras_hamiltonian.testing import rotate_blocks_in_numpy
from keras_hamiltonian.testing.symmetry import roll_edges

CARBON = (0, 0, 1, 1, 2)
SPINFUL = {"spin": "noncollinear", "time_reversal": False}


def block_layout(spin):
    return BlockLayout({"C": "2s 2p 1d"}, **({} if spin == "none" else SPINFUL))


@pytest.mark.parametrize("part", ["scalar", "vector"])
@pytest.mark.parametrize("shells", [CARBON, (0,), (2, 0, 1), (3, 1)])
def test_channels_are_an_orthogonal_change_of_the_block(shells, part):
    layout = EdgeBlockLayout(shells, part)
    size = layout.num_parts * layout.num_rows**2
    units = np.eye(size).reshape(
        size, layout.num_parts, layout.num_rows, layout.num_rows
    )
    units = units[:, 0] if part == "scalar" else units
    channels = layout.to_channels(units)
    assert {k: x.shape for k, x in channels.items()} == {
        k: (size, edge_dim(k), n) for k, n in layout.channels.items()
    }
    matrix = np.concatenate(
        [x.reshape(size, -1) for x in channels.values()], axis=1
    )
    assert matrix.shape == (size, size)
    np.testing.assert_allclose(matrix @ matrix.T, np.eye(size), atol=1e-14)


def test_frame_order_is_a_signed_permutation():
    layout = EdgeBlockLayout((2, 0, 1))
    matrix = layout.frame_transform
    np.testing.assert_allclose(matrix @ matrix.T, np.eye(9), atol=1e-15)
    assert layout.row_slices == [slice(0, 3), slice(3, 7), slice(7, 9)]
    # First all sigma orbitals: d_z2, s, p_z.
    np.testing.assert_array_equal(matrix[:3].argmax(1), [2, 5, 7])


@pytest.mark.parametrize("spin", ["none", "noncollinear"])
def test_channels_rotate_with_the_roll_of_the_frame(spin):
    layout = block_layout(spin)
    random = np.random.default_rng(0)
    inner = (13, 13) if spin == "none" else (2, 2, 2, 13, 13)
    parts = layout.split(random.normal(size=(6, *inner)))
    frames = edge_frames(random.normal(size=(6, 3)))
    angles = random.uniform(0, 6, size=6)
    c, s, zero = np.cos(angles), np.sin(angles), np.zeros(6)
    roll = np.array([[c, -s, zero], [s, c, zero], [zero, zero, zero + 1]])
    rolled = np.moveaxis(roll, 2, 0) @ frames
    for part, blocks in parts.items():
        before = layout.edge_channels(part, blocks, frames)
        after = layout.edge_channels(part, blocks, rolled)
        expected = roll_edges(
            {k: x[:, None] for k, x in before.items()},
            angles[:, None],
            np.ones((6, 1)),
        )
        for kind, x in expected.items():
            np.testing.assert_allclose(after[kind], x[:, 0], atol=1e-13)


@pytest.mark.parametrize("spin", ["none", "noncollinear"])
def test_channels_do_not_depend_on_how_the_crystal_lies(spin):
    layout = block_layout(spin)
    random = np.random.default_rng(1)
    inner = (13, 13) if spin == "none" else (2, 2, 2, 13, 13)
    blocks = random.normal(size=(6, *inner))
    frames = edge_frames(random.normal(size=(6, 3)))
    rotation = random_rotations(1, seed=5)[0]
    rotated = rotate_blocks_in_numpy(blocks, CARBON, rotation, spin)
    for part, x in layout.split(blocks).items():
        before = layout.edge_channels(part, x, frames)
        after = layout.edge_channels(
            part, layout.split(rotated)[part], frames @ rotation.T
        )
        for kind in before:
            np.testing.assert_allclose(after[kind], before[kind], atol=1e-12)


def test_a_edge_along_z_needs_no_rotating():
    """Slater and Koster's sigma and pi of an s-p and a p-p block."""
    layout = BlockLayout({"C": "1s 1p"})
    block = np.zeros((1, 4, 4))
    block[0, 0, 2] = 5  # s with p_z
    block[0, 2, 2] = 3  # p_z with p_z
    block[0, [1, 3], [1, 3]] = 2  # p_y and p_x
    block[0, 1, 3], block[0, 3, 1] = 1, -1  # antisymmetric: sigma minus
    # Frames have x along x for an edge along z.
    channels = layout.edge_channels("scalar", block, np.eye(3)[None])
    sizes = {k: np.abs(x[0]).sum() for k, x in channels.items()}
    shells = layout.hopping["scalar"].channel_shells["0+"].tolist()
    found = dict(zip(map(tuple, shells[:4]), channels["0+"][0, 0]))
    assert found == {(0, 0): 0, (0, 1): 5, (1, 0): 0, (1, 1): 3}
    np.testing.assert_allclose(channels["0+"][0, 0, 4], 2 * np.sqrt(2))
    np.testing.assert_allclose(sizes["0-"], np.sqrt(2))
    assert sizes["1"] == sizes["2"] == 0


@pytest.mark.parametrize("material", ["graphene", "mos2", "bismuthene"])
def test_overlap_is_two_centre(data_folder, material):
    """Two atoms alone make the overlap, so nothing else may be in it."""
    store = HamiltonianStore(data_folder / f"reference_{material}.h5")
    calculation = store[0]
    pairs = calculation.overlap.atom_pairs
    vectors = calculation.edge_vectors(pairs)
    hopping = np.flatnonzero(np.linalg.norm(vectors, axis=1) > 0.1)
    table = to_table(
        calculation.overlap, calculation.atoms.numbers, store.basis, False
    )[hopping]
    layout = BlockLayout(store.basis)
    channels = layout.edge_channels(
        "scalar", table, edge_frames(vectors[hopping])
    )
    inside = (channels.pop("0+") ** 2).sum()
    np.testing.assert_allclose(inside, (table**2).sum(), rtol=1e-9)
    outside = {k: np.abs(x).max() for k, x in channels.items()}
    assert max(outside.values()) < 1e-9


def test_irreps_agree_with_the_coupling():
    """The same block counted in both ways: dims of kinds and of irreps."""
    for part in ("scalar", "vector"):
        layout = EdgeBlockLayout(CARBON, part)
        coupling = BlockCoupling(CARBON, part)
        size = sum(edge_dim(k) * n for k, n in layout.channels.items())
        assert size == coupling.irreps.dim


def test_split_and_time_reversal():
    random = np.random.default_rng(3)
    blocks = random.normal(size=(4, 2, 2, 2, 13, 13))
    whole = BlockLayout({"C": "2s 2p 1d"}, **SPINFUL).split(blocks)
    half = BlockLayout({"C": "2s 2p 1d"}, "noncollinear").split(blocks)
    assert set(whole) == {"scalar", "vector", "scalar_imag", "vector_real"}
    assert set(half) == {"scalar", "vector"}
    norm = sum((x**2).sum() for x in whole.values())
    np.testing.assert_allclose(norm, (blocks**2).sum())
    for part, x in half.items():
        np.testing.assert_array_equal(x, whole[part])


def test_bismuthene_obeys_time_reversal(data_folder):
    """What the layout drops is not in the data."""
    store = HamiltonianStore(data_folder / "reference_bismuthene.h5")
    calculation = store[0]
    blocks = to_table(
        calculation.hamiltonian, calculation.atoms.numbers, store.basis, True
    )
    parts = BlockLayout(store.basis, **SPINFUL).split(blocks)
    sizes = {part: np.abs(x).max() for part, x in parts.items()}
    assert sizes["scalar"] > 1 and sizes["vector"] > 0.1
    assert sizes["scalar_imag"] < 1e-5 and sizes["vector_real"] < 1e-5


def test_collinear_spin_is_refused_with_the_way_out():
    with pytest.raises(ValueError, match="train on each spin channel"):
        BlockLayout({"C": "1s"}, spin="collinear")
