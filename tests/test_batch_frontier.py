"""batch_frontier: its smallest run; the laws of the race, and its claims, stand in test_race.py."""

import numpy as np
import pytest

from experiments.mini_batches import batch_frontier as experiment
from research import fits

SMALLEST = experiment.Settings(
    num_seeds=2, batch_sizes=(2, 8, 32), learning_rates=(1.0, 4.0, 16.0), target=0.85, max_steps=600
)


def test_the_hyperbola_is_the_one_that_scatter_was_added_to():
    sizes, rng = np.geomspace(1, 60_000, 9), np.random.default_rng(0)
    found = fits.hyperbola(sizes, 130 * (1 + 20 / sizes) * np.exp(rng.normal(size=9) * 0.01))
    assert found.least == pytest.approx(130, rel=0.02)
    assert found.critical == pytest.approx(20, rel=0.05)
    s, e = found.at(sizes), found.at(sizes) * sizes  # McCandlish's own form
    np.testing.assert_allclose((s / found.least - 1) * (e / (found.least * found.critical) - 1), 1, rtol=1e-6)
