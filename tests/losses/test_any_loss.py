"""Losses and metrics of Keras, and one's own, in place of the package's."""

import keras
import numpy as np
import pytest
from small_stages import small_stage

import keras_hamiltonian as kh


class Own(keras.losses.Loss):
    """As a user writes it: in numbers, with Keras' default reduction."""

    def call(self, y_true, y_pred):
        return keras.ops.abs(y_true - y_pred)


def mean_of_all(y_true, y_pred):
    return keras.ops.mean(keras.ops.abs(y_true - y_pred))


on_torch = pytest.mark.skipif(
    keras.config.backend() != "torch", reason="compiles many models"
)


@pytest.fixture(scope="module")
def graphene(data_folder):
    store = kh.HamiltonianStore(data_folder / "reference_graphene.h5")
    stage = small_stage(store)
    dataset = kh.HamiltonianDataset([store[0]])
    # Adapted stages are exact where they have seen all: something to measure.
    for weight in stage.trainable_variables:
        weight.assign(keras.ops.convert_to_numpy(weight) + 0.05)
    return store[0], stage, dataset


def measured(stage, dataset, **options):
    stage.compile("adam", **options)
    found = stage.evaluate(dataset, verbose=0, return_dict=True)
    return {name: float(value) for name, value in found.items()}


@on_torch
@pytest.mark.parametrize(
    "loss",
    ["mae", keras.losses.MeanAbsoluteError(), Own()],
    ids=["name", "keras", "own"],
)
def test_any_absolute_error_is_that_of_the_matrices(graphene, loss):
    known, stage, dataset = graphene
    errors = kh.evaluate(stage, [known])["errors"]
    expected = 1000 * errors["mae_all"]
    found = measured(stage, dataset, loss=loss, metrics="mae")
    assert found["loss"] == pytest.approx(expected, rel=1e-4)
    assert expected > 0.1
    # Of the metric, each output is a mean of its own, in eV.
    assert found["hopping_mae"] == pytest.approx(
        errors["hopping_mae"], rel=1e-3
    )
    assert found["onsite_mae"] == pytest.approx(errors["onsite_mae"], rel=1e-3)


@on_torch
def test_huber_lies_between_both(graphene):
    _, stage, dataset = graphene
    losses = {
        name: measured(stage, dataset, loss=name)["loss"]
        for name in ("huber", "mae", "mse")
    }
    # Quadratic below 1 meV, linear above.
    assert 0 < losses["huber"] < losses["mae"] < losses["mse"]


@on_torch
def test_keras_alone_cannot(graphene):
    """A control: why they are wrapped."""
    _, stage, dataset = graphene
    plain = keras.Model(stage.input, stage.output)
    plain.compile("adam", loss="mae")
    with pytest.raises(Exception, match="size|shape|broadcast|[Dd]imension"):
        plain.evaluate(dataset, verbose=0)


def test_weights_are_those_of_the_elements():
    random = np.random.default_rng(0)
    true, predicted, weights = random.random((3, 2, 4, 4)).astype("float32")
    expected = 1000 * (weights * abs(true - predicted)).sum()
    for loss in ("mae", Own()):
        found = kh.losses.ElementLoss(loss)(true, predicted, weights)
        assert float(found) == pytest.approx(expected, rel=1e-5)
    metric = kh.losses.ElementMetric("mae")
    metric.update_state(true, predicted, weights)
    expected = np.average(abs(true - predicted), weights=weights)
    assert float(metric.result()) == pytest.approx(expected, rel=1e-5)
    metric.reset_state()
    assert float(metric.result()) == 0


def test_what_does_not_fit_is_refused(graphene):
    _, stage, _ = graphene
    y = np.ones((2, 3, 3), "float32")
    with pytest.raises(ValueError, match="no number for each.*joint_losses"):
        kh.losses.ElementLoss(mean_of_all)(y, y)
    with pytest.raises(ValueError, match="one of classes"):
        stage.compile("adam", loss="mae", metrics=["accuracy"])


@on_torch
def test_a_file_has_the_loss(graphene, tmp_path):
    _, stage, dataset = graphene
    options = {"loss": {"onsite": "mse", "hopping": "huber"}}
    options["metrics"] = {"hopping": keras.metrics.RootMeanSquaredError()}
    expected = measured(stage, dataset, **options)
    stage.save(tmp_path / "a.keras")
    again = keras.models.load_model(tmp_path / "a.keras")
    found = again.evaluate(dataset, verbose=0, return_dict=True)
    assert set(found) == set(expected)
    for name, value in expected.items():
        assert float(found[name]) == pytest.approx(value, rel=1e-5), name
    assert np.isfinite(expected["hopping_root_mean_squared_error"])
