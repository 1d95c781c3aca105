"""A training of seconds on crystals of s orbitals."""

from small_crystals import crystal

import keras_hamiltonian as kh

TINY = {
    "steps": 12,
    "first_share": 0.5,
    "warmup_steps": 2,
    "validation_freq": 1,
    "checkpoint_freq": 1,
    "first_options": {
        "irreps": "4x0e + 2x1o + 2x2e",
        "num_groups": 1,
        "num_gaussians": 4,
        "radial_units": [4],
        "projectors": "",
    },
    "second_options": {
        "channels": 4,
        "hidden": 4,
        "num_blocks": 1,
        "irreps": "4x0e + 2x1o",
    },
}


def small_set(path, number=3):
    """A container of chains whose bonds differ."""
    lengths = [1.1 + 0.05 * k for k in range(number)]
    crystals = [
        crystal(positions=((0.1, 1, 1), (0.1 + d, 1, 1)), name=f"{k:03}")
        for k, d in enumerate(lengths)
    ]
    return kh.HamiltonianStore.write(path, crystals)
