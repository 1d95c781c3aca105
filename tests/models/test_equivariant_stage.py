"""Physics that stage one keeps exactly, on OpenMX data."""

import inspect
import json

import ase
import keras
import numpy as np
import pytest
from small_stages import ATTENTION

from keras_hamiltonian.conventions import BOHR_IN_ANGSTROM
from keras_hamiltonian.data.batch import batch_inputs
from keras_hamiltonian.data.dataset import HamiltonianDataset
from keras_hamiltonian.data.store import HamiltonianStore
from keras_hamiltonian.layers import EdgeAttention
from keras_hamiltonian.models.equivariant_stage import EquivariantStage
from keras_hamiltonian.orbitals.basis import OrbitalBasis
from keras_hamiltonian.structures.neighbors import neighbor_table
from keras_hamiltonian.structures.neighbors import pairs_within
from keras_hamiltonian.testing import assert_blocks_equivariant
from keras_hamiltonian.testing import assert_permutation_equivariant

RADII = {"C": 6, "Mo": 7, "S": 7, "Bi": 8}
TINY = {
    "irreps": "4x0e + 3x1o + 2x2e",
    "num_groups": 2,
    "num_gaussians": 8,
    "radial_units": (8,),
}
CARBON = {"C": "2s 2p 1d"}
COMPILES = keras.config.backend() != "torch"
# The layers run on every backend; what follows from geometry, on one.
on_torch = pytest.mark.skipif(COMPILES, reason="every new shape is compiled")
# Relative to the largest element.
TOLERANCES = {"float32": 1e-5, "float64": 1e-10}


def reaches_of(basis):
    return {s: RADII[s] * BOHR_IN_ANGSTROM for s in basis.symbols}


def randomize(model, seed=0):
    """Weights that are not those of the start: biases, scales, means.

    Only trained weights: what `adapt` sets stays.
    """
    random = np.random.default_rng(seed)
    for weight in model.trainable_weights:
        noise = 0.2 * random.normal(size=weight.shape)
        weight.assign(keras.ops.convert_to_numpy(weight) + noise)
    return model


def stage_for(store, dtype="float32", adapt=True, **arguments):
    model = EquivariantStage(
        store.basis.to_dict(),
        reaches_of(store.basis),
        spin=store.spin,
        dtype=dtype,
        **{**TINY, **arguments},
    )
    if adapt:
        model.adapt(HamiltonianDataset(store, store.names[:2]))
    return randomize(model)


def inputs_of(atoms, basis, pairs=None, reaches=None):
    """Inputs of one structure, in float64."""
    if pairs is None:
        pairs = pairs_within(atoms, reaches or reaches_of(basis))
    table = neighbor_table(atoms, pairs)
    inputs = batch_inputs([atoms], [table], basis)
    inputs["edge_vectors"] = table.edge_vectors
    return inputs, pairs, table


def run(model, inputs):
    outputs = model.predict_on_batch(inputs)
    return {k: np.asarray(x) for k, x in outputs.items()}


def as_pairs(blocks, table, num_pairs):
    """Hopping blocks in the order of the list of pairs."""
    real = table.edge_mask
    result = np.zeros((num_pairs, *blocks.shape[2:]), blocks.dtype)
    result[table.pair_positions[real]] = blocks[real]
    return result


def store_of(data_folder, name):
    return HamiltonianStore(data_folder / f"{name}.h5")


MODELS = [
    ("reference_bismuthene", "float32"),
    ("reference_mos2", "float64"),
    ("reference_bismuthene", "float64"),
    ("reference_graphene", "float32"),
    ("reference_graphene", "float64"),
    ("reference_mos2", "float32"),
    ("reference_bismuthene", "float64", ATTENTION),
    ("reference_graphene", "float32", ATTENTION),
]


@pytest.fixture(
    scope="module", params=MODELS[: 2 if COMPILES else None], ids=str
)
def material(request, data_folder):
    name, dtype, *interaction = request.param
    store = store_of(data_folder, name)
    return store, stage_for(store, dtype, interaction=(*interaction, None)[0])


@pytest.fixture
def store(material):
    return material[0]


@pytest.fixture
def model(material):
    return material[1]


def cast(inputs, model):
    dtype = model.arguments["dtype"]
    return {
        k: x.astype(dtype) if x.dtype.kind == "f" else x
        for k, x in inputs.items()
    }


@pytest.fixture
def inputs(model, store):
    calculation = store[0]
    pairs = calculation.hamiltonian.atom_pairs
    found = inputs_of(calculation.atoms, store.basis, pairs)[0]
    return cast(found, model)


def test_rotation_and_inversion(model, store, inputs):
    shells = store.basis.table_shells
    tolerance = TOLERANCES[model.arguments["dtype"]]
    assert_blocks_equivariant(
        model.predict_on_batch, inputs, shells, store.spin, tolerance
    )


def test_order_of_atoms_and_neighbours(model, inputs):
    tolerance = TOLERANCES[model.arguments["dtype"]]
    assert_permutation_equivariant(model.predict_on_batch, inputs, tolerance)


def test_blocks_are_hermitian(model, store, inputs):
    found = run(model, inputs)
    hopping = found["hopping"]
    flat = hopping.reshape(-1, *hopping.shape[2:])
    partner = flat[inputs["reverse_edge"].ravel()]
    for block, other in ((flat, partner), (found["onsite"],) * 2):
        other = other.swapaxes(-1, -2)
        if store.spin != "none":
            signs = np.array([1, -1]).reshape(2, 1, 1, 1, 1)
            other = other.swapaxes(-3, -4) * signs
        # Compilers may round a sum and the same sum read from elsewhere
        # differently.
        atol = 2e-7 * np.abs(block).max() if COMPILES else 0
        np.testing.assert_allclose(block, other, rtol=0, atol=atol)


def test_time_reversal_with_spin_orbit_coupling(model, store, inputs):
    if store.spin == "none":
        pytest.skip("without spin blocks are real")
    for blocks in run(model, inputs).values():
        whole = blocks[..., 0, :, :, :, :] + 1j * blocks[..., 1, :, :, :, :]
        uu, ud = whole[..., 0, 0, :, :], whole[..., 0, 1, :, :]
        du, dd = whole[..., 1, 0, :, :], whole[..., 1, 1, :, :]
        np.testing.assert_array_equal(dd, uu.conj())
        np.testing.assert_array_equal(du, -ud.conj())
        assert np.abs(ud).max() > 0  # spin-orbit coupling is there


def test_what_no_element_has_is_not_asked_for(model, store, inputs):
    """Outputs have the table's shape; the padding of it carries no weight."""
    found = run(model, inputs)
    rows = store.basis.num_rows
    spin = () if store.spin == "none" else (2, 2, 2)
    shape = inputs["neighbors"].shape
    assert found["onsite"].shape == (shape[0], *spin, rows, rows)
    assert found["hopping"].shape == (*shape, *spin, rows, rows)
    assert all(np.isfinite(x).all() for x in found.values())
    assert found["hopping"].dtype == model.arguments["dtype"]
    padding = inputs["edge_mask"] == 0
    assert not found["hopping"][padding].any()


# From here on one material, in float64, is enough.


@pytest.fixture(scope="module")
def graphene(data_folder):
    return store_of(data_folder, "reference_graphene")


@pytest.fixture(scope="module", params=[None, ATTENTION], ids=str)
def carbon(request, graphene):
    return stage_for(graphene, "float64", interaction=request.param)


@on_torch
def test_control_fails_when_symmetry_is_broken(carbon, graphene):
    """A model that looks at where x is: the checks must notice."""
    calculation = graphene[0]
    inputs = inputs_of(calculation.atoms, graphene.basis)[0]
    shells = graphene.basis.table_shells

    def tilted(inputs):
        outputs = dict(carbon.predict_on_batch(inputs))
        x = np.asarray(inputs["edge_vectors"])[..., 0]
        outputs["hopping"] = outputs["hopping"] + 1e-6 * x[..., None, None]
        return outputs

    with pytest.raises(AssertionError, match="hopping: relative error"):
        assert_blocks_equivariant(
            tilted, inputs, shells, tolerance=TOLERANCES["float64"]
        )

    def numbered(inputs):
        outputs = dict(carbon.predict_on_batch(inputs))
        rank = np.arange(len(inputs["species"]))
        outputs["onsite"] = outputs["onsite"] * (1 + rank[:, None, None])
        return outputs

    inputs = inputs_of(calculation.atoms.repeat((2, 1, 1)), graphene.basis)[0]
    with pytest.raises(AssertionError, match="onsite: relative error"):
        assert_permutation_equivariant(numbered, inputs)


@on_torch
def test_blocks_do_rotate(carbon, graphene):
    """Labels that were not rotated would not do."""
    inputs = inputs_of(graphene[0].atoms, graphene.basis)[0]
    quarter = np.array([[0, -1.0, 0], [1, 0, 0], [0, 0, 1]])
    rotated = {**inputs, "edge_vectors": inputs["edge_vectors"] @ quarter.T}
    difference = (
        run(carbon, rotated)["hopping"] - run(carbon, inputs)["hopping"]
    )
    assert np.abs(difference).max() > 0.1


@on_torch
def test_translation_and_other_cells(carbon, graphene):
    """Moving atoms, also to other cells, changes only the names of pairs."""
    atoms = graphene[0].atoms
    inputs, pairs, table = inputs_of(atoms, graphene.basis)
    plain = run(carbon, inputs)
    moved = atoms.copy()
    moved.positions += [0.3, -1.7, 2.2]
    moved.positions[1] += 2 * atoms.cell[0] - atoms.cell[1]
    inputs, new_pairs, new_table = inputs_of(moved, graphene.basis)
    found = run(carbon, inputs)
    np.testing.assert_allclose(found["onsite"], plain["onsite"], atol=1e-9)
    shift = np.array([[0, 0, 0], [2, -1, 0]])
    renamed = pairs.copy()
    renamed[:, :3] += shift[pairs[:, 3]] - shift[pairs[:, 4]]
    blocks = as_pairs(plain["hopping"], table, len(pairs))
    new_blocks = as_pairs(found["hopping"], new_table, len(new_pairs))
    where = {tuple(p): k for k, p in enumerate(new_pairs.tolist())}
    order = [where[tuple(p)] for p in renamed.tolist()]
    np.testing.assert_allclose(new_blocks[order], blocks, atol=1e-9)


@on_torch
def test_supercell_has_the_blocks_of_the_cell(carbon, graphene):
    """Prediction is local: sizes transfer."""
    atoms = graphene[0].atoms
    inputs, pairs, table = inputs_of(atoms, graphene.basis)
    small = run(carbon, inputs)
    blocks = as_pairs(small["hopping"], table, len(pairs))
    inputs, big_pairs, big_table = inputs_of(
        atoms.repeat((2, 1, 1)), graphene.basis
    )
    large = run(carbon, inputs)
    big_blocks = as_pairs(large["hopping"], big_table, len(big_pairs))
    for k in range(4):
        np.testing.assert_allclose(
            large["onsite"][k], small["onsite"][k % 2], atol=1e-9
        )
    where = {tuple(p): k for k, p in enumerate(pairs.tolist())}
    for k, (a, b, c, i, j) in enumerate(big_pairs.tolist()):
        pair = (2 * a + j // 2 - i // 2, b, c, i % 2, j % 2)
        np.testing.assert_allclose(
            big_blocks[k], blocks[where[pair]], atol=1e-9
        )


@on_torch
def test_two_structures_in_one_batch(carbon, graphene):
    """Structures of a batch do not see each other."""
    first = graphene[0].atoms
    second = first.repeat((1, 2, 1))
    second.rattle(0.05, seed=0)
    tables = [
        neighbor_table(a, pairs_within(a, reaches_of(graphene.basis)))
        for a in (first, second)
    ]
    single = [
        run(carbon, batch_inputs([a], [t], graphene.basis))
        for a, t in zip((first, second), tables)
    ]
    both = run(
        carbon, batch_inputs([first, second], tables, graphene.basis, 4, 8)
    )
    for start, found, table in (
        (0, single[0], tables[0]),
        (2, single[1], tables[1]),
    ):
        size, width = table.neighbors.shape
        for name, x in found.items():
            part = both[name][start : start + size]
            part = part[:, :width] if name == "hopping" else part
            np.testing.assert_allclose(part, x, atol=1e-9)
            assert len(both[name]) == 8  # padded to the bucket


def blocks_near_the_reach(model, distance):
    """One atom of a cluster is somewhat within the reach of another, or not."""
    distance, height = 2 * reaches_of(model.basis)["C"] + distance, 0.3
    across = np.sqrt(distance**2 - height**2)
    atoms = ase.Atoms("C3", [[0, 0, 0], [1.2, 0.9, 0], [across, 0, height]])
    # Listed as if the orbitals reached farther: nothing may jump when a pair
    # enters the list, and what is beyond must be zero.
    inputs, pairs, table = inputs_of(atoms, model.basis, reaches={"C": 3.4})
    found = run(model, inputs)
    hopping = as_pairs(found["hopping"], table, len(pairs))
    where = {tuple(p): k for k, p in enumerate(pairs.tolist())}
    return {
        "far": hopping[where[0, 0, 0, 0, 2]],
        "near": hopping[where[0, 0, 0, 0, 1]],
        "onsite": found["onsite"][0],
    }


@on_torch
def test_blocks_envelope_smoothly_at_the_reach(carbon):
    step = 0.01
    values = [blocks_near_the_reach(carbon, step * k) for k in range(-6, 3)]
    for k, value in enumerate(values):
        size = np.abs(value["far"]).max()
        if k >= 6:
            assert size == 0
        else:
            # Zero with at least two derivatives.
            assert 0 < size < 20 * (((6 - k) * step) ** 2)
    for name in ("near", "onsite", "far"):
        series = np.array([v[name] for v in values])
        second = np.abs(np.diff(series, n=2, axis=0)).max() / step**2
        assert np.abs(np.diff(series, axis=0)).max() / step < 50
        assert second < 500


@on_torch
def test_a_softmax_without_envelope_would_jump(graphene, monkeypatch):
    """A control: one that sees edges, or does not."""
    stage = stage_for(graphene, "float64", interaction=ATTENTION)

    def jump():
        inside, outside = (
            blocks_near_the_reach(stage, x)["onsite"] for x in (-1e-5, 1e-5)
        )
        return np.abs(outside - inside).max()

    assert jump() < 1e-6
    usual = EdgeAttention.attention_weights
    monkeypatch.setattr(
        EdgeAttention,
        "attention_weights",
        lambda self, edges, envelope: usual(
            self, edges, keras.ops.sign(envelope)
        ),
    )
    assert jump() > 1e-3


@on_torch
def test_neighbours_beyond_the_reach_change_nothing(carbon):
    """A longer list of pairs gives the same blocks."""
    basis = OrbitalBasis(CARBON)
    atoms = ase.Atoms("C3", [[0, 0, 0], [1.4, 0, 0], [3.9, 1.0, 5.2]])
    found = []
    for reach in (RADII["C"] * BOHR_IN_ANGSTROM, 4.0):
        inputs, pairs, table = inputs_of(atoms, basis, reaches={"C": reach})
        outputs = run(carbon, inputs)
        hopping = as_pairs(outputs["hopping"], table, len(pairs))
        blocks = {tuple(p): h for p, h in zip(pairs.tolist(), hopping)}
        found.append((outputs["onsite"], blocks))
    (onsite, short), (other, long) = found
    assert len(long) > len(short)
    np.testing.assert_allclose(other, onsite, atol=1e-12)
    for pair, block in long.items():
        np.testing.assert_allclose(block, short.get(pair, 0), atol=1e-12)


@on_torch
def test_adapting_takes_out_most_of_the_error(graphene):
    inputs, targets, weights = HamiltonianDataset(graphene)[0]
    model = EquivariantStage(
        graphene.basis.to_dict(), reaches_of(graphene.basis), **TINY
    )

    def error():
        found = run(model, inputs)
        return sum(
            float((np.abs(found[k] - targets[k]) * weights[k]).sum())
            for k in targets
        )

    before = error()
    model.adapt(HamiltonianDataset(graphene))
    assert error() < 0.2 * before


def test_config_has_every_argument(carbon):
    config = carbon.get_config()
    parameters = set(inspect.signature(EquivariantStage.__init__).parameters)
    assert parameters - {"self"} <= set(config)
    again = EquivariantStage.from_config(json.loads(json.dumps(config)))
    assert again.get_config() == config
    shapes = [w.shape for w in again.weights]
    assert shapes == [w.shape for w in carbon.weights]


def test_weights_have_paths_of_their_own(carbon):
    paths = [w.path for w in carbon.weights]
    assert len(set(paths)) == len(paths)


@on_torch
@pytest.mark.parametrize(
    "arguments",
    [
        {"num_groups": 1},
        {"irreps": "4x0e"},  # nothing but scalars
        {"irreps": "4x0e + 2x0o + 2x1e + 3x1o"},  # parities that come late
    ],
)
def test_small_and_odd_sizes(graphene, arguments):
    model = stage_for(graphene, "float64", adapt=False, **arguments)
    inputs = inputs_of(graphene[0].atoms, graphene.basis)[0]
    assert_blocks_equivariant(
        model.predict_on_batch, inputs, graphene.basis.table_shells
    )
