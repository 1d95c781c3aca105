"""What JAX has compiled, kept for the next run."""

import os
import pathlib

# Bytes; what was not used for longest goes first.
LARGEST = 10**9
# Programs that compile in less time, seconds, are not kept.
SHORTEST = 0.5


def keep_compiled_programs():
    """Lets JAX keep its programs in the user's cache folder.

    A training step compiles for a minute in the first run, and is read in the
    next. Where a folder is chosen already, `JAX_COMPILATION_CACHE_DIR`, nothing
    changes; an empty one turns it off.
    """
    import jax

    is_chosen = jax.config.jax_compilation_cache_dir is not None
    if is_chosen or "JAX_COMPILATION_CACHE_DIR" in os.environ:
        return
    home = os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache"
    folder = pathlib.Path(home) / "keras_hamiltonian" / "jax"
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        # A home that cannot be written: as without a cache.
        return
    for name, value in (
        ("jax_compilation_cache_dir", str(folder)),
        ("jax_compilation_cache_max_size", LARGEST),
        ("jax_persistent_cache_min_compile_time_secs", SHORTEST),
    ):
        jax.config.update(name, value)
