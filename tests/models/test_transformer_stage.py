"""The second stage: starts as the first, breaks symmetry, learns."""

import inspect
import json
import os
import subprocess
import sys

import keras
import numpy as np
import pytest

import keras_hamiltonian as kh
from keras_hamiltonian.irreps.rotation import random_rotations
from keras_hamiltonian.models.rotation_average import rotated_predictions
from keras_hamiltonian.testing import assert_blocks_equivariant
from keras_hamiltonian.testing import assert_permutation_equivariant

COMPILES = keras.config.backend() != "torch"
on_torch = pytest.mark.skipif(COMPILES, reason="every new model is compiled")
FIRST = {
    "irreps": "4x0e + 3x1o + 2x2e",
    "num_groups": 2,
    "num_gaussians": 8,
    "radial_units": (8,),
}
SMALL = {"width": 16, "num_heads": 2, "num_blocks": 1}
SPINS = ["none"] if COMPILES else ["none", "noncollinear"]
PREDICT = """
import sys
import numpy as np
from keras_hamiltonian.models.loading import load_model

inputs = dict(np.load(sys.argv[2]))
outputs = load_model(sys.argv[1]).predict_on_batch(inputs)
np.savez(sys.argv[3], **{k: np.asarray(x) for k, x in outputs.items()})
"""


def first_stage(store, dtype="float32"):
    reaches = kh.physics.estimate_reaches(store)
    stage = kh.models.EquivariantStage(
        store.basis.to_dict(), reaches, spin=store.spin, dtype=dtype, **FIRST
    )
    stage.adapt(kh.HamiltonianDataset(store, store.names[:1]))
    return stage


def randomized(model, seed=0):
    """Weights as after a long training, readouts too."""
    random = np.random.default_rng(seed)
    for weight in model.trainable_weights:
        noise = 0.1 * random.normal(size=weight.shape)
        weight.assign(keras.ops.convert_to_numpy(weight) + noise)
    return model


def numpy(outputs):
    return {k: keras.ops.convert_to_numpy(x) for k, x in outputs.items()}


def compiled(model, rate=3e-3):
    loss = kh.losses.BlockMeanAbsoluteError()
    is_jax = keras.config.backend() == "jax"
    model.compile(keras.optimizers.Adam(rate), loss=loss, jit_compile=is_jax)
    return model


@pytest.fixture(scope="module", params=SPINS)
def store(request, data_folder):
    name = {"none": "graphene", "noncollinear": "bismuthene"}[request.param]
    return kh.HamiltonianStore(data_folder / f"reference_{name}.h5")


@pytest.fixture(scope="module")
def stage(store):
    return first_stage(store)


@pytest.fixture(scope="module")
def features(stage, store):
    dataset = kh.HamiltonianDataset(
        store, store.names[:1], atom_bucket=4, neighbor_bucket=8
    )
    return kh.models.StageFeatures(stage, dataset)


@pytest.fixture
def refinement(stage):
    return kh.models.TransformerStage.for_stage(stage, **SMALL)


@pytest.fixture
def fixed(stage):
    """Without rotations a few steps are enough to see the loss fall."""
    return kh.models.TransformerStage.for_stage(stage, rotation="none", **SMALL)


def test_untrained_it_returns_the_first_stage(refinement, features):
    inputs = features[0][0]
    tensors = keras.tree.map_structure(keras.ops.convert_to_tensor, inputs)
    for training in (False, True):
        found = numpy(refinement(tensors, training=training))
        for name, blocks in found.items():
            np.testing.assert_array_equal(blocks, inputs[f"baseline_{name}"])


def test_rotation_inside_is_rotation_outside(stage, refinement, features):
    """What training does to a crystal: rotated in, network, rotated back."""
    randomized(refinement)
    inputs = features[0][0]
    drawn = kh.layers.RandomRotation(seed=0).draw(
        keras.ops.convert_to_tensor(inputs["structure"])
    )
    rotation = keras.ops.convert_to_numpy(drawn)[0].astype(np.float64)
    tensors = keras.tree.map_structure(keras.ops.convert_to_tensor, inputs)
    inside = numpy(refinement(tensors, training=True))
    cascade = kh.models.HamiltonianCascade(stage, refinement)
    plain, outside = rotated_predictions(
        cascade, features.dataset[0][0], [np.eye(3), rotation]
    )
    real = inputs["edge_mask"] > 0
    for name, kept in (("onsite", real.any(axis=1)), ("hopping", real)):
        correction = outside[name] - plain[name]
        assert np.abs(correction[kept]).max() > 1e-3
        np.testing.assert_allclose(
            inside[name][kept], outside[name][kept], rtol=5e-6, atol=2e-5
        )


@on_torch
def test_it_breaks_symmetry_and_rotations_average_it_out(
    stage, refinement, store, features
):
    cascade = kh.models.HamiltonianCascade(stage, randomized(refinement))
    inputs = kh.HamiltonianDataset(store, store.names[:1])[0][0]
    shells, spin = store.basis.table_shells, store.spin
    assert_blocks_equivariant(
        stage.predict_on_batch, inputs, shells, spin, tolerance=1e-4
    )
    with pytest.raises(AssertionError, match="relative error"):
        assert_blocks_equivariant(
            cascade.predict_on_batch, inputs, shells, spin, tolerance=1e-4
        )
    error = kh.evaluation.equivariance_error(cascade, store[0].atoms, 2)
    assert error["relative"] > 1e-5
    assert error["largest_mev"] > error["mae_mev"] > 0.1
    exact = kh.evaluation.equivariance_error(stage, store[0].atoms, 1)
    assert exact["relative"] < 1e-5 and exact["mae_mev"] < 0.02
    # Of 8 rotations each, two means differ less than two predictions.
    found = list(rotated_predictions(cascade, inputs, random_rotations(16, 0)))
    hopping = np.array([blocks["hopping"] for blocks in found])
    single = np.abs(hopping[:8] - hopping[8:]).mean()
    means = np.abs(hopping[:8].mean(0) - hopping[8:].mean(0)).mean()
    assert means < 0.6 * single


@on_torch
def test_order_of_atoms_and_neighbours_does_not_matter(
    stage, refinement, store
):
    cascade = kh.models.HamiltonianCascade(stage, randomized(refinement))
    atoms = store[0].atoms.repeat((2, 1, 1))
    atoms.rattle(0.02, seed=0)
    dataset = kh.HamiltonianDataset(
        [kh.Calculation(atoms, store.basis, spin=store.spin)],
        reaches=stage.reaches,
    )
    assert_permutation_equivariant(
        cascade.predict_on_batch, dataset[0][0], tolerance=1e-5
    )


@on_torch
def test_structures_of_a_batch_do_not_see_each_other(
    stage, refinement, store, features
):
    cascade = kh.models.HamiltonianCascade(stage, randomized(refinement))
    first = store[0].atoms
    second = first.copy()
    second.rattle(0.05, seed=0)
    calculations = [
        kh.Calculation(a, store.basis, spin=store.spin) for a in (first, second)
    ]

    def found(calculations, **options):
        dataset = kh.HamiltonianDataset(
            calculations, reaches=stage.reaches, **options
        )
        return numpy(cascade.predict_on_batch(dataset[0][0]))

    both = found(calculations, batch_size=2, atom_bucket=5, neighbor_bucket=8)
    for k, calculation in enumerate(calculations):
        alone = found([calculation])
        atoms = slice(k * len(first), (k + 1) * len(first))
        width = alone["hopping"].shape[1]
        assert np.isfinite(both["hopping"]).all()
        np.testing.assert_allclose(
            both["onsite"][atoms], alone["onsite"], atol=2e-5
        )
        np.testing.assert_allclose(
            both["hopping"][atoms, :width], alone["hopping"], atol=2e-5
        )


@pytest.mark.slow
def test_fit_on_features(stage, fixed, features, tmp_path):
    """The loss falls; the first stage stays; the file gives the same."""
    before = [np.array(w) for w in stage.get_weights()]
    fixed.adapt(features)
    compiled(fixed)
    losses = fixed.fit(features, epochs=12, verbose=0).history["loss"]
    assert losses[-1] < 0.9 * losses[0]
    for old, new in zip(before, stage.get_weights()):
        np.testing.assert_array_equal(old, new)
    cascade = kh.models.HamiltonianCascade(stage, fixed)
    inputs = features.dataset[0][0]
    expected = numpy(cascade.predict_on_batch(inputs))
    np.savez(tmp_path / "inputs.npz", **inputs)
    cascade.save(tmp_path / "cascade.keras")
    again = kh.load_model(tmp_path / "cascade.keras")
    for name, blocks in numpy(again.predict_on_batch(inputs)).items():
        np.testing.assert_allclose(blocks, expected[name], rtol=0, atol=1e-6)
    if stage.spin != "none":
        return  # one fresh process is enough
    files = ["cascade.keras", "inputs.npz", "found.npz"]
    done = subprocess.run(
        [sys.executable, "-c", PREDICT, *[str(tmp_path / f) for f in files]],
        env={**os.environ, "KERAS_BACKEND": keras.config.backend()},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    found = np.load(tmp_path / "found.npz")
    for name, blocks in expected.items():
        atol = 1e-5 if COMPILES else 0
        np.testing.assert_allclose(found[name], blocks, rtol=0, atol=atol)


def test_fit_of_the_cascade_leaves_the_first_stage(stage, refinement, features):
    refinement.adapt(features)
    cascade = kh.models.HamiltonianCascade(stage, refinement)
    before = [np.array(w) for w in stage.get_weights()]
    own = [np.array(w) for w in refinement.get_weights()]
    compiled(cascade).fit(features.dataset, epochs=2, verbose=0)
    for old, new in zip(before, stage.get_weights()):
        np.testing.assert_array_equal(old, new)
    changed = [
        not np.array_equal(old, new)
        for old, new in zip(own, refinement.get_weights())
    ]
    assert sum(changed) >= len(refinement.trainable_weights)


ABLATIONS = [
    {"attention": False},
    {"alpha": 0.0, "beta": 0.0, "gamma": 0.0},
    {"beta": 0.0},
]


@on_torch
@pytest.mark.parametrize("arguments", ABLATIONS)
def test_ablations(stage, features, arguments):
    model = kh.models.TransformerStage.for_stage(
        stage, rotation="none", **SMALL, **arguments
    )
    inputs = features[0][0]
    found = numpy(model.predict_on_batch(inputs))
    np.testing.assert_array_equal(found["onsite"], inputs["baseline_onsite"])
    model.adapt(features)
    losses = compiled(model).fit(features, epochs=9, verbose=0).history["loss"]
    assert losses[-1] < losses[0]
    # What is left out has no influence, what is not has.
    randomized(model)
    found = numpy(model.predict_on_batch(inputs))["onsite"]
    random = np.random.default_rng(0)
    for name, weight in (("atoms_1", "alpha"), ("edges_1", "beta")):
        noise = random.normal(size=inputs[name].shape).astype("float32")
        other = {**inputs, name: inputs[name] + noise}
        changed = numpy(model.predict_on_batch(other))["onsite"]
        is_used = arguments.get(weight, 0.5) != 0
        assert (np.abs(changed - found).max() > 1e-6) == is_used


@on_torch
def test_without_a_first_stage(store, features):
    """Ablation A: a model of its own, from the atoms."""
    reaches = kh.physics.estimate_reaches(store)
    model = kh.models.StandaloneTransformerStage(
        store.basis.to_dict(), reaches, store.spin, rotation="none", **SMALL
    )
    assert set(model.input) == set(kh.models.graph_inputs())
    model.adapt(features.dataset)
    losses = (
        compiled(model)
        .fit(features.dataset, epochs=15, verbose=0)
        .history["loss"]
    )
    assert losses[-1] < losses[0]
    prediction = kh.predict(model, store[0].atoms)
    assert prediction.hamiltonian.hermitian_error() < 1e-5


@on_torch
def test_mixed_precision(stage, features):
    """Geometry and blocks stay float32."""
    model = kh.models.TransformerStage.for_stage(
        stage, dtype="mixed_bfloat16", **SMALL
    )
    randomized(model)
    inputs = features[0][0]
    found = numpy(model.predict_on_batch(inputs))
    exact = kh.models.TransformerStage.for_stage(stage, **SMALL)
    exact.set_weights(model.get_weights())
    expected = numpy(exact.predict_on_batch(inputs))
    for name, blocks in found.items():
        assert blocks.dtype == "float32"
        size = np.abs(expected[name] - inputs[f"baseline_{name}"]).max()
        assert np.abs(blocks - expected[name]).max() < 0.1 * size
    model.compile(loss=kh.losses.BlockMeanAbsoluteError())
    with pytest.raises(ValueError, match="predicts, and cannot be trained"):
        model.fit(features)


@on_torch
def test_prediction_with_spread(stage, refinement, store):
    cascade = kh.models.HamiltonianCascade(stage, randomized(refinement))
    atoms = store[0].atoms
    first, again = (
        kh.predict(cascade, atoms, num_rotations=3, seed=1) for _ in range(2)
    )
    np.testing.assert_array_equal(
        first.hamiltonian.entries, again.hamiltonian.entries
    )
    assert first.hamiltonian.hermitian_error() < 1e-5
    assert set(first.spread.index) == set(first.hamiltonian.index)
    assert np.abs(first.spread.entries).max() > 1e-4
    other = kh.predict(cascade, atoms, num_rotations=3, seed=2)
    assert np.abs(other.spread.entries - first.spread.entries).max() > 0
    assert kh.predict(cascade, atoms).spread is None
    with pytest.raises(ValueError, match="symmetric by construction"):
        kh.predict(stage, atoms, num_rotations=2)
    with pytest.raises(ValueError, match="num_rotations=0"):
        kh.predict(cascade, atoms, num_rotations=0)


def test_config_has_every_argument(refinement):
    config = refinement.get_config()
    parameters = inspect.signature(kh.models.TransformerStage.__init__)
    assert set(parameters.parameters) - {"self"} <= set(config)
    again = kh.models.TransformerStage.from_config(
        json.loads(json.dumps(config))
    )
    assert again.get_config() == config
    paths = [w.path for w in again.weights]
    assert len(set(paths)) == len(paths)


def test_wrong_arguments_are_named(stage):
    arguments = stage.arguments
    given = (arguments["basis"], arguments["reaches"], arguments["spin"])
    with pytest.raises(ValueError, match="feature_lmax=1"):
        kh.models.TransformerStage(
            *given, feature_irreps=["2x0e"], feature_lmax=1
        )
    with pytest.raises(ValueError, match="no `feature_irreps`.*Standalone"):
        kh.models.TransformerStage(*given)
    with pytest.raises(ValueError, match="rotation='always'"):
        kh.models.TransformerStage.for_stage(stage, rotation="always")
    with pytest.raises(ValueError, match="rotation='always'"):
        kh.models.StandaloneTransformerStage(*given, rotation="always")


def test_every_layer_is_built(refinement):
    """Otherwise Keras runs the model symbolically before every step."""
    assert [x for x in refinement._flatten_layers() if not x.built] == []
