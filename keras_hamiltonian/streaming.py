"""Predictions that are written as they are made."""

import json

import numpy as np

from keras_hamiltonian.data.calculation import Calculation
from keras_hamiltonian.data.matrix_rows import StoredRows
from keras_hamiltonian.data.store import HDF5_VERSION
from keras_hamiltonian.data.store import write_content
from keras_hamiltonian.data.structure_group import write_description
from keras_hamiltonian.files import check_name
from keras_hamiltonian.hdf5_files import new_hdf5
from keras_hamiltonian.models.placement import check_placement
from keras_hamiltonian.models.placement import on_device
from keras_hamiltonian.orbitals.block_matrix import BlockMatrix
from keras_hamiltonian.orbitals.gauge import shifted
from keras_hamiltonian.physics.fermi import total_electrons
from keras_hamiltonian.prediction import check_options
from keras_hamiltonian.prediction import prediction_source
from keras_hamiltonian.prediction import read_structure
from keras_hamiltonian.prediction import ready_model
from keras_hamiltonian.prediction import slab_prediction
from keras_hamiltonian.prediction import structure_of
from keras_hamiltonian.structures.slabs import Links
from keras_hamiltonian.uncertainty.prediction_warnings import structure_warnings


def stream_prediction(
    path,
    model,
    atoms,
    overlap=None,
    num_electrons=None,
    name=None,
    num_rotations=None,
    seed=0,
    initial=None,
    max_memory=None,
    progress=None,
    device=None,
    dtype=None,
):
    """Predicts a structure slab by slab into a container.

    Of H and S no more than a slab is in memory, so that the size of the
    structure is bounded by the disk. The file appears when it is complete. One
    block of each pair and its reverse is stored. The Fermi level, which takes
    eigenvalues, is not in it.

    Args:
        path: str or path. The container; a file is replaced.
        model, atoms, overlap, num_electrons, name: see `kh.predict`.
        num_rotations, seed, initial, progress: see `kh.predict`. The spread
            over rotations is not kept.
        max_memory: see `kh.predict`. Defaults to no limit: one slab.
        device, dtype: see `kh.predict`.

    Returns:
        List of warnings, see `Prediction`. `kh.HamiltonianStore(path)[name]`
        is the `Calculation`.

    Raises:
        ValueError: as `kh.predict` does.
        OSError: if the file cannot be written.

    Example:

    >>> atoms = ase.io.read("twisted.cif")                 # doctest: +SKIP
    >>> kh.stream_prediction(
    ...     "twisted.h5", "graphene.keras", atoms, max_memory="4GB"
    ... )                                                  # doctest: +SKIP
    []
    """
    check_placement(device, dtype)
    with on_device(device):
        model = ready_model(model, device, dtype)
        check_options(model, num_rotations)
        atoms, name = read_structure(atoms, name)
        name = check_name(name)
        known = structure_of(model, atoms, overlap, initial, name)
        run = slab_prediction(
            model,
            known,
            num_rotations,
            seed,
            model.error_estimate is not None,
            max_memory,
            is_kept=False,
        )
        return _stream(path, run, name, num_electrons, progress)


def _stream(path, run, name, num_electrons, progress):
    """Writes a `SlabPrediction`, and returns its warnings."""
    model, known = run.model, run.known
    estimate = model.error_estimate
    own_overlap = _OverlapRows(model, known)
    with new_hdf5(path, libver=HDF5_VERSION) as root:
        group = root.create_group("structures").create_group(name)
        features = _write_matrices(root, group, run, own_overlap, progress)
        write_description(
            group,
            Calculation(
                known.atoms,
                model.basis,
                spin=model.spin,
                num_electrons=_electrons(model, known, num_electrons),
                name=name,
                source=prediction_source(model),
            ),
            run.atom_pairs,
            own_overlap.atom_pairs,
        )
        write_content(root, [name], model.spin, model.basis)
        root.attrs["attributes"] = json.dumps({})
    if estimate is None:
        return []
    symbols = known.atoms.get_chemical_symbols()
    novelty = estimate.novelty(symbols, features)
    return structure_warnings(model, known.atoms, novelty)


def _write_matrices(root, group, run, overlap, progress):
    """Writes H and S, and returns the features of the atoms, or `None`."""
    model = run.model
    dtype = float if model.spin == "none" else complex
    hamiltonian = StoredRows(
        group.create_group("hamiltonian"), run.atom_pairs, run.shapes, dtype
    )
    stored = None
    if overlap.is_known:
        stored = StoredRows(
            group.create_group("overlap"),
            overlap.atom_pairs,
            overlap.shapes,
            float,
        )

    def write(rows, slab):
        hamiltonian.put(rows.positions, rows.hamiltonian)
        if stored is not None:
            stored.put(*overlap.of_slab(slab))
        root.check_disk()

    features = run.each(write, progress)
    if model.energy_shift is not None and overlap.is_known:
        shift = model.energy_shift(run.known.atoms, run.initial)
        for slab in run.slabs:
            _, weights = overlap.of_slab(slab)
            hamiltonian.change(
                slab.rows(run.atom_pairs),
                lambda rows, weights=weights: shifted(rows, shift, weights),
            )
            root.check_disk()
    return features


def _electrons(model, known, num_electrons):
    if num_electrons is not None:
        return total_electrons(known.atoms, num_electrons)
    if known.num_electrons is not None:
        return known.num_electrons
    return model.num_electrons(known.atoms)


class _OverlapRows:
    """The overlap of the own atoms of a slab.

    Args:
        model: `Stage`.
        known: `Calculation`, whose overlap is taken if it has one.

    Attributes:
        is_known: bool. Whether there is an overlap at all.
        atom_pairs, shapes: of the whole.
    """

    def __init__(self, model, known):
        self.atoms, self.given = known.atoms, known.overlap
        self.compute = model.overlap
        self.is_known = self.given is not None or self.compute is not None
        if self.given is not None:
            self.atom_pairs = self.given.atom_pairs
        elif self.is_known:
            source = model.zeroth_step or model.overlap
            self.atom_pairs = source.atom_pairs(known.atoms)
        else:
            self.atom_pairs = np.zeros((0, 5), dtype=np.int64)
        self.shapes = known.num_orbitals[self.atom_pairs[:, 3:]]
        self.links = Links(len(known.atoms), self.atom_pairs)

    def of_slab(self, slab):
        """Positions of the pairs of the own atoms, and their `BlockMatrix`."""
        positions = slab.rows(self.atom_pairs)
        if self.given is not None:
            return positions, self.given.select(positions)
        region = self.links.around(slab.own, 1)
        matrix = self.compute(self.atoms[region])
        own = slab.own[np.flatnonzero(region)]
        matrix = matrix.select(own[matrix.atom_pairs[:, 3]])
        pairs = self.atom_pairs[positions]
        return positions, BlockMatrix(pairs, matrix.shapes, matrix.entries)
