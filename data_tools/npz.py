"""H(R) and S(R) as sparse matrices in one NumPy archive.

A file for programs that know nothing of this package. Keys:

| key | shape | meaning |
|---|---|---|
| `format`, `format_version` | | `"keras_hamiltonian sparse"`, 1 |
| `conventions` | | the text below the table |
| `H_cells`, `S_cells` | (num_R, 3) | lattice translations R |
| `H_data`, `H_indices`, `H_indptr` | | CSR: H(R) one below the other, eV |
| `S_data`, `S_indices`, `S_indptr` | | the same for the overlap, spinless |
| `cell`, `positions`, `pbc` | (3, 3), (N, 3), (3,) | Å; rows are vectors |
| `numbers` | (N,) | atomic numbers |
| `orbital_atom` | (n,) | atom of each row, from 0 |
| `orbital_shell` | (n,) | shell of its atom, from 0 |
| `orbital_l`, `orbital_m` | (n,) | degree, and m = -l..l |
| `orbital_spin` | (n,) | 0 up (or no spin), 1 down |
| `spin` | | `none`, `collinear` or `noncollinear` |
| `fermi_level`, `num_electrons` | | eV; NaN if unknown |
| `name`, `source` | | text; JSON |

Rows r·n to (r+1)·n of the stack are `<m in cell 0 | H | n in cell R_r>`, and
`H(k) = Σ_R H(R) exp(2πi k·R)`. Real harmonics with the usual signs: p is
(y, z, x), d is (xy, yz, 3z²-r², xz, x²-y²). A missing matrix has no
keys. Numbers that are stored although they are zero belong to a listed pair of
atoms.

    with np.load("file.npz") as file:
        n, count = len(file["orbital_atom"]), len(file["H_cells"])
        csr = file["H_data"], file["H_indices"], file["H_indptr"]
        stack = scipy.sparse.csr_matrix(csr, shape=(count * n, n))
        blocks = [stack[r * n : (r + 1) * n] for r in range(count)]
"""

import json
import pathlib
import zipfile

import ase
import numpy as np

from data_tools.cell_matrices import blocks_of_stack
from data_tools.cell_matrices import csr_of_file
from data_tools.cell_matrices import stack_of_blocks
from data_tools.plausibility import plausible
from keras_hamiltonian.data.calculation import Calculation
from keras_hamiltonian.files import replacing
from keras_hamiltonian.orbitals.basis import OrbitalBasis
from keras_hamiltonian.reading import check_size
from keras_hamiltonian.reading import reader
from keras_hamiltonian.reading import reading

FORMAT = "keras_hamiltonian sparse"
VERSION = 1
CONVENTIONS = __doc__.split("|\n\n")[1].split("\n\n")[0]
MATRICES = {"H": "hamiltonian", "S": "overlap", "H0": "initial_hamiltonian"}


def is_npz(path):
    """Whether a file is an archive that `write_npz` wrote.

    Raises:
        ValueError: if it is a damaged archive.
    """
    path = pathlib.Path(path)
    if path.suffix != ".npz" or not path.is_file():
        return False
    if not zipfile.is_zipfile(path):
        return False
    with reading(path), np.load(path) as file:
        return "format" in file and str(file["format"]) == FORMAT


def write_npz(path, calculation):
    """Writes the archive described above; it appears when complete.

    H⁰, where there is one, has the keys `H0_...`. The overlap has no spin: its
    rows are those of the orbitals with `orbital_spin` 0.

    Args:
        path: str or path, ending in `.npz`.
        calculation: `Calculation`.

    Raises:
        ValueError: if the calculation has no matrix.

    Example:

    >>> write_npz("graphene.npz", calculation)  # doctest: +SKIP
    >>> sorted(np.load("graphene.npz"))[:3]  # doctest: +SKIP
    ['H_cells', 'H_data', 'H_indices']
    """
    path = pathlib.Path(path)
    atoms = calculation.atoms
    arrays = _orbitals(calculation)
    doubling = 2 if calculation.is_spinful else 1
    for key, field in MATRICES.items():
        matrix = getattr(calculation, field)
        if matrix is None:
            continue
        factor = 1 if field == "overlap" else doubling
        cells, stack = stack_of_blocks(
            matrix, factor * calculation.num_orbitals
        )
        arrays[f"{key}_cells"] = cells
        for part in ("data", "indices", "indptr"):
            arrays[f"{key}_{part}"] = getattr(stack, part)
    if not any(f"{key}_cells" in arrays for key in MATRICES):
        raise ValueError("The calculation has no matrix to write.")
    with replacing(path) as temporary, open(temporary, "wb") as file:
        np.savez_compressed(
            file,
            format=FORMAT,
            format_version=VERSION,
            conventions=CONVENTIONS,
            cell=np.asarray(atoms.cell),
            positions=atoms.positions,
            pbc=atoms.pbc,
            numbers=atoms.numbers,
            spin=calculation.spin,
            fermi_level=_or_nan(calculation.fermi_level),
            num_electrons=_or_nan(calculation.num_electrons),
            name=calculation.name,
            source=json.dumps(calculation.source),
            **arrays,
        )


@reader
@plausible
def read_npz(path):
    """Reads what `write_npz` wrote.

    Args:
        path: str or path.

    Returns:
        `Calculation`. The blocks are those with a stored number.

    Raises:
        ValueError: if the file is cut short, of another kind or newer, or
            lacks a key.
    """
    path = pathlib.Path(path)
    with np.load(path) as file:
        check_size(path, sum(x.file_size for x in file.zip.infolist()))
        arrays = {key: file[key] for key in file}
    if str(arrays.get("format")) != FORMAT:
        raise ValueError(
            f"{path} is no archive of `write_npz`: expected the key `format` "
            f"with {FORMAT!r}. It holds {', '.join(sorted(arrays)[:5])}."
        )
    if int(arrays["format_version"]) > VERSION:
        raise ValueError(
            f"{path} has the format version {arrays['format_version']}; this "
            f"release reads up to {VERSION}. Update keras_hamiltonian."
        )
    try:
        return _calculation(arrays)
    except KeyError as error:
        raise ValueError(
            f"{path} lacks the key {error}; write it again."
        ) from None


def _orbitals(calculation):
    atom, shell, degree, order, spin = [], [], [], [], []
    spins = (0, 1) if calculation.is_spinful else (0,)
    for number, symbol in enumerate(calculation.atoms.symbols):
        for s in spins:
            for n, l in enumerate(calculation.basis.shells[symbol]):
                size = 2 * l + 1
                atom += [number] * size
                shell += [n] * size
                degree += [l] * size
                order += range(-l, l + 1)
                spin += [s] * size
    return {
        "orbital_atom": np.array(atom),
        "orbital_shell": np.array(shell),
        "orbital_l": np.array(degree),
        "orbital_m": np.array(order),
        "orbital_spin": np.array(spin),
    }


def _calculation(arrays):
    atoms = ase.Atoms(
        arrays["numbers"],
        arrays["positions"],
        cell=arrays["cell"],
        pbc=arrays["pbc"],
    )
    basis = _basis(atoms, arrays)
    spin = str(arrays["spin"])
    num_orbitals = np.array([basis.num_orbitals(z) for z in atoms.numbers])
    matrices = {}
    for key, field in MATRICES.items():
        if f"{key}_cells" not in arrays:
            continue
        widths = num_orbitals
        if spin != "none" and field != "overlap":
            widths = 2 * num_orbitals
        cells, size = arrays[f"{key}_cells"], widths.sum()
        parts = [arrays[f"{key}_{p}"] for p in ("data", "indices", "indptr")]
        stack = csr_of_file(*parts, len(cells) * size, size)
        matrices[field] = blocks_of_stack(cells, stack, widths)
    return Calculation(
        atoms,
        basis,
        spin=spin,
        fermi_level=_or_none(arrays["fermi_level"]),
        num_electrons=_or_none(arrays["num_electrons"]),
        name=str(arrays["name"]),
        source=json.loads(str(arrays["source"])),
        **matrices,
    )


def _basis(atoms, arrays):
    shells = {}
    first = (arrays["orbital_spin"] == 0) & (
        arrays["orbital_m"] == -arrays["orbital_l"]
    )
    for number, symbol in enumerate(atoms.symbols):
        own = first & (arrays["orbital_atom"] == number)
        shells[symbol] = arrays["orbital_l"][own].tolist()
    return OrbitalBasis(shells)


def _or_nan(value):
    return np.nan if value is None else float(value)


def _or_none(value):
    return None if np.isnan(value) else float(value)
