import pathlib

import numpy as np
import pytest

from keras_hamiltonian.conventions import BOHR_IN_ANGSTROM
from keras_hamiltonian.data.store import HamiltonianStore
from keras_hamiltonian.physics.reach import estimate_reaches
from keras_hamiltonian.structures.neighbors import pairs_within

DATA = pathlib.Path(__file__).parents[2] / "recipes" / "data"
# The radii in the names of the OpenMX bases: C6.0, Mo7.0, S7.0, Bi8.0, ...
BOHR = {"C": 6, "Mo": 7, "S": 7, "Bi": 8, "Se": 7, "Te": 7}


@pytest.mark.parametrize(
    "name", ["graphene", "bilayer_graphene", "mos2", "bismuthene", "bi2se3"]
)
def test_reaches_are_those_of_the_basis(name):
    store = HamiltonianStore(DATA / f"{name}.h5")
    known = [store[n] for n in store.names[:4]]
    reaches = estimate_reaches(c for c in known if c.overlap is not None)
    expected = {s: BOHR[s] * BOHR_IN_ANGSTROM for s in reaches}
    assert reaches == pytest.approx(expected)


@pytest.mark.parametrize("name", ["graphene", "mos2", "bi2te3", "bi2se3"])
def test_files_list_the_pairs_within_two_reaches(name):
    calculation = HamiltonianStore(DATA / f"{name}.h5")[0]
    reaches = {s: n * BOHR_IN_ANGSTROM for s, n in BOHR.items()}
    pairs = pairs_within(calculation.atoms, reaches)
    assert set(map(tuple, pairs.tolist())) == set(calculation.hamiltonian.index)


def within(name, reaches, number=4):
    """Structures whose overlaps end where orbitals of these reaches do."""
    store = HamiltonianStore(DATA / f"{name}.h5")
    for calculation in map(store.__getitem__, range(number)):
        matrix = calculation.overlap or calculation.hamiltonian
        pairs = pairs_within(calculation.atoms, reaches).tolist()
        chosen = [matrix.index[tuple(pair)] for pair in pairs]
        calculation.overlap = matrix.select(chosen)
        yield calculation


@pytest.mark.parametrize(
    "name, reaches",
    [
        ("graphene", {"C": 2.91}),
        ("graphene", {"C": 3.1}),
        ("mos2", {"Mo": 3.41, "S": 2.87}),
        ("mos2", {"Mo": 2.6, "S": 3.6}),
        ("bi2se3", {"Bi": 3.95, "Se": 3.52}),
    ],
)
def test_orbitals_that_end_anywhere(name, reaches):
    """The reaches that are found list the pairs of structures that they were
    not estimated from, but for those in the last hundredths of an Å."""
    *known, other = within(name, reaches, 5)
    found = estimate_reaches(known)
    for calculation in known:
        pairs = pairs_within(calculation.atoms, found).tolist()
        assert set(map(tuple, pairs)) == set(calculation.overlap.index)
    pairs = set(map(tuple, pairs_within(other.atoms, found).tolist()))
    assert len(pairs ^ set(other.overlap.index)) < 0.02 * len(pairs)


def test_known_reaches_stay():
    calculations = list(within("mos2", {"Mo": 3.41, "S": 2.87}))
    found = estimate_reaches(calculations, {"Mo": 3.41})
    assert found["Mo"] == 3.41
    assert found["S"] == pytest.approx(2.87, abs=0.05)
    with pytest.raises(ValueError, match="Mo and Mo up to 6.* overlap up to 6"):
        estimate_reaches(calculations, {"Mo": 3.1, "S": 2.87})


def test_another_rule_is_noticed():
    calculation = HamiltonianStore(DATA / "reference_graphene.h5")[0]
    pairs = calculation.overlap.atom_pairs
    distances = np.linalg.norm(calculation.edge_vectors(pairs), axis=1)
    calculation.overlap = calculation.overlap.select(
        (distances < 2) | (distances > 3)
    )
    with pytest.raises(ValueError, match="leaves out.*Give `reaches`"):
        estimate_reaches([calculation])
    # Unless they are known.
    known = {"C": 6 * BOHR_IN_ANGSTROM}
    assert estimate_reaches([calculation], known) == known
