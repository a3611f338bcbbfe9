"""The race down to a cost: its steps against a loop by hand, its looks, and when it says nothing."""

import dataclasses
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from conftest import SAME_MEAN, SAME_MEDIAN

from experiments.common import descents, race, runs
from experiments.common.bounds import SettingsError
from experiments.common.problem import Problem
from experiments.mini_batches import batch_frontier, past_the_plateau
from research.data import Examples
from research.models import Model

SETTINGS = race.Settings(target=0.6)


def parabola(centre: Any, target: Any) -> Any:
    """Of an output that is theta - x."""
    return jnp.sum(centre**2) / 2


def problem_of(x):
    """One number theta that should be near to each x: C_i = (theta - x_i)^2 / 2."""
    train = Examples(jnp.asarray(x)[:, None], jnp.zeros((len(x), 1)))
    return Problem(Model(lambda key: 0.0, lambda theta, x: theta - x), parabola, train, train, (1, 1, 1))


@pytest.mark.parametrize("batch_size", [2, 8])  # of eight examples: the second is everything
def test_the_race_counts_the_steps_that_a_loop_by_hand_makes(x64, batch_size):
    rng = np.random.default_rng(0)
    x, target, rates, cap = rng.normal(size=8), 0.7, (0.3, 0.1, 0.02), 60
    problem = problem_of(x)
    rows = rng.integers(0, 8, (20, 3, batch_size))  # a look every three steps; after every one with all examples
    count = race.steps_to(problem, target, batch_size, 8)
    found = jax.jit(partial(race.race, count))(jnp.asarray(3.0), rows, problem.train, jnp.asarray(rates), cap)
    best, expected = cap, []
    for rate in rates:
        theta, steps, patience = 3.0, 0, min(cap, best + best // 2)
        while np.mean((theta - x) ** 2) / 2 > target or steps == 0:
            if steps >= patience:
                steps = patience
                break
            batches = [np.arange(8)] if batch_size == 8 else rows[steps // 3]
            for batch in batches:
                theta -= rate * (theta - x[batch].mean())
            steps += len(batches)
        expected.append(min(steps, patience))
        best = min(best, expected[-1])
    assert found.tolist() == expected
    assert expected[0] < expected[1] < cap


def test_every_batch_size_has_the_rate_that_suits_it_best_and_those_that_count_go_with_it(monkeypatch):
    """It takes 100 steps with the rate that suits it, ten more for each doubling that another is away from that, and
    one more for each number of the start. The race begins with the rate 4."""
    grid, suits = np.array([1.0, 2.0, 4.0, 8.0, 16.0]), {2: 2.0, 8: 8.0}

    def steps_to(problem, target, size, num_examples):
        def count(start, rows, train, rate, cap):
            return jnp.minimum(cap, jnp.round(100 + 10 * jnp.abs(jnp.log2(rate / suits[size])) + start).astype(int))

        return count

    monkeypatch.setattr(race, "steps_to", steps_to)
    monkeypatch.setattr(race, "require_a_curve", lambda *_: None)
    monkeypatch.setattr(race, "noise_scales", lambda *_: np.zeros((2, 1)))
    settings = dataclasses.replace(SETTINGS, num_seeds=2, batch_sizes=(2,), learning_rates=tuple(grid))
    _, keys = runs.seed_keys(0, 2 + race.TUNING_SEEDS)
    found = race.hold(problem_of(np.arange(8.0)), settings, np.array([1, 3, 5, 7], np.float32), keys)
    assert found.rates.tolist() == [2, 8]
    assert found.steps.tolist() == [[105, 107]] * 2
    needed = [100 + 10 * abs(np.log2(grid / rate)) for rate in suits.values()]
    np.testing.assert_allclose(found.tuning, np.sqrt((np.array(needed) + 1) * (np.array(needed) + 3)), rtol=1e-6)


def test_looks_are_the_batches_in_their_order():
    _, keys = runs.seed_keys(0, 2)
    looks = race.rows_of(keys, 120, 8, race.most_steps(1000, 120, 8))
    assert looks.shape == (2, 31, 32, 8)  # 31 looks of 32 steps, 256 examples: 992 of at most 1000 steps
    np.testing.assert_array_equal(looks[1].reshape(-1, 8)[:15], descents.shuffles(keys, 120, 67)[1, 0].reshape(15, 8))


def test_the_noise_scale_is_that_of_the_way_down_of_the_batch_size_in_the_middle(monkeypatch):
    def see(problem, rate, start, rows, train):
        return jnp.concatenate([jnp.array([rate, start]), rows.ravel().astype(float)])

    monkeypatch.setattr(race, "noise_on_the_way", see)
    settings = dataclasses.replace(SETTINGS, num_seeds=2, batch_sizes=(1, 2, 4))
    _, keys = runs.seed_keys(0, 2 + race.TUNING_SEEDS)
    steps, rates = np.array([[90.0, 95.0], [20.0, 22.0], [30.0, np.nan], [9.0, 9.0]]), np.array([0.5, 1.0, 2.0, 4.0])
    found = race.noise_scales(problem_of(np.arange(8.0)), settings, steps, rates, np.array([5.0, 7.0]), keys)
    np.testing.assert_array_equal(found[:, :2], [[1.0, 5.0], [1.0, 7.0]])  # rate and start
    order = descents.shuffles(keys, 8, 96)  # 384 steps are 3 looks, and 4 steps an epoch
    own = descents.in_batches(order[race.TUNING_SEEDS :], 2)[:, :21]  # the median of 20 and 22 steps
    np.testing.assert_array_equal(found[:, 2:], own.reshape(2, -1))


def test_sizes_that_do_not_come_down_are_left_out_and_too_few_are_an_error():
    steps = [[900.0, 800.0], [np.nan, 400.0], [300.0, 200.0], [200.0, 200.0], [200.0, 220.0]]
    run = race.Race(np.array([1, 2, 4, 8, 16]), np.array(steps), np.ones(5), np.ones((5, 3)), np.ones((1, 2)))
    race.require_a_curve(SETTINGS, run.sizes, run.steps)
    sizes, middle = run.medians()
    assert (sizes.tolist(), middle.tolist()) == ([1, 4, 8, 16], [850, 250, 200, 210])
    with pytest.raises(SettingsError, match=r"too few .* from every start \(1, 4, 8: 3, more than 3 are needed\)"):
        race.require_a_curve(SETTINGS, run.sizes[:4], run.steps[:4])


def test_a_target_that_all_reach_at_the_first_look_is_too_high():
    sizes = np.array([4, 32, 512, 600])
    with pytest.raises(
        SettingsError, match=r"--target is 0.6, to which .* at the first look, .* give a lower --target"
    ):
        race.require_a_curve(SETTINGS, sizes, np.array([[64.0], [8], [1], [5]]))
    race.require_a_curve(SETTINGS, sizes, np.array([[128.0], [8], [1], [5]]))


def test_full_batch_descent_stops_at_the_first_step_at_which_the_cost_is_low_enough(x64, monkeypatch):
    monkeypatch.setattr(past_the_plateau, "RATE", 0.5)
    problem = problem_of(np.array([0.0, 2.0]))
    found = [past_the_plateau.descend(problem, 0.75, jnp.asarray(start), problem.train) for start in (5.0, 1.2)]
    # the cost is ((theta - 1)^2 + 1) / 2, and each step halves theta - 1: 4, 2, 1, 0.5
    np.testing.assert_allclose(found, [1.5, 1.2])


def test_a_race_begins_above_its_target():
    with pytest.raises(SettingsError, match=r"--past is 0.5; it must be above --target, 0.5"):
        dataclasses.replace(past_the_plateau.QUICK, target=0.5, past=0.5).check()


SIZES = np.array([1, 2, 4, 16, 256, 4096, 16384, 60_000])


def a_race(small=0.0, large=0.0, noise=30.0, wave=0.0, rates=()):
    """On McCandlish's hyperbola with B_crit = 20 in the median of three seeds, but for what tilts the smallest or the
    largest three sizes, or a wave over all; the best rates are 1 but for those given."""
    steps = 100 * (1 + 20 / SIZES) * np.exp(wave * np.resize([1, -1], 8))
    steps[:3] *= (SIZES[:3] / 4) ** small
    steps[-3:] *= (SIZES[-3:] / 4096) ** large
    best = np.ones(8)
    for index, rate in dict(rates).items():
        best[index] = rate
    scale = noise * np.outer(1 + 0.5 * SAME_MEDIAN, 1 + 0.3 * SAME_MEAN)
    return race.Race(SIZES, np.outer(steps, 1 + 0.1 * SAME_MEDIAN), best, np.ones((8, 7)), scale)


def test_a_size_that_one_seed_does_not_bring_down_is_left_out():
    run = a_race()
    run.steps[0, 1] = np.nan
    np.testing.assert_allclose(run.medians(), (SIZES[1:], 100 * (1 + 20 / SIZES[1:])))
    assert run.hyperbola.critical == pytest.approx(20, rel=1e-3)
    assert run.over_critical == pytest.approx(1.5, rel=1e-3)


@pytest.mark.parametrize(
    ("changes", "failing"),
    [({}, []), ({"wave": 0.2}, []), ({"wave": 0.32}, [0]), ({"small": 0.09}, []), ({"small": 0.12}, [1]),
     ({"small": -0.28}, []), ({"small": -0.31}, [1]), ({"large": 0.19}, []), ({"large": 0.21}, [2]),
     ({"large": -0.18}, []), ({"large": -0.21}, [2]), ({"noise": 4.2}, []), ({"noise": 3.8}, [3]), ({"noise": 98}, []),
     ({"noise": 102}, [3]), ({"rates": {3: 0.5, 4: 8.0}}, []), ({"rates": {3: 0.25}}, [4]),
     ({"rates": {4: 16.0}}, [4])],
)  # fmt: skip
def test_the_claims_hold_on_the_hyperbola_and_fail_off_it(changes, failing):
    found = list(batch_frontier.claims(a_race(**changes), batch_frontier.Settings()))
    assert [index for index, claim in enumerate(found) if not claim.holds] == failing
    later = [claim.holds for claim in past_the_plateau.claims(a_race(**changes), past_the_plateau.Settings())]
    assert later == [0 not in failing, 3 not in failing]
    assert all(claim.why for claim in found[3:4])


def test_the_findings_count_examples_as_well_as_steps():
    said = batch_frontier.finding(a_race()._replace(sizes=2 * SIZES), SETTINGS)
    assert "batches of 2 take 4,200 examples in 2,100 steps, batches of 120,000 12,004,000 in 100 (medians). By" in said
    assert "save at most half of the steps that batches of 40 take. The noise scale is 0.8 times that size." in said
    said = past_the_plateau.finding(a_race(), past_the_plateau.Settings())
    assert "the noise scale is 30, 1.5 times the batch size of 20 at which the hyperbola bends" in said


def test_nothing_is_claimed_of_fewer_images():
    few = a_race()._replace(sizes=SIZES // 2)
    assert not list(batch_frontier.claims(few, batch_frontier.Settings()))
    assert not list(past_the_plateau.claims(few, past_the_plateau.Settings()))
