"""Where a result comes from, in JSON's own types: time, commit, versions, device, memory, data."""

import contextlib
import ctypes
import importlib.metadata
import os
import platform
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import jax

from research import data
from research.data import Examples

try:
    import resource
except ImportError:  # Windows
    resource = None

PACKAGES = ("jax", "jaxlib", "optax", "flax", "numpy", "tensorflow-datasets")


def provenance() -> dict[str, Any]:
    """Where a result comes from: time, commit, versions of the packages, machine and device."""
    device = jax.devices()[0]
    versions = {name: importlib.metadata.version(name) for name in PACKAGES}
    return {
        "began": time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime()),
        "commit": LOADED_COMMIT,
        "versions": {"python": platform.python_version(), **versions},
        "device": f"{jax.device_count()} x {device.device_kind} ({device.platform})",
        "machine": f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores",
    }


def commit() -> str:
    """The commit of the code that runs, with '+changes' if files of it differ or are new; '' outside git."""

    def git(*words: str) -> str:
        command = ["git", "-C", str(Path(__file__).parents[2]), *words]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()

    code = ("research", "experiments", "pyproject.toml")
    try:
        changed = git("status", "--porcelain", "--untracked-files=all", "--", *code)
        return git("rev-parse", "HEAD") + ("+changes" if changed else "")
    except (OSError, subprocess.CalledProcessError):
        return ""


LOADED_COMMIT = commit()  # asked now: somebody may edit the files while a long run goes on


def peak_bytes() -> int | None:
    """The most memory of the machine that this process has held at once; None where the system does not count it."""
    if resource is None:
        return None
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def memory_bytes() -> int | None:
    """The memory of this machine; None where the system does not say."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return None


def trim_memory() -> None:
    """Gives freed memory back to the system: between what a long run keeps, glibc holds three times as much."""
    with contextlib.suppress(OSError, AttributeError, TypeError):  # other C libraries see to it themselves
        ctypes.CDLL(None).malloc_trim(0)


def describe_data(name: str, **splits: Examples) -> dict[str, Any]:
    """The data set's name, and the counts and the checksum of every split that was used."""
    described = {split: {"count": len(of.inputs), "sha256": data.checksum(of)} for split, of in splits.items()}
    return {"dataset": {"name": name, **described}}
