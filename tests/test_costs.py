"""The costs against formulas written out in numpy, finite differences and optax, and what each tells the neurons."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from research import costs

OUTPUT = jnp.array([0.5, 0.8, 0.2, 0.4])
TARGET = jnp.array([0.0, 0.0, 1.0, 0.0])
SUMS = np.array([0.3, -2.0, 1.5, 4.0])  # weighted sums of the last layer: z


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


def softmax(z):
    return np.exp(z) / np.exp(z).sum()


def of_probabilities(a, y):
    return -np.sum(y * np.log(a) + (1 - y) * np.log(1 - a))


def by_cases(errors, t):
    return sum(e**2 / 2 if abs(e) <= t else t * (abs(e) - t / 2) for e in errors)


HUBER = partial(costs.huber, threshold=0.7)
BY_HAND = {  # the cost, the same in numpy, and its gradient in what it is a function of
    "sum_of_squares": (costs.sum_of_squares, lambda z, y: np.sum((z - y) ** 2), lambda z, y: 2 * (z - y)),
    "sigmoid": (
        costs.sigmoid_cross_entropy,
        lambda z, y: of_probabilities(sigmoid(z), y),
        lambda z, y: sigmoid(z) - y,
    ),
    "softmax": (
        costs.softmax_cross_entropy,
        lambda z, y: -np.sum(y * np.log(softmax(z))),
        lambda z, y: softmax(z) - y,
    ),
    "absolute": (costs.absolute, lambda z, y: np.sum(np.abs(z - y)), lambda z, y: np.sign(z - y)),
    "huber": (HUBER, lambda z, y: by_cases(z - y, 0.7), lambda z, y: np.clip(z - y, -0.7, 0.7)),
}
each_cost = pytest.mark.parametrize(("cost_fn", "formula", "slope"), BY_HAND.values(), ids=BY_HAND)
PREDICTING = {"quadratic": (costs.sum_of_squares, 2), "huber": (costs.huber, 1)}  # and the factor of (a - y)


def test_sum_of_squares_has_no_half_and_no_mean():
    by_hand = 0.5**2 + 0.8**2 + (1 - 0.2) ** 2 + 0.4**2
    assert float(costs.sum_of_squares(OUTPUT, TARGET)) == pytest.approx(by_hand, rel=1e-6)


def test_sum_of_squares_is_twice_the_sum_of_optax_l2_loss():
    np.testing.assert_allclose(
        costs.sum_of_squares(OUTPUT, TARGET), 2 * jnp.sum(optax.losses.l2_loss(OUTPUT, TARGET)), rtol=1e-6
    )


def test_wishes_are_twice_the_distance_from_the_target():
    np.testing.assert_allclose(jax.grad(costs.sum_of_squares)(OUTPUT, TARGET), 2 * (OUTPUT - TARGET), rtol=1e-6)


def at_sums():
    """The weighted sums and their target in the precision of the test."""
    return jnp.asarray(SUMS, jnp.result_type(float)), jnp.asarray(TARGET, jnp.result_type(float))


@each_cost
def test_every_cost_is_its_formula_in_numpy(cost_fn, formula, slope, x64):
    assert float(cost_fn(*at_sums())) == pytest.approx(formula(SUMS, np.asarray(TARGET)), rel=1e-14)


@each_cost
def test_every_gradient_is_its_formula_float64(cost_fn, formula, slope, x64):
    np.testing.assert_allclose(jax.grad(cost_fn)(*at_sums()), slope(SUMS, np.asarray(TARGET)), atol=1e-12)


@each_cost
def test_every_gradient_is_its_formula_float32(cost_fn, formula, slope):
    np.testing.assert_allclose(jax.grad(cost_fn)(*at_sums()), slope(SUMS, np.asarray(TARGET)), atol=1e-6)


@each_cost
def test_every_gradient_equals_central_differences(cost_fn, formula, slope, x64):
    sums, target = at_sums()
    for index, found in enumerate(jax.grad(cost_fn)(sums, target)):
        step = 1e-6 * jnp.eye(4)[index]
        difference = (cost_fn(sums + step, target) - cost_fn(sums - step, target)) / 2e-6
        assert float(found) == pytest.approx(float(difference), abs=1e-8)


@pytest.mark.parametrize(("cost_fn", "factor"), PREDICTING.values(), ids=PREDICTING)
def test_behind_a_sigmoid_the_slope_of_the_sigmoid_stifles_the_nudge(cost_fn, factor, x64):
    sums, target = at_sums()
    delta = jax.grad(lambda z: cost_fn(jax.nn.sigmoid(z), target))(sums)
    a, y = sigmoid(SUMS), np.asarray(TARGET)
    np.testing.assert_allclose(delta, factor * (a - y) * a * (1 - a), rtol=1e-12)


def test_a_saturated_neuron_that_is_wrong_costs_what_it_should():
    far = jnp.array([200.0, -200.0])  # sigmoid and softmax are exactly 1 and 0 in float32
    for cost_fn, cost in ((costs.sigmoid_cross_entropy, 400.0), (costs.softmax_cross_entropy, 400.0)):
        found, delta = jax.value_and_grad(cost_fn)(far, jnp.array([0.0, 1.0]))
        assert float(found) == pytest.approx(cost)
        assert delta.tolist() == [1.0, -1.0]


def test_in_general_softmax_gives_delta_with_the_sum_of_the_target(x64):
    sums, target = at_sums()
    np.testing.assert_allclose(
        jax.grad(costs.softmax_cross_entropy)(sums, 3 * target), 3 * (softmax(SUMS) - np.asarray(TARGET)), atol=1e-12
    )


def test_huber_is_half_the_squares_where_no_error_exceeds_its_threshold():
    assert float(costs.huber(OUTPUT, TARGET)) == pytest.approx(float(costs.sum_of_squares(OUTPUT, TARGET)) / 2)


@each_cost
def test_order_of_the_outputs_does_not_matter(cost_fn, formula, slope):
    order = jnp.array([2, 0, 3, 1])
    sums, target = at_sums()
    np.testing.assert_allclose(cost_fn(sums[order], target[order]), cost_fn(sums, target), rtol=1e-6)


@pytest.mark.parametrize(
    "cost_fn",
    [costs.sum_of_squares, costs.sigmoid_cross_entropy, costs.softmax_cross_entropy, costs.absolute, costs.huber],
)
def test_outputs_and_targets_of_different_length_are_refused(cost_fn):
    unchecked = getattr(cost_fn, "__wrapped__", cost_fn)  # as it is outside the tests
    with pytest.raises(ValueError, match="they must be the same"):
        unchecked(OUTPUT, TARGET[:1])


@pytest.mark.parametrize("winner", range(4))
def test_is_correct_says_whether_the_largest_output_is_the_targets(winner):
    output = jnp.zeros(4).at[winner].set(0.1)
    assert bool(costs.is_correct(output, TARGET)) == (winner == 2)
