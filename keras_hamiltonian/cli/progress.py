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
        self.bar, self.num_atoms = None, None

    def begin(self, estimate):
        """Says what a prediction will take, if it is long.

        Args:
            estimate: `PredictionEstimate`.
        """
        self.num_atoms = estimate.num_atoms
        if estimate.seconds is not None and estimate.seconds > PATIENCE:
            typer.echo(f"{self.label}: {estimate}", err=True)

    def __call__(self, fraction):
        """Shows a fraction of the work as done."""
        if self.bar is None:
            if time.time() - self.start < PATIENCE:
                return
            self.bar = typer.progressbar(
                length=self.num_atoms or 100,
                label=self.label,
                show_pos=self.num_atoms is not None,
                item_show_func=self._rate,
                file=sys.stderr,
            )
            self.bar.start = self.start
        done = int(self.bar.length * fraction)
        self.bar.current_item = done
        self.bar.update(done - self.bar.pos)

    def _rate(self, done):
        if not done or self.num_atoms is None:
            return None
        return f"{done / (time.time() - self.start):.3g} atoms/s"

    def close(self):
        """Ends the line."""
        if self.bar is not None:
            self.bar.render_finish()
