"""Eigenstates of labels in files that several trainings share."""

import hashlib
import json
import pathlib
import urllib.parse

import h5py
import numpy as np

from keras_hamiltonian.electronic_structure import ElectronicStructure
from keras_hamiltonian.hdf5_files import new_hdf5
from keras_hamiltonian.physics.fermi import k_grid_points
from keras_hamiltonian.physics.k_points import k_grid
from keras_hamiltonian.physics.states import lowest_states

FORMAT = "keras_hamiltonian label states 1"


class StateFolder:
    """A folder with the eigenstates of each structure, one file for each.

    A file appears when it is complete, and is made anew where the structure,
    H or S have changed; other arguments have a folder of their own inside. A
    file takes 8 bytes times `num_k_points`,
    `num_states` and the number of orbitals.

    Layout of a file::

        /              attributes: format, checksum
        /k_vectors     (num_k, 3) float64, 1/Å, with the factor 2π
        /energies      (num_k, num_states) float64, eV above the Fermi level
        /is_p          (num_k, num_states) bool
        /states        (num_k, orbitals, num_states) complex64

    The states belong to `H(k) = Σ_R H(R) exp(i k·r_ij)`, with the vectors of
    the edges in place of lattice translations.

    Args:
        path: str or path. Need not be there.
        mesh: three ints. Monkhorst-Pack sizes of a mesh with Γ. Defaults to
            `k_grid` of the structure.
        window: float. States up to this energy above the Fermi level are P,
            the others Q, in eV.
        num_k_points: int. Points of the mesh that are kept, drawn for each
            structure.
        num_states: int. States that are kept at each point: all of a small
            cell; of a larger one drawn, half of them from P.
    """

    def __init__(
        self, path, mesh=None, window=3.0, num_k_points=8, num_states=256
    ):
        self.mesh = None if mesh is None else tuple(mesh)
        self.window = float(window)
        self.num_k_points = num_k_points
        self.num_states = num_states
        options = json.dumps([FORMAT, vars(self)], sort_keys=True)
        digest = hashlib.sha256(options.encode())
        self.path = pathlib.Path(path) / digest.hexdigest()[:8]

    def fill(self, calculations):
        """Solves the structures that are not there yet.

        Args:
            calculations: iterable of `Calculation` with names, Hamiltonian,
                overlap, and a Fermi level or a number of electrons.

        Returns:
            int. Number of structures that were solved.

        Raises:
            ValueError: if a calculation lacks something.
        """
        number = 0
        for calculation in calculations:
            checksum = _checksum(calculation)
            if self._attributes(calculation.name).get("checksum") == checksum:
                continue
            found = self._solve(calculation, checksum)
            with new_hdf5(self._file(calculation.name)) as file:
                file.attrs.update({"format": FORMAT, "checksum": checksum})
                for name, x in found.items():
                    file[name] = x
            number += 1
        return number

    def shape(self, name):
        """Numbers of wave vectors, orbitals and states of a structure."""
        with self._open(name) as file:
            return file["states"].shape

    def read(self, name, number):
        """States at one wave vector.

        Args:
            name: str. Of the structure.
            number: int. Which of the wave vectors.

        Returns:
            Dict of the data sets of the file at this wave vector.

        Raises:
            ValueError: if there is no file of the structure.
        """
        with self._open(name) as file:
            return {key: x[number] for key, x in file.items()}

    def _file(self, name):
        return self.path / f"{urllib.parse.quote(name, safe='')}.h5"

    def _open(self, name):
        path = self._file(name)
        if self._attributes(name).get("format") != FORMAT:
            raise ValueError(
                f"{path} has no states of the structure {name!r}. Call "
                "`fill(calculations)` first."
            )
        return h5py.File(path, "r", locking=False)

    def _attributes(self, name):
        try:
            with h5py.File(self._file(name), "r", locking=False) as file:
                return dict(file.attrs)
        except Exception:
            return {}  # missing, or damaged

    def _solve(self, calculation, checksum):
        crystal = ElectronicStructure(calculation)
        matrices = crystal.matrices
        random = np.random.default_rng(int(checksum[:16], 16))
        mesh = self.mesh or k_grid(crystal.atoms)
        k_points, _ = k_grid_points(matrices, mesh, gamma_centered=True)
        kept = random.permutation(len(k_points))[: self.num_k_points]
        inverse = np.linalg.inv(crystal.atoms.cell.complete().array).T
        k_vectors = 2 * np.pi * k_points[np.sort(kept)] @ inverse
        found = {"k_vectors": k_vectors, "energies": [], "is_p": []}
        found["states"] = []
        for k_point, k_vector in zip(k_points[np.sort(kept)], k_vectors):
            solved = lowest_states(matrices, k_point)
            energies = solved.energies - crystal.fermi_level
            is_p = energies <= self.window
            drawn = _draw(is_p, self.num_states, random)
            phases = np.exp(-1j * crystal.atoms.positions @ k_vector)
            phases = np.repeat(phases, matrices.num_orbitals)[:, None]
            states = phases * solved.coefficients[:, drawn]
            found["energies"].append(energies[drawn])
            found["is_p"].append(is_p[drawn])
            found["states"].append(states.astype(np.complex64))
        return found


def _checksum(calculation):
    """Of all that the states of a structure depend on."""
    level = calculation.fermi_level, calculation.num_electrons
    digest = hashlib.sha256(f"{level}".encode())
    atoms = calculation.atoms
    arrays = [atoms.numbers, atoms.positions, atoms.cell.array]
    for matrix in (calculation.hamiltonian, calculation.overlap):
        if matrix is not None:
            arrays += [matrix.atom_pairs, matrix.entries]
    for x in arrays:
        digest.update(np.ascontiguousarray(x).tobytes())
    return digest.hexdigest()


def _draw(is_p, number, random):
    """Positions of at most `number` states, ascending, half of them of P."""
    p, q = (random.permutation(np.flatnonzero(x)) for x in (is_p, ~is_p))
    num_p = min(len(p), max(number // 2, number - len(q)))
    return np.sort(np.concatenate([p[:num_p], q[: number - num_p]]))
