"""Settings of a training of two tiny stages."""

TINY = {
    "steps": 12,
    "first_share": 0.5,
    "warmup_steps": 2,
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
