"""critical_batch: its claims on made-up races, both ways; the laws of the race stand in test_race.py."""

import dataclasses

import numpy as np
import pytest
from helpers import SAME_MEAN, SAME_MEDIAN
from test_race import begin_by_hand, is_the_race_by_hand

from experiments.common import race
from experiments.mini_batches import critical_batch as experiment

SMALLEST = experiment.Settings(
    num_seeds=2, num_examples=64, batch_sizes=(8, 16, 32), learning_rates=(0.2, 0.4, 0.8), targets=(0.4, 0.2),
    max_steps=256, layer_sizes=(784, 10),
)  # fmt: skip
SIZES = np.array([2, 8, 32, 128, 512, 4000])


def test_every_number_of_every_target_is_that_of_the_race_by_hand(ran):
    run, _ = ran("critical_batch")
    began = begin_by_hand(run.settings)
    for target, found in zip(run.settings.targets, run.result.races, strict=True):
        is_the_race_by_hand(found, dataclasses.replace(run.settings, target=target), *began)


def made_up(critical=(8.0, 10.0, 12.0, 15.0), ratios=(2.0,) * 4, waves=(0.0,) * 4, first_rate=1.0, last_rate=1.0):
    """Races on hyperbolas with these B_crit in the median of three starts, waves of log S over them, the noise scale
    these ratios times B_crit; `first_rate` and `last_rate` are the best ones of the largest batch down to the first and
    to the last target."""
    races = []
    for least, scale, ratio, wave in zip((70, 100, 140, 180), critical, ratios, waves, strict=True):
        steps = least * (1 + scale / SIZES) * np.exp(wave * np.resize([1, -1], len(SIZES)))
        noise = ratio * scale * np.outer(1 + 0.5 * SAME_MEDIAN, 1 + 0.3 * SAME_MEAN)
        starts = np.outer(steps, 1 + 0.1 * SAME_MEDIAN)
        races.append(race.Race(SIZES, starts, np.ones(len(SIZES)), np.ones((len(SIZES), 5)), noise))
    races[0].rates[-1], races[-1].rates[-1] = first_rate, last_rate
    return experiment.Result(tuple(races))


@pytest.mark.parametrize(
    ("changes", "failing"),
    [({}, []), ({"waves": (0, 0, 0.05, 0)}, []), ({"waves": (0, 0, 0.3, 0)}, [4]),
     ({"ratios": (4.9, 1, 1, 0.21)}, []), ({"ratios": (5.1, 1, 1, 1)}, [1]), ({"ratios": (1, 1, 1, 0.19)}, [7]),
     ({"critical": (15.0, 9.0, 9.0, 15.2)}, []), ({"critical": (15.0, 9.0, 20.0, 14.8)}, [8]),
     ({"last_rate": 4.0}, []), ({"last_rate": 8.0}, [9]), ({"last_rate": 0.5}, [9]), ({"first_rate": 8.0}, [9])],
)  # fmt: skip
def test_the_claims_hold_where_the_critical_batch_grows_and_fail_where_not(changes, failing):
    found = list(experiment.claims(made_up(**changes), experiment.Settings()))
    assert [index for index, claim in enumerate(found) if not claim.holds] == failing
    assert len(found) == 10


def test_the_finding_names_both_sizes_of_every_target():
    said = experiment.finding(made_up(ratios=(10.0, 8.0, 5.0, 4.0)), experiment.Settings(num_seeds=3))
    assert said == (
        "Down to the costs 0.8, 0.6, 0.4, 0.3 B_crit is 8, 10, 12, 15 and the noise scale on the way 80, 80, 60, 60 "
        "(medians of 3 starts, a look every 256 examples)."
    )


def test_nothing_is_claimed_of_fewer_images():
    few = experiment.Result(tuple(run._replace(sizes=SIZES // 2) for run in made_up().races))
    assert not list(experiment.claims(few, experiment.Settings()))
