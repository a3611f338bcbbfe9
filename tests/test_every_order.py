"""Every order: the flow against a solved one, ends against numpy, and the claims on made-up slopes."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from conftest import LAST_OFF, SAME_MEDIAN, make_examples

from experiments.mini_batches import every_order
from experiments.mini_batches.every_order import RATES, Result, Settings

SMALLEST = Settings(num_seeds=3, num_batches=2, batch_size=5, layer_sizes=(784, 10))


def test_the_flow_of_a_parabola_shrinks_exponentially(x64):
    end = every_order.flow(lambda point: 3 * point, jnp.array([2.0, -1.0]), jnp.asarray(0.2))
    np.testing.assert_allclose(end, np.array([2.0, -1.0]) * np.exp(-0.6), rtol=3e-5)


def test_the_mean_end_and_the_difference_to_lot_are_those_of_products_written_out(x64):
    """C_k = h_k (theta - x_k)^2 / 2: a step is theta -> (1 - eta h_k) theta + eta h_k x_k."""
    examples = make_examples(jax.random.key(2), 3, 1, 2)
    h, x = np.asarray(examples.targets[:, 0]) + 0.5, np.asarray(examples.inputs[:, 0])
    objective = lambda point, some: jnp.mean((some.targets[:, 0] + 0.5) * (point[0] - some.inputs[:, 0]) ** 2 / 2)
    batches = jax.tree.map(lambda leaf: leaf[:, None], examples)
    found = every_order.distances(objective, jnp.array([0.3]), batches)

    def mean_end(orders, rate):
        ends = []
        for order in orders:
            theta = 0.3
            for k in order:
                theta = (1 - rate * h[k]) * theta + rate * h[k] * x[k]
            ends.append(theta)
        return np.mean(ends)

    gradients = h * (0.3 - x)
    slope_of_scatter = np.mean(2 * gradients * h) - 2 * gradients.mean() * h.mean()
    for index, rate in enumerate(RATES):
        shuffled = mean_end(itertools.permutations(range(3)), rate)
        apart = shuffled - mean_end(itertools.product(range(3), repeat=3), rate)
        formula = -(rate**2) * 3 / 4 * slope_of_scatter
        np.testing.assert_allclose(found[0][index], abs(shuffled - 0.3), rtol=1e-9)
        np.testing.assert_allclose(found[3][index], abs(apart / formula - 1), rtol=1e-5)


def test_both_flows_end_where_linear_ones_do(x64):
    """The slopes are linear here: d theta/dt = -(p theta - q) ends at q/p + (theta - q/p) exp(-p t)."""
    examples = make_examples(jax.random.key(1), 3, 1, 2)
    h, x = np.asarray(examples.targets[:, 0]) + 0.5, np.asarray(examples.inputs[:, 0])
    objective = lambda point, some: jnp.mean((some.targets[:, 0] + 0.5) * (point[0] - some.inputs[:, 0]) ** 2 / 2)
    batches = jax.tree.map(lambda leaf: leaf[:, None], examples)
    walked, plain, modified, _ = every_order.distances(objective, jnp.array([0.9]), batches)
    for index, rate in enumerate(RATES):
        ways = [
            np.prod(1 - rate * h[list(order)]) * 0.9
            + sum(rate * h[k] * x[k] * np.prod(1 - rate * h[list(order[at + 1 :])]) for at, k in enumerate(order))
            for order in itertools.permutations(range(3))
        ]
        assert walked[index] == pytest.approx(abs(np.mean(ways) - 0.9), rel=1e-9)
        for found, weights in ((plain, h), (modified, h + rate / 2 * h**2)):
            middle = np.sum(weights * x) / np.sum(weights)
            end = middle + (0.9 - middle) * np.exp(-weights.mean() * 3 * rate)
            assert found[index] == pytest.approx(abs(np.mean(ways) - end), rel=5e-3, abs=1e-12)


def made_up(*off):
    """Three seeds whose distances go as the rate to theory's orders, 2, 3 and 1, but for so much in the last."""
    powers = (order + each * LAST_OFF[:, None] for order, each in zip((2, 3, 1), off, strict=True))
    return Result(np.full((3, len(RATES)), 2.0) + SAME_MEDIAN[:, None] / 9, *(RATES**power for power in powers))


@pytest.mark.parametrize(
    ("off", "failing"),
    [((0.095, -0.095, 0.095), []), ((-0.095, 0.095, -0.095), []), ((0.105, 0, 0), [0]), ((0, 0.105, 0), [1]),
     ((0, 0, 0.105), [2]), ((-0.105, -0.105, -0.105), [0, 1, 2])],
)  # fmt: skip
def test_the_claims_fail_where_the_slope_of_one_seed_is_off(off, failing):
    found = list(every_order.claims(made_up(*off), SMALLEST))
    assert [index for index, claim in enumerate(found) if not claim.holds] == failing


def test_the_finding_is_of_the_medians_at_a_rate_of_a_tenth():
    said = every_order.finding(made_up(0, 0, 0), SMALLEST)  # 0.1^2 / 2 and 0.1^3 / 2
    assert "misses the mean end of all orders of 2 batches by 0.5% of the way" in said
    assert said.endswith("with the shuffle's own term by 0.05% (medians).")
