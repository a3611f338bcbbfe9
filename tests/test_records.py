"""Claims judge themselves; files are written whole or not at all."""

import json
import math
from pathlib import Path

import numpy as np
import pytest

from experiments.common import records
from experiments.common.records import Claim
from research.data import DataError


def claim(measured, low=None, high=None):
    return Claim("T0", "says", measured, None, low, high, "unit", 1)


@pytest.mark.parametrize(
    ("measured", "low", "high", "holds"),
    [(1, 0, 2, True), (0, 0, 2, True), (2, 0, 2, True), (3, 0, 2, False), (-1, 0, 2, False),
     (9, 0, None, True), (-9, None, 0, True), (math.nan, None, None, False), (math.inf, 0, None, False)],
)  # fmt: skip
def test_a_claim_holds_within_its_bounds_and_never_as_nan(measured, low, high, holds):
    assert claim(measured, low, high).holds is holds


def test_a_run_can_be_read_back(tmp_path):
    from experiments.full_batch_vs_sgd import Settings

    (tmp_path / "old.png").write_bytes(b"")
    records.write_run(tmp_path, Settings(), [claim(1.0, 0, 2)], {"curve": np.arange(3.0)}, finding="found")
    record, arrays = records.read_run(tmp_path)
    assert record["status"] == "finished"
    assert record["finding"] == "found"
    assert record["settings"]["num_seeds"] == Settings().num_seeds
    assert record["claims"][0]["holds"] is True
    assert {"commit", "command", "versions", "device"} <= record.keys()
    np.testing.assert_array_equal(arrays["curve"], [0, 1, 2])
    assert {path.name for path in tmp_path.iterdir()} == {"run.json", "arrays.npz"}


def test_a_write_that_fails_leaves_the_old_file_and_no_other(tmp_path):
    path = tmp_path / "run.json"
    path.write_text("old")

    def fail(file):
        file.write(b"half")
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        records.write_whole(path, fail)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_record_is_json_with_none_for_what_is_no_number():
    strange = {"a": math.nan, 2.0: [math.inf, np.float32(0.5), np.arange(1)[0]], "path": Path("x") / "y"}
    text = json.dumps(records.plain(strange), allow_nan=False)
    assert json.loads(text) == {"a": None, "2.0": [None, 0.5, 0], "path": str(Path("x") / "y")}


@pytest.mark.parametrize("text", ["{", '{"status": "diverged: at step 3", "claims": []}'])
def test_reading_a_run_that_has_nothing_to_draw_says_so(text, tmp_path):
    (tmp_path / "run.json").write_text(text)
    np.savez(tmp_path / "arrays.npz")
    with pytest.raises(DataError, match=r"damaged|nothing to draw"):
        records.read_run(tmp_path)


def test_reading_a_run_that_was_never_made_says_what_to_do(tmp_path):
    with pytest.raises(DataError, match="run the experiment first"):
        records.read_run(tmp_path)


def test_every_committed_run_names_its_commit_and_judges_its_claims_rightly():
    for path in (Path(__file__).parents[1] / "results").glob("*/run.json"):
        record = json.loads(path.read_text())
        assert len(record["commit"]) == 40, f"{path} comes from changed code"
        for fields in record["claims"]:
            holds = fields.pop("holds")
            fields["measured"] = math.nan if fields["measured"] is None else fields["measured"]
            assert Claim(**fields).holds is holds
