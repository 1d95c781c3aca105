"""Trained models in folders, each with a card; some come with the package."""

import json
import pathlib
import tempfile
import zipfile

import yaml

from keras_hamiltonian.files import replacing
from keras_hamiltonian.files import write_text
from keras_hamiltonian.models.provenance import installed_versions
from keras_hamiltonian.reading import load_yaml
from keras_hamiltonian.reading import reading

FOLDER = pathlib.Path(__file__).parents[1] / "presets"
MODEL = "model.keras"
CARD = "README.md"
# Stands around the values of a card.
RULE = "---\n"


def model_file(path):
    """The file of a model.

    Args:
        path: str or path. The file itself; or a folder of
            `Stage.save_to_preset`; or a name of `Stage.presets`.

    Returns:
        `pathlib.Path`.

    Raises:
        ValueError: listing the presets, if it is none of them.
    """
    path = pathlib.Path(path)
    for file in (path, path / MODEL, FOLDER / path / MODEL):
        if file.is_file():
            return file
    raise ValueError(
        f"There is no model file {path}, and no preset of this name. Presets "
        f"are {', '.join(sorted(preset_cards()))}."
    )


def preset_cards():
    """What the cards say of the presets that come with the package.

    Returns:
        Dict from name to the values of `read_card`.
    """
    files = sorted(FOLDER.glob(f"*/{CARD}"))
    return {file.parent.name: read_card(file) for file in files}


def read_card(path):
    """Values of the card of a preset.

    Args:
        path: str or path. A `README.md` that begins with values in YAML.

    Returns:
        Dict, see `Stage.save_to_preset`.

    Raises:
        ValueError: if the file has none.
    """
    path = pathlib.Path(path)
    with reading(path):
        parts = path.read_text(encoding="utf-8").split(RULE, 2)
    if len(parts) < 3 or parts[0]:
        raise ValueError(
            f"{path} is no card: it does not begin with values between two "
            "lines ---."
        )
    with reading(path):
        return load_yaml(parts[1])


class PresetCards:
    """`preset_cards`, read when asked for, of a class too."""

    def __get__(self, instance, owner):
        return preset_cards()


class PresetMethods:
    """Methods of `Stage`, by the names that KerasHub gives them.

    Attributes:
        presets: dict from the name of each trained model that comes with the
            package to what its card says.
    """

    presets = PresetCards()

    @classmethod
    def from_preset(cls, preset):
        """A trained model that comes with the package, or of a folder.

        Args:
            preset: str or path. A name of `presets`, such as `"graphene"`, or
                a folder of `save_to_preset`.

        Returns:
            `Stage`, of the class that this is called on or one below it.

        Raises:
            ValueError: if there is no such preset, or it is of another class.
        """
        from keras_hamiltonian.models.loading import load_model

        model = load_model(preset)
        if not isinstance(model, cls):
            raise ValueError(
                f"The preset {str(preset)!r} is of class "
                f"{type(model).__name__}, not {cls.__name__}. Call "
                "`kh.models.from_preset`, which takes every class."
            )
        return model

    def save_to_preset(self, preset_dir, text="", **values):
        """Writes the model, without optimizer, and its card into a folder.

        The card, a `README.md`, has `library`, `version` of the package,
        `date` of the training, `basis`, `spin`, `takes_initial`,
        `overlap_threshold`; `calculations` (program and settings),
        `num_structures` that trained and `cells` (see `Separation.to_dict`) as
        far as the model's `provenance` tells; and the values.

        Args:
            preset_dir: str or path. Made if it does not exist.
            text: str. Markdown under the values.
            **values: JSON values, for example `license="CC-BY-4.0"`.

        Returns:
            The folder, a `pathlib.Path`.
        """
        from keras_hamiltonian.models.loading import load_model

        folder, known = pathlib.Path(preset_dir), self.provenance or {}
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory() as place:
            whole, bare = (pathlib.Path(place, f"{k}.keras") for k in range(2))
            self.save(whole)
            load_model(whole).save(bare)
            with replacing(folder / MODEL) as file:
                _compress(bare, file)
        card = {
            "library": "keras_hamiltonian",
            "version": installed_versions().get("keras-hamiltonian"),
            "date": known.get("date"),
            "basis": self.basis.to_dict(),
            "spin": self.spin,
            "takes_initial": self.takes_initial,
            "calculations": known.get("sources"),
            "num_structures": len(known.get("structures", [])),
            "cells": known.get("cells"),
            "overlap_threshold": self.overlap_threshold,
            **values,
        }
        # Plain values: YAML would refer to what stands in two places.
        shown = yaml.safe_dump(
            json.loads(json.dumps(card)), sort_keys=False, allow_unicode=True
        )
        write_text(folder / CARD, f"{RULE}{shown}{RULE}\n{text}")
        return folder


def _compress(source, target):
    """Packs a `.keras` file more tightly; Keras stores it as it is."""
    with (
        zipfile.ZipFile(source) as old,
        zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED, True, 9) as new,
    ):
        for member in old.namelist():
            new.writestr(member, old.read(member))
