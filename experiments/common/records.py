"""What an experiment leaves behind: claims with their verdicts, run.json, and arrays, written whole or not at all."""

import contextlib
import dataclasses
import importlib.metadata
import json
import math
import os
import platform
import shlex
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import IO, Any

import jax
import numpy as np
from rich.console import Console
from rich.table import Table

from experiments.common.runs import Diverged
from research import data
from research.data import Examples

PACKAGES = ("jax", "jaxlib", "optax", "flax", "numpy", "tensorflow-datasets")


@dataclasses.dataclass(frozen=True)
class Claim:
    """One sentence of the film with its number. `expected`, `low` and `high` come from theory or the literature and
    are fixed in the code before the run; None means unbounded on that side."""

    id: str
    says: str
    measured: float
    expected: float | None
    low: float | None
    high: float | None
    unit: str
    num_seeds: int

    @property
    def holds(self) -> bool:
        """Whether the measured number is finite and within its bounds."""
        above = self.low is None or self.measured >= self.low
        below = self.high is None or self.measured <= self.high
        return math.isfinite(self.measured) and above and below


def write_whole(path: Path, write: Callable[[IO[bytes]], object]) -> None:
    """Writes a file beside its place and moves it there when it is complete, so that nobody meets half of it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}.", delete=False) as file:
        try:
            write(file)
            file.flush()
            os.chmod(file.name, 0o644)
            os.replace(file.name, path)
        except BaseException:
            os.unlink(file.name)
            raise


def write_run(
    folder: Path,
    settings: Any,
    claims: Iterable[Claim],
    arrays: dict[str, np.ndarray],
    *,
    status: str = "finished",
    **facts: Any,
) -> None:
    """Leaves run.json (settings, command, commit, versions, device, claims, facts) and arrays.npz in `folder`.

    The figures, pages and further arrays of an earlier run are removed, lest they be taken for this one's.
    """
    record = {
        "status": status,
        "settings": dataclasses.asdict(settings),
        "command": shlex.join(["python", "-m", module_name(), *sys.argv[1:]]),
        **provenance(),
        **facts,
        "claims": [{**dataclasses.asdict(claim), "holds": claim.holds} for claim in claims],
    }
    text = json.dumps(plain(record), indent=1, allow_nan=False) + "\n"
    for stale in (path for kind in ("png", "gif", "html", "npz") for path in folder.glob(f"*.{kind}")):
        if stale.name != "arrays.npz":
            stale.unlink()
    write_whole(folder / "arrays.npz", lambda file: np.savez_compressed(file, allow_pickle=False, **arrays))
    write_whole(folder / "run.json", lambda file: file.write(text.encode()))


def conclude(
    folder: Path, settings: Any, claims: Sequence[Claim], arrays: dict[str, np.ndarray], *, finding: str, **facts: Any
) -> None:
    """The end of a run: run.json and arrays.npz, and on the terminal the claims and the finding."""
    write_run(folder, settings, claims, arrays, finding=finding, **facts)
    print_claims(claims)
    print(finding)


@contextlib.contextmanager
def divergence_recorded(folder: Path, settings: Any, **facts: Any) -> Iterator[None]:
    """If what is done inside diverges, run.json says so, in place of an earlier run's; the error goes on."""
    try:
        yield
    except Diverged as error:
        write_run(folder, settings, [], {}, status=f"diverged: {error}", **facts)
        raise


def plain(value: Any) -> Any:
    """The value in JSON's own types: paths as text, numpy's numbers as numbers, and None for NaN and infinity."""
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if isinstance(value, Path):
        return str(value)
    number = value.item() if isinstance(value, (np.generic, np.ndarray, jax.Array)) else value
    return None if isinstance(number, float) and not math.isfinite(number) else number


def read_run(folder: Path) -> tuple[dict, dict[str, np.ndarray]]:
    """(run.json, arrays.npz) as an earlier run left them. Raises DataError if there are none, or none to draw."""
    try:
        record = json.loads((folder / "run.json").read_text())
        with np.load(folder / "arrays.npz") as arrays:
            found = dict(arrays)
    except FileNotFoundError as error:
        raise data.DataError(f"{error.filename} is missing; run the experiment first, without --replot") from error
    except (ValueError, OSError, zipfile.BadZipFile) as error:
        raise data.DataError(f"the files in {folder} are damaged ({error}); run again, without --replot") from error
    if record["status"] != "finished":
        raise data.DataError(f"there is nothing to draw in {folder}, that run ended thus: {record['status']}")
    return record, found


def provenance() -> dict[str, Any]:
    """Where a result comes from: commit, versions of the packages, machine and device."""
    device = jax.devices()[0]
    return {
        "commit": LOADED_COMMIT,
        "versions": {
            "python": platform.python_version(),
            **{name: importlib.metadata.version(name) for name in PACKAGES},
        },
        "device": f"{jax.device_count()} x {device.device_kind} ({device.platform})",
        "machine": f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores",
    }


def commit() -> str:
    """The commit of the code that runs, with '+changes' if files of it differ or are new; '' outside git."""
    here = Path(__file__).parents[2]

    def git(*words: str) -> str:
        return subprocess.run(
            ["git", "-C", str(here), *words], capture_output=True, text=True, check=True
        ).stdout.strip()

    try:
        changed = git(
            "status", "--porcelain", "--untracked-files=all", "--", "research", "experiments", "pyproject.toml"
        )
        return git("rev-parse", "HEAD") + ("+changes" if changed else "")
    except (OSError, subprocess.CalledProcessError):
        return ""


LOADED_COMMIT = commit()  # asked now: somebody may edit the files while a long run goes on


def describe_data(name: str, **splits: Examples) -> dict[str, Any]:
    """The data set's name, and the counts and the checksum of every split that was used."""
    return {
        "dataset": {
            "name": name,
            **{
                split: {"count": len(examples.inputs), "sha256": data.checksum(examples)}
                for split, examples in splits.items()
            },
        }
    }


def print_claims(claims: Iterable[Claim]) -> None:
    """The claims as a table on the terminal: what is said, the number, what was expected, the verdict."""
    table = Table("claim", "says", "measured", "expected", "verdict", title_justify="left")
    for claim in claims:
        bounds = f"{_short(claim.low, '-inf')} .. {_short(claim.high, 'inf')}"
        verdict = "[green]holds[/]" if claim.holds else "[red]does not hold[/]"
        expected = f"{_short(claim.expected, '-')} ({bounds})"
        table.add_row(claim.id, claim.says, f"{_short(claim.measured)} {claim.unit}", expected, verdict)
    Console().print(table)


def _short(value: float | None, none: str = "") -> str:
    return none if value is None else f"{value:.4g}"


def module_name() -> str:
    """Of the script that runs, as `python -m` takes it."""
    spec = getattr(sys.modules["__main__"], "__spec__", None)
    return spec.name if spec else Path(sys.argv[0]).stem


def worst(deviations: np.ndarray | jax.Array) -> float:
    """The deviation that is farthest from 0, with its sign.

    >>> worst(np.array([0.1, -0.3]))
    -0.3
    """
    flat = np.ravel(deviations)
    return float(flat[np.argmax(np.abs(flat))])
