"""Descents in which layers rest, on two weights of which all is known and on networks; and the shares of layers."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from research import costs, gradients, layerwise
from research.data import Examples
from research.models import Layer, mlp
from research.training import TrainState

PAIRS = ((4, 3), (3, 5), (5, 2))
EXAMPLES = Examples(jnp.zeros((1, 1)), jnp.zeros((1, 1)))


def bilinear(params, examples):
    """C = (v w - 1)^2 of two layers of one weight each: everything about it is known."""
    return jnp.squeeze((params[1].weights * params[0].weights - 1) ** 2)


def two_weights(w, v):
    return [Layer(jnp.array([[number]]), jnp.zeros(1)) for number in (w, v)]


def moved_by(step, w, v):
    params = step(TrainState(two_weights(w, v), ()), EXAMPLES)[0].params
    return [float(layer.weights[0, 0]) for layer in params]


def test_a_step_of_both_at_once_and_one_after_the_other(x64):
    w, v, rate = 3.0, 0.5, 0.1
    old_v = layerwise.at_once(bilinear, rate, jnp.ones(2))
    assert moved_by(old_v, w, v) == pytest.approx([w - rate * 2 * v * 0.5, v - rate * 2 * w * 0.5])
    new_v = v - rate * 2 * w * 0.5
    first_v = layerwise.last_first(bilinear, rate, jnp.array([0.0, 1.0]))
    assert moved_by(first_v, w, v) == pytest.approx([w - rate * 2 * new_v * (new_v * w - 1), new_v])


def test_in_whatever_order_the_updates_are_applied_the_step_is_the_same(x64):
    rng = np.random.default_rng(0)
    params = [Layer(rng.normal(size=(num_out, num_in)), rng.normal(size=num_out)) for num_in, num_out in PAIRS]
    examples = Examples(rng.uniform(size=(7, 4)), np.eye(2)[rng.integers(0, 2, 7)])
    objective = gradients.mean_over_examples(gradients.example_cost(mlp((4, 3, 5, 2)).apply, costs.sum_of_squares))
    slopes_at = jax.jit(jax.grad(objective))
    grads = slopes_at(params, examples)
    wanted = jax.tree.map(lambda p, g: p - 0.5 * g, params, grads)
    for order in itertools.permutations(range(3)):
        moved = params
        for layer in order:
            moved = layerwise.go(moved, grads, 0.5, jnp.eye(3)[layer])
        jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-15), moved, wanted)
    with_new_v = layerwise.go(params, grads, 0.5, jnp.eye(3)[2])
    assert np.max(np.abs(slopes_at(with_new_v, examples)[0].weights - grads[0].weights)) > 1e-4  # taken anew: others


def test_a_layer_that_is_not_free_rests(x64):
    w, v = moved_by(layerwise.at_once(bilinear, 0.1, jnp.array([0.0, 1.0])), 3.0, 0.5)
    assert w == 3.0
    assert v != 0.5


def test_shares_are_squared_lengths_over_the_whole(x64):
    grads = [Layer(jnp.array([[3.0]]), jnp.array([0.0])), Layer(jnp.array([[0.0]]), jnp.array([4.0]))]
    np.testing.assert_allclose(layerwise.shares(grads), [[9 / 25, 0], [0, 16 / 25]])


def test_batches_are_as_many_as_asked_for_over_several_epochs_whatever_these_leave_over():
    """Of 11 examples an epoch makes two batches of 4: seven of them are begun in a fourth epoch."""
    rows = np.asarray(layerwise.batches(jax.random.key(0), 11, 4, 7))
    assert rows.shape == (7, 4)
    assert [len(np.unique(rows[at : at + 2])) for at in (0, 2, 4)] == [8, 8, 8]
