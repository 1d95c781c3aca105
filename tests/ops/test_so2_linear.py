"""Linear maps of edge features: values, symmetry, graph."""

import keras
import numpy as np
import pytest
from gradients import assert_shapes
from gradients import run

from keras_hamiltonian import ops
from keras_hamiltonian.testing import assert_edge_equivariant

CHANNELS = [{"0+": 5, "0-": 2, "1": 3}, {"0+": 4, "1": 1, "2": 2}]
SIZES = {"0+": 3, "0-": 1, "1": 4, "2": 2}


@pytest.fixture
def kernels():
    random = np.random.default_rng(0)
    return {
        kind: [
            random.normal(size=(c[kind], size)) if kind in c else None
            for c in CHANNELS
        ]
        for kind, size in SIZES.items()
    }


@pytest.fixture
def inputs():
    random = np.random.default_rng(1)
    return [
        {
            kind: random.normal(size=(2, 3, 1 if "0" in kind else 2, size))
            for kind, size in channels.items()
        }
        for channels in CHANNELS
    ]


def flat(kernels):
    return [k for given in kernels.values() for k in given if k is not None]


def mapped(inputs, kernels, template, bias=None):
    """The operation with its kernels as a flat list."""
    rest = iter(kernels)
    nested = {
        kind: [None if k is None else next(rest) for k in given]
        for kind, given in template.items()
    }
    return ops.so2_linear(inputs, nested, bias)


def test_each_kind_is_a_product_of_matrices(inputs, kernels):
    bias = np.arange(3.0)
    found = run(
        lambda x, w, b: mapped(x, w, kernels, b), inputs, flat(kernels), bias
    )
    assert set(found) == set(SIZES)
    for kind, given in kernels.items():
        expected = sum(
            x[kind] @ k for x, k in zip(inputs, given) if k is not None
        )
        if kind == "0+":
            expected = expected + bias
        np.testing.assert_allclose(found[kind], expected, atol=1e-12)


def test_it_commutes_with_the_roll(kernels):
    only_first = {
        kind: [keras.ops.convert_to_tensor(given[0])]
        for kind, given in kernels.items()
        if given[0] is not None
    }
    sizes = {kind: SIZES[kind] for kind in only_first}
    assert_edge_equivariant(
        lambda edges: ops.so2_linear([edges], only_first), CHANNELS[0], sizes
    )


def test_nothing_in_common_gives_nothing(inputs):
    assert ops.so2_linear(inputs, {}) == {}


def test_node_of_a_graph(inputs, kernels):
    x = inputs[0]["1"]

    def function(x, kernel):
        return ops.so2_linear([{"1": x}], {"1": [kernel]})

    assert_shapes(function, x, kernels["1"][0])
    with pytest.raises(ValueError, match="takes 1 channels. Received: 3"):
        assert_shapes(function, x, kernels["1"][1])
