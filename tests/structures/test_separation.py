"""What cells tell apart: counted in another way, and by solving for it."""

import fractions
import itertools

import ase
import ase.build
import numpy as np
import pytest

from keras_hamiltonian.structures.separation import Separation
from keras_hamiltonian.structures.separation import primitive_cell
from keras_hamiltonian.structures.separation import separations

REACH = 6.35  # Å, of two carbon atoms of OpenMX's C6.0
NOISE = 0.04
RECTANGLE = [[2, 0, 0], [1, 2, 0], [0, 0, 1]]


def graphene(*cells):
    """Noisy supercells, named by their number."""
    sheet = ase.build.graphene(a=2.46, vacuum=7.5)
    for number, cell in enumerate(cells):
        if np.ndim(cell) == 1:
            cell = np.diag([*cell, 1])
        atoms = ase.build.make_supercell(sheet, cell)
        atoms.rattle(NOISE, seed=number)
        atoms.pbc = True
        yield str(number), atoms


def separation(*cells, reach=REACH):
    (found,) = separations(graphene(*cells), reach)
    return found


def wave_vectors(*sizes):
    """Those that are commensurate with any of the cells."""
    return {
        tuple(fractions.Fraction(k, n) for k, n in zip(ks, size))
        for size in sizes
        for ks in itertools.product(*map(range, size))
    }


@pytest.mark.parametrize(
    "sizes", [[(3, 3)], [(3, 3), (2, 3)], [(3, 3), (3, 3)], [(2, 4), (5, 2)]]
)
def test_a_sum_for_each_wave_vector(sizes):
    """Sums over images are Fourier components: of a far influence as many are
    known as there are wave vectors."""
    found = separation(*sizes, reach=30.0)
    assert found.num_separated == len(wave_vectors(*sizes))
    assert found.num_separated < found.num_influences
    assert separation(*sizes, reach=2.0).is_complete


def test_3x3_cells_of_graphene():
    found = separation((3, 3))
    assert (found.num_influences, found.num_separated) == (19, 9)
    assert found.period == pytest.approx(7.38, abs=0.03)
    assert separation((3, 3), (2, 3), (4, 2), (3, 4), (5, 2)).is_complete
    assert separation((5, 5)).is_complete


def test_influences_follow_where_all_are_told_apart():
    """The least squares that a training solves."""
    random = np.random.default_rng(0)
    for sizes, is_complete in (
        ([(3, 3)], False),
        ([(3, 3), (2, 2), (4, 4)], True),
    ):
        found = separation(*sizes)
        influences = random.normal(size=found.num_influences)
        equations, answers = [], []
        for supercell in found.supercells:
            places = found.translations @ np.linalg.inv(supercell)
            for image in itertools.product(range(5), repeat=2):
                difference = places - np.array([*image, 0]) @ np.linalg.inv(
                    supercell
                )
                row = np.abs(difference - np.rint(difference)).max(1) < 1e-6
                equations.append(row)
                answers.append(row @ influences)
        solved = np.linalg.lstsq(np.array(equations, float), answers)[0]
        assert found.is_complete == is_complete
        assert np.allclose(solved, influences) == is_complete


def test_proposed_supercells_tell_all_apart():
    sizes = [(3, 3)]
    found = separation(*sizes)
    proposed = found.proposed()
    assert proposed
    more = separation(*sizes, *(n[:2] for n in proposed))
    assert more.is_complete
    assert not more.proposed()
    for size in proposed:  # none is superfluous
        rest = [n[:2] for n in proposed if n != size]
        assert not separation(*sizes, *rest).is_complete
    assert max(np.prod(n) for n in proposed) <= 20  # of two atoms
    assert "4 x 4 x 1 (32 atoms)" in found.describe()
    assert "apart" in more.describe()


def test_cells_of_one_crystal_belong_together():
    """A rectangular cell, a strained one; another crystal is another one."""
    found = separation((3, 3), RECTANGLE)
    assert len(found.supercells) == 2
    name, strained = next(graphene((2, 3)))
    strained.set_cell(strained.cell * 1.02, scale_atoms=True)
    silicon = ase.build.bulk("Si", cubic=True)
    found = separations(
        [*graphene((3, 3)), ("strained", strained), ("Si", silicon)], REACH
    )
    assert [one.names for one in found] == [["0", "strained"], ["Si"]]
    assert found[1].num_basis == 2


def test_primitive_cells():
    (_, atoms) = next(graphene((4, 3)))
    found = primitive_cell(atoms)
    np.testing.assert_allclose(
        np.linalg.norm(found, axis=1)[:2], 2.46, atol=0.03
    )
    skewed = atoms.copy()
    skewed.set_cell(atoms.cell + [[0] * 3, 7 * atoms.cell[0], [0] * 3])
    skewed_volume = abs(np.linalg.det(primitive_cell(skewed)))
    assert skewed_volume == pytest.approx(abs(np.linalg.det(found)), rel=1e-6)
    # Salt is not the simple cubic lattice that its atoms stand on.
    salt = ase.build.bulk("NaCl", "rocksalt", a=5.6, cubic=True)
    assert abs(np.linalg.det(primitive_cell(salt))) == pytest.approx(5.6**3 / 4)
    glass = salt.copy()
    glass.rattle(1.0, seed=0)
    np.testing.assert_allclose(
        abs(np.linalg.det(primitive_cell(glass))), 5.6**3
    )


def test_no_crystal():
    nothing = ase.Atoms("H", [[0.0, 0, 0]])
    wrong = ase.Atoms("H", [[0.0, 0, np.nan]], cell=[5, 5, 5])
    dense = ase.Atoms("H4", np.eye(4, 3), cell=[0.1, 5, 5])
    structures = [("a", nothing), ("b", wrong), ("c", dense)]
    assert separations(structures, REACH) == []


def test_a_large_cell_is_complete():
    one = Separation(["a"], 20 * np.eye(3), [np.eye(3, dtype=int)], REACH, 1)
    assert one.is_complete and not one.proposed()
