"""Time and memory of a prediction."""

import ctypes
import pathlib
import time

import numpy as np

from keras_hamiltonian.physics.k_points import periodic_directions
from keras_hamiltonian.prediction import predict_hamiltonian

STATUS = pathlib.Path("/proc/self/status")
CLEAR = pathlib.Path("/proc/self/clear_refs")


def prediction_costs(model, structures, num_repeats=2):
    """Time and memory of predicting the blocks of structures.

    Args:
        model: `Stage`.
        structures: iterable of `ase.Atoms`, or of `Calculation` with H⁰ for a
            model that takes it.
        num_repeats: int. Number of runs, of which the fastest counts; one
            more before them compiles.

    Returns:
        List of dicts, by size: `num_atoms`, `num_blocks` (atom pairs),
        `seconds` of wall time, `cpu_seconds` of all threads, and
        `peak_megabytes`: the increase of the resident memory of the process to
        its peak in the first run, without GPU memory. `None` where the system
        is not Linux.
    """
    found = []
    sizes = [(len(getattr(s, "atoms", s)), s) for s in structures]
    for num_atoms, structure in sorted(sizes, key=lambda pair: pair[0]):
        before = _clear_peak()
        matrix = predict_hamiltonian(model, structure)
        peak = None if before is None else _memory("VmHWM") - before
        times = []
        for _ in range(num_repeats):
            start = time.perf_counter(), time.process_time()
            predict_hamiltonian(model, structure, matrix.atom_pairs)
            wall = time.perf_counter() - start[0]
            times.append((wall, time.process_time() - start[1]))
        found.append(
            {
                "num_atoms": num_atoms,
                "num_blocks": len(matrix),
                "seconds": min(wall for wall, _ in times),
                "cpu_seconds": min(cpu for _, cpu in times),
                "peak_megabytes": peak,
            }
        )
    return found


def growing_cells(atoms, largest=200):
    """A structure and supercells of it, each about twice as large.

    Args:
        atoms: `ase.Atoms`.
        largest: int. Number of atoms in the largest supercell.

    Returns:
        List of `ase.Atoms`; the first one is the structure itself.
    """
    directions = np.flatnonzero(periodic_directions(atoms))
    repeat, cells = np.ones(3, dtype=int), [atoms]
    while len(directions):
        repeat[directions[np.argmin(repeat[directions])]] *= 2
        if len(atoms) * repeat.prod() > largest:
            break
        cells.append(atoms.repeat(repeat))
    return cells


def _clear_peak():
    """Resets the peak and returns the memory in use, in MB."""
    try:
        # Otherwise the run could use freed memory, which the peak contains.
        ctypes.CDLL(None).malloc_trim(0)
    except (AttributeError, OSError, TypeError):
        pass  # another C library
    try:
        CLEAR.write_text("5")
        return _memory("VmRSS")
    except OSError:
        return None


def _memory(field):
    lines = STATUS.read_text().splitlines()
    kilobytes = next(x.split()[1] for x in lines if x.startswith(field))
    return int(kilobytes) / 1e3
