"""Ragged structures: how often a compiled backend compiles a training step."""

import contextlib
import logging

import keras
import pytest

from keras_hamiltonian.conventions import BOHR_IN_ANGSTROM
from keras_hamiltonian.data.dataset import HamiltonianDataset
from keras_hamiltonian.data.store import HamiltonianStore
from keras_hamiltonian.losses.block_errors import BlockMeanAbsoluteError
from keras_hamiltonian.models.equivariant_stage import EquivariantStage

BACKEND = keras.config.backend()
pytestmark = pytest.mark.skipif(
    BACKEND == "torch", reason="torch runs eagerly and compiles nothing"
)
FILES = "graphene", "bilayer_graphene", "bilayer_graphene_twisted"


class CountedStage(EquivariantStage):
    """`call` runs when a step is traced, not when it is executed."""

    num_traces = 0

    def call(self, *args, **kwargs):
        self.num_traces += 1
        return super().call(*args, **kwargs)


@contextlib.contextmanager
def compiled_steps(caplog):
    """List of training steps that JAX says it has compiled."""
    if BACKEND != "jax":
        yield None
        return
    import jax

    steps = []
    with jax.log_compiles(), caplog.at_level(logging.WARNING, "jax"):
        caplog.clear()
        yield steps
    messages = [record.getMessage() for record in caplog.records]
    steps += [
        m for m in messages if m.startswith("Finished XLA") and "_step" in m
    ]


def tiny_stage():
    stage = CountedStage(
        {"C": "2s 2p 1d"},
        {"C": 6 * BOHR_IN_ANGSTROM},
        irreps="4x0e + 2x1o + 2x2e",
        num_groups=1,
        num_gaussians=4,
        radial_units=(4,),
    )
    stage.compile(
        keras.optimizers.Adam(1e-3),
        {k: BlockMeanAbsoluteError() for k in ("onsite", "hopping")},
        jit_compile=BACKEND == "jax",
    )
    return stage


def test_compilations_of_an_epoch(data_folder, caplog, capsys):
    stores = [HamiltonianStore(data_folder / f"{name}.h5") for name in FILES]
    structures = [s[name] for s in stores for name in s.names[:8]]
    # 18, 16 and 28 atoms with 45, 46, 80, 81 and 82 neighbours.
    ragged = HamiltonianDataset(structures, atom_bucket=1, neighbor_bucket=1)
    shapes = {ragged[k][0]["neighbors"].shape for k in range(len(ragged))}
    buckets = {(-(-n // 8), -(-m // 32)) for n, m in shapes}
    assert len(buckets) < len(shapes)

    dataset = HamiltonianDataset(
        structures, shuffle=True, atom_bucket=8, neighbor_bucket=32
    )
    stage = tiny_stage()
    # Building the graph is a call, too.
    before = stage.num_traces
    with compiled_steps(caplog) as steps:
        stage.fit(dataset, verbose=0)
    traces = stage.num_traces - before
    with capsys.disabled():
        print(
            f"\n{BACKEND}: one epoch, {len(structures)} structures of "
            f"{len(shapes)} shapes in {len(buckets)} buckets: {traces} traces"
            + ("" if steps is None else f", {len(steps)} compilations")
        )
    # Keras traces once more to learn which losses there are.
    assert traces <= len(buckets) + 1
    assert steps is None or 1 <= len(steps) <= len(buckets)
    with compiled_steps(caplog) as steps:
        stage.fit(dataset, verbose=0)
    assert stage.num_traces - before == traces
    assert not steps


@pytest.mark.skipif(
    keras.config.backend() != "tensorflow", reason="TensorFlow infers shapes"
)
def test_first_two_batches_differ_in_size(data_folder):
    """Or else `fit` takes the sizes of the first ones for those of all."""
    store = HamiltonianStore(data_folder / "graphene.h5")
    dataset = HamiltonianDataset(
        store, names=store.names[:3], neighbor_bucket=16
    )
    first, second, third = (dataset[k][0]["neighbors"].shape for k in range(3))
    assert first == third
    assert first[0] != second[0] and first[1] != second[1]
    _, targets, weights = dataset[1]
    assert targets["hopping"].shape[:2] == second
    assert weights["onsite"].sum() + weights["hopping"].sum() == pytest.approx(
        1.0
    )
