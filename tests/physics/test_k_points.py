import ase
import ase.build
import ase.dft.kpoints
import numpy as np
import pytest
from ase.neighborlist import neighbor_list

from keras_hamiltonian.physics.k_points import KPath
from keras_hamiltonian.physics.k_points import k_path
from keras_hamiltonian.physics.k_points import monkhorst_pack
from keras_hamiltonian.physics.k_points import periodic_directions


def honeycomb(angle, vacuum_axis=2):
    """Graphene in a cell of 60° or 120°, periodic on paper along all axes."""
    radians = np.radians(angle)
    plane = np.array([[1, 0], [np.cos(radians), np.sin(radians)]]) * 2.46
    cell = np.zeros((3, 3))
    cell[:2, :2] = plane
    cell[2, 2] = 15.0
    third = 1 / 3 if angle == 60 else 2 / 3
    scaled = np.array([[0, 0, 0.5], [1 / 3, third, 0.5]])
    order = np.roll([0, 1, 2], vacuum_axis - 2)
    return ase.Atoms(
        "C2", cell=cell[order], scaled_positions=scaled[:, order], pbc=True
    )


@pytest.mark.parametrize("angle", [60, 120])
@pytest.mark.parametrize("vacuum_axis", [0, 1, 2])
def test_hexagonal_layer_gets_its_plane(angle, vacuum_axis):
    atoms = honeycomb(angle, vacuum_axis)
    path = k_path(atoms, num_points=100)
    assert [name for _, name in path.labels] == ["G", "M", "K", "G"]
    assert np.all(path.k_points[:, vacuum_axis] == 0)
    # |ΓM| = 2π/(√3 a), |MK| = 2π/(3 a), |KΓ| = 4π/(3 a)
    corners = path.distances[[position for position, _ in path.labels]]
    expected = 2 * np.pi / 2.46 * np.array([3**-0.5, 1 / 3, 2 / 3])
    np.testing.assert_allclose(np.diff(corners), expected, rtol=1e-6)
    # At K the phases of the three nearest neighbours cancel: a Dirac point.
    corner = path.k_points[path.labels[2][0]]
    i, shifts = neighbor_list("iS", atoms, 1.5)
    assert (i == 0).sum() == 3
    assert abs(np.exp(2j * np.pi * shifts[i == 0] @ corner).sum()) < 1e-9


def test_points_are_spaced_evenly_and_corners_are_exact():
    path = k_path(honeycomb(120), "GMKG", num_points=100)
    assert len(path) == pytest.approx(100, abs=2)
    steps = np.diff(path.distances)
    assert steps.max() < 1.1 * steps.min()
    position = dict((n, p) for p, n in path.labels)["K"]
    np.testing.assert_allclose(path.k_points[position, :2], [1 / 3, 1 / 3])


def test_typed_points_and_jumps():
    atoms = ase.build.bulk("Si")
    typed = k_path(atoms, [("A", (0, 0, 0)), ("B", (0.5, 0, 0))], num_points=11)
    assert typed.labels == [(0, "A"), (10, "B")]
    np.testing.assert_allclose(typed.k_points[:, 0], np.linspace(0, 0.5, 11))
    jumping = k_path(atoms, "GX,GL", num_points=21)
    names = [name for _, name in jumping.labels]
    assert names == ["G", "X", "G", "L"]
    positions = [position for position, _ in jumping.labels]
    assert positions[2] == positions[1] + 1
    assert jumping.distances[positions[1]] == jumping.distances[positions[2]]


def test_unknown_names_list_the_known_ones():
    with pytest.raises(ValueError, match="names X.*G, K, M"):
        k_path(honeycomb(120), "GX")


def test_a_path_needs_length():
    with pytest.raises(ValueError, match="two different points"):
        k_path(honeycomb(120), [("G", (0, 0, 0)), ("G", (0, 0, 0))])


def test_a_molecule_has_no_path():
    molecule = ase.build.molecule("H2O", vacuum=8)
    with pytest.raises(ValueError, match="only wave vector"):
        k_path(molecule)
    with pytest.raises(ValueError, match="only wave vector"):
        k_path(ase.Atoms("CO", [[0, 0, 0], [0, 0, 1.1]], pbc=True))


def test_a_chain_without_other_lattice_vectors():
    chain = ase.Atoms("C", cell=[1.5, 0, 0], pbc=True)
    path = k_path(chain, num_points=11)
    assert path.labels == [(0, "G"), (10, "X")]
    assert path.distances[-1] == pytest.approx(np.pi / 1.5)


def test_vacuum_is_found_across_the_cell_boundary():
    atoms = honeycomb(120)
    atoms.positions[:, 2] = [-0.2, 0.2]
    assert periodic_directions(atoms).tolist() == [True, True, False]
    bulk = ase.build.bulk("Si")
    assert periodic_directions(bulk).tolist() == [True] * 3


def test_points_given_one_by_one():
    path = KPath.from_points(
        [[0, 0, 0], [0.5, 0, 0]], 2 * np.pi * np.eye(3), [(0, "G")]
    )
    np.testing.assert_allclose(path.distances, [0, 0.5])


@pytest.mark.parametrize("gamma_centered", [False, True])
@pytest.mark.parametrize("size", [(1, 1, 1), (4, 3, 1), (5, 2, 2)])
def test_grids_are_even_and_symmetric(size, gamma_centered):
    grid = monkhorst_pack(size, gamma_centered)
    assert grid.shape == (np.prod(size), 3)
    assert grid.min() > -0.5
    assert grid.max() <= 0.5
    has_gamma = (np.abs(grid).max(axis=1) < 1e-12).any()
    assert has_gamma == (gamma_centered or all(n % 2 for n in size))
    # The phases of any translation shorter than the grid add up to zero.
    translation = np.array([1, 0, 0]) if size[0] > 1 else np.zeros(3)
    total = np.exp(2j * np.pi * grid @ translation).mean()
    assert abs(total - (size[0] == 1)) < 1e-12


@pytest.mark.parametrize("size", [(6, 3, 1), (4, 10, 2), (5, 14, 3)])
def test_grids_are_those_of_ase(size):
    expected = ase.dft.kpoints.monkhorst_pack(size)
    np.testing.assert_allclose(monkhorst_pack(size), expected, atol=1e-15)
    # ASE centres a grid on Γ by an offset.
    expected += [0 if n % 2 else 0.5 / n for n in size]
    centered = monkhorst_pack(size, gamma_centered=True)
    np.testing.assert_allclose(centered, expected, atol=1e-15)
    assert (centered == 0).all(axis=1).any()


def test_grid_sizes_are_positive():
    with pytest.raises(ValueError, match="three positive"):
        monkhorst_pack([4, 0, 1])
