"""The multifrontal factors against NumPy's, and what they must refuse."""

import tempfile
import tracemalloc

import numpy as np
import pytest
import scipy.sparse
from sheets import sheet

from keras_hamiltonian import memory
from keras_hamiltonian.physics.solvers import factorization
from keras_hamiltonian.physics.solvers.dissection import Dissection
from keras_hamiltonian.physics.solvers.factorization import factorize
from keras_hamiltonian.physics.solvers.hermitian_factors import PANEL
from keras_hamiltonian.physics.solvers.hermitian_factors import HermitianFactors
from keras_hamiltonian.physics.solvers.hermitian_factors import num_work
from keras_hamiltonian.physics.states import nearest_states
from keras_hamiltonian.scratch import Scratch

K_POINT = [0.17, -0.31, 0.0]
CASES = [
    ([0, 0, 0], 0.3, {}),  # real
    (K_POINT, -1.7, {}),  # complex
    (K_POINT, 0.3, {"spin": True, "overlap": 0}),  # spin-orbit, orthogonal
    ([0, 0, 0], 0.3, {"orbitals": 5, "repeat": 6}),  # fronts of many panels
]


@pytest.fixture(params=range(len(CASES)))
def case(request):
    k_point, energy, options = CASES[request.param]
    options = {"repeat": 9, "orbitals": 2, "disorder": 0.5, **options}
    _, matrices = sheet(**options)
    hamiltonian = matrices.hamiltonian_at(k_point)
    return hamiltonian - energy * matrices.overlap_at(k_point), matrices


def test_solutions(case):
    matrix, matrices = case
    assert np.iscomplexobj(matrix) == matrix.dtype.kind.startswith("c")
    factors = HermitianFactors(matrix, matrices.dissection)
    generator = np.random.default_rng(0)
    for shape in [(matrices.size,), (matrices.size, 3)]:
        right = generator.normal(size=shape) + 1j * generator.normal(size=shape)
        for b in (right, right.real):
            x = factors.solve(b)
            assert x.shape == b.shape
            assert np.iscomplexobj(x) == np.iscomplexobj(matrix @ b)
            np.testing.assert_allclose(matrix @ x, b, atol=1e-9)


def test_negative_pivots_count_negative_eigenvalues(case):
    matrix, matrices = case
    factors = HermitianFactors(matrix, matrices.dissection)
    eigenvalues = np.linalg.eigvalsh(matrix.toarray())
    assert factors.num_negative == (eigenvalues < 0).sum()
    assert 0 < factors.num_negative < matrices.size


@pytest.mark.parametrize("solver", ["superlu", "pardiso"])
def test_other_solvers(case, solver):
    if solver == "pardiso":
        pytest.importorskip("pypardiso")
    matrix, matrices = case
    right = np.random.default_rng(0).normal(size=matrices.size)
    right = right.astype(matrix.dtype)
    expected = factorize(matrix, matrices.dissection).solve(right)
    other = factorize(matrix, matrices.dissection, solver)
    assert other.num_negative is None
    np.testing.assert_allclose(other.solve(right), expected, atol=1e-8)


def test_order_of_elimination():
    _, matrices = sheet(12)
    dissection = matrices.dissection
    assert np.array_equal(np.sort(dissection.order), np.arange(matrices.size))
    fronts = dissection.fronts
    assert len(fronts) > 10
    assert [f.start for f in fronts[1:]] == [f.stop for f in fronts[:-1]]
    parents = sorted(c for f in fronts for c in f.children)
    assert parents == list(range(len(fronts) - 1))
    # Two halves of a dissection do not couple: their factors fill in less.
    band = matrices.size**2 // 2
    assert dissection.num_entries < 0.6 * band


def test_pieces_that_do_not_couple():
    graph = scipy.sparse.block_diag(
        [np.ones((30, 30)), np.ones((3, 3)), np.eye(7)]
    )
    matrix = scipy.sparse.csr_matrix(graph + scipy.sparse.identity(40))
    factors = HermitianFactors(matrix, Dissection(graph, np.ones(40, int)))
    right = np.arange(40.0)
    np.testing.assert_allclose(matrix @ factors.solve(right), right, atol=1e-10)


def test_a_singular_matrix_is_refused():
    _, matrices = sheet(3, overlap=0)
    zero = matrices.hamiltonian_at([0, 0, 0]) * 0.0
    with pytest.raises(ValueError, match="singular.*move it"):
        HermitianFactors(zero, matrices.dissection)


def test_unknown_and_absent_solvers(monkeypatch):
    _, matrices = sheet(3)
    matrix = matrices.overlap_at([0, 0, 0])
    with pytest.raises(ValueError, match="one of.*'cholesky'"):
        factorize(matrix, matrices.dissection, "cholesky")
    monkeypatch.setitem(__import__("sys").modules, "pypardiso", None)
    with pytest.raises(ValueError, match="pip install pypardiso"):
        factorize(matrix, matrices.dissection, "pardiso")


@pytest.mark.parametrize("is_complex", [False, True])
def test_a_front_of_many_panels(is_complex):
    """Rounding does not grow from panel to panel."""
    number = 8 * PANEL
    generator = np.random.default_rng(0)
    matrix = generator.normal(size=(number, number))
    if is_complex:
        matrix = matrix + 1j * generator.normal(size=(number, number))
    matrix += matrix.conj().T
    one_atom = Dissection(scipy.sparse.eye_array(1).tocsr(), [number])
    factors = HermitianFactors(scipy.sparse.csr_matrix(matrix), one_atom)
    eigenvalues = np.linalg.eigvalsh(matrix)
    assert factors.num_negative == (eigenvalues < 0).sum()
    right = generator.normal(size=number)
    error = matrix @ factors.solve(right) - right
    assert np.linalg.norm(error) < 1e-7 * np.linalg.norm(right)


def test_factors_on_the_disk_are_the_same(case):
    """Bit for bit."""
    matrix, matrices = case
    known = HermitianFactors(matrix, matrices.dissection)
    right = np.random.default_rng(0).normal(size=(matrices.size, 3))
    with Scratch() as scratch:
        found = HermitianFactors(matrix, matrices.dissection, scratch)
        assert found.num_negative == known.num_negative
        assert found.num_bytes == known.num_bytes
        np.testing.assert_array_equal(found.solve(right), known.solve(right))
    matrix = matrices.overlap_at(K_POINT)
    known = HermitianFactors(matrix, matrices.dissection)
    with Scratch() as scratch:
        found = HermitianFactors(matrix, matrices.dissection, scratch)
        np.testing.assert_array_equal(
            found.half_solve(right), known.half_solve(right)
        )


def test_memory_while_factors_are_made():
    """The estimate is that of the arrays, within a tenth."""
    _, matrices = sheet(16, orbitals=6)
    matrix = matrices.hamiltonian_at(K_POINT)
    expected = matrix.dtype.itemsize * num_work(matrices.dissection)
    with Scratch() as scratch:
        tracemalloc.start()
        HermitianFactors(matrix, matrices.dissection, scratch)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert 0.7 * expected < peak < 1.1 * expected


def test_a_limit_of_memory(monkeypatch):
    """Factors go to the disk where they must, and states are the same."""
    _, matrices = sheet(16, orbitals=6, disorder=0.5)
    assert matrices.size > 1000
    monkeypatch.setattr(memory, "resident_bytes", lambda: 0)
    monkeypatch.setattr(factorization, "NUM_VECTORS", 1)
    files = []
    make = tempfile.TemporaryFile
    monkeypatch.setattr(
        tempfile,
        "TemporaryFile",
        lambda **options: files.append(make(**options)) or files[-1],
    )
    work = 8 * num_work(matrices.dissection)
    energies = []
    for limit in (None, 1.01 * (work + 8 * matrices.dissection.num_entries)):
        matrices.max_memory = limit
        states = nearest_states(matrices, (0, 0, 0), 0.3, 6, "multifrontal")
        energies.append(states.energies)
        assert not files
    matrices.max_memory = 1.01 * work
    states = nearest_states(matrices, (0, 0, 0), 0.3, 6, "multifrontal")
    assert files
    np.testing.assert_array_equal(states.energies, energies[0])
    np.testing.assert_array_equal(states.energies, energies[1])
    matrices.max_memory = 0.99 * work
    with pytest.raises(ValueError, match="cannot be kept.*to factorize.*Give"):
        nearest_states(matrices, (0, 0, 0), 0.3, 6, "multifrontal")
    with pytest.raises(ValueError, match="multifrontal.*Received: 'superlu'"):
        nearest_states(matrices, (0, 0, 0), 0.3, 6, "superlu")
    # What an overlap threshold leaves out is left out, or there is an error.
    matrices.overlap_threshold = 0.25
    matrices.max_memory = 1.01 * work
    with pytest.raises(memory.MemoryLimit, match="combinations of orbitals"):
        nearest_states(matrices, (0, 0, 0), 0.3, 6, "multifrontal")
