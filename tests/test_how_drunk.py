"""How paths wind, in numbers: what is measured of a path that is known, and the claims on made-up gaits."""

import numpy as np
import pytest

from experiments.common.walks import Looks, Reading, Walk, Way
from experiments.hill import how_drunk as experiment
from experiments.hill.how_drunk import Gait, Result, Settings

SMALLEST = Settings(
    num_seeds=1, batch_sizes=(10,), learning_rates=(0.5,), full_batch_learning_rates=(4.0,), num_steps=10, num_epochs=1,
    num_points=10,
)  # fmt: skip
FULL_BATCH = [Way("full batch", 60, rate, True) for rate in (4.0, 1.0)]
BATCHES = Way("batches of 10", 10, 0.5, False)


def test_a_straight_path_walks_straight_on_along_one_component():
    points = np.arange(12.0, dtype=np.float32)[:, None] * np.array([3.0, 4.0, 0.0, 0.0], np.float32)
    straight = points[None], 5 * np.arange(12.0)[None], np.maximum(np.arange(12.0) - 1, 0)[None]
    looks = Looks(np.array([0, 11]), np.array([0, 11]), np.array([[2.0, 0.9]]))
    found = experiment.gait(Walk(BATCHES, np.arange(12), *straight, np.zeros((1, 11))), looks)
    np.testing.assert_allclose(found.cosine, [1])
    np.testing.assert_allclose(found.exponent, [2])
    np.testing.assert_allclose(found.gained, [1.1 / 55])
    np.testing.assert_allclose(found.shares, [[1, 0, 0]], atol=1e-6)
    np.testing.assert_allclose(found.displacements, [25 * np.arange(1, 7) ** 2])


def made_up(cosines, tortuosity=(1.5, 1.2, 30.0)):
    """Three seeds, the last far off, of the full batch at rates 4 and 1 and of batches of 10."""
    gaits = [
        Gait(way, np.array([cosine, cosine, -1]), np.ones(3), np.ones(3), np.ones((3, 3)), np.ones((3, 4)))
        for way, cosine in zip((*FULL_BATCH, BATCHES), cosines, strict=True)
    ]
    far_off = np.array([[1, 1, 1], [1, 1, 1], [1, 1, 100]])
    reading = Reading(np.ones((3, 3)), np.array(tortuosity)[:, None] * far_off)
    return Result(tuple(gaits), dict.fromkeys(("steps", "examples", "seconds"), reading))


@pytest.mark.parametrize(
    ("result", "verdicts"),
    [
        (made_up((0.9, 1.0, 0.05)), [True, True, True, True, True]),
        (made_up((-0.2, 1.0, 0.05)), [False, True, True, True, True]),
        (made_up((0.9, 0.4, -0.05)), [True, False, True, True, True]),
        (made_up((0.9, 1.0, -0.2)), [True, True, False, True, True]),
        (made_up((0.9, 1.0, 0.05), (1.5, 1.2, 6.0)), [True, True, True, False, True]),
        (made_up((0.9, 1.0, 0.05), (1.5, 1.2, 1.4)), [True, True, True, False, False]),
        (made_up((0.9, 1.0, 0.05), (np.nan, np.nan, np.nan)), [True, True, True]),  # clocks stopped at the start
    ],
)
def test_each_claim_fails_where_it_is_not_so(result, verdicts):
    assert [claim.holds for claim in experiment.claims(result, Settings())] == verdicts


def test_other_rates_are_follow_ups_and_a_failure_says_why():
    first, second, *_ = experiment.claims(made_up((-0.2, 1.0, 0.05)), Settings())
    assert (first.kind, second.kind) == ("prediction", "follow-up")
    assert first.why
    assert not list(experiment.claims(made_up((-0.2, 1.0, 0.05)), Settings(layer_sizes=(784, 10))))


def test_the_finding_compares_after_as_many_steps_as_the_shortest_path_has():
    said = experiment.finding(made_up((-0.3, 1.0, 0.0)), Settings(batch_sizes=(10,)))
    assert said.startswith("After 18 steps the drunk man (batches of 10) has walked 30 (30 to 3e+03) times as far")
    assert "the careful man (full batch) 1.5 (1.5 to 1.5) times; a random walk: 4.2 times" in said
    assert "-0.30 with full batch (rate 4)" in said
