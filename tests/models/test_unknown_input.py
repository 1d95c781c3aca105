"""Saved models say which elements, shells and spin they do not know."""

import ase
import keras
import numpy as np
import pytest
from small_stages import small_stage

import keras_hamiltonian as kh

pytestmark = pytest.mark.skipif(
    keras.config.backend() != "torch", reason="every new model is compiled"
)
SMALL = {"width": 16, "num_heads": 2, "num_blocks": 1}
KINDS = ["stage", "transformer", "cascade", "equivariant_cascade"]


@pytest.fixture(scope="module")
def store(data_folder):
    return kh.HamiltonianStore(data_folder / "reference_graphene.h5")


@pytest.fixture(scope="module")
def stage(store):
    return small_stage(store, 1)


@pytest.fixture(scope="module", params=KINDS)
def path(request, store, stage, tmp_path_factory):
    kinds = kh.models
    if request.param == "stage":
        model = stage
    elif request.param == "transformer":
        model = kinds.StandaloneTransformerStage(
            stage.arguments["basis"], stage.reaches, **SMALL
        )
    elif request.param == "cascade":
        second = kinds.TransformerStage.for_stage(stage, **SMALL)
        model = kinds.HamiltonianCascade(stage, second)
    else:
        second = kinds.EquivariantTransformerStage.for_stage(stage)
        model = kinds.HamiltonianCascade(stage, second)
    path = tmp_path_factory.mktemp("models") / f"{request.param}.keras"
    model.save(path)
    return path


@pytest.fixture(scope="module")
def model(path):
    return kh.load_model(path)


@pytest.mark.slow
def test_unknown_elements(path):
    atoms = ase.Atoms("CSiH", [[0, 0, 0], [0, 0, 1.8], [0, 1, 0]])
    message = r"knows C \(2s 2p 1d\); CHSi also has H, Si. Train on structures"
    with pytest.raises(ValueError, match=message):
        kh.predict(path, atoms)


def test_other_shells(model, store):
    calculation = store[0]
    smaller = kh.Calculation(calculation.atoms, kh.OrbitalBasis({"C": "2s 2p"}))
    with pytest.raises(ValueError, match=r"C the shells 2s 2p 1d.* 2s 2p\. "):
        kh.evaluate(model, [smaller])
    # As data sets: their own shells, and the model's.
    dataset = kh.HamiltonianDataset([smaller], reaches=model.reaches)
    message = r"\{'C': '2s 2p 1d'\}, the data set has \{'C': '2s 2p'\}"
    for use in (model.fit, model.evaluate, model.predict):
        with pytest.raises(ValueError, match=message):
            use(dataset)
    dataset = kh.HamiltonianDataset(
        [smaller], reaches=model.reaches, basis=model.basis
    )
    with pytest.raises(ValueError, match=r"'2s 2p'\}, which .* not cover"):
        model.predict(dataset, verbose=0)


def test_other_tables_and_spins(model, store):
    """More elements in the table: the same shells at other places."""
    calculation = store[0]
    basis = kh.OrbitalBasis({"C": "2s 2p 1d", "B": "2s 2p 1d"})
    mixed = kh.HamiltonianDataset([calculation], basis=basis)
    with pytest.raises(ValueError, match="'B': '2s 2p 1d'.* its own"):
        model.predict(mixed)
    if isinstance(model, kh.models.EquivariantStage):
        with pytest.raises(ValueError, match="'B': '2s 2p 1d'"):
            model.adapt(mixed)
    if isinstance(model, kh.models.HamiltonianCascade):
        with pytest.raises(ValueError, match="'B': '2s 2p 1d'"):
            model.features(mixed)
    spinful = kh.Calculation(
        calculation.atoms, calculation.basis, spin="noncollinear"
    )
    spinful = kh.HamiltonianDataset([spinful], reaches=model.reaches)
    with pytest.raises(ValueError, match="spin='none', the data set has"):
        model.predict(spinful)


def test_what_fits_is_taken(model, store, data_folder):
    dataset = kh.HamiltonianDataset(store, basis=model.basis)
    found = model.predict(dataset, verbose=0)
    arrays = model.predict_on_batch(dataset[0][0])
    np.testing.assert_allclose(found["onsite"], arrays["onsite"], atol=1e-5)


def test_fewer_elements_say_how(data_folder):
    store = kh.HamiltonianStore(data_folder / "reference_mos2.h5")
    stage = small_stage(store, 1)
    sulfur = kh.Calculation(
        ase.Atoms("S2", [[0, 0, 0], [0, 0, 1.9]]),
        kh.OrbitalBasis({"S": store.basis.to_dict()["S"]}),
    )
    alone = kh.HamiltonianDataset([sulfur], reaches=stage.reaches)
    with pytest.raises(ValueError, match="with `basis=model.basis`"):
        stage.predict(alone)
    dataset = kh.HamiltonianDataset(
        [sulfur], reaches=stage.reaches, basis=stage.basis
    )
    found = stage.predict(dataset, verbose=0)
    assert found["onsite"].shape[0] == 2


def test_a_second_stage_alone(store, stage):
    second = kh.models.TransformerStage.for_stage(stage, **SMALL)
    dataset = kh.HamiltonianDataset(store)
    message = r"features of the first\. Received: a {}.*HamiltonianCascade"
    with pytest.raises(ValueError, match=message.format("Atoms")):
        kh.predict(second, store[0].atoms)
    for use in (second.adapt, second.fit, second.predict):
        with pytest.raises(ValueError, match=message.format("Hamil")):
            use(dataset)
    second.adapt(kh.models.StageFeatures(stage, dataset))
