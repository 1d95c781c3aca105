"""Arrays that wait on the disk come back, and leave nothing."""

import pathlib
import tempfile

import numpy as np

from keras_hamiltonian.scratch import Scratch


def test_nests_of_arrays(monkeypatch, tmp_path):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    x, y = np.arange(12.0).reshape(4, 3), np.arange(4)
    with Scratch() as scratch:
        scratch.put("some", {"x": [x, 2 * x], "y": y})
        found = scratch.get("some", rows=np.array([3, 1]))
        np.testing.assert_array_equal(found["x"][1], 2 * x[[3, 1]])
        np.testing.assert_array_equal(scratch.get("some")["y"], y)
        assert scratch.has("some") and not scratch.has("others")
        assert len(list(tmp_path.rglob("*.npy"))) == 3
        scratch.put("some", x)
        np.testing.assert_array_equal(scratch.get("some"), x)
        scratch.drop("some")
        assert not scratch.has("some") and not list(tmp_path.rglob("*.npy"))
    assert list(pathlib.Path(tmp_path).iterdir()) == []
