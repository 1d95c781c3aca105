"""Overlaps of structures that the fit has not seen, against OpenMX's."""

import json
import pathlib
import warnings

import numpy as np
import pytest

from keras_hamiltonian.conventions import HARTREE_IN_EV
from keras_hamiltonian.data.store import HamiltonianStore
from keras_hamiltonian.irreps import random_rotations
from keras_hamiltonian.irreps import wigner_d_matrix
from keras_hamiltonian.orbitals.block_matrix import BlockMatrix
from keras_hamiltonian.physics.bands import solve_bands
from keras_hamiltonian.physics.hamiltonian import BlochMatrices
from keras_hamiltonian.physics.overlap import TwoCentreOverlap

DATA = pathlib.Path(__file__).parents[2] / "recipes" / "data"


def read(name):
    store = HamiltonianStore(DATA / f"{name}.h5")
    split = json.loads((DATA / f"{name}.split.json").read_text())
    return store, split


def fit(name):
    """From all structures but the test set; some come without an overlap."""
    store, split = read(name)
    known = split["train"] + split["validate"]
    return TwoCentreOverlap.fit(store[n] for n in known)


@pytest.fixture(scope="module")
def graphene():
    return fit("graphene")


@pytest.fixture(scope="module")
def mos2():
    return fit("mos2")


def largest_error(overlap, calculation):
    known, fitted = calculation.overlap, overlap(calculation.atoms)
    assert set(fitted.index) == set(known.index)
    assert fitted.hermitian_error() == 0.0
    chosen = fitted.select([fitted.index[pair] for pair in known.index])
    return np.abs(chosen.entries - known.entries).max()


@pytest.mark.parametrize("name", ["graphene", "mos2", "bismuthene"])
def test_structures_outside_the_fit(name):
    store, split = read(name)
    overlap = fit(name)
    errors = [largest_error(overlap, store[n]) for n in split["test"]]
    assert max(errors) < 1e-5


def test_from_one_layer_to_the_twisted_bilayer(graphene):
    twisted = HamiltonianStore(DATA / "bilayer_graphene_twisted.h5")[0]
    graphene._warned.clear()
    with pytest.warns(UserWarning, match="C-C at 3.3.* interpolated"):
        error = largest_error(graphene, twisted)
    assert error < 1e-5
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        graphene(twisted.atoms)
    # Another structure has its own warning; so has one with another cell.
    moved, strained = twisted.atoms.copy(), twisted.atoms.copy()
    moved.positions += [0, 0, 0.5]
    strained.cell[2, 2] += 1.0
    for other in (moved, strained):
        with pytest.warns(UserWarning, match="C-C at 3.3.* interpolated"):
            graphene(other)


def test_bands_with_the_fitted_overlap(mos2):
    calculation = HamiltonianStore(DATA / "reference_mos2.h5")[0]
    with np.load(DATA / "reference_mos2.bands.npz") as archive:
        k_points = archive["k_frac"][::12]
        expected = archive["eig_hartree"][::12] * HARTREE_IN_EV
    matrices = BlochMatrices(
        calculation.hamiltonian,
        mos2(calculation.atoms),
        calculation.num_orbitals,
    )
    error = np.abs(solve_bands(matrices, k_points) - expected)
    assert error[expected < calculation.fermi_level + 2].max() < 1e-4


def test_rotated_crystal(mos2):
    calculation = HamiltonianStore(DATA / "mos2.h5")[0]
    atoms, basis = calculation.atoms, calculation.basis
    rotation = random_rotations(1, seed=3)[0]
    rotated = atoms.copy()
    rotated.set_cell(np.asarray(atoms.cell) @ rotation.T)
    rotated.positions = atoms.positions @ rotation.T
    before, after = mos2(atoms), mos2(rotated)
    for position, (*_, i, j) in enumerate(before.atom_pairs[:200].tolist()):
        left, right = (
            np.concatenate(
                [
                    np.pad(
                        wigner_d_matrix(l, rotation),
                        [(0, 0), (start, size - start - 2 * l - 1)],
                    )
                    for start, l, size in shells_with_starts(
                        basis.shells[atoms.symbols[k]]
                    )
                ]
            )
            for k in (i, j)
        )
        expected = left @ before.block(position) @ right.T
        np.testing.assert_allclose(
            after.find(before.atom_pairs[position]), expected, atol=1e-12
        )


def shells_with_starts(degrees):
    sizes = [2 * l + 1 for l in degrees]
    starts = np.cumsum(sizes) - sizes
    return [(s, l, sum(sizes)) for s, l in zip(starts, degrees)]


def test_atoms_outside_the_cell(graphene):
    atoms = HamiltonianStore(DATA / "graphene.h5")["050"].atoms
    inside = graphene(atoms)
    moved = atoms.copy()
    moved.positions[3] += 2 * atoms.cell[0] - atoms.cell[1]
    outside = graphene(moved)
    assert len(outside) == len(inside)
    for pair, block in zip(inside.atom_pairs, inside.blocks()):
        cells_moved = int(pair[3] == 3) - int(pair[4] == 3)
        there = pair[:3] + cells_moved * np.array([2, -1, 0])
        np.testing.assert_allclose(
            outside.find((*there, *pair[3:])), block, atol=1e-12
        )


def test_json_round_trip(mos2):
    atoms = HamiltonianStore(DATA / "reference_mos2.h5").atoms(0)
    again = TwoCentreOverlap.from_dict(json.loads(json.dumps(mos2.to_dict())))
    assert again(atoms) == mos2(atoms)
    assert again.basis == mos2.basis


def test_a_short_edge_is_refused(graphene):
    atoms = HamiltonianStore(DATA / "reference_graphene.h5").atoms(0)
    atoms.set_cell(np.asarray(atoms.cell) * 0.7, scale_atoms=True)
    with pytest.raises(ValueError, match=r"0.994 Å apart.*closer than any C-C"):
        graphene(atoms)


@pytest.mark.filterwarnings("ignore:The overlap of C-C")
def test_an_unknown_pair_is_refused(mos2):
    structures = [
        HamiltonianStore(DATA / f"reference_{name}.h5")[0]
        for name in ("mos2", "graphene")
    ]
    both = TwoCentreOverlap.fit(structures)
    atoms = structures[0].atoms.copy()
    atoms.symbols[1] = "C"
    with pytest.raises(ValueError, match="has the pair C-"):
        both(atoms)


def test_a_wrong_orbital_order_is_noticed():
    calculation = HamiltonianStore(DATA / "reference_graphene.h5")[0]
    order = np.arange(13)
    order[2:5] = [4, 2, 3]
    calculation.overlap = BlockMatrix.from_blocks(
        calculation.overlap.atom_pairs,
        [b[np.ix_(order, order)] for b in calculation.overlap.blocks()],
    )
    with pytest.raises(ValueError, match="no two-centre matrix"):
        TwoCentreOverlap.fit([calculation])


def test_a_fit_needs_an_overlap():
    calculation = HamiltonianStore(DATA / "reference_graphene.h5")[0]
    calculation.overlap = None
    with pytest.raises(ValueError, match="None of the calculations"):
        TwoCentreOverlap.fit([calculation])
