"""Slabs of unequal sizes, group by group, on every backend."""

import ase
import keras
import numpy as np
import pytest
from small_stages import SMALL

import keras_hamiltonian as kh
from keras_hamiltonian import slabs


@pytest.mark.skipif(
    keras.config.backend() == "jax", reason="compiles each shape anew"
)
def test_slabs_of_unequal_sizes(monkeypatch):
    """One program of a compiled backend serves them all."""
    number = 11
    places = np.random.default_rng(0).uniform(-0.1, 0.1, (number, 3))
    places[:, 0] += 3.5 * np.arange(number)
    atoms = ase.Atoms(f"H{number}", places, cell=[60, 8, 8], pbc=True)
    stage = kh.models.EquivariantStage(
        {"H": "1s 1p"}, {"H": 2.1}, **{**SMALL, "num_groups": 2}
    )
    random = np.random.default_rng(1)
    stage.set_weights(
        [w + 0.1 * random.normal(size=w.shape) for w in stage.get_weights()]
    )
    whole = kh.predict(stage, atoms, overlap=None).hamiltonian
    monkeypatch.setattr(slabs, "resident_bytes", lambda: 0.0)
    monkeypatch.setattr(slabs, "edge_bytes", lambda *_, **__: 1e6)
    monkeypatch.setattr(slabs, "SPARE", 0.0)
    sizes = []
    divide = slabs.divide

    def counted(*arguments):
        found = divide(*arguments)
        sizes.extend(int(slab.own.sum()) for slab in found)
        return found

    monkeypatch.setattr(slabs, "divide", counted)
    found = kh.predict(stage, atoms, max_memory="20MB").hamiltonian
    assert len(set(sizes)) > 1
    scale = np.abs(whole.entries).max()
    np.testing.assert_allclose(
        found.entries, whole.entries, rtol=0, atol=1e-5 * scale
    )
