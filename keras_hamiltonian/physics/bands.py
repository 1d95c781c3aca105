"""Band energies from H(k) and S(k)."""

import dataclasses
import json
import pathlib

import numpy as np
import scipy.linalg
import scipy.sparse.linalg

from keras_hamiltonian.physics.k_points import KPath


@dataclasses.dataclass
class BandStructure:
    """Band energies along a path.

    Attributes:
        path: `KPath`.
        energies: `(num_k, num_bands)` array in eV, ascending; NaN where a
            wave vector has fewer bands than others.
        fermi_level: float in eV, or `None`.
    """

    path: KPath
    energies: np.ndarray
    fermi_level: float | None = None

    @property
    def k_points(self):
        """`(num_k, 3)` array of fractional wave vectors."""
        return self.path.k_points

    @property
    def distances(self):
        """`(num_k,)` array: length of the path so far, in 1/Å."""
        return self.path.distances

    @property
    def labels(self):
        """List of `(position in k_points, name)`."""
        return self.path.labels

    def gap(self):
        """The band gap along the path, in eV; 0 if bands cross the level.

        Raises:
            ValueError: if the Fermi level is unknown or no band lies on one of
                its sides.
        """
        if self.fermi_level is None:
            raise ValueError(
                "A gap needs the Fermi level; set `fermi_level`, for example "
                "from `find_fermi_level`."
            )
        occupied = self.energies <= self.fermi_level
        counts = occupied.sum(axis=1)
        if counts.min() == 0 or counts.max() == self.energies.shape[1]:
            raise ValueError(
                f"The Fermi level {self.fermi_level} eV lies outside the "
                f"{self.energies.shape[1]} bands at hand."
            )
        if counts.min() < counts.max():
            return 0.0
        top = counts[0] - 1
        return float(
            self.energies[:, top + 1].min() - self.energies[:, top].max()
        )

    def save(self, path):
        """Writes the bands to a file: JSON text, or `.npz` by its suffix."""
        path = pathlib.Path(path)
        fields = {
            "k_points": self.k_points,
            "distances": self.distances,
            "energies": self.energies,
            "labels": json.dumps(self.labels),
            "fermi_level": json.dumps(self.fermi_level),
            "units": "energies eV, distances 1/Å, k_points fractional",
        }
        if path.suffix == ".npz":
            np.savez_compressed(path, **fields)
            return
        lists = {
            key: value.tolist() if isinstance(value, np.ndarray) else value
            for key, value in fields.items()
        }
        path.write_text(json.dumps(lists))

    @classmethod
    def load(cls, path):
        """Reads what `save` wrote."""
        path = pathlib.Path(path)
        if path.suffix == ".npz":
            with np.load(path) as archive:
                fields = {key: archive[key] for key in archive}
        else:
            fields = json.loads(path.read_text())
        labels = [(n, name) for n, name in json.loads(str(fields["labels"]))]
        return cls(
            KPath(
                np.array(fields["k_points"]),
                np.array(fields["distances"]),
                labels,
            ),
            np.array(fields["energies"], dtype=np.float64),
            json.loads(str(fields["fermi_level"])),
        )


def band_structure(matrices, path, fermi_level=None, **options):
    """Band energies along a path.

    Args:
        matrices: `BlochMatrices`.
        path: `KPath`, from `k_path`.
        fermi_level: float in eV, or `None`.
        **options: of `solve_bands`.

    Returns:
        `BandStructure`.

    Example:

    >>> from keras_hamiltonian.orbitals.block_matrix import BlockMatrix
    >>> from keras_hamiltonian.physics.hamiltonian import BlochMatrices
    >>> dimers = BlockMatrix.from_blocks(
    ...     [(0, 0, 0, 0, 1), (0, 0, 0, 1, 0)], [-np.eye(1), -np.eye(1)]
    ... )
    >>> matrices = BlochMatrices(dimers, None, [1, 1])
    >>> path = KPath.from_points([[0, 0, 0], [0.5, 0, 0]], np.eye(3))
    >>> band_structure(matrices, path, fermi_level=0.0).gap()
    2.0
    """
    energies = solve_bands(matrices, path.k_points, **options)
    return BandStructure(path, energies, fermi_level)


def solve_bands(
    matrices, k_points, num_bands=None, around=None, overlap_threshold=None
):
    """Solves `H(k) c = E S(k) c` at each wave vector.

    Args:
        matrices: `BlochMatrices`.
        k_points: `(num_k, 3)` array, fractional.
        num_bands: int. How many bands; defaults to all.
        around: float in eV. With `num_bands`, the bands nearest to this energy
            by sparse shift-invert, for large cells; otherwise the lowest.
        overlap_threshold: float. Leaves out combinations of orbitals whose
            norm (eigenvalue of S(k)) is smaller. Defaults to none.

    Returns:
        `(num_k, num_bands)` array in eV, ascending; NaN where combinations
        were left out.

    Raises:
        ValueError: if S(k) is not positive definite, or the options clash.
    """
    if around is not None and (num_bands is None or overlap_threshold):
        raise ValueError(
            "`around` asks for a part of the bands: give `num_bands`, and no "
            "`overlap_threshold`."
        )
    num_bands = matrices.size if num_bands is None else num_bands
    if not 1 <= num_bands <= matrices.size:
        raise ValueError(
            f"`num_bands` is 1 to {matrices.size}. Received: {num_bands}."
        )
    if around is not None and num_bands < matrices.size - 1:
        return np.array(
            [_solve_near(matrices, k, num_bands, around) for k in k_points]
        )
    if overlap_threshold is not None:
        energies = np.array(
            [_solve_projected(matrices, k, overlap_threshold) for k in k_points]
        )
        return energies[:, :num_bands]
    return np.array([_solve_all(matrices, k, num_bands) for k in k_points])


def _solve_all(matrices, k_point, num_bands):
    hamiltonian, overlap = matrices.dense_at(k_point)
    subset = None if num_bands == len(overlap) else (0, num_bands - 1)
    try:
        return scipy.linalg.eigh(
            hamiltonian,
            overlap,
            eigvals_only=True,
            subset_by_index=subset,
            check_finite=False,
        )
    except np.linalg.LinAlgError as error:
        smallest = np.linalg.eigvalsh(overlap)[0]
        raise ValueError(
            f"S(k) at k = {np.round(k_point, 4).tolist()} is not positive "
            f"definite: its smallest eigenvalue is {smallest:.3e}. Either the "
            "overlap does not belong to this structure or lacks pairs, or the "
            "orbitals are nearly dependent; then leave out the dependent "
            "combinations with `overlap_threshold=1e-5`."
        ) from error


def _solve_projected(matrices, k_point, threshold):
    hamiltonian, overlap = matrices.dense_at(k_point)
    norms, vectors = np.linalg.eigh(overlap)
    kept = norms > threshold
    vectors = vectors[:, kept] / np.sqrt(norms[kept])
    energies = np.full(len(norms), np.nan)
    energies[: kept.sum()] = np.linalg.eigvalsh(
        vectors.conj().T @ hamiltonian @ vectors
    )
    return energies


def _solve_near(matrices, k_point, num_bands, energy):
    return np.sort(
        scipy.sparse.linalg.eigsh(
            matrices.hamiltonian_at(k_point).tocsc(),
            k=num_bands,
            M=matrices.overlap_at(k_point).tocsc(),
            sigma=energy,
            return_eigenvectors=False,
        )
    )
