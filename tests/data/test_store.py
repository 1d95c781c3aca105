import multiprocessing
import os
import pickle
import threading

import ase
import h5py
import numpy as np
import pytest

from keras_hamiltonian.data.calculation import Calculation
from keras_hamiltonian.data.store import HamiltonianStore
from keras_hamiltonian.data.store import is_store
from keras_hamiltonian.data.store import pair_union
from keras_hamiltonian.orbitals.basis import OrbitalBasis
from keras_hamiltonian.orbitals.block_matrix import BlockMatrix

BASIS = OrbitalBasis({"Mo": "1s 1p", "S": "2s"})


def hermitian_matrix(atoms, seed, spin="none", reach=1):
    """Blocks of random numbers, every pair beside its partner."""
    rng = np.random.default_rng(seed)
    factor = 1 if spin == "none" else 2
    sizes = [factor * BASIS.num_orbitals(z) for z in atoms.numbers]
    blocks = {}
    for r in range(-reach, reach + 1):
        for i in range(len(atoms)):
            for j in range(len(atoms)):
                block = rng.normal(size=(sizes[i], sizes[j]))
                if spin == "noncollinear":
                    block = block + 1j * rng.normal(size=block.shape)
                if (r, 0, 0, i, j) == (-r, 0, 0, j, i):
                    block = (block + block.conj().T) / 2
                if (-r, 0, 0, j, i) in blocks:
                    block = blocks[-r, 0, 0, j, i].conj().T
                blocks[r, 0, 0, i, j] = block
    return BlockMatrix.from_blocks(list(blocks), list(blocks.values()))


def calculation(name="000", seed=0, spin="none", **fields):
    rng = np.random.default_rng(seed)
    atoms = ase.Atoms(
        "MoS2", rng.normal(size=(3, 3)), cell=np.eye(3) * 7.1, pbc=(1, 1, 0)
    )
    defaults = {
        "hamiltonian": hermitian_matrix(atoms, seed, spin),
        "overlap": hermitian_matrix(atoms, seed + 1, reach=2),
        "fermi_level": -4.5,
        "source": {"code": "OpenMX", "version": "3.9.0"},
    }
    return Calculation(atoms, BASIS, spin, **(defaults | fields), name=name)


def assert_equal(left, right):
    assert left.atoms == right.atoms
    assert (left.basis, left.spin) == (right.basis, right.spin)
    assert left.hamiltonian == right.hamiltonian
    assert left.overlap == right.overlap
    assert left.initial_hamiltonian == right.initial_hamiltonian
    assert left.fermi_level == right.fermi_level
    assert left.num_electrons == right.num_electrons
    assert (left.name, left.source) == (right.name, right.source)


@pytest.mark.parametrize("spin", ["none", "collinear", "noncollinear"])
@pytest.mark.parametrize("compression", [0, 9])
def test_reading_back_is_exact(tmp_path, spin, compression):
    written = [calculation(str(k), k, spin) for k in range(3)]
    store = HamiltonianStore.write(
        tmp_path / "set.h5",
        (c for c in written),
        attributes={"origin": "random numbers"},
        compression=compression,
    )
    assert len(store) == 3 and store.names == ("0", "1", "2")
    assert store.basis == BASIS and store.spin == spin
    assert store.attributes == {"origin": "random numbers"}
    for left, right in zip(store, written):
        assert_equal(left, right)
    assert store[-1].name == "2" and "1" in store
    assert store.atoms("1") == written[1].atoms


def test_half_is_stored_and_order_of_pairs_survives(tmp_path):
    whole = calculation()
    order = np.random.default_rng(0).permutation(len(whole.hamiltonian))
    mixed = calculation(hamiltonian=whole.hamiltonian.select(order))
    store = HamiltonianStore.write(tmp_path / "set.h5", [mixed])
    assert store[0].hamiltonian == mixed.hamiltonian
    store.close()
    with h5py.File(store.path) as root:
        group = root["structures/000/hamiltonian"]
        assert group.attrs["is_half_stored"]
        # 27 pairs, of which 3 are their own partners.
        assert len(group["atom_pairs"]) == 15
        assert group["chunk_boundaries"][-1] == group["entries"].size


def test_blocks_of_one_size_are_restored(tmp_path):
    atoms = ase.Atoms("Mo2", np.eye(3)[:2], cell=np.eye(3) * 7.1, pbc=True)
    matrix = hermitian_matrix(atoms, 0, "noncollinear")
    written = Calculation(atoms, BASIS, "noncollinear", hamiltonian=matrix)
    store = HamiltonianStore.write(tmp_path / "set.h5", [written])
    assert store[0].hamiltonian == matrix
    assert store.names == ("000000",)


def damaged_by_noise(matrix):
    entries = matrix.entries.copy()
    entries[1] += 1e-3
    return BlockMatrix(matrix.atom_pairs, matrix.shapes, entries)


def without_a_partner(matrix):
    return matrix.select(np.arange(1, len(matrix)))


@pytest.mark.parametrize("damage", [damaged_by_noise, without_a_partner])
@pytest.mark.parametrize("precision", [None, 2.0**-20])
def test_not_hermitian_is_stored_whole(tmp_path, damage, precision):
    matrix = damage(calculation().hamiltonian)
    # Multiples of the spacing: rounding changes nothing.
    entries = np.rint(matrix.entries * 2**20) / 2**20
    matrix = BlockMatrix(matrix.atom_pairs, matrix.shapes, entries)
    store = HamiltonianStore.write(
        tmp_path / "set.h5",
        [calculation(hamiltonian=matrix)],
        precision={"hamiltonian": precision},
    )
    assert store[0].hamiltonian == matrix


def test_nearly_hermitian_keeps_both_halves_unless_rounded(tmp_path):
    matrix = calculation().hamiltonian
    entries = matrix.entries.copy()
    entries[1] += 3e-8
    noisy = BlockMatrix(matrix.atom_pairs, matrix.shapes, entries)
    exact = HamiltonianStore.write(
        tmp_path / "exact.h5", [calculation(hamiltonian=noisy)]
    )
    assert exact[0].hamiltonian == noisy
    rounded = HamiltonianStore.write(
        tmp_path / "rounded.h5",
        [calculation(hamiltonian=noisy)],
        precision=1e-6,
    )
    assert rounded[0].hamiltonian.hermitian_error() == 0


@pytest.mark.parametrize("spin", ["none", "noncollinear"])
def test_rounding_stays_below_half_the_precision(tmp_path, spin):
    written = calculation(spin=spin)
    store = HamiltonianStore.write(
        tmp_path / "set.h5", [written], precision={"hamiltonian": 1e-5}
    )
    difference = store[0].hamiltonian.entries - written.hamiltonian.entries
    worst = max(np.abs(difference.real).max(), np.abs(difference.imag).max())
    assert 0 < worst <= 0.5e-5
    assert store[0].overlap == written.overlap
    again = HamiltonianStore.write(
        tmp_path / "again.h5", store, precision={"hamiltonian": 1e-5}
    )
    assert_equal(again[0], store[0])


def test_optional_parts_may_be_missing(tmp_path):
    written = calculation(hamiltonian=None, fermi_level=None)
    store = HamiltonianStore.write(tmp_path / "set.h5", [written])
    assert_equal(store[0], written)


def test_pairs_of_h_and_s_are_united_and_counted(tmp_path):
    written = calculation()
    pairs, in_hamiltonian, in_overlap = pair_union(
        written.hamiltonian, written.overlap
    )
    assert len(pairs) == 45
    assert in_hamiltonian.sum() == 27 and in_overlap.all()
    assert (pairs[in_hamiltonian] == written.hamiltonian.atom_pairs).all()
    assert not pair_union(None, written.overlap)[1].any()
    store = HamiltonianStore.write(tmp_path / "set.h5", [written])
    counts = {"hamiltonian": 27, "overlap": 45, "both": 27}
    assert store.pair_counts("000") == counts
    assert "0 in H only, 18 in S only" in store.describe()


def test_pickled_store_reads(tmp_path):
    store = HamiltonianStore.write(tmp_path / "set.h5", [calculation()])
    store[0]
    copy = pickle.loads(pickle.dumps(store))
    assert_equal(copy[0], calculation())
    store.close()
    assert_equal(store[0], calculation())


def read_all(store):
    return [float(np.abs(c.hamiltonian.entries).sum()) for c in store]


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_processes_share_a_store(tmp_path, method):
    store = HamiltonianStore.write(
        tmp_path / "set.h5", [calculation(str(k), k) for k in range(4)]
    )
    expected = read_all(store)
    with multiprocessing.get_context(method).Pool(2) as pool:
        assert pool.map(read_all, [store] * 4) == [expected] * 4
    assert read_all(store) == expected


def test_threads_share_a_store(tmp_path):
    store = HamiltonianStore.write(
        tmp_path / "set.h5", [calculation(str(k), k) for k in range(4)]
    )
    expected = read_all(store)
    found = []
    threads = [
        threading.Thread(target=lambda: found.append(read_all(store)))
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [expected] * 4


def test_failed_writing_leaves_the_old_file(tmp_path):
    path = tmp_path / "set.h5"
    HamiltonianStore.write(path, [calculation()])

    def interrupted():
        yield calculation("new")
        raise RuntimeError("the reader failed")

    with pytest.raises(RuntimeError):
        HamiltonianStore.write(path, interrupted())
    assert HamiltonianStore(path).names == ("000",)
    assert os.listdir(tmp_path) == ["set.h5"]


MIXED = [
    ([], "at least one calculation"),
    ([calculation("a"), calculation("a")], "called 'a'"),
    ([calculation("a/b")], "without slashes"),
    ([calculation("a"), calculation("b", spin="collinear")], "spin layout"),
]


@pytest.mark.parametrize("calculations, message", MIXED)
def test_unusable_sets_are_refused(tmp_path, calculations, message):
    with pytest.raises(ValueError, match=message):
        HamiltonianStore.write(tmp_path / "set.h5", calculations)
    assert os.listdir(tmp_path) == []


OPTIONS = [
    ({"precision": 0}, "must be positive"),
    ({"precision": 1e-30}, "32 bits"),
    ({"precision": {"H": 1e-6}}, "names \\['H'\\]"),
    ({"compression": 12}, "0 \\(none\\) to 9"),
]


@pytest.mark.parametrize("options, message", OPTIONS)
def test_unusable_options_are_refused(tmp_path, options, message):
    with pytest.raises(ValueError, match=message):
        HamiltonianStore.write(tmp_path / "set.h5", [calculation()], **options)


def test_bad_files_are_named(tmp_path):
    path = tmp_path / "set.h5"
    with pytest.raises(ValueError, match="does not exist"):
        HamiltonianStore(path)
    path.write_text("no HDF5")
    with pytest.raises(ValueError, match="cannot be opened as HDF5"):
        HamiltonianStore(path)
    assert not is_store(path)
    with h5py.File(path, "w") as root:
        root["[0, 0, 0, 1, 1]"] = np.eye(2)
    with pytest.raises(ValueError, match="no container"):
        HamiltonianStore(path)
    store = HamiltonianStore.write(path, [calculation()])
    assert is_store(path)
    with pytest.raises(ValueError, match="has no structure '001'.*000"):
        store["001"]
    with pytest.raises(IndexError):
        store[1]


def test_newer_format_is_refused_by_number(tmp_path):
    store = HamiltonianStore.write(tmp_path / "set.h5", [calculation()])
    with h5py.File(store.path, "a") as root:
        root.attrs["format_version"] = 99
    with pytest.raises(ValueError, match="format version 99"):
        HamiltonianStore(store.path)


def test_damaged_matrix_is_named(tmp_path):
    store = HamiltonianStore.write(tmp_path / "set.h5", [calculation()])
    store.close()
    with h5py.File(store.path, "a") as root:
        group = root["structures/000/hamiltonian"]
        entries = group["entries"][:-3]
        del group["entries"]
        group["entries"] = entries
    with pytest.raises(ValueError, match="structures/000/hamiltonian.*need"):
        store[0]
