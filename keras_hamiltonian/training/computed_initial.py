"""H⁰ of a training set, computed from the species of its elements."""

import time

import numpy as np

from keras_hamiltonian.conventions import MEV_PER_EV
from keras_hamiltonian.data.store import HamiltonianStore
from keras_hamiltonian.data.store import is_store
from keras_hamiltonian.data.zeroth_step_store import ZerothStepStore
from keras_hamiltonian.initial import zeroth_calculation
from keras_hamiltonian.orbitals.gauge import aligned

# In the folder of a run.
FILE = "zeroth_step.h5"
# eV. On the grid H⁰ is off by 0.04 to 0.16 meV on the mean, with another
# functional, potential or basis by far more.
LARGEST_MEAN = 1e-3
NUM_COMPARED = 5


def with_computed_initial(store, split, zeroth_step, folder, fingerprint):
    """A set with the H⁰ that predictions will start from.

    H⁰ in the files is compared with it, and then not used: labels H - H⁰ have
    to be those of the H⁰ that a prediction adds, errors of the grid included.

    Args:
        store: `HamiltonianStore`.
        split: `Split`. H⁰ of its structures is computed.
        zeroth_step: `ZerothStep`.
        folder: path. Keeps H⁰ for a run that resumes, in `zeroth_step.h5`.
        fingerprint: str. Checksum of all that H⁰ depends on.

    Returns:
        `ZerothStepStore`.

    Raises:
        ValueError: if the species have other orbitals or another spin layout
            than the data, or their H⁰ is not that of the files.
    """
    _check_layout(store, zeroth_step)
    names = [*split.train, *split.validate, *split.test]
    path = folder / FILE
    # Before hours of work on the wrong species.
    agreement = _agreement(store, names, zeroth_step)
    wanted = {"fingerprint": fingerprint}
    if not is_store(path) or HamiltonianStore(path).attributes != wanted:
        start = time.process_time()
        computed = (
            zeroth_calculation(zeroth_step, store.atoms(name), name)
            for name in names
        )
        HamiltonianStore.write(path, computed, wanted).close()
        seconds = time.process_time() - start
        print(f"H⁰ of {len(names)} structures: {seconds:.0f} CPU seconds.")
    found = ZerothStepStore(store, HamiltonianStore(path), zeroth_step)
    found.attributes["zeroth_step"]["difference_in_files"] = agreement
    return found


def _check_layout(store, zeroth_step):
    ours, theirs = store.basis.to_dict(), zeroth_step.basis.to_dict()
    for symbol, shells in ours.items():
        if theirs.get(symbol, shells) != shells:
            raise ValueError(
                f"{symbol} has the orbitals {shells} in the data, and "
                f"{theirs[symbol]} in the species. Give the input of one of "
                "the calculations as `species_input`."
            )
    missing = sorted(set(ours) - set(theirs))
    if missing:
        raise ValueError(
            f"There are no species of {', '.join(missing)}; known: "
            f"{', '.join(theirs)}. Give an input with all elements of the "
            "data as `species_input`."
        )
    if store.spin != zeroth_step.spin:
        raise ValueError(
            f"The data have spin={store.spin!r}, the species are for "
            f"spin={zeroth_step.spin!r}. Give the input of one of the "
            "calculations as `species_input`."
        )


def _agreement(store, names, zeroth_step):
    """Mean and largest difference of the files' H⁰ and the computed one in
    meV, of a few structures; `None` where no file has it."""
    known = [name for name in names if store.has_initial(name)][:NUM_COMPARED]
    if not known:
        return None
    means, largest = [], 0.0
    for name in known:
        initial = store[name].initial_hamiltonian
        computed, _ = zeroth_step(store.atoms(name))
        error = aligned(computed, initial, "computed H⁰").entries
        error = np.abs(error - initial.entries)
        means.append(error.mean())
        largest = max(largest, float(error.max()))
    mean = float(np.mean(means))
    words = (
        f"{MEV_PER_EV * mean:.3f} meV on the mean, at most "
        f"{MEV_PER_EV * largest:.3g} meV ({len(known)} structures)"
    )
    if mean > LARGEST_MEAN:
        raise ValueError(
            f"H⁰ of the species is not that of the data: they differ by "
            f"{words}. Potentials, functional, grid cut-off or spin-orbit "
            "coupling are others than those of the calculations: give the "
            "input of one of them as `species_input`."
        )
    print(f"H⁰ of the species and of the files differ by {words}.")
    return {
        "mean_mev": MEV_PER_EV * mean,
        "largest_mev": MEV_PER_EV * largest,
        "structures": known,
    }
