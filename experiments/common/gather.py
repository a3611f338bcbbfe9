"""All experiments together: run what is stale or missing, judge again, and gather the ledger."""

import json
import subprocess
import sys
import time
from pathlib import Path

from experiments.common import chapters, cli, experiment, folders, ledger, stale
from experiments.common.chapters import Question
from research.data import DataError


def seconds_of(question: Question, out: Path) -> float:
    """How long the last run took; NaN where there is none."""
    try:
        return float(folders.read_record(out / question.name).get("seconds", float("nan")))
    except DataError:
        return float("nan")


def why_run(question: Question, out: Path, sizes: list[str]) -> str:
    """Why an experiment must run: missing, not finished, of another size, stale; '' where its result is up to date."""
    try:
        record = folders.read_record(out / question.name)
    except DataError:
        return "missing"
    if record["status"] != "finished":
        return record["status"].partition(":")[0]
    if set(sizes) != {word for word in record["command"].split() if word in cli.SIZES}:
        return "of another size"
    return "stale" if stale.is_stale(question.module, record["commit"]) else ""


def run_all(out: Path, passed_on: list[str]) -> None:
    """Runs what is stale or missing, one after the other, goes on after a failure, and gathers the ledger."""
    sizes = [word for word in passed_on if word in cli.SIZES]
    due = {question: why_run(question, out, sizes) for question in chapters.all_questions().values()}
    due = {question: why for question, why in due.items() if why}
    known = [seconds for question in due if (seconds := seconds_of(question, out)) == seconds]
    print(
        f"{len(due)} of {len(chapters.all_questions())} experiments to run: about {sum(known) / 60:.0f} min, by the "
        f"last runs of {len(known)} of them", flush=True,
    )  # fmt: skip
    failed = []
    for number, (question, why) in enumerate(due.items(), start=1):
        print(f"\n[{number}/{len(due)}] {question.name} ({why}), {time.strftime('%H:%M')}", flush=True)
        command = [sys.executable, "-m", "experiments", question.name, "--out", str(out), *passed_on]
        failed += [question.name] if subprocess.run(command).returncode else []
    write_ledger(out)
    if failed:
        raise SystemExit(f"failed: {', '.join(failed)}")


def print_stale(out: Path) -> None:
    """A line for every result whose measuring code has changed since its commit."""
    for question in chapters.all_questions().values():
        if (out / question.name / folders.RECORD).exists():
            commit = folders.read_record(out / question.name)["commit"]
            if stale.is_stale(question.module, commit):
                print(f"{question.name}: measured by the code of {commit[:12]}")


def rejudge_all(out: Path) -> None:
    """Verdicts, sentences and figures of every result in OUT by today's code, then the ledger."""
    for question in chapters.all_questions().values():
        if (out / question.name / folders.RECORD).exists():
            try:
                claims = experiment.rejudge(cli.import_module("the experiment", question.module), out / question.name)
            except DataError as error:
                print(f"{question.name}: {error}", file=sys.stderr)
                continue
            print(f"{question.name}: {sum(claim.holds for claim in claims)} of {len(claims)} claims hold")
    write_ledger(out)


def write_ledger(out: Path) -> None:
    """OUT/README.md, gathered from the runs that lie in OUT."""
    found = {path.parent.name: json.loads(path.read_text(encoding="utf-8")) for path in sorted(out.glob("*/run.json"))}
    folders.write_file(out / "README.md", ledger.text(found).encode())
    print(f"the ledger is {out / 'README.md'}")
