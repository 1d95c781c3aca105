import numpy as np
import pytest

from keras_hamiltonian.orbitals.basis import OrbitalBasis

MOS2 = {"S": "2s 2p 1d", "Mo": "3s 2p 2d"}


def test_common_table_holds_every_element():
    basis = OrbitalBasis(MOS2)
    assert basis.symbols == ("Mo", "S")  # sorted: the position is the species
    assert basis.species == {42: 0, 16: 1}
    assert basis.table_shells == (0, 0, 0, 1, 1, 2, 2)
    assert basis.num_rows == 19 and basis.lmax == 2
    assert (basis.num_orbitals("S"), basis.num_orbitals(42)) == (13, 19)
    np.testing.assert_array_equal(basis.table_rows("Mo"), np.arange(19))
    rows = [0, 1, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13]
    np.testing.assert_array_equal(basis.table_rows(16), rows)


def test_table_may_be_larger_than_every_element():
    basis = OrbitalBasis({"H": "3s", "C": "1s 2p"})
    assert basis.table_shells == (0, 0, 0, 1, 1)
    assert max(basis.num_orbitals(s) for s in basis.symbols) == 7
    np.testing.assert_array_equal(basis.table_rows("H"), [0, 1, 2])
    np.testing.assert_array_equal(basis.table_rows("C"), [0, *range(3, 9)])


def test_shells_in_the_order_of_the_element():
    basis = OrbitalBasis({"C": [1, 0, 2, 0]})
    assert basis.to_dict() == {"C": [1, 0, 2, 0]}
    rows = [2, 3, 4, 0, 5, 6, 7, 8, 9, 1]
    np.testing.assert_array_equal(basis.table_rows("C"), rows)


@pytest.mark.parametrize(
    "spec", ["2s2p1d", "2s, 2p, 1d", "2s+2p+1d", [0, 0, 1, 1, 2]]
)
def test_ways_to_write_the_same_basis(spec):
    basis = OrbitalBasis({"C": spec})
    assert basis == OrbitalBasis({"C": "2s 2p 1d"})
    assert basis.to_dict() == {"C": "2s 2p 1d"}
    assert OrbitalBasis(basis.to_dict()) == basis
    assert hash(basis) == hash(OrbitalBasis(basis.to_dict()))


@pytest.mark.parametrize(
    "shells, message",
    [
        ({}, "at least one element"),
        ({"Xx": "1s"}, "'Xx' is not the symbol"),
        ({"C": "2s 2z"}, "Cannot read the shells"),
        ({"C": ""}, "Cannot read the shells"),
        ({"C": []}, "1 to 200 shells"),
        ({"C": [0, -1]}, "1 to 200 shells"),
    ],
)
def test_unreadable_bases(shells, message):
    with pytest.raises(ValueError, match=message):
        OrbitalBasis(shells)


def test_missing_element_is_named_with_the_way_out():
    with pytest.raises(ValueError, match="Element Te .* knows Mo, S"):
        OrbitalBasis(MOS2).num_orbitals("Te")


def test_union_and_covers():
    mos2, carbon = OrbitalBasis(MOS2), OrbitalBasis({"C": "2s 2p 1d"})
    both = mos2.union(carbon)
    assert both.symbols == ("C", "Mo", "S")
    assert both.covers(mos2) and both.covers(carbon)
    assert not mos2.covers(carbon)
    with pytest.raises(ValueError, match="one basis per element"):
        mos2.union(OrbitalBasis({"S": "1s"}))
