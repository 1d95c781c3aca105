"""One eigenproblem on many machines: PETSc's files, and SLEPc."""

import os
import pathlib
import shlex
import subprocess
import tempfile

import numpy as np
import scipy.sparse

# What starts the program, where `KH_SLEPC` does not say.
COMMAND = "mpirun -n 2 python3"
PROGRAM = pathlib.Path(__file__).with_name("slepc_program.py")
# The first number of a matrix in PETSc's binary format.
MATRIX_CLASS = 1211216


def write_petsc(path, matrix):
    """Writes a sparse matrix in PETSc's binary format, for complex numbers.

    The file is read by `MatLoad` of any PETSc with 32-bit indices and complex
    scalars, on any number of processes. Format: PETSc's manual page of
    `MatLoad`.

    Args:
        path: str or path.
        matrix: sparse `(n, n)` matrix.

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
            (matrix.data, ">c16"),
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
    if matrices.overlap_threshold:
        raise ValueError(
            'solver="slepc" has no overlap threshold. Take another solver, or '
            "`overlap_threshold = None`."
        )
    command = shlex.split(os.environ.get("KH_SLEPC", COMMAND))
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        write_petsc(
            folder / "hamiltonian.petsc", matrices.hamiltonian_at(k_point)
        )
        write_petsc(folder / "overlap.petsc", matrices.overlap_at(k_point))
        words = [str(PROGRAM), str(folder), repr(float(energy))]
        try:
            done = subprocess.run(
                [*command, *words, str(num_states)],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                errors="replace",
            )
        except OSError as error:
            raise ValueError(_help(command, str(error))) from error
        if done.returncode or not (folder / "energies.npy").is_file():
            lines = done.stderr.strip().splitlines()
            raise ValueError(_help(command, "\n".join(lines[-5:])))
        energies, found, residual = (
            np.load(folder / f"{name}.npy")
            for name in ("energies", "coefficients", "residual")
        )
    if len(energies) < num_states:
        raise ValueError(
            f"SLEPc found {len(energies)} of {num_states} states. Ask for "
            "fewer, or near another energy."
        )
    order = np.argsort(energies)
    return energies[order], found[:, order], float(residual), None


def _help(command, reason):
    return (
        f"`{' '.join(command)}` did not run slepc_program.py: {reason}\nIt "
        "needs MPI and slepc4py for complex numbers, on Debian the package "
        "python3-slepc4py-complex, with PETSC_DIR and SLEPC_DIR set to their "
        'folders; KH_SLEPC="mpirun -n 8 python3" says how to start it.'
    )
