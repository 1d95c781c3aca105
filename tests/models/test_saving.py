"""Training, and a `.keras` file in other processes and on other backends."""

import importlib.util
import json
import os
import subprocess
import sys

import keras
import numpy as np
import pytest
from small_stages import ATTENTION

from keras_hamiltonian.conventions import BOHR_IN_ANGSTROM
from keras_hamiltonian.data.dataset import HamiltonianDataset
from keras_hamiltonian.data.store import HamiltonianStore
from keras_hamiltonian.losses.block_errors import BlockMeanAbsoluteError
from keras_hamiltonian.losses.trace_loss import TraceLoss
from keras_hamiltonian.models.equivariant_stage import EquivariantStage

REACHES = {"C": 6 * BOHR_IN_ANGSTROM}
EPOCHS = 8
PREDICT = """
import sys
import numpy as np
from keras_hamiltonian.models.loading import load_model

inputs = dict(np.load(sys.argv[2]))
outputs = load_model(sys.argv[1]).predict_on_batch(inputs)
np.savez(sys.argv[3], **{k: np.asarray(x) for k, x in outputs.items()})
"""


# Each backend but torch compiles every model anew.
INTERACTIONS = [None, ATTENTION][: 1 + (keras.config.backend() == "torch")]


@pytest.fixture(scope="module", params=INTERACTIONS, ids=str)
def trained(request, data_folder, tmp_path_factory):
    """A model after a few steps of training, its file and predictions."""
    folder = tmp_path_factory.mktemp("model")
    store = HamiltonianStore(data_folder / "reference_graphene.h5")
    model = EquivariantStage(
        store.basis.to_dict(),
        REACHES,
        irreps="4x0e + 3x1o + 2x2e",
        num_groups=2 if request.param else 1,
        num_gaussians=8,
        radial_units=(8,),
        tracegrad="both",
        interaction=request.param,
        dropout=0.05,
        edge_dropout=0.05,
    )
    # Buckets leave padding to carry along.
    dataset = HamiltonianDataset(store, atom_bucket=4, neighbor_bucket=8)
    model.adapt(dataset)
    loss = {k: BlockMeanAbsoluteError() for k in ("onsite", "hopping")}
    # Without compilation JAX would run operation by operation.
    is_jax = keras.config.backend() == "jax"
    traces = TraceLoss(model.basis.table_shells, BlockMeanAbsoluteError())
    model.compile(
        keras.optimizers.Adam(1e-2),
        loss,
        joint_losses=[traces],
        jit_compile=is_jax,
    )
    history = model.fit(dataset, epochs=EPOCHS, verbose=0).history
    inputs = dataset[0][0]
    np.savez(folder / "inputs.npz", **inputs)
    model.save(folder / "model.keras")
    outputs = model.predict_on_batch(inputs)
    outputs = {k: np.asarray(x) for k, x in outputs.items()}
    return folder, outputs, history["loss"]


def predict_with(backend, folder):
    target = folder / f"{backend}.npz"
    files = [folder / "model.keras", folder / "inputs.npz", target]
    done = subprocess.run(
        [sys.executable, "-c", PREDICT, *map(str, files)],
        env={**os.environ, "KERAS_BACKEND": backend},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return dict(np.load(target))


def test_training_lowers_the_loss(trained):
    losses = trained[2]
    assert np.isfinite(losses).all()
    assert losses[-1] < 0.8 * losses[0]


@pytest.mark.slow
def test_loaded_in_a_fresh_process(trained):
    folder, expected, _ = trained
    found = predict_with(keras.config.backend(), folder)
    for name, x in expected.items():
        # A compiler may choose another order of sums in another process.
        atol = 0 if keras.config.backend() == "torch" else 1e-6
        np.testing.assert_allclose(
            found[name], x, rtol=0, atol=atol * np.abs(x).max()
        )


@pytest.mark.slow
@pytest.mark.skipif(
    keras.config.backend() != "torch", reason="once, from a file of torch"
)
@pytest.mark.parametrize("backend", ["jax", "tensorflow"])
def test_loaded_on_another_backend(trained, backend):
    if importlib.util.find_spec(backend) is None:
        pytest.skip(f"{backend} is not installed")
    folder, expected, _ = trained
    found = predict_with(backend, folder)
    for name, x in expected.items():
        error = np.abs(found[name] - x).max() / np.abs(x).max()
        assert error < 1e-5, (name, error)


def test_training_goes_on_after_loading(trained, data_folder):
    folder = trained[0]
    model = keras.models.load_model(folder / "model.keras")
    assert int(model.optimizer.iterations) == EPOCHS
    store = HamiltonianStore(data_folder / "reference_graphene.h5")
    dataset = HamiltonianDataset(store, atom_bucket=4, neighbor_bucket=8)
    history = model.fit(dataset, epochs=1, verbose=0).history
    assert np.isfinite(history["loss"][0])
    assert int(model.optimizer.iterations) == EPOCHS + 1


def test_file_says_what_it_is(trained):
    config = keras.models.load_model(trained[0] / "model.keras").get_config()
    assert config["basis"] == {"C": "2s 2p 1d"}
    assert config["reaches"] == pytest.approx(REACHES)
    json.dumps(config)
