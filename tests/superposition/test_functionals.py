"""Potentials of uniform and non-uniform densities against libxc."""

import numpy as np
import pytest

from keras_hamiltonian.superposition.functionals import derivatives
from keras_hamiltonian.superposition.functionals import functional_number

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
    number = functional_number(name)
    found = np.array([derivatives(number, *x) for x in zip(density, square)]).T
    np.testing.assert_allclose(found[0], expected[0], rtol=2e-5, atol=1e-12)
    if name == "PBE":
        np.testing.assert_allclose(
            found[1] * square, expected[1] * square, rtol=2e-5, atol=1e-14
        )
        # The control: without the gradient it is another potential.
        plain = np.array([derivatives(number, d, 0.0) for d in density]).T
        assert np.abs(plain[0] / expected[0] - 1).max() > 0.1


def test_unknown_functional():
    with pytest.raises(ValueError, match="'SCAN' is not known. Known: PBE"):
        functional_number("SCAN")
