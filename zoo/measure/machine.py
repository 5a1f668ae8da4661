"""The machine that a figure was measured on, as far as the figure depends on it: neither its name nor a path."""

import os
import platform
import re
from importlib import metadata
from pathlib import Path

DEVICE_TREE = Path("/proc/device-tree/model")  # "Raspberry Pi 4 Model B Rev 1.4"; a PC has none
CPU_INFO = Path("/proc/cpuinfo")
GOVERNOR = Path("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor")


def describe():
    """A dict, as docs/results/boards/SCHEMA.json has its `machine`; None for what the system does not tell."""
    cpu = _cpu_model()
    return {
        "board": (_text(DEVICE_TREE) or cpu).strip("\0 \n"),
        "cpu": cpu,
        "architecture": platform.machine(),
        "cores": cores(),
        "memory_bytes": _memory_bytes(),
        "os": _os(),
        "kernel": (re.match(r"[\d.]*\d", platform.release()) or [None])[0],  # behind it builders put names of theirs
        "governor": (_text(GOVERNOR) or "").strip() or None,
        "python": platform.python_version(),
        "litert": metadata.version("ai-edge-litert"),
    }


def cores():
    """How many cores this process may run on."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()


def _cpu_model():
    named = re.search(r"^model name\s*:\s*(.+)$", _text(CPU_INFO) or "", re.MULTILINE)  # 64-bit Arm has no such line
    return named[1].strip() if named else platform.processor() or platform.machine()


def _memory_bytes():
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return None


def _os():
    try:
        return platform.freedesktop_os_release()["PRETTY_NAME"]
    except (OSError, KeyError):
        return f"{platform.system()} {platform.mac_ver()[0]}".strip()


def _text(path):
    try:
        return path.read_text(errors="replace")
    except OSError:
        return None
