"""What the package says while it works.

Sentences, and how far a long phase is, go through the logger
`"keras_hamiltonian"`. Where nobody has set up `logging`, sentences are printed
on stdout, as Keras does, and progress on stderr.
"""

import logging
import math
import sys
import threading
import time

# Seconds without a word.
PATIENCE = 3.0
# Seconds between two looks at a phase, and between its lines in a log.
GLANCE, BETWEEN = 0.5, 4.0
# The same as a fraction of the time so far, where that is longer.
LATER = 0.02
# Lines of a terminal are drawn over each other.
START_OF_LINE, REST_OF_LINE = "\r", "\x1b[K"

logger = logging.getLogger("keras_hamiltonian")
# Phases that are under way, the innermost last.
_phases = []


class _Silence:
    """Since when nothing was said: the last line, or the begin of the phases
    that have followed each other without a pause.

    Attributes:
        since: reading of `time.monotonic()`.
        ended: the same, when the last phase ended.
    """

    since = ended = -math.inf

    def begin(self):
        """Notes that a phase begins."""
        now = time.monotonic()
        if not _phases and now - self.ended > GLANCE:
            self.since = now

    def end(self):
        """Notes that a phase ends."""
        self.ended = time.monotonic()

    def interrupt(self):
        """Notes that something is said."""
        self.since = time.monotonic()


_silence = _Silence()


class PrintHandler(logging.Handler):
    """Prints what no other handler takes."""

    def emit(self, record):
        """Prints a message, unless `logging` or Keras were told otherwise."""
        keras = sys.modules.get("keras")
        is_quiet = hasattr(keras, "config") and not (
            keras.config.is_interactive_logging_enabled()
        )
        if is_quiet or logging.root.handlers or len(logger.handlers) > 1:
            return
        is_progress = getattr(record, "is_progress", False)
        stream = sys.stderr if is_progress else sys.stdout
        if stream is None:  # without a console
            return
        _silence.interrupt()
        over = START_OF_LINE + REST_OF_LINE if stream.isatty() else ""
        print(over + record.getMessage(), file=stream, flush=True)


if not any(isinstance(h, PrintHandler) for h in logger.handlers):
    logger.addHandler(PrintHandler())
if logger.level == logging.NOTSET:
    logger.setLevel(logging.INFO)


class Phase:
    """A phase of the work that says how far it is, from a few seconds on.

    On a terminal a line on stderr that renews itself; elsewhere a line in the
    log every four seconds, later every fiftieth of the time so far. Also while
    one step takes long. Of phases in each other the innermost speaks, of short
    ones in a row the one in which the seconds are over.

    Args:
        label: str. What is being done.
        total: number of steps, or `None` if it is not known. Defaults to
            hundred percent.
        unit: str. What is counted.

    Attributes:
        done: number of steps that are done.
        note: str, which the line ends with.

    Example:

    >>> with Phase("read", 3, "structures") as phase:
    ...     for name in "abc":
    ...         phase.step()
    """

    def __init__(self, label, total=100, unit="%"):
        self.label, self.total, self.unit = label, total, unit
        self.done, self.note = 0, ""
        self._has_spoken = False
        self._ended = threading.Event()

    def __enter__(self):
        self._start = self._said = time.monotonic()
        _silence.begin()
        _phases.append(self)
        if logger.isEnabledFor(logging.INFO):
            threading.Thread(target=self._speak, daemon=True).start()
        return self

    def __exit__(self, *_):
        self._ended.set()
        _phases.remove(self)
        _silence.end()
        if self._has_spoken and sys.stderr.isatty():
            print(REST_OF_LINE, end=START_OF_LINE, file=sys.stderr, flush=True)

    def step(self, number=1):
        """Notes that steps are done."""
        self.done += number

    def begin(self, estimate):
        """Counts the atoms of a `PredictionEstimate`, and says what a long
        prediction will take."""
        self.total, self.unit = estimate.num_atoms, "atoms"
        if estimate.seconds is not None and estimate.seconds > PATIENCE:
            log_progress(f"{self.label}: {estimate}")

    def __call__(self, fraction):
        """Notes the fraction of the work that is done."""
        self.done = round(fraction * self.total)

    def __str__(self):
        elapsed = time.monotonic() - self._start
        words = f"{self.label}: "
        if self.total is None:
            words += f"{self.done} {self.unit}, " if self.done else ""
        elif self.unit == "%":
            words += f"{self.done} %, " if self.done else ""
        else:
            words += f"{self.done}/{self.total} {self.unit}, "
            if self.done:
                words += f"{self.done / elapsed:.3g} {self.unit}/s, "
        if self.total and self.done:
            left = elapsed * (self.total - self.done) / self.done
            words += f"{duration(left)} left"
        else:
            words += f"for {elapsed:.0f} s"
        return f"{words}, {self.note}" if self.note else words

    def _speak(self):
        while not self._ended.wait(GLANCE):
            now = time.monotonic()
            is_terminal = sys.stderr.isatty()
            if not self._has_spoken:
                is_wanted = now - _silence.since > PATIENCE
            else:
                is_wanted = is_terminal or is_due(self._start, self._said)
            if not is_wanted or _phases[-1:] != [self]:
                continue
            self._said, self._has_spoken = now, True
            _silence.interrupt()
            if is_terminal:
                line = f"{START_OF_LINE}{self}{REST_OF_LINE}"
                print(line, end="", file=sys.stderr, flush=True)
            else:
                log_progress(str(self))


def counted(items, label, unit="structures", total=None):
    """Yields items, and says as a `Phase` how many are done.

    Args:
        items: iterable.
        label: str. What is being done with them.
        unit: str. What they are.
        total: int. How many there are. Defaults to their length, if it has
            one.

    Yields:
        The items.
    """
    if total is None and hasattr(items, "__len__"):
        total = len(items)
    with Phase(label, total, unit) as phase:
        for item in items:
            yield item
            phase.step()


def log_progress(words):
    """Logs how far something is."""
    logger.info(words, extra={"is_progress": True})


def is_due(start, said):
    """Whether a log gets a line.

    Args:
        start, said: readings of `time.monotonic()`, when a phase began and
            when its last line was written.
    """
    now = time.monotonic()
    return now - said >= max(BETWEEN, LATER * (now - start))


def duration(seconds):
    """A time in words, such as `"40 s"`."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 5400:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"
