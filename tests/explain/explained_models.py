"""Small models with random weights, float64, and small structures."""

import importlib.util
import random

import ase
import keras
import numpy as np
import pytest

import keras_hamiltonian as kh

# Without importing it: TensorFlow stands no other backend's company.
on_tensorflow = pytest.mark.skipif(
    keras.config.backend() != "tensorflow"
    or importlib.util.find_spec("tf_keras_vis") is None,
    reason="tf-keras-vis works on TensorFlow alone",
)
REACHES = {"C": 1.35, "N": 1.3}
BASIS = {"C": "1s 1p", "N": "1s 1p"}


def small_stage(spin="none", **options):
    """A first stage that sees neighbours up to 2.7 Å."""
    # Seeds of initializers come from there; fixtures come before `seed`.
    random.seed(0)
    arguments = {
        "irreps": "4x0e + 3x1o + 2x2e",
        "num_groups": 2,
        "num_gaussians": 8,
        "radial_units": (8,),
        "projectors": "1s 1p",
        "dtype": "float64",
        **options,
    }
    stage = kh.models.EquivariantStage(BASIS, REACHES, spin=spin, **arguments)
    return randomized(stage)


def small_cascade(scale=0.2):
    """A first stage and a symmetric second one; no correction at scale 0."""
    stage = small_stage(irreps="4x0e + 3x1o + 2x2e")
    refinement = kh.models.EquivariantTransformerStage.for_stage(
        stage,
        channels=4,
        hidden=6,
        irreps="4x0e + 2x1o + 2x2e",
        num_heads=2,
        num_blocks=1,
        num_gaussians=8,
        dtype="float64",
    )
    cascade = kh.models.HamiltonianCascade(stage, randomized(refinement, scale))
    cascade.run_eagerly = True
    return cascade


def randomized(model, scale=0.2):
    """Weights that are not those of the start, where much is zero."""
    generator = np.random.default_rng(0)
    for weight in model.trainable_weights:
        noise = scale * generator.normal(size=weight.shape)
        weight.assign(keras.ops.convert_to_numpy(weight) + noise)
    # Not compiled for each new structure.
    model.run_eagerly = True
    return model


def chain(count, symbols="C"):
    """A slightly bent chain: each atom reaches its two neighbours alone."""
    steps = np.arange(count)
    positions = np.stack(
        [1.4 * steps, 0.2 * (steps % 2), 0.1 * (steps % 3)], axis=1
    )
    return ase.Atoms(symbols * count, positions)


def ring():
    """A periodic chain of two atoms a cell."""
    positions = [[0, 0, 0], [1.4, 0.3, 0.1]]
    return ase.Atoms(
        "CN", positions, cell=[2.8, 10, 10], pbc=[True, False, False]
    )


def cluster():
    """Five atoms of two elements without any symmetry."""
    positions = [[0, 0, 0], [1.3, 0.2, 0], [0.4, 1.5, 0.6], [2, 1.7, -0.9]]
    return ase.Atoms("CNCNC", [*positions, [1.1, 0.8, 1.9]])
