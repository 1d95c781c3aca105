"""Settings that know what may be meant by an unknown name."""

import pydantic

from keras_hamiltonian.layers.named_objects import did_you_mean


class StrictSettings(pydantic.BaseModel):
    """Frozen settings; an unknown name is an error that says what is meant."""

    model_config = pydantic.ConfigDict(extra="forbid", frozen=True)

    @pydantic.model_validator(mode="before")
    @classmethod
    def _check_names(cls, values):
        if isinstance(values, dict):
            check_names(values, "settings", cls.model_fields)
        return values


def check_names(names, what, allowed):
    """Raises a `ValueError` if a name is not allowed.

    Args:
        names: iterable of str.
        what: str. What they name, for the message.
        allowed: iterable of str.
    """
    unknown = sorted(set(names) - set(allowed))
    if unknown:
        raise ValueError(
            f"Unknown {what}: {', '.join(map(repr, unknown))}."
            f"{did_you_mean(unknown, allowed)} "
            f"Allowed: {', '.join(sorted(allowed))}."
        )


def in_words(error):
    """The complaints of a `pydantic.ValidationError`, a line each, without
    its addresses and types."""
    lines = []
    for found in error.errors():
        text = found["msg"].removeprefix("Value error, ")
        if found["loc"]:
            name = ".".join(map(str, found["loc"]))
            text = text.rstrip(".")
            text = f"`{name}`: {text}. Received: {found['input']!r}."
        lines.append(text)
    return "\n".join(lines)
