"""Arrays that wait on the disk come back, and leave nothing."""

import os
import pathlib
import signal
import subprocess
import sys
import tempfile

import numpy as np
import pytest

from keras_hamiltonian.scratch import Scratch

# Keeps an array and is killed.
KILLED = """
import os, signal
import numpy as np
from keras_hamiltonian.scratch import Scratch
Scratch().put("some", 0, np.ones(1000))
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_nests_of_arrays(monkeypatch, tmp_path):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    x, y = np.arange(12.0).reshape(4, 3), np.arange(4)
    with Scratch() as scratch:
        scratch.put("some", 0, {"x": [x, 2 * x], "y": y, "none": x[:, :0]})
        scratch.put("some", 1, -x.T)
        found = scratch.get("some", 0, rows=np.array([3, 1]))
        np.testing.assert_array_equal(found["x"][1], 2 * x[[3, 1]])
        assert found["none"].shape == (2, 0)
        np.testing.assert_array_equal(scratch.get("some", 0)["y"], y)
        np.testing.assert_array_equal(scratch.get("some", 1), -x.T)
        mapped = scratch.view("some", 0)
        np.testing.assert_array_equal(mapped["x"][1], 2 * x)
        np.testing.assert_array_equal(mapped["y"], y)
        assert mapped["none"].shape == (4, 0)
        np.testing.assert_array_equal(scratch.view("some", 1), -x.T)
        del mapped
        assert scratch.has("some", 1) and not scratch.has("other", 1)
        # What was read is no longer bound to the file.
        kept = scratch.get("some", 0)["x"][0]
        scratch.drop("some", 0)
        assert not scratch.has("some", 0) and kept[3, 2] == 11
        np.testing.assert_array_equal(scratch.get("some", 1), -x.T)
    assert list(pathlib.Path(tmp_path).iterdir()) == []


def test_files_are_few():
    """One of each kind, however many slabs there are."""
    resource = pytest.importorskip("resource")
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    number = len(os.listdir("/dev/fd")) + 8
    resource.setrlimit(resource.RLIMIT_NOFILE, (number, limits[1]))
    try:
        with Scratch() as scratch:
            for k in range(200):
                scratch.put("edges", k, [np.full(3, k)] * 4)
            assert scratch.get("edges", 77)[3][0] == 77
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="Linux")
def test_a_full_disk(monkeypatch):
    monkeypatch.setattr(
        tempfile, "TemporaryFile", lambda **_: open("/dev/full", "w+b", 0)
    )
    with pytest.raises(OSError, match="temporary files is full.*TMPDIR"):
        Scratch().put("edges", 0, np.ones(100000))


def test_a_process_that_is_killed_leaves_nothing(monkeypatch, tmp_path):
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    done = subprocess.run([sys.executable, "-c", KILLED])
    assert done.returncode == -signal.SIGKILL
    assert list(tmp_path.rglob("keras_hamiltonian_*")) == []
