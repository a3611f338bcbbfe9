"""What a run will cost, by what the last one of its kind did."""

import dataclasses
import itertools
import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from experiments.common import cli, folders, records
from experiments.common.bounds import require, typed

LONG = 3600  # seconds
PROBLEM = ("dataset", "cost", "model", "layer_sizes", "activation", "output_activation", "init_weights")


def last_run(places: Iterable[Path], size: set[str]) -> dict[str, Any]:
    """The record of the first finished run in `places` that has the size, or else of the first; {} if there is none."""
    found = [record for place in places if "seconds" in (record := folders.last_record(place))]
    return max(found, key=lambda record: size_of(record) == size, default={})


def size_of(record: dict[str, Any]) -> set[str]:
    """The words of a record's command that chose its size; none for the default."""
    return cli.SIZES.intersection(record["command"].split())


def of_one_problem(record: dict[str, Any], other: dict[str, Any]) -> bool:
    """Whether two runs are of the same data, network and cost, however many images or seeds they took."""
    ours, theirs = (json.loads(folders.as_json(each["settings"])) for each in (record, other))
    return all(ours.get(name) == theirs.get(name) for name in PROBLEM)


def is_heavy(record: dict[str, Any], settings: Any) -> bool:
    """Whether at that run's speed this one takes above an hour, or that one took more than half of this machine's
    memory."""
    half = (records.memory_bytes() or float("inf")) / 2
    return record["seconds"] * work(record, settings) > LONG or (record.get("peak_bytes") or 0) > half


def work(record: dict[str, Any], settings: Any) -> float:
    """How many times that run's work this one's is, about: time goes as the seeds, the images, the parameters of plain
    layers, and the epochs or steps, whichever grew more."""
    asked, then = dataclasses.asdict(settings), record["settings"]
    asked = {**asked, "images": asked["num_examples"], "parameters": count_parameters(asked["layer_sizes"])}
    then = {**then, "images": record["dataset"]["train"]["count"], "parameters": record.get("num_parameters")}
    seeds, images, parameters, epochs, steps = (
        asked[name] / then[name] if asked.get(name) and then.get(name) else 1.0
        for name in ("num_seeds", "images", "parameters", "num_epochs", "num_steps")
    )
    return seeds * images * parameters * max(epochs, steps)


def count_parameters(layer_sizes: Sequence[int]) -> int:
    """Of plain layers; 0 without any.

    >>> count_parameters((784, 16, 16, 10)), count_parameters(())
    (13002, 0)
    """
    return sum((num_in + 1) * num_out for num_in, num_out in itertools.pairwise(layer_sizes))


def check_memory(settings: Any) -> None:
    """Raises SettingsError for layers with which the memory is full before they have learned anything; where they take
    half of it, says so."""
    needed, there = 4 * 10 * count_parameters(settings.layer_sizes), records.memory_bytes() or float("inf")
    sizes = typed("--layer-sizes", settings.layer_sizes)
    said = f"{sizes}: ten gradients, by which a network is tried out, take {needed / 1e9:,.0f} GB, and this machine has"
    require(needed < there, f"{said} {there / 1e9:.0f}; take fewer neurons")
    if needed > there / 2:
        print(f"{said} {there / 1e9:.0f}: this may take long", flush=True)


def asked_for(settings: Any, num_images: int, num_parameters: int) -> str:
    """How much work the settings pose."""
    counts = {name: getattr(settings, f"num_{name}s", None) for name in ("seed", "epoch", "step")}
    said = ", ".join(f"{count:,} {name}{'s' * (count != 1)}" for name, count in counts.items() if count)
    return f"It asks for {said}, {num_images:,} training images and a network of {num_parameters:,} parameters."


def by_last_run(record: dict[str, Any], size: set[str], settings: Any) -> str:
    """What the last run took, with its command, its day or commit, and its machine; and this one, at that speed."""
    if not record:
        return "No run of it is known; --help says about how long it takes."
    which = "The last run of this size" if size_of(record) == size else "No run of this size is known; another"
    memory = f" and {record['peak_bytes'] / 1e9:.1f} GB" if record.get("peak_bytes") else ""
    when = record.get("began") or f"commit {record['commit'][:12]}"
    where = f"{when}, {record['machine']}, {record['device']}"
    said = f"{which}, `{record['command']}`, took {duration(record['seconds'])}{memory} ({where})."
    times = work(record, settings)
    return said if times == 1 else f"{said} At its speed this one takes about {duration(times * record['seconds'])}."


def duration(seconds: float) -> str:
    """
    >>> [duration(seconds) for seconds in (0.4, 119.6, 120, 7000, 36000)]
    ['0.4 s', '120 s', '2.0 min', '117 min', '10 h']
    """
    size, unit = (3600, "h") if seconds >= 7200 else (60, "min") if seconds >= 120 else (1, "s")
    return f"{seconds / size:.{int(seconds < 10 * size)}f} {unit}"
