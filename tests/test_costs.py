"""The costs against formulas written out and against optax."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
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


def test_order_of_the_outputs_does_not_matter():
    order = jnp.array([2, 0, 3, 1])
    np.testing.assert_allclose(
        costs.sum_of_squares(OUTPUT[order], TARGET[order]), costs.sum_of_squares(OUTPUT, TARGET), rtol=1e-6
    )


def test_outputs_and_targets_of_different_length_are_refused():
    unchecked = getattr(costs.sum_of_squares, "__wrapped__", costs.sum_of_squares)  # as it is outside the tests
    with pytest.raises(ValueError, match="they must be the same"):
        unchecked(OUTPUT, TARGET[:1])


@pytest.mark.parametrize("winner", range(4))
def test_is_correct_says_whether_the_largest_output_is_the_targets(winner):
    output = jnp.zeros(4).at[winner].set(0.1)
    assert bool(costs.is_correct(output, TARGET)) == (winner == 2)
