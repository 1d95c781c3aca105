"""One backend per run, chosen by KERAS_BACKEND; everything on one thread."""

import os
import pathlib
import random

# Before keras or a backend is imported.
os.environ.setdefault("KERAS_BACKEND", "torch")
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
# Without it JAX computes float64 in float32.
os.environ.setdefault("JAX_ENABLE_X64", "1")

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


@pytest.fixture
def o3():
    """e3nn's group theory in float64: the oracle of the tests."""
    if BACKEND == "tensorflow":
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
