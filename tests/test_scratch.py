"""Arrays that wait on the disk come back, and leave nothing."""

import pathlib
import signal
import subprocess
import sys
import tempfile

import numpy as np

from keras_hamiltonian.scratch import Scratch

# Keeps an array and is killed.
KILLED = """
import os, signal
import numpy as np
from keras_hamiltonian.scratch import Scratch
Scratch().put("some", np.ones(1000))
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_nests_of_arrays(monkeypatch, tmp_path):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    x, y = np.arange(12.0).reshape(4, 3), np.arange(4)
    with Scratch() as scratch:
        scratch.put("some", {"x": [x, 2 * x], "y": y})
        scratch.put("none", x[:0])
        found = scratch.get("some", rows=np.array([3, 1]))
        np.testing.assert_array_equal(found["x"][1], 2 * x[[3, 1]])
        np.testing.assert_array_equal(scratch.get("some")["y"], y)
        assert scratch.get("none").shape == (0, 3)
        assert scratch.has("some") and not scratch.has("others")
        scratch.put("some", x)
        np.testing.assert_array_equal(scratch.get("some"), x)
        # What was read is no longer bound to the file.
        kept = scratch.get("some")
        scratch.drop("some")
        assert not scratch.has("some") and kept[3, 2] == 11
    assert list(pathlib.Path(tmp_path).iterdir()) == []


def test_a_process_that_is_killed_leaves_nothing(monkeypatch, tmp_path):
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    done = subprocess.run([sys.executable, "-c", KILLED])
    assert done.returncode == -signal.SIGKILL
    assert list(tmp_path.rglob("keras_hamiltonian_*")) == []
