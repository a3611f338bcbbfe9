"""How paths wind, in numbers: what is measured of plain descents, and the claims on made-up gaits."""

import numpy as np
import plain
import pytest
from helpers import SAME_MEDIAN

from experiments.common import walks
from experiments.common.walks import Reading, Way
from experiments.hill import how_drunk as experiment
from experiments.hill.how_drunk import Gait, Result, Settings
from research import paths

SMALLEST = Settings(
    num_seeds=2, batch_sizes=(10,), learning_rates=(0.5,), full_batch_learning_rates=(4.0,), num_steps=10, num_epochs=1,
    num_points=11, layer_sizes=(784, 10)
)  # fmt: skip
FULL_BATCH = [Way("full batch", 60, rate, True) for rate in (4.0, 1.0)]
BATCHES = Way("batches of 10", 10, 0.5, False)


def test_every_gait_is_that_of_plain_descent(ran):
    run, _ = ran("how_drunk")
    settings, walked, heights = run.settings, plain.walked(run.settings), plain.heights_above(run.settings)
    for found, points in zip(run.result.gaits, walked, strict=True):
        steps = np.diff(points, axis=1)
        far = np.linalg.norm(steps, axis=2)
        turns = np.sum(steps[:, 1:] * steps[:, :-1], axis=2) / (far[:, 1:] * far[:, :-1])
        np.testing.assert_allclose(found.cosine, turns.mean(axis=1), atol=1e-4)
        down = heights(points[:, 0]) - heights(points[:, -1])
        np.testing.assert_allclose(found.gained, down / far.sum(axis=1), rtol=1e-4)
        seen = points[:, :: walks.leg_length(far.shape[1], settings.num_steps, settings.num_points)]
        squares = np.linalg.svd(seen - seen.mean(axis=1, keepdims=True), compute_uv=False) ** 2
        np.testing.assert_allclose(found.shares, squares[:, :3] / squares.sum(axis=1, keepdims=True), atol=1e-4)
        apart = np.sum((seen[:, :, None] - seen[:, None]) ** 2, axis=-1)
        lags = range(1, seen.shape[1] // 2 + 1)
        displacements = np.array([[np.diagonal(each, lag).mean() for lag in lags] for each in apart])
        np.testing.assert_allclose(found.displacements, displacements, rtol=1e-4)
        np.testing.assert_allclose(found.exponent, list(map(paths.exponent, displacements)), rtol=1e-4)
    for clock, counts in (("steps", (10, 10)), ("examples", (1, 60))):  # 600 examples: the batches' only epoch
        for way, (points, count) in enumerate(zip(walked, counts, strict=True)):
            wound = [paths.winding(path[: count + 1]) for path in points]
            np.testing.assert_allclose(run.result.together[clock].tortuosity[way], wound, rtol=1e-4)
            np.testing.assert_allclose(run.result.together[clock].cost[way], heights(points[:, count]), rtol=1e-4)


def made_up(cosines=(0.9, 1.0, 0.05), by_steps=20.0):
    """Three seeds of the full batch at rates 4 and 1 and of batches of 10: the medians of the cosines, and how many
    times more the batches wind than the full batch."""
    gaits = [
        Gait(way, np.array([-1, cosine, 1]), np.ones(3), np.ones(3), np.ones((3, 3)), np.ones((3, 4)))
        for way, cosine in zip((*FULL_BATCH, BATCHES), cosines, strict=True)
    ]
    full = np.array([2.0, 1.0, 1.5])
    readings = {
        clock: Reading(np.ones((3, 3)), np.stack([full, full, full * (times + 0.1 * SAME_MEDIAN)]))
        for clock, times in (("steps", by_steps), ("examples", 90.0), ("seconds", 20.0))
    }
    return Result(tuple(gaits), readings)


@pytest.mark.parametrize(
    ("changes", "failing"),
    [({}, []), ({"cosines": (0.51, 1.0, 0.05)}, []), ({"cosines": (0.49, 1.0, 0.05)}, [0]),
     ({"cosines": (0.9, 0.51, 0.05)}, []), ({"cosines": (0.9, 0.49, -0.05)}, [1]), ({"cosines": (0.9, 1.0, 0.095)}, []),
     ({"cosines": (0.9, 1.0, 0.105)}, [2]), ({"cosines": (0.9, 1.0, -0.105)}, [2]), ({"by_steps": 1.05}, []),
     ({"by_steps": 0.95}, [3])],
)  # fmt: skip
def test_each_claim_fails_where_the_median_is_not_so(changes, failing):
    found = list(experiment.claims(made_up(**changes), Settings()))
    assert [index for index, claim in enumerate(found) if not claim.holds] == failing


def test_other_rates_are_follow_ups_and_a_failure_says_why():
    first, second, *_ = experiment.claims(made_up((-0.2, 1.0, 0.05)), Settings())
    assert (first.kind, second.kind) == ("prediction", "follow-up")
    assert first.why
    assert not list(experiment.claims(made_up((-0.2, 1.0, 0.05)), Settings(layer_sizes=(784, 10))))


def test_the_batches_that_the_claims_are_about_walk_in_every_size():
    assert all(experiment.DRUNKEST in size.batch_sizes for size in (experiment.QUICK, Settings(), experiment.FULL))


def test_the_shortest_path_is_that_of_the_largest_batches():
    result, fifty = made_up(), Way("batches of 50", 50, 0.5, False)
    both = result._replace(gaits=(*result.gaits, result.gaits[-1]._replace(way=fifty)))
    assert [experiment.equal_steps(each, Settings()) for each in (result, both)] == [3 * 6, 3 * 1]


def test_the_finding_compares_after_as_many_steps_as_the_shortest_path_has():
    said = experiment.finding(made_up((-0.3, 1.0, 0.0)), Settings(batch_sizes=(10,)))
    assert said.startswith("After 18 steps the drunk man (batches of 10) has walked 30 (20 to 42) times as far")
    assert "the careful man (full batch) 1.5 (1 to 2) times; a random walk: 4.2 times" in said
    assert "After equally many examples, 18 steps of his and 3 of the careful man's, it is 135 and 1.5. The" in said
    assert "-0.30 with full batch (rate 4)" in said
