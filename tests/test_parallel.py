"""Results depend neither on where they were computed nor on dead workers."""

import contextvars
import math
import os
import signal
import sys
import time

import numpy as np
import pytest
from small_stages import small_stage
from typer.testing import CliRunner

import keras_hamiltonian as kh
from data_tools.formats import read_calculation
from keras_hamiltonian.cli import app
from keras_hamiltonian.parallel import cluster
from keras_hamiltonian.parallel import ordered_map

pytest.importorskip("distributed")
pytestmark = pytest.mark.slow

GRAPHENE = "recipes/data/graphene.h5"
TASKS = """
import os, sys, time

def is_loaded(name):
    return name in sys.modules

def variable(name):
    return os.environ.get(name)

def square(number, delay):
    time.sleep(delay)
    return number**2, os.getpid()
"""


@pytest.fixture(scope="module")
def tasks(tmp_path_factory):
    """A module that workers can import, as they import the package."""
    folder = tmp_path_factory.mktemp("tasks")
    (folder / "tasks_of_a_test.py").write_text(TASKS)
    paths = [str(folder), os.environ.get("PYTHONPATH", "")]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", os.pathsep.join(filter(None, paths)))
        patch.syspath_prepend(folder)
        import tasks_of_a_test

        yield tasks_of_a_test


@pytest.fixture(scope="module")
def two_workers(tasks):
    with cluster("local:2") as client:
        yield client


def test_the_order_is_kept(tasks, two_workers):
    found = list(ordered_map(tasks.square, range(20), 0.01))
    assert [square for square, _ in found] == [n**2 for n in range(20)]
    pids = {pid for _, pid in found}
    assert 1 <= len(pids) <= 2 and os.getpid() not in pids


def test_items_are_read_a_few_ahead(tasks, two_workers):
    given = iter(range(40))
    results = ordered_map(tasks.square, given, 0.0)
    assert next(results)[0] == 0
    assert 3 <= next(given) <= 4
    results.close()


def test_a_worker_that_is_killed_costs_no_result(tasks, two_workers):
    results = ordered_map(tasks.square, range(12), 0.3)
    first, pid = next(results)
    os.kill(pid, signal.SIGKILL)
    squares = [first, *(square for square, _ in results)]
    assert squares == [n**2 for n in range(12)]


def test_processes_of_workers(tasks, two_workers):
    """One thread, and memory that is freed is kept for the next array."""
    for name, value in (
        ("OMP_NUM_THREADS", "1"),
        ("OPENBLAS_NUM_THREADS", "1"),
        ("MALLOC_TRIM_THRESHOLD_", str(2**26)),
        ("MALLOC_MMAP_THRESHOLD_", str(2**25)),
    ):
        found = two_workers.run(tasks.variable, name)
        assert list(found.values()) == [value] * 2
    assert "DASK_DISTRIBUTED__NANNY__PRE_SPAWN_ENVIRON" not in os.environ


def test_workers_import_a_module_at_once(tasks):
    """Before anything is asked of them."""
    with cluster("local:2", module="colorsys") as client:
        for _ in range(100):
            found = client.run(tasks.is_loaded, "colorsys")
            if all(found.values()):
                break
            time.sleep(0.1)
        assert list(found.values()) == [True, True]
        assert not any(client.run(tasks.is_loaded, "sndhdr").values())


def test_without_dask_a_dead_worker_is_an_error():
    with pytest.raises(ValueError, match="worker died"):
        list(ordered_map(os._exit, [1, 1], workers=2))


def test_errors_of_a_function_come_through(two_workers):
    with pytest.raises(ValueError, match="nonnegative|math domain"):
        list(ordered_map(math.sqrt, [1.0, -1.0]))


def here(function, *arguments, **options):
    """In this process, beside the cluster."""
    return contextvars.Context().run(function, *arguments, **options)


def test_evaluation_is_the_same(two_workers):
    """Bit for bit."""
    store = kh.HamiltonianStore(GRAPHENE)
    names = list(store.names)[:3]
    stage = small_stage(store)
    there = kh.evaluate(stage, store, names=names)
    assert there == here(kh.evaluate, stage, store, names=names)
    assert [s["name"] for s in there["errors"]["structures"]] == names


def test_predictions_are_the_same(two_workers, tmp_path):
    small_stage(kh.HamiltonianStore(GRAPHENE)).save(tmp_path / "m.keras")
    words = ["predict", str(tmp_path / "m.keras"), GRAPHENE, "--format", "npz"]
    words += ["--name", "050", "--name", "051", "--output"]
    there = CliRunner().invoke(app, [*words, str(tmp_path / "there")])
    assert there.exit_code == 0, there.output
    assert there.output.index("050, C18") < there.output.index("051, C18")
    alone = here(CliRunner().invoke, app, [*words, str(tmp_path / "here")])
    assert alone.output.count("\n") == there.output.count("\n")
    for name in ("050", "051"):
        found, known = (
            read_calculation(tmp_path / place / f"{name}.npz")
            for place in ("there", "here")
        )
        assert found.hamiltonian == known.hamiltonian


def test_bands_are_the_same(two_workers):
    crystal = kh.ElectronicStructure(kh.HamiltonianStore(GRAPHENE)["050"])
    there = crystal.bands("GK", num_points=6)
    alone = here(crystal.bands, "GK", num_points=6)
    np.testing.assert_allclose(there.energies, alone.energies, atol=1e-10)


def test_conversion_is_the_same(two_workers, tmp_path):
    found = CliRunner().invoke(
        app, ["convert", GRAPHENE, str(tmp_path / "there.h5")]
    )
    assert found.exit_code == 0, found.output
    store = kh.HamiltonianStore(GRAPHENE)
    there = kh.HamiltonianStore(tmp_path / "there.h5")
    assert list(there.names) == list(store.names)
    for name in there.names:
        assert np.array_equal(
            there[name].hamiltonian.entries, store[name].hamiltonian.entries
        )


def test_a_task_that_kills_workers_ends_with_an_error(two_workers):
    with pytest.raises(ValueError, match="worker died"):
        list(ordered_map(os._exit, [1]))


def test_commands_refuse_what_is_no_cluster(tmp_path):
    result = CliRunner().invoke(
        app,
        ["convert", GRAPHENE, str(tmp_path / "x.h5"), "--cluster", "nowhere"],
    )
    assert result.exit_code != 0
    assert "No Dask scheduler" in result.output
    both = ["dos", GRAPHENE, "--workers", "2", "--cluster", "local:2"]
    result = CliRunner().invoke(app, both)
    assert "--workers" in result.output and result.exit_code == 2


def test_without_distributed(monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(ValueError, match="keras-hamiltonian.cluster"):
        with cluster("local:2"):
            pass
