"""Whether a result comes out again: its experiment runs once more with the settings of its record, beside it.

Arrays with "seconds" in their name are timings, or are read after equally many seconds; they are never the same, so
they are shown and not judged. All others must agree within the rounding of float32.
"""

import dataclasses
import tempfile
from pathlib import Path
from types import ModuleType

import numpy as np

from experiments.common import experiment, folders, stale, trees

TOLERANCE = 8 * float(np.finfo(np.float32).eps)  # 1e-6 of the largest number, what JAX's own tests allow for float32
OTHERWISE = ("dataset", "commit", "own_code", "versions", "machine", "device")  # what may explain a difference


def verify(module: ModuleType, folder: Path) -> list[str]:
    """Says for every array of the result in `folder` how it comes out again; the names of those that do not."""
    earlier, name = experiment.read(module, folder), experiment.name_of(module)
    before = folders.read_arrays(folder)  # now: another run may come in between
    with tempfile.TemporaryDirectory() as out:
        settings = dataclasses.replace(earlier.settings, out=Path(out))
        posed = experiment.prepared(module, settings)
        facts = experiment.facts_of(module, settings, posed)
        again = trees.flat(experiment.measured(module, settings, posed))
    facts["own_code"] = stale.users_code(module.__name__)  # also what `measure` has imported
    other = [key for key in OTHERWISE if earlier.record.get(key, {}) != facts[key]]
    print(f"{name} again; what is other than then: {', '.join(other) or 'nothing'}")
    apart = {key: difference(before.get(key), again.get(key)) for key in before | again}
    same = {key for key in before.keys() & again.keys() if has_same_bits(before[key], again[key])}
    for key, share in apart.items():
        by = f"differs by {share:.1e} of its largest number" if share < np.inf else "is another array altogether"
        print(f"  {key}: {'the same bits' if key in same else by}{' (a timing, not judged)' * is_timing(key)}")
    failed = [key for key, share in apart.items() if share > TOLERANCE and not is_timing(key)]
    print(f"{name}: {len(same)} of {len(apart)} arrays have the same bits, {len(failed)} differ beyond {TOLERANCE:.0e}")
    return failed


def is_timing(name: str) -> bool:
    return "seconds" in name


def has_same_bits(one: np.ndarray, other: np.ndarray) -> bool:
    return folders.fingerprints({"": one}) == folders.fingerprints({"": other})


def difference(before: np.ndarray | None, again: np.ndarray | None) -> float:
    """The largest difference as a share of the largest finite number before; infinite where an array is missing, of
    another shape or kind, or where words, infinities or NaNs differ.

    >>> difference(np.array([1.0, 4.0]), np.array([1.0, 5.0]))
    0.25
    """
    if before is None or again is None or (before.shape, before.dtype) != (again.shape, again.dtype):
        return np.inf
    if before.dtype.kind not in "iufb":
        return 0.0 if np.array_equal(before, again) else np.inf
    x, y = before.astype(np.float64), again.astype(np.float64)
    unequal = (x != y) & ~(np.isnan(x) & np.isnan(y))
    largest = np.max(np.abs(x[np.isfinite(x)]), initial=0)
    apart = np.max(np.abs(x[unequal] - y[unequal]), initial=0)
    if apart == 0:
        return 0.0
    return float(apart / largest) if largest > 0 and np.isfinite(apart) else np.inf
