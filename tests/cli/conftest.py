"""The command in an empty folder, and a model that was not trained."""

import pytest
from small_stages import small_stage
from typer.testing import CliRunner

import keras_hamiltonian as kh
from keras_hamiltonian.cli import app


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def command(folder):
    def run(*words, code=0):
        result = CliRunner().invoke(app, [str(word) for word in words])
        assert result.exit_code == code, result.output
        assert "Traceback" not in result.output
        return result

    return run


@pytest.fixture(scope="session")
def model(data_folder, tmp_path_factory):
    """Baseline and overlap of graphene's primitive cell."""
    store = kh.HamiltonianStore(data_folder / "reference_graphene.h5")
    path = tmp_path_factory.mktemp("model") / "model.keras"
    small_stage(store, 1).save(path)
    return path
