"""Stage one without what it has beyond DeepH-E3, one item at a time."""

import re

import ase
import keras
import numpy as np
import pytest

import keras_hamiltonian as kh
from keras_hamiltonian.data.batch import batch_inputs
from keras_hamiltonian.data.batch import batch_matrices
from keras_hamiltonian.prediction import predict_hamiltonian
from keras_hamiltonian.structures.neighbors import neighbor_table
from keras_hamiltonian.structures.neighbors import pairs_within
from keras_hamiltonian.testing import assert_blocks_equivariant
from keras_hamiltonian.testing import assert_permutation_equivariant

pytestmark = pytest.mark.skipif(
    keras.config.backend() != "torch", reason="every new model is compiled"
)
TINY = {
    "irreps": "4x0e + 3x1o + 2x2e",
    "num_groups": 2,
    "num_gaussians": 8,
    "radial_units": (8,),
}
OPTIONS = [
    {"two_centre": False},
    {"channel_scales": False},
    {"hermitian": False},
    {"norm": "graph"},
]
REACH = {"C": 3.2}


@pytest.fixture(scope="module", params=["graphene", "bismuthene"])
def store(request, data_folder):
    return kh.HamiltonianStore(data_folder / f"reference_{request.param}.h5")


@pytest.fixture(scope="module")
def graphene(data_folder):
    return kh.HamiltonianStore(data_folder / "graphene.h5")


def stage_for(store, seed=0, **options):
    reaches = kh.physics.estimate_reaches(store)
    stage = kh.models.EquivariantStage(
        store.basis.to_dict(),
        reaches,
        spin=store.spin,
        dtype="float64",
        **TINY,
        **options,
    )
    stage.adapt(kh.HamiltonianDataset(store, store.names[:2]))
    random = np.random.default_rng(seed)
    for weight in stage.trainable_weights:
        noise = 0.2 * random.normal(size=weight.shape)
        weight.assign(keras.ops.convert_to_numpy(weight) + noise)
    return stage


def run(model, inputs):
    return {k: np.asarray(x) for k, x in model.predict_on_batch(inputs).items()}


def inputs_of(*structures, buckets=(1, 1)):
    """Inputs of carbon structures, in float64."""
    basis = kh.OrbitalBasis({"C": "2s 2p 1d"})
    tables = [neighbor_table(a, pairs_within(a, REACH)) for a in structures]
    inputs = batch_inputs(structures, tables, basis, *buckets)
    if buckets == (1, 1) and len(structures) == 1:
        inputs["edge_vectors"] = tables[0].edge_vectors
    return inputs


def carbon(seed=0, **options):
    """A stage whose readouts are anything but zero, for clusters."""
    stage = kh.models.EquivariantStage(
        {"C": "2s 2p 1d"}, REACH, dtype="float64", **TINY, **options
    )
    random = np.random.default_rng(seed)
    for weight in stage.trainable_weights:
        weight.assign(random.normal(size=weight.shape) * 0.3)
    return stage


def by_path(model):
    """Weights in an order of their own; Keras numbers layers without name."""
    return sorted(
        model.weights,
        key=lambda w: re.sub(r"(embedding|features)_\d+/", r"\1/", w.path),
    )


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_symmetry_stays(store, options):
    stage = stage_for(store, **options)
    inputs = kh.HamiltonianDataset(store, store.names[:1])[0][0]
    assert_blocks_equivariant(
        stage.predict_on_batch,
        inputs,
        store.basis.table_shells,
        store.spin,
        tolerance=1e-6,  # vectors of a data set are float32
    )
    assert_permutation_equivariant(stage.predict_on_batch, inputs, 1e-10)


def layer_state(store, **options):
    layer = stage_for(store, **options).readout.baseline
    return {w.name: keras.ops.convert_to_numpy(w) for w in layer.weights}


def test_without_two_centre_functions_the_scales_are_those_of_the_blocks(
    graphene,
):
    found = layer_state(graphene, two_centre=False)
    for name in ("mean", "onsite_mean", "onsite_function"):
        assert not found[f"scalar_{name}"].any()
    # Block and irreps have the same norm.
    targets = [
        kh.HamiltonianDataset(graphene, graphene.names[:2])[k][1]["onsite"]
        for k in range(2)
    ]
    expected = (np.concatenate(targets) ** 2).sum((1, 2)).mean()
    squares = (found["scalar_onsite_scale"] ** 2).sum()
    assert squares == pytest.approx(expected, rel=1e-5)
    fitted = layer_state(graphene)
    assert (fitted["scalar_onsite_scale"] ** 2).sum() < 1e-3 * squares
    assert fitted["scalar_mean"].any() and fitted["scalar_onsite_mean"].any()


def test_one_scale_for_all_channels(graphene):
    found, usual = (
        layer_state(graphene, channel_scales=False),
        layer_state(graphene),
    )
    for name in ("scalar_scale", "scalar_onsite_scale"):
        assert found[name].min() == found[name].max() > 0
        assert usual[name].min() < 0.2 * usual[name].max()
    # The same for onsite blocks: all numbers of all channels together.
    size = np.sqrt((usual["scalar_onsite_scale"] ** 2).mean())
    assert found["scalar_onsite_scale"].max() == pytest.approx(size, rel=1e-5)
    for name in ("scalar_mean", "scalar_onsite_mean"):
        np.testing.assert_array_equal(found[name], usual[name])


def test_without_the_hermitian_average(store):
    """Blocks of a pair and its reverse are independent; their mean is what
    the stage otherwise gives."""
    raw, usual = stage_for(store, hermitian=False), stage_for(store)
    for own, other in zip(by_path(usual), by_path(raw)):
        own.assign(other)
    atoms = store[0].atoms
    table = neighbor_table(atoms, pairs_within(atoms, raw.reaches))
    inputs = batch_inputs([atoms], [table], raw.basis, dtype="float64")
    outputs = raw.predict_on_batch(inputs)
    (blocks,) = batch_matrices(outputs, [atoms], [table], raw.basis)
    assert blocks.hermitian_error() > 1e-3
    expected = predict_hamiltonian(usual, atoms)
    assert expected.hermitian_error() < 1e-12
    np.testing.assert_allclose(
        blocks.symmetrized().entries, expected.entries, atol=1e-10
    )
    # A prediction, from which bands are made, is Hermitian.
    prediction = kh.predict(raw, atoms, overlap=store[0].overlap)
    np.testing.assert_allclose(
        prediction.hamiltonian.entries, expected.entries, atol=1e-10
    )


CLUSTER = ase.Atoms("C4", [[0, 0, 0], [1.4, 0, 0], [2.1, 1.2, 0.3], [0, 1, 1]])
FAR = ase.Atoms("C2", [[90, 0, 0], [91.4, 0, 0]])


def test_graph_norm_makes_blocks_feel_atoms_of_any_distance():
    local, graph = carbon(), carbon(norm="graph")
    assert len(local.weights) == len(graph.weights)
    near, far = CLUSTER + FAR, CLUSTER + FAR
    far.positions[5] += [0.3, 0.2, 0]
    for stage, is_local in ((local, True), (graph, False)):
        first, second = (run(stage, inputs_of(a)) for a in (near, far))
        for name in ("onsite", "hopping"):
            # Those of the first four atoms, 86 Å away.
            change = np.abs(first[name][:4] - second[name][:4]).max()
            assert change < 1e-12 if is_local else change > 1e-5


def test_graph_norm_is_that_of_a_structure():
    """Neither other structures of the batch nor padding change it."""
    stage = carbon(norm="graph")
    other = CLUSTER[[0, 1, 2]]
    both = run(stage, inputs_of(CLUSTER, other, buckets=(5, 4)))
    for start, atoms in ((0, CLUSTER), (4, other)):
        alone = run(stage, inputs_of(atoms))
        stop = start + len(atoms)
        width = alone["hopping"].shape[1]
        np.testing.assert_allclose(
            both["onsite"][start:stop], alone["onsite"], atol=2e-5
        )
        np.testing.assert_allclose(
            both["hopping"][start:stop, :width], alone["hopping"], atol=2e-5
        )
    assert np.isfinite(both["hopping"]).all()


@pytest.mark.slow
@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_options_are_saved_and_trained(graphene, options, tmp_path):
    stage = stage_for(graphene, **options)
    dataset = kh.HamiltonianDataset(graphene, graphene.names[:1])
    stage.compile(
        keras.optimizers.Adam(3e-3),
        loss=kh.losses.BlockMeanSquaredError(),
        jit_compile=False,
    )
    losses = stage.fit(dataset, epochs=4, verbose=0).history["loss"]
    assert losses[-1] < losses[0]
    stage.save(tmp_path / "stage.keras")
    again = kh.load_model(tmp_path / "stage.keras")
    assert again.arguments == stage.arguments
    assert options.items() <= again.arguments.items()
    inputs = dataset[0][0]
    expected, found = run(stage, inputs), run(again, inputs)
    for name, blocks in expected.items():
        np.testing.assert_array_equal(found[name], blocks)


def test_unknown_norm_is_named():
    with pytest.raises(ValueError, match="norm='batch'"):
        carbon(norm="batch")


@pytest.mark.parametrize("dtype", ["mixed_bfloat16", "float16"])
def test_half_precision_is_refused(dtype):
    with pytest.raises(ValueError, match=f"{dtype}.*to meV"):
        kh.models.EquivariantStage({"H": "1s"}, {"H": 3.0}, dtype=dtype)
