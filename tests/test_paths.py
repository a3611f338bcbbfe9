"""Paths: an odometer against the points that it passed, displacements against two loops, and what exponents mean."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from helpers import make_examples, make_params
from jax.flatten_util import ravel_pytree

from research import costs, gradients, paths, training
from research.models import mlp
from research.training import TrainState

OBJECTIVE = gradients.mean_over_examples(gradients.example_cost(mlp((12, 5, 6, 4)).apply, costs.sum_of_squares))


def test_the_odometer_reads_what_the_points_of_the_path_say_and_changes_no_step():
    optimizer = optax.chain(optax.sgd(0.7), paths.odometer())
    examples, params = make_examples(jax.random.key(1), 30), make_params(jax.random.key(0))
    schedule = training.shuffled_schedule(jax.random.key(2), 30, 5, 2).reshape(12, 1, 5)

    def observe(state):
        return ravel_pytree(state.params)[0], state.opt_state[-1]

    run = jax.jit(partial(training.minibatch_descent, training.make_step(OBJECTIVE, optimizer), observe=observe))
    _, history = run(TrainState(params, optimizer.init(params)), examples, schedule)
    points, walked = history.observed
    points = np.concatenate([ravel_pytree(params)[0][None], points]).astype(float)
    steps = np.diff(points, axis=0)
    lengths = np.linalg.norm(steps, axis=1)
    cosines = np.sum(steps[1:] * steps[:-1], axis=1) / (lengths[1:] * lengths[:-1])
    np.testing.assert_allclose(walked.length, np.cumsum(lengths), rtol=1e-5)
    np.testing.assert_allclose(walked.turns, np.cumsum([0, *cosines]), atol=1e-4)
    assert walked.steps.tolist() == list(range(1, 13))
    plain = training.make_step(OBJECTIVE, optax.sgd(0.7))
    state, _ = jax.jit(partial(training.minibatch_descent, plain, observe=lambda state: ()))(
        TrainState(params, optax.sgd(0.7).init(params)), examples, schedule
    )
    np.testing.assert_array_equal(ravel_pytree(state.params)[0], points[-1].astype(np.float32))


def test_who_stands_still_turns_nowhere():
    walked = paths.odometer().init(jnp.ones(3))
    for step in (jnp.zeros(3), jnp.ones(3), jnp.zeros(3)):
        _, walked = paths.odometer().update(step, walked)
    assert float(walked.turns) == 0
    assert float(walked.length) == pytest.approx(3**0.5)


def test_displacements_are_those_of_two_loops():
    points = np.random.default_rng(0).normal(size=(9, 5)).astype(np.float32)
    for lag, found in enumerate(paths.squared_displacements(points), start=1):
        apart = [np.sum((points[t + lag].astype(float) - points[t]) ** 2) for t in range(9 - lag)]
        assert found == pytest.approx(np.mean(apart), rel=1e-6)


def test_straight_on_is_exponent_2_and_a_walk_without_memory_1():
    straight = np.arange(40.0)[:, None] * np.ones((1, 3))
    assert paths.exponent(paths.squared_displacements(straight)) == pytest.approx(2)
    assert paths.winding(straight) == pytest.approx(1)
    # every step at right angles to all others: |p(t + lag) - p(t)|^2 = lag, as a random walk's on average
    walk = np.tril(np.ones((40, 40)))
    assert paths.exponent(paths.squared_displacements(walk)) == pytest.approx(1)
    assert paths.winding(walk) == pytest.approx(39 / 39**0.5)


@pytest.mark.parametrize("num_lags", [8, 9])
def test_the_exponent_is_the_least_squares_slope_of_the_first_half_of_the_lags(num_lags):
    displacements = np.random.default_rng(0).uniform(1, 9, num_lags)
    x, y = np.log([1, 2, 3, 4]), np.log(displacements[:4])
    assert paths.exponent(displacements) == pytest.approx(np.sum((x - x.mean()) * y) / np.sum((x - x.mean()) ** 2))
