"""batch_frontier: its smallest run; the laws of the race, and its claims, stand in test_race.py."""

import numpy as np
import pytest
from test_race import begin_by_hand, is_the_race_by_hand

from experiments.mini_batches import batch_frontier as experiment
from research import fits

SMALLEST = experiment.Settings(
    num_seeds=2, num_examples=64, batch_sizes=(8, 16, 32), learning_rates=(0.1, 0.2, 0.4, 0.8, 1.6), target=0.2,
    max_steps=256, layer_sizes=(784, 10),
)  # fmt: skip


def test_every_number_is_that_of_the_race_by_hand(ran):
    run, _ = ran("batch_frontier")
    is_the_race_by_hand(run.result, run.settings, *begin_by_hand(run.settings))


def test_the_hyperbola_is_the_one_that_scatter_was_added_to():
    sizes, rng = np.geomspace(1, 60_000, 9), np.random.default_rng(0)
    found = fits.hyperbola(sizes, 130 * (1 + 20 / sizes) * np.exp(rng.normal(size=9) * 0.01))
    assert found.least == pytest.approx(130, rel=0.02)
    assert found.critical == pytest.approx(20, rel=0.05)
    s, e = found.at(sizes), found.at(sizes) * sizes  # McCandlish's own form
    np.testing.assert_allclose((s / found.least - 1) * (e / (found.least * found.critical) - 1), 1, rtol=1e-6)
