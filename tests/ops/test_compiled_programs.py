"""Programs of JAX are kept in the user's cache folder."""

import keras
import pytest

from keras_hamiltonian.ops.backend.compiled_programs import (
    keep_compiled_programs,
)

NAMES = (
    "jax_compilation_cache_dir",
    "jax_compilation_cache_max_size",
    "jax_persistent_cache_min_compile_time_secs",
)

pytestmark = pytest.mark.skipif(
    keras.config.backend() != "jax", reason="JAX's own cache"
)


@pytest.fixture
def config(monkeypatch):
    """That of JAX, without a folder that was chosen."""
    import jax

    before = {name: getattr(jax.config, name) for name in NAMES}
    monkeypatch.delenv("JAX_COMPILATION_CACHE_DIR", raising=False)
    jax.config.update(NAMES[0], None)
    yield jax.config
    for name, value in before.items():
        jax.config.update(name, value)


def test_the_cache_folder(config, monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    keep_compiled_programs()
    assert config.jax_compilation_cache_dir == str(
        tmp_path / "keras_hamiltonian" / "jax"
    )
    assert 0 < config.jax_compilation_cache_max_size <= 1e9


def test_a_choice_stays(config, monkeypatch, tmp_path):
    monkeypatch.setenv("JAX_COMPILATION_CACHE_DIR", "")
    keep_compiled_programs()
    assert config.jax_compilation_cache_dir is None
    monkeypatch.delenv("JAX_COMPILATION_CACHE_DIR")
    config.update("jax_compilation_cache_dir", str(tmp_path))
    keep_compiled_programs()
    assert config.jax_compilation_cache_dir == str(tmp_path)


def test_a_home_that_cannot_be_written(config, monkeypatch, tmp_path):
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    keep_compiled_programs()
    assert config.jax_compilation_cache_dir is None
