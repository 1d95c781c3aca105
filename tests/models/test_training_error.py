"""The error of a training is that of the evaluation, on every backend."""

import keras
import numpy as np
import pytest
from small_stages import small_stage

import keras_hamiltonian as kh


@pytest.mark.skipif(
    keras.config.backend() != "torch", reason="compiles two models"
)
@pytest.mark.parametrize("name", ["graphene", "bismuthene"])
def test_it_is_what_evaluation_reports(name, data_folder):
    store = kh.HamiltonianStore(data_folder / f"reference_{name}.h5")
    stage = small_stage(store)
    stage.compile(
        keras.optimizers.Adam(1e-3),
        loss=kh.losses.BlockMeanAbsoluteError(),
        joint_metrics=[kh.losses.TrainingError()],
        jit_compile=False,
    )
    data = kh.HamiltonianDataset(store)
    found = stage.evaluate(data, verbose=0, return_dict=True)
    errors = kh.evaluate(stage, store)["errors"]
    assert found["mae"] == pytest.approx(1e3 * errors["mae_all"], rel=1e-3)
    ratio = found["loss"] / found["mae"]
    if name == "graphene":
        assert ratio == pytest.approx(1, rel=1e-4)
    else:
        # Real and imaginary parts: 1/2 to 1/√2.
        assert 0.5 <= ratio < 0.71


@pytest.mark.parametrize("inner", [(2, 2), (2, 2, 2, 3, 3)])
def test_structures_count_once(inner):
    """Keras' mean of losses counts atoms."""
    metric = kh.losses.TrainingError()
    random, expected = np.random.default_rng(0), []
    for sizes in ((1,), (3, 2)):
        structure = np.repeat(np.arange(len(sizes)), sizes)
        inputs = {
            # With an atom of padding.
            "species": np.append(0 * structure, -1).astype("int32"),
            "structure": np.append(structure, len(sizes)).astype("int32"),
        }
        shape = (len(structure) + 1, *inner)
        error = random.normal(size=shape).astype("float32")
        weight = np.zeros(shape, "float32")
        for k, size in enumerate(sizes):
            own = np.flatnonzero(inputs["structure"] == k)
            weight[own] = 1 / (len(sizes) * size * np.prod(inner))
            part = error[own]
            if len(inner) > 2:
                part = part[:, 0] + 1j * part[:, 1]
            expected.append(np.abs(part).mean())
        targets = {
            "onsite": error,
            "hopping": np.zeros((len(error), 1, *inner)),
        }
        weights = {"onsite": weight, "hopping": targets["hopping"]}
        zero = {k: keras.ops.zeros(x.shape) for k, x in targets.items()}
        metric.update(inputs, targets, zero, weights)
    found = float(metric.metric.result())
    assert found == pytest.approx(1e3 * np.mean(expected), rel=1e-5)
