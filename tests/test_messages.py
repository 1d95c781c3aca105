"""Sentences and progress: where they go, and that no phase is silent."""

import importlib.util
import logging
import os
import re
import subprocess
import sys
import time

import keras
import pytest

import keras_hamiltonian as kh
from keras_hamiltonian import messages
from keras_hamiltonian.messages import Phase
from keras_hamiltonian.messages import counted
from keras_hamiltonian.models.stage_features import StageFeatures


@pytest.fixture
def forget_logging(monkeypatch):
    """As in a script that knows nothing of `logging`; pytest sets it up."""
    return lambda: monkeypatch.setattr(logging.root, "handlers", [])


@pytest.fixture
def impatient(monkeypatch):
    """Every phase speaks at once, and often."""
    for name in ("PATIENCE", "BETWEEN", "LATER"):
        monkeypatch.setattr(messages, name, 0.0)
    monkeypatch.setattr(messages, "GLANCE", 0.02)


@pytest.fixture
def labels(monkeypatch):
    """What the phases are called that a test goes through."""
    found, begin = [], Phase.__enter__

    def noted(self):
        found.append(self.label)
        return begin(self)

    monkeypatch.setattr(Phase, "__enter__", noted)
    return found


def test_sentences_are_printed_and_progress_beside_them(forget_logging, capsys):
    forget_logging()
    messages.logger.info("Resumes.")
    messages.log_progress("read: 1/2")
    shown = capsys.readouterr()
    assert (shown.out, shown.err) == ("Resumes.\n", "read: 1/2\n")


def test_those_who_set_up_logging_have_them_alone(caplog, capsys):
    messages.logger.info("Resumes.")
    assert caplog.messages == ["Resumes."]
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("how", ["level", "keras"])
def test_silence_is_asked_for(how, forget_logging, monkeypatch, capsys):
    forget_logging()
    if how == "level":
        monkeypatch.setattr(messages.logger, "level", logging.WARNING)
        messages.logger.manager._clear_cache()
    else:
        keras.config.disable_interactive_logging()
    try:
        messages.logger.info("Resumes.")
    finally:
        keras.config.enable_interactive_logging()
        messages.logger.manager._clear_cache()
    assert capsys.readouterr().out == ""


def test_a_script_sees_them():
    code = (
        "import keras_hamiltonian.messages as m;"
        "m.logger.info('one'); import logging;"
        "logging.basicConfig(format='%(name)s %(message)s');"
        "m.logger.info('two')"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert done.stdout == "one\n"
    assert done.stderr == "keras_hamiltonian two\n"


def test_one_long_step_is_not_silent(impatient, forget_logging, capsys):
    forget_logging()
    with Phase("states", 4, "wave vectors") as phase:
        phase.step()
        time.sleep(0.3)
    first, *more = capsys.readouterr().err.splitlines()
    pattern = r"states: 1/4 wave vectors, [\d.]+ wave vectors/s, \d+ s left"
    assert re.fullmatch(pattern, first)
    assert len(more) > 1


def test_a_log_is_not_silent_for_five_seconds():
    longest = messages.PATIENCE + messages.GLANCE
    assert max(longest, messages.BETWEEN + messages.GLANCE) < 5
    assert messages.LATER * 200 <= messages.BETWEEN


def test_short_work_is_silent(forget_logging, capsys):
    forget_logging()
    assert list(counted("abc", "read")) == list("abc")
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("pause, num_lines", [(0.0, 2), (0.2, 0)])
def test_short_phases_in_a_row_are_not_silent(
    pause, num_lines, monkeypatch, caplog
):
    monkeypatch.setattr(messages, "PATIENCE", 0.5)
    monkeypatch.setattr(messages, "GLANCE", 0.05)
    time.sleep(0.1)
    for _ in range(8):
        with Phase("short", None):
            time.sleep(0.2)
        time.sleep(pause)
    assert bool(caplog.messages) is bool(num_lines)
    assert len(caplog.messages) >= num_lines


def test_a_terminal_has_one_line(impatient, monkeypatch, capsys):
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    with Phase("bulk") as phase:
        phase.total, phase.unit = 200, "atoms"
        phase(0.5)
        time.sleep(0.2)
    shown = capsys.readouterr().err
    assert "\rbulk: 100/200 atoms, " in shown and "atoms/s" in shown
    assert "\n" not in shown and shown.endswith("\x1b[K\r")


def test_the_inner_phase_speaks(impatient, caplog):
    with Phase("outer", None), Phase("inner", None):
        time.sleep(0.2)
    assert {x.split(":")[0] for x in caplog.messages} == {"inner"}


def test_nobody_speaks_after_an_error(impatient, caplog):
    with pytest.raises(KeyboardInterrupt), Phase("outer", None):
        raise KeyboardInterrupt
    caplog.clear()
    time.sleep(0.1)
    assert not caplog.messages and not messages._phases


def test_checks_and_bands_have_phases(data_folder, labels):
    from data_tools.check.__main__ import run

    path = data_folder / "reference_graphene.h5"
    run([str(path)])
    assert labels == ["check", "compare the structures"]
    labels.clear()
    crystal = kh.ElectronicStructure(kh.HamiltonianStore(path)[0])
    crystal.bands("GM", 3)
    assert labels == ["states"]


def test_features_and_reports_have_phases(data_folder, labels, tmp_path):
    from small_stages import small_stage

    store = kh.HamiltonianStore(data_folder / "reference_graphene.h5")
    stage = small_stage(store)
    assert "fit of the scales" in labels
    labels.clear()
    dataset = kh.HamiltonianDataset(store)
    StageFeatures(stage, dataset, path=tmp_path / "features.h5")
    assert labels == ["check", "features"]
    labels.clear()
    options = {"num_k_points": 0, "largest_cell": 0, "num_rotations": 1}
    kh.evaluate(stage, store, tmp_path / "report", num_spectra=0, **options)
    assert labels[:2] == ["evaluate", "report"]


@pytest.mark.skipif(
    keras.config.backend() != "torch"
    or importlib.util.find_spec("tensorflow") is None,
    reason="speaks where TensorFlow is installed beside torch",
)
def test_tensorflow_is_silent_on_torch():
    """Keras imports it when it writes the configuration of a model."""
    code = (
        "import sys, keras_hamiltonian, keras;"
        "keras.saving.serialize_keras_object(keras.layers.Dense(1));"
        "assert 'tensorflow' in sys.modules"
    )
    known = {k: v for k, v in os.environ.items() if not k.startswith("TF_")}
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        env=known,
    )
    assert "oneDNN" not in done.stderr and "absl" not in done.stderr
