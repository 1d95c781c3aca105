"""Docstrings of the package as Markdown, for mkdocstrings."""

import re

import griffe

# A field that is no section of the parser: "Output shape: `(N, M)`.", with
# its further lines.
FIELD = re.compile(
    r"^(Args|Attributes|Inputs?|Outputs?|Input shape|Output shape|Raises"
    r"|Reference|Units): (\S.*(?:\n(?!\n|[A-Z][\w ]*:).+)*)",
    re.MULTILINE,
)
EXAMPLE = re.compile(r"^((?:>>> |\.\.\. ).*(?:\n(?!\n).*)*)", re.MULTILINE)


class Fields(griffe.Extension):
    """Short fields are paragraphs, examples are code."""

    def on_object(self, *, obj, **_):
        """Rewrites one docstring."""
        if obj.docstring is not None:
            obj.docstring.value = as_markdown(obj.docstring.value)


def as_markdown(text):
    """A docstring of this package in the words of the parser."""
    text = re.sub(
        r"^Call arguments:$", "Other args: Call arguments:", text, flags=re.M
    )
    text = re.sub(r"^Example:$", "**Example**", text, flags=re.M)
    text = EXAMPLE.sub(r"```pycon\n\1\n```", text)
    return FIELD.sub(_paragraph, text)


def _paragraph(match):
    words = re.sub(r"\s*\n\s*", " ", match[2])
    return f"\n**{match[1]}**: {words}\n"
