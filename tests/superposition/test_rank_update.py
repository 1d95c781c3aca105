"""The symmetric product against NumPy's."""

import numpy as np

from keras_hamiltonian.superposition.rank_update import add_square


def test_upper_triangle_against_numpy():
    random = np.random.default_rng(0)
    rows, more = random.normal(size=(7, 5)), random.normal(size=(3, 5))
    product = np.full((5, 5), np.nan)
    add_square(product, rows, -2.0, 0.0)
    add_square(product, more, 1.0, 0.5)
    upper = np.triu_indices(5)
    expected = -rows.T @ rows + more.T @ more
    np.testing.assert_allclose(product[upper], expected[upper])
    # The rest is not touched.
    assert np.isnan(product[np.tril_indices(5, -1)]).all()


def test_no_rows_clear_or_keep():
    product = np.ones((4, 4))
    add_square(product, np.empty((0, 4)), 1.0, 1.0)
    assert (product == 1).all()
    add_square(product, np.empty((0, 4)), 1.0, 0.0)
    assert (product[np.triu_indices(4)] == 0).all()
