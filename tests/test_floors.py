"""Constant and falling rates from one start, against steps by hand; what settles, and when it says so."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from experiments.common import floors
from experiments.common.problem import Problem
from research.data import Examples
from research.models import Model


def test_constant_and_falling_rates_go_as_by_hand_in_a_parabola(x64):
    x, steepness, rng = np.array([1.0, -2.0, 0.5, 4.0]), 2.0, np.random.default_rng(1)
    train, rows = Examples(jnp.asarray(x)[:, None], jnp.zeros((4, 1))), rng.integers(0, 4, (2, 6, 3, 2))
    model = Model(lambda key: jnp.asarray(0.0), lambda theta, x: theta - x)
    problem = Problem(model, lambda output, target: steepness / 2 * jnp.sum(output**2), train, train, (1, 1, 1))
    found = floors.Floor(
        *jax.jit(partial(floors.stumble, problem))(jnp.asarray(2.0), train, jnp.asarray(rows), jnp.array([0.1, 0.3]))
    )
    for index, rate in enumerate((0.1, 0.3)):
        at, middle, path, own = 2.0, None, [], []
        for step, batch in enumerate(rows.reshape(-1, 2)):
            middle = at if step == 18 else middle
            own.append(np.mean(steepness / 2 * (at - x[batch]) ** 2))
            at -= rate * steepness * (at - x[batch].mean())
            path.append(at)
        falls = [middle]
        for step, batch in enumerate(rows[1].reshape(-1, 2)):
            falls.append(falls[-1] - rate * (1 - step / 18) * steepness * (falls[-1] - x[batch].mean()))
        for cost, norm, points in (
            (found.cost, found.gradient_norm, path[2::3]),
            (found.falling_cost, found.falling_norm, falls[3::3]),
        ):
            heights = [np.mean(steepness / 2 * (point - x) ** 2) for point in points]
            np.testing.assert_allclose(cost[index], heights, rtol=1e-12)
            np.testing.assert_allclose(norm[index], steepness * np.abs(np.array(points) - x.mean()), rtol=1e-12)
        np.testing.assert_allclose(found.batch_cost[index], np.reshape(own, (12, 3)).mean(axis=1), rtol=1e-12)
        assert float(found.scatter[index]) == pytest.approx(steepness**2 * np.var(x))


def test_each_half_is_the_next_batches_in_their_order():
    order = np.random.default_rng(0).permuted(np.tile(np.arange(40), (2, 3, 1)), axis=-1)
    halves = floors.in_halves(order, 3, 6)  # 39 batches: 2 halves of 6 looks at 3 steps; 3 batches are left out
    assert halves.shape == (2, 2, 6, 3, 3)
    np.testing.assert_array_equal(halves[1].reshape(-1, 3), order[1, :, :39].reshape(-1, 3)[:36])


@pytest.mark.parametrize("num_looks", [1, 4])
def test_a_cost_that_falls_steadily_settles_at_its_value_in_the_middle_of_the_second_half(num_looks):
    looks = 10 - np.arange(1, 2 * num_looks + 1) / num_looks  # time is 1 at halftime, 2 at the end
    assert float(floors.settled(looks)) == pytest.approx(10 - 1.5)
