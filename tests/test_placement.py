"""Predictions on a chosen device, and in a chosen precision."""

import os
import subprocess
import sys

import keras
import numpy as np
import pytest
from small_stages import small_stage

import keras_hamiltonian as kh
from keras_hamiltonian.irreps.rotation import random_rotations
from keras_hamiltonian.models.placement import placed
from keras_hamiltonian.models.stage_features import StageFeatures


@pytest.fixture(scope="module")
def crystal(data_folder):
    return kh.HamiltonianStore(data_folder / "reference_graphene.h5")[0]


@pytest.fixture(scope="module")
def stage(data_folder):
    store = kh.HamiltonianStore(data_folder / "reference_graphene.h5")
    return noisy(small_stage(store))


@pytest.fixture(scope="module")
def cascade(stage, crystal):
    """Both stages, in half precision where it is allowed."""
    refinement = kh.models.TransformerStage.for_stage(
        stage, width=16, num_blocks=1, dtype="mixed_bfloat16"
    )
    dataset = kh.HamiltonianDataset([crystal])
    refinement.adapt(StageFeatures(stage, dataset))
    return kh.models.HamiltonianCascade(stage, noisy(refinement))


def noisy(model):
    """A model whose messages all count."""
    random = np.random.default_rng(0)
    for weight in model.trainable_weights:
        value = keras.ops.convert_to_numpy(weight)
        weight.assign(value + 0.1 * random.normal(size=weight.shape))
    return model


def sizes(model, atoms, dtype):
    """The norm of each block, which no rotation of the crystal changes."""
    found = kh.predict(model, atoms, dtype=dtype).hamiltonian
    return {
        tuple(pair): np.linalg.norm(block)
        for pair, block in zip(found.atom_pairs, found.blocks())
    }


def change_by_rotation(model, atoms, dtype):
    """Of the norms, over the largest."""
    turned = atoms.copy()
    rotation = random_rotations(1, seed=3)[0]
    turned.set_cell(atoms.cell @ rotation.T)
    turned.positions = atoms.positions @ rotation.T
    before, after = (sizes(model, a, dtype) for a in (atoms, turned))
    assert before.keys() == after.keys()
    largest = max(before.values())
    return max(abs(before[k] - after[k]) for k in before) / largest


def test_float64_rotates_with_the_crystal_to_its_own_rounding(stage, crystal):
    assert change_by_rotation(stage, crystal.atoms, "float64") < 1e-12
    # The control: float32 has its own, too.
    assert 1e-8 < change_by_rotation(stage, crystal.atoms, None) < 1e-5


@pytest.mark.parametrize("name", ["stage", "cascade"])
def test_precisions_differ_by_rounding(name, crystal, request):
    model = request.getfixturevalue(name)
    single, double, again = (
        kh.predict(model, crystal.atoms, dtype=dtype).hamiltonian.entries
        for dtype in ("float32", "float64", None)
    )
    scale = abs(double).max()
    assert 1e-9 < abs(single - double).max() / scale < 1e-5
    # The model itself keeps its precision: that of the cascade is half.
    change = abs(again - single).max() / scale
    assert change == 0 if name == "stage" else 1e-5 < change < 0.1


def test_a_copy_is_made_where_one_is_needed(stage, crystal):
    assert placed(stage) is placed(stage, "cpu", "float32") is stage
    copy = placed(stage, dtype="float64")
    assert placed(copy, dtype="float64") is copy
    assert copy.provenance == stage.provenance
    assert {w.dtype for w in stage.weights} == {"float32"}
    expected = kh.predict(stage, crystal.atoms).hamiltonian.entries
    found = kh.predict(stage, [crystal.atoms], device="cpu")[0]
    np.testing.assert_array_equal(found.hamiltonian.entries, expected)


def test_streamed_slabs_in_float64(stage, crystal, tmp_path):
    file = tmp_path / "new.h5"
    options = {"max_memory": "20GB", "dtype": "float64", "device": "cpu"}
    kh.stream_prediction(file, stage, crystal.atoms, name="new", **options)
    stored = kh.HamiltonianStore(file)["new"].hamiltonian
    whole = kh.predict(stage, crystal.atoms, dtype="float64").hamiltonian
    np.testing.assert_allclose(stored.entries, whole.entries, atol=1e-12)


@pytest.mark.parametrize("call", [kh.predict, kh.stream_prediction])
@pytest.mark.parametrize(
    "options, message",
    [
        ({"device": "gpu:7"}, "sees the devices cpu:0.*'gpu:7'"),
        ({"device": "elsewhere"}, "Received: device='elsewhere'"),
        ({"dtype": "float16"}, "'float16'. Half precision keeps two or three"),
        ({"dtype": "complex64"}, "Received: dtype='complex64'"),
    ],
)
def test_what_is_not_there_is_refused_first(call, options, message, tmp_path):
    places = [tmp_path / "new.h5"] if call is kh.stream_prediction else []
    with pytest.raises(ValueError, match=message):
        call(*places, "no model", None, **options)


def test_a_stage_without_dtype_says_so(crystal):
    stage = Rigid(crystal.basis.to_dict(), {"C": 3.0})
    with pytest.raises(ValueError, match="Rigid takes no `dtype`"):
        kh.predict(stage, crystal.atoms, dtype="float64")


class Rigid(kh.models.EquivariantStage):
    """A stage of one precision."""

    def __init__(self, basis, reaches, name="rigid"):
        super().__init__(
            basis, reaches, irreps="4x0e + 2x1o", num_groups=1, name=name
        )


@pytest.mark.skipif(
    keras.config.backend() != "jax", reason="JAX alone makes devices of a CPU"
)
def test_second_device():
    code = """
import keras_hamiltonian as kh
from keras_hamiltonian.models.placement import placed
from keras_hamiltonian.ops.backend.devices import device_of
stage = kh.models.EquivariantStage(
    {"H": "1s"}, {"H": 3.0}, irreps="4x0e + 2x1o", num_groups=1, projectors=""
)
moved = placed(stage, "cpu:1")
print(*{device_of(w.value) for model in (stage, moved) for w in model.weights})
"""
    flags = "--xla_force_host_platform_device_count=2"
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "XLA_FLAGS": flags},
        check=True,
        capture_output=True,
        text=True,
    )
    assert set(done.stdout.split()) == {"cpu:0", "cpu:1"}
