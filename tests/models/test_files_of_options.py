"""A `.keras` file with each option, made on torch, on the other backends."""

import dataclasses
import importlib.util
import os
import subprocess
import sys

import keras
import numpy as np
import pytest

import keras_hamiltonian as kh

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        keras.config.backend() != "torch", reason="once, from files of torch"
    ),
]
TINY = {
    "irreps": "4x0e + 3x1o + 2x2e",
    "num_groups": 1,
    "num_gaussians": 8,
    "radial_units": (8,),
}
SYMMETRIC = kh.models.EquivariantTransformerStage
SECOND = {
    "channels": 4,
    "hidden": 4,
    "num_blocks": 1,
    "irreps": "4x0e + 4x1o + 4x2e",
    "num_heads": 2,
    "num_gaussians": 8,
}
# Material, options of the first stage, options of a second one: all options
# in two files, because other backends compile for a minute each.
CASES = {
    "corrections": ("bismuthene", {"initial": "correct"}, None),
    "features": (
        "graphene",
        {"tracegrad": "both", "initial": "both"},
        {**SECOND, "tracegrad": "both"},
    ),
}
PREDICT = """
import pathlib, sys
import numpy as np
import keras_hamiltonian as kh

for file in pathlib.Path(sys.argv[1]).glob("*.keras"):
    inputs = dict(np.load(file.with_suffix(".npz")))
    outputs = kh.load_model(file).predict_on_batch(inputs)
    outputs = {name: np.asarray(x) for name, x in outputs.items()}
    np.savez(pathlib.Path(sys.argv[2], file.stem + ".npz"), **outputs)
"""


def model_of(case, cell):
    _, first, second = CASES[case]
    stage = kh.models.EquivariantStage(
        cell.basis.to_dict(),
        kh.physics.estimate_reaches([cell]),
        spin=cell.spin,
        **{**TINY, **first},
    )
    stage.adapt(kh.HamiltonianDataset([cell], initial=stage.takes_initial))
    model = stage
    if second is not None:
        refinement = SYMMETRIC.for_stage(stage, **second)
        model = kh.models.HamiltonianCascade(stage, refinement)
    random = np.random.default_rng(0)
    for weight in model.weights:
        if weight.trainable:
            noise = 0.2 * random.normal(size=weight.shape)
            weight.assign(keras.ops.convert_to_numpy(weight) + noise)
    return model


@pytest.fixture(scope="module")
def files(data_folder, tmp_path_factory):
    """A folder of files, each with its inputs, and outputs by case."""
    folder = tmp_path_factory.mktemp("options")
    outputs = {}
    for case, (material, *_) in CASES.items():
        cell = kh.HamiltonianStore(data_folder / f"reference_{material}.h5")[0]
        # Atoms alone do not explain it, or features would be rounding errors.
        h0 = cell.hamiltonian
        noise = np.random.default_rng(1).normal(size=h0.entries.shape)
        h0 = h0.with_entries(h0.entries + 0.1 * noise).symmetrized()
        cell = dataclasses.replace(cell, initial_hamiltonian=h0)
        model = model_of(case, cell)
        model.save(folder / f"{case}.keras")
        inputs = kh.HamiltonianDataset([cell], initial=True)[0][0]
        inputs = {name: inputs[name] for name in model.input}
        np.savez(folder / f"{case}.npz", **inputs)
        outputs[case] = model.predict_on_batch(inputs)
    return folder, outputs


@pytest.mark.parametrize("backend", ["jax", "tensorflow"])
def test_loaded_elsewhere(files, backend, tmp_path):
    if importlib.util.find_spec(backend) is None:
        pytest.skip(f"{backend} is not installed")
    folder, outputs = files
    done = subprocess.run(
        [sys.executable, "-c", PREDICT, str(folder), str(tmp_path)],
        env={**os.environ, "KERAS_BACKEND": backend},
        capture_output=True,
        text=True,
        timeout=900,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    for case, expected in outputs.items():
        found = np.load(tmp_path / f"{case}.npz")
        for name, x in expected.items():
            x = np.asarray(x)
            error = np.abs(found[name] - x).max() / np.abs(x).max()
            assert error < 1e-5, (case, name, error)
