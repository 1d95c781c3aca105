import ase
import ase.build
import ase.neighborlist
import numpy as np
import pytest

from keras_hamiltonian.conventions import BOHR_IN_ANGSTROM
from keras_hamiltonian.data.store import HamiltonianStore
from keras_hamiltonian.structures.neighbors import neighbor_table
from keras_hamiltonian.structures.neighbors import pairs_within

# Cut-off radii of the OpenMX orbitals in recipes/data, Å.
RADII = {"C": 6, "Mo": 7, "S": 7, "Bi": 8, "Se": 7, "Te": 7}
REACHES = {s: r * BOHR_IN_ANGSTROM for s, r in RADII.items()}
SETS = [
    "bi2se3",
    "bi2te3",
    "bilayer_graphene",
    "bilayer_graphene_twisted",
    "bismuthene",
    "graphene",
    "mos2",
    "reference_bismuthene",
    "reference_graphene",
    "reference_mos2",
]


@pytest.fixture
def atoms():
    """A skewed cell that is periodic in two directions, with two elements."""
    atoms = ase.build.mx2("MoS2", size=(2, 1, 1), vacuum=6)
    atoms.set_cell(atoms.cell + [[0, 0.4, 0], [0, 0, 0], [0, 0, 0]])
    atoms.rattle(0.2, seed=0)
    atoms.positions += [5.0, -9.0, 30.0]  # outside the cell
    return atoms


def rows(pairs):
    return {tuple(p) for p in np.asarray(pairs).tolist()}


@pytest.mark.parametrize("pbc", [(1, 1, 0), (1, 1, 1), (0, 0, 0), (1, 0, 0)])
def test_pairs_against_ase(atoms, pbc):
    atoms.pbc = pbc
    found = pairs_within(atoms, {"Mo": 3.1, "S": 1.7})
    radii = {("Mo", "Mo"): 6.2, ("Mo", "S"): 4.8, ("S", "S"): 3.4}
    i, j, shift = ase.neighborlist.neighbor_list("ijS", atoms, radii)
    onsite = [(0, 0, 0, k, k) for k in range(len(atoms))]
    assert rows(found) == rows(np.column_stack([shift, i, j])) | rows(onsite)
    assert len(rows(found)) == len(found)
    assert found[: len(atoms)].tolist() == [list(p) for p in onsite]


@pytest.mark.parametrize("name", SETS)
def test_pairs_are_those_of_openmx(data_folder, name):
    store = HamiltonianStore(data_folder / f"{name}.h5")
    calculation = store[len(store) - 1]
    found = pairs_within(calculation.atoms, REACHES)
    assert rows(found) == rows(calculation.hamiltonian.atom_pairs)


def test_element_without_reach_is_named(atoms):
    with pytest.raises(ValueError, match="known for S. Known: Mo"):
        pairs_within(atoms, {"Mo": 3.0})


def test_degenerate_cell():
    atoms = ase.Atoms("C", cell=[[1, 0, 0], [2, 0, 0], [0, 0, 1]], pbc=True)
    with pytest.raises(ValueError, match="three independent lattice vectors"):
        pairs_within(atoms, REACHES)


def test_molecule_without_a_cell():
    atoms = ase.build.molecule("C6H6")
    pairs = pairs_within(atoms, {"C": 1.0, "H": 0.5})
    assert not pairs[:, :3].any()
    assert len(pairs) == 12 + 2 * 12  # atoms, then both ways of 6 CC and 6 CH


def test_reverse_is_an_involution_and_vectors_are_antisymmetric(atoms):
    table = neighbor_table(atoms, pairs_within(atoms, {"Mo": 3.5, "S": 3.0}))
    reverse = table.reverse_edge.ravel()
    np.testing.assert_array_equal(reverse[reverse], np.arange(reverse.size))
    real = table.edge_mask.ravel()
    assert 0 < real.sum() < real.size  # there is padding to look at
    vectors = table.edge_vectors.reshape(-1, 3)
    np.testing.assert_array_equal(vectors[reverse][real], -vectors[real])
    padding = np.flatnonzero(~real)
    np.testing.assert_array_equal(reverse[padding], padding)
    first = np.repeat(np.arange(len(atoms)), table.neighbors.shape[1])
    second = table.neighbors.ravel()
    np.testing.assert_array_equal(second[reverse], first)


def test_lists_are_sorted_and_complete(atoms):
    pairs = pairs_within(atoms, {"Mo": 3.0, "S": 3.0})
    table = neighbor_table(atoms, pairs)
    used = table.pair_positions[table.edge_mask]
    np.testing.assert_array_equal(
        np.sort(used), np.arange(len(atoms), len(pairs))
    )
    for n in range(len(atoms)):
        kept = table.edge_mask[n]
        own = pairs[table.pair_positions[n, kept]]
        assert (own[:, 3] == n).all()
        np.testing.assert_array_equal(table.neighbors[n, kept], own[:, 4])
        vectors = (
            atoms.positions[own[:, 4]]
            + own[:, :3] @ np.asarray(atoms.cell)
            - atoms.positions[n]
        )
        np.testing.assert_allclose(
            table.edge_vectors[n, kept], vectors, atol=1e-12
        )
        lengths = np.linalg.norm(table.edge_vectors[n, kept], axis=1)
        assert (np.diff(lengths) >= 0).all()


def test_padding(atoms):
    pairs = pairs_within(atoms, {"Mo": 2.0, "S": 2.0})
    short = neighbor_table(atoms, pairs)
    width = short.neighbors.shape[1]
    long = neighbor_table(atoms, pairs, num_neighbors=width + 3)
    assert long.edge_vectors.shape == (len(atoms), width + 3, 3)
    assert not long.edge_mask[:, width:].any()
    assert (long.pair_positions[:, width:] == -1).all()
    assert (long.edge_vectors[:, width:] == [0, 0, 1]).all()
    own = np.arange(len(atoms))[:, None]
    assert (long.neighbors[:, width:] == own).all()
    for name in ("edge_vectors", "neighbors", "edge_mask", "pair_positions"):
        np.testing.assert_array_equal(
            getattr(long, name)[:, :width], getattr(short, name)
        )


def test_no_neighbours_at_all():
    atoms = ase.Atoms("C2", [[0, 0, 0], [50, 0, 0]])
    table = neighbor_table(atoms, pairs_within(atoms, REACHES))
    assert table.neighbors.tolist() == [[0], [1]]
    assert not table.edge_mask.any()


def test_an_atom_may_be_its_own_neighbour():
    atoms = ase.Atoms("C", cell=np.eye(3) * 2.5, pbc=(1, 0, 0))
    table = neighbor_table(atoms, pairs_within(atoms, {"C": 1.5}))
    assert table.neighbors.tolist() == [[0, 0]]
    assert table.reverse_edge.tolist() == [[1, 0]]


def test_missing_reverse_is_named():
    atoms = ase.Atoms("C2", [[0, 0, 0], [1.4, 0, 0]])
    with pytest.raises(
        ValueError, match=r"1 atom pairs lack .*\(0, 0, 0, 0, 1"
    ):
        neighbor_table(atoms, [(0, 0, 0, 0, 1)])


def test_atoms_that_coincide():
    atoms = ase.Atoms("C2", [[0, 0, 0], [0, 0, 1e-5]])
    with pytest.raises(ValueError, match="Atoms 0 and 1 coincide"):
        neighbor_table(atoms, pairs_within(atoms, REACHES))


def test_too_short_lists():
    atoms = ase.Atoms("C3", [[0, 0, 0], [1.4, 0, 0], [2.8, 0, 0]])
    with pytest.raises(ValueError, match="2 neighbours, .* room for 1"):
        neighbor_table(atoms, pairs_within(atoms, REACHES), num_neighbors=1)
