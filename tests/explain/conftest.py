"""Models of double precision, each made once."""

import contextlib

import keras
import pytest
from explained_models import small_cascade
from explained_models import small_stage


@contextlib.contextmanager
def float64():
    default = keras.config.floatx()
    keras.config.set_floatx("float64")
    yield
    keras.config.set_floatx(default)


@pytest.fixture
def double_precision():
    with float64():
        yield


@pytest.fixture(scope="session")
def one_stage():
    with float64():
        return small_stage()


@pytest.fixture(scope="session")
def two_stages():
    with float64():
        return small_cascade()
