import keras
import numpy as np
import pytest

from keras_hamiltonian.ops.splines import cubic_splines
from keras_hamiltonian.orbitals.splines import spline_values


@pytest.mark.parametrize("dtype, atol", [("float32", 1e-5), ("float64", 1e-13)])
def test_against_numpy(dtype, atol):
    relative = np.linspace(0, 1.2, 60).reshape(5, 12)
    found = keras.ops.convert_to_numpy(
        cubic_splines(keras.ops.convert_to_tensor(relative, dtype=dtype), 9)
    )
    assert found.dtype == dtype and found.shape == (5, 12, 9)
    np.testing.assert_allclose(found, spline_values(relative, 9), atol=atol)
    # Nothing at all beyond the reach, in any precision.
    assert not found[relative > 1].any()
