"""Direction of imports, backends behind one door, no assert, no e3nn."""

import ast
import pathlib

import pytest

PACKAGE = pathlib.Path(__file__).parents[1] / "keras_hamiltonian"
# What every room may import.
EVERYWHERE = {
    "files",
    "hdf5_files",
    "memory",
    "messages",
    "parallel",
    "reading",
    "scratch",
}
# What a room may import, besides itself.
ROOMS = {
    "conventions": set(),
    "encoded_arrays": set(),
    "files": set(),
    "hdf5_files": set(),
    "memory": set(),
    "messages": set(),
    "parallel": set(),
    "reading": set(),
    "scratch": set(),
    "strategy": {"ops"},
    "irreps": {"conventions"},
    "orbitals": {"conventions", "irreps"},
    "structures": {"conventions", "irreps", "orbitals"},
    "data": {"conventions", "irreps", "orbitals", "structures"},
    "ops": {"conventions", "irreps", "orbitals"},
    "layers": {"conventions", "irreps", "orbitals", "ops"},
    "losses": {"conventions", "irreps", "orbitals", "strategy"},
    "optimizers": {"ops", "strategy"},
    "metrics": {"conventions", "irreps", "orbitals"},
    "physics": {
        "conventions",
        "encoded_arrays",
        "irreps",
        "orbitals",
        "structures",
    },
    "superposition": {
        "conventions",
        "encoded_arrays",
        "irreps",
        "orbitals",
        "structures",
    },
    "testing": {"conventions", "irreps", "orbitals", "structures"},
    "plots": {"conventions", "physics"},
    "callbacks": set(),
    "electronic_structure": {
        "conventions",
        "data",
        "files",
        "orbitals",
        "physics",
        "plots",
        "structures",
    },
    "initial": {"conventions", "data", "orbitals"},
    "models": {
        "conventions",
        "data",
        "electronic_structure",
        "irreps",
        "layers",
        "losses",
        "ops",
        "optimizers",
        "orbitals",
        "physics",
        "strategy",
        "superposition",
        "uncertainty",
    },
    "uncertainty": {
        "conventions",
        "encoded_arrays",
        "irreps",
        "metrics",
        "orbitals",
        "physics",
    },
    "calculator": {"models", "prediction"},
    "evaluation": {
        "conventions",
        "data",
        "electronic_structure",
        "initial",
        "irreps",
        "metrics",
        "models",
        "network_outputs",
        "orbitals",
        "physics",
        "plots",
        "prediction",
        "structures",
        "uncertainty",
    },
    "training": {
        "callbacks",
        "conventions",
        "data",
        "electronic_structure",
        "evaluation",
        "initial",
        "layers",
        "losses",
        "models",
        "optimizers",
        "orbitals",
        "physics",
        "prediction",
        "strategy",
        "structures",
    },
    "selection": {"irreps", "models", "network_outputs"},
    "explain": {
        "conventions",
        "data",
        "evaluation",
        "initial",
        "irreps",
        "layers",
        "metrics",
        "models",
        "ops",
        "orbitals",
        "physics",
        "plots",
        "prediction",
        "structures",
        "uncertainty",
    },
}
# What users call: may also import the readers and writers.
ROOFS = {
    "cli",
    "electronic_structure",
    "initial",
    "prediction",
    "evaluation/evaluate.py",
    "training/run.py",
}
BACKENDS = {"torch", "jax", "tensorflow", "triton", "flax", "jaxlib"}
FILES = sorted(PACKAGE.rglob("*.py"))


def imported(tree):
    """Full names of all that a module imports, also inside functions."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "relative import"
            for alias in node.names:
                yield f"{node.module}.{alias.name}"


@pytest.mark.parametrize(
    "path", FILES, ids=lambda p: str(p.relative_to(PACKAGE))
)
def test_module(path):
    place = path.relative_to(PACKAGE)
    tree = ast.parse(path.read_text())
    asserts = [n.lineno for n in ast.walk(tree) if isinstance(n, ast.Assert)]
    assert not asserts, f"assert in lines {asserts}"
    room = place.parts[0].removesuffix(".py")
    behind_the_door = place.parts[:2] == ("ops", "backend")
    for name in imported(tree):
        top, *rest = name.split(".")
        assert top != "e3nn", "e3nn belongs to the tests"
        is_roof = {room, place.as_posix()} & ROOFS
        assert top != "data_tools" or is_roof, "imports a tool"
        if name.startswith("keras_hamiltonian.explain"):
            assert room in {"explain", "cli"}, f"{room} imports {name}"
        if top in BACKENDS or name.startswith("keras.src"):
            assert behind_the_door, f"{name} outside ops/backend"
        if top == "keras_hamiltonian" and room in ROOMS:
            allowed = ROOMS[room] | EVERYWHERE | {room}
            assert rest and rest[0] in allowed, f"{room} imports {name}"


def test_irreps_need_numpy_alone():
    for path in (PACKAGE / "irreps").glob("*.py"):
        for name in imported(ast.parse(path.read_text())):
            assert name.split(".")[0] in {
                "collections",
                "dataclasses",
                "functools",
                "itertools",
                "keras_hamiltonian",
                "math",
                "numpy",
                "re",
                "typing",
            }, f"{path.name} imports {name}"
