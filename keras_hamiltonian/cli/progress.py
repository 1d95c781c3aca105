"""Bars of work that takes more than a few seconds."""

import sys
import time

import typer

# Seconds without a bar.
PATIENCE = 3.0


class Bar:
    """A bar on stderr, with the time that is left, from a few seconds on.

    Args:
        label: str. What is being done.
    """

    def __init__(self, label):
        self.label, self.start = label, time.time()
        self.bar = None

    def __call__(self, fraction):
        """Shows a fraction of the work as done."""
        if self.bar is None:
            if time.time() - self.start < PATIENCE:
                return
            self.bar = typer.progressbar(
                length=100, label=self.label, file=sys.stderr
            )
            self.bar.start = self.start
        self.bar.update(int(100 * fraction) - self.bar.pos)

    def close(self):
        """Ends the line."""
        if self.bar is not None:
            self.bar.render_finish()
