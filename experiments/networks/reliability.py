"""Does a run end with the same bits however often it is killed, and does what cannot work end in one sentence?

Experiments run as one starts them, each in a process of its own. One run is left alone; another is killed (SIGKILL) at
random moments, every second attempt just while a result or a checkpoint is written, and started again with --resume
until it has been killed often enough; then it may end. Its arrays are compared with those of the run that was left
alone by their SHA-256. Bad inputs, drawn from the list that the tests use too, and faults of the system are tried and
counted: one sentence, the right exit code, nothing left behind.

Run:     python -m experiments reliability [--quick | --full]
Time:    --full 5 min on 2 cores
Result:  50 kills, 25 of them while writing: 29 of 29 arrays have the same bits; 300 of 300 bad inputs are refused
"""

import dataclasses
import os
import signal
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, NamedTuple

import numpy as np
from annotated_types import Interval
from jaxtyping import Int

from experiments.common import bad_inputs, experiment, folders, plots, trials
from experiments.common.bounds import Count
from experiments.common.claims import Claims, exactly, identity
from experiments.common.problem import Problem

RUNS = ("steepest", "falling_rate", "running_mean", "one_epoch", "larger_batches")  # none measures seconds
KILLS = ("kills", "while writing", "gone on", "mixtures", "arrays", "other bits", "left behind")
TRIED, ENDS = ("bad inputs", "faults"), ("tried", "one sentence", "exit code", "nothing written")


@dataclasses.dataclass(frozen=True)
class Settings(experiment.Settings):
    num_seeds: Count = 1
    """Seeds of the runs that are killed."""
    num_runs: Annotated[int, Interval(ge=1, le=len(RUNS))] = 2
    """How many experiments are killed."""
    num_kills: Annotated[int, Interval(ge=1, le=1000)] = 4
    """How often each is killed."""
    num_inputs: Annotated[int, Interval(ge=1, le=700)] = 60
    """How many bad inputs are tried."""


QUICK = Settings(num_runs=1, num_kills=2, num_inputs=10)
FULL = Settings(num_runs=5, num_kills=10, num_inputs=300)


class Result(NamedTuple):
    kills: Int[np.ndarray, "runs 7"]  # counts, in the order of KILLS
    ends: Int[np.ndarray, "tried 4"]  # rows TRIED, columns ENDS


def measure(problem: Problem, settings: Settings) -> Result:
    rng = np.random.default_rng(settings.seed)
    folder = Path(settings.dataset)  # each run has a working folder of its own
    dataset = str(folder.absolute()) if folder.is_dir() else settings.dataset
    common = ["--quick", "--num-seeds", str(settings.num_seeds), "--seed", str(settings.seed), "--cpu-devices", "1",
              "--num-examples", str(min(1000, len(problem.train.inputs))), "--dataset", dataset]  # fmt: skip
    with tempfile.TemporaryDirectory() as own:
        here = Path(own)
        kills = [kill([name, *common], here / name, settings.num_kills, rng) for name in RUNS[: settings.num_runs]]
        inputs = bad_inputs.all_of_them()
        drawn = [inputs[number] for number in rng.permutation(len(inputs))[: settings.num_inputs]]
        refused = [end([name, *words, "--dry-run"], here / str(number)) for number, (name, words) in enumerate(drawn)]
        faults = list(faulty([RUNS[0], *common], here / "faults"))
    return Result(np.array(kills), np.array([np.sum(refused, axis=0), np.sum(faults, axis=0)]))


def kill(words: list[str], here: Path, num_kills: int, rng: np.random.Generator) -> list[int]:
    """The counts of KILLS for one experiment."""
    name, words, out = words[0], [*words, "--out", "out"], here / "killed" / "here" / "out"
    began = time.monotonic()
    trials.ended(words, here / "alone")
    seconds = time.monotonic() - began
    done = writing = gone_on = mixtures = 0
    for number in range(3 * num_kills):  # a run may end before it is killed
        while_writing = number % 2 == 1
        if done < num_kills and trials.killed([*words, "--resume"], here / "killed", name,
                                              rng.uniform(0, seconds / (1 + while_writing)),
                                              while_writing=while_writing):  # fmt: skip
            done, writing = done + 1, writing + while_writing
            mixtures += not trials.is_whole(out / name)
            gone_on += "goes on after" in (here / "killed" / "out").read_text()
    trials.ended([*words, "--resume"], here / "killed")
    alone = folders.read_record(here / "alone" / "here" / "out" / name)["sha256_of_arrays"]
    after = folders.last_record(out / name).get("sha256_of_arrays", {})
    other = sum(after.get(array) != bits for array, bits in alone.items())
    left = [path for path in out.iterdir() if path.name != name]
    return [done, writing, gone_on, mixtures, len(alone), other, len(left)]


def end(words: list[str], place: Path, code: int = 2, **limit: int) -> list[int]:
    """The counts of ENDS for one try: 1, and whether it ended so."""
    (place / "here").mkdir(parents=True, exist_ok=True)
    before = trials.contents(place / "here")
    found = trials.ended(words, place, **limit)
    said = (place / "err").read_text()
    return [1, int(trials.is_one_sentence(said)), int(found == code), int(trials.contents(place / "here") == before)]


def faulty(words: list[str], here: Path) -> Iterator[list[int]]:
    """The counts of ENDS for each fault: a limit for files, a file or a loop of links in the folder's place, damaged
    records and arrays, and a second run beside one that goes on."""
    name, words = words[0], [*words, "--out", "out"]
    trials.ended(words, here / "limit")
    yield end([*words, "--seed", "7"], here / "limit", most_bytes=2000)
    (here / "file" / "here" / "out").mkdir(parents=True)
    (here / "file" / "here" / "out" / name).write_text("somebody's")
    yield end(words, here / "file")
    (here / "loop" / "here").mkdir(parents=True)
    (here / "loop" / "here" / "out").symlink_to("out")
    yield end(words, here / "loop")
    place = here / "limit" / "here" / "out" / name
    for damaged in (folders.ARRAYS, folders.RECORD):
        whole = (place / damaged).read_bytes()
        (place / damaged).write_bytes(whole[: len(whole) // 2])
        yield end(["--verify", name, "--out", "out"], here / "limit")
        (place / damaged).write_bytes(whole)
    first = trials.begin(words, here / "two")
    lock = here / "two" / "here" / "out" / f".{name}.resume.lock"
    while first.is_alive() and not lock.exists():
        time.sleep(0.01)
    os.kill(first.pid or 0, signal.SIGSTOP)  # it waits, so that the second one meets it
    stopped = end([*words, "--seed", "7"], here / "two")
    os.kill(first.pid or 0, signal.SIGCONT)
    first.join()
    yield [*stopped[:3], int(trials.is_whole(lock.with_name(name)))]


def claims(result: Result, settings: Settings) -> Claims:
    kills, ends = dict(zip(KILLS, result.kills.sum(axis=0), strict=True)), result.ends
    tried, count = f"after {kills['kills']} kills, {kills['while writing']} of them while writing", "count"
    yield identity("N9", f"no result is a mixture of two runs {tried}", kills["mixtures"], exactly(0), count,
                   "a folder is moved into place by one renameat2, which is atomic")  # fmt: skip
    yield identity("N9", f"{kills['arrays']} arrays have the bits of a run that was left alone {tried}",
                   kills["other bits"], exactly(0), "arrays with other bits",
                   "the same programs on the same inputs, and what was saved is read back whole")  # fmt: skip
    yield identity("N9", f"nothing is left beside the results {tried}", kills["left behind"], exactly(0), "files",
                   "the next run clears what a killed one left")  # fmt: skip
    for row, kind in enumerate(TRIED):
        yield identity("N9", f"{ends[row, 0]} {kind} end in one sentence, with exit code 2, and nothing written",
                       (ends[row, :1] - ends[row, 1:]).sum(), exactly(0), "requirements missed",
                       "everything that is typed is checked before anything is written")  # fmt: skip


def finding(result: Result, settings: Settings) -> str:
    kills, (tried, *met) = dict(zip(KILLS, result.kills.sum(axis=0), strict=True)), result.ends[0]
    return (
        f"{len(result.kills)} experiments were killed {kills['kills']} times, {kills['while writing']} of them while "
        f"writing: {kills['arrays'] - kills['other bits']} of {kills['arrays']} arrays are the same to the last bit, "
        f"{kills['mixtures']} results mixed; {tried} bad inputs missed {len(met) * tried - sum(met)} of their "
        "requirements: one sentence, exit code 2, nothing written."
    )


def figures(result: Result, settings: Settings) -> dict[str, plots.Figure]:
    figure, [[left, right]] = plots.new_figure(12, 3.8, columns=2)
    wrong = np.where(np.isin(KILLS, ("mixtures", "other bits", "left behind")), result.kills, 0)
    short = result.ends[:, :1] - result.ends
    for axis, names, labels, table, red, title in (
        (left, RUNS, KILLS, result.kills, wrong, "killed, then --resume: the bold columns should be 0"),
        (right, TRIED, ENDS, result.ends, short, "what cannot work: the numbers of a row should be equal"),
    ):
        axis.imshow(red > 0, cmap="Reds", vmin=0, vmax=2, aspect="auto")
        axis.set_xticks(range(len(labels)), labels, rotation=30, ha="right")
        axis.set_yticks(range(len(table)), names[: len(table)])
        axis.set_title(title, fontsize=11)
        axis.grid(visible=False)
        for (row, column), count in np.ndenumerate(table):
            axis.text(column, row, str(count), ha="center", va="center", fontsize=14)
    for column in (3, 5, 6):
        left.get_xticklabels()[column].set(color="firebrick", fontweight="bold")
    kills, tried, bad = result.kills[:, 0].sum(), result.ends[:, 0].sum(), wrong.sum() + short.sum()
    says = f"{kills} kills, {tried} bad inputs and faults: {bad} went wrong"
    about = "experiments at --quick on 1,000 images at most; bad inputs, drawn from the tests' list, at --dry-run"
    return {"reliability": plots.headline(figure, says, about=about)}
