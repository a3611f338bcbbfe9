"""The laws of one example: they hold in any network, and notice what breaks them."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import make_examples, make_params

from experiments.common import wishes
from research import costs, data, gradients
from research.backprop import Functions
from research.models import mlp

FILM = Functions(costs.sum_of_squares, jax.nn.sigmoid, jax.nn.sigmoid)
LOGISTIC = Functions(costs.sigmoid_cross_entropy, jax.nn.sigmoid, jax.nn.identity)


def examined(functions, cost_fn):
    params = make_params(jax.random.key(0))
    example = data.take(make_examples(jax.random.key(1), 1), 0)
    model = mlp((12, 5, 6, 4), functions.activation, functions.output_activation)
    one = gradients.example_cost(model.apply, cost_fn)
    return jax.jit(partial(wishes.examine, functions, one))(params, example)


@pytest.mark.parametrize(
    "functions",
    [FILM, FILM._replace(activation=jax.nn.relu), LOGISTIC],
    ids=["the film's", "relu", "cross-entropy"],
)
def test_by_hand_all_is_as_theory_says_whatever_the_network(functions, x64):
    checks = examined(functions, functions.cost_fn)
    assert max(float(error) for error in (checks.by_hand, checks.nudges, checks.column_sum)) < 1e-12
    assert float(checks.brightness) == float(checks.strongest) == 1
    assert float(checks.wanted) == float(checks.unwanted) == 1


def test_with_the_films_cost_nudges_go_towards_the_target_and_are_twice_the_distance(x64):
    checks = examined(FILM, FILM.cost_fn)
    assert float(checks.nudge_signs) == 1
    assert float(checks.proportional) < 1e-12


def test_one_output_whose_nudge_is_not_twice_the_distance_is_noticed(x64):
    heavier = lambda output, target: jnp.sum((output - target) ** 2 * jnp.array([1.5, 1.0, 1.0, 1.0]))
    assert float(examined(FILM._replace(cost_fn=heavier), heavier).proportional) == pytest.approx(1)


def test_another_cost_is_noticed(x64):
    checks = examined(FILM, lambda output, target: 3 * costs.sum_of_squares(output, target))
    assert float(checks.by_hand) == pytest.approx(2 / 3)


def test_shares_notice_what_is_not_an_outer_product():
    assert float(wishes.share_in_order(jnp.array([[1.0, 3.0, 2.0]]), jnp.array([0.1, 0.2, 0.3]))) == 0.5
    assert not wishes.strongest_joins_brightest(jnp.array([[1.0, 2.0]]), jnp.array([1.0]), jnp.array([0.9, 0.1]))


def test_one_layer_out_of_order_is_enough(monkeypatch):
    in_order, joins = iter([1.0, 0.5, 1.0]), iter([True, False, True])
    monkeypatch.setattr(wishes, "share_in_order", lambda *_: jnp.float32(next(in_order)))
    monkeypatch.setattr(wishes, "strongest_joins_brightest", lambda *_: jnp.bool_(next(joins)))
    checks = examined(FILM, FILM.cost_fn)
    assert (float(checks.brightness), float(checks.strongest)) == (0.5, pytest.approx(2 / 3))


def test_equally_many_of_each_class_and_no_more_than_there_is_room_for():
    labels = np.tile(np.arange(10), 5)
    np.testing.assert_array_equal(np.bincount(labels[wishes.few_of_each(labels, 20)]), [2] * 10)
    assert len(wishes.few_of_each(np.arange(47), 20)) == 20
