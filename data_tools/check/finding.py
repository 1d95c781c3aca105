"""What a check has to say."""

import dataclasses

SEVERITIES = ("note", "warning", "error")


@dataclasses.dataclass(frozen=True)
class Finding:
    """One thing that a check found.

    Attributes:
        check: str. Name of the check, for filters: `"bond_lengths"`.
        severity: str. `"error"`: training on it gives a wrong model;
            `"warning"`: may be meant, look at it; `"note"`: worth knowing.
        message: str. What was found, with numbers and units.
        remedy: str. What to do.
        structure: str. Name of the structure.
        file: str. File or folder that it stands in.
    """

    check: str
    severity: str
    message: str
    remedy: str
    structure: str = ""
    file: str = ""

    def __post_init__(self):
        if self.severity not in SEVERITIES:
            raise ValueError(
                f"`severity` is one of {SEVERITIES}. "
                f"Received: {self.severity!r}."
            )

    def located(self, file, structure):
        """The same finding with its place."""
        return dataclasses.replace(
            self, file=str(file), structure=str(structure)
        )

    def to_dict(self):
        """JSON-ready form."""
        return dataclasses.asdict(self)
