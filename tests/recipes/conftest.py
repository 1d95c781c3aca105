"""Recipes import each other, as where they are run."""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parents[2] / "recipes"))
