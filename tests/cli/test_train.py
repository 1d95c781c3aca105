"""Settings from file and options; a run that stops, resumes and is kept."""

import dataclasses
import json
import subprocess
import sys

import pytest

import keras_hamiltonian as kh
from keras_hamiltonian.cli.settings import read_settings
from keras_hamiltonian.training import TrainingSettings
from keras_hamiltonian.training import run as run_module

SMALL = """
steps: 4
first_options: {irreps: 8x0e + 4x1o + 2x2e, num_groups: 1, num_gaussians: 4}
second_stage: none
"""


def test_template_holds_every_setting(command, folder):
    text = command("train", "--print-settings").stdout
    (folder / "a.yaml").write_text(text)
    assert TrainingSettings.read(folder / "a.yaml") == TrainingSettings()
    for name, field in TrainingSettings.model_fields.items():
        assert f"\n{name}: " in text or f"\n#{name}: " in text
        assert field.description.split()[0] in text
    words = ("train", "--settings", "a.yaml", "--steps", 7, "--print-settings")
    text = command(*words).stdout
    assert "\nsteps: 7\n" in text and "\n#seconds: null\n" in text


def test_options_win_over_the_file(folder):
    path = folder / "a.toml"
    path.write_text("steps = 50\nseed = 3\n[first_options]\nnum_groups = 2\n")
    found = read_settings(path, {"seconds": 9.0, "seed": None}, ["clipnorm=5"])
    assert (found.seconds, found.steps) == (9, None)
    assert (found.seed, found.clipnorm) == (3, 5)
    assert found.first_options == {"num_groups": 2}
    with pytest.raises(ValueError, match="Give one budget"):
        read_settings(None, {"seconds": 9.0, "steps": 2})


@pytest.mark.slow
def test_a_run_that_was_stopped_resumes(
    caplog, command, folder, data_folder, monkeypatch
):
    # Three times one structure: what is learnt does not matter here.
    cell = kh.HamiltonianStore(data_folder / "reference_graphene.h5")[0]
    copies = [dataclasses.replace(cell, name=name) for name in "abc"]
    kh.HamiltonianStore.write(folder / "all.h5", copies)
    command("convert", "all.h5", "set", "--format", "deeph-legacy")
    (folder / "small.yaml").write_text(SMALL)
    words = ("train", "set", "--settings", "small.yaml")
    report = run_module.report_training

    def stop(*_, **__):
        raise OSError("No space left on device")

    monkeypatch.setattr(run_module, "report_training", stop)
    assert "No space left" in command(*words, code=1).stderr
    run = folder / "runs" / "set"
    assert (run / "checkpoint").is_dir()
    monkeypatch.setattr(run_module, "report_training", report)
    # The training itself is done; without steps there are no lines of steps.
    text = command(*words).stdout
    assert "step" not in text and "MAE_all" in text
    found = json.loads((run / "report.json").read_text())
    assert found["steps"] == {"first": 4}
    assert (run / "set.keras").is_file() and (run / "split.json").is_file()
    command(*words)
    assert "Nothing has changed" in caplog.text
    other = command(*words, "--seed", 1, code=1)
    assert "other data, settings or version" in other.stderr
    # The split that was drawn says what to test.
    words = ("evaluate", run / "set.keras", run / "data.h5", "--part", "test")
    words += ("--split", run / "split.json", "-o", "new")
    command(*words)
    new = json.loads((folder / "new" / "report.json").read_text())
    expected = found["errors"]["mae_all"]
    assert new["errors"]["mae_all"] == pytest.approx(expected, rel=1e-4)


def test_output_among_the_data_is_refused(command, folder):
    (folder / "runs").mkdir()
    result = command("train", "runs", "--steps", 2, code=1)
    assert "lies in the data folder" in result.stderr
    assert not list((folder / "runs").iterdir())


OWN_STAGE = """
import keras
import keras_hamiltonian as kh


@keras.saving.register_keras_serializable(package="my_module")
class MyStage(kh.models.EquivariantStage):
    def __init__(self, basis, reaches, num_gaussians=4, **options):
        super().__init__(basis, reaches, num_gaussians=num_gaussians, **options)
"""


@pytest.mark.slow
def test_the_command_finds_a_stage_of_the_current_folder(folder):
    (folder / "my_module.py").write_text(OWN_STAGE)
    # As the installed command, whose folder is not on the path.
    code = "from keras_hamiltonian.cli import main; main()"
    words = ["train", "--first-stage", "my_module:MyStage", "--print-settings"]
    done = subprocess.run(
        [sys.executable, "-P", "-c", code, *words],
        cwd=folder,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert 'first_stage: "my_module:MyStage"\n' in done.stdout
