"""Inputs of DFT programs for new structures, after those of earlier runs."""

from data_tools.inputs.write import write_inputs

__all__ = ["write_inputs"]
