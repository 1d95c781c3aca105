"""`predict --memory`: slabs, an estimate, a bar, and what is refused."""

import ase.io
import numpy as np
import pytest

import keras_hamiltonian as kh
from keras_hamiltonian.messages import Phase
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
    said = command(*words, "--memory", "much", "--overwrite", code=2)
    assert "such as 4GB" in said.stderr


def test_atoms_are_counted(monkeypatch, caplog):
    with Phase("small") as phase:
        phase.begin(PredictionEstimate(3000, 1, 2.0, 3.2e9))
        phase(1.0)
    assert not caplog.messages
    with Phase("twisted") as phase:
        phase.begin(PredictionEstimate(4000, 4, 200.0, 3.2e9))
        for fraction in (0.01, 0.5):
            phase(fraction)
        said = str(phase)
    assert said.startswith("twisted: 2000/4000 atoms") and "atoms/s" in said
    first = "twisted: 4000 atoms in 4 slabs, about 3 min, 3.2 GB"
    assert caplog.messages == [first]
