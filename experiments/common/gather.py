"""All experiments together: run what is due, judge again, and gather the ledger."""

import json
import sys
import time
from pathlib import Path
from typing import Any

from experiments.common import again, chapters, cli, estimates, experiment, folders, front, ledger, stale, stopping
from experiments.common.bounds import SettingsError, first_line, require
from experiments.common.chapters import Question
from research.data import DataError


def why_run(question: Question, record: dict[str, Any], sizes: set[str], typed: dict[str, Any]) -> str:
    """Why an experiment must run: missing, not finished, of another size or other settings than were typed, stale; ''
    where its result is up to date."""
    if not record:
        return "missing"
    if record["status"] != "finished":
        return record["status"].partition(":")[0]
    if sizes != estimates.size_of(record):
        return "of another size"
    then, wanted = record["settings"], json.loads(folders.as_json(typed))
    if any(then.get(name) != value for name, value in wanted.items() if name not in ("out", "cpu_devices")):
        return "of other settings"
    return "stale" if stale.is_stale(question.module, record) else ""


def run_all(out: Path, passed_on: list[str]) -> None:
    """Runs what is due by `why_run`, one after the other, goes on after a failure, and gathers the ledger."""
    records = {question: folders.last_record(out / question.name) for question in chapters.all_questions().values()}
    sizes, due = cli.SIZES.intersection(passed_on), {}
    for question, record in records.items():
        changes = {}
        if {*passed_on} - cli.SIZES - {cli.DRY_RUN, cli.RESUME}:  # looked at before any of them runs
            module = cli.import_module("the experiment", question.module)
            _, changes = cli.typed(module, question.name, passed_on)
        why = why_run(question, record, sizes, changes)
        due |= {question: why} if why else {}
    known = [records[question]["seconds"] for question, why in due.items()
             if not why.startswith("of ") and "seconds" in records[question]]  # fmt: skip
    unknown = f"; of {len(due) - len(known)} none is known" if len(known) < len(due) else ""
    about = f": about {sum(known) / 60:.0f} min, by the last runs of {len(known)} of them" if known else ""
    print(f"{len(due)} of {len(records)} experiments to run{about}{unknown}", flush=True)
    if cli.DRY_RUN in passed_on:
        return
    folders.check_writable(out)
    failed = []
    stopping.FATE.append("--all --resume goes on with the experiments that are not finished")
    for number, (question, why) in enumerate(due.items(), start=1):
        print(f"\n[{number}/{len(due)}] {question.name} ({why}), {time.strftime('%H:%M')}", flush=True)
        command = [sys.executable, "-m", "experiments", question.name, "--out", str(out), *passed_on]
        if stopping.run(command):
            failed.append(question.name)
    write_ledger(out)
    if failed:
        raise SystemExit(f"failed: {', '.join(failed)}")


def records_in(out: Path) -> dict[str, dict[str, Any]]:
    """The records in OUT by the names of their folders; what is none, as of another program, is named and left out."""
    found = {}
    for path in sorted(out.glob(f"*/{folders.RECORD}")):
        try:
            found[path.parent.name] = folders.read_record(path.parent)
        except DataError as error:
            print(f"left out: {error}", file=sys.stderr)
    return found


def there_are(out: Path) -> dict[str, str]:
    """The modules of the experiments of which a result lies in OUT, in the film's order, a user's own last."""
    records = records_in(out)
    require(bool(records), f"there is no result in {out}; run an experiment first, or name another folder by --out")
    ours = {name: question.module for name, question in chapters.all_questions().items() if name in records}
    return ours | {name: record.get("module", name) for name, record in records.items() if name not in ours}


def print_stale(out: Path) -> None:
    """A line for every result whose measuring code, or a user's own, has changed since."""
    there = there_are(out)
    found = {name: record for name, module in there.items()
             if stale.is_stale(module, record := folders.read_record(out / name))}  # fmt: skip
    for name, record in found.items():
        own = ", ".join(stale.changed(there[name], record))
        print(f"{name}: {own} is not here, or no longer what it was" if own else f"{name}: measured by the code of "
              f"{record['commit'][:12]}")  # fmt: skip
    if not found:
        print(f"none of the {len(there)} results in {out} was measured by other code than that of today")


def verify(names: list[str], out: Path) -> None:
    """Runs results of OUT again, all of them where none is named. Each has a process of its own, for how many devices
    there are is settled once in a process."""
    there = there_are(out)
    missing = [name for name in names if name not in there]
    require(not missing, f"there is no result of {', '.join(missing)} in {out}; name folders that lie in it")
    if len(names) == 1:
        module = cli.import_module("the experiment", there[names[0]])
        failed = again.verify(module, out / names[0])
    else:
        command = [sys.executable, "-m", "experiments", "--out", str(out), "--verify"]
        failed = [name for name in names or there if stopping.run([*command, name])]
    if failed:
        raise SystemExit(f"not the same again: {', '.join(failed)}")


def check(out: Path, words: list[str]) -> None:
    """A line for every claim whose verdict in OUT is not the committed one; of runs of one size if words name it."""
    sizes = cli.SIZES.intersection(words)
    require(len(words) == len(sizes) < 2, f"--check takes --quick, --full or neither, not {' '.join(words)}")
    require(out.resolve() != experiment.COMMITTED, f"{out} has the committed results; name your own by --out")
    compared, other = 0, 0
    for name in there_are(out):
        record, committed = folders.read_record(out / name), folders.last_record(experiment.COMMITTED / name)
        if not committed or not estimates.of_one_problem(record, committed):
            continue
        ours, theirs = folders.claims_of(record), folders.claims_of(committed)
        for key in [key for key in ours if key in theirs and sizes <= estimates.size_of(record)]:
            compared += 1
            if ours[key]["holds"] != theirs[key]["holds"]:
                other += 1
                now, then = ("holds" if of[key]["holds"] else "does not hold" for of in (ours, theirs))
                print(f"{name} {key[0]}: {now}, committed: {then}; {key[1]}")
    require(compared > 0, f"no claim in {out} is also in the committed results, so there is nothing to compare")
    print(f"{compared} verdicts compared with the committed ones, {other} differ")
    if other:
        raise SystemExit(1)


def rejudge_all(out: Path) -> None:
    """Verdicts, sentences and figures of every result in OUT by today's code, then the ledger; goes on after one that
    cannot be judged."""
    failed = []
    for name, module in there_are(out).items():
        try:
            claims = experiment.rejudge(cli.import_module("the experiment", module), out / name)
            print(f"{name}: {sum(claim.holds for claim in claims)} of {len(claims)} claims hold")
        except Exception as error:  # whatever a user's own claims or figures raise
            said = error if isinstance(error, (DataError, SettingsError)) else first_line(error)
            print(f"{name}: {said}", file=sys.stderr)
            failed.append(name)
    write_ledger(out)
    if failed:
        raise SystemExit(f"not judged again: {', '.join(failed)}")


def write_ledger(out: Path) -> None:
    """OUT/README.md and OUT/index.html, gathered from the runs that lie in OUT; files of somebody's in their places are
    kept beside them."""
    found = records_in(out)
    for path, content, title in (
        (out / "README.md", ledger.text(found), ledger.TITLE), (out / "index.html", front.page(found), front.TITLE)
    ):  # fmt: skip
        folders.set_aside(path, title)
        folders.write_file(path, content.encode(errors="replace"))
    print(f"the ledger is {out / 'README.md'}, the front page {out / 'index.html'}")
