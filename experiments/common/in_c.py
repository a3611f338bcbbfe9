"""The film's network in C, for the benchmark only: in_c.c, built on the spot where there is a cc."""

import ctypes
import os
import shutil
import subprocess
import tempfile
from concurrent.futures import ThreadPoolExecutor
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


def build() -> ctypes.CDLL | None:
    """The functions of in_c.c, compiled for this processor; None where there is no compiler that can."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        library = Path(folder) / "in_c.so"
        command = ["cc", "-O3", "-march=native", "-shared", "-fPIC", str(SOURCE), "-o", str(library)]
        if not shutil.which("cc") or subprocess.run(command, capture_output=True).returncode:
            return None
        built = ctypes.CDLL(str(library))
    float32, int32, uint8 = (np.ctypeslib.ndpointer(kind, flags="C") for kind in (np.float32, np.int32, np.uint8))
    built.epoch.argtypes = [float32, uint8, float32, int32, ctypes.c_int, ctypes.c_float]
    built.add_up.argtypes = [float32, uint8, float32, ctypes.c_int, float32, ctypes.c_void_p]
    built.epoch.restype = built.add_up.restype = None
    return built


def epoch(
    built: ctypes.CDLL, params: list[Pair], images: np.ndarray, targets: np.ndarray, schedule: np.ndarray, rate: float
) -> list[Pair]:
    """The parameters after a step for every row of the schedule (steps, 100); images are grey levels, uint8."""
    packed = pack(params)
    built.epoch(packed, images, targets, np.ascontiguousarray(schedule, np.int32), len(schedule), rate)
    return unpack(packed)


def gradient(built: ctypes.CDLL, params: list[Pair], images: np.ndarray, targets: np.ndarray) -> list[Pair]:
    """Of the mean cost of all images, which are a multiple of 100."""
    return unpack(add_up(built, params, images, targets, squared=False)[0] / len(images))


def variances(built: ctypes.CDLL, params: list[Pair], images: np.ndarray, targets: np.ndarray) -> list[Pair]:
    """Of every derivative over the images, a multiple of 100: the mean of the squares less the square of the mean."""
    means, squares = add_up(built, params, images, targets, squared=True) / len(images)
    return unpack(squares - means**2)


def add_up(
    built: ctypes.CDLL, params: list[Pair], images: np.ndarray, targets: np.ndarray, squared: bool
) -> np.ndarray:
    """[sums, sums of squares] over the images, as packed; every core takes its share of the batches."""
    packed, num_batches = pack(params), len(images) // BATCH_SIZE

    def share(batches: np.ndarray) -> np.ndarray:
        found, begin = np.zeros((2, *packed.shape), np.float32), BATCH_SIZE * batches[0]
        squares = found[1].ctypes.data if squared else None
        built.add_up(packed, images[begin:], targets[begin:], len(batches), found[0], squares)
        return found

    num_threads = min(os.cpu_count() or 1, num_batches)
    with ThreadPoolExecutor(num_threads) as threads:  # ctypes lets go of Python's lock
        return np.sum(list(threads.map(share, np.array_split(np.arange(num_batches), num_threads))), axis=0)


def pack(params: list[Pair]) -> np.ndarray:
    """As in_c.c keeps a network: of every layer one row for each input, and one for the biases."""
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
