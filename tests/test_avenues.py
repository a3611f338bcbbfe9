"""Small steps on two weights of which all is known; and Results on which the claims must hold, and must fail."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from conftest import LAST_OFF, SAME_MEAN, SAME_MEDIAN

from experiments.common import layer_descents, posing, runs
from experiments.one_example import avenues
from experiments.one_example.avenues import RATES, Result, Settings, SmallSteps
from research import data, gradients, layerwise
from research.data import Examples
from research.models import Layer

SMALLEST = Settings(
    num_seeds=2, num_legs=4, steps_per_leg=5, batch_size=20, num_looked_at=200, layer_sizes=(784, 3, 10)
)
EXAMPLES = Examples(jnp.zeros((1, 1)), jnp.zeros((1, 1)))


def bilinear(params, examples):
    """C = (v w - 1)^2 of two layers of one weight each: everything about it is known."""
    return jnp.squeeze((params[1].weights * params[0].weights - 1) ** 2)


def product(params, few):
    return (params[1].weights * params[0].weights).ravel()


def two_weights(w, v):
    return [Layer(jnp.array([[number]]), jnp.zeros(1)) for number in (w, v)]


def test_errors_of_small_steps_are_those_of_the_second_order(x64):
    w, v = 3.0, 0.5
    params = two_weights(w, v)
    found = avenues.small_steps(bilinear, product, params, EXAMPLES)
    grad_w, grad_v = 2 * v * (w * v - 1), 2 * w * (w * v - 1)
    new_v = v - avenues.RATES * grad_v
    np.testing.assert_allclose(found.updates, np.abs(1 - 2 * new_v * (w * new_v - 1) / grad_w), rtol=1e-9)
    new_w = w - avenues.RATES * grad_w
    decrease = ((w * v - 1) ** 2 - (new_w * new_v - 1) ** 2) / (avenues.RATES * (grad_w**2 + grad_v**2))
    np.testing.assert_allclose(found.decrease, np.abs(1 - decrease), rtol=1e-7)
    curved = avenues.RATES**2 * grad_w * grad_v  # what the product v w has beyond its first order
    np.testing.assert_allclose(found.activations, np.abs(curved / (new_w * new_v - w * v)), rtol=1e-7)


def made_up(*, decrease=0.0, updates=0.0, activations=0.0, **changed):
    """Three seeds; the errors of small steps go as the learning rate, to a power that is so much larger than 1."""
    powers = (1 + beyond + np.zeros((3, 1)) for beyond in (decrease, updates, activations))
    steps = SmallSteps(*(0.1 * RATES**power for power in powers))
    found = {"shares": np.full((3, 3, 2, 2), 0.25), "costs": np.ones((3, 2, 3)), "num_changed": np.full(3, 9)}
    return Result(**(found | {"steps": steps, "num_expected": 9, "sigmoids": True} | changed))


LAST = LAST_OFF[:, None]


@pytest.mark.parametrize(
    ("changes", "failing"),
    [({}, []), *[({error: off * LAST}, []) for error in SmallSteps._fields for off in (0.095, -0.095)],
     ({"decrease": 0.105 * LAST}, [1]), ({"decrease": -0.49 * LAST}, [1]), ({"decrease": -0.51 * LAST}, [0, 1]),
     ({"updates": 0.105 * LAST}, [2]), ({"updates": -0.105 * LAST}, [2]), ({"activations": 0.105 * LAST}, [3]),
     ({"activations": -0.105 * LAST}, [3]), ({"num_changed": np.array([9, 9, 8])}, [4]),
     ({"num_changed": np.full(3, 10)}, [4])],
)  # fmt: skip
def test_the_claims_hold_for_errors_of_first_order_and_fail_where_one_seed_has_others(changes, failing):
    found = list(avenues.claims(made_up(**changes), SMALLEST))
    assert [index for index, claim in enumerate(found) if not claim.holds] == failing


def test_the_finding_is_of_the_means_of_the_shares_and_the_medians_of_the_costs():
    shares = np.array([[0.1, 0.9], [0.5, 0.5], [0.4, 0.6]])[..., None] / 2 + 0.02 * SAME_MEAN[:, None, None, None]
    costs = np.array([[3.0, 2.0, 0.5], [3.0, 2.0, 0.6]]) + SAME_MEDIAN[:, None, None]
    result = made_up(shares=shares + np.zeros((3, 3, 2, 2)), costs=costs, num_changed=np.array([9, 8, 9]))
    said = avenues.finding(result, SMALLEST)
    assert "carries 90% of the improvement at the start and 60% after training, the first 10.0% and 40%" in said
    assert "ends at a cost of 0.500, the last layer first at 0.600 (medians); 8 of the 9 parameters" in said


def test_of_neurons_that_may_sleep_nothing_is_claimed():
    assert {claim.id for claim in avenues.claims(made_up(sigmoids=False), SMALLEST)} == {"C2", "C3"}


def test_the_first_costs_are_those_of_all_layers_at_once(ran):
    run, _ = ran("avenues")
    problem, (init_keys, keys) = posing.pose(run.settings), runs.seed_keys(run.settings.seed, run.settings.num_seeds)
    few = data.take(problem.train, slice(run.settings.num_looked_at))
    objective = gradients.mean_over_examples(problem.example_cost)
    step = layerwise.at_once(objective, run.settings.learning_rate, jnp.ones(2))
    look = lambda params: problem.cost(params, few)
    follow = jax.jit(partial(layer_descents.follow, run.settings, problem.train, look, step))
    _, costs = follow(problem.model.init(init_keys[0]), jax.random.split(keys[0])[0])
    np.testing.assert_allclose(run.result.costs[0, 0], costs, rtol=1e-5)
    assert not np.allclose(run.result.costs[0, 1], costs, rtol=1e-5)


def test_weights_of_pixels_that_are_black_everywhere_are_the_ones_that_do_not_change(ran, small_mnist):
    result = ran("avenues")[0].result
    black = (np.asarray(data.load(str(small_mnist)).inputs).max(axis=0) == 0).sum()
    assert result.num_expected == 2_395 - 3 * black < 2_395
    assert (result.num_changed == result.num_expected).all()
