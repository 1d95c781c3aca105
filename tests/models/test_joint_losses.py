"""Losses of all outputs together."""

import keras
import numpy as np
import pytest
from small_stages import small_stage

import keras_hamiltonian as kh


@pytest.fixture(scope="module")
def graphene(data_folder):
    return kh.HamiltonianStore(data_folder / "graphene.h5")


@pytest.fixture
def data(graphene):
    return kh.HamiltonianDataset(graphene, graphene.names[:1])


def mean_error(inputs, targets, outputs, weights):
    """The weighted sum of signed errors of both outputs, squared, in meV²."""
    total = 0.0
    for name in ("onsite", "hopping"):
        error = 1e3 * (outputs[name] - targets[name]) * weights[name]
        total = total + keras.ops.sum(error)
    return keras.ops.square(total)


def fitted(store, data, joint_losses):
    keras.utils.set_random_seed(0)
    stage = small_stage(store, 1)
    stage.compile(
        keras.optimizers.Adam(1e-3),
        loss=kh.losses.BlockMeanAbsoluteError(),
        joint_losses=joint_losses,
        jit_compile=keras.config.backend() == "jax",
    )
    before = stage.predict_on_batch(data[0][0])
    value = float(mean_error(*data[0][:2], before, data[0][2]))
    found = stage.evaluate(data, verbose=0, return_dict=True)
    history = stage.fit(data, epochs=1, shuffle=False, verbose=0).history
    return stage, value, found["loss"], history["loss"][0]


@pytest.mark.skipif(
    keras.config.backend() != "torch", reason="compiles two models"
)
def test_it_adds_to_the_loss_of_training_alone(graphene, data):
    plain, value, validation, loss = fitted(graphene, data, ())
    joint, _, same, both = fitted(graphene, data, (mean_error,))
    assert value > 1e-3
    assert loss == pytest.approx(validation, rel=1e-5)
    assert same == pytest.approx(validation, rel=1e-5)
    assert both == pytest.approx(loss + value, rel=1e-4)
    moved = [
        np.abs(a - b).max()
        for a, b in zip(plain.get_weights(), joint.get_weights())
    ]
    assert max(moved) > 1e-4


def test_outputs_and_targets_that_no_loss_knows(graphene, data):
    stage = small_stage(graphene, 1)
    stage.compile(
        "sgd",
        loss=kh.losses.BlockMeanAbsoluteError(),
        jit_compile=keras.config.backend() == "jax",
    )
    inputs, targets, weights = data[0]
    options = {"sample_weight": weights, "return_dict": True}
    expected = stage.test_on_batch(inputs, targets, **options)
    more = {**targets, "other": np.zeros((3, 2), "float32")}
    found = stage.test_on_batch(inputs, more, **options)
    assert found == pytest.approx(expected)
