"""Stage one beside networks and formats that exist.

    OMP_NUM_THREADS=1 OMP_WAIT_POLICY=PASSIVE \\
        pytest tests/benchmarks --benchmark-only -s

Peer and ours alternating in one run, one thread, CPU seconds; nothing fails
because of a time. The peers are `deeph_e3_like.py` and one HDF5 data set per
block, as DeepH's folders have it. The product alone: `test_operations.py`.
"""

import json
import os
import pathlib
import subprocess
import sys

import h5py
import keras
import numpy as np
import pytest
from alternating import alternate

from keras_hamiltonian.conventions import BOHR_IN_ANGSTROM
from keras_hamiltonian.data.dataset import HamiltonianDataset
from keras_hamiltonian.data.store import HamiltonianStore
from keras_hamiltonian.losses.block_errors import BlockMeanAbsoluteError
from keras_hamiltonian.models.equivariant_stage import HIDDEN_IRREPS
from keras_hamiltonian.models.equivariant_stage import EquivariantStage
from keras_hamiltonian.orbitals.coupling import BlockCoupling

pytestmark = pytest.mark.skipif(
    keras.config.backend() != "torch", reason="the peers are torch programs"
)
CARBON = {"C": "2s 2p 1d"}
REACHES = {"C": 6 * BOHR_IN_ANGSTROM}


@pytest.fixture
def torch():
    torch = pytest.importorskip("torch")
    pytest.importorskip("e3nn")
    torch.set_num_threads(1)
    torch.manual_seed(0)
    return torch


class Again(keras.utils.PyDataset):
    """One batch, once per epoch."""

    def __init__(self, batch):
        super().__init__()
        self.batch = batch

    def __len__(self):
        return 1

    def __getitem__(self, position):
        return self.batch


def edge_list(torch, inputs):
    """Edges with self-edges, as DeepH-E3's graph has them."""
    real = inputs["edge_mask"] > 0
    number = len(inputs["species"])
    own = np.arange(number)
    first = np.broadcast_to(own[:, None], real.shape)[real]
    second = inputs["neighbors"][real]
    vectors = inputs["edge_vectors"][real][:, [1, 2, 0]]
    return (
        torch.tensor(inputs["species"]).long(),
        torch.tensor(np.concatenate([own, first])).long(),
        torch.tensor(np.concatenate([own, second])).long(),
        torch.tensor(np.concatenate([np.zeros((number, 3)), vectors])).float(),
    )


def test_training_step(benchmark, torch, data_folder):
    """18 atoms of graphene, 828 blocks, DeepH-E3's default irreps."""
    from deeph_e3_like import DeepHE3Like
    from e3nn import o3

    store = HamiltonianStore(data_folder / "graphene.h5")
    dataset = HamiltonianDataset(store, store.names[:2])
    batch = dataset[0]
    model = EquivariantStage(CARBON, REACHES)
    model.adapt(dataset)
    loss = {k: BlockMeanAbsoluteError() for k in ("onsite", "hopping")}
    model.compile(keras.optimizers.Adam(1e-3), loss=loss, jit_compile=False)
    model.fit(Again(batch), verbose=0)
    batch = keras.tree.map_structure(keras.ops.convert_to_tensor, batch)

    coupling = BlockCoupling((0, 0, 1, 1, 2))
    irreps = o3.Irreps(str(coupling.irreps))
    peer = DeepHE3Like(irreps, 1, 7.2, HIDDEN_IRREPS)
    optimizer = torch.optim.Adam(peer.parameters(), 2e-3)
    inputs, targets, _ = dataset[0]
    graph = edge_list(torch, inputs)
    blocks = [targets["onsite"], targets["hopping"][inputs["edge_mask"] > 0]]
    labels = torch.tensor(
        coupling.to_irreps(np.concatenate(blocks)), dtype=torch.float32
    )

    def peer_step():
        optimizer.zero_grad()
        ((peer(*graph) - labels) ** 2).mean().backward()
        optimizer.step()

    sizes = sum(p.numel() for p in peer.parameters())
    print(f"\nweights: ours {model.count_params()}, peer {sizes}")
    alternate(
        benchmark,
        "training step, 18 atoms, 828 blocks",
        ours=lambda: model.train_step(batch),
        deeph_e3_like=peer_step,
    )


INFERENCE = {
    "imports": """
import json, sys, time
import numpy as np, torch
from e3nn import o3
import keras
from keras_hamiltonian.models.equivariant_stage import *
sys.path.insert(0, sys.argv[2])
from deeph_e3_like import DeepHE3Like
torch.set_num_threads(1)
inputs = dict(np.load(sys.argv[1]))
""",
    "ours": """
model = EquivariantStage({"C": "2s 2p 1d"}, {"C": float(sys.argv[3])})
def run():
    return model.predict_on_batch(inputs)
""",
    "deeph_e3_like": """
irreps = o3.Irreps("9x0e+5x1e+12x1o+9x2e+4x2o+1x3e+4x3o+1x4e")
model = DeepHE3Like(irreps, 1, 7.2, HIDDEN_IRREPS)
real = inputs["edge_mask"] > 0
own = np.arange(len(inputs["species"]))
first = np.broadcast_to(own[:, None], real.shape)[real]
second = inputs["neighbors"][real]
vectors = inputs["edge_vectors"][real][:, [1, 2, 0]]
vectors = np.concatenate([np.zeros((len(own), 3)), vectors])
graph = (
    torch.tensor(inputs["species"]).long(),
    torch.tensor(np.concatenate([own, first])).long(),
    torch.tensor(np.concatenate([own, second])).long(),
    torch.tensor(vectors).float(),
)
def run():
    with torch.no_grad():
        return model(*graph)
""",
    "end": """
def memory(field):
    # Not `getrusage`: its peak includes the process that started this one.
    with open("/proc/self/status") as status:
        return next(int(x.split()[1]) for x in status if x.startswith(field))
with open("/proc/self/clear_refs", "w") as file:
    file.write("5")  # the peak starts anew
before = memory("VmRSS")
seconds = []
for _ in range(2):
    start = time.process_time()
    run()
    seconds.append(time.process_time() - start)
after = memory("VmHWM")
print(json.dumps({"seconds": seconds[-1], "megabytes": (after - before) / 1e3}))
""",
}


def test_inference(benchmark, torch, data_folder, tmp_path):
    """288 atoms of graphene: CPU seconds, peak memory over the start."""
    from keras_hamiltonian.data.batch import batch_inputs
    from keras_hamiltonian.structures.neighbors import neighbor_table
    from keras_hamiltonian.structures.neighbors import pairs_within

    store = HamiltonianStore(data_folder / "graphene.h5")
    atoms = store["000"].atoms.repeat((4, 4, 1))
    table = neighbor_table(atoms, pairs_within(atoms, REACHES))
    inputs = batch_inputs([atoms], [table], store.basis)
    np.savez(tmp_path / "inputs.npz", **inputs)
    arguments = [
        tmp_path / "inputs.npz",
        pathlib.Path(__file__).parent,
        REACHES["C"],
    ]
    found = {"ours": [], "deeph_e3_like": []}

    def one_round():
        for name in found:
            program = INFERENCE["imports"] + INFERENCE[name] + INFERENCE["end"]
            done = subprocess.run(
                [sys.executable, "-c", program, *map(str, arguments)],
                env={**os.environ, "KERAS_BACKEND": "torch"},
                capture_output=True,
                text=True,
                check=True,
            )
            found[name].append(json.loads(done.stdout.splitlines()[-1]))

    benchmark.pedantic(one_round, rounds=2)
    edges = int(inputs["edge_mask"].sum())
    print(f"\ninference, {len(atoms)} atoms, {edges} hopping blocks")
    for name, results in found.items():
        seconds = min(r["seconds"] for r in results)
        memory = max(r["megabytes"] for r in results)
        benchmark.extra_info[name] = [seconds, memory]
        print(f"  {name:24s} {seconds:8.3f} CPU s  {memory:8.0f} MB")


def test_reading_a_structure(benchmark, data_folder, tmp_path):
    """H of 18 atoms: from the store, and from one data set per block."""
    store = HamiltonianStore(data_folder / "graphene.h5")
    plain = HamiltonianStore.write(tmp_path / "plain.h5", [store["000"]])
    matrix = store["000"].hamiltonian
    with h5py.File(tmp_path / "hamiltonians.h5", "w") as file:
        for pair, block in zip(matrix.atom_pairs.tolist(), matrix.blocks()):
            file[str(pair)] = block

    def one_data_set_per_block():
        with h5py.File(tmp_path / "hamiltonians.h5") as file:
            return {key: file[key][()] for key in file}

    alternate(
        benchmark,
        "reading 828 blocks",
        rounds=9,
        store_compressed=lambda: store["000"],
        store=lambda: plain["000"],
        data_set_per_block=one_data_set_per_block,
    )
