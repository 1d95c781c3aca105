"""Several programs alternating in one run, so that a busy machine hurts all."""

import os
import time

import numpy as np


def alternate(benchmark, title, rounds=5, **programs):
    """Measures CPU seconds of programs alternating and prints the ratios.

    Args:
        benchmark: fixture of pytest-benchmark, which records the rounds.
        title: str.
        rounds: int.
        **programs: callables without arguments, the peer last.

    Returns:
        Dict from name to median CPU seconds.
    """
    seconds = {name: [] for name in programs}

    def one_round():
        for name, program in programs.items():
            start = time.process_time()
            program()
            seconds[name].append(time.process_time() - start)

    benchmark.pedantic(one_round, rounds=rounds, warmup_rounds=1)
    # The first round warms up.
    medians = {n: float(np.median(s[1:])) for n, s in seconds.items()}
    peer = list(medians.values())[-1]
    load = os.getloadavg()[0]
    print(f"\n{title} (CPU seconds, one thread, load {load:.1f})")
    for name, median in medians.items():
        low, high = min(seconds[name][1:]), max(seconds[name][1:])
        print(
            f"  {name:24s} {median:9.4f}  ({low:.4f} - {high:.4f})"
            f"  peer / this {peer / median:6.2f}"
        )
    benchmark.extra_info.update(medians)
    return medians
