"""Counting steps and examples to a target, and Results on which every claim must hold, and must fail."""

import dataclasses

import numpy as np
import plain
import pytest
from helpers import SAME_MEDIAN

from experiments.common import descents, runs, tune
from experiments.common.bounds import SettingsError
from experiments.common.descents import Beginning, Curve
from experiments.common.problem import Problem
from experiments.mini_batches import full_batch_vs_sgd
from experiments.mini_batches.full_batch_vs_sgd import Result, Settings
from research.data import Examples
from research.models import Model

SMALLEST = Settings(
    num_seeds=2, batch_sizes=(20, 100), learning_rates=(1.0, 4.0), full_batch_learning_rate=2.0, num_steps=20,
    num_epochs=4, layer_sizes=(784, 10),
)  # fmt: skip


def test_every_method_goes_where_plain_descent_goes_at_its_own_rate(ran):
    run, _ = ran("full_batch_vs_sgd")
    settings, (train, test, starts, _) = run.settings, plain.begin(run.settings)
    order = plain.shuffles(settings, len(train.inputs), settings.num_epochs)
    rates, together = (2.0, 1.0, 4.0), np.tile(np.arange(len(train.inputs)), (len(starts), settings.num_steps, 1))
    schedules = together, *(descents.in_batches(order, size) for size in settings.batch_sizes)
    assert run.result.batch_sizes.tolist() == [600, 20, 100]
    assert run.result.rates.tolist() == list(rates)
    for curve, rate, schedule in zip(run.result.curves, rates, schedules, strict=True):
        assert (curve.steps[0], curve.steps[-1]) == (20, schedule.shape[1])
        some = [0, len(curve.steps) // 2, -1]  # of the looks
        for seed, start in enumerate(starts):
            passed = plain.descend(start, train, schedule[seed], rate)
            seen = [passed[step] for step in curve.steps[some]]
            cost, accuracy = zip(
                *((plain.costs(at, train).mean(), plain.accuracy(at, test)) for at in seen), strict=True
            )
            np.testing.assert_allclose(curve.cost[seed, some], cost, rtol=1e-4)
            np.testing.assert_allclose(curve.accuracy[seed, some], accuracy, atol=0.011)  # two of 200


def test_rates_are_tuned_by_the_ends_of_four_seeds_and_steps_are_timed_by_the_epoch(monkeypatch):
    best, seeds = {600: 2.0, 20: 0.5, 100: 8.0}, []

    def begin(problem, settings, num_epochs):
        return Beginning(np.zeros(settings.num_seeds), np.tile(np.arange(600), (settings.num_seeds, num_epochs, 1)))

    def follow(problem, method, beginning, num_steps):
        seeds.append(len(beginning.order))
        rate = -method.optimizer.update(1.0, method.optimizer.init(1.0))[0]
        miss = np.full((seeds[-1], 1), abs(np.log2(rate / best[method.batch_size])))
        return Curve(np.array([20, 40]), np.hstack([-miss, miss]), miss)

    monkeypatch.setattr(descents, "begin", begin)
    monkeypatch.setattr(full_batch_vs_sgd, "follow", follow)
    monkeypatch.setattr(runs, "seconds_each", lambda calls: dict.fromkeys(calls, 60.0))
    monkeypatch.setattr(descents, "flops_per_example", lambda problem: 1.0)
    train = Examples(np.zeros((600, 1)), np.zeros((600, 1)))
    problem = Problem(Model(lambda key: 0.0, lambda theta, x: theta - x), abs, train, train, (1, 1, 1))
    found = full_batch_vs_sgd.measure(problem, dataclasses.replace(SMALLEST, num_seeds=6, tune=True))
    assert found.rates.tolist() == list(best.values())
    assert [curve.cost[:, -1].tolist() for curve in found.curves] == [[0.0] * 6] * 3
    misses = np.abs(np.log2(np.array(tune.GRID) / found.rates[:, None]))
    np.testing.assert_array_equal([each.costs for each in found.tuned], misses)
    assert seeds == [4] * 3 * len(tune.GRID) + [6] * 3
    assert found.seconds.tolist() == [60, 2, 10]


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


def test_batches_that_do_not_come_as_far_in_every_seed_win_nothing():
    never = made_up(batch=(0.9, 0.81, 0.75))
    settings = dataclasses.replace(SMALLEST, batch_sizes=(10,), learning_rates=(4.0,), num_steps=40)
    in_one = never._replace(curves=(never.curves[0], curve((20, 40, 60), (0.9, 0.81, 0.5), (0.9, 0.81, 0.75))))
    for result in (never, in_one):
        assert [claim.holds for claim in full_batch_vs_sgd.claims(result, settings)][2:] == [False, False]
        assert "did not come as far as 40 full-batch steps in every seed" in full_batch_vs_sgd.finding(result, settings)


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
