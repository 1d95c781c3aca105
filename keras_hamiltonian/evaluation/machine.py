"""The kind of machine that numbers were measured on."""

import os
import pathlib
import platform


def machine_kind():
    """Processor, cores and widest vector unit, without the name of the host.

    Returns:
        Dict of JSON values: `processor`, `cores` (available to this process),
        `vector_unit` (`None` if unknown).
    """
    lines = _processor_lines()
    flags = lines.get("flags", "").split()
    units = [u for u in ("avx512f", "avx2", "avx", "sse2") if u in flags]
    if hasattr(os, "sched_getaffinity"):
        cores = len(os.sched_getaffinity(0))
    else:
        cores = os.cpu_count()
    return {
        "processor": lines.get("model name") or platform.processor(),
        "cores": cores,
        "vector_unit": units[0] if units else None,
    }


def _processor_lines():
    try:
        text = pathlib.Path("/proc/cpuinfo").read_text()
    except OSError:
        return {}
    first = text.split("\n\n", 1)[0]
    pairs = [line.split(":", 1) for line in first.splitlines() if ":" in line]
    return {name.strip(): value.strip() for name, value in pairs}
