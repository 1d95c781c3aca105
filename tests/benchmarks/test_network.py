"""Stage one beside networks and formats that exist.

    OMP_NUM_THREADS=1 OMP_WAIT_POLICY=PASSIVE \\
        pytest tests/benchmarks --benchmark-only -s

Peer and ours by turns in one run, one thread, CPU seconds; nothing fails
because of a time. The peers are `deeph_e3_like.py`, e3nn's fully connected
tensor product, and one HDF5 data set per block, as DeepH's folders have it.
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
from keras_hamiltonian.irreps import Irreps
from keras_hamiltonian.irreps.bond import bond_channels
from keras_hamiltonian.layers import BondEnds
from keras_hamiltonian.layers import BondGeometry
from keras_hamiltonian.layers import MessageSum
from keras_hamiltonian.layers import SO2Linear
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
    """Bonds with self-bonds, as DeepH-E3's graph has them."""
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
    from keras_hamiltonian.data.dataset import batch_inputs
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


@pytest.mark.parametrize("num_edges", [800, 5000])
@pytest.mark.parametrize("backward", [False, True], ids=["forward", "both"])
def test_convolution(benchmark, torch, num_edges, backward):
    """The product alone: [n_i | n_j | e_ij] with the direction of the bond."""
    from deeph_e3_like import sort_order
    from e3nn import o3

    irreps = Irreps(HIDDEN_IRREPS)
    num_neighbors = 40
    num_atoms = num_edges // num_neighbors
    random = np.random.default_rng(0)
    shape = (num_atoms, num_neighbors)
    # Atoms on a ring: reverse bonds by construction.
    step = np.arange(1, num_neighbors // 2 + 1)
    offsets = np.stack([step, -step], axis=1).ravel()
    neighbors = (np.arange(num_atoms)[:, None] + offsets) % num_atoms
    reverse = neighbors * num_neighbors + (np.arange(num_neighbors) ^ 1)
    vectors = random.normal(size=(*shape, 3))
    flat = vectors.reshape(-1, 3)
    later = reverse.ravel() < np.arange(num_edges)
    flat[later] = -flat[reverse.ravel()[later]]

    channels = dict(bond_channels(irreps))
    ends, total = BondEnds(irreps), MessageSum(irreps)
    linear = SO2Linear([channels] * 3, channels)
    wigner = BondGeometry(4)(torch.tensor(flat.reshape(*shape, 3)).float())
    wigner = [w.detach() for w in wigner["wigner"]]
    weighted = [torch.ones(*shape, 1, 1), *wigner]
    atoms = torch.randn(num_atoms, irreps.dim, requires_grad=backward)
    bonds = {
        k: torch.randn(*shape, 1 if "0" in k else 2, n, requires_grad=backward)
        for k, n in channels.items()
    }
    reverse_edge = torch.tensor(reverse)

    def ours():
        seen = ends(atoms, wigner, reverse_edge)
        mixed = linear([seen["center"], seen["neighbor"], bonds])
        result = total(mixed, weighted)
        if backward:
            result.sum().backward()

    hidden = o3.Irreps(HIDDEN_IRREPS)
    sorted_irreps, order = sort_order(3 * hidden)
    product = o3.FullyConnectedTensorProduct(
        sorted_irreps, o3.Irreps.spherical_harmonics(4), hidden
    )
    harmonics = o3.spherical_harmonics(
        list(range(5)), torch.tensor(flat[:, [1, 2, 0]]).float(), True
    )
    first = torch.arange(num_atoms).repeat_interleave(num_neighbors)
    second = torch.tensor(neighbors.ravel())
    edges = torch.randn(num_edges, hidden.dim, requires_grad=backward)

    def peer():
        x = torch.cat([atoms[first], atoms[second], edges], dim=1)
        messages = product(x[:, order], harmonics)
        sums = torch.zeros(num_atoms, hidden.dim)
        result = sums.index_add(0, first, messages)
        if backward:
            result.sum().backward()

    with torch.set_grad_enabled(backward):
        alternate(
            benchmark,
            f"convolution, {num_edges} bonds, "
            f"{'forward and backward' if backward else 'forward'}",
            rounds=3,
            ours=ours,
            e3nn=peer,
        )


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
