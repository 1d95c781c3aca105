"""A few states of large cells against all of them, by SciPy."""

import copy
import pathlib
import subprocess
import sys

import numpy as np
import pytest
import scipy.linalg
import scipy.sparse
from sheets import graphene
from sheets import sheet

from keras_hamiltonian.orbitals.block_matrix import BlockMatrix
from keras_hamiltonian.physics import hamiltonian as hamiltonian_module
from keras_hamiltonian.physics import states as states_module
from keras_hamiltonian.physics.hamiltonian import BlochMatrices
from keras_hamiltonian.physics.k_points import solve_k_points
from keras_hamiltonian.physics.solvers.damped_problem import damped_problem
from keras_hamiltonian.physics.solvers.shift_invert import nearest_vectors
from keras_hamiltonian.physics.states import check_overlap
from keras_hamiltonian.physics.states import count_states
from keras_hamiltonian.physics.states import lowest_states
from keras_hamiltonian.physics.states import nearest_states
from keras_hamiltonian.physics.states import states_in_window

GENERAL = [0.17, -0.31, 0.0]
GAMMA = [0.0, 0.0, 0.0]
EDGE = [0.5, 0.5, 0.0]
SOLVERS = ["dense", "multifrontal", "superlu", "pardiso"]


@pytest.fixture(scope="module")
def crystal():
    return sheet(9, orbitals=2, disorder=0.5)[1]


def all_energies(matrices, k_point):
    return scipy.linalg.eigh(
        matrices.hamiltonian_at(k_point).toarray(),
        matrices.overlap_at(k_point).toarray(),
        eigvals_only=True,
    )


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("k_point", [GENERAL, GAMMA, EDGE])
def test_states_near_an_energy(crystal, k_point, solver):
    if solver == "pardiso":
        pytest.importorskip("pypardiso")
    energies = all_energies(crystal, k_point)
    around = energies[130] + 1e-3
    states = nearest_states(crystal, k_point, around, 12, solver)
    first = int(np.argsort(np.abs(energies - around))[:12].min())
    np.testing.assert_allclose(
        states.energies, energies[first : first + 12], atol=1e-9
    )
    counts = solver in ("dense", "multifrontal")
    assert states.first == (first if counts else None)
    assert states.residual < 1e-8
    assert states.solver == f"{solver}: as asked for"
    assert np.iscomplexobj(states.coefficients) == (k_point is GENERAL)
    overlap = crystal.overlap_at(k_point) @ states.coefficients
    norms = states.coefficients.conj().T @ overlap
    np.testing.assert_allclose(norms, np.eye(12), atol=1e-9)


@pytest.mark.parametrize("solver", ["dense", "multifrontal"])
def test_window(crystal, solver):
    energies = all_energies(crystal, GENERAL)
    low, high = energies[100] - 1e-6, energies[149] + 1e-6
    states = states_in_window(crystal, GENERAL, (low, high), solver)
    np.testing.assert_allclose(states.energies, energies[100:150], atol=1e-9)
    assert states.first == 100
    counts = [count_states(crystal, GENERAL, e) for e in (low, high)]
    assert counts == [100, 150]


def test_window_without_states(crystal):
    energies = all_energies(crystal, GENERAL)
    widest = np.diff(energies).argmax()
    low, high = energies[widest : widest + 2] + [1e-3, -1e-3]
    for solver in ("dense", "multifrontal"):
        states = states_in_window(crystal, GENERAL, (low, high), solver)
        assert len(states.energies) == 0
        assert states.first == widest + 1
    with pytest.raises(ValueError, match="more than a quarter"):
        states_in_window(crystal, GENERAL, (-100, 100), "multifrontal")


def test_a_solver_is_chosen_and_says_why(crystal, monkeypatch):
    small = nearest_states(crystal, GENERAL, 0.0, 4)
    assert small.solver.startswith("dense: 324 orbitals")
    monkeypatch.setattr(states_module, "SMALLEST_SPARSE", 300)
    few = nearest_states(crystal, GENERAL, 0.0, 4)
    assert few.solver.startswith("multifrontal: 324 orbitals, more than 300")
    many = nearest_states(crystal, GENERAL, 0.0, 82)
    assert many.solver == "dense: 82 of 324 states, more than a quarter"
    np.testing.assert_allclose(few.energies, small.energies, atol=1e-9)


def test_degenerate_states_are_all_found_and_orthogonal():
    # At Γ of a 6 x 6 cell K folds in: four states at zero energy, and zero is
    # also an eigenvalue of parts of the sheet.
    _, matrices = graphene(repeat=6)
    states = nearest_states(matrices, GAMMA, 0.0, 4, "multifrontal")
    np.testing.assert_allclose(states.energies, 0.0, atol=1e-9)
    norms = states.coefficients.T @ states.coefficients
    np.testing.assert_allclose(norms, np.eye(4), atol=1e-9)
    assert count_states(matrices, GAMMA, 0.1) == 36 + 2
    assert count_states(matrices, GAMMA, -0.1) == 36 - 2


def test_large_cells_are_never_dense(crystal, monkeypatch):
    monkeypatch.setattr(hamiltonian_module, "LARGEST_DENSE", 300)

    def refuse(*_, **__):
        raise AssertionError("a sparse matrix was made dense")

    with pytest.raises(ValueError, match="324 orbitals are too many"):
        lowest_states(crystal, GENERAL)
    for kind in ("csr_matrix", "csc_matrix", "coo_matrix"):
        monkeypatch.setattr(f"scipy.sparse.{kind}.toarray", refuse)
    nearest_states(crystal, GENERAL, 0.0, 5, "multifrontal")
    with pytest.raises(AssertionError):
        crystal.hamiltonian_at(GENERAL).toarray()


def bad_overlap(size):
    """Atoms in a row whose overlaps with their neighbors are too large."""
    pairs = [(0, 0, 0, n, n) for n in range(size)]
    blocks = [np.eye(1) * (1 + n / size) for n in range(size)]
    overlaps = [np.eye(1)] * size
    for n in range(size - 1):
        for pair in ((n, n + 1), (n + 1, n)):
            pairs.append((0, 0, 0, *pair))
            blocks.append(-np.eye(1))
            overlaps.append(0.6 * np.eye(1))
    return BlochMatrices(
        BlockMatrix.from_blocks(pairs, blocks),
        BlockMatrix.from_blocks(pairs, overlaps),
        np.ones(size, int),
    )


@pytest.mark.parametrize("around", [0.0, 2.0, 10.0])
def test_a_bad_overlap_is_found_in_large_cells(crystal, around):
    matrices = bad_overlap(120)
    expected = np.linalg.eigvalsh(matrices.overlap_at(GAMMA).toarray())
    assert check_overlap(matrices, GAMMA) == (expected < 0).sum() > 0
    assert check_overlap(crystal, GENERAL) == 0
    with pytest.raises(ValueError, match="not positive definite"):
        nearest_states(matrices, GAMMA, around, 20, "multifrontal")


def test_left_out_combinations(crystal):
    hamiltonian, overlap = crystal.dense_at(GENERAL)
    energies = all_energies(crystal, GENERAL)
    # A wide gap among the norms: nothing is at the edge.
    norms, vectors = np.linalg.eigh(overlap)
    norms[:10] *= 1e-3
    overlap = (vectors * norms) @ vectors.conj().T
    threshold = 0.1 * norms[10]
    kept = vectors[:, 10:] / np.sqrt(norms[10:])
    expected = np.linalg.eigvalsh(kept.conj().T @ hamiltonian @ kept)
    damped, norms, vectors = damped_problem(hamiltonian, overlap, threshold)
    back = vectors / np.sqrt(norms)
    found = np.linalg.eigvalsh(damped)
    high = np.mean(np.diag(hamiltonian).real / np.diag(overlap).real) + 50
    expected = np.sort(np.concatenate([expected, np.full(10, high)]))
    np.testing.assert_allclose(found, expected, atol=1e-3)
    np.testing.assert_allclose(
        back.conj().T @ overlap @ back, np.eye(324), atol=1e-7
    )
    # Nothing is left out, or all is at the one high level.
    crystal = copy.copy(crystal)
    crystal.overlap_threshold = 0
    states = lowest_states(crystal, GENERAL)
    np.testing.assert_allclose(states.energies, energies, atol=1e-9)
    assert states.residual < 1e-9
    crystal.overlap_threshold = 1e3
    states = lowest_states(crystal, GENERAL)
    assert np.ptp(states.energies) < 1e-3
    # The zero of energy does not matter.
    shifted, *_ = damped_problem(hamiltonian + 7 * overlap, overlap, threshold)
    np.testing.assert_allclose(
        np.linalg.eigvalsh(shifted), found + 7, atol=1e-6
    )


@pytest.mark.parametrize(
    "solve, options, message",
    [
        (states_in_window, [(1, 0)], "from low to high"),
        (states_in_window, [(0, 1), "magic"], "'magic'"),
        (lowest_states, [0], "1 to 324"),
        (nearest_states, [0.0, 325], "1 to 324"),
        (nearest_states, [0.0, 324, "superlu"], "fewer than 323"),
    ],
)
def test_wrong_options(crystal, solve, options, message):
    with pytest.raises(ValueError, match=message):
        solve(crystal, GENERAL, *options)


@pytest.mark.slow
def test_workers_change_nothing(crystal):
    k_points = [GENERAL, GAMMA, EDGE]
    alone, together = (
        solve_k_points(
            nearest_states,
            crystal,
            k_points,
            workers,
            energy=0.1,
            num_states=6,
            solver="multifrontal",
        )
        for workers in (1, 2)
    )
    for one, other in zip(alone, together):
        assert np.array_equal(one.k_point, other.k_point)
        np.testing.assert_allclose(one.energies, other.energies, atol=1e-10)
        assert one.first == other.first
    with pytest.raises(ValueError, match="1 to 324"):
        solve_k_points(lowest_states, crystal, k_points, 2, num_states=500)
    with pytest.raises(ValueError, match="positive number"):
        solve_k_points(lowest_states, crystal, k_points, 0)
    with pytest.raises(TypeError, match="window"):
        solve_k_points(lowest_states, crystal, k_points, 2, window=(0, 1))


@pytest.mark.slow
def test_workers_from_a_script_without_a_guard(tmp_path):
    script = tmp_path / "script.py"
    folder = pathlib.Path(__file__).parent
    script.write_text(
        f"import sys; sys.path.insert(0, {str(folder)!r})\n"
        "from sheets import chain\n"
        "from keras_hamiltonian.physics import solve_bands\n"
        "ks = [[k / 7, 0, 0] for k in range(7)]\n"
        "print(solve_bands(chain(-1.0), ks, workers=2).sum())\n"
    )
    done = subprocess.run(
        [sys.executable, script], capture_output=True, text=True, check=True
    )
    assert done.stdout.count("\n") == 1
    assert float(done.stdout) == pytest.approx(7.0)


@pytest.mark.parametrize("seed", range(6))
def test_levels_that_many_states_share(seed):
    """More than are multiplied at once: perfect supercells have them."""
    random = np.random.default_rng(seed)
    copies = int(random.integers(13, 30))
    levels = np.repeat(random.uniform(-5, 5, 40), copies)
    random.shuffle(levels)
    energy, wanted = random.uniform(-4, 4), int(random.integers(10, 60))

    class Inverse:
        dtype = np.dtype(float)

        def __call__(self, right):
            return right / (levels - energy)[:, None]

    vectors = nearest_vectors(
        Inverse(), scipy.sparse.identity(len(levels), format="csr"), wanted
    )
    found = np.einsum("nk,n,nk->k", vectors, levels, vectors)
    np.testing.assert_allclose(
        np.sort(np.abs(found - energy)),
        np.sort(np.abs(levels - energy))[:wanted],
        atol=1e-7,
    )
