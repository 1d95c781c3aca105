"""A rotated data set: an exact stage predicts it as well as the other."""

import keras
import numpy as np
import pytest
from small_stages import small_stage

import keras_hamiltonian as kh
from keras_hamiltonian.models import RotatedDataset

COMPILES = keras.config.backend() != "torch"


@pytest.fixture(scope="module", params=["graphene", "bismuthene"])
def store(request, data_folder):
    if COMPILES and request.param != "graphene":
        pytest.skip("every new model is compiled")
    return kh.HamiltonianStore(data_folder / f"{request.param}.h5")


def pairs_of(store, **options):
    """Two structures in one batch, padded."""
    return kh.HamiltonianDataset(
        store,
        store.names[:2],
        batch_size=2,
        atom_bucket=5,
        neighbor_bucket=8,
        **options,
    )


def rotations_of(plain, rotated, inputs):
    """Matrix of each atom, from its edges before and after."""
    found = []
    for k in np.flatnonzero(inputs["species"] >= 0):
        real = inputs["edge_mask"][k] > 0
        before, after = plain[k][real], rotated[k][real]
        found.append(np.linalg.lstsq(before, after, rcond=None)[0].T)
    return np.array(found)


def mean_error(model, batch):
    inputs, targets, weights = batch
    found = model.predict_on_batch(inputs)
    return sum(
        float((np.abs(np.asarray(found[k]) - targets[k]) * weights[k]).sum())
        for k in targets
    )


def test_an_exact_stage_predicts_the_rotated_labels(store):
    stage = small_stage(store)
    plain = pairs_of(store)
    rotated = RotatedDataset(plain, seed=2)
    before, after = plain[0], rotated[0]
    # Without symmetry of the blocks the sum of absolute values changes; what
    # rotates is its square.
    found = [stage.predict_on_batch(batch[0]) for batch in (before, after)]
    for name, weight in before[2].items():
        squares = [
            float(((np.asarray(x[name]) - y[1][name]) ** 2 * weight).sum())
            for x, y in zip(found, (before, after))
        ]
        assert squares[1] == pytest.approx(squares[0], rel=1e-3)
    # A control: the same prediction misses labels that were not rotated.
    wrong = (after[0], before[1], before[2])
    assert mean_error(stage, wrong) > 3 * mean_error(stage, after)


def test_what_rotates_and_what_stays(store):
    plain = pairs_of(store)
    batch, rotated = plain[0], RotatedDataset(plain)[0]
    inputs = batch[0]
    assert set(rotated[0]) == set(inputs)
    for name, array in inputs.items():
        if name != "edge_vectors":
            assert rotated[0][name] is array
    assert rotated[2] is batch[2]
    for name, blocks in batch[1].items():
        assert rotated[1][name].shape == blocks.shape
        assert rotated[1][name].dtype == blocks.dtype
        assert np.abs(rotated[1][name] - blocks).max() > 0.1
    padding = inputs["species"] < 0
    assert padding.any() and not rotated[1]["onsite"][padding].any()


def test_one_rotation_for_each_structure(data_folder):
    store = kh.HamiltonianStore(data_folder / "bilayer_graphene.h5")
    plain = pairs_of(store)
    inputs = plain[0][0]
    rotated = RotatedDataset(plain)[0][0]
    found = rotations_of(
        inputs["edge_vectors"], rotated["edge_vectors"], inputs
    )
    structure = inputs["structure"][inputs["species"] >= 0]
    first, second = found[structure == 0], found[structure == 1]
    for matrices in (first, second):
        spread = np.abs(matrices - matrices[0]).max()
        assert spread < 1e-4
        np.testing.assert_allclose(
            matrices[0] @ matrices[0].T, np.eye(3), atol=1e-4
        )
        assert np.linalg.det(matrices[0]) == pytest.approx(1, abs=1e-4)
    assert np.abs(first[0] - second[0]).max() > 0.01


def test_rotations_are_uniform_over_epochs_and_positions():
    """Moments of the Haar measure, each within five standard errors."""
    dataset = RotatedDataset(Corner(), seed=4)
    found = []
    for _ in range(50):
        found += [dataset[k][0]["edge_vectors"][0] for k in range(20)]
        dataset.on_epoch_end()
    flat = np.array(found).reshape(-1, 9)
    error = 5 * len(flat) ** -0.5
    np.testing.assert_allclose(flat.mean(0), 0, atol=error * 3**-0.5)
    np.testing.assert_allclose(
        flat.T @ flat / len(flat), np.eye(9) / 3, atol=error / 3
    )


class Corner:
    """Three edges along the axes, 20 times; what a data set has to have."""

    basis, spin = kh.OrbitalBasis({"H": "1s"}), "none"

    def __init__(self):
        self.epoch = 0

    def __len__(self):
        return 20

    def __getitem__(self, position):
        inputs = {
            "structure": np.zeros(1, "int32"),
            "edge_vectors": np.eye(3, dtype="float32")[None],
        }
        return (inputs,)

    def on_epoch_end(self):
        self.epoch += 1

    def get_state(self):
        return {"epoch": self.epoch}

    def set_state(self, state):
        self.epoch = state["epoch"]


def test_seed_epoch_and_position_decide():
    def vectors(dataset, position=0):
        return dataset[position][0]["edge_vectors"]

    dataset = RotatedDataset(Corner(), seed=1)
    late, early = vectors(dataset, 5), vectors(dataset, 0)
    again = RotatedDataset(Corner(), seed=1)
    np.testing.assert_array_equal(vectors(again, 0), early)
    np.testing.assert_array_equal(vectors(again, 5), late)
    np.testing.assert_array_equal(vectors(again, 5), late)
    other = RotatedDataset(Corner(), seed=2)
    assert np.abs(vectors(other) - early).max() > 0.01
    dataset.on_epoch_end()
    later = vectors(dataset)
    assert np.abs(later - early).max() > 0.01
    again.set_state(dataset.get_state())
    np.testing.assert_array_equal(vectors(again), later)
    assert again.dataset.epoch == 1


def test_features_are_not_rotated(data_folder):
    store = kh.HamiltonianStore(data_folder / "reference_graphene.h5")
    features = kh.models.StageFeatures(
        small_stage(store, 1), kh.HamiltonianDataset(store)
    )
    with pytest.raises(ValueError, match="Received: a StageFeatures"):
        RotatedDataset(features)


@pytest.mark.skipif(COMPILES, reason="every new model is compiled")
def test_fit(data_folder):
    """A model without symmetry has another loss for every rotation."""
    store = kh.HamiltonianStore(data_folder / "reference_graphene.h5")
    dataset = kh.HamiltonianDataset(store)
    model = kh.models.StandaloneTransformerStage(
        store.basis.to_dict(),
        kh.physics.estimate_reaches(store),
        rotation="none",
        width=16,
        num_heads=2,
        num_blocks=1,
    )
    model.adapt(RotatedDataset(dataset))
    model.compile(
        keras.optimizers.SGD(0.0),
        loss=kh.losses.BlockMeanAbsoluteError(),
        jit_compile=False,
    )
    rotated, expected = RotatedDataset(dataset, seed=3), []
    for _ in range(4):
        expected.append(1000 * mean_error(model, rotated[0]))
        rotated.on_epoch_end()
    fitted = RotatedDataset(dataset, seed=3)
    losses = model.fit(fitted, epochs=2, verbose=0).history["loss"]
    # Keras may look at the first batch, and end an epoch, before it begins.
    first = int(np.argmin(np.abs(np.array(expected) - losses[0])))
    np.testing.assert_allclose(losses, expected[first : first + 2], rtol=1e-4)
    assert np.ptp(expected) > 0.01 * expected[0]
