import numpy as np
import pytest

from keras_hamiltonian.irreps import Irrep
from keras_hamiltonian.irreps import Irreps
from keras_hamiltonian.irreps import random_rotations


@pytest.mark.parametrize(
    "text, printed, dim",
    [
        ("8x0e + 4x1o + 2e", "8x0e+4x1o+1x2e", 25),
        ("1o", "1x1o", 3),
        ("  3 x 1o+0e ", "3x1o+1x0e", 10),  # spaces anywhere, unsorted
        ("2x1o + 1x0e + 2x1o", "2x1o+1x0e+2x1o", 13),  # repeated
        ("12x11e", "12x11e", 276),  # degrees of two digits
        ("", "", 0),
    ],
)
def test_reading_and_printing(text, printed, dim):
    irreps = Irreps(text)
    assert str(irreps) == printed
    assert irreps.dim == dim
    assert Irreps(str(irreps)) == irreps
    assert Irreps(irreps) is irreps


@pytest.mark.parametrize("text", ["1", "x1o", "2x", "1o+1z", "-1o", "1o,0e"])
def test_unreadable_term_is_named(text):
    with pytest.raises(ValueError, match="Cannot read the term"):
        Irreps(text)


@pytest.mark.parametrize("name", ["o", "1", "1x1o", "one"])
def test_unreadable_irrep_is_named(name):
    with pytest.raises(ValueError, match=f"Received: '{name}'"):
        Irrep.parse(name)


def test_parity():
    natural = ["0e", "1o", "2e", "3o", "4e"]
    assert all(Irrep.parse(name).is_natural for name in natural)
    assert not any(Irrep.parse(n).is_natural for n in ["0o", "1e", "2o"])
    assert [Irrep.parse(n).p for n in ("3e", "3o")] == [1, -1]


def test_properties():
    irreps = Irreps("2x1o + 1x0e + 3x1o + 2x2e")
    assert irreps.lmax == 2
    assert irreps.num_irreps == 8
    assert irreps.count("1o") == irreps.count(Irrep(1, -1)) == 5
    assert irreps.count("4e") == 0
    assert str(irreps.regrouped()) == "1x0e+5x1o+2x2e"
    assert str(Irreps("1o") + Irreps("0e")) == "1x1o+1x0e"
    stops = [(s.start, s.stop) for s in irreps.slices()]
    assert stops == [(0, 6), (6, 7), (7, 16), (16, 26)]
    assert repr(Irreps("0e")) == "Irreps('1x0e')"


def test_even_comes_before_odd_when_regrouped():
    assert str(Irreps("1o + 0o + 1e + 0e").regrouped()) == "1x0e+1x0o+1x1e+1x1o"


def test_empty_irreps_have_no_largest_degree():
    with pytest.raises(ValueError, match="no largest degree"):
        Irreps("").lmax


def test_matrix_acts_on_components_and_not_on_channels():
    rotation = random_rotations(1, seed=0)[0]
    matrix = Irreps("2x1o").d_matrix(rotation)
    vectors = np.random.default_rng(0).normal(size=(3, 2))
    # Components (y, z, x) outer, the two vectors inner.
    rotated = (matrix @ vectors.ravel()).reshape(3, 2)
    order = [1, 2, 0]
    expected = rotation[np.ix_(order, order)] @ vectors
    np.testing.assert_allclose(rotated, expected, atol=1e-14)


def test_inversion_multiplies_by_the_parity():
    irreps = Irreps("2x0e + 1x0o + 1x1e + 3x1o + 2o")
    signs = np.repeat([1, -1, 1, -1, -1], [2, 1, 3, 9, 5])
    np.testing.assert_allclose(
        irreps.d_matrix(-np.eye(3)), np.diag(signs), atol=1e-14
    )


def test_matrix_of_irreps_against_e3nn(o3):
    import torch

    rotation = -random_rotations(1, seed=3)[0]
    order = [1, 2, 0]
    text = "2x0e+1x0o+3x1o+1x1e+2x2e+1x3e"
    theirs = o3.Irreps(text).D_from_matrix(
        torch.tensor(rotation[np.ix_(order, order)])
    )
    irreps = Irreps(text)
    # e3nn has channels outer; ours inner.
    shuffle = np.concatenate(
        [
            where.start + np.arange(mul * ir.dim).reshape(mul, ir.dim).T.ravel()
            for (mul, ir), where in zip(irreps, irreps.slices())
        ]
    )
    theirs = theirs.numpy()[np.ix_(shuffle, shuffle)]
    # e3nn finds angles first, which costs digits.
    np.testing.assert_allclose(irreps.d_matrix(rotation), theirs, atol=1e-10)
