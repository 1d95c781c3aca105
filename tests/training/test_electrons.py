import dataclasses

import pytest
from lives import SETTINGS

import keras_hamiltonian as kh
from keras_hamiltonian import electronic_structure
from keras_hamiltonian.training.run import train_cascade


@pytest.mark.parametrize("name, valence", [("graphene", {"C": 4.0})])
def test_electrons_follow_from_the_fermi_level(
    data_folder, tmp_path, name, valence
):
    """DeepH folders do not tell the number of electrons."""
    known = kh.HamiltonianStore(data_folder / f"{name}.h5")
    unknown = [
        dataclasses.replace(known[k], num_electrons=None) for k in range(2)
    ]
    assert unknown[0].fermi_level is not None
    store = kh.HamiltonianStore.write(tmp_path / "set.h5", unknown)
    options = {"second_stage": "none", "second_options": {}, "joint_share": 0.0}
    settings = kh.training.TrainingSettings(
        **{**SETTINGS, **options, "steps": 1}
    )
    split = kh.data.Split(store.names[:1], store.names[1:], ())
    model = train_cascade(store, split, settings, tmp_path, "").model
    assert model.provenance["valence_electrons"] == valence
    prediction = kh.predict(model, unknown[1].atoms)
    assert prediction.calculation.num_electrons == known[1].num_electrons


def test_bands_are_filled_once_for_a_composition(data_folder, monkeypatch):
    """A level that gives no whole number does so in every structure."""
    known = kh.HamiltonianStore(data_folder / "graphene.h5")
    unknown = [
        dataclasses.replace(known[k], num_electrons=None) for k in range(3)
    ]
    tried = []

    def fail(calculation, *_, **__):
        tried.append(calculation.name)
        raise ValueError

    monkeypatch.setattr(electronic_structure, "infer_electrons", fail)
    found = kh.models.training_provenance(unknown)
    assert tried == [unknown[0].name]
    assert found["electron_counts"] == []
    # A structure that knows its number still tells it.
    found = kh.models.training_provenance([*unknown, known[3]])
    assert found["valence_electrons"] == {"C": 4.0}
