"""Gradients reach the first stage when they are let, and not before."""

import keras
import numpy as np
import pytest
from small_stages import small_stage

import keras_hamiltonian as kh

pytestmark = pytest.mark.skipif(
    keras.config.backend() != "torch", reason="every new model is compiled"
)
SECOND = {
    "TransformerStage": {"width": 16, "num_heads": 2, "num_blocks": 1},
    "EquivariantTransformerStage": {"channels": 8, "hidden": 8},
}


@pytest.fixture(scope="module")
def dataset(data_folder):
    store = kh.HamiltonianStore(data_folder / "reference_graphene.h5")
    return kh.HamiltonianDataset(store)


@pytest.fixture(params=list(SECOND))
def file(request, dataset, tmp_path):
    stage = small_stage(dataset.calculations, 1)
    second = getattr(kh.models, request.param)
    second = second.for_stage(stage, **SECOND[request.param])
    path = tmp_path / "cascade.keras"
    kh.models.HamiltonianCascade(stage, second).save(path)
    return path


def one_step(cascade, dataset):
    cascade.compile(
        keras.optimizers.Adam(1e-3),
        loss=kh.losses.BlockMeanAbsoluteError(),
        jit_compile=False,
    )
    before = {w.path: np.array(w) for w in cascade.stage.weights}
    # The correction begins as zero, and hides the rest of the second stage.
    cascade.fit(dataset, epochs=2, verbose=0)
    return {
        w.path: not np.array_equal(before[w.path], np.array(w))
        for w in cascade.stage.weights
    }


@pytest.mark.slow
def test_frozen_then_trained_then_frozen(file, dataset, tmp_path):
    cascade = kh.load_model(file)
    assert not cascade.stage.trainable_weights
    assert not any(one_step(cascade, dataset).values())
    cascade.stage.trainable = True
    changed = one_step(cascade, dataset)
    trained = {w.path for w in cascade.stage.trainable_weights}
    found = {path for path, is_new in changed.items() if is_new}
    # Not the baseline, nor what the symmetry of graphene makes vanish.
    assert found <= trained and len(found) > 0.5 * len(trained)
    assert any("group_1" in path for path in found)
    # What was learnt is in the file; the first stage is frozen again.
    inputs = dataset[0][0]
    expected = cascade.predict_on_batch(inputs)
    cascade.save(tmp_path / "tuned.keras")
    again = [kh.load_model(tmp_path / "tuned.keras")]
    with pytest.warns(UserWarning, match="loading for optimizer"):
        again.append(keras.models.load_model(tmp_path / "tuned.keras"))
    for model in again:
        assert not model.stage.trainable_weights
        for new, old in zip(model.get_weights(), cascade.get_weights()):
            np.testing.assert_array_equal(new, old)
        found = model.predict_on_batch(inputs)
        for name, blocks in expected.items():
            # The last bits depend on where an array lies in memory.
            atol = 1e-6 * np.abs(blocks).max()
            np.testing.assert_allclose(found[name], blocks, 1e-6, atol)


def test_gradients_of_the_correction_reach_the_first_stage(file, dataset):
    """Not only by way of the first stage's own blocks."""
    import torch

    cascade = kh.load_model(file)
    random = np.random.default_rng(0)
    for weight in cascade.refinement.trainable_weights:
        noise = 0.1 * random.normal(size=weight.shape)
        weight.assign(keras.ops.convert_to_numpy(weight) + noise)
    inputs = {
        name: keras.ops.convert_to_tensor(x)
        for name, x in dataset[0][0].items()
    }
    weight = next(
        w for w in cascade.stage.weights if "edge_convolution" in w.path
    )

    def gradient():
        features = cascade.feature_model(inputs)
        refined = cascade.refinement({**inputs, **features})
        change = refined["hopping"] - features["baseline_hopping"]
        if not change.requires_grad:
            return None
        total = (change**2).sum()
        return torch.autograd.grad(total, weight.value, allow_unused=True)[0]

    cascade.stage.trainable = True
    assert gradient().abs().max() > 0
    cascade.stage.trainable = False
    cascade.refinement.trainable = False
    assert gradient() is None
