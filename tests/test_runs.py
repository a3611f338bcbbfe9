"""Descents in legs against descents in one piece; divergence is noticed at its step."""

import time
from unittest import mock

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from helpers import make_examples

from experiments.common import descents, long_training, runs, tune
from experiments.common.descents import Method
from experiments.common.problem import Problem
from research import costs, gradients, training
from research.models import mlp
from research.training import History, TrainState

MODEL = mlp((12, 5, 4))


def make_problem(model=MODEL, cost_fn=costs.sum_of_squares):
    examples = make_examples(jax.random.key(0), 60)
    return Problem(model, cost_fn, examples, examples, (12, 5, 4))


def test_a_curve_equals_the_same_steps_made_one_by_one():
    num_seeds = 3  # one more than there are devices
    problem, method = make_problem(), Method("sgd", 5, optax.sgd(0.5))
    init_keys, shuffle_keys = runs.seed_keys(0, num_seeds)
    start = descents.starts(problem, init_keys)
    order = descents.shuffles(shuffle_keys, 60, num_epochs=3)
    curve = descents.follow(problem, method, start, order, num_steps=20, num_legs=3).curve
    assert curve.steps.tolist() == [20, 26, 32, 36]  # three epochs of twelve steps, none left out

    objective = gradients.mean_over_examples(gradients.example_cost(MODEL.apply, costs.sum_of_squares))
    step = jax.jit(training.make_step(objective, method.optimizer))
    for seed in range(num_seeds):
        params = jax.tree.map(lambda leaf, seed=seed: leaf[seed], start)
        state, rows = TrainState(params, method.optimizer.init(params)), order[seed].reshape(-1, 5)
        for count in range(36):
            state, _ = step(state, jax.tree.map(lambda leaf, row=rows[count]: leaf[row], problem.train))
            if count + 1 in curve.steps:
                seen = curve.cost[seed, curve.steps.tolist().index(count + 1)]
                assert seen == pytest.approx(float(objective(state.params, problem.train)), rel=1e-5)


def test_full_batch_descent_is_mini_batch_descent_with_a_batch_of_everything():
    problem, method = make_problem(), Method("full", 60, optax.sgd(0.5))
    start = descents.starts(problem, runs.seed_keys(0, 2)[0])
    order = np.tile(np.arange(60, dtype=np.int32), (2, 40, 1))
    full = descents.follow(problem, method, start, order, num_steps=40).curve
    state = TrainState(start, jax.vmap(method.optimizer.init)(start))
    chunks = descents.in_legs(descents.in_batches(order, 60), 40, 1)
    mini = runs.descend("mini", descents.minibatch_legs(problem, method), state, (problem.train, problem.test), chunks)
    np.testing.assert_array_equal(full.steps, mini.steps)
    np.testing.assert_allclose(full.cost, mini.history.observed[0], rtol=1e-5)


@pytest.mark.parametrize("batch_size", [1, 4, 5])
def test_the_order_divided_is_the_shuffled_schedule(batch_size):
    _, shuffle_keys = runs.seed_keys(0, 2)
    divided = descents.in_batches(descents.shuffles(shuffle_keys, 10, 3), batch_size)
    for key, rows in zip(shuffle_keys, divided, strict=True):
        schedule = training.shuffled_schedule(key, 10, batch_size, 3)
        np.testing.assert_array_equal(rows, schedule.reshape(-1, batch_size))


@pytest.mark.parametrize(("num_steps", "opening", "num_legs"), [(36, 20, 3), (100, 40, 20), (7, 20, 5), (43, 0, 4)])
def test_legs_leave_no_step_out_and_keep_the_order(num_steps, opening, num_legs):
    rows = np.arange(2 * num_steps * 3).reshape(2, num_steps, 3)
    legs = descents.in_legs(rows, opening, num_legs)
    np.testing.assert_array_equal(np.concatenate([leg.reshape(2, -1, 3) for (leg,) in legs], axis=1), rows)
    assert len(legs) <= num_legs + 1


def test_a_seed_is_the_same_however_many_there_are():
    few, many = runs.seed_keys(3, 2), runs.seed_keys(3, 5)
    for some, all_keys in zip(few, many, strict=True):
        np.testing.assert_array_equal(jax.random.key_data(some), jax.random.key_data(all_keys)[:2])
    data = np.concatenate([jax.random.key_data(keys) for keys in many])
    assert len(np.unique(data, axis=0)) == 10


def test_divergence_is_noticed_with_its_step():
    costs_seen = np.zeros((2, 3, 4))
    costs_seen[1, 2, 1] = np.nan
    with pytest.raises(runs.Diverged, match="at step 109; lower the learning rate") as error:
        runs.stop_if_diverged("sgd", costs_seen, steps_before=100)
    assert error.value.step == 109


@pytest.mark.parametrize("last_good_step", [5, 27, 35])
def test_the_step_of_a_divergence_counts_from_the_start_of_the_run(last_good_step):
    problem = make_problem(mlp((12, 4), output_activation=jax.nn.identity))
    method = Method("late", 5, optax.sgd(lambda count: jnp.where(count < last_good_step, 0.1, 1e30)))
    init_keys, shuffle_keys = runs.seed_keys(0, 1)
    order = descents.shuffles(shuffle_keys, 60, num_epochs=3)
    with pytest.raises(runs.Diverged) as error:
        descents.follow(problem, method, descents.starts(problem, init_keys), order, num_steps=20, num_legs=3)
    assert last_good_step + 1 <= error.value.step <= last_good_step + 2


def test_flops_of_a_gradient_are_four_a_weight_and_two_more_behind_the_first_layer():
    examples = make_examples(jax.random.key(0), 200, num_pixels=784, num_classes=10)
    problem = Problem(mlp(), costs.sum_of_squares, examples, examples, (28, 28, 1))
    formula = 4 * (784 * 16 + 16 * 16 + 16 * 10) + 2 * (16 * 16 + 16 * 10)
    assert formula == 52_672
    assert formula < descents.flops_per_example(problem) < 1.1 * formula


def test_seconds_are_medians_and_leave_the_first_call_out(monkeypatch):
    clock, calls = iter([0, 1, 10, 15, 20, 22]), []
    monkeypatch.setattr(time, "perf_counter", lambda: next(clock))
    assert runs.seconds_each({"a": lambda: calls.append("a")}, repeats=3) == {"a": 2}
    assert calls == ["a"] * 4


def test_the_rate_that_is_shown_counts_the_steps_of_all_seeds(monkeypatch):
    bar = mock.MagicMock()
    bar.__enter__.return_value = bar
    monkeypatch.setattr(runs, "progress_bar", lambda: bar)
    chunk = (jnp.ones((3, 2, 5)),)  # three seeds, two legs of five steps
    run = runs.descend(
        "x", lambda state, _, costs: (state, History(costs, ())), jnp.zeros(3), jnp.zeros(1), [chunk] * 2
    )
    assert bar.update.call_args.kwargs["rate"] == pytest.approx(3 * 20 / run.run_seconds)


def test_the_contestants_of_a_timing_take_turns():
    calls = []
    runs.seconds_each({name: lambda name=name: calls.append(name) for name in "ab"}, repeats=2)
    assert calls == ["a", "b"] * 3


def test_a_seeds_keys_are_of_its_number_alone():
    found = runs.seed_keys(3, 2)
    wanted = jax.random.split(jax.random.fold_in(jax.random.key(3), 1))
    for keys, key in zip(found, wanted, strict=True):
        assert (jax.random.key_data(keys[1]) == jax.random.key_data(key)).all()


def test_the_rate_of_a_long_training_falls_in_the_second_half_of_all_its_steps(monkeypatch):
    asked, settings = [], long_training.Settings(start_batch_size=7, start_epochs=4, start_learning_rate=3.0)
    monkeypatch.setattr(
        descents, "begin", lambda problem, settings, num_epochs: ((), np.zeros((2, num_epochs, 50), int))
    )
    monkeypatch.setattr(descents, "falling", lambda rate, num_steps: asked.append((rate, num_steps)) or rate)
    monkeypatch.setattr(descents, "follow", lambda *given, **options: descents.Descent(None, given[2]))
    assert long_training.train(None, settings) == ()
    assert asked == [(3.0, 4 * 7)]  # of 50 images batches of 7 are seven


def test_a_rate_that_diverges_is_infinitely_bad_and_is_an_error_where_all_do():
    def end_costs(rate):
        if rate > 1:
            raise runs.Diverged("a parabola", 3)
        return np.array([1 / rate])

    assert tune.tune(lambda rate: np.array([rate, rate, 9 / rate]), (1.0, 2.0)).best == 1  # by the median, not the mean
    assert tune.tune(end_costs, (0.5, 1.0, 2.0)).costs.tolist() == [2.0, 1.0, np.inf]
    with pytest.raises(runs.Diverged, match="a parabola"):
        tune.tune(end_costs, (2.0, 4.0))
