import keras
import numpy as np
import pytest

from keras_hamiltonian.layers import HermitianAverage
from keras_hamiltonian.layers import HoppingReadout


@pytest.mark.parametrize("spin", ["none", "noncollinear"])
def test_result_is_hermitian_bit_for_bit(cluster, spin):
    random = np.random.default_rng(0)
    inner = (3, 3) if spin == "none" else (2, 2, 2, 3, 3)
    shape = cluster["reverse_edge"].shape
    onsite = random.normal(size=(5, *inner))
    hopping = random.normal(size=(*shape, *inner))
    found = HermitianAverage(spin, dtype="float64")(
        *map(keras.ops.convert_to_tensor, (onsite, hopping)),
        keras.ops.convert_to_tensor(cluster["reverse_edge"]),
    )
    found = {k: keras.ops.convert_to_numpy(x) for k, x in found.items()}

    def dagger(x):
        if spin == "none":
            return x.swapaxes(-1, -2)
        x = x.swapaxes(-1, -2).swapaxes(-3, -4)
        return x * np.array([1, -1]).reshape(2, 1, 1, 1, 1)

    flat = found["hopping"].reshape(-1, *inner)
    partner = flat[cluster["reverse_edge"].ravel()]
    np.testing.assert_array_equal(flat, dagger(partner))
    np.testing.assert_array_equal(found["onsite"], dagger(found["onsite"]))
    flat = hopping.reshape(-1, *inner)
    expected = (flat + dagger(flat[cluster["reverse_edge"].ravel()])) / 2
    np.testing.assert_allclose(
        found["hopping"], expected.reshape(hopping.shape), atol=1e-15
    )


def test_readout_names_the_kinds_that_are_missing():
    with pytest.raises(ValueError, match="kind 0-, 2, which the features"):
        HoppingReadout({"C": "1s 1p"}, "4x0e + 2x1o")
