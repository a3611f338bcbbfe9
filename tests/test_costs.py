"""The costs against formulas written out and against optax."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import plain
import pytest

from research import costs

OUTPUT = jnp.array([0.5, 0.8, 0.2, 0.4])
TARGET = jnp.array([0.0, 0.0, 1.0, 0.0])


def test_sum_of_squares_has_no_half_and_no_mean():
    by_hand = 0.5**2 + 0.8**2 + (1 - 0.2) ** 2 + 0.4**2
    assert float(costs.sum_of_squares(OUTPUT, TARGET)) == pytest.approx(by_hand, rel=1e-6)


def test_sum_of_squares_is_twice_the_sum_of_optax_l2_loss():
    np.testing.assert_allclose(
        costs.sum_of_squares(OUTPUT, TARGET), 2 * jnp.sum(optax.losses.l2_loss(OUTPUT, TARGET)), rtol=1e-6
    )


def test_wishes_are_twice_the_distance_from_the_target():
    np.testing.assert_allclose(jax.grad(costs.sum_of_squares)(OUTPUT, TARGET), 2 * (OUTPUT - TARGET), rtol=1e-6)


LOGITS = np.array([-40.0, -1.3, 0.2, 2.5, 40.0])
ANSWERS = np.array([0.0, 0.0, 1.0, 0.0, 0.0])
SQUASHED = plain.sigmoid(LOGITS)
SHARES = np.exp(LOGITS - 40) / np.exp(LOGITS - 40).sum()


@pytest.mark.parametrize(
    ("cost_fn", "activations"), [(costs.sigmoid_cross_entropy, SQUASHED), (costs.softmax_cross_entropy, SHARES)]
)
def test_delta_of_cross_entropy_is_activation_minus_target_however_sure_the_output(x64, cost_fn, activations):
    slopes = jax.jit(jax.grad(cost_fn))
    np.testing.assert_allclose(slopes(jnp.asarray(LOGITS), jnp.asarray(ANSWERS)), activations - ANSWERS, atol=1e-12)
    in_float32 = slopes(jnp.asarray(LOGITS, jnp.float32), jnp.asarray(ANSWERS, jnp.float32))
    np.testing.assert_allclose(in_float32, activations - ANSWERS, atol=1e-6)


def test_delta_of_squares_behind_a_sigmoid_carries_its_slope(x64):
    slopes = jax.grad(lambda z, y: costs.sum_of_squares(jax.nn.sigmoid(z), y))(
        jnp.asarray(LOGITS), jnp.asarray(ANSWERS)
    )
    expected = 2 * (SQUASHED - ANSWERS) * SQUASHED * (1 - SQUASHED)
    np.testing.assert_allclose(slopes, expected, atol=1e-12)


def test_cross_entropies_are_their_formulas(x64):
    z, y = LOGITS[1:4], ANSWERS[1:4]
    a, shares = plain.sigmoid(z), np.exp(z) / np.exp(z).sum()
    squashed = -np.sum(y * np.log(a) + (1 - y) * np.log(1 - a))
    assert float(costs.sigmoid_cross_entropy(jnp.asarray(z), jnp.asarray(y))) == pytest.approx(squashed, rel=1e-12)
    shared = -np.sum(y * np.log(shares))
    assert float(costs.softmax_cross_entropy(jnp.asarray(z), jnp.asarray(y))) == pytest.approx(shared, rel=1e-12)


def test_absolute_pulls_equally_hard_from_everywhere():
    assert float(costs.absolute(OUTPUT, TARGET)) == pytest.approx(0.5 + 0.8 + 0.8 + 0.4)
    np.testing.assert_array_equal(jax.grad(costs.absolute)(OUTPUT, TARGET), [1, 1, -1, 1])


@pytest.mark.parametrize("delta", [0.3, 0.6])
def test_huber_pulls_by_the_difference_up_to_delta(delta):
    differences = np.asarray(OUTPUT - TARGET)
    size = np.abs(differences)
    by_hand = np.where(size <= delta, size**2 / 2, delta * (size - delta / 2)).sum()
    assert float(costs.huber(OUTPUT, TARGET, delta)) == pytest.approx(by_hand, rel=1e-6)
    pulls = jax.grad(costs.huber)(OUTPUT, TARGET, delta)
    np.testing.assert_allclose(pulls, np.clip(differences, -delta, delta), rtol=1e-6)


COSTS = (
    costs.sum_of_squares, costs.sigmoid_cross_entropy, costs.softmax_cross_entropy, costs.absolute, costs.huber
)  # fmt: skip


@pytest.mark.parametrize("cost_fn", COSTS)
def test_every_slope_is_the_central_difference(x64, cost_fn):
    output, target = np.array([0.5, 0.83, 0.2, 0.4]), np.array([0.0, 0.0, 1.0, 0.0])
    values, eps = jax.jit(jax.vmap(cost_fn, (0, None))), 1e-6
    moved = jnp.asarray(output + eps * np.concatenate([np.eye(4), -np.eye(4)]))
    ups, downs = np.split(np.asarray(values(moved, jnp.asarray(target))), 2)
    slopes = jax.grad(cost_fn)(jnp.asarray(output), jnp.asarray(target))
    np.testing.assert_allclose(slopes, (ups - downs) / (2 * eps), rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize("cost_fn", COSTS)
def test_order_of_the_outputs_does_not_matter(cost_fn):
    order = jnp.array([2, 0, 3, 1])
    np.testing.assert_allclose(cost_fn(OUTPUT[order], TARGET[order]), cost_fn(OUTPUT, TARGET), rtol=1e-6)


@pytest.mark.parametrize("cost_fn", [*COSTS, costs.is_correct])
def test_outputs_and_targets_of_different_length_are_refused(cost_fn):
    unchecked = getattr(cost_fn, "__wrapped__", cost_fn)  # as it is outside the tests
    with pytest.raises(ValueError, match="they must be the same"):
        unchecked(OUTPUT, TARGET[:1])


@pytest.mark.parametrize("winner", range(4))
def test_is_correct_says_whether_the_largest_output_is_the_targets(winner):
    output = jnp.zeros(4).at[winner].set(0.1)
    assert bool(costs.is_correct(output, TARGET)) == (winner == 2)
