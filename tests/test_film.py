"""The table that all claims refer to: complete, in order, and true about which rows are claimed."""

import ast
import json
import re
from functools import cache
from pathlib import Path

import pytest

from experiments.common import chapters
from experiments.common.film import FILM, ROWS

ROOT = Path(__file__).parents[1]
SCRIPTS = sorted(path for chapter in chapters.CHAPTERS for path in (ROOT / "experiments" / chapter).glob("*.py"))


def ids_in(tree):
    """Every id in the functions of a script that make claims, but for those of speed."""
    makers = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef) and node.returns is not None
              and "Claim" in ast.unparse(node.returns)]  # fmt: skip
    nodes = [node for maker in makers for node in ast.walk(maker)]
    calls = [node for node in nodes if isinstance(node, ast.Call) and ast.unparse(node.func) == "speed"]
    of_speed = {id(call.args[0]) for call in calls}
    words = [str(node.value) for node in nodes if isinstance(node, ast.Constant) and id(node) not in of_speed]
    return {word for word in words if re.fullmatch(r"[TCEN]\d+|speed", word)}


@cache  # all scripts are parsed, and there is a row for each id
def claimed():
    """Every id that a script claims, as a prediction, an identity or a follow-up, with the script's name."""
    return {word: path.name for path in SCRIPTS for word in ids_in(ast.parse(path.read_text()))}


def test_ids_are_found_where_claims_are_made_and_not_where_speed_is():
    made = (
        "def claims(result) -> Iterator[Claim]:\n    yield speed('T30')\n    yield from map(identity, ('T7', 'C1'))\n"
    )
    assert ids_in(ast.parse(made + "def figures(result) -> dict:\n    return {'T9': 1}")) == {"T7", "C1"}


def test_every_row_is_claimed_or_says_why_not():
    assert not [row.id for row in ROWS if row.id not in claimed() and not row.unchecked]


def test_every_essential_row_without_such_a_line_has_a_claim_in_the_committed_results():
    records = [json.loads(path.read_text()) for path in (ROOT / "results").glob("*/run.json")]
    found = {claim["id"] for record in records for claim in record["claims"] if claim["kind"] != "speed"}
    assert not {row.id for row in ROWS if row.essential and not row.unchecked} - found


def test_every_claim_of_a_script_has_its_row():
    assert len(claimed()) > 50, "they are found"
    assert not {id: script for id, script in claimed().items() if id not in FILM}


def test_no_row_that_a_script_claims_says_that_it_is_unchecked():
    assert not {id: script for id, script in claimed().items() if id in FILM and FILM[id].unchecked}


def test_ids_are_unique_and_in_order():
    ids = [row.id for row in ROWS]
    assert len(set(ids)) == len(ids) == len(FILM)
    numbers = {kind: [int(id[1:]) for id in ids if re.fullmatch(rf"{kind}\d+", id)] for kind in "TCEN"}
    assert numbers["T"] == [*range(1, 46)]
    assert numbers["C"] == [*range(1, 39)]
    assert numbers["N"] == [*range(1, 11)]
    assert numbers["E"] == sorted(numbers["E"])
    by_kind = [f"{kind}{number}" for kind in "TCEN" for number in numbers[kind]]
    assert [id for id in ids if id != "speed"] == by_kind


def test_34_sentences_of_the_film_and_13_comments_are_essential():
    essential = [row.id[0] for row in ROWS if row.essential]
    assert (essential.count("T"), essential.count("C"), len(essential)) == (34, 13, 47)


def test_every_chapter_has_rows_and_every_row_a_chapter():
    assert {row.chapter for row in ROWS} == set(chapters.CHAPTERS)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.id)
def test_a_row_is_a_sentence_with_its_minute_and_its_reason(row):
    assert row.sentence[-1] in ".?"
    assert "\n" not in row.sentence + row.unchecked
    assert re.fullmatch(r"(\d+:\d\d)?", row.minute)
    assert row.unchecked == "" or row.unchecked[-1] == "."
    laws = re.findall(r"tests/\w+\.py", row.unchecked)
    rows = re.findall(r"\b[TCEN]\d+\b", row.unchecked)
    assert all((ROOT / law).exists() for law in laws)
    assert all(FILM[other].unchecked == "" for other in rows), "it refers to a row that is claimed"
    assert not (row.essential and row.unchecked) or laws or rows, "an essential row is held by a law or another row"
