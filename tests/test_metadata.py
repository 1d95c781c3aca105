"""What the package says of itself agrees, and a wheel holds what it reads."""

import fnmatch
import re
import subprocess
import sys
import tomllib

import pytest
import yaml
from doc_pages import NOTEBOOKS
from doc_pages import ROOT
from doc_pages import page_text
from typer.testing import CliRunner

import keras_hamiltonian
from keras_hamiltonian.cli import app

PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
CITATION = yaml.safe_load((ROOT / "CITATION.cff").read_text())
ARXIV = re.compile(r"arxiv[.: a-z/]*(\d{4}\.\d{5})", re.I)


def test_one_version_everywhere():
    version = PYPROJECT["project"]["version"]
    assert keras_hamiltonian.__version__ == version
    assert CITATION["version"] == version
    changes = (ROOT / "CHANGELOG.md").read_text()
    assert re.findall("^## (.*)$", changes, re.M) == ["Unreleased", version]


def test_licence():
    text = (ROOT / "LICENSE").read_text()
    assert "Apache License" in text and "END OF TERMS AND CONDITIONS" in text
    assert PYPROJECT["project"]["license"] == "Apache-2.0"
    assert CITATION["license"] == "Apache-2.0"


def test_papers_of_the_pages_are_in_the_citation():
    pages = [ROOT / "README.md", *ROOT.glob("docs/**/*.md"), *NOTEBOOKS]
    cited = {i for page in pages for i in ARXIV.findall(page_text(page))}
    known = set(ARXIV.findall((ROOT / "CITATION.cff").read_text()))
    assert {"2401.00744", "2405.05722", "2509.19877"} <= cited
    assert not cited - known


def test_every_reference_says_where_it_is():
    for reference in CITATION["references"]:
        assert reference["notes"], reference["title"]
        assert reference.get("url") or reference.get("doi")
        assert reference["authors"]


def test_a_wheel_holds_every_file_that_is_no_module():
    """Files beside modules are named in pyproject.toml, and are there."""
    named = PYPROJECT["tool"]["setuptools"]["package-data"]
    patterns = [
        f"{package.replace('.', '/')}/{pattern}".replace("**/", "")
        for package, found in named.items()
        for pattern in found
    ]
    files = [
        path.relative_to(ROOT).as_posix()
        for package in ("keras_hamiltonian", "data_tools")
        for path in (ROOT / package).rglob("*")
        if path.is_file() and path.suffix not in (".py", ".pyc", ".nbi", ".nbc")
    ]
    for pattern in patterns:
        assert fnmatch.filter(files, pattern), pattern
    for file in files:
        assert any(fnmatch.fnmatch(file, p) for p in patterns), file


def test_workflow_readme_and_ci_run_the_same_tests():
    workflow = (ROOT / ".github" / "workflows" / "tests.yml").read_text()
    steps = yaml.safe_load(workflow)["jobs"]["tests"]["steps"]
    assert steps[-1] == {"run": ".ci/run"}
    assert "make test " in (ROOT / ".ci" / "run").read_text()
    readme = (ROOT / "README.md").read_text()
    assert "    make test\n" in readme and ".ci/run" in readme


def test_python_m():
    done = subprocess.run(
        [sys.executable, "-m", "keras_hamiltonian", "--version"],
        capture_output=True,
        text=True,
        check=True,
    )
    version = PYPROJECT["project"]["version"]
    assert done.stdout == f"keras-hamiltonian {version}\n"


@pytest.mark.parametrize(
    "words, expected",
    [
        ("keras-hamiltonian ev", ["evaluate"]),
        ("keras-hamiltonian train --ste", ["--steps"]),
        ("keras-hamiltonian zzz", []),
    ],
)
def test_the_shell_completes(words, expected):
    environment = {
        "_KERAS_HAMILTONIAN_COMPLETE": "complete_bash",
        "COMP_WORDS": words,
        "COMP_CWORD": str(len(words.split()) - 1),
    }
    result = CliRunner().invoke(
        app, [], env=environment, prog_name="keras-hamiltonian"
    )
    assert result.output.split() == expected
