"""Features kept in a file: shared, and never those of something else."""

import random

import h5py
import keras
import numpy as np
import pytest
from small_stages import small_stage

import keras_hamiltonian as kh
from keras_hamiltonian.models import StageFeatures

pytestmark = pytest.mark.skipif(
    keras.config.backend() != "torch", reason="every new model is compiled"
)


@pytest.fixture(scope="module")
def store(data_folder):
    return kh.HamiltonianStore(data_folder / "bilayer_graphene.h5")


@pytest.fixture(scope="module")
def stage(store):
    return small_stage(store)


@pytest.fixture
def counted(monkeypatch):
    """How often a feature model ran, by number of atoms."""
    runs = []
    computed = StageFeatures._computed

    def counting(self, inputs):
        runs.append(len(inputs["species"]))
        return computed(self, inputs)

    monkeypatch.setattr(StageFeatures, "_computed", counting)
    return runs


def data(store, first, last, **options):
    return kh.HamiltonianDataset(store, store.names[first:last], **options)


def assert_same(first, second):
    assert set(first) == set(second)
    for name, x in first.items():
        np.testing.assert_array_equal(x, second[name])


def test_two_trainings_share_one_file(store, stage, counted, tmp_path):
    path = tmp_path / "kept" / "features.h5"
    plain = StageFeatures(stage, data(store, 0, 3))
    expected = [plain[k][0] for k in range(3)]
    counted.clear()
    first = StageFeatures(stage, data(store, 0, 2), path=path)
    assert len(counted) == 2
    for k in range(2):
        assert_same(first[k][0], expected[k])
    assert len(counted) == 2
    # The stage read from its file, more structures, in another order; one run
    # checks that what is stored is what the layers give.
    stage.save(tmp_path / "stage.keras")
    again = kh.load_model(tmp_path / "stage.keras")
    counted.clear()
    dataset = data(store, 0, 3, shuffle=True, seed=3)
    second = StageFeatures(again, dataset, path=path, cache=False)
    assert len(counted) == 2
    for k in range(3):
        index = store.names.index(dataset.structure_names(k)[0])
        assert_same(second[k][0], expected[index])
    second.on_epoch_end()
    assert second[0][0]["atoms_1"].shape == expected[0]["atoms_1"].shape
    assert len(counted) == 2
    assert [p.name for p in path.parent.iterdir()] == ["features.h5"]


def test_stale_features_are_not_used(store, stage, counted, tmp_path):
    path = tmp_path / "features.h5"
    dataset = data(store, 0, 1)
    old = StageFeatures(stage, dataset, path=path)[0][0]
    # Other weights.
    random.seed(1)
    other = small_stage(store)
    counted.clear()
    new = StageFeatures(other, dataset, path=path)[0][0]
    assert len(counted) == 1
    assert np.abs(new["atoms_2"] - old["atoms_2"]).max() > 1e-3
    # Another structure under the same name.
    moved = store[store.names[0]]
    moved.atoms.positions[0] += [0.05, 0.0, 0.0]
    moved = kh.HamiltonianDataset([moved])
    named = kh.HamiltonianDataset([store[store.names[0]]])
    StageFeatures(other, named, path=path)
    counted.clear()
    found = StageFeatures(other, moved, path=path)[0][0]
    assert len(counted) == 1
    assert_same(found, StageFeatures(other, moved)[0][0])
    # Layers that have changed: numbers in the file are not theirs any more.
    with h5py.File(path, "r+") as file:
        file["0"]["atoms_2"][...] *= 1.1
    found = StageFeatures(other, moved, path=path)[0][0]
    assert_same(found, StageFeatures(other, moved)[0][0])


def test_nothing_else_is_overwritten(store, stage, tmp_path):
    path = tmp_path / "notes.h5"
    for make in (
        lambda: path.write_text("precious"),
        lambda: kh.HamiltonianStore.write(path, [store[store.names[0]]]),
    ):
        path.unlink(missing_ok=True)
        make()
        before = path.read_bytes()
        with pytest.raises(ValueError, match="no features of a stage"):
            StageFeatures(stage, data(store, 0, 1), path=path)
        assert path.read_bytes() == before


def test_an_interrupted_run_leaves_the_file(
    store, stage, tmp_path, monkeypatch
):
    path = tmp_path / "features.h5"
    StageFeatures(stage, data(store, 0, 1), path=path)
    before = path.read_bytes()

    def interrupted(self, inputs):
        if len(runs) > 1:
            raise KeyboardInterrupt
        runs.append(0)
        return computed(self, inputs)

    runs, computed = [], StageFeatures._computed
    monkeypatch.setattr(StageFeatures, "_computed", interrupted)
    with pytest.raises(KeyboardInterrupt):
        StageFeatures(stage, data(store, 0, 3), path=path)
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["features.h5"]


def test_changing_batches_are_not_kept(store, stage, tmp_path):
    dataset = data(store, 0, 3, shuffle=True, batch_size=2)
    with pytest.raises(ValueError, match="shuffle=True, batch_size=2"):
        StageFeatures(stage, dataset, path=tmp_path / "features.h5")
    fixed = data(store, 0, 3, batch_size=2)
    cascade = kh.models.HamiltonianCascade(
        stage, kh.models.EquivariantTransformerStage.for_stage(stage)
    )
    features = cascade.features(fixed, path=tmp_path / "features.h5")
    assert len(features) == 2 and len(features[0][0]["species"]) == 32
