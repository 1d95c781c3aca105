"""States of labels: what they are, how they are kept and drawn."""

import dataclasses

import keras
import numpy as np
import pytest
from gradients import tensors
from label_states import BLOCKS
from label_states import disturbed
from label_states import k_space_data
from label_states import spinful
from printed_bands import DATA
from printed_bands import NAMES
from printed_bands import printed_bands
from small_stages import small_stage

import keras_hamiltonian as kh
from data_tools.openmx import read_scfout
from keras_hamiltonian.conventions import HARTREE_IN_EV
from keras_hamiltonian.models import KSpaceDataset
from keras_hamiltonian.models import StateFolder
from keras_hamiltonian.models import state_folder


@pytest.fixture(scope="module")
def graphene(data_folder):
    return kh.HamiltonianStore(data_folder / "reference_graphene.h5")[0]


def between(data, calculation, position=0):
    """`C^† M(k) C` of the blocks M of a calculation, as a complex array."""
    inputs, targets, *_ = data[position]
    blocks = kh.HamiltonianDataset([calculation], atom_bucket=2)[0]
    outputs = tensors({name: blocks[1][name] for name in BLOCKS})
    nothing = {name: np.zeros_like(blocks[1][name]) for name in BLOCKS}
    real, imag = kh.losses.between_states(
        blocks[0], {**targets, **nothing}, outputs
    )
    real, imag = map(keras.ops.convert_to_numpy, (real, imag))
    return real + 1j * imag


@pytest.mark.parametrize("name", NAMES)
def test_levels_are_those_that_openmx_printed(name, tmp_path):
    crystal = read_scfout(DATA / f"{name}.scfout.gz")
    crystal = dataclasses.replace(crystal, name=name)
    options = {"mesh": (6, 6, 1), "num_k_points": 36}
    data = k_space_data(tmp_path, [crystal], **options)
    overlap = crystal.overlap
    if crystal.is_spinful:
        overlap = spinful(overlap)
    overlap = dataclasses.replace(crystal, hamiltonian=overlap)
    _, printed, expected = printed_bands(name)
    if not crystal.is_spinful:
        # One of k and -k is kept, and their levels are the same.
        printed = np.concatenate([printed, -printed])
        expected = np.concatenate([expected, expected])
    found = set()
    for _ in range(60):
        vector = data[0][1]["k_vectors"][0]
        k_point = crystal.atoms.cell.array @ vector / (2 * np.pi)
        away = np.abs((printed - k_point + 0.5) % 1 - 0.5).max(1)
        if away.min() < 1e-5:
            scale = between(data, overlap)
            norm = scale[0, 0].real
            # C^† S C = 1, C^† H C = E.
            np.testing.assert_allclose(
                scale, norm * np.eye(len(scale)), atol=1e-3 * norm
            )
            levels = between(data, crystal) / norm
            energies = np.diag(levels).real
            np.testing.assert_allclose(levels, np.diag(energies), atol=0.01)
            bands = expected[away.argmin()] * HARTREE_IN_EV
            energies = energies[: len(bands)]
            # Where orbitals nearly cancel, float32 shows.
            np.testing.assert_allclose(energies, bands, 0, 0.02)
            shares = data[0][1]["k_shares"][: len(bands), 0]
            is_p = bands < crystal.fermi_level + 3
            np.testing.assert_array_equal(shares > 0, is_p)
            np.testing.assert_allclose(energies[is_p], bands[is_p], 0, 1e-4)
            found.add(tuple((k_point % 1).round(4)))
        data.on_epoch_end()
    # Γ, M, K and points between.
    assert len(found) > 3
    # A control: states of one wave vector do not diagonalise at another.
    inputs, targets, *_ = data[0]
    first = targets["k_vectors"][0]
    while np.allclose(data[0][1]["k_vectors"][0], first):
        data.on_epoch_end()
    other = {**data[0][1], "k_vectors": targets["k_vectors"]}
    mixed = [(inputs, other)]
    levels = between(mixed, crystal) / norm
    assert np.abs(levels - np.diag(np.diag(levels))).max() > 0.1


def test_files_fit_or_are_made_anew(graphene, tmp_path):
    first, second = (
        dataclasses.replace(graphene, name=name) for name in ("a/1", "b")
    )
    options = {"num_k_points": 2}
    states = StateFolder(tmp_path, **options)
    with pytest.raises(ValueError, match=r"no states of the structure 'b'"):
        states.shape("b")
    assert states.fill([first, second]) == 2
    assert states.fill([first, second]) == 0
    assert states.shape("a/1") == (2, 26, 26)
    changed = dataclasses.replace(disturbed(graphene, 1e-6), name="b")
    assert StateFolder(tmp_path, **options).fill([first, changed]) == 1
    moved = dataclasses.replace(second, fermi_level=second.fermi_level + 1)
    assert states.fill([moved]) == 1
    # Other options do not disturb a training that runs.
    other = StateFolder(tmp_path, window=1.0, **options)
    assert other.fill([first]) == 1 and states.fill([first]) == 0
    counts = [x.read("a/1", 0)["is_p"].sum() for x in (other, states)]
    assert counts[0] <= counts[1]
    for content in (b"", b"\x89HDF\r\n\x1a\n of another kind"):
        (states.path / "b.h5").write_bytes(content)
        assert states.fill([first, second]) == 1


def test_killed_in_the_middle(graphene, tmp_path, monkeypatch):
    structures = [dataclasses.replace(graphene, name=name) for name in "abc"]
    states = StateFolder(tmp_path, num_k_points=2)
    number = iter(range(100))
    solve = state_folder.lowest_states

    def until_killed(*arguments):
        if next(number) == 3:
            raise KeyboardInterrupt
        return solve(*arguments)

    monkeypatch.setattr(state_folder, "lowest_states", until_killed)
    with pytest.raises(KeyboardInterrupt):
        states.fill(structures)
    assert [path.name for path in states.path.iterdir()] == ["a.h5"]
    assert states.fill(structures) == 2


@pytest.mark.parametrize("number", [1, 7, 20, 26, 99])
def test_some_of_the_states(graphene, tmp_path, number):
    states = StateFolder(tmp_path, num_k_points=1, num_states=number)
    states.fill([graphene])
    kept = states.read(graphene.name, 0)
    size = min(number, 26)
    assert kept["states"].shape == (26, size)
    assert (np.diff(kept["energies"]) > -1e-9).all()
    whole = StateFolder(tmp_path, num_k_points=1, num_states=26)
    whole.fill([graphene])
    num_p = whole.read(graphene.name, 0)["is_p"].sum()
    expected = min(num_p, max(size // 2, size + num_p - 26))
    assert kept["is_p"].sum() == expected


def test_seed_epoch_and_position_decide(graphene, tmp_path):
    def vectors(data):
        return data[0][1]["k_vectors"]

    data = k_space_data(tmp_path, [graphene], seed=1)
    early = vectors(data)
    np.testing.assert_array_equal(vectors(data), early)
    seen = [early]
    for _ in range(8):
        data.on_epoch_end()
        seen.append(vectors(data))
    assert len(np.unique(seen, axis=0)) > 3
    again = k_space_data(tmp_path, [graphene], seed=1)
    again.set_state(data.get_state())
    np.testing.assert_array_equal(vectors(again), seen[-1])
    other = k_space_data(tmp_path, [graphene], seed=2)
    others = []
    for _ in seen:
        others.append(vectors(other))
        other.on_epoch_end()
    assert np.abs(np.array(others) - seen).max() > 0.1


def test_what_it_is_made_of(graphene, tmp_path):
    states = StateFolder(tmp_path, num_k_points=2)
    data = kh.HamiltonianDataset([graphene])
    with pytest.raises(ValueError, match="no states of the structure"):
        KSpaceDataset(data, states)
    with pytest.raises(ValueError, match="do not rotate"):
        KSpaceDataset(kh.models.RotatedDataset(data), states)
    bare = dataclasses.replace(graphene, hamiltonian=None)
    bare = kh.HamiltonianDataset([bare], reaches={"C": 3.0})
    with pytest.raises(ValueError, match="no Hamiltonian"):
        KSpaceDataset(bare, states)


def test_states_far_above_count_less(graphene, tmp_path):
    data = k_space_data(tmp_path, [graphene], num_k_points=1)
    energies = data.states.read(graphene.name, 0)["energies"]
    p, q = data[0][1]["k_shares"].T
    is_p = energies < 3
    np.testing.assert_allclose(p, is_p / is_p.sum(), 1e-6)
    expected = ~is_p / (1 + (energies - 3) / 3) / (~is_p).sum()
    np.testing.assert_allclose(q, expected, 1e-5)
    assert 0 < q[-1] < 0.2 * q[~is_p][0]


class Blocks(keras.layers.Layer):
    """Equal onsite blocks, and hopping blocks that decay."""

    def build(self, input_shape=None):
        self.kernel = self.add_weight(shape=(2, 13, 13), name="kernel")

    def call(self, inputs):
        lengths = keras.ops.norm(inputs["edge_vectors"], axis=-1)
        decay = inputs["edge_mask"] * keras.ops.exp(-lengths)
        ones = keras.ops.cast(inputs["species"] >= 0, decay.dtype)
        return {
            "onsite": ones[:, None, None] * self.kernel[0],
            "hopping": decay[..., None, None] * self.kernel[1],
        }


class Simple(kh.models.Stage):
    """A stage that compiles in no time."""

    def __init__(self, basis, reaches):
        inputs = kh.models.graph_inputs()
        super().__init__(inputs, Blocks()(inputs))


def simple_data(data_folder, folder):
    store = kh.HamiltonianStore(data_folder / "reference_graphene.h5")
    states = StateFolder(folder, num_k_points=1)
    states.fill(store)
    return store, kh.HamiltonianDataset(store), states


def fit(stage, data):
    """Both losses go down together."""
    loss = kh.losses.KSpaceLoss(weight=0.1)
    stage.compile(
        keras.optimizers.Adam(1e-3),
        loss=kh.losses.BlockMeanAbsoluteError(),
        joint_losses=[loss],
        jit_compile=False,
    )
    inputs, targets, weights = data[0]

    def between_states():
        outputs = tensors(stage.predict_on_batch(inputs))
        return float(loss(inputs, targets, outputs, weights))

    before = between_states()
    alone = stage.evaluate(data, verbose=0, return_dict=True)["loss"]
    losses = stage.fit(data, epochs=12, shuffle=False, verbose=0)
    losses = losses.history["loss"]
    assert losses[0] == pytest.approx(alone + before, rel=1e-3)
    assert losses[-1] < losses[0]
    assert between_states() < before


def test_fit(data_folder, tmp_path):
    store, data, states = simple_data(data_folder, tmp_path)
    fit(Simple(store.basis.to_dict(), {"C": 3.0}), KSpaceDataset(data, states))


@pytest.mark.skipif(
    keras.config.backend() != "torch", reason="every new model is compiled"
)
def test_fit_on_features(data_folder, tmp_path):
    store, data, states = simple_data(data_folder, tmp_path)
    stage = small_stage(store, 1)
    second = kh.models.EquivariantTransformerStage.for_stage(
        stage, channels=4, hidden=4, num_blocks=1, irreps="4x0e + 2x1o"
    )
    features = kh.models.StageFeatures(stage, data)
    fit(second, KSpaceDataset(features, states))
