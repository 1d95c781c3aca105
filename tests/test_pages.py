"""Pages: links lead somewhere, commands and names exist, the site has all."""

import ast
import re
import shlex

import pytest
import typer
import yaml
from doc_pages import NOTEBOOKS
from doc_pages import ROOT
from doc_pages import page_text

import keras_hamiltonian as kh
from keras_hamiltonian.cli import app

PAGES = sorted(
    [
        *ROOT.glob("*.md"),
        *ROOT.glob("docs/*.md"),
        *NOTEBOOKS,
        ROOT / "data_tools" / "README.md",
        ROOT / "recipes" / "data" / "README.md",
        ROOT / "keras_hamiltonian" / "ops" / "README.md",
    ]
)
COMMANDS = typer.main.get_command(app).commands
LINK = re.compile(r"\]\((?!\w+:)([^()#\s]*)(?:#([^()\s]+))?\)")
page = pytest.mark.parametrize(
    "page", PAGES, ids=lambda p: p.relative_to(ROOT).as_posix()
)


def test_readme_is_short():
    assert len((ROOT / "README.md").read_bytes()) <= 7000


@page
def test_links(page):
    for path, anchor in LINK.findall(page_text(page)):
        target = page.parent / path if path else page
        assert target.exists(), path
        assert not anchor or anchor in anchors(target), f"{path}#{anchor}"


def anchors(path):
    """Of the headings, as the site writes them."""
    headings = re.findall(r"^#+ (.*)$", page_text(path), re.M)
    plain = [re.sub(r"[^\w\- ]", "", h).strip().lower() for h in headings]
    return [h.replace(" ", "-") for h in plain]


@page
def test_commands(page):
    text = page_text(page).replace("\\\n", " ")
    for line in re.findall(r"^(?: {4}|!)?(keras-hamiltonian .*)$", text, re.M):
        check_command(line)


def check_command(line):
    words = shlex.split(line, comments=True)[1:]
    if words[0].startswith("-"):
        return
    options = {
        name
        for parameter in COMMANDS[words[0]].params
        for name in (*parameter.opts, *parameter.secondary_opts)
    }
    for word in words[1:]:
        is_number = re.fullmatch(r"-[\d.]+", word)
        if word.startswith("-") and not is_number:
            assert word in options | {"--help"}, line


def test_a_wrong_command_is_found():
    with pytest.raises(KeyError):
        check_command("keras-hamiltonian predicts model.keras")
    with pytest.raises(AssertionError):
        check_command("keras-hamiltonian predict model.keras --rotation 8")


@page
def test_names(page):
    """`kh.physics.k_path` in text and code is there."""
    for name in re.findall(r"\bkh((?:\.\w+)+)", page_text(page)):
        found = kh
        for part in name.split(".")[1:]:
            found = getattr(found, part)


@page
def test_python_is_python(page):
    for block in re.findall(r"^```python\n(.*?)^```$", page_text(page), re.S):
        ast.parse(re.sub(r"^[!%].*$", "", block, flags=re.M))


def test_navigation_has_every_page():
    class Loader(yaml.SafeLoader):
        """Leaves out what only mkdocs can make."""

    Loader.add_multi_constructor("tag:yaml.org,2002:python/", lambda *_: None)
    settings = yaml.load((ROOT / "mkdocs.yml").read_text(), Loader)
    shown = set(re.findall(r"[\w/]+\.md", str(settings["nav"])))
    pages = {path.name for path in ROOT.glob("docs/*.md")}
    pages |= {f"notebooks/{path.stem}.md" for path in NOTEBOOKS}
    assert not pages - shown, "add it to `nav` of mkdocs.yml"
