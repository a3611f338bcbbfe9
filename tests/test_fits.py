"""Small fits against what they must find."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from research import fits


@hypothesis_settings(max_examples=50, deadline=None)
@given(count=st.integers(1, 10_000), data=st.data())
def test_at_the_ends_of_wilsons_interval_the_share_is_z_standard_deviations_off(count, data):
    share = data.draw(st.integers(0, count)) / count
    low, high = fits.wilson_interval(share, count)
    assert -1e-12 <= low <= share + 1e-12
    assert share - 1e-12 <= high <= 1 + 1e-12
    for end in (float(low), float(high)):
        deviation = fits.Z * np.sqrt(max(end * (1 - end), 0) / count)
        assert abs(share - end) == pytest.approx(deviation, rel=1e-6, abs=1e-7)


def test_the_area_is_the_share_of_pairs_in_the_right_order():
    rng = np.random.default_rng(0)
    positive, negative = rng.integers(0, 9, 30) + 2.0, rng.integers(0, 9, 40) + 0.0  # with ties
    pairs = [(one > other) + 0.5 * (one == other) for one, other in itertools.product(positive, negative)]
    assert fits.auroc(positive, negative) == pytest.approx(np.mean(pairs), rel=1e-12)
    assert fits.auroc(negative, positive) == pytest.approx(1 - np.mean(pairs), rel=1e-12)


def test_the_exponent_is_found_whatever_the_factor_and_in_the_middle_of_scatter():
    x = np.geomspace(1, 1000, 7)
    assert fits.log_log_slope(x, 5 * x**-1.5) == pytest.approx(-1.5)
    assert fits.log_log_slope(x, x**2 * np.array([2, 1, 1, 1, 1, 1, 2])) == pytest.approx(
        2
    )  # symmetric about the middle


def test_a_power_law_is_recognised():
    sizes = np.array([10.0, 100.0, 1000.0])
    assert fits.power_law(sizes, 40 * sizes**-0.3) == pytest.approx((40, 0.3, 1))
