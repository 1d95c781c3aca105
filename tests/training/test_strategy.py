"""Several processes or devices take the steps of one, with a larger batch."""

import json
import os
import pathlib
import subprocess
import sys

import numpy as np
import pytest

from keras_hamiltonian.strategy import together

PROGRAM = pathlib.Path(__file__).with_name("shared_training.py")
TORCHRUN = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2")
BACKEND = os.environ["KERAS_BACKEND"]


def run(*words, **environment):
    done = subprocess.run(
        [sys.executable, *map(str, words)],
        env={**os.environ, "OMP_NUM_THREADS": "1", **environment},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-3000:] + done.stdout[-1000:]
    return done.stdout


def read(folder, kind):
    found = json.loads((folder / f"{kind}.json").read_text())
    assert sum(found["steps"].values()) == 50
    return np.array(found["errors"])


@pytest.fixture(scope="module")
def two(tmp_path_factory):
    folder = tmp_path_factory.mktemp("two")
    said = run(*TORCHRUN, PROGRAM, folder, "ddp", 1, "whole", "apart")
    # The first process alone speaks.
    assert said.count("25/25 step") == 1
    return folder


@pytest.fixture(scope="module")
def one(two, tmp_path_factory):
    """One process, with the checkpoints that two have left."""
    folder = tmp_path_factory.mktemp("one")
    (two / "resumed").rename(folder / "resumed")
    run(PROGRAM, folder, "none", 2, "resumed", "whole")
    return folder


@pytest.mark.slow
@pytest.mark.skipif(BACKEND != "torch", reason="torchrun is one of torch")
def test_two_processes_are_one_of_the_double_batch(one, two):
    expected = read(one, "whole")
    np.testing.assert_allclose(read(two, "whole"), expected, rtol=1e-5)
    assert len(expected) == 50
    apart = json.loads((two / "apart.json").read_text())["errors"][:4]
    assert (np.abs(apart / expected[:4] - 1) > 1e-3).any()


@pytest.mark.slow
@pytest.mark.skipif(BACKEND != "torch", reason="torchrun is one of torch")
def test_one_process_goes_on_where_two_have_stopped(one):
    expected = read(one, "whole")
    found = read(one, "resumed")
    assert 5 < len(found) < 20
    np.testing.assert_allclose(found, expected[-len(found) :], rtol=1e-5)


@pytest.mark.slow
@pytest.mark.skipif(BACKEND != "torch", reason="once is enough")
def test_two_devices_are_one_of_the_double_batch(tmp_path):
    folders = tmp_path / "one", tmp_path / "two"
    for folder in folders:
        folder.mkdir()
    run(PROGRAM, folders[0], "none", 2, "first", KERAS_BACKEND="jax")
    run(
        PROGRAM,
        folders[1],
        "data_parallel",
        1,
        "first",
        KERAS_BACKEND="jax",
        XLA_FLAGS="--xla_force_host_platform_device_count=2",
    )
    one, two = (read(folder, "first") for folder in folders)
    kept = json.loads((folders[1] / "first.json").read_text())
    assert kept["devices"] == 2
    np.testing.assert_allclose(two, one, rtol=1e-5)


@pytest.mark.parametrize(
    "name, message",
    [
        ("mpi", "`strategy` is .*'mpi'"),
        ("ddp", "it started none: torchrun --nproc-per-node 2"),
        ("data_parallel", "is one of JAX, and this is torch"),
    ],
)
@pytest.mark.skipif(BACKEND != "torch", reason="other words")
def test_strategies_that_do_not_run_here(name, message):
    with pytest.raises(ValueError, match=message), together(name):
        pass
