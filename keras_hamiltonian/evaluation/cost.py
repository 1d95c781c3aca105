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
        structures: iterable of `ase.Atoms`.
        num_repeats: int. The fastest of so many runs counts, after one that
            compiles and warms up.

    Returns:
        List of dicts, by size: `num_atoms`, `num_blocks` (atom pairs),
        `seconds` of wall time, `cpu_seconds` of all threads, and
        `peak_megabytes`: what resident memory of the process peaks at in the
        first run, over that before it; that of a GPU is not in it. `None`
        where the system does not tell, which is anywhere but on Linux.
    """
    found = []
    for atoms in sorted(structures, key=len):
        before = _clear_peak()
        matrix = predict_hamiltonian(model, atoms)
        peak = None if before is None else _memory("VmHWM") - before
        times = []
        for _ in range(num_repeats):
            start = time.perf_counter(), time.process_time()
            predict_hamiltonian(model, atoms, matrix.atom_pairs)
            wall = time.perf_counter() - start[0]
            times.append((wall, time.process_time() - start[1]))
        found.append(
            {
                "num_atoms": len(atoms),
                "num_blocks": len(matrix),
                "seconds": min(wall for wall, _ in times),
                "cpu_seconds": min(cpu for _, cpu in times),
                "peak_megabytes": peak,
            }
        )
    return found


def growing_cells(atoms, largest=200):
    """A structure and repetitions of it, each about twice as large.

    Args:
        atoms: `ase.Atoms`.
        largest: int. Atoms of the largest one; the structure itself always
            comes.

    Returns:
        List of `ase.Atoms`.
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
    """Lets the peak start anew and returns the memory now, in MB."""
    try:
        # Freed memory that the process keeps would be used without a trace.
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
