"""Walks from one start: how often they are looked at, and what is read when all clocks show the same."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from experiments.common import bounds, runs, walks
from experiments.common.bounds import SettingsError
from experiments.common.walks import Looks, Settings, Walk, Way

WAY = Way("batches of 2", 2, 0.5, False)


@hypothesis_settings(max_examples=200, deadline=None)
@given(total=st.integers(1, 5000), num_steps=st.integers(10, 400), num_points=st.integers(10, 200))
def test_all_are_seen_after_equally_many_steps_and_not_too_often(total, num_steps, num_points):
    length = walks.leg_length(total, num_steps, num_points)
    assert num_steps % length == 0
    assert total // length >= min(total, 3)
    divisors = [each for each in range(1, max(1, total // 3) + 1) if num_steps % each == 0]
    few_enough = [each for each in divisors if total <= each * num_points]
    assert length == min(few_enough, default=max(divisors))


def test_equal_legs_are_the_same_steps_in_the_same_order():
    rows = np.arange(2 * 23 * 3).reshape(2, 23, 3)
    chunks = [chunk for (chunk,) in walks.legs_of(rows, 2)]
    assert {chunk.shape for chunk in chunks} == {(2, 1, 2, 3)}
    np.testing.assert_array_equal(np.concatenate(chunks, axis=1).reshape(2, -1, 3), rows[:, :22])


def test_a_path_is_looked_at_where_others_have_come_as_far():
    steps = np.arange(0, 1001, 5)
    chosen = walks.places_to_look(steps, [35, 36, 900], 11)
    assert {0, 200, 7, 180} <= set(chosen.tolist())
    assert len(chosen) < 20


def test_clocks_stop_when_the_first_walker_ends_and_the_look_before_counts():
    steps = [np.array([0, 1, 2]), np.array([0, 4, 9, 12])]
    assert walks.numbers_together(steps, [1.0, 1.0]) == [2, 0]  # 2 steps each
    assert walks.numbers_together(steps, [10.0, 1.0]) == [1, 2]  # 10 examples, for one ends at 12
    assert walks.numbers_together(steps, [100.0, 1.0]) == [0, 0]  # nobody looked so early


def test_readings_are_taken_at_that_look_and_are_nothing_where_it_is_the_start():
    line = np.stack([np.arange(5.0), np.zeros(5)], axis=1)[None]
    walk = Walk(WAY, np.arange(5), line, 2 * np.arange(5.0)[None], np.zeros((1, 5)), np.zeros((1, 4)))
    looks = Looks(np.array([0, 2, 4]), np.array([0, 2, 4]), np.array([[3.0, 2.0, 1.0]]))
    found = walks.reading([walk, walk], [looks, looks], [1.0, 2.0])
    assert found.cost.tolist() == [[1.0], [2.0]]
    assert found.tortuosity.tolist() == [[2.0], [2.0]]
    assert np.isnan(walks.reading([walk, walk], [looks, looks], [1.0, 0.1]).cost).all()


def test_a_walk_whose_last_step_diverged_is_named_with_that_step(monkeypatch):
    ways = (WAY, WAY._replace(label="full batch"))
    path = Walk(WAY, np.arange(11), np.zeros((1, 11, 1)), np.zeros((1, 11)), np.zeros((1, 11)), np.zeros((1, 10)))
    highs = [np.zeros((1, 3)), np.array([[0, 0, np.inf]])]
    monkeypatch.setattr(walks, "heights", lambda problem, points: highs)
    with pytest.raises(runs.Diverged, match=r"^full batch: .* at step 10;"):
        walks.look_at(None, [path._replace(way=way) for way in ways], Settings(num_steps=10))


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"learning_rates": (0.5, 4.0)}, "--batch-sizes 10 100 1000 --learning-rates 0.5 4: give as many rates"),
        ({"full_batch_learning_rates": (1.0, 2.0, 3.0, 4.0)}, "make 7 paths; at most 6"),
    ],
)
def test_settings_that_do_not_go_together_are_refused(change, sentence):
    with pytest.raises(SettingsError, match=sentence):
        bounds.check(Settings(**change))
