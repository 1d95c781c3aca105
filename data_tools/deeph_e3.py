"""Test results of DeepH-E3, so that old runs can be scored again.

`test_result.h5` keeps, for each structure, the labels and the predictions of
all edges as rows of numbers; `src/dataset_info.json` and
`src/target_blocks.json` of the run give the orbital block of each number.
Labels and predictions are in eV and OpenMX's order. Checked against DeepH-E3's
source (`update_hopping`, `save_test_result`), not against a run.
"""

import json
import pathlib

import ase
import numpy as np

from keras_hamiltonian.data.calculation import Calculation
from keras_hamiltonian.hdf5_files import open_hdf5
from keras_hamiltonian.orbitals.basis import OrbitalBasis
from keras_hamiltonian.orbitals.block_matrix import BlockMatrix
from keras_hamiltonian.orbitals.orders import to_package_order

DATASETS = (
    "edge_attr",
    "edge_key",
    "label",
    "H_pred",
    "structure/element",
    "structure/lat",
    "structure/sites",
)
# Files are float32; a network's irreps instead of blocks are far off.
HERMITIAN_TOLERANCE = 1e-2


def read_test_results(path, source=None):
    """Structures of a test with their labels and predictions.

    Args:
        path: str or path. `test_result.h5`.
        source: str or path. The run's folder `src`. Defaults to the one beside
            the file.

    Returns:
        Generator of `(calculation, prediction)`: a `Calculation` whose
        Hamiltonian is the label, without overlap, and the `BlockMatrix` that
        the network predicted for the same pairs.

    Raises:
        ValueError: if a file is missing or damaged, the targets do not cover
            the matrix, or the numbers are not those of orbital blocks.

    Example:

    >>> results = read_test_results("test_result.h5")  # doctest: +SKIP
    >>> for calculation, prediction in results:  # doctest: +SKIP
    ...     errors.update(prediction, calculation)
    """
    path = pathlib.Path(path)
    source = path.parent / "src" if source is None else pathlib.Path(source)
    info = _read_json(source / "dataset_info.json", dict)
    targets = _read_json(source / "target_blocks.json", list)
    missing = {"spinful", "index_to_Z", "orbital_types"} - set(info)
    if missing:
        raise ValueError(
            f"{source / 'dataset_info.json'} lacks {', '.join(missing)}."
        )
    symbols = [ase.Atom(z).symbol for z in info["index_to_Z"]]
    basis = OrbitalBasis(dict(zip(symbols, info["orbital_types"])))
    spin = "noncollinear" if info["spinful"] else "none"
    with open_hdf5(path) as file:
        names = list(file)
    if not names:
        raise ValueError(f"{path} holds no structure.")
    return _results(path, names, basis, spin, targets)


def _results(path, names, basis, spin, targets):
    for name in names:
        with open_hdf5(path) as file:
            missing = [key for key in DATASETS if key not in file[name]]
            if missing:
                raise ValueError(
                    f"{path}, structure {name}, lacks {', '.join(missing)}."
                )
            arrays = {key: file[name][key][()] for key in DATASETS}
        yield _result(
            f"{path}, structure {name}", name, arrays, basis, targets, spin
        )


def _result(place, name, arrays, basis, targets, spin):
    atoms = ase.Atoms(
        arrays["structure/element"].ravel(),
        arrays["structure/sites"],
        cell=arrays["structure/lat"],
        pbc=True,
    )
    pairs = arrays["edge_key"].astype(int) - [0, 0, 0, 1, 1]
    layout = _layout(place, basis, targets, set(atoms.numbers.tolist()))
    matrices = [
        _matrix(place, arrays[key], pairs, atoms, basis, layout, spin)
        for key in ("label", "H_pred")
    ]
    label, prediction = (
        to_package_order(matrix, "openmx", basis, atoms.numbers)
        for matrix in matrices
    )
    if label.hermitian_error() > HERMITIAN_TOLERANCE:
        raise ValueError(
            f"{place}: the labels are not Hermitian, by "
            f"{label.hermitian_error():.2g} eV. They may be irreps instead of "
            "blocks (convert_net_out); test the run again without it."
        )
    calculation = Calculation(
        atoms,
        basis,
        spin=spin,
        hamiltonian=label,
        name=name,
        source={"format": "DeepH-E3 test_result.h5"},
    )
    vectors = calculation.edge_vectors(pairs)
    error = np.abs(vectors - arrays["edge_attr"][:, 1:4]).max(initial=0)
    if error > 1e-3:
        raise ValueError(
            f"{place}: edges and structure do not belong together; edge "
            f"vectors differ by up to {error:.2g} Å."
        )
    return calculation, prediction


def _layout(place, basis, targets, numbers):
    """For each pair of elements, the number of the row at each entry."""
    starts = {
        symbol: np.cumsum([0, *(2 * l + 1 for l in basis.shells[symbol])])
        for symbol in basis.symbols
    }
    layout = {
        (a, b): np.full((basis.num_orbitals(a), basis.num_orbitals(b)), -1)
        for a in numbers
        for b in numbers
    }
    position = 0
    for target in targets:
        size = 0
        for elements, (row, column) in target.items():
            a, b = map(int, elements.split())
            left, right = (starts[ase.Atom(z).symbol] for z in (a, b))
            rows = slice(left[row], left[row + 1])
            columns = slice(right[column], right[column + 1])
            shape = left[row + 1] - left[row], right[column + 1] - right[column]
            size = shape[0] * shape[1]
            if (a, b) in layout:
                inside = np.arange(size).reshape(shape)
                layout[a, b][rows, columns] = position + inside
        position += size
    for (a, b), table in layout.items():
        if (table < 0).any():
            raise ValueError(
                f"{place}: the targets cover {int((table >= 0).sum())} of "
                f"{table.size} matrix elements of the elements {a} and {b}. "
                "Only runs that predict the whole matrix can be scored."
            )
    return layout, position


def _matrix(place, rows, pairs, atoms, basis, layout, spin):
    tables, size = layout
    expected = (len(pairs), size) if spin == "none" else (len(pairs), 4, size)
    if rows.shape != expected:
        raise ValueError(
            f"{place}: numbers of the shape {expected} were expected for "
            f"{len(pairs)} edges (edges, spin pairs, matrix elements). "
            f"Received: {rows.shape}."
        )
    blocks = []
    for row, (*_, i, j) in zip(rows, pairs):
        table = tables[atoms.numbers[i], atoms.numbers[j]]
        if spin == "none":
            blocks.append(row[table].astype(np.float64))
        else:
            up, mixed, reverse, down = row[:, table].astype(np.complex128)
            blocks.append(np.block([[up, mixed], [reverse, down]]))
    return BlockMatrix.from_blocks(pairs, blocks)


def _read_json(path, kind):
    try:
        content = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise ValueError(
            f"{path} cannot be read ({error}). Expected the folder src of the "
            "DeepH-E3 run beside test_result.h5; or pass it as `source`."
        ) from None
    if not isinstance(content, kind):
        raise ValueError(f"{path} should hold a JSON {kind.__name__}.")
    return content
