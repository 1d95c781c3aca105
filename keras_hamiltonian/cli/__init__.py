"""The command `keras-hamiltonian`, thin over the public names.

Modules import what is light; Keras, readers and solvers are imported by the
subcommand that needs them, so that `--help` answers at once.
"""

from keras_hamiltonian.cli.main import app
from keras_hamiltonian.cli.main import main

__all__ = ["app", "main"]
