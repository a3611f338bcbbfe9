"""The race down to a cost: loops by hand that its runs are held against, in the files of the experiments that hold it;
and when it says nothing."""

import dataclasses
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import plain
import pytest
from helpers import SAME_MEAN, SAME_MEDIAN

from experiments.common import descents, race, runs
from experiments.common.bounds import SettingsError
from experiments.common.problem import Problem
from experiments.mini_batches import batch_frontier, past_the_plateau
from research.data import Examples
from research.models import Model

SETTINGS = race.Settings(target=0.6)


def down_by_hand(start, train, looks, rate, target, cap):
    """The steps to the first look at which the cost is at most the target; else the cap."""
    params, steps = start, 0
    for look in looks:
        params, steps = plain.descend(params, train, look, rate)[-1], steps + len(look)
        if steps >= cap or plain.costs(params, train).mean() <= target:
            break
    return min(steps, cap)


def noise_by_hand(params, train):
    """tr Sigma / |G|^2."""
    squares = sum((error**2).sum(axis=1) * (1 + (seen**2).sum(axis=1)) for error, seen in plain.errors(params, train))
    return squares.mean() / np.sum(plain.flat(plain.gradient(params, train)) ** 2) - 1


@pytest.mark.parametrize(("look_every", "looks"), [(10, 3), (4, 6)])  # of two steps, and of one, the least
def test_the_mini_batches_are_those_of_the_first_steps_of_every_start(look_every, looks, monkeypatch):
    monkeypatch.setattr(race, "LOOK_EVERY", look_every)
    keys = jax.random.split(jax.random.key(0), 2)
    wanted = descents.shuffles(keys, 20, 2).reshape(2, 8, 5)[:, :6]
    np.testing.assert_array_equal(race.rows_of(keys, 20, 5, most=6), wanted.reshape(2, looks, -1, 5))


def begin_by_hand(settings):
    """(training examples, starts, orders of the examples); of the seeds, the first two are those that choose rates."""
    more = dataclasses.replace(settings, num_seeds=settings.num_seeds + 2)
    train, _, starts, _ = plain.begin(more)
    orders = plain.shuffles(more, len(train.inputs), settings.max_steps // 2)  # at most half of all are a mini-batch
    return Examples(train.inputs / 255, train.targets), starts, orders


def is_the_race_by_hand(found, settings, train, starts, orders):
    """Holds every number of a Race against plain descent from there."""
    grid, target = settings.learning_rates, settings.target
    assert found.sizes.tolist() == [*settings.batch_sizes, len(train.inputs)]
    for row, (size, tried_first) in enumerate(zip(found.sizes, [*found.rates[1:], 4.0], strict=True)):
        whole = size == len(train.inputs)
        rows, per_look = descents.in_batches(orders, int(size)), 1 if whole else 256 // size
        cap = settings.max_steps // per_look * per_look
        looks = (rows[:, np.arange(cap) % len(rows[0])] if whole else rows[:, :cap]).reshape(4, -1, per_look, size)
        took = np.zeros((2, len(grid)), int)
        for start, own, steps in zip(starts[:2], looks[:2], took, strict=True):
            best = cap
            for at in sorted(range(len(grid)), key=lambda at: abs(np.log(grid[at] / tried_first))):
                steps[at] = down_by_hand(start, train, own, grid[at], target, min(cap, best + best // 2))
                best = min(best, steps[at])
        np.testing.assert_allclose(found.tuning[row], np.sqrt(took[0] * took[1]), rtol=1e-5)
        rate = grid[found.tuning[row].argmin()]
        assert found.rates[row] == np.float32(rate)
        pairs = list(zip(starts[2:], looks[2:], strict=True))
        assert found.steps[row].tolist() == [down_by_hand(start, train, own, rate, target, cap) for start, own in pairs]
        if row == len(settings.batch_sizes) // 2:
            length = int(np.median(found.steps[row])) // race.POINTS
            for noise, (start, own) in zip(found.noise, pairs, strict=True):
                way = plain.descend(start, train, own.reshape(-1, size)[: length * race.POINTS], rate)[::length]
                np.testing.assert_allclose(noise, [noise_by_hand(params, train) for params in way], rtol=1e-4)


def test_a_run_is_given_up_after_max_steps_or_one_pass_in_whole_looks():
    assert race.most_steps(1000, 120, 8) == 992  # 31 looks of 32 steps, 256 examples
    assert race.most_steps(300, 6000, 8) == 736  # of the 750 of a pass
    assert race.most_steps(300, 6000, 512) == 300


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


def problem_of(x):
    """One number theta that should be near to each x: C_i = (theta - x_i)^2 / 2."""
    train = Examples(jnp.asarray(x)[:, None], jnp.zeros((len(x), 1)))
    model = Model(lambda key: 0.0, lambda theta, x: theta - x)
    return Problem(model, lambda centre, target: jnp.sum(centre**2) / 2, train, train, (1, 1, 1))


def test_full_batch_descent_stops_at_the_first_step_at_which_the_cost_is_low_enough(monkeypatch):
    monkeypatch.setattr(past_the_plateau, "RATE", 0.5)
    descend = jax.jit(jax.vmap(partial(past_the_plateau.descend, problem_of(np.array([0.0, 2.0])), 0.75), (0, None)))
    found = descend(np.array([5.0, 1.2], np.float32), problem_of(np.array([0.0, 2.0])).train)
    # the cost is ((theta - 1)^2 + 1) / 2, and each step halves theta - 1: 4, 2, 1, 0.5
    np.testing.assert_allclose(found, [1.5, 1.2], rtol=1e-6)


def test_who_is_given_up_has_no_steps(monkeypatch):
    """Each start is the steps that it would need; a run of full batches is given up after 256, one of 300 likewise."""
    monkeypatch.setattr(race, "steps_to", lambda *_: lambda start, rows, train, rate, cap: jnp.minimum(start, cap))
    monkeypatch.setattr(race, "require_a_curve", lambda *_: None)
    monkeypatch.setattr(race, "noise_scales", lambda *_: np.ones((1, 2)))
    needed = jnp.array([1, 1, 30, 255, 256, 300], jnp.int32)
    settings = race.Settings(batch_sizes=(300,), learning_rates=(1.0,), max_steps=256)
    found = race.hold(problem_of(np.zeros(600)), settings, needed, runs.seed_keys(0, 6)[1])
    np.testing.assert_array_equal(found.steps, [[30, 255, np.nan, np.nan]] * 2)


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
