"""One calculation as one HDF5 group."""

import json

import ase
import numpy as np

from keras_hamiltonian.data.calculation import Calculation
from keras_hamiltonian.data.matrix_group import read_matrix
from keras_hamiltonian.data.matrix_group import write_matrix
from keras_hamiltonian.orbitals.basis import OrbitalBasis

MATRICES = ("hamiltonian", "overlap", "initial_hamiltonian")


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
    atoms = group.create_group("atoms")
    atoms["numbers"] = calculation.atoms.numbers
    atoms["positions"] = calculation.atoms.positions
    atoms["cell"] = np.asarray(calculation.atoms.cell)
    atoms["pbc"] = calculation.atoms.pbc
    for field in MATRICES:
        matrix = getattr(calculation, field)
        if matrix is not None:
            write_matrix(
                group.create_group(field),
                matrix,
                precision=precision.get(field),
                compression=compression,
            )
    _, in_hamiltonian, in_overlap = pair_union(
        calculation.hamiltonian, calculation.overlap
    )
    group.attrs.update(
        {
            "spin": calculation.spin,
            "basis": json.dumps(calculation.basis.to_dict()),
            "source": json.dumps(calculation.source),
            "num_pairs_hamiltonian": int(in_hamiltonian.sum()),
            "num_pairs_overlap": int(in_overlap.sum()),
            "num_pairs_both": int((in_hamiltonian & in_overlap).sum()),
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
    return Calculation(
        atoms=read_atoms(group["atoms"]),
        basis=OrbitalBasis(json.loads(attributes["basis"])),
        spin=str(attributes["spin"]),
        fermi_level=_optional_float(attributes.get("fermi_level")),
        num_electrons=_optional_float(attributes.get("num_electrons")),
        name=name,
        source=json.loads(attributes["source"]),
        **{
            field: read_matrix(group[field]) if field in group else None
            for field in MATRICES
        },
    )


def read_atoms(group):
    """Reads `ase.Atoms` from the group `atoms` of a structure."""
    return ase.Atoms(
        numbers=group["numbers"][()],
        positions=group["positions"][()],
        cell=group["cell"][()],
        pbc=group["pbc"][()],
    )


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


def _optional_float(value):
    return None if value is None else float(value)
