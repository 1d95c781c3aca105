"""Settings of a training from a file and from options."""

import json
import textwrap

import pydantic
import yaml

from keras_hamiltonian.reading import load_yaml
from keras_hamiltonian.training import TrainingSettings
from keras_hamiltonian.training.strict_settings import in_words

WIDTH = 78
BUDGETS = {"seconds": "steps", "steps": "seconds"}


def read_settings(path, options, changes=()):
    """Settings of a file, changed by options.

    Args:
        path: path of a `.yaml` or `.toml` file, or `None`.
        options: dict. `None` changes nothing.
        changes: list of str, `"key=value"` with a value of YAML.

    Returns:
        `TrainingSettings`.

    Raises:
        ValueError: naming the setting, its value and what is allowed.
    """
    values = {}
    if path is not None:
        settings = TrainingSettings.read(path)
        values = settings.model_dump(exclude_unset=True)
    changed = {k: v for k, v in options.items() if v is not None}
    for change in changes:
        key, sign, text = change.partition("=")
        if not sign:
            raise ValueError(
                "--set takes KEY=VALUE, such as --set clipnorm=500. Received: "
                f"{change!r}."
            )
        try:
            changed[key.strip()] = load_yaml(text)
        except yaml.YAMLError as error:
            raise ValueError(
                f"--set {change}: {text!r} is no value of YAML: {error}"
            ) from error
    for budget, other in BUDGETS.items():
        # One budget replaces the other; two on the command line are an error.
        if changed.get(budget) is not None and other not in changed:
            values.pop(other, None)
    try:
        return TrainingSettings(**{**values, **changed})
    except pydantic.ValidationError as error:
        raise ValueError(in_words(error)) from error


def template(settings):
    """A YAML file of all settings, with what each means.

    Args:
        settings: `TrainingSettings`.

    Returns:
        str, which `TrainingSettings.read` understands.
    """
    values = settings.model_dump(mode="json")
    lines = ["# Settings of keras-hamiltonian train --settings FILE."]
    for name, field in TrainingSettings.model_fields.items():
        default = field.get_default(call_default_factory=True)
        text = (
            f"{field.description} {_allowed(field)}Default: "
            f"{json.dumps(default)}."
        )
        lines += ["", *(f"# {line}" for line in textwrap.wrap(text, WIDTH))]
        value = values[name]
        line = f"{name}: {json.dumps(value)}"
        # The other budget: two are an error.
        lines.append(f"#{line}" if value is None else line)
    return "\n".join(lines) + "\n"


def _allowed(field):
    """What a setting may be, in words."""
    bounds = {"Gt": "above", "Ge": "at least", "Lt": "below", "Le": "at most"}
    words = []
    for bound in field.metadata:
        word = bounds.get(type(bound).__name__)
        if word is not None:
            value = getattr(bound, type(bound).__name__.lower())
            words.append(f"{word} {value:g}")
    return f"Allowed: {', '.join(words)}. " if words else ""
