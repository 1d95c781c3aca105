"""States by SLEPc: a program of its own.

    mpirun -n 4 python3 slepc_program.py FOLDER nearest ENERGY NUM_STATES
    mpirun -n 4 python3 slepc_program.py FOLDER window LOW HIGH

It reads `hamiltonian.petsc` and `overlap.petsc` of the folder and writes
`energies.npy`, `coefficients.npy`, `residual.npy` and, of a window,
`below.npy`, the number of states below it. It needs petsc4py and slepc4py with
MUMPS, for complex numbers or, for a window, for real ones, and nothing of this
package. Where these are not on Python's path, `PETSC_DIR` and `SLEPC_DIR` say
where they are.
"""

import os
import pathlib
import sys

TOLERANCE = 1e-12


def main(folder, task, *numbers):
    """Solves and writes, on all processes of MPI together."""
    for name in ("PETSC_DIR", "SLEPC_DIR"):
        place = pathlib.Path(os.environ.get(name, "."), "lib/python3")
        sys.path.insert(0, str(place / "dist-packages"))
    import slepc4py

    slepc4py.init(sys.argv[:1])
    import numpy as np
    from petsc4py import PETSc
    from slepc4py import SLEPc

    is_window = task == "window"
    if (np.dtype(PETSc.ScalarType).kind == "f") != is_window:
        kind = "real" if is_window else "complex"
        sys.exit(f"{task} states need PETSc and SLEPc for {kind} numbers")

    def read(name):
        viewer = PETSc.Viewer().createBinary(str(folder / name), "r")
        return PETSc.Mat().load(viewer)

    hamiltonian, overlap = read("hamiltonian.petsc"), read("overlap.petsc")
    solver = SLEPc.EPS().create()
    solver.setOperators(hamiltonian, overlap)
    solver.setProblemType(SLEPc.EPS.ProblemType.GHEP)
    solver.setType(SLEPc.EPS.Type.KRYLOVSCHUR)
    solver.setTolerances(TOLERANCE)
    transform = solver.getST()
    transform.setType(SLEPc.ST.Type.SINVERT)
    if is_window:
        solver.setWhichEigenpairs(SLEPc.EPS.Which.ALL)
        solver.setInterval(float(numbers[0]), float(numbers[1]))
        # Slices are counted by the inertia of factors, which MUMPS tells where
        # it does without ScaLAPACK (ICNTL 13) and looks for zero pivots (24).
        solver.setKrylovSchurDetectZeros(True)
        options = PETSc.Options()
        options["st_mat_mumps_icntl_13"] = options["st_mat_mumps_icntl_24"] = 1
        options["st_mat_mumps_cntl_3"] = 1e-12
        linear, kind = solver.getKrylovSchurKSP(), PETSc.PC.Type.CHOLESKY
    else:
        solver.setWhichEigenpairs(SLEPc.EPS.Which.TARGET_MAGNITUDE)
        solver.setTarget(float(numbers[0]))
        solver.setDimensions(int(numbers[1]))
        linear, kind = transform.getKSP(), PETSc.PC.Type.LU
    linear.setType(PETSc.KSP.Type.PREONLY)
    preconditioner = linear.getPC()
    preconditioner.setType(kind)
    preconditioner.setFactorSolverType(PETSc.Mat.SolverType.MUMPS)
    solver.setFromOptions()
    solver.solve()
    found = solver.getConverged()
    if not is_window:
        found = min(found, int(numbers[1]))
    vector = hamiltonian.createVecRight()
    scatter, whole = PETSc.Scatter.toZero(vector)
    energies, columns, residual = [], [], 0.0
    for number in range(found):
        energies.append(solver.getEigenpair(number, vector).real)
        error = solver.computeError(number, SLEPc.EPS.ErrorType.ABSOLUTE)
        residual = max(residual, error)
        scatter.scatter(vector, whole)
        columns.append(whole.getArray().copy())
    if PETSc.COMM_WORLD.rank == 0:
        columns = np.array(columns).reshape(found, -1)
        np.save(folder / "coefficients.npy", columns.T)
        np.save(folder / "residual.npy", residual)
        if is_window:
            shifts, counts = solver.getKrylovSchurInertias()
            np.save(folder / "below.npy", counts[int(np.argmin(shifts))])
        np.save(folder / "energies.npy", np.array(energies))


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]), *sys.argv[2:])
