"""The symmetric product against NumPy's."""

import numpy as np

from keras_hamiltonian.superposition.rank_update import add_square


def test_upper_triangle_against_numpy():
    columns = np.random.default_rng(0).normal(size=(5, 10))
    product = np.full((5, 5), np.nan)
    add_square(product, columns, 0, 7, -2.0, 0.0)
    add_square(product, columns, 7, 10, 1.0, 0.5)
    upper = np.triu_indices(5)
    left, right = columns[:, :7], columns[:, 7:]
    expected = -left @ left.T + right @ right.T
    np.testing.assert_allclose(product[upper], expected[upper])
    # The rest is not touched.
    assert np.isnan(product[np.tril_indices(5, -1)]).all()


def test_no_columns_clear_or_keep():
    product, columns = np.ones((4, 4)), np.ones((4, 3))
    add_square(product, columns, 3, 3, 1.0, 1.0)
    assert (product == 1).all()
    add_square(product, columns, 0, 0, 1.0, 0.0)
    assert (product[np.triu_indices(4)] == 0).all()
