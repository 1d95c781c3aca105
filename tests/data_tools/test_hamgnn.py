"""Graphs of HamGNN, against the OpenMX runs that they are made of."""

import dataclasses
import os
import pathlib
import zipfile

import numpy as np
import pytest
import scipy.linalg
from hamgnn_writer import graph_tensors
from hamgnn_writer import write_graphs
from printed_bands import DATA
from printed_bands import printed_bands

from data_tools.convert import convert
from data_tools.formats import find_sources
from data_tools.formats import read_calculation
from data_tools.hamgnn import read_hamgnn
from data_tools.openmx import read_scfout
from data_tools.spin_blocks import join_spins
from data_tools.spin_blocks import spin_part
from keras_hamiltonian.conventions import HARTREE_IN_EV
from keras_hamiltonian.data.store import HamiltonianStore
from keras_hamiltonian.physics.hamiltonian import BlochMatrices

# Written by torch_geometric 2.8 and torch 2.13.
GRAPHS = DATA / "hamgnn.npz"


@pytest.fixture(scope="module")
def graphene():
    return read_scfout(DATA / "graphene_prim.scfout.gz")


@pytest.fixture
def write(tmp_path):
    pytest.importorskip("torch")

    def write_file(*graphs):
        write_graphs(tmp_path / "graph_data.npz", graphs)
        return tmp_path / "graph_data.npz"

    return write_file


def assert_same(found, expected, tolerance=1e-5):
    for pair, block in zip(found.index, found.blocks()):
        np.testing.assert_allclose(
            block, expected.find(pair), rtol=0, atol=tolerance
        )


def test_file_of_torch_geometric(graphene, tmp_path):
    (source,) = find_sources(GRAPHS)
    assert (source.name, source.format) == ("0", "hamgnn")
    found = read_calculation(GRAPHS)
    assert found.basis == graphene.basis
    assert found.spin == "none"
    np.testing.assert_allclose(
        found.atoms.positions, graphene.atoms.positions, atol=1e-6
    )
    # Two atoms and three neighbours of each.
    assert len(found.hamiltonian) == 8
    assert_same(found.hamiltonian, graphene.hamiltonian)
    assert_same(found.overlap, graphene.overlap)
    convert(GRAPHS, tmp_path / "set.h5")
    assert HamiltonianStore(tmp_path / "set.h5").names == ("0",)


@pytest.mark.parametrize(
    "name, size", [("graphene_prim", 26), ("bismuthene_prim_soc", 19)]
)
def test_bands_that_openmx_printed(name, size, write):
    calculation = read_scfout(DATA / f"{name}.scfout.gz")
    path = write(graph_tensors(calculation, size))
    found = read_calculation(path)
    assert found.spin == calculation.spin
    assert found.hamiltonian.hermitian_error() < 1e-5
    _, k_points, expected = printed_bands(name)
    matrices = BlochMatrices.from_calculation(found)
    errors = []
    for place in (1, 30):  # the second is another wave vector
        levels = scipy.linalg.eigh(
            *matrices.dense_at(k_points[place]), eigvals_only=True
        )
        energies = expected[1] * HARTREE_IN_EV
        errors.append(np.abs(levels[:12] - energies[:12]).max())
    # Numbers are float32; high levels suffer more.
    assert errors[0] < 1e-5 < 0.01 < errors[1]


def test_down_up_is_not_that_of_the_file(write):
    calculation = read_scfout(DATA / "bismuthene_prim_soc.scfout.gz")
    found = read_calculation(write(graph_tensors(calculation, 19)))
    assert_same(found.hamiltonian, calculation.hamiltonian, 1e-4)
    mixed = spin_part(calculation.hamiltonian, 0, 1)
    reverse = spin_part(calculation.hamiltonian, 1, 0)
    # The file holds the conjugate of up-down there.
    assert np.abs(reverse.entries - mixed.entries.conj()).max() > 0.1


@pytest.mark.parametrize("program", ["openmx", "siesta", "abacus"])
def test_order_shows_in_the_overlap(program, graphene, write):
    calculation = dataclasses.replace(
        graphene,
        hamiltonian=join_spins(graphene.hamiltonian, graphene.hamiltonian),
        spin="collinear",
    )
    near = np.linalg.norm(
        calculation.edge_vectors(calculation.overlap.atom_pairs), axis=1
    )
    calculation = dataclasses.replace(
        calculation,
        hamiltonian=calculation.hamiltonian.select(np.flatnonzero(near < 4)),
        overlap=calculation.overlap.select(np.flatnonzero(near < 4)),
    )
    path = write(graph_tensors(calculation, 13, program))
    found = read_calculation(path)
    assert found.source["code"] == f"HamGNN ({program})"
    assert found.spin == "collinear"
    assert_same(found.hamiltonian, calculation.hamiltonian)


def test_graphs_without_scf_have_the_overlap_alone(graphene, write):
    graph = graph_tensors(graphene, 14)
    other = {**graph, "Hon0": graph["Hon"], "Hoff0": graph["Hoff"] + 1}
    without = {**graph, "Hon0": graph["Hon"], "Hoff0": graph["Hoff"]}
    path = write(other, without)
    assert [s.name for s in find_sources(path)] == ["0", "1"]
    assert read_calculation(path, name="0").hamiltonian is not None
    found = read_calculation(path, name="1")
    assert found.hamiltonian is None
    assert found.initial_hamiltonian is None
    assert_same(found.overlap, graphene.overlap)
    with pytest.raises(ValueError, match="2 structures; expected one"):
        read_hamgnn(path)


class Attack:
    def __reduce__(self):
        return os.system, (f"touch {self.target}",)


def with_object(path, thing):
    """The archive of one pickled thing."""
    np.savez(path, graph={0: thing})
    return path


def test_pickles_run_nothing(tmp_path):
    attack = Attack()
    attack.target = tmp_path / "done"
    path = with_object(tmp_path / "graphs.npz", attack)
    with pytest.raises(ValueError, match=r"graphs.npz.*calls \w+.system"):
        find_sources(path)
    assert not attack.target.exists()
    # NumPy, when told to trust the file, runs it.
    with np.load(path, allow_pickle=True) as file:
        file["graph"]
    assert attack.target.exists()


def changed(key, change):
    return lambda graph: {**graph, key: change(graph[key])}


def without(key):
    return lambda graph: {k: v for k, v in graph.items() if k != key}


@pytest.mark.parametrize(
    "damage, message",
    [
        (changed("Son", lambda x: x[:, :-1]), "Son has the shape|isqrt|places"),
        (changed("Hoff", lambda x: x[:-1]), "Hoff has the shape"),
        (changed("Hon", lambda x: x * np.nan), "not finite"),
        (changed("edge_index", lambda x: x + 1), "edges go from 1 to 2"),
        (changed("z", lambda x: x - 6), "atomic numbers go from 0"),
        (changed("cell_shift", lambda x: x * 0), "listed twice"),
        # Positions of another structure: S does not follow the edges.
        (changed("pos", lambda x: x[:, [1, 0, 2]]), "in the order of none"),
        (without("cell"), "cell"),
    ],
)
def test_what_does_not_fit_is_said(damage, message, graphene, write):
    path = write(damage(graph_tensors(graphene, 14)))
    with pytest.raises(ValueError, match=f"graph_data.npz.*{message}"):
        read_calculation(path)


def test_storage_that_is_too_short(tmp_path):
    data = bytearray(pathlib.Path(GRAPHS).read_bytes())
    # The number of values behind the pickle of a storage.
    place = data.index(b"FloatStorage")
    place = data.index(b"a.", place) + 2
    data[place] ^= 1
    path = tmp_path / "graphs.npz"
    # The sum that a zip file keeps would tell as well.
    with zipfile.ZipFile(GRAPHS) as archive:
        start = bytes(data).index(archive.read("graph.npy")[:40])
        size = archive.getinfo("graph.npy").file_size
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("graph.npy", bytes(data[start : start + size]))
    with pytest.raises(ValueError, match="graphs.npz: a storage announces"):
        find_sources(path)
