"""Two weights on a parabola, where all numbers are known; and Results on which the claims must hold, and must fail."""

import jax.numpy as jnp
import numpy as np
import pytest

from experiments.one_example import wiggle
from experiments.one_example.wiggle import EPSILONS, Result, Settings

SMALLEST = Settings(num_seeds=2, num_examples=100, num_weights=30)


def test_on_a_parabola_all_numbers_are_known(x64):
    slopes, curvatures = jnp.array([0.0, 3.2, 0.1, 5.0]), jnp.array([1.0, 2.0, 0.25, 1.0])
    here, is_weight = jnp.zeros(4), jnp.array([1.0, 1.0, 1.0, 0.0])  # the largest component is a bias's
    components, changes, error_slope = wiggle.two_weights(
        lambda p: slopes @ p + curvatures @ p**2 / 2, here, slopes, is_weight
    )
    np.testing.assert_array_equal(components, [3.2, 0.1])
    np.testing.assert_allclose(changes[:, 0], 3.2 * EPSILONS + EPSILONS**2, rtol=1e-12)
    assert float(error_slope) == pytest.approx(32 * abs(2 / 3.2 - 0.25 / 0.1) / 2)


def parabola(slopes=(3.2, 0.1), curvatures=(2.0, 0.25), disturbed=1.0):
    """What two seeds would find on a parabola; `disturbed` multiplies the first weight's changes."""
    (g, h), (k, m) = zip(slopes, curvatures, strict=True)
    changes = np.stack([disturbed * (g * EPSILONS + h * EPSILONS**2 / 2), k * EPSILONS + m * EPSILONS**2 / 2], axis=-1)
    drawn = np.array([[1.0, -2.0, 3.0]] * 2)
    return Result(
        components=np.array([slopes] * 2),
        changes=np.stack([changes] * 2),
        error_slope=np.full(2, abs(g / k * (h / g - m / k) / 2)),
        drawn_components=drawn,
        drawn_changes=drawn * disturbed ** np.array([0, 1, 2]),
    )


def test_the_claims_hold_on_a_parabola_and_fail_where_it_is_disturbed():
    assert [claim.says for claim in wiggle.claims(parabola(), SMALLEST) if not claim.holds] == []
    assert not any(claim.holds for claim in wiggle.claims(parabola(disturbed=1.5), SMALLEST))


def test_the_finding_names_the_ratio():
    assert "32.00 times apart" in wiggle.finding(parabola(), SMALLEST)
