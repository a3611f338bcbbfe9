"""Counting steps and examples to a target, and Results on which every claim must hold, and must fail."""

import dataclasses

import numpy as np
import pytest
from conftest import SAME_MEDIAN

from experiments.common.bounds import SettingsError
from experiments.common.descents import Curve
from experiments.mini_batches import full_batch_vs_sgd
from experiments.mini_batches.full_batch_vs_sgd import Result, Settings

SMALLEST = Settings(
    num_seeds=2, batch_sizes=(10, 100), learning_rates=(1.0, 4.0), num_steps=20, num_epochs=4, layer_sizes=(784, 10)
)


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
    assert "with 100 (100 to 150) times fewer examples" in full_batch_vs_sgd.finding(made_up(), SMALLEST)
    at_once = made_up(batch=(0.6, 0.6, 0.6))
    assert "with at least 300 times fewer examples" in full_batch_vs_sgd.finding(at_once, SMALLEST)


def of_three_seeds(tie=0.9, last=5800, seconds=(30.0, 0.3, 6.0), full=0.8):
    """A full batch of 1,000, batches of 10 and of 100, three seeds. After 40 steps the full batch costs so much in the
    median seed, `tie` times the cost of batches of 100; batches of 10 come as low as its end after `last` steps in the
    last seed, else after 60."""
    together = full + 0.02 * SAME_MEDIAN
    ends, unlike = np.full(3, 0.5), tie + 0.01 * SAME_MEDIAN
    curves = (
        Curve(np.array([20, 40, 60]), np.stack([together + 1, together, ends], axis=1), np.zeros((3, 3))),
        Curve(np.array([20, 40, 60, last]), np.stack([together + 1, together / 0.8, [0.5, 0.5, 0.6], ends], axis=1),
              np.zeros((3, 4))),
        Curve(np.array([20, 40, 60]), np.stack([together + 1, together / unlike, ends], axis=1), np.zeros((3, 3))),
    )  # fmt: skip
    return Result(np.array([1000, 10, 100]), np.full(3, 4.0), curves, np.array(seconds), 1.0, ())


SETTINGS = dataclasses.replace(SMALLEST, num_steps=40)


@pytest.mark.parametrize(
    ("changes", "failing"),
    [({}, []), ({"seconds": (9.5, 0.05, 1.0)}, []), ({"seconds": (1.05, 0.01, 1.0)}, []),
     ({"seconds": (10.5, 0.05, 1.0)}, [0]),
     ({"seconds": (0.98, 0.005, 1.0)}, [0, 5]), ({"tie": 1.045}, []), ({"tie": 1.055}, [1]), ({"last": 6200}, [2, 4]),
     ({"last": 6200, "seconds": (30.0, 0.27, 6.0)}, [2]), ({"seconds": (30.0, 0.33, 6.0)}, [4])],
)  # fmt: skip
def test_every_claim_holds_where_the_film_is_right_and_fails_where_it_is_not(changes, failing):
    found = list(full_batch_vs_sgd.claims(of_three_seeds(**changes), SETTINGS))
    assert [index for index, claim in enumerate(found) if not claim.holds] == failing


@pytest.mark.parametrize(("tie", "seeds"), [(0.9, 3), (0.94, 2), (1.005, 1), (1.055, 0)])
def test_the_finding_says_in_how_many_seeds_the_full_batch_is_ahead(tie, seeds):
    said = full_batch_vs_sgd.finding(of_three_seeds(tie), SETTINGS)
    assert said.startswith(
        "Batches of 100 come as far as 40 full-batch steps with 10 (10 to 15) times fewer examples, in 5 (5 to 8)"
    )
    assert f"the full batch is ahead of them in {seeds} of 3 seeds (median cost 0.800, {0.8 / tie:.3f})." in said


def test_words_give_the_least_and_the_most_of_all_seeds():
    assert full_batch_vs_sgd.in_words(np.array([[20.0, 10.0, 15.0], [30.0, 25.0, 40.0]])) == "15 (10 to 40)"
    assert full_batch_vs_sgd.in_words(np.array([[20.0, 10.0, 15.0], [30.0, 25.0, np.inf]])) == "at least 10"


def test_batches_that_never_come_as_far_win_nothing():
    never = made_up(batch=(0.9, 0.81, 0.75))
    settings = dataclasses.replace(SMALLEST, batch_sizes=(10,), learning_rates=(4.0,), num_steps=40)
    assert [claim.holds for claim in full_batch_vs_sgd.claims(never, settings)][2:] == [False, False]
    assert "did not come as far as 40 full-batch steps" in full_batch_vs_sgd.finding(never, settings)


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
