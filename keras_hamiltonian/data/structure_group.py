"""One calculation as one HDF5 group."""

import json

import ase
import numpy as np

from keras_hamiltonian.data.calculation import Calculation
from keras_hamiltonian.data.correction import measure_correction
from keras_hamiltonian.data.matrix_group import read_matrix
from keras_hamiltonian.data.matrix_group import write_matrix
from keras_hamiltonian.orbitals.basis import OrbitalBasis

MATRICES = ("hamiltonian", "overlap", "initial_hamiltonian")
# A rounded H⁰ is stored as H - H⁰, which is smaller: a fifth to two thirds.
DIFFERENCE = "initial_difference"


def write_structure(group, calculation, precision=None, compression=0):
    """Writes a calculation into an empty HDF5 group.

    Args:
        group: `h5py.Group`.
        calculation: `Calculation`.
        precision: dict. From matrix name to the spacing of its numbers.
        compression: int. Level of gzip, 0 for none.

    Raises:
        ValueError: see `write_matrix`.
    """
    precision = precision or {}
    for field in MATRICES:
        matrix = getattr(calculation, field)
        if matrix is None:
            continue
        target = field
        if field == "initial_hamiltonian" and precision.get(field) is not None:
            target, matrix = _smaller_initial(group, matrix)
        write_matrix(
            group.create_group(target),
            matrix,
            precision=precision.get(field),
            compression=compression,
        )
    write_description(
        group,
        calculation,
        *map(_pairs, (calculation.hamiltonian, calculation.overlap)),
    )
    correction = measure_correction(calculation)
    if correction is not None:
        group.attrs["correction"] = correction.mean
        if correction.shift is not None:
            group.attrs["initial_shift"] = correction.shift


def write_description(group, calculation, hamiltonian_pairs, overlap_pairs):
    """Writes all of a calculation but its matrices.

    Args:
        group: `h5py.Group`.
        calculation: `Calculation`, whose matrices are not looked at.
        hamiltonian_pairs, overlap_pairs: `(P, 5)` int arrays, without
            repetition.
    """
    atoms = group.create_group("atoms")
    atoms["numbers"] = calculation.atoms.numbers
    atoms["positions"] = calculation.atoms.positions
    atoms["cell"] = np.asarray(calculation.atoms.cell)
    atoms["pbc"] = calculation.atoms.pbc
    counts = _pair_counts(hamiltonian_pairs, overlap_pairs)
    group.attrs.update(
        {
            "spin": calculation.spin,
            "basis": json.dumps(calculation.basis.to_dict()),
            "source": json.dumps(calculation.source),
            **{f"num_pairs_{name}": n for name, n in counts.items()},
        }
    )
    for field in ("fermi_level", "num_electrons"):
        value = getattr(calculation, field)
        if value is not None:
            group.attrs[field] = float(value)


def read_structure(group, name):
    """Reads a group of `write_structure` as a `Calculation`.

    Raises:
        ValueError: if the group lacks a part or its sizes do not fit together.
    """
    if "atoms" not in group or "basis" not in group.attrs:
        raise ValueError(
            f"{group.file.filename}: structure {name!r} has no atoms or no "
            "basis. The file is damaged; write it again."
        )
    attributes = dict(group.attrs)
    matrices = {
        field: read_matrix(group[field]) if field in group else None
        for field in MATRICES
    }
    if DIFFERENCE in group:
        hamiltonian = matrices["hamiltonian"]
        difference = read_matrix(group[DIFFERENCE])
        matrices["initial_hamiltonian"] = hamiltonian.with_entries(
            hamiltonian.entries - difference.entries
        )
    return Calculation(
        atoms=read_atoms(group["atoms"]),
        basis=OrbitalBasis(json.loads(attributes["basis"])),
        spin=str(attributes["spin"]),
        fermi_level=_optional_float(attributes.get("fermi_level")),
        num_electrons=_optional_float(attributes.get("num_electrons")),
        name=name,
        source=json.loads(attributes["source"]),
        **matrices,
    )


def read_atoms(group):
    """Reads `ase.Atoms` from the group `atoms` of a structure."""
    return ase.Atoms(
        numbers=group["numbers"][()],
        positions=group["positions"][()],
        cell=group["cell"][()],
        pbc=group["pbc"][()],
    )


def pair_counts(calculation):
    """Numbers of pairs of a calculation in H, in S and in both.

    Args:
        calculation: `Calculation`.

    Returns:
        Dict with `hamiltonian`, `overlap` and `both`.
    """
    return _pair_counts(
        *map(_pairs, (calculation.hamiltonian, calculation.overlap))
    )


def _pairs(matrix):
    return np.zeros((0, 5), int) if matrix is None else matrix.atom_pairs


def _pair_counts(hamiltonian_pairs, overlap_pairs):
    either = np.concatenate([hamiltonian_pairs, overlap_pairs])
    return {
        "hamiltonian": len(hamiltonian_pairs),
        "overlap": len(overlap_pairs),
        "both": len(either) - len(np.unique(either, axis=0)),
    }


def pair_union(hamiltonian, overlap):
    """Union of the pairs of H and S, which may differ.

    Args:
        hamiltonian: `BlockMatrix` or `None`.
        overlap: `BlockMatrix` or `None`.

    Returns:
        `(atom_pairs, in_hamiltonian, in_overlap)`: `(P, 5)` ints and two `(P,)`
        bools. The Hamiltonian's pairs come first, in its order, then those of
        the overlap alone.
    """
    first = {} if hamiltonian is None else hamiltonian.index
    second = {} if overlap is None else overlap.index
    added = [pair for pair in second if pair not in first]
    pairs = np.array([*first, *added], dtype=np.int64).reshape(-1, 5)
    in_hamiltonian = np.arange(len(pairs)) < len(first)
    in_overlap = np.array(
        [pair in second for pair in first] + [True] * len(added), dtype=bool
    )
    return pairs, in_hamiltonian, in_overlap


def _smaller_initial(group, initial):
    """H - H⁰ on the pairs of the stored H, and its name; else H⁰ itself."""
    if "hamiltonian" in group:
        # As it is read back, so that rounding errors do not add up.
        hamiltonian = read_matrix(group["hamiltonian"])
        if np.array_equal(hamiltonian.atom_pairs, initial.atom_pairs):
            difference = hamiltonian.entries - initial.entries
            return DIFFERENCE, hamiltonian.with_entries(difference)
    return "initial_hamiltonian", initial


def _optional_float(value):
    return None if value is None else float(value)
