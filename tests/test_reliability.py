"""Runs that are killed, and the counts on which the claims hold and do not."""

from functools import partial
from unittest import mock

import numpy as np
import pytest

from experiments.common import folders, trials
from experiments.networks import reliability
from experiments.networks.reliability import ENDS, KILLS, Result, Settings

SMALLEST = Settings(num_runs=1, num_kills=1, num_inputs=2)
AROUND = partial(mock.patch.object, reliability, "RUNS", ("distance_and_slope",))  # which runs for a fifth of the time
GOOD = Result(np.array([[10, 5, 9, 0, 7, 0, 0]]), np.array([[300, 300, 300, 300], [6, 6, 6, 6]]))


def fails(result):
    return [claim.says for claim in reliability.claims(result, Settings()) if not claim.holds]


def test_what_is_killed_in_the_smallest_run_is_found_whole(ran):
    run, _ = ran("reliability")
    assert [says for says in fails(run.result) if "faults" not in says] == []
    assert (run.result.ends[:, 0] == [2, 6]).all()
    assert (run.result.ends[1, 1:] >= 5).all(), "so short a run may have ended before a second one comes, the sixth"


def test_the_counts_that_are_meant_to_be_none_are():
    assert fails(GOOD) == []
    assert KILLS[3:6:2] == ("mixtures", "other bits")


@pytest.mark.parametrize("column", [3, 5, 6])
def test_one_mixture_one_bit_or_one_file_left_is_noticed(column):
    kills = GOOD.kills.copy()
    kills[0, column] = 1
    assert len(fails(GOOD._replace(kills=kills))) == 1


@pytest.mark.parametrize("row", [0, 1])
@pytest.mark.parametrize("column", range(1, len(ENDS)))
def test_one_wrong_end_is_noticed(row, column):
    ends = GOOD.ends.copy()
    ends[row, column] -= 1
    assert len(fails(GOOD._replace(ends=ends))) == 1


def test_the_finding_adds_up_what_bad_inputs_missed():
    ends = GOOD.ends.copy()
    ends[0, 1:] = 299, 300, 298
    assert "300 bad inputs missed 3 of their requirements" in reliability.finding(GOOD._replace(ends=ends), Settings())


@pytest.mark.parametrize(
    ("said", "is_one"),
    [
        ("error: --seed is -1; it must be 0 or more\n", True),
        ("", False),
        ("error: one\nerror: two\n", False),
        ("Traceback (most recent call last):\nValueError\n", False),
        ("error: " + "9" * 600, False),
    ],
)
def test_a_sentence_is_one_line_of_at_most_500_letters(said, is_one):
    assert trials.is_one_sentence(said) is is_one


def test_files_of_two_runs_are_no_whole_result(tmp_path):
    one, other = tmp_path / "one", tmp_path / "other"
    for number, folder in enumerate((one, other)):
        record = {"status": "finished", "settings": {}, "commit": "0" * 40}
        folders.write(folder, record, {"a": np.full(3, number)}, {"a.png": bytes([number])})
    assert trials.is_whole(one)
    assert trials.is_whole(tmp_path / "none")
    for name in ("a.png", "arrays.npz"):
        kept = (one / name).read_bytes()
        (one / name).write_bytes((other / name).read_bytes())
        assert not trials.is_whole(one)
        (one / name).write_bytes(kept)
    (one / "a.png").unlink()
    assert not trials.is_whole(one)
