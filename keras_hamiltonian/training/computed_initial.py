"""H⁰ of a training set, computed from the species of its elements."""

import dataclasses
import hashlib
import json
import shutil
import time

import numpy as np

from keras_hamiltonian.conventions import MEV_PER_EV
from keras_hamiltonian.data.store import HamiltonianStore
from keras_hamiltonian.data.store import is_store
from keras_hamiltonian.data.zeroth_step_store import ZerothStepStore
from keras_hamiltonian.initial import zeroth_calculation
from keras_hamiltonian.messages import counted
from keras_hamiltonian.messages import logger
from keras_hamiltonian.orbitals.gauge import aligned
from keras_hamiltonian.orbitals.matrix_elements import least_squares_shift
from keras_hamiltonian.orbitals.matrix_elements import overlap_of_elements
from keras_hamiltonian.training.fingerprint import fingerprint

# In the folder of a run; the folder holds what is computed until all is.
FILE = "zeroth_step.h5"
PARTS = "zeroth_step"
# eV. On the grid H⁰ is off by 0.04 to 0.16 meV on the mean, with another
# functional, potential or basis by far more.
LARGEST_MEAN = 1e-3
NUM_COMPARED = 5
HOW = (
    "`species_input` (--input), an input of OpenMX, or `species_orbitals` "
    "(--orbitals)"
)


def with_computed_initial(store, split, zeroth_step, folder):
    """A set with the H⁰ that predictions will start from.

    H⁰ in the files is compared with it, and then not used: labels H - H⁰ have
    to be those of the H⁰ that a prediction adds, errors of the grid included.
    Each structure is kept as soon as it is computed.

    Args:
        store: `HamiltonianStore`.
        split: `Split`. H⁰ of its structures is computed.
        zeroth_step: `ZerothStep`.
        folder: path. Keeps H⁰ for a run that resumes, in `zeroth_step.h5`.

    Returns:
        `ZerothStepStore`.

    Raises:
        ValueError: if the species have other orbitals or another spin layout
            than the data, or their H⁰ is not that of the files.
    """
    _check_layout(store, zeroth_step)
    names = [*split.train, *split.validate, *split.test]
    parts = _Parts(store, zeroth_step, folder / PARTS)
    path = folder / FILE
    wanted = {"structures": [parts.checksum(name) for name in names]}
    is_done = is_store(path) and HamiltonianStore(path).attributes == wanted
    found = HamiltonianStore(path) if is_done else parts
    # Those in the files first: before hours of work on the wrong species.
    start = time.process_time()
    agreement = _agreement(store, names, found)
    if not is_done:
        parts.compute(names)
        computed = map(parts.__getitem__, names)
        HamiltonianStore.write(path, computed, wanted).close()
        seconds = time.process_time() - start
        logger.info(
            f"H⁰ of {len(names)} structures: {seconds:.0f} CPU seconds."
        )
    shutil.rmtree(parts.folder, ignore_errors=True)
    found = ZerothStepStore(store, HamiltonianStore(path), zeroth_step)
    found.attributes["zeroth_step"]["difference_in_files"] = agreement
    return found


class _Parts:
    """H⁰ of single structures, each in a file when it is complete."""

    def __init__(self, store, zeroth_step, folder):
        self.store, self.zeroth_step = store, zeroth_step
        self.folder = folder
        self.method = fingerprint([], zeroth_step=zeroth_step.describe())

    def checksum(self, name):
        """Of all that H⁰ of a structure depends on."""
        atoms = self.store.atoms(name)
        arrays = atoms.positions, atoms.cell.array
        values = [x.tolist() for x in (*arrays, atoms.numbers, atoms.pbc)]
        text = json.dumps([self.method, values])
        return hashlib.sha256(text.encode()).hexdigest()

    def __getitem__(self, name):
        """The `Calculation` of a structure, computed unless it is there."""
        path = self._path(name)
        if not path.is_file():
            atoms = self.store.atoms(name)
            found = zeroth_calculation(self.zeroth_step, atoms, name)
            HamiltonianStore.write(path, [found]).close()
        with HamiltonianStore(path) as part:
            return dataclasses.replace(part[0], name=name)

    def compute(self, names):
        """Computes what is not there yet, with a bar after a few seconds."""
        names = [name for name in names if not self._path(name).is_file()]
        for name in counted(names, "H⁰"):
            self[name]

    def _path(self, name):
        return self.folder / f"{self.checksum(name)}.h5"


def _check_layout(store, zeroth_step):
    ours, theirs = store.basis.to_dict(), zeroth_step.basis.to_dict()
    for symbol, shells in ours.items():
        if theirs.get(symbol, shells) != shells:
            raise ValueError(
                f"{symbol} has the orbitals {shells} in the data, and "
                f"{theirs[symbol]} in the species. Give those of the "
                f"calculations: {HOW}."
            )
    missing = sorted(set(ours) - set(theirs))
    if missing:
        raise ValueError(
            f"There are no species of {', '.join(missing)}; known: "
            f"{', '.join(theirs)}. Give those of all elements: {HOW}."
        )
    if store.spin != zeroth_step.spin:
        raise ValueError(
            f"The data have spin={store.spin!r}, the species are for "
            f"spin={zeroth_step.spin!r}. Give the input of one of the "
            "calculations as `species_input`, or `species_spin_orbit` "
            "(--spin-orbit)."
        )


def _agreement(store, names, computed):
    """Mean and largest difference of the files' H⁰ and the computed one, and
    the shift of the energy zero between them, in meV, of a few structures;
    `None` where no file has it."""
    known = [name for name in names if store.has_initial(name)][:NUM_COMPARED]
    if not known:
        return None
    means, shifts, largest = [], [], 0.0
    for name in known:
        initial, found = store[name].initial_hamiltonian, computed[name]
        matrix = aligned(found.hamiltonian, initial, "computed H⁰")
        # H⁰ and H⁰ + μS are the same physics.
        overlap = overlap_of_elements(initial, found.overlap)
        error = initial.entries - matrix.entries
        shifts.append(least_squares_shift(error, overlap))
        error = np.abs(error - shifts[-1] * overlap)
        means.append(error.mean())
        largest = max(largest, float(error.max()))
    mean, shift = float(np.mean(means)), float(np.mean(shifts))
    words = (
        f"{MEV_PER_EV * mean:.3f} meV on the mean, at most "
        f"{MEV_PER_EV * largest:.3g} meV, after a shift of the energy zero by "
        f"{MEV_PER_EV * shift:.3f} meV ({len(known)} structures)"
    )
    if mean > LARGEST_MEAN:
        raise ValueError(
            f"H⁰ of the species is not that of the data: they differ by "
            f"{words}. Potentials, functional, grid cut-off or spin-orbit "
            "coupling are others than those of the calculations: `species_"
            "input` takes them from an input of OpenMX, `species_functional` "
            "and others say them; `keras-hamiltonian check --species` looks "
            "for what differs."
        )
    logger.info(f"H⁰ of the species and of the files differ by {words}.")
    return {
        "mean_mev": MEV_PER_EV * mean,
        "largest_mev": MEV_PER_EV * largest,
        "shift_mev": MEV_PER_EV * shift,
        "structures": known,
    }
