"""The states nearest to an energy by SLEPc: a program of its own.

    mpirun -n 4 python3 slepc_program.py FOLDER ENERGY NUM_STATES

It reads `hamiltonian.petsc` and `overlap.petsc` of the folder and writes
`energies.npy`, `coefficients.npy` and `residual.npy`. It needs petsc4py and
slepc4py for complex numbers, with MUMPS, and nothing of this package. Where
these are not on Python's path, `PETSC_DIR` and `SLEPC_DIR` say where they are.
"""

import os
import pathlib
import sys

TOLERANCE = 1e-12


def main(folder, energy, num_states):
    """Solves and writes, on all processes of MPI together."""
    for name in ("PETSC_DIR", "SLEPC_DIR"):
        place = pathlib.Path(os.environ.get(name, "."), "lib/python3")
        sys.path.insert(0, str(place / "dist-packages"))
    import slepc4py

    slepc4py.init(sys.argv[:1])
    import numpy as np
    from petsc4py import PETSc
    from slepc4py import SLEPc

    def read(name):
        viewer = PETSc.Viewer().createBinary(str(folder / name), "r")
        return PETSc.Mat().load(viewer)

    hamiltonian, overlap = read("hamiltonian.petsc"), read("overlap.petsc")
    solver = SLEPc.EPS().create()
    solver.setOperators(hamiltonian, overlap)
    solver.setProblemType(SLEPc.EPS.ProblemType.GHEP)
    solver.setWhichEigenpairs(SLEPc.EPS.Which.TARGET_MAGNITUDE)
    solver.setTarget(energy)
    solver.setDimensions(num_states)
    solver.setTolerances(TOLERANCE)
    transform = solver.getST()
    transform.setType(SLEPc.ST.Type.SINVERT)
    linear = transform.getKSP()
    linear.setType(PETSc.KSP.Type.PREONLY)
    linear.getPC().setType(PETSc.PC.Type.LU)
    linear.getPC().setFactorSolverType(PETSc.Mat.SolverType.MUMPS)
    solver.solve()
    found = min(solver.getConverged(), num_states)
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
        np.save(folder / "coefficients.npy", np.array(columns).T)
        np.save(folder / "residual.npy", residual)
        np.save(folder / "energies.npy", np.array(energies))


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]), float(sys.argv[2]), int(sys.argv[3]))
