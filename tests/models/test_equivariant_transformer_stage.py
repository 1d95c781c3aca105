"""The symmetric second stage: zero at first, exact, and of use."""

import keras
import numpy as np
import pytest
from small_stages import small_stage

import keras_hamiltonian as kh
from keras_hamiltonian.testing import assert_blocks_equivariant
from keras_hamiltonian.testing import assert_permutation_equivariant

SMALL = {
    "channels": 8,
    "hidden": 12,
    "irreps": "8x0e + 4x1o + 4x2e",
    "num_heads": 2,
    "num_gaussians": 8,
}
on_torch = pytest.mark.skipif(
    keras.config.backend() != "torch", reason="every new shape is compiled"
)


@pytest.fixture(params=["reference_graphene", "reference_bismuthene"])
def store(request, data_folder):
    return kh.HamiltonianStore(data_folder / f"{request.param}.h5")


def refinement_of(stage, **options):
    return kh.models.EquivariantTransformerStage.for_stage(
        stage, **{**SMALL, **options}
    )


def randomized(model, scale):
    random = np.random.default_rng(0)
    for weight in model.trainable_weights:
        noise = scale * random.normal(size=weight.shape)
        weight.assign(keras.ops.convert_to_numpy(weight) + noise)
    return model


def predicted(model, inputs):
    outputs = model.predict_on_batch(inputs)
    return {k: np.asarray(x) for k, x in outputs.items()}


def test_untrained_cascade_is_its_first_stage(store):
    stage = small_stage(store)
    cascade = kh.models.HamiltonianCascade(stage, refinement_of(stage))
    inputs = kh.HamiltonianDataset(store, store.names[:1])[0][0]
    expected, found = predicted(stage, inputs), predicted(cascade, inputs)
    for name, blocks in expected.items():
        np.testing.assert_allclose(found[name], blocks, atol=1e-5)


def skewed(store, stage):
    """Inputs of a crystal without symmetry: in the ideal one much vanishes."""
    atoms = store[0].atoms
    atoms.rattle(0.1, seed=0)
    dataset = kh.HamiltonianDataset(
        [kh.Calculation(atoms, store.basis, spin=store.spin)],
        reaches=stage.reaches,
    )
    return dataset[0][0]


@on_torch
@pytest.mark.parametrize("irreps", [SMALL["irreps"], "2x1o + 8x0e + 2x1o + 2e"])
def test_symmetry_is_exact(store, irreps):
    stage = small_stage(store)
    refinement = refinement_of(stage, irreps=irreps)
    cascade = kh.models.HamiltonianCascade(stage, randomized(refinement, 0.3))
    inputs = skewed(store, stage)
    assert_blocks_equivariant(
        cascade.predict_on_batch,
        inputs,
        store.basis.table_shells,
        store.spin,
        tolerance=1e-5,
    )
    assert_permutation_equivariant(
        cascade.predict_on_batch, inputs, tolerance=1e-5
    )


@on_torch
def test_too_few_angles_break_it(store):
    """Shows that the test above can fail."""
    stage = small_stage(store)
    refinement = randomized(refinement_of(stage), 0.3)
    for block in refinement.backbone.blocks:
        block.network.num_angles = 2 * block.network.mmax + 1
    cascade = kh.models.HamiltonianCascade(stage, refinement)
    with pytest.raises(AssertionError, match="relative error"):
        assert_blocks_equivariant(
            cascade.predict_on_batch,
            skewed(store, stage),
            store.basis.table_shells,
            store.spin,
            tolerance=1e-5,
        )


@pytest.mark.slow
@on_torch
def test_training_lowers_the_residual_and_leaves_the_first_stage(
    data_folder, tmp_path
):
    store = kh.HamiltonianStore(data_folder / "graphene.h5")
    stage = small_stage(store)
    before = [keras.ops.convert_to_numpy(w) for w in stage.weights]
    refinement = refinement_of(stage)
    cascade = kh.models.HamiltonianCascade(stage, refinement)
    dataset = kh.HamiltonianDataset(store, store.names[:2], shuffle=True)
    features = cascade.features(dataset)
    refinement.adapt(features)
    refinement.compile(
        keras.optimizers.Adam(1e-2),
        loss=kh.losses.BlockMeanAbsoluteError(),
        jit_compile=False,
    )
    losses = refinement.fit(features, epochs=6, verbose=0).history["loss"]
    assert losses[-1] < 0.9 * losses[0]
    for old, weight in zip(before, stage.weights):
        np.testing.assert_array_equal(old, keras.ops.convert_to_numpy(weight))
    # The refinement sees in the cascade what it saw in training.
    inputs, _, _ = features[0]
    alone = predicted(refinement, inputs)
    together = predicted(cascade, dataset[0][0])
    cascade.save(tmp_path / "cascade.keras")
    loaded = kh.load_model(tmp_path / "cascade.keras")
    again = predicted(loaded, dataset[0][0])
    for name, blocks in together.items():
        np.testing.assert_allclose(alone[name], blocks, atol=1e-5)
        np.testing.assert_array_equal(again[name], blocks)
    assert loaded.overlap is not None
    assert loaded.provenance == stage.provenance is not None


@on_torch
def test_double_precision_all_the_way(data_folder):
    store = kh.HamiltonianStore(data_folder / "reference_graphene.h5")
    stage = small_stage(store, dtype="float64")
    cascade = kh.models.HamiltonianCascade(
        stage, randomized(refinement_of(stage, dtype="float64"), 0.3)
    )
    assert_blocks_equivariant(
        cascade.predict_on_batch,
        skewed(store, stage),
        store.basis.table_shells,
        store.spin,
        tolerance=1e-10,
    )


def test_what_the_first_stage_lacks_is_named(data_folder):
    store = kh.HamiltonianStore(data_folder / "reference_graphene.h5")
    stage = small_stage(store)
    with pytest.raises(ValueError, match="groups=9"):
        refinement_of(stage, groups=9)
    with pytest.raises(ValueError, match="go to degree 7.*to 4"):
        refinement_of(stage, irreps="4x0e + 1x7o")


def test_nothing_to_fit_to(data_folder):
    store = kh.HamiltonianStore(data_folder / "reference_graphene.h5")
    stage = small_stage(store)
    bare = kh.Calculation(store[0].atoms, store.basis)
    dataset = kh.HamiltonianDataset([bare], reaches=stage.reaches)
    refinement = refinement_of(stage)
    with pytest.raises(ValueError, match="have no Hamiltonian"):
        refinement.adapt(kh.models.StageFeatures(stage, dataset))


def test_stages_of_different_bases_do_not_fit(store):
    stage = small_stage(store)
    other = refinement_of(stage)
    other.arguments = {**other.arguments, "reaches": {"C": 1.0}}
    with pytest.raises(ValueError, match="same reaches.*for_stage"):
        kh.models.HamiltonianCascade(stage, other)
