"""Counting steps and examples to a target, and Results on which every claim must hold, and must fail."""

import dataclasses

import numpy as np
import pytest

from experiments.common.bounds import SettingsError
from experiments.common.descents import Curve
from experiments.mini_batches import full_batch_vs_sgd
from experiments.mini_batches.full_batch_vs_sgd import Result, Settings

SMALLEST = Settings(num_seeds=2, batch_sizes=(10, 100), learning_rates=(1.0, 4.0), num_steps=20, num_epochs=4)


def curve(steps, *costs):
    return Curve(np.array(steps), np.array(costs, float), np.zeros((len(costs), len(steps))))


def made_up(full=(0.9, 0.8, 0.7), batch=(0.9, 0.81, 0.5), seconds=(0.3, 0.001)):
    """Two seeds, 1,000 examples, the full batch and batches of 10; both looked at after 20, 40 and 60 steps."""
    curves = curve((20, 40, 60), full, full), curve((20, 40, 60), batch, batch)
    return Result(np.array([1000, 10]), np.array([4.0, 4.0]), curves, np.array(seconds), 1.0, ())


def test_equal_steps_are_equal():
    curves = curve((20, 40), (20, 40)), curve((20, 40, 600), (20, 40, 600)), curve((20, 30), (20, 30))
    found = full_batch_vs_sgd.costs_at_equal_steps(curves, 40)
    assert [one.tolist() for one in found] == [[20], [20], [20]]


@pytest.mark.parametrize(("total", "opening"), [(20, 20), (39, 20), (75, 40), (100, 40), (1000, 40), (333, 600)])
def test_looks_leave_no_step_out_keep_the_order_and_lie_an_eighth_apart(total, opening):
    rows = np.arange(2 * total * 3).reshape(2, total, 3)
    legs = [leg for (leg,) in full_batch_vs_sgd.legs(rows, opening)]
    np.testing.assert_array_equal(np.concatenate([leg.reshape(2, -1, 3) for leg in legs], axis=1), rows)
    lengths = np.concatenate([[leg.shape[2]] * leg.shape[1] for leg in legs])
    before = np.cumsum(lengths) - lengths
    assert (lengths <= np.where(before < opening, 20, before / 8)).all()
    assert len(legs) <= 3 + max(0, np.log2(total / opening))


def test_a_target_is_passed_between_two_looks():
    found = full_batch_vs_sgd.steps_to(curve((1, 2), (3, 2), (3, 2.5), (2, 1)), np.array([2.0, 2.0, 2.0]))
    np.testing.assert_array_equal(found, [[2, np.nan, 1], [1, np.nan, 0]])


def test_examples_to_a_target_are_steps_times_the_batch():
    examples, seconds = full_batch_vs_sgd.factors_to_target(made_up())
    at_most = 60 / 40  # both get to 0.7 at the third look, the batches perhaps soon after the second
    np.testing.assert_allclose(examples, [[[1000 / 10] * 2, [at_most * 1000 / 10] * 2]])
    np.testing.assert_allclose(seconds, [[[0.3 / 0.001] * 2, [at_most * 0.3 / 0.001] * 2]])
    assert "with 100 to 150 times fewer examples" in full_batch_vs_sgd.finding(made_up(), SMALLEST)
    at_once = made_up(batch=(0.6, 0.6, 0.6))
    assert "with at least 300 times fewer examples" in full_batch_vs_sgd.finding(at_once, SMALLEST)


def verdicts(result):
    settings = dataclasses.replace(SMALLEST, batch_sizes=(10,), learning_rates=(4.0,), num_steps=40)
    return [claim.holds for claim in full_batch_vs_sgd.claims(result, settings)]


def test_every_claim_holds_where_the_film_is_right_and_fails_where_it_is_not():
    assert verdicts(made_up(seconds=(0.05, 0.001))) == [True, True, True, True]
    assert verdicts(made_up(seconds=(0.3, 0.001))) == [False, True, True, True]  # more than N/B = 100 times
    assert verdicts(made_up(seconds=(0.0005, 0.001)))[0] is False  # a full-batch step cannot be the quicker one
    assert verdicts(made_up(batch=(0.9, 0.5, 0.5)))[1] is False  # step for step the mini-batches win
    assert verdicts(made_up(batch=(0.9, 0.81, 0.75)))[2:] == [False, False]  # they never come as far


def test_the_least_of_all_seeds_counts():
    slow = made_up()
    mixed = slow._replace(curves=(slow.curves[0], curve((20, 40, 6000), (0.9, 0.81, 0.5), (0.7, 0.6, 0.5))))
    per_example = [claim for claim in full_batch_vs_sgd.claims(mixed, SMALLEST) if "per example" in claim.says]
    assert per_example[0].measured == pytest.approx(60 * 1000 / (6000 * 10))


def test_a_batch_size_without_a_rate_is_refused():
    with pytest.raises(SettingsError, match="--learning-rates has 2 values for 1 --batch-sizes"):
        dataclasses.replace(SMALLEST, batch_sizes=(10,)).check()


def test_too_few_steps_to_compare_are_refused():
    with pytest.raises(SettingsError, match="--num-epochs is 4, in which batches of 100 make 4 steps"):
        full_batch_vs_sgd.require_steps(SMALLEST, 100)
