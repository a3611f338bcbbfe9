"""Plain descents and small steps beside it; and Results on which the claims must hold, and must fail."""

import numpy as np
import plain
import pytest
import threefry
from helpers import LAST_OFF, SAME_MEAN, SAME_MEDIAN

from experiments.one_example import avenues
from experiments.one_example.avenues import RATES, Result, Settings, SmallSteps
from research import data

SMALLEST = Settings(
    num_seeds=2, num_legs=4, steps_per_leg=5, batch_size=20, num_looked_at=200, layer_sizes=(784, 3, 10)
)


def last_first(params, batch, rate):
    """A step of the last layer, then one of the others with the slopes at its new weights."""
    moved = [*params[:-1], plain.step(params, batch, rate)[-1]]
    return [*plain.step(moved, batch, rate)[:-1], moved[-1]]


def looks(settings, train, start, batches, step):
    """The parameters at the start and after every leg."""
    passed = [start]
    for batch in batches:
        passed.append(step(passed[-1], plain.rows(train, batch), settings.learning_rate))
    return passed[:: settings.steps_per_leg]


def test_costs_and_shares_are_those_of_plain_descents_of_all_layers_at_once_and_of_the_last_first(ran):
    run, _ = ran("avenues")
    result, settings, (train, _, starts, _) = run.result, run.settings, plain.begin(run.settings)
    few = plain.rows(train, range(settings.num_looked_at))
    for seed, (_, key) in enumerate(threefry.seed_keys(settings.seed, settings.num_seeds)):
        batches = threefry.shuffles(threefry.split(key)[0], 600, 1).reshape(-1, settings.batch_size)[:20]
        for way, step in enumerate((plain.step, last_first)):
            passed = looks(settings, train, starts[seed], batches, step)
            cost = [plain.costs(params, few).mean() for params in passed]
            np.testing.assert_allclose(result.costs[seed, way], cost, rtol=1e-4)
            if way == 0:
                for found, params in zip(result.shares[seed], passed, strict=True):
                    squares = np.array([[(part**2).sum() for part in layer] for layer in plain.gradient(params, few)])
                    np.testing.assert_allclose(found, squares / squares.sum(), rtol=1e-3)


def tangents(params, by, inputs):
    """How all activations move to first order where the parameters move by `by`, all layers side by side."""
    reached, found = plain.activations(params, inputs), []
    moves = np.zeros_like(reached[0])
    for layer, moved, before, after in zip(params, by, reached[:-1], reached[1:], strict=True):
        moves = (moves @ layer.weights.T + before @ moved.weights.T + moved.biases) * after * (1 - after)
        found.append(moves)
    return np.concatenate(found, axis=1)


def errors_of_a_step(params, few, rate):
    """In the order of SmallSteps."""
    slopes, moved = plain.gradient(params, few), plain.step(params, few, rate)
    fall, size = (plain.costs(params, few) - plain.costs(moved, few)).mean(), np.linalg.norm
    dw, dw_with_new_v = (plain.flat(plain.gradient(at, few)[:1]) for at in (params, [*params[:-1], moved[-1]]))
    inputs = few.inputs[: avenues.NUM_WATCHED]
    seen, after = (np.concatenate(plain.activations(each, inputs)[1:], axis=1) for each in (params, moved))
    left = after - seen + rate * tangents(params, slopes, inputs)
    return (
        abs(1 - fall / (rate * (plain.flat(slopes) ** 2).sum())),
        size(dw - dw_with_new_v) / size(dw),
        size(left) / size(after - seen),
    )


def test_small_steps_leave_over_what_those_of_a_plain_network_do(ran):
    run, _ = ran("avenues")
    train, _, starts, _ = plain.begin(run.settings)
    few = plain.rows(train, range(run.settings.num_looked_at))
    for seed, start in enumerate(starts):
        wanted = np.transpose([errors_of_a_step(start, few, rate) for rate in RATES])
        np.testing.assert_allclose([each[seed] for each in run.result.steps], wanted, rtol=1e-3)


def made_up(*, decrease=0.0, updates=0.0, activations=0.0, **changed):
    """Three seeds; the errors of small steps go as the learning rate, to a power that is so much larger than 1."""
    powers = (1 + beyond + np.zeros((3, 1)) for beyond in (decrease, updates, activations))
    steps = SmallSteps(*(0.1 * RATES**power for power in powers))
    found = {"shares": np.full((3, 3, 2, 2), 0.25), "costs": np.ones((3, 2, 3)), "num_changed": np.full(3, 9)}
    return Result(**(found | {"steps": steps, "num_expected": 9, "sigmoids": True} | changed))


LAST = LAST_OFF[:, None]


@pytest.mark.parametrize(
    ("changes", "failing"),
    [({}, []), *[({error: off * LAST}, []) for error in SmallSteps._fields for off in (0.095, -0.095)],
     ({"decrease": 0.105 * LAST}, [1]), ({"decrease": -0.49 * LAST}, [1]), ({"decrease": -0.51 * LAST}, [0, 1]),
     ({"updates": 0.105 * LAST}, [2]), ({"updates": -0.105 * LAST}, [2]), ({"activations": 0.105 * LAST}, [3]),
     ({"activations": -0.105 * LAST}, [3]), ({"num_changed": np.array([9, 9, 8])}, [4]),
     ({"num_changed": np.full(3, 10)}, [4])],
)  # fmt: skip
def test_the_claims_hold_for_errors_of_first_order_and_fail_where_one_seed_has_others(changes, failing):
    found = list(avenues.claims(made_up(**changes), SMALLEST))
    assert [index for index, claim in enumerate(found) if not claim.holds] == failing


def test_the_finding_is_of_the_means_of_the_shares_and_the_medians_of_the_costs():
    shares = np.array([[0.1, 0.9], [0.5, 0.5], [0.4, 0.6]])[..., None] / 2 + 0.02 * SAME_MEAN[:, None, None, None]
    costs = np.array([[3.0, 2.0, 0.5], [3.0, 2.0, 0.6]]) + SAME_MEDIAN[:, None, None]
    result = made_up(shares=shares + np.zeros((3, 3, 2, 2)), costs=costs, num_changed=np.array([9, 8, 9]))
    said = avenues.finding(result, SMALLEST)
    assert "carries 90% of the improvement at the start and 60% after training, the first 10.0% and 40%" in said
    assert "ends at a cost of 0.500, the last layer first at 0.600 (medians); 8 of the 9 parameters" in said


def test_of_neurons_that_may_sleep_nothing_is_claimed():
    assert {claim.id for claim in avenues.claims(made_up(sigmoids=False), SMALLEST)} == {"C2", "C3"}


def test_weights_of_pixels_that_are_black_everywhere_are_the_ones_that_do_not_change(ran, small_mnist):
    result = ran("avenues")[0].result
    black = (np.asarray(data.load(str(small_mnist)).inputs).max(axis=0) == 0).sum()
    assert result.num_expected == 2_395 - 3 * black < 2_395
    assert (result.num_changed == result.num_expected).all()
