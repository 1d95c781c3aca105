"""`predict --memory`: slabs, an estimate, a bar, and what is refused."""

import ase.io
import numpy as np
import pytest

import keras_hamiltonian as kh
from keras_hamiltonian.cli import progress
from keras_hamiltonian.slabs import PredictionEstimate


@pytest.mark.slow
def test_a_limit_of_memory(command, folder, data_folder, untrained_file):
    cell = kh.HamiltonianStore(data_folder / "reference_graphene.h5").atoms(0)
    ase.io.write(folder / "new.xyz", cell)
    words = ("predict", untrained_file, "new.xyz", "--format", "container")
    said = command(*words, "--memory", "20GB")
    # Nothing about what takes no time.
    assert "atoms in" not in said.stderr
    found = kh.HamiltonianStore(folder / "predictions" / "new.h5")["new"]
    atoms = ase.io.read(folder / "new.xyz")
    expected = kh.predict(untrained_file, atoms).hamiltonian
    assert np.abs(found.hamiltonian.entries - expected.entries).max() < 1e-5
    said = command(*words, "--memory", "1MB", "--overwrite", code=1)
    assert "Enough may be" in said.stderr
    said = command(*words, "--memory", "much", "--overwrite", code=1)
    assert "such as 4GB" in said.stderr


def test_the_bar_counts_atoms(monkeypatch, capsys):
    bar = progress.Bar("small")
    bar.begin(PredictionEstimate(3000, 1, 2.0, 3.2e9))
    bar(1.0)
    bar.close()
    assert not capsys.readouterr().err
    monkeypatch.setattr(progress, "PATIENCE", 0.0)
    bar = progress.Bar("twisted")
    bar.begin(PredictionEstimate(4000, 4, 200.0, 3.2e9))
    for fraction in (0.01, 0.5, 1.0):
        bar(fraction)
    assert bar.bar.pos == 4000
    assert "atoms/s" in bar.bar.format_progress_line()
    bar.close()
    said = capsys.readouterr().err
    assert "twisted: 4000 atoms in 4 slabs, about 3 min, 3.2 GB" in said
