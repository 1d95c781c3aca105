"""Stages with both halves of TraceGrad, each by its switch."""

import ase
import keras
import numpy as np
import pytest
from small_stages import ATTENTION
from small_stages import small_stage

import keras_hamiltonian as kh
from keras_hamiltonian.losses.trace_loss import normalized_traces
from keras_hamiltonian.models.rotation_average import rotated_predictions
from keras_hamiltonian.testing import assert_blocks_equivariant
from keras_hamiltonian.testing import assert_permutation_equivariant

pytestmark = pytest.mark.skipif(
    keras.config.backend() != "torch", reason="every new model is compiled"
)
OPTIONS = ["trace", "gradient", "both"]
TOLERANCES = {"float32": 1e-5, "float64": 1e-10}
TINY = {
    "irreps": "4x0e + 3x1o + 2x2e",
    "num_groups": 2,
    "num_gaussians": 8,
    "radial_units": (8,),
}
SECOND = {
    "channels": 8,
    "hidden": 12,
    "irreps": "8x0e + 4x1o + 4x2e",
    "num_heads": 2,
    "num_gaussians": 8,
}
TRACES = {"onsite_traces", "hopping_traces"}
LOSS = kh.losses.BlockMeanAbsoluteError()


@pytest.fixture(scope="module")
def graphene(data_folder):
    return kh.HamiltonianStore(data_folder / "graphene.h5")


@pytest.fixture(scope="module", params=["graphene", "bismuthene"])
def store(request, data_folder):
    return kh.HamiltonianStore(data_folder / f"reference_{request.param}.h5")


def randomized(model, scale=0.2):
    random = np.random.default_rng(0)
    for weight in model.trainable_weights:
        noise = scale * random.normal(size=weight.shape)
        weight.assign(keras.ops.convert_to_numpy(weight) + noise)
    return model


def first(store, tracegrad, dtype="float32", **options):
    reaches = kh.physics.estimate_reaches(store)
    stage = kh.models.EquivariantStage(
        store.basis.to_dict(),
        reaches,
        spin=store.spin,
        tracegrad=tracegrad,
        dtype=dtype,
        **TINY,
        **options,
    )
    stage.adapt(kh.HamiltonianDataset(store, store.names[:1]))
    return randomized(stage)


def second(stage, tracegrad, **options):
    return randomized(
        kh.models.EquivariantTransformerStage.for_stage(
            stage, tracegrad=tracegrad, **SECOND, **options
        )
    )


def skewed(store, stage, dtype):
    """Inputs of a crystal without symmetry: in the ideal one much vanishes."""
    atoms = store[0].atoms
    atoms.rattle(0.1, seed=0)
    dataset = kh.HamiltonianDataset(
        [kh.Calculation(atoms, store.basis, spin=store.spin)],
        reaches=stage.reaches,
    )
    inputs = dataset[0][0]
    inputs["edge_vectors"] = inputs["edge_vectors"].astype(dtype)
    return inputs


def check_symmetry(model, store, inputs, dtype):
    options = {"tolerance": TOLERANCES[dtype]}
    assert_blocks_equivariant(
        model.predict_on_batch,
        inputs,
        store.basis.table_shells,
        store.spin,
        **options,
    )
    assert_permutation_equivariant(model.predict_on_batch, inputs, **options)
    blocks = np.asarray(model.predict_on_batch(inputs)["hopping"])
    if store.spin == "none":
        flat = blocks.reshape(-1, *blocks.shape[2:])
        reverse = flat[inputs["reverse_edge"].ravel()].swapaxes(-1, -2)
        error = np.abs(flat - reverse).max() / np.abs(flat).max()
        assert error < TOLERANCES[dtype]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("tracegrad", OPTIONS)
@pytest.mark.parametrize("interaction", [None, ATTENTION], ids=str)
def test_first_stage_is_symmetric(store, tracegrad, dtype, interaction):
    stage = first(store, tracegrad, dtype, interaction=interaction)
    check_symmetry(stage, store, skewed(store, stage, dtype), dtype)


@pytest.mark.parametrize("tracegrad", OPTIONS)
def test_second_stage_is_symmetric(store, tracegrad):
    stage = first(store, None, "float64")
    refinement = second(stage, tracegrad, dtype="float64")
    cascade = kh.models.HamiltonianCascade(stage, refinement)
    inputs = skewed(store, stage, "float64")
    plain = stage.predict_on_batch(inputs)["hopping"]
    found = cascade.predict_on_batch(inputs)["hopping"]
    assert np.abs(np.asarray(found) - np.asarray(plain)).max() > 1e-3
    check_symmetry(cascade, store, inputs, "float64")


def test_a_step_along_one_component_would_be_noticed(store):
    """A control: the checks above can fail."""
    stage = first(store, "gradient", "float64")
    mixing = stage.backbone.groups[0].mixing["atoms"]
    call = mixing.call
    mixing.call = lambda x: (call(x)[0] + 0.1, call(x)[1])
    with pytest.raises(AssertionError, match="relative error"):
        check_symmetry(stage, store, skewed(store, stage, "float64"), "float64")


@pytest.mark.parametrize("tracegrad", OPTIONS)
@pytest.mark.parametrize("interaction", [None, ATTENTION], ids=str)
def test_prediction_stays_local(tracegrad, interaction):
    options = {"tracegrad": tracegrad, "interaction": interaction}
    stage = kh.models.EquivariantStage(
        {"C": "2s 2p 1d"}, {"C": 3.2}, **options, **TINY
    )
    randomized(stage)
    near = ase.Atoms("C3", [[0, 0, 0], [1.4, 0, 0], [2.1, 1.2, 0.3]])
    far = ase.Atoms("C2", [[90, 0, 0], [91.4, 0, 0]])
    moved = near + far
    moved.positions[4] += [0.3, 0.2, 0]
    before, after = (
        kh.predict(stage, atoms).hamiltonian for atoms in (near + far, moved)
    )
    alone = kh.predict(stage, near).hamiltonian
    for i, j in ((0, 0), (0, 1), (1, 2)):
        pair = (0, 0, 0, i, j)
        expected = alone.find(pair)
        np.testing.assert_allclose(before.find(pair), expected, atol=1e-5)
        np.testing.assert_allclose(after.find(pair), expected, atol=1e-5)
    pair = (0, 0, 0, 3, 3)  # a control
    assert np.abs(after.find(pair) - before.find(pair)).max() > 1e-3


@pytest.mark.slow
@pytest.mark.parametrize("tracegrad", OPTIONS)
def test_it_is_saved(graphene, tracegrad, tmp_path):
    stage = first(graphene, tracegrad)
    cascade = kh.models.HamiltonianCascade(stage, second(stage, tracegrad))
    inputs = kh.HamiltonianDataset(graphene, graphene.names[:1])[0][0]
    for model in (stage, cascade):
        model.save(tmp_path / "model.keras")
        again = kh.load_model(tmp_path / "model.keras")
        expected = model.predict_on_batch(inputs)
        found = again.predict_on_batch(inputs)
        names = TRACES if tracegrad != "gradient" else set()
        assert set(found) == {"onsite", "hopping"} | names
        for name, x in expected.items():
            np.testing.assert_allclose(found[name], x, atol=1e-5)
        for part in again.stages():
            assert part.arguments["tracegrad"] == tracegrad


def test_without_the_option_there_is_nothing(graphene):
    plain, traced = first(graphene, None), first(graphene, "both")
    paths = {weight.path for weight in plain.weights}
    assert not [p for p in paths if "mixing" in p or "trace" in p]
    assert len(traced.weights) > len(plain.weights)
    assert set(plain.output) == {"onsite", "hopping"}


@pytest.mark.slow
@pytest.mark.parametrize("number", [1, 2])
def test_training_lowers_the_error_of_the_traces(graphene, number):
    keras.utils.set_random_seed(0)
    data = kh.HamiltonianDataset(graphene, graphene.names[:1])
    stage = small_stage(graphene, 1, tracegrad="trace")
    if number == 2:
        refinement = kh.models.EquivariantTransformerStage
        model = refinement.for_stage(stage, tracegrad="trace", **SECOND)
        data = kh.models.StageFeatures(stage, data)
    else:
        model = stage
    trace_loss = kh.losses.TraceLoss(graphene.basis.table_shells, LOSS)
    model.compile(
        keras.optimizers.Adam(3e-3),
        loss=LOSS,
        joint_losses=[trace_loss],
        jit_compile=False,
    )
    inputs, targets, weights = data[0]
    of_pairs = trace_loss.pair_sums(
        keras.ops.convert_to_tensor(weights["hopping"])
    )
    expected = normalized_traces(
        trace_loss.pair_sums(
            keras.ops.convert_to_tensor(targets["hopping"]) ** 2
        ),
        of_pairs,
    )

    def error():
        found = model.predict_on_batch(inputs)["hopping_traces"]
        found = keras.ops.convert_to_tensor(found)
        return float(LOSS(expected, found, of_pairs))

    before = error()
    history = model.fit(data, epochs=30, shuffle=False, verbose=0).history
    assert error() < 0.7 * before
    assert history["loss"][-1] < history["loss"][0]


def test_blocks_alone_go_on(graphene):
    """To a second stage, to means over rotations, and to explanations."""
    stage = first(graphene, "both")
    features = stage.feature_model().output
    assert not [name for name in features if "traces" in name]
    cascade = kh.models.HamiltonianCascade(stage, second(stage, "both"))
    inputs = kh.HamiltonianDataset(graphene, graphene.names[:1])[0][0]
    for model in (stage, cascade):
        (found,) = rotated_predictions(model, inputs, [np.eye(3)])
        assert set(found) == {"onsite", "hopping"}
        kh.predict(model, graphene[0].atoms)


def test_unknown_halves_and_groups_are_named(graphene):
    with pytest.raises(ValueError, match="tracegrad='all'"):
        first(graphene, "all")
    with pytest.raises(ValueError, match="tracegrad=None instead of 'both'"):
        kh.models.EquivariantStage(
            graphene.basis.to_dict(),
            {"C": 3.0},
            tracegrad="both",
            interaction=Group,
            **TINY,
        )


class Group(kh.layers.InteractionGroup):
    """A group that does not know the option."""

    def __init__(
        self, irreps_atoms, irreps_edges, irreps_out, num_species, **kwargs
    ):
        super().__init__(
            irreps_atoms, irreps_edges, irreps_out, num_species, **kwargs
        )
