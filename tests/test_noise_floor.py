"""The floor of a constant rate: what is grouped, what grows, and the claims."""

import dataclasses

import numpy as np
import plain
import pytest
import threefry
from helpers import LAST_OFF, SAME_MEDIAN

from experiments.common.floors import Floor
from experiments.hill import noise_floor as experiment

SMALLEST = experiment.Settings(
    num_seeds=2, start_batch_size=50, start_epochs=4, batch_sizes=(20,), learning_rates=(0.5, 1.0), num_epochs=1,
    num_looks=3, lanczos_iterations=5, layer_sizes=(784, 3, 10),
)  # fmt: skip
GRID = dataclasses.replace(SMALLEST, batch_sizes=(10, 20), learning_rates=(0.1, 0.2), layer_sizes=())


def described(params, train):
    """(cost, |G|)"""
    return plain.costs(params, train).mean(), np.linalg.norm(plain.flat(plain.gradient(params, train)))


def test_every_floor_is_plain_descents_from_where_the_long_training_ends(ran):
    run, _ = ran("noise_floor")
    settings, result, (train, _, starts, _) = run.settings, run.result, plain.begin(run.settings)
    train = train._replace(inputs=train.inputs / 255)
    count, passes = len(train.inputs), 2 * settings.num_epochs
    anew = [threefry.fold_in(key, 1) for _, key in threefry.seed_keys(settings.seed, settings.num_seeds)]
    shuffled = np.stack([threefry.shuffles(key, count, passes) for key in anew])
    by_lot = np.random.default_rng(settings.seed).integers(count, size=shuffled.shape, dtype=np.int32)
    for seed, end in enumerate(plain.trained(settings, train, starts)):
        ground = [of[seed] for of in result[:3]]
        np.testing.assert_allclose(ground[:2], described(end, train), rtol=1e-4)
        np.testing.assert_allclose(ground[2], plain.spectrum(end, train, 6)[-1], rtol=0.01)
        for floor, orders in ((result.shuffled, shuffled), (result.drawn, by_lot)):
            for size, rate in np.ndindex(floor.scatter.shape[1:]):
                halves = np.reshape(orders[seed], (2, -1, settings.batch_sizes[size]))
                eta, falls = settings.learning_rates[rate], 1 - np.arange(len(halves[1])) / len(halves[1])
                *_, middle = plain.descend(end, train, halves[0], eta)
                lasts = [plain.descend(middle, train, halves[1], rates)[-1] for rates in (eta, eta * falls)]
                found = ([of[seed, size, rate, -1] for of in (floor.cost, floor.gradient_norm)],
                         [of[seed, size, rate, -1] for of in (floor.falling_cost, floor.falling_norm)])  # fmt: skip
                np.testing.assert_allclose(found, [described(params, train) for params in lasts], rtol=1e-4)
                np.testing.assert_allclose(floor.scatter[seed, size, rate], plain.scatter(lasts[0], train), rtol=1e-4)


def made_up(per_ratio=2.0, *, last=1.0, last_norm=1.0, last_cost=0.01, last_end=0.1, sharpness=0.9):
    """Three seeds whose floor is `per_ratio` eta/B in the median one, and |G| eta/B. In the last both are multiplied
    at the largest eta/B, and at one the falling rate ends at such shares of what the constant one does."""
    each = np.array(GRID.learning_rates) / np.array(GRID.batch_sizes)[:, None]
    apart, top = 1 + 0.2 * SAME_MEDIAN[:, None, None], np.array([[0, 1], [0, 0]]) * LAST_OFF[:, None, None]
    uneven = np.array([[4.0, 1.0], [1.0, 0.25]])  # of the two cells that share eta/B the geometric mean stays
    norms = uneven * apart * each * (1 + (last_norm - 1) * top)
    looks = lambda values, times: values[..., None] * np.array(times)  # whose mean from halftime on is 1
    heights = per_ratio * uneven * apart * each * (1 + (last - 1) * top)
    falling_cost, cost = np.full((3, 2, 2, 2), 0.1), 0.1 + looks(heights, (9, 0.5, 1.0, 1.5))
    falling_cost[..., 0] = 9
    falling_cost[-1, 1, 0, -1] = last_cost * (0.1 + heights[-1, 1, 0]) if last_cost > 0.5 else 0.1
    falling_norm = looks(0.1 * norms, (90, 1))
    falling_norm[-1, 1, 0, -1] = last_end * norms[-1, 1, 0]
    shuffled = Floor(
        cost, looks(norms, (9, 0.5, 1.0, 1.5)), falling_cost, falling_norm, np.full((3, 2, 2), 8.0),
        0.1 + looks(heights, (9, 9, 1, 1)),
    )  # fmt: skip
    drawn = shuffled._replace(cost=0.1 + looks(per_ratio * uneven * apart * each, (9, 0.5, 1.0, 1.5)))
    drawn = drawn._replace(falling_cost=np.full((3, 2, 2, 2), 0.1))
    return experiment.Result(
        np.full(3, 0.1), np.ones(3), sharpness * (1 + 0.3 * SAME_MEDIAN), shuffled, drawn, 60_000
    )  # fmt: skip


def test_heights_are_the_floor_and_theory_is_met_where_rates_are_small():
    result = made_up(2.0)  # tr(Sigma) / 4
    ratios = experiment.ratios(GRID) * np.array([[4.0, 1.0], [1.0, 0.25]])
    np.testing.assert_allclose(result.shuffled.heights[1], 2 * ratios)
    assert experiment.over_theory(result, GRID) == (0.02, pytest.approx(1))
    assert experiment.over_theory(made_up(sharpness=1.1), GRID) == (0.01, pytest.approx(4))


@pytest.mark.parametrize(
    ("changes", "failing"),
    [({}, []), ({"last": 0.525, "last_norm": 0.525}, []), ({"last": 0.475}, [0]), ({"last_norm": 0.475}, [1]),
     ({"per_ratio": 2.58}, []), ({"per_ratio": 2.62}, [2]), ({"per_ratio": 1.42}, []), ({"per_ratio": 1.38}, [2]),
     ({"last_cost": 1.05}, [0, 3]), ({"last_end": 0.95}, []), ({"last_end": 1.05}, [4])],
)  # fmt: skip
def test_claims_hold_where_the_floor_is_theorys_and_fail_where_one_seeds_is_not(changes, failing):
    found = list(experiment.claims(made_up(**changes), GRID))
    assert [index for index, claim in enumerate(found) if not claim.holds] == failing
    assert found[1].why


def drifting(floor, row, column, share):
    """The floor, but there the batches' cost rises by that share of its height in the last part."""
    own = floor.batch_cost.copy()
    own[:, row, column, -1] += share * np.median(floor.heights[:, row, column])
    return floor._replace(batch_cost=own)


def test_a_floor_is_at_rest_where_no_more_than_three_tenths_of_it_still_change():
    floor = made_up().shuffled
    for share in (0.0, 0.29, -0.29):
        assert drifting(floor, 0, 1, share).at_rest.all()
    for share in (0.31, -0.31):
        assert drifting(floor, 0, 1, share).at_rest.tolist() == [[True, False], [True, True]]


def test_a_floor_is_at_rest_only_where_chance_allows_to_say_so():
    floor = made_up().shuffled
    own, height = floor.batch_cost.copy(), np.median(floor.heights[:, 0, 1])
    for spread, rest in ((0.25, True), (0.27, False)):  # 0 on average, whose standard error is spread / sqrt(3)
        own[:, 0, 1, -1] = own[:, 0, 1, -2] + spread * height * np.array([1.0, 0.0, -1.0])
        assert floor._replace(batch_cost=own).at_rest[0, 1] == rest
    one = floor._replace(**{name: values[1:2] for name, values in floor._asdict().items()})
    assert not one.at_rest.any()


def test_what_is_not_at_rest_is_left_out():
    result = made_up(last=0.475)
    still = result._replace(shuffled=drifting(result.shuffled, 0, 1, 1.0))
    assert not next(iter(experiment.claims(result, GRID))).holds
    assert next(iter(experiment.claims(still, GRID))).holds
    assert experiment.finding(still, GRID).endswith(
        "In 1 of 4 cases it may still change by over 30% of its height between the halves of these."
    )
    drawn = result._replace(drawn=drifting(result.drawn, 0, 1, 1.0))
    assert experiment.over_theory(drawn, GRID) == (0.01, pytest.approx(4))


def test_growth_is_claimed_only_of_two_ratios_or_more():
    result = made_up()
    for row, column in ((0, 1), (1, 0)):  # the two that stay at rest share eta/B = 0.01
        result = result._replace(shuffled=drifting(result.shuffled, row, column, 1.0))
    assert [claim.id for claim in experiment.claims(result, GRID)] == ["E21", "T38", "T38"]


def test_where_nothing_is_at_rest_no_height_is_claimed():
    result = made_up(-2.0)
    assert [claim.id for claim in experiment.claims(result, GRID)] == ["T38", "T38"]
    assert experiment.finding(result, GRID).startswith("The runs were too short")


def test_the_finding_says_whether_the_floor_grows():
    said = experiment.finding(made_up(), GRID)
    assert "a floor that grows with η/B: 0.01 at η/B = 0.005, 0.02 at η/B = 0.01, 0.04 at η/B = 0.02 (mean of" in said
    assert "on a floor that does not always grow with η/B: 0.01" in experiment.finding(made_up(last=0.475), GRID)
