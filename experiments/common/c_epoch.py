"""An epoch of mini-batch descent in C, for the benchmark only: c_epoch.c, built on the spot where there is a cc."""

import ctypes
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np

from experiments.common.peers import Pair

SOURCE = Path(__file__).with_suffix(".c")
SIZES, BATCH_SIZE, WIDE = (784, 16, 16, 10), 100, 16  # for which it is written; a layer's neurons, filled up


def compiler() -> str:
    """Name and version of the C compiler; empty where there is none."""
    if not shutil.which("cc"):
        return ""
    return subprocess.run(["cc", "--version"], capture_output=True, text=True).stdout.partition("\n")[0]


def build() -> Callable | None:
    """The function of c_epoch.c, compiled for this processor; None where there is no compiler that can."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        library = Path(folder) / "c_epoch.so"
        command = ["cc", "-O3", "-march=native", "-shared", "-fPIC", str(SOURCE), "-o", str(library)]
        if not shutil.which("cc") or subprocess.run(command, capture_output=True).returncode:
            return None
        epoch = ctypes.CDLL(str(library)).epoch
    float32, int32, uint8 = (np.ctypeslib.ndpointer(kind, flags="C") for kind in (np.float32, np.int32, np.uint8))
    epoch.argtypes = [float32, uint8, float32, int32, ctypes.c_int, ctypes.c_float]
    epoch.restype = None
    return epoch


def run(
    epoch: Callable, params: list[Pair], images: np.ndarray, targets: np.ndarray, schedule: np.ndarray, rate: float
) -> list[Pair]:
    """The parameters after a step for every row of the schedule (steps, 100); images are grey levels, uint8."""
    packed = pack(params)
    epoch(packed, images, targets, np.ascontiguousarray(schedule, np.int32), len(schedule), rate)
    return unpack(packed)


def pack(params: list[Pair]) -> np.ndarray:
    """As c_epoch.c keeps a network: of every layer one row for each input, and one for the biases."""
    rows = [np.concatenate([weights.T, biases[None]]) for weights, biases in params]
    filled = [np.pad(each, ((0, 0), (0, WIDE - each.shape[1]))) for each in rows]
    return np.ascontiguousarray(np.concatenate(filled))


def unpack(packed: np.ndarray) -> list[Pair]:
    """The inverse of `pack`.

    >>> params = [(np.full((16, 784), 2.0), np.ones(16)), (np.ones((16, 16)), np.ones(16))]
    >>> params.append((np.ones((10, 16)), np.ones(10)))
    >>> [(weights.shape, float(weights.min()), float(biases.max())) for weights, biases in unpack(pack(params))]
    [((16, 784), 2.0, 1.0), ((16, 16), 1.0, 1.0), ((10, 16), 1.0, 1.0)]
    """
    ends = np.cumsum([num_in + 1 for num_in in SIZES[:-1]])[:-1]
    layers = zip(np.split(packed, ends), SIZES[1:], strict=True)
    return [(rows[:-1, :num_out].T, rows[-1, :num_out]) for rows, num_out in layers]
