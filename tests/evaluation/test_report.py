"""Report of a model: numbers against a second way, and the files."""

import dataclasses
import json

import numpy as np
import pytest
from small_stages import small_stage

import keras_hamiltonian as kh


@pytest.fixture(scope="module")
def evaluated(data_folder):
    store = kh.HamiltonianStore(data_folder / "reference_mos2.h5")
    stage = small_stage(store)
    return stage, store[0], kh.evaluate(stage, [store[0]])["errors"]


def test_errors_are_those_of_the_losses(evaluated):
    stage, calculation, errors = evaluated
    dataset = kh.HamiltonianDataset([calculation], basis=stage.basis)
    stage.compile(loss=kh.losses.BlockMeanAbsoluteError(), jit_compile=False)
    loss = stage.evaluate(dataset, verbose=0, return_dict=True)["loss"]
    assert 1000 * errors["mae_all"] == pytest.approx(loss, rel=1e-4)


def test_a_missing_overlap_is_the_models_own(evaluated):
    stage, calculation, errors = evaluated
    bare = dataclasses.replace(calculation, overlap=None)
    other = kh.evaluate(stage, [bare])["errors"]
    expected = errors["gauge_free_mae"]
    assert other["gauge_free_mae"] == pytest.approx(expected, rel=1e-3)


def test_bands_of_a_calculation_that_knows_little(evaluated):
    """Its own electrons give the level, the model the overlap."""
    stage, calculation, _ = evaluated
    bare = dataclasses.replace(calculation, overlap=None, fermi_level=None)
    found = kh.evaluation.evaluate_bands(stage, bare, "GK", 3, (-90, 90))
    predicted, reference, error = found
    assert predicted.fermi_level == reference.fermi_level
    # Anywhere in the gap.
    assert abs(reference.fermi_level - calculation.fermi_level) < 1
    exact = kh.ElectronicStructure(calculation).bands("GK", 3).energies
    np.testing.assert_allclose(
        reference.energies[:, :13], exact[:, :13], atol=1e-3
    )
    assert error["band_mae"] > 0


def test_report_and_pictures(evaluated, tmp_path):
    stage, calculation, expected = evaluated
    prediction = kh.predict(stage, calculation.atoms)
    errors = kh.metrics.MatrixErrors(stage.basis)
    errors.update(prediction.hamiltonian, calculation)
    assert errors.result()["mae_all"] == pytest.approx(expected["mae_all"])
    bands = kh.evaluation.compare_bands(prediction, calculation, num_points=10)
    energies = bands[1].energies - calculation.fermi_level
    near = np.abs(energies) < 3
    expected = np.abs(bands[0].energies - bands[1].energies)[near].mean()
    assert bands[2]["band_mae"] == pytest.approx(expected)
    history = {
        "cpu_seconds": [1.0, 2.0, 3.0],
        "loss": [9.0, 4.0, 2.0],
        "val_loss": [None, 5.0, None],
    }
    report = kh.evaluation.write_report(
        tmp_path / "run", errors, history, bands, title="MoS2", seed=3
    )
    written = json.loads((tmp_path / "run" / "report.json").read_text())
    assert written == report
    assert report["seed"] == 3
    assert report["machine"]["cores"] >= 1
    pictures = {"bands", "block_errors", "learning_curve"}
    assert set(report["files"]) == {*pictures, "page"}
    for name in report["files"].values():
        assert (tmp_path / "run" / name).stat().st_size > 10_000
    text = kh.evaluation.summary(report)
    assert f"MAE_all {1000 * report['errors']['mae_all']:.3f} meV" in text
    assert "bands of structure" in text
    text = kh.evaluation.summary(report, tmp_path / "run")
    for name in report["files"].values():
        assert str(tmp_path / "run" / name) in text
