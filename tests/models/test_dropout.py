"""Messages that are left out in training, by the channel or whole."""

import keras
import numpy as np
import pytest
from test_stage_options import stage_for

import keras_hamiltonian as kh
from keras_hamiltonian.irreps import EdgeIrreps
from keras_hamiltonian.testing import assert_blocks_equivariant

on_torch = pytest.mark.skipif(
    keras.config.backend() != "torch", reason="every new model is compiled"
)
DROPOUT = {"dropout": 0.3, "edge_dropout": 0.2}
IRREPS = "6x0e + 4x1o + 4x2e"


@pytest.fixture(scope="module")
def bismuthene(data_folder):
    return kh.HamiltonianStore(data_folder / "reference_bismuthene.h5")


@pytest.fixture(scope="module")
def stage(bismuthene):
    return stage_for(bismuthene, **DROPOUT)


@pytest.fixture(scope="module")
def inputs(stage, bismuthene):
    atoms = bismuthene[0].atoms
    atoms.rattle(0.1, seed=0)
    crystal = kh.Calculation(atoms, bismuthene.basis, spin=bismuthene.spin)
    dataset = kh.HamiltonianDataset([crystal], reaches=stage.reaches)
    inputs = dict(dataset[0][0])
    inputs["edge_vectors"] = inputs["edge_vectors"].astype("float64")
    return inputs


def masked(stage, inputs):
    """Blocks as a training step sees them, always with the same masks."""
    seeds = [v for v in stage.variables if "seed_generator" in v.path]
    assert len(seeds) == 6  # channels twice and edges once, in two groups
    for number, seed in enumerate(seeds):
        seed.assign(np.array([number, 7], "uint32"))
    tensors = keras.tree.map_structure(keras.ops.convert_to_tensor, inputs)
    outputs = stage(tensors, training=True)
    return {k: keras.ops.convert_to_numpy(x) for k, x in outputs.items()}


@pytest.mark.parametrize("option", ["dropout", "edge_dropout"])
def test_irreps_are_left_out_as_a_whole(option):
    keras.utils.set_random_seed(0)
    layer = kh.layers.EquivariantConvolution(
        [IRREPS], IRREPS, 5, **{option: 0.25}
    )
    shapes = EdgeIrreps(IRREPS).shapes((20, 30))
    edges = {kind: keras.random.normal(shape) for kind, shape in shapes.items()}
    arguments = [edges], keras.random.normal((20, 30, 5))
    plain, found = (
        {
            kind: keras.ops.convert_to_numpy(x)
            for kind, x in layer(*arguments, training=training).items()
        }
        for training in (False, True)
    )
    kept = {kind: np.abs(x).max(axis=2) > 0 for kind, x in found.items()}
    for kind, x in found.items():
        expected = plain[kind] * kept[kind][:, :, None] / 0.75
        np.testing.assert_allclose(x, expected, rtol=1e-5)
    # Channels of degree 1, then 2, are in the kinds 0+ and 1; 2 is in 2, too.
    np.testing.assert_array_equal(kept["0+"][..., 6:], kept["1"])
    np.testing.assert_array_equal(kept["1"][..., 4:], kept["2"])
    assert 0.7 < kept["0+"].mean() < 0.8
    whole = kept["0+"].all(axis=-1) | ~kept["0+"].any(axis=-1)
    assert whole.all() == (option == "edge_dropout")


@on_torch
def test_predictions_know_nothing_of_it(stage, inputs, bismuthene):
    plain = stage_for(bismuthene)
    plain.set_weights(stage.get_weights())
    found, expected = (m.predict_on_batch(inputs) for m in (stage, plain))
    for name, x in expected.items():
        np.testing.assert_array_equal(found[name], x)
    # A control: training does.
    changed = masked(stage, inputs)["hopping"] - np.asarray(found["hopping"])
    assert np.abs(changed).max() > 1e-3


@on_torch
def test_training_with_one_mask_is_symmetric(stage, inputs, bismuthene):
    def check():
        assert_blocks_equivariant(
            lambda inputs: masked(stage, inputs),
            inputs,
            bismuthene.basis.table_shells,
            bismuthene.spin,
            tolerance=1e-10,
        )

    check()
    # A control: numbers instead of irreps.
    layer = stage.backbone.groups[0].message_sum
    call = layer.call
    numbers = keras.layers.Dropout(0.3, seed=0)

    def call_without_some_numbers(*arguments):
        numbers.seed_generator.state.assign(np.array([0, 7], "uint32"))
        return numbers.call(call(*arguments), training=True)

    layer.call = call_without_some_numbers
    try:
        with pytest.raises(AssertionError, match="relative error"):
            check()
    finally:
        layer.call = call


@on_torch
@pytest.mark.parametrize(
    "option, said",
    [
        ({"dropout": 0.1}, "dropout=None instead of 0.1"),
        ({"norm": "graph"}, "norm=None instead of 'graph'"),
    ],
)
def test_groups_that_do_not_know_an_option_are_named(option, said):
    with pytest.raises(ValueError, match=said):
        kh.models.EquivariantStage(
            {"C": "2s 2p"}, {"C": 3.0}, interaction=Group, **option
        )


class Group(kh.models.CompositeLayer):
    """A group without the options."""
