"""Files as DeepH-E3 lays them out, made from real calculations."""

import json

import h5py
import numpy as np
import pytest

from data_tools.deeph_e3 import read_test_results
from keras_hamiltonian.data.store import HamiltonianStore
from keras_hamiltonian.metrics import MatrixErrors

# OpenMX's place of m = -l..l: p is (x, y, z), d starts with z².
PLACES = {0: [0], 1: [1, 2, 0], 2: [2, 4, 0, 3, 1]}


def openmx_block(block, degrees):
    """From m = -l..l to OpenMX's order, one spin or two."""
    orders = []
    for shells, size in zip(degrees, block.shape):
        order, start = [], 0
        for l in shells:
            order += (start + np.argsort(PLACES[l])).tolist()
            start += 2 * l + 1
        orders.append(
            np.concatenate([np.array(order) + s for s in range(0, size, start)])
        )
    return block[np.ix_(*orders)]


def write_result(folder, calculation, noise):
    """`test_result.h5` and `src`; the network errs by `noise`."""
    elements = sorted(set(calculation.atoms.numbers.tolist()))
    shells = [
        list(calculation.basis.shells[calculation.atoms.symbols[k]])
        for k in [calculation.atoms.numbers.tolist().index(z) for z in elements]
    ]
    targets = [
        {f"{a} {b}": [m, n]}
        for a, left in zip(elements, shells)
        for b, right in zip(elements, shells)
        for m in range(len(left))
        for n in range(len(right))
    ]
    degrees = dict(zip(elements, shells))
    is_spinful = calculation.is_spinful
    pairs = calculation.hamiltonian.atom_pairs
    rows = []
    for (*_, i, j), block in zip(pairs, calculation.hamiltonian.blocks()):
        a, b = calculation.atoms.numbers[[i, j]].tolist()
        block = openmx_block(block, (degrees[a], degrees[b]))
        row = []
        for target in targets:
            ((names, (m, n)),) = target.items()
            left, right = (degrees[int(z)] for z in names.split())
            shape = 2 * left[m] + 1, 2 * right[n] + 1
            part = np.zeros((4, *shape), block.dtype)
            if names == f"{a} {b}":
                r = sum(2 * l + 1 for l in left[:m])
                c = sum(2 * l + 1 for l in right[:n])
                for s in range(4 if is_spinful else 1):
                    row_start = r + (s // 2) * (len(block) // 2)
                    column = c + (s % 2) * (block.shape[1] // 2)
                    part[s] = block[row_start:, column:][: shape[0], : shape[1]]
            row.append(part.reshape(4, -1))
        rows.append(np.concatenate(row, axis=1))
    label = np.array(rows) if is_spinful else np.array(rows)[:, 0]
    vectors = calculation.edge_vectors(pairs)
    (folder / "src").mkdir(parents=True)
    info = {
        "spinful": is_spinful,
        "index_to_Z": elements,
        "orbital_types": shells,
    }
    (folder / "src" / "dataset_info.json").write_text(json.dumps(info))
    (folder / "src" / "target_blocks.json").write_text(json.dumps(targets))
    with h5py.File(folder / "test_result.h5", "w") as file:
        group = file.create_group("structure_7")
        group["edge_key"] = pairs + [0, 0, 0, 1, 1]
        group["edge_attr"] = np.column_stack(
            [np.linalg.norm(vectors, axis=1), vectors]
        )
        group["label"] = label
        group["mask"] = np.abs(label) > 0
        group["H_pred"] = label + noise
        group["structure/element"] = calculation.atoms.numbers
        group["structure/lat"] = np.asarray(calculation.atoms.cell)
        group["structure/sites"] = calculation.atoms.positions
    return folder / "test_result.h5"


@pytest.fixture
def mos2(data_folder):
    return HamiltonianStore(data_folder / "reference_mos2.h5")[0]


@pytest.mark.parametrize("name", ["mos2", "bismuthene"])
def test_labels_and_errors(data_folder, tmp_path, name):
    store = HamiltonianStore(data_folder / f"reference_{name}.h5")
    path = write_result(tmp_path, store[0], noise=0.002)
    ((calculation, prediction),) = read_test_results(path)
    assert calculation.name == "structure_7"
    assert calculation.spin == store.spin
    assert calculation.basis == store.basis
    assert calculation.hamiltonian == store[0].hamiltonian
    errors = MatrixErrors(store.basis)
    errors.update(prediction, calculation)
    assert errors.result()["mae_all"] == pytest.approx(0.002)


def test_source_elsewhere(tmp_path, mos2):
    path = write_result(tmp_path, mos2, 0.0)
    (tmp_path / "src").rename(tmp_path / "kept")
    with pytest.raises(ValueError, match="dataset_info.json.*`source`"):
        read_test_results(path)
    ((calculation, prediction),) = read_test_results(path, tmp_path / "kept")
    assert prediction == calculation.hamiltonian


def edit(name, change):
    def apply(path):
        with h5py.File(path, "a") as file:
            group = file["structure_7"]
            value = group[name][()]
            del group[name]
            if change is not None:
                group[name] = change(value)

    return apply


def drop_target(path):
    targets = path.parent / "src" / "target_blocks.json"
    targets.write_text(json.dumps(json.loads(targets.read_text())[1:]))


def cut(path):
    path.write_bytes(path.read_bytes()[:2000])


@pytest.mark.parametrize(
    "change, message",
    [
        (cut, "cannot be opened as HDF5.*cut short"),
        (edit("H_pred", None), "structure_7, lacks H_pred"),
        (edit("label", lambda x: x[:, :-1]), "numbers of the shape"),
        (edit("label", lambda x: x[:, ::-1]), "not Hermitian.*convert_net_out"),
        (edit("structure/lat", lambda x: 2 * x), "do not belong together"),
        (drop_target, "the targets cover 168 of 169 matrix elements"),
    ],
)
def test_files_that_cannot_be_scored(tmp_path, mos2, change, message):
    path = write_result(tmp_path, mos2, 0.0)
    change(path)
    with pytest.raises(ValueError, match=message) as error:
        list(read_test_results(path))
    assert "test_result.h5" in str(error.value)
