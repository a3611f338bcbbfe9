"""Descents in chunks against descents in one piece; divergence is noticed at its step."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from conftest import make_examples

from experiments.common import descents, runs
from experiments.common.descents import Method
from research import costs, gradients, training
from research.models import mlp
from research.training import TrainState

MODEL = mlp((12, 5, 4))


def make_problem(num_examples=60):
    examples = make_examples(jax.random.key(0), num_examples)
    return descents.make_problem(MODEL, costs.sum_of_squares, examples, examples)


@pytest.mark.parametrize("num_seeds", [1, 3])
def test_a_curve_equals_the_same_steps_made_one_by_one(num_seeds):
    problem, method = make_problem(), Method("sgd", 5, optax.sgd(0.5))
    init_keys, shuffle_keys = runs.seed_keys(0, num_seeds)
    start = descents.starts(problem, init_keys)
    order = descents.shuffles(shuffle_keys, 60, num_epochs=3)
    curve = descents.follow(problem, method, descents.stretches(problem, method, order, num_steps=20), start)
    assert curve.steps.tolist() == [20, 23, 26, 29, 32, 35]

    objective = gradients.mean_over_examples(gradients.example_cost(MODEL.apply, costs.sum_of_squares))
    step = jax.jit(training.make_step(objective, method.optimizer))
    for seed in range(num_seeds):
        params = jax.tree.map(lambda leaf, seed=seed: leaf[seed], start)
        state, rows = TrainState(params, method.optimizer.init(params)), order[seed].reshape(-1, 5)
        for count in range(35):
            state, _ = step(state, jax.tree.map(lambda leaf, row=rows[count]: leaf[row], problem.train))
            if count + 1 in curve.steps:
                seen = curve.cost[seed, curve.steps.tolist().index(count + 1)]
                assert seen == pytest.approx(float(objective(state.params, problem.train)), rel=1e-5)


def test_a_batch_of_everything_is_the_careful_man():
    problem, method = make_problem(), Method("full", 60, optax.sgd(0.5))
    start = descents.starts(problem, runs.seed_keys(0, 2)[0])
    order = np.tile(np.arange(60, dtype=np.int32), (2, 40, 1))
    careful = descents.follow(problem, method, descents.careful_man(problem, method, 40), start)
    drunk = descents.follow(problem, method, descents.drunk_man(problem, method, order, 40, 1), start)
    np.testing.assert_array_equal(careful.steps, drunk.steps)
    np.testing.assert_allclose(careful.cost, drunk.cost, rtol=1e-5)


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


def test_a_run_that_diverges_stops():
    examples = make_examples(jax.random.key(0), 60)
    cubic = descents.make_problem(
        MODEL, lambda output, target: jnp.exp(1e3 * jnp.sum((output - target) ** 2)), examples, examples
    )
    method = Method("too fast", 60, optax.sgd(1e30))
    start = descents.starts(cubic, runs.seed_keys(0, 1)[0])
    with pytest.raises(runs.Diverged):
        descents.follow(cubic, method, descents.careful_man(cubic, method, 20), start)


def test_flops_of_a_gradient_are_four_a_weight_and_two_more_behind_the_first_layer():
    examples = make_examples(jax.random.key(0), 200, num_pixels=784, num_classes=10)
    problem = descents.make_problem(mlp(), costs.sum_of_squares, examples, examples)
    formula = 4 * (784 * 16 + 16 * 16 + 16 * 10) + 2 * (16 * 16 + 16 * 10)
    assert formula == 52_672
    assert formula < descents.flops_per_example(problem) < 1.1 * formula


def test_seconds_are_medians_and_leave_the_first_call_out():
    calls = []
    seconds = runs.seconds_each({"a": lambda: calls.append("a"), "b": lambda: calls.append("b")}, repeats=3)
    assert calls == ["a", "b"] * 4
    assert all(value >= 0 for value in seconds.values())
