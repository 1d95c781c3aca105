"""One backend per run, chosen by KERAS_BACKEND; everything on one thread."""

import importlib.util
import os
import pathlib
import random

# Before keras or a backend is imported.
os.environ.setdefault("KERAS_BACKEND", "torch")
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
# Without it JAX computes float64 in float32.
os.environ.setdefault("JAX_ENABLE_X64", "1")
# JAX compiles for minutes; the second run finds it done.
CACHE = pathlib.Path(__file__).parents[1] / ".pytest_cache" / "jax"
os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", str(CACHE))
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0")
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES", "-1")
# A third less of its compiling; the numbers are the same.
os.environ.setdefault("JAX_DISABLE_MOST_OPTIMIZATIONS", "1")

import ase  # noqa: E402
import numpy as np  # noqa: E402
import pytest  # noqa: E402

BACKEND = os.environ["KERAS_BACKEND"]
DATA = pathlib.Path(__file__).parents[1] / "recipes" / "data"


def pytest_report_header():
    return f"keras backend: {BACKEND}"


@pytest.fixture(autouse=True)
def seed():
    # Seeds of initializers come from `random`. Not
    # `keras.utils.set_random_seed`: it imports TensorFlow on every backend.
    random.seed(0)
    np.random.seed(0)


@pytest.fixture(scope="session")
def data_folder():
    return DATA


@pytest.fixture(scope="session")
def species_folder(tmp_path_factory):
    from openmx_data import find_species

    return find_species(tmp_path_factory)


@pytest.fixture
def cluster():
    """Inputs of five atoms of two elements, float64, lists with padding."""
    from keras_hamiltonian.structures.neighbors import neighbor_table
    from keras_hamiltonian.structures.neighbors import pairs_within

    positions = [[0, 0, 0], [1.3, 0.2, 0], [0.4, 1.5, 0.6], [2, 1.7, -0.9]]
    atoms = ase.Atoms("CNCNC", [*positions, [1.1, 0.8, 1.9]])
    pairs = pairs_within(atoms, {"C": 1.0, "N": 1.3})
    table = neighbor_table(atoms, pairs)
    assert not table.edge_mask.all()
    return {
        "species": np.array([0, 1, 0, 1, 0], "int32"),
        "structure": np.zeros(5, "int32"),
        "edge_vectors": table.edge_vectors,
        "edge_mask": table.edge_mask.astype(float),
        "neighbors": table.neighbors.astype("int32"),
        "reverse_edge": table.reverse_edge.astype("int32"),
    }


@pytest.fixture
def o3():
    """e3nn's group theory in float64: the oracle of the tests."""
    has_triton = importlib.util.find_spec("triton") is not None
    if BACKEND == "tensorflow" and has_triton:
        pytest.skip(
            "tensorflow and e3nn in one process abort where triton is "
            "installed (an LLVM option is registered twice)"
        )
    torch = pytest.importorskip("torch")
    default = torch.get_default_dtype()
    # e3nn makes its generators in the default float type.
    torch.set_default_dtype(torch.float64)
    yield pytest.importorskip("e3nn.o3")
    torch.set_default_dtype(default)


# === The command line, in an empty folder ===


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def command(folder):
    from typer.testing import CliRunner

    from keras_hamiltonian.cli import app

    def run(*words, code=0):
        result = CliRunner().invoke(app, [str(word) for word in words])
        assert result.exit_code == code, result.output
        assert "Traceback" not in result.output
        return result

    return run


@pytest.fixture(scope="session")
def untrained_file(data_folder, tmp_path_factory):
    """Baseline and overlap of graphene's primitive cell."""
    from small_stages import small_stage

    import keras_hamiltonian as kh

    store = kh.HamiltonianStore(data_folder / "reference_graphene.h5")
    path = tmp_path_factory.mktemp("model") / "model.keras"
    small_stage(store, 1).save(path)
    return path
