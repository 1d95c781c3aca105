"""Pages of the site that are no files of `docs/`, and links between all.

A hook of mkdocs. Pages that lie elsewhere in the repository are shown where
they are, notebooks with what they printed when they were run last (`make
notebooks`), the command line is written from its help, the API reference from
the public names of each room. Links are those of the repository, so that they
work there too; links to files that are no pages become the names of the files.
"""

import ast
import base64
import pathlib
import posixpath
import re

import typer
from mkdocs.plugins import get_plugin_logger
from mkdocs.structure.files import File
from nbconvert import MarkdownExporter

from keras_hamiltonian.cli import app
from keras_hamiltonian.cli.settings import template
from keras_hamiltonian.training.settings import TrainingSettings

log = get_plugin_logger("pages")
ROOT = pathlib.Path(__file__).parents[2]
PACKAGE = ROOT / "keras_hamiltonian"
# Where a page of the site lies in the repository.
SOURCES = {
    "index.md": "README.md",
    "changes.md": "CHANGELOG.md",
    "contributing.md": "CONTRIBUTING.md",
    "data_sets.md": "recipes/data/README.md",
    "formats.md": "data_tools/README.md",
    "operations.md": "keras_hamiltonian/ops/README.md",
}
NOTEBOOKS = sorted(ROOT.glob("docs/notebooks/*.ipynb"))
LINK = re.compile(r"(?P<text>\[[^\]]*\])\((?P<target>(?!\w+:|#)[^()\s]+)\)")


def on_config(config):
    """Every room has a page below "API reference"."""
    (api,) = (entry for entry in config.nav if "API reference" in entry)
    api["API reference"] += [f"api/{room}.md" for room in rooms()]


def on_files(files, config):
    """Adds the pages that are made here."""
    made = {page: (ROOT / path).read_text() for page, path in SOURCES.items()}
    for path in NOTEBOOKS:
        made[f"notebooks/{path.stem}.md"] = notebook_page(path)
    made["commands.md"] = commands_page()
    known = set()
    for room in rooms():
        names = public_names(room)
        known.update(names)
        made[f"api/{room}.md"] = room_page(room, f"kh.{room}", names)
    name = PACKAGE.name
    made[f"api/{name}.md"] = room_page("", name, public_names(""), known)
    for page, text in made.items():
        files.append(File.generated(config, page, content=text))
    return files


def on_page_markdown(markdown, page, **_):
    """Links of the repository become links of the site."""
    place = page.file.src_uri
    source = SOURCES.get(place, f"docs/{place}")
    pages = {path: name for name, path in SOURCES.items()}
    for path in NOTEBOOKS:
        # The file itself is what a notebook's own page links to.
        if path.stem != pathlib.PurePath(place).stem:
            pages[f"docs/notebooks/{path.name}"] = f"notebooks/{path.stem}.md"

    def moved(match):
        path, sign, anchor = match["target"].partition("#")
        path = posixpath.normpath(
            posixpath.join(posixpath.dirname(source), path)
        )
        if not (ROOT / path).exists() and not place.startswith("api/"):
            log.warning(f"{source}: there is no {path}.")
        target = pages.get(path)
        if target is None and path.startswith("docs/"):
            target = path.removeprefix("docs/")
        if target is None:
            return f"`{match['text'].strip('[]`')}`"
        target = posixpath.relpath(target, posixpath.dirname(place) or ".")
        return f"{match['text']}({target}{sign}{anchor})"

    return LINK.sub(moved, markdown)


# === Notebooks ===

NOTE = "*This page is a notebook: [{name}]({name}).*"


def notebook_page(path):
    """Text, code, and what was printed and drawn; pictures are in the text."""
    page, found = MarkdownExporter().from_filename(path)
    for name, data in found["outputs"].items():
        data = base64.b64encode(data).decode()
        page = page.replace(f"({name})", f"(data:image/png;base64,{data})")
    title, _, rest = page.strip().partition("\n")
    return f"{title}\n\n{NOTE.format(name=path.name)}\n{rest}\n"


# === The command line ===


def commands_page():
    """All commands with their help, and all settings."""
    group = typer.main.get_command(app)
    context = typer.Context(group, info_name="keras-hamiltonian")
    parts = [
        "# Command line",
        f"    {_indented(group.get_help(context))}",
    ]
    for name, command in group.commands.items():
        inner = typer.Context(command, info_name=name, parent=context)
        parts += [f"## {name}", f"    {_indented(command.get_help(inner))}"]
    parts += [
        "## Settings",
        "`keras-hamiltonian train --print-settings`, for a file that "
        "`--settings` takes:",
        f"```yaml\n{template(TrainingSettings())}```",
    ]
    return "\n\n".join(parts) + "\n"


def _indented(text):
    return text.replace("\n", "\n    ")


# === The API reference ===


def rooms():
    """Folders of the package that users import from."""
    found = {path.parent.name for path in PACKAGE.glob("*/__init__.py")}
    return sorted(found - {"cli"})


def room_page(room, title, names, elsewhere=()):
    """The public names of a room; those with another page are links."""
    parts = [f"# {title}", ast.get_docstring(_syntax(room))]
    for name in sorted(names, key=_last):
        is_link = name in elsewhere
        parts.append(f"- [{_last(name)}][{name}]" if is_link else f"::: {name}")
    return "\n\n".join(parts) + "\n"


def public_names(room):
    """Full names of what a room offers, by `import` or by `lazy_loader`."""
    module, names = ".".join(filter(None, (PACKAGE.name, room))), []
    for node in ast.walk(_syntax(room)):
        if isinstance(node, ast.keyword) and node.arg == "submod_attrs":
            for file, found in ast.literal_eval(node.value).items():
                names += [f"{module}.{file}.{name}" for name in found]
        if isinstance(node, ast.ImportFrom) and room:
            names += [f"{node.module}.{alias.name}" for alias in node.names]
    return names


def _syntax(room):
    return ast.parse((PACKAGE / room / "__init__.py").read_text())


def _last(name):
    return name.rpartition(".")[2]
