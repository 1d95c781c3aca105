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


def test_another_rule_is_noticed():
    calculation = HamiltonianStore(DATA / "reference_graphene.h5")[0]
    pairs = calculation.overlap.atom_pairs
    distances = np.linalg.norm(calculation.edge_vectors(pairs), axis=1)
    calculation.overlap = calculation.overlap.select(
        (distances < 2) | (distances > 3)
    )
    with pytest.raises(ValueError, match="leaves out.*Give `reaches`"):
        estimate_reaches([calculation])
