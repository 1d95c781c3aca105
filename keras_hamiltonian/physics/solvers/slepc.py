"""One eigenproblem on many machines: PETSc's files, and SLEPc."""

import os
import pathlib
import shlex
import subprocess
import tempfile

import numpy as np
import scipy.sparse

from keras_hamiltonian.physics.solvers.shift_invert import rayleigh_ritz

# What starts the program, where `KH_SLEPC` does not say.
COMMAND = "mpirun -n 2 python3"
PROGRAM = pathlib.Path(__file__).with_name("slepc_program.py")
# The first number of a matrix in PETSc's binary format.
MATRIX_CLASS = 1211216


def write_petsc(path, matrix, scalars="complex"):
    """Writes a sparse matrix in PETSc's binary format.

    The file is read by `MatLoad` of any PETSc with 32-bit indices and these
    scalars, on any number of processes. Format: PETSc's manual page of
    `MatLoad`.

    Args:
        path: str or path.
        matrix: sparse `(n, n)` matrix.
        scalars: `"complex"` or `"real"`, as PETSc was built. A complex matrix
            has no file with real ones.

    Raises:
        ValueError: if the matrix has more than 2^31 - 1 elements.
    """
    matrix = scipy.sparse.csr_matrix(matrix)
    matrix.sum_duplicates()
    if matrix.nnz >= 2**31:
        raise ValueError(
            f"The matrix has {matrix.nnz} elements, and 32-bit indices of "
            f"PETSc allow {2**31 - 1}."
        )
    head = [MATRIX_CLASS, *matrix.shape, matrix.nnz]
    with open(path, "wb") as file:
        for numbers, kind in (
            (head, ">i4"),
            (np.diff(matrix.indptr), ">i4"),
            (matrix.indices, ">i4"),
            (matrix.data, {"complex": ">c16", "real": ">f8"}[scalars]),
        ):
            file.write(np.asarray(numbers).astype(kind).tobytes())


def slepc_states(matrices, k_point, energy, num_states):
    """The states nearest to an energy, found by SLEPc.

    H(k) and S(k) are written into a scratch folder, in PETSc's format, and
    `slepc_program.py` is started with the command of the environment variable
    `KH_SLEPC`, by default `mpirun -n 2 python3`. That Python needs slepc4py for
    complex numbers, for example Debian's `python3-slepc4py-complex`; it need
    not be the one that runs here. The folder must be seen by all machines:
    `TMPDIR` chooses it.

    Args:
        matrices: `BlochMatrices` without an overlap threshold.
        k_point: `(3,)` array, fractional.
        energy: float, in eV.
        num_states: int.

    Returns:
        `(num_states,)` energies in eV, `(num_orbitals, num_states)`
        coefficients, the largest norm `|H c - E S c|` in eV, and `None`: SLEPc
        does not count the states below for complex matrices.

    Raises:
        ValueError: if the program fails, or finds fewer states.
    """
    _check(matrices)
    energies, found, residual, _ = _run(
        matrices.hamiltonian_at(k_point),
        matrices.overlap_at(k_point),
        "complex",
        ["nearest", repr(float(energy)), str(num_states)],
    )
    if len(energies) < num_states:
        raise ValueError(
            f"SLEPc found {len(energies)} of {num_states} states. Ask for "
            "fewer, or near another energy."
        )
    return energies, found, residual, None


def slepc_window(matrices, k_point, window):
    """All states between two energies, by SLEPc's spectrum slicing.

    Slices of the window are factorized one after the other, and what is found
    in each is counted by inertia, so that no state is missed. MUMPS counts for
    real matrices alone: the Python of `KH_SLEPC` needs slepc4py for real
    numbers, `python3-slepc4py-real` on Debian, and a complex problem is solved
    as a real one of twice the size, which has every level twice.

    Args:
        matrices: `BlochMatrices` without an overlap threshold.
        k_point: `(3,)` array, fractional.
        window: two floats, in eV.

    Returns:
        Energies in eV, `(num_orbitals, num_states)` coefficients, the largest
        norm `|H c - E S c|` in eV, and the number of states below the window.

    Raises:
        ValueError: if the program fails.

    Reference: Campos and Roman, Numer. Algorithms 60, 279 (2012).
    """
    _check(matrices)
    hamiltonian = matrices.hamiltonian_at(k_point)
    overlap = matrices.overlap_at(k_point)
    is_complex = np.result_type(hamiltonian.dtype, overlap.dtype).kind == "c"
    words = ["window", *(repr(float(x)) for x in window)]
    if not is_complex:
        return _run(hamiltonian, overlap, "real", words)
    pair = _doubled(hamiltonian), _doubled(overlap)
    _, found, _, below = _run(*pair, "real", words)
    half = len(hamiltonian.indptr) - 1
    found = found[:half] + 1j * found[half:]
    # Both of a pair are one state, but for its phase.
    norms, mixing = np.linalg.eigh(found.conj().T @ (overlap @ found))
    kept = norms > 0.5
    found = found @ (mixing[:, kept] / np.sqrt(norms[kept]))
    return *rayleigh_ritz(hamiltonian, overlap, found), below // 2


def _check(matrices):
    if matrices.overlap_threshold:
        raise ValueError(
            'solver="slepc" has no overlap threshold. Take another solver, or '
            "`overlap_threshold = None`."
        )


def _doubled(matrix):
    """The real symmetric matrix of a Hermitian one, `[[A, -B], [B, A]]`."""
    real, imag = matrix.real, matrix.imag
    return scipy.sparse.bmat([[real, -imag], [imag, real]]).tocsr()


def _run(hamiltonian, overlap, scalars, words):
    """Energies, coefficients, residual and number below, from the program."""
    command = shlex.split(os.environ.get("KH_SLEPC", COMMAND))
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        write_petsc(folder / "hamiltonian.petsc", hamiltonian, scalars)
        write_petsc(folder / "overlap.petsc", overlap, scalars)
        try:
            done = subprocess.run(
                [*command, str(PROGRAM), str(folder), *words],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                errors="replace",
            )
        except OSError as error:
            raise ValueError(_help(command, str(error), scalars)) from error
        if done.returncode or not (folder / "energies.npy").is_file():
            lines = done.stderr.strip().splitlines()
            reason = "\n".join(lines[-5:])
            raise ValueError(_help(command, reason, scalars))
        below = folder / "below.npy"
        energies = np.load(folder / "energies.npy")
        order = np.argsort(energies)
        return (
            energies[order],
            np.load(folder / "coefficients.npy")[:, order],
            float(np.load(folder / "residual.npy")),
            int(np.load(below)) if below.is_file() else None,
        )


def _help(command, reason, scalars):
    return (
        f"`{' '.join(command)}` did not run slepc_program.py: {reason}\nIt "
        f"needs MPI and slepc4py for {scalars} numbers, on Debian "
        f"python3-slepc4py-{scalars}, with PETSC_DIR and SLEPC_DIR set to its "
        'folders; KH_SLEPC="mpirun -n 8 python3" says how to start it.'
    )
