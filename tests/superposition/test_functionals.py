"""Potentials of uniform and non-uniform densities against libxc."""

import sys

import ase
import numpy as np
import pytest
from gaussian_species import gaussian_species

import keras_hamiltonian as kh
from keras_hamiltonian.superposition.functionals import derivatives
from keras_hamiltonian.superposition.functionals import find_functional

libxc = pytest.importorskip("pyscf.dft.libxc")
DENSITIES = np.geomspace(1e-9, 1e3, 40)


@pytest.mark.parametrize(
    "name, theirs",
    [("PBE", "pbe,pbe"), ("PW92", "lda,pw"), ("PZ81", "lda,pz")],
)
def test_against_libxc(name, theirs):
    # Gradients up to a reduced one of some ten.
    squares = np.array([0.0, 0.1, 1.0, 100.0])[:, None] * DENSITIES ** (8 / 3)
    density = np.broadcast_to(DENSITIES, squares.shape).ravel()
    square = squares.ravel()
    slope = np.zeros((3, density.size))
    slope[0] = np.sqrt(square)
    rho = np.concatenate([density[None], slope])
    if name != "PBE":
        rho = density
    expected = libxc.eval_xc(theirs, rho, deriv=1)[1]
    number = find_functional(name)
    found = np.array([derivatives(number, *x) for x in zip(density, square)]).T
    np.testing.assert_allclose(found[0], expected[0], rtol=2e-5, atol=1e-12)
    if name == "PBE":
        np.testing.assert_allclose(
            found[1] * square, expected[1] * square, rtol=2e-5, atol=1e-14
        )
        # The control: without the gradient it is another potential.
        plain = np.array([derivatives(number, d, 0.0) for d in density]).T
        assert np.abs(plain[0] / expected[0] - 1).max() > 0.1


def crystal(functional, cutoff=40.0):
    atoms = ase.Atoms(
        "OH",
        [[0.1, 0.2, 0.3], [0.9, 0.6, 0.5]],
        cell=[4.0, 4.2, 4.4],
        pbc=True,
    )
    step = kh.ZerothStep(
        gaussian_species(), functional=functional, grid_cutoff=cutoff
    )
    return step, step(atoms)[0].entries


@pytest.mark.parametrize(
    "name, theirs", [("PBE", "PBE,PBE"), ("PZ81", "LDA_X,LDA_C_PZ")]
)
def test_libxc_on_the_grid(name, theirs):
    _, found = crystal(theirs)
    np.testing.assert_allclose(found, crystal(name)[1], atol=2e-5)
    # The control.
    _, other = crystal("PBEsol" if name == "PBE" else "PBE")
    assert np.abs(other - found).max() > 0.01


def test_libxc_in_a_file():
    step, found = crystal("BLYP")
    again = kh.ZerothStep.from_dict(step.to_dict())
    assert again.functional == step.functional
    assert again.describe() == step.describe()
    assert step.describe()["functional"] == "BLYP"


@pytest.mark.parametrize(
    "name, message",
    [
        ("nonsense", "libxc knows no functional 'nonsense'"),
        ("SCAN", "'SCAN' is MGGA; H⁰ is computed with LDA and GGA"),
        ("PBE0", "'PBE0' is a hybrid or non-local; H⁰"),
        ("WB97M-V", "'WB97M-V' is a hybrid or non-local"),
        ("LDA", "'LDA' is not exchange and correlation"),
    ],
)
def test_refused_functionals(name, message):
    with pytest.raises(ValueError, match=message):
        find_functional(name)


def test_without_libxc(monkeypatch):
    monkeypatch.setitem(sys.modules, "pyscf.dft", None)
    with pytest.raises(ValueError, match=r"PBEsol' needs libxc: pip install"):
        find_functional("PBEsol")
    assert find_functional("PBE") == find_functional("pbe") == 0
