"""Cells, compositions and trajectories, which a split does not divide."""

import ase
import ase.build
import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from keras_hamiltonian.data.groups import groups_by


def graphene(shape, seed):
    """A supercell with displaced atoms, strained by up to 1 %."""
    random = np.random.default_rng(seed)
    atoms = ase.build.graphene(vacuum=7.5) * (*shape, 1)
    atoms.positions += 0.04 * random.normal(size=(len(atoms), 3))
    strain = np.eye(3) + 0.01 * random.uniform(-1, 1, size=(3, 3))
    atoms.set_cell(atoms.cell @ strain, scale_atoms=True)
    return atoms


def groups(kind, structures):
    return groups_by(kind, list(map(str, range(len(structures)))), structures)


def test_cells_are_told_from_one_another():
    shapes = [(3, 3), (3, 2), (2, 3), (3, 4), (6, 2), (3, 3)]
    found = groups("cell", [graphene(s, k) for k, s in enumerate(shapes)])
    assert found[0] == found[5] and found[1] == found[2]
    assert len(set(found)) == 4
    # As many atoms, another shape.
    assert found[3] != found[4] and found[3].startswith("24 atoms")


def test_a_cell_has_no_axes_of_its_own():
    atoms = graphene((2, 3), 0)
    rotated = atoms.copy()
    rotation = Rotation.random(random_state=0).as_matrix()
    rotated.set_cell(atoms.cell @ rotation.T, scale_atoms=True)
    other = atoms.copy()
    vectors = np.array([[1, 0, 0], [1, 1, 0], [0, 0, 1]])
    other.set_cell(vectors @ atoms.cell)
    assert len(set(groups("cell", [atoms, rotated, other]))) == 1


def test_compositions_have_no_size():
    formulas = ("Mo4S8", "MoS2", "MoSe2", "SMoSe")
    found = groups("composition", [ase.Atoms(f) for f in formulas])
    assert found[0] == found[1] and len(set(found)) == 3


def test_trajectories_stand_in_the_names():
    names = ["md_300K_017", "md_300K_018", "md_600K_017", "graphene-003"]
    found = groups_by("trajectory", names, [None] * 4)
    assert found == ["md_300K", "md_300K", "md_600K", "graphene"]


def test_what_tells_no_groups_is_refused():
    with pytest.raises(ValueError, match="'000' does not say which traj"):
        groups_by("trajectory", ["a_1", "000"], [None] * 2)
    with pytest.raises(ValueError, match="by cell, composition, trajectory"):
        groups_by("size", ["a"], [None])
