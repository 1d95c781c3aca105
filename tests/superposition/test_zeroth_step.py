"""Symmetries of H⁰, sum rules, and what is refused."""

import dataclasses

import ase
import numpy as np
import pytest
from gaussian_species import DENSITIES
from gaussian_species import REACH
from gaussian_species import gaussian_species

import keras_hamiltonian as kh
from keras_hamiltonian.conventions import BOHR_IN_ANGSTROM
from keras_hamiltonian.initial import given_initial
from keras_hamiltonian.irreps.rotation import random_rotations
from keras_hamiltonian.orbitals.matrix_elements import entries_at
from keras_hamiltonian.superposition import local_part
from keras_hamiltonian.superposition import projector_part
from keras_hamiltonian.superposition.grid import RealSpaceGrid
from keras_hamiltonian.superposition.grid import SuperposedPotential
from keras_hamiltonian.superposition.pairs import CrystalPairs
from keras_hamiltonian.superposition.species import Projector
from keras_hamiltonian.testing.block_rotation import PAULI
from keras_hamiltonian.testing.block_rotation import shell_matrix
from keras_hamiltonian.testing.block_rotation import spin_matrix

CELL = np.array([[3.1, 0.1, 0.0], [-1.2, 2.9, 0.2], [0.3, 0.0, 3.4]])
CRYSTAL = ase.Atoms(
    "OHO", [[0.2, 0.1, 0.3], [1.1, 0.9, 0.6], [1.6, 1.4, 2.2]], cell=CELL
)
CRYSTAL.pbc = True
SPECIES = gaussian_species()
SPINS = ("none", "noncollinear")


def compute(atoms, **options):
    options = {"grid_cutoff": 40.0, **options}
    return kh.ZerothStep(SPECIES, **options)(atoms)


@pytest.fixture(scope="module", params=SPINS)
def known(request):
    return request.param, *compute(CRYSTAL, spin=request.param)


def largest(left, right):
    return np.abs(entries_at(left, right) - right.entries).max()


def test_hermitian(known):
    _, hamiltonian, overlap = known
    assert hamiltonian.hermitian_error() < 1e-10
    assert overlap.hermitian_error() == 0
    assert np.abs(hamiltonian.entries).max() > 1


def test_time_reversal(known):
    spin, hamiltonian, _ = known
    if spin == "none":
        return
    flip, sizes = PAULI[1], []
    for block in hamiltonian.blocks():
        rows, columns = np.array(block.shape) // 2
        left, right = (np.kron(flip, np.eye(n)) for n in (rows, columns))
        assert np.abs(left @ block.conj() @ right - block).max() < 1e-10
        sizes.append(np.abs(block[:rows, columns:]).max())
    # Spins do couple.
    assert max(sizes) > 0.1


@pytest.mark.parametrize("mirror", [1, -1])
def test_rotated_with_its_cell(known, mirror):
    spin, before, _ = known
    rotation = mirror * random_rotations(1, np.random.default_rng(0))[0]
    atoms = CRYSTAL.copy()
    atoms.set_cell(CELL @ rotation.T)
    atoms.positions = CRYSTAL.positions @ rotation.T
    after, _ = compute(atoms, spin=spin)
    turned = {
        symbol: shell_matrix(s.degrees, rotation)
        for symbol, s in SPECIES.items()
    }
    if spin == "noncollinear":
        spinor = spin_matrix(rotation)
        turned = {s: np.kron(spinor, d) for s, d in turned.items()}
    errors, changes = [], []
    for pair in before.index:
        left, right = (turned[CRYSTAL.symbols[n]] for n in pair[3:])
        expected = left @ before.find(pair) @ right.conj().T
        errors.append(np.abs(after.find(pair) - expected).max())
        changes.append(np.abs(after.find(pair) - before.find(pair)).max())
    assert max(errors) < 1e-8
    # The control: blocks as they were.
    assert max(changes) > 0.1


def test_moved_by_a_lattice_vector(known):
    spin, before, _ = known
    atoms = CRYSTAL.copy()
    shift = np.array([1, -2, 1])
    atoms.positions[1] += shift @ CELL
    after, _ = compute(atoms, spin=spin)
    moved = before.atom_pairs.copy()
    for column, sign in ((3, 1), (4, -1)):
        moved[moved[:, column] == 1, :3] += sign * shift
    expected = kh.BlockMatrix(moved, before.shapes, before.entries)
    assert largest(after, expected) < 1e-8


def test_atoms_in_another_order(known):
    spin, before, _ = known
    order = [2, 0, 1]
    after, _ = compute(CRYSTAL[order], spin=spin)
    pairs = after.atom_pairs.copy()
    pairs[:, 3:] = np.array(order)[pairs[:, 3:]]
    renamed = kh.BlockMatrix(pairs, after.shapes, after.entries)
    assert largest(renamed, before) < 1e-8


def test_moved_by_grid_steps(known):
    spin, before, _ = known
    grid = RealSpaceGrid.of_cutoff(CELL / BOHR_IN_ANGSTROM, 40.0)
    step = grid.vectors[1] * BOHR_IN_ANGSTROM
    errors = []
    for fraction in (1.0, 0.4):
        atoms = CRYSTAL.copy()
        atoms.positions += fraction * step
        errors.append(largest(compute(atoms, spin=spin)[0], before))
    assert errors[0] < 1e-8
    # The control, by less than a step: the noise of the grid.
    assert 1e-5 < errors[1] < 1


def test_threads_change_no_bit(known):
    spin, before, overlap = known
    again, same = compute(CRYSTAL, spin=spin, workers=np.int64(3))
    assert again == before and same == overlap


def test_pieces_of_the_grid_change_nothing(known, monkeypatch):
    spin, before, _ = known
    monkeypatch.setattr(local_part, "BRICK", 5)
    monkeypatch.setattr(local_part, "SLAB", 7)
    assert largest(compute(CRYSTAL, spin=spin)[0], before) < 1e-10


def test_what_projectors_leave_out_is_small(known, monkeypatch):
    spin, before, _ = known
    changes = []
    # The control leaves out more.
    for negligible in (0.0, 1e-5):
        monkeypatch.setattr(projector_part, "NEGLIGIBLE", negligible)
        changes.append(largest(compute(CRYSTAL, spin=spin)[0], before))
    assert changes[0] < 1e-9 < 1e-6 < changes[1]


def test_a_supercell_has_the_blocks_of_the_cell():
    # At 45 Ry its grid is that of the cell; at 40 Ry it is another one.
    errors = []
    for cutoff in (45.0, 40.0):
        once, _ = compute(CRYSTAL, grid_cutoff=cutoff)
        twice, _ = compute(CRYSTAL.repeat((2, 1, 1)), grid_cutoff=cutoff)
        places = once.atom_pairs.copy()
        places[:, 4] += 3 * (places[:, 0] % 2)
        places[:, 0] //= 2
        moved = kh.BlockMatrix(places, once.shapes, once.entries)
        errors.append(largest(twice, moved))
    assert errors[0] < 1e-8 < 1e-3 < errors[1]


@pytest.mark.parametrize("pbc", [False, True])
def test_a_molecule_needs_no_cell(pbc):
    molecule = ase.Atoms("OH", [[0, 0, 0], [0.2, 0.3, 0.9]])
    boxed = molecule.copy()
    boxed.set_cell(np.diag([9.0, 9.5, 10.0]))
    boxed.pbc = pbc
    options = {"grid_cutoff": 200.0, "functional": "PW92"}
    alone, overlap = compute(molecule, **options)
    inside, same = compute(boxed, **options)
    assert not alone.atom_pairs[:, :3].any()
    assert largest(inside, alone) < 1e-4
    assert largest(same, overlap) == 0


def test_a_small_cell_without_period_gets_vacuum():
    sheet = ase.Atoms("O", [[0.4, 0.2, 0.1]], cell=np.diag([4.0, 4.2, 1.0]))
    sheet.pbc = [True, True, False]
    found, _ = compute(sheet)
    assert not found.atom_pairs[:, 2].any()
    sheet.set_cell(np.diag([4.0, 4.2, 4.0]))
    sheet.pbc = True
    assert compute(sheet)[0].atom_pairs[:, 2].any()


def test_a_far_atom_changes_nothing():
    cell = np.diag([4.0, 4.0, 40.0])
    atoms = ase.Atoms("OH", [[1, 1, 5], [1, 1, 20]], cell=cell, pbc=True)
    both, _ = compute(atoms)
    alone, _ = compute(atoms[:1])
    assert np.abs(both.find((0, 0, 0, 0, 0)) - alone.block(0)).max() < 1e-10


def test_the_grid_holds_all_electrons():
    pairs = CrystalPairs(CRYSTAL, SPECIES)
    grid = RealSpaceGrid.of_cutoff(pairs.cell, 100.0)
    potential = SuperposedPotential(
        grid, pairs, list(SPECIES.values()), 0, has_neutral_atoms=True
    )
    valence = potential.fields(0, grid.numbers[0])[0]
    electrons = valence.sum() * grid.volume
    expected = sum(DENSITIES[s][1] for s in CRYSTAL.symbols)
    assert abs(electrons - expected) < 1e-5
    # Planes beyond the cell are those of its other side.
    beyond = potential.fields(grid.numbers[0], grid.numbers[0] + 2)[0]
    np.testing.assert_allclose(beyond, valence[:2], atol=1e-12)


def test_points_of_the_grid_are_products_of_small_primes():
    cell = np.diag([10.0, 20.0, 13.0])
    grid = RealSpaceGrid.of_cutoff(cell, 200.0)
    # 45.02, 90.03 and 58.5 are asked for.
    assert grid.numbers.tolist() == [45, 90, 60]


def test_pairs_end_at_the_reach():
    hamiltonian, overlap = compute(CRYSTAL)
    assert np.array_equal(hamiltonian.atom_pairs, overlap.atom_pairs)
    lengths = np.linalg.norm(
        kh.Calculation(
            CRYSTAL, kh.superposition.basis_of(SPECIES), overlap=overlap
        ).edge_vectors(overlap.atom_pairs),
        axis=1,
    )
    assert 0.95 < lengths.max() / (2 * REACH * BOHR_IN_ANGSTROM) < 1


def test_predictions_take_it_as_initial():
    basis = kh.superposition.basis_of(SPECIES)
    bare = kh.Calculation(CRYSTAL, basis, "noncollinear")
    step = kh.ZerothStep(SPECIES, spin="noncollinear", grid_cutoff=40.0)
    found = given_initial(bare, step)
    assert (found.initial_hamiltonian, found.overlap) == step(CRYSTAL)


def test_an_element_with_a_local_potential():
    local = dataclasses.replace(SPECIES["H"], projectors=())
    silent = dataclasses.replace(
        SPECIES["H"],
        projectors=tuple(
            Projector(p.functions, tuple(0.0 for _ in p.energies))
            for p in SPECIES["H"].projectors
        ),
    )
    found, same = (
        kh.ZerothStep({**SPECIES, "H": hydrogen}, grid_cutoff=40.0)(CRYSTAL)[0]
        for hydrogen in (local, silent)
    )
    assert largest(found, same) < 1e-10
    assert largest(found, compute(CRYSTAL)[0]) > 0.1


def test_progress_ends_at_one():
    fractions = []
    compute(CRYSTAL, progress=fractions.append)
    assert fractions == sorted(fractions) and fractions[-1] == 1.0


def refused(atoms, message, **options):
    with pytest.raises(ValueError, match=message):
        compute(atoms, **options)


def test_what_is_refused():
    magnetic = CRYSTAL.copy()
    magnetic.set_initial_magnetic_moments([1, 0, 0])
    refused(magnetic, "H⁰ of magnetic atoms is not implemented")
    doubled = CRYSTAL + CRYSTAL[:1]
    refused(doubled, "Atoms 0 and 3 .* coincide")
    other = CRYSTAL.copy()
    other.symbols[0] = "Xe"
    refused(other, "no species of Xe; known: O, H")
    flat = CRYSTAL.copy()
    flat.set_cell(np.zeros((3, 3)))
    refused(flat, "three independent lattice vectors")
    refused(CRYSTAL, "`spin` is one of", spin="collinear")
    refused(CRYSTAL, "`neutral_atoms` is one of", neutral_atoms="exact")
    refused(CRYSTAL, "no projectors of its", neutral_atoms="projectors")
    refused(CRYSTAL, "`workers` is a positive number", workers=0)
    refused(CRYSTAL, "`workers` is a positive number", workers=True)
    refused(ase.Atoms(), "There are no atoms")
