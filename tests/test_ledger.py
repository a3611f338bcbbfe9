"""The list of experiments and the ledger of their claims."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from experiments import __main__ as listing

ROOT = Path(__file__).parents[1]
CLAIM = {
    "id": "T28", "says": "a | b", "measured": 3.1e-8, "expected": 0.0, "low": None, "high": 1e-6, "unit": "difference",
    "num_seeds": 5, "holds": True,
}  # fmt: skip


def record(**changes):
    return {"status": "finished", "finding": "found", "command": "c", "commit": "0" * 40, "device": "cpu", **changes}


def test_every_experiment_is_listed_with_a_question():
    files = {path.stem for path in (ROOT / "experiments").glob("[!_]*.py")}
    found = listing.questions()
    assert set(found) == files
    assert all(question.endswith("?") for question in found.values())


def test_a_claim_that_does_not_hold_is_shown_as_such(tmp_path):
    for name, holds in (("first", True), ("second", False)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "run.json").write_text(json.dumps(record(claims=[{**CLAIM, "holds": holds}])))
    for name in ("figure.png", "page.html", "trace.txt", "arrays.npz"):
        (tmp_path / "first" / name).write_bytes(b"")
    text = listing.ledger(tmp_path)
    assert "| T28 | a \\| b | 3.1e-08 | 0 |  | 1e-06 | difference | 5 | holds |" in text
    assert text.count("**does not hold**") == 1
    assert "![figure](first/figure.png)" in text
    assert "[page.html](first/page.html)" in text
    assert "[trace.txt](first/trace.txt)" in text
    assert "npz" not in text


@pytest.mark.parametrize("word", ["--quick", "nonsense"])
def test_a_word_that_belongs_to_all_is_refused_alone(word):
    done = subprocess.run([sys.executable, "-m", "experiments", word], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 2
    assert "goes with --all" in done.stderr
