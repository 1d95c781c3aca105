"""What is told of a model's stages: all it has, and nothing it has not."""

import keras
import pytest
from small_stages import small_stage

import keras_hamiltonian as kh
from keras_hamiltonian.explain.stage_report import explain_stages

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
    monkeypatch.setattr(kh.evaluate.plots, "DOTS_PER_INCH", 30)


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
    alone = kh.models.TransformerStage(
        stage.arguments["basis"], stage.reaches, **FREE
    )
    found = explained(alone, store, tmp_path)
    assert names_of(found) == ATTENTION | {"stages"}
