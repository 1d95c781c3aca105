"""Matrices and states of PETSc and SLEPc."""

import functools
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
from keras_hamiltonian.physics.states import states_in_window

K_POINT = [0.17, -0.31, 0.0]
# Written by PETSc 3.18 (MatView, complex scalars): the matrix of the test.
OF_PETSC = bytes.fromhex(
    "00127b50000000030000000300000005000000020000000100000002"
    "0000000000000002000000010000000000000002"
    "3ff800000000000000000000000000003fd0000000000000c000000000000000"
    "c00800000000000000000000000000003fd00000000000004000000000000000"
    "401c0000000000000000000000000000"
)


SCALARS = """
import os, sys
for name in ("PETSC_DIR", "SLEPC_DIR"):
    sys.path.append(os.environ.get(name, ".") + "/lib/python3/dist-packages")
import numpy, slepc4py.SLEPc
from petsc4py import PETSc
print({"f": "real", "c": "complex"}[numpy.dtype(PETSc.ScalarType).kind])
"""


@functools.cache
def scalars():
    """Of the SLEPc that the command starts; `None` without one."""
    command = shlex.split(os.environ.get("KH_SLEPC", slepc.COMMAND))
    try:
        done = subprocess.run(
            [*command, "-c", SCALARS],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    # Each process says it, perhaps in one line.
    kinds = [x for x in ("real", "complex") if done.stdout.startswith(x)]
    return kinds[0] if kinds and not done.returncode else None


def test_petsc_reads_it(tmp_path):
    """Byte for byte what PETSc itself writes."""
    matrix = np.array(
        [[1.5, 0, 0.25 - 2j], [0, -3, 0], [0.25 + 2j, 0, 7]], complex
    )
    write_petsc(tmp_path / "a.petsc", scipy.sparse.csc_matrix(matrix))
    assert (tmp_path / "a.petsc").read_bytes() == OF_PETSC


@pytest.mark.skipif(scalars() != "complex", reason="no complex slepc4py")
def test_states_are_those_of_lapack():
    crystal = sheet(9, orbitals=2, disorder=0.5)[1]
    exact = nearest_states(crystal, K_POINT, 0.3, 20, "dense")
    found = nearest_states(crystal, K_POINT, 0.3, 20, "slepc")
    assert abs(found.energies - exact.energies).max() < 1e-7
    overlap = crystal.overlap_at(np.array(K_POINT))
    norms = found.coefficients.conj().T @ overlap @ found.coefficients
    np.testing.assert_allclose(norms, np.eye(20), atol=1e-8)
    assert found.solver.startswith("slepc")


@pytest.mark.skipif(scalars() != "real", reason="no real slepc4py")
@pytest.mark.parametrize("k_point", [[0.0, 0.0, 0.0], K_POINT])
@pytest.mark.parametrize("spin", [False, True])
def test_slices_of_a_window_miss_no_state(k_point, spin):
    """Complex problems too, as real ones of twice the size."""
    crystal = sheet(9, orbitals=2, disorder=0.5, spin=spin)[1]
    window = (-1.5, 1.2)
    exact = states_in_window(crystal, k_point, window, "dense")
    found = states_in_window(crystal, k_point, window, "slepc")
    assert len(exact.energies) > 20 and found.first == exact.first
    assert abs(found.energies - exact.energies).max() < 1e-10
    assert found.residual < 1e-9
    overlap = crystal.overlap_at(np.array(k_point))
    norms = found.coefficients.conj().T @ overlap @ found.coefficients
    np.testing.assert_allclose(norms, np.eye(len(norms)), atol=1e-8)


def test_a_complex_problem_as_a_real_one():
    """Every level twice."""
    crystal = sheet(4, orbitals=2, disorder=0.5)[1]
    matrix = crystal.hamiltonian_at(np.array(K_POINT))
    levels = np.linalg.eigvalsh(matrix.toarray())
    doubled = np.linalg.eigvalsh(slepc._doubled(matrix).toarray())
    np.testing.assert_allclose(doubled, np.repeat(levels, 2), atol=1e-12)


def test_real_scalars_have_a_format_of_their_own(tmp_path):
    """That of the complex file without the imaginary parts."""
    matrix = np.array([[1.5, 0, 0.25], [0, -3, 0], [0.25, 0, 7]])
    for kind in ("complex", "real"):
        write_petsc(tmp_path / kind, scipy.sparse.csc_matrix(matrix), kind)
    whole = (tmp_path / "complex").read_bytes()
    values = np.frombuffer(whole[48:], ">f8")[::2]
    assert (tmp_path / "real").read_bytes() == whole[:48] + values.tobytes()


def test_without_mpi_the_way_out_is_said(monkeypatch):
    crystal = sheet(2)[1]
    for command in ("no_such_program", "false"):
        monkeypatch.setenv("KH_SLEPC", command)
        with pytest.raises(ValueError, match="python3-slepc4py-complex"):
            nearest_states(crystal, K_POINT, 0.3, 2, "slepc")
        with pytest.raises(ValueError, match="python3-slepc4py-real"):
            states_in_window(crystal, K_POINT, (0, 1), "slepc")
    crystal.overlap_threshold = 0.01
    with pytest.raises(ValueError, match="no overlap threshold"):
        nearest_states(crystal, K_POINT, 0.3, 2, "slepc")
