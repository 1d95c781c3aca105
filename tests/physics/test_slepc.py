"""Matrices and states of PETSc and SLEPc."""

import os
import shlex
import subprocess

import numpy as np
import pytest
import scipy.sparse
from sheets import sheet

from keras_hamiltonian.physics.solvers import slepc
from keras_hamiltonian.physics.solvers.slepc import write_petsc
from keras_hamiltonian.physics.states import nearest_states

K_POINT = [0.17, -0.31, 0.0]
# Written by PETSc 3.18 (MatView, complex scalars): the matrix of the test.
OF_PETSC = bytes.fromhex(
    "00127b50000000030000000300000005000000020000000100000002"
    "0000000000000002000000010000000000000002"
    "3ff800000000000000000000000000003fd0000000000000c000000000000000"
    "c00800000000000000000000000000003fd00000000000004000000000000000"
    "401c0000000000000000000000000000"
)


IMPORT = """
import os, sys
for name in ("PETSC_DIR", "SLEPC_DIR"):
    sys.path.append(os.environ.get(name, ".") + "/lib/python3/dist-packages")
import slepc4py.SLEPc
"""


def has_slepc():
    """Whether the command starts a Python that knows SLEPc."""
    command = shlex.split(os.environ.get("KH_SLEPC", slepc.COMMAND))
    try:
        return not subprocess.run(
            [*command, "-c", IMPORT],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=60,
        ).returncode
    except (OSError, subprocess.TimeoutExpired):
        return False


def test_petsc_reads_it(tmp_path):
    """Byte for byte what PETSc itself writes."""
    matrix = np.array(
        [[1.5, 0, 0.25 - 2j], [0, -3, 0], [0.25 + 2j, 0, 7]], complex
    )
    write_petsc(tmp_path / "a.petsc", scipy.sparse.csc_matrix(matrix))
    assert (tmp_path / "a.petsc").read_bytes() == OF_PETSC


@pytest.mark.skipif(not has_slepc(), reason="no slepc4py")
def test_states_are_those_of_lapack():
    crystal = sheet(9, orbitals=2, disorder=0.5)[1]
    exact = nearest_states(crystal, K_POINT, 0.3, 20, "dense")
    found = nearest_states(crystal, K_POINT, 0.3, 20, "slepc")
    assert abs(found.energies - exact.energies).max() < 1e-7
    overlap = crystal.overlap_at(np.array(K_POINT))
    norms = found.coefficients.conj().T @ overlap @ found.coefficients
    np.testing.assert_allclose(norms, np.eye(20), atol=1e-8)
    assert found.solver.startswith("slepc")


def test_without_mpi_the_way_out_is_said(monkeypatch):
    crystal = sheet(2)[1]
    for command in ("no_such_program", "false"):
        monkeypatch.setenv("KH_SLEPC", command)
        with pytest.raises(ValueError, match="python3-slepc4py-complex"):
            nearest_states(crystal, K_POINT, 0.3, 2, "slepc")
    crystal.overlap_threshold = 0.01
    with pytest.raises(ValueError, match="no overlap threshold"):
        nearest_states(crystal, K_POINT, 0.3, 2, "slepc")
