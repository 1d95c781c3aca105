import numpy as np
import scipy.interpolate

from keras_hamiltonian.orbitals.splines import spline_penalty
from keras_hamiltonian.orbitals.splines import spline_values

NUM = 12


def test_against_scipy():
    x = np.linspace(0, 1, 301)[:-1]
    step = 1 / (NUM + 1)
    values = spline_values(x, NUM)
    for k in range(NUM):
        knots = (k + np.arange(-2, 3)) * step
        basis = scipy.interpolate.BSpline.basis_element(knots, False)
        expected = np.nan_to_num(basis(x))
        np.testing.assert_allclose(values[:, k], expected, atol=1e-13)


def test_they_sum_to_one_away_from_both_ends():
    step = 1 / (NUM + 1)
    inside = np.linspace(step, 1 - 3 * step, 50)
    np.testing.assert_allclose(spline_values(inside, NUM).sum(-1), 1)


def test_two_derivatives_vanish_at_the_reach():
    h = 1e-4
    values = spline_values(1 - h * np.arange(4), NUM)
    assert (values[0] == 0).all()
    assert np.abs(values[1:]).max() < 200 * (3 * h * (NUM + 1)) ** 3
    assert not spline_values(np.array([1.0, 1.5, 20.0]), NUM).any()


def test_shape_of_several_axes():
    assert spline_values(np.zeros((2, 3)), NUM).shape == (2, 3, NUM)
    assert spline_values(np.zeros(0), NUM).shape == (0, NUM)


def test_penalty_is_blind_to_straight_lines():
    penalty = spline_penalty(NUM)
    line = 3 + 2 * np.arange(NUM)
    np.testing.assert_allclose(penalty @ line, 0, atol=1e-12)
    bent = np.arange(NUM) ** 2.0
    np.testing.assert_allclose(bent @ penalty @ bent, 4 * (NUM - 2))
