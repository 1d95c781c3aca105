"""sisl's `Hamiltonian` objects: what sisl reads becomes ours, and back.

sisl computes transport, densities of states, supercells and more from
Hamiltonians in overlapping orbitals, and reads and writes the files of SIESTA.
Its orbitals are SIESTA's: m = -l..l with the Condon-Shortley sign.
"""

import importlib

import ase
import numpy as np
import scipy.sparse

from data_tools.cell_matrices import blocks_of_stack
from data_tools.cell_matrices import stack_of_blocks
from data_tools.labels import element_of_label
from data_tools.shells import element_shells
from data_tools.spin_blocks import spin_part
from keras_hamiltonian.data.calculation import Calculation
from keras_hamiltonian.orbitals.basis import OrbitalBasis
from keras_hamiltonian.orbitals.orders import from_package_order
from keras_hamiltonian.orbitals.orders import to_package_order
from keras_hamiltonian.structures.soundness import check_cell

# sisl's columns of a Hamiltonian with spin: real and imaginary part of
# uu, dd, ud, du.
_SPIN_BOX = {(0, 0): (0, 4), (1, 1): (1, 5), (0, 1): (2, 3), (1, 0): (6, 7)}


def import_sisl():
    """The module sisl.

    Raises:
        ValueError: if it is not installed; the message says how to.
    """
    try:
        return importlib.import_module("sisl")
    except ImportError as error:
        raise ValueError(
            f"This needs the package sisl ({error}). Install it with: "
            "pip install 'keras-hamiltonian[siesta]', or pip install sisl."
        ) from error


def to_sisl(calculation):
    """A calculation as a `sisl.Hamiltonian` with overlap.

    Energies stay as they are: sisl shifts what it reads from files so that the
    Fermi level is 0; `hamiltonian.shift(-calculation.fermi_level)` does so.

    Args:
        calculation: `Calculation` with Hamiltonian and overlap, shells up to d.

    Returns:
        `sisl.Hamiltonian`, eV and Å; unpolarised, polarised or with spin-orbit.

    Raises:
        ValueError: if sisl or a matrix is missing, or a shell is beyond d.

    Example:

    >>> hamiltonian = to_sisl(calculation)  # doctest: +SKIP
    >>> hamiltonian.eigh(k=[1 / 3, 1 / 3, 0])  # doctest: +SKIP
    """
    sisl = import_sisl()
    for field in ("hamiltonian", "overlap"):
        if getattr(calculation, field) is None:
            raise ValueError(
                f"The calculation {calculation.name!r} has no `{field}`; "
                "sisl's Hamiltonian needs both matrices."
            )
    check_cell(calculation.atoms)
    calculation.warn_of_threshold("sisl or SIESTA")
    geometry = _geometry(sisl, calculation)
    numbers, widths = calculation.atoms.numbers, calculation.num_orbitals

    def columns(matrix, is_spinful):
        matrix = from_package_order(
            matrix, "siesta", calculation.basis, numbers
        )
        if not is_spinful:
            return {(0, 0): _supercell(geometry, matrix, widths)}
        return {
            box: _supercell(geometry, spin_part(matrix, *box), widths)
            for box in _SPIN_BOX
        }

    parts = columns(calculation.hamiltonian, calculation.is_spinful)
    overlap = columns(calculation.overlap, False)[0, 0].real
    if calculation.spin == "none":
        matrices, spin = [parts[0, 0].real], "unpolarized"
    elif calculation.spin == "collinear":
        matrices, spin = [parts[0, 0].real, parts[1, 1].real], "polarized"
    else:
        matrices, spin = [None] * 8, "spin-orbit"
        for box, (real, imaginary) in _SPIN_BOX.items():
            matrices[real] = parts[box].real
            matrices[imaginary] = parts[box].imag
    return sisl.Hamiltonian.fromsp(geometry, matrices, overlap, spin=spin)


def from_sisl(
    hamiltonian, fermi_level=None, num_electrons=None, name="", source=None
):
    """A `sisl.Hamiltonian` in SIESTA's orbitals as a calculation.

    Args:
        hamiltonian: `sisl.Hamiltonian` with overlap, whose orbitals carry
            their l and m. Unpolarised, polarised, non-collinear or spin-orbit.
        fermi_level: float, in eV, on the scale of the Hamiltonian.
        num_electrons: float.
        name: str.
        source: dict. Where it comes from.

    Returns:
        `Calculation`. A pair of atoms has a block if sisl stores a number of
        it.

    Raises:
        ValueError: if the orbitals are orthogonal, or have no l and m in
            SIESTA's order, an atom is no element, or the spin is of another
            kind.
    """
    geometry = hamiltonian.geometry
    if hamiltonian.orthogonal:
        raise ValueError(
            "The sisl Hamiltonian has orthogonal orbitals, without overlap; "
            "the package's matrices belong to localized orbitals with one."
        )
    atoms = _atoms(geometry)
    basis = _basis(geometry, atoms)
    widths = np.array([basis.num_orbitals(z) for z in atoms.numbers])
    kind = hamiltonian.spin
    if kind.is_unpolarized:
        spin = "none"
        matrix = _blocks(geometry, {(0, 0): hamiltonian.tocsr(0)}, widths, 1)
    else:
        spin, boxes = _spin_boxes(hamiltonian)
        matrix = _blocks(geometry, boxes, widths, 2)
    overlap = hamiltonian.tocsr(hamiltonian.S_idx)
    overlap = _blocks(geometry, {(0, 0): overlap}, widths, 1)
    return Calculation(
        atoms,
        basis,
        spin=spin,
        hamiltonian=to_package_order(matrix, "siesta", basis, atoms.numbers),
        overlap=to_package_order(overlap, "siesta", basis, atoms.numbers),
        fermi_level=fermi_level,
        num_electrons=num_electrons,
        name=name,
        source=source or {"code": "sisl"},
    )


def _geometry(sisl, calculation):
    species = {}
    for symbol in dict.fromkeys(calculation.atoms.symbols):
        orbitals, seen = [], {}
        for l in calculation.basis.shells[symbol]:
            seen[l] = seen.get(l, 0) + 1
            orbitals += [
                sisl.AtomicOrbital(n=l + 1, l=l, m=m, zeta=seen[l], R=-1.0)
                for m in range(-l, l + 1)
            ]
        species[symbol] = sisl.Atom(symbol, orbitals, tag=symbol)
    reach = np.zeros(3, int)
    for matrix in (calculation.hamiltonian, calculation.overlap):
        shifts = np.abs(matrix.atom_pairs[:, :3])
        reach = np.maximum(reach, shifts.max(axis=0, initial=0))
    lattice = sisl.Lattice(
        np.asarray(calculation.atoms.cell), nsc=(2 * reach + 1).tolist()
    )
    return sisl.Geometry(
        calculation.atoms.positions,
        [species[symbol] for symbol in calculation.atoms.symbols],
        lattice=lattice,
    )


def _supercell(geometry, matrix, widths):
    """sisl's `(n, n num_cells)` CSR matrix of one part."""
    cells, stack = stack_of_blocks(matrix, widths)
    size, stack = int(np.sum(widths)), stack.tocoo()
    index = np.array([geometry.lattice.sc_index(cell) for cell in cells])
    cell, row = np.divmod(stack.row, size)
    return scipy.sparse.coo_matrix(
        (stack.data, (row, index[cell] * size + stack.col)),
        shape=(size, size * geometry.n_s),
    ).tocsr()


def _spin_boxes(hamiltonian):
    """Layout of the spin, and a complex or real matrix for each spin pair."""
    kind = hamiltonian.spin

    def part(number):
        return hamiltonian.tocsr(number)

    if kind.is_polarized:
        return "collinear", {(0, 0): part(0), (1, 1): part(1)}
    if kind.is_noncolinear:
        mixed = part(2) + 1j * part(3)
        boxes = {(0, 0): part(0) + 0j * part(0), (1, 1): part(1)}
        # The spin box is Hermitian.
        return "noncollinear", {
            **boxes,
            (0, 1): mixed,
            (1, 0): mixed.conj(),
        }
    if kind.is_spinorbit:
        return "noncollinear", {
            box: part(real) + 1j * part(imaginary)
            for box, (real, imaginary) in _SPIN_BOX.items()
        }
    raise ValueError(
        f"sisl's spin {kind} is not supported; known are unpolarised, "
        "polarised, non-collinear and spin-orbit."
    )


def _blocks(geometry, boxes, widths, num_spins):
    """`BlockMatrix` from sisl's matrices, one for each pair of spins."""
    size = int(widths.sum())
    starts = np.cumsum(widths) - widths
    atom = np.repeat(np.arange(len(widths)), widths)
    # Position of each orbital with spin up.
    place = np.arange(size) + (num_spins - 1) * starts[atom]
    rows, columns, numbers = [], [], []
    for (s, t), matrix in boxes.items():
        matrix = matrix.tocoo()
        cell, column = np.divmod(matrix.col.astype(np.int64), size)
        row = matrix.row.astype(np.int64)
        rows.append(
            cell * size * num_spins + place[row] + s * widths[atom[row]]
        )
        columns.append(place[column] + t * widths[atom[column]])
        numbers.append(matrix.data)
    numbers = np.concatenate(numbers)
    dtype = np.result_type(numbers.dtype, np.float64)
    cells = np.asarray(geometry.lattice.sc_off)
    stack = scipy.sparse.coo_matrix(
        (
            numbers.astype(dtype),
            (np.concatenate(rows), np.concatenate(columns)),
        ),
        shape=(len(cells) * size * num_spins, size * num_spins),
    )
    return blocks_of_stack(cells, stack, widths * num_spins)


def _atoms(geometry):
    sisl = import_sisl()
    numbers = np.asarray(geometry.atoms.Z, dtype=int)
    for number, atom in enumerate(geometry.atoms):
        if isinstance(atom, sisl.AtomGhost | sisl.AtomUnknown):
            raise ValueError(
                f"Atom {number + 1} ({atom.tag!r}) is no element; ghost atoms "
                "and floating orbitals are not supported."
            )
        # sisl takes the first letters of a label for the element.
        element_of_label("The sisl geometry", atom.tag or atom.symbol)
    return ase.Atoms(
        numbers, geometry.xyz, cell=np.asarray(geometry.cell), pbc=True
    )


def _basis(geometry, atoms):
    shells = [
        (symbol, _degrees(symbol, atom))
        for symbol, atom in zip(atoms.symbols, geometry.atoms)
    ]
    return OrbitalBasis(element_shells("The sisl geometry", shells))


def _degrees(symbol, atom):
    labels = [(getattr(o, "l", None), getattr(o, "m", None)) for o in atom]
    degrees, position = [], 0
    while position < len(labels):
        l = labels[position][0]
        most = min(l or 0, len(labels))
        expected = [(l, m) for m in range(-most, most + 1)]
        if l is None or labels[position : position + len(expected)] != expected:
            raise ValueError(
                f"The orbitals of {symbol} are not labelled with l and m in "
                f"SIESTA's order m = -l..l. Received: {labels}. Files of "
                "SIESTA 4 and older lack them; read the basis from the "
                "output of the run and pass a geometry that has it."
            )
        degrees.append(int(l))
        position += len(expected)
    return degrees
