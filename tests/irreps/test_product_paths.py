import json

import numpy as np
import pytest

from keras_hamiltonian.irreps import Irreps
from keras_hamiltonian.irreps import ProductPaths
from keras_hamiltonian.irreps import clebsch_gordan

IRREPS = "3x1o + 2x0e + 1x1e", "1x1o + 3x0e + 1x2e", "5x1o + 1x0e + 3x1e + 1x1o"


def test_order_shapes_and_coefficients_against_e3nn(o3):
    theirs = o3.FullyConnectedTensorProduct(*IRREPS)
    ours = ProductPaths.fully_connected(*IRREPS)
    assert len(ours.paths) == len(theirs.instructions)
    start = 0
    for path, other in zip(ours.paths, theirs.instructions):
        assert (path.term1, path.term2, path.term_out) == other[:3]
        assert path.weight_shape == other.path_shape
        assert path.weight_slice.start == start
        np.testing.assert_allclose(path.coefficient, other.path_weight)
        start += path.num_weights
        assert path.weight_slice.stop == start
    assert ours.num_weights == start == theirs.weight_numel


def test_channelwise_keeps_the_order_of_paths():
    paths = ProductPaths.channelwise("2x1o + 3x0e", "1o + 0e")
    assert str(paths.irreps_out) == "2x0e+2x1e+2x2e+2x1o+3x1o+3x0e"
    assert [path.term_out for path in paths.paths] == list(range(6))
    assert all(path.is_channelwise for path in paths.paths)
    kept = ProductPaths.channelwise("2x1o + 3x0e", "1o + 0e", "9x1o + 0e")
    assert str(kept.irreps_out) == "2x0e+2x1o+3x1o+3x0e"
    assert kept.num_weights == 10


def test_coupling():
    paths = ProductPaths.fully_connected("2x1o", "3x1o", "4x2e")
    (path,) = paths.paths
    expected = (5 / 6) ** 0.5 * clebsch_gordan(1, 1, 2)
    np.testing.assert_allclose(paths.coupling(path), expected)


def test_paths_are_keys_and_json():
    one, two = (ProductPaths.fully_connected(*IRREPS) for _ in range(2))
    assert one == two and len({one, two}) == 1
    assert one != ProductPaths.channelwise(*IRREPS)
    for paths in (one, ProductPaths.channelwise(*IRREPS)):
        text = json.dumps(paths.as_dict())
        again = ProductPaths.from_dict(json.loads(text))
        assert again == paths and hash(again) == hash(paths)


@pytest.mark.parametrize("irreps", [("", "1o", "1o"), ("1o", "0e", "2e")])
def test_products_without_paths(irreps):
    paths = ProductPaths.fully_connected(*irreps)
    assert paths.paths == () and paths.num_weights == 0
    assert paths.irreps_out == Irreps(irreps[2])
