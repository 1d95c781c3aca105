"""What is told of a model's stages: all it has, and nothing it has not."""

import ase.build
import keras
import pytest
from small_stages import small_stage

import keras_hamiltonian as kh
from keras_hamiltonian.explain.stage_report import explain_stages
from keras_hamiltonian.plots import style

on_torch = pytest.mark.skipif(
    keras.config.backend() != "torch", reason="every new model is compiled"
)
FREE = {"width": 16, "num_heads": 2, "num_blocks": 1}
ATTENTION = {"attention_map", "attention_distance", "attention_angle"}
ENVIRONMENTS = {"environments", "novelty"}


@pytest.fixture(scope="module")
def store(data_folder):
    return kh.HamiltonianStore(data_folder / "graphene.h5")


@pytest.fixture(scope="module")
def stage(store):
    return small_stage(store)


@pytest.fixture(autouse=True)
def coarse(monkeypatch):
    """Large pictures take most of the time."""
    monkeypatch.setattr(style, "DOTS_PER_INCH", 30)


def explained(model, store, folder, num_held_out=1):
    names = store.names
    return explain_stages(
        model,
        store[names[2]].atoms,
        folder / "explained",
        [store[name] for name in names[:2]],
        [store[name] for name in names[2 : 2 + num_held_out]],
        atom=3,
    )


def names_of(found):
    for path in found["files"].values():
        assert path.is_file()
    return set(found["files"])


@pytest.mark.slow
@on_torch
def test_a_cascade(stage, store, tmp_path):
    refinement = kh.models.TransformerStage.for_stage(stage, **FREE)
    cascade = kh.models.HamiltonianCascade(stage, refinement)
    found = explained(cascade, store, tmp_path)
    expected = ATTENTION | {"corrections"} | ENVIRONMENTS | {"stages"}
    assert names_of(found) == expected
    assert len(found["environments"]) == len(store[2].atoms)
    worst = found["environments"].worst()[0]
    text = found["files"]["stages"].read_text()
    assert found["text"] in text
    assert f"  {store.names[2]}: {worst['atom']}, " in text
    assert "block_2_1" in text and "by element pair" in text
    # A user's own structure, with nothing to compare to.
    found = explain_stages(cascade, store[0].atoms, tmp_path)
    assert names_of(found) == ATTENTION | {"stages"}
    assert found["corrections"] is found["environments"] is None


@pytest.mark.slow
@on_torch
def test_what_a_model_has_not_is_left_out(stage, store, tmp_path):
    found = explained(stage, store, tmp_path)
    assert names_of(found) == ENVIRONMENTS | {"stages"}
    assert found["attention"] is None
    ablated = kh.models.TransformerStage.for_stage(
        stage, **FREE, attention=False
    )
    cascade = kh.models.HamiltonianCascade(stage, ablated)
    found = explained(cascade, store, tmp_path)
    assert names_of(found) == {"corrections"} | ENVIRONMENTS | {"stages"}
    alone = kh.models.StandaloneTransformerStage(
        stage.arguments["basis"], stage.reaches, **FREE
    )
    found = explained(alone, store, tmp_path)
    assert names_of(found) == ATTENTION | {"stages"}


def calculation(stage, atoms, name="bare"):
    return kh.Calculation(atoms, stage.basis, spin=stage.spin, name=name)


@on_torch
def test_what_the_structures_do_not_allow_is_left_out(stage, store, tmp_path):
    known, bare = store[0], calculation(stage, store[1].atoms)
    # One atom of an element, as an impurity of which there is one structure.
    lone = calculation(stage, ase.Atoms("C", cell=[9, 9, 9], pbc=True))
    found = explain_stages(stage, known.atoms, tmp_path, [lone], [known])
    assert names_of(found) == {"stages"}
    assert "All 1 environments of C" in found["left_out"]["environments"]
    text = found["files"]["stages"].read_text()
    assert text.startswith("Environments: left out. All 1 environments of C")
    # No Hamiltonian to compare with.
    folder = tmp_path / "bare"
    found = explain_stages(stage, known.atoms, folder, [known], [bare])
    assert names_of(found) == {"environments", "stages"}
    assert "no Hamiltonian" in found["text"] and "worst" not in found["text"]


@on_torch
def test_atoms_without_neighbours(stage, store, tmp_path):
    alone = kh.models.StandaloneTransformerStage(
        stage.arguments["basis"], stage.reaches, **FREE
    )
    lone = ase.Atoms("C", cell=[30, 30, 30], pbc=True)
    found = explain_stages(alone, lone, tmp_path)
    assert names_of(found) == {"stages"}
    assert "No two atoms of C are within reach" in found["text"]
    # Such an atom has no attention, and the others are unchanged.
    some = ase.Atoms("C4", [[0, 0, 0], [1.3, 0, 0], [0, 1.3, 0], [30, 0, 0]])
    maps = kh.explain.attention_maps(alone, some)
    assert not maps.weights[:, :, 3].any()
    assert not maps.num_attended()[:, :, 3].any()
    assert maps.weights[:, :, :3].sum(axis=-1).min() > 0.99
    found = explain_stages(alone, some, tmp_path, atom=3)
    assert names_of(found) == ATTENTION | {"stages"}


def test_a_mistake_leaves_nothing_behind(stage, store, tmp_path):
    folder = tmp_path / "none"
    with pytest.raises(ValueError, match="atoms 0 to .*atom=99"):
        explain_stages(stage, store[0].atoms, folder, atom=99)
    with pytest.raises(ValueError, match="Si"):
        silicon = ase.Atoms("Si2", [[0, 0, 0], [0, 0, 2]])
        explain_stages(stage, silicon, folder)
    assert not folder.exists()
