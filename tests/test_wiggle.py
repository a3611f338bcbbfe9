"""The wiggles on a few real digits: everything there is theory, so all of it holds on any data."""

import dataclasses
import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from experiments.wiggle import EPSILONS, NAME, Settings

from experiments import wiggle
from experiments.common.settings import SettingsError

SMALL = Settings(num_seeds=2, num_examples=100, num_weights=30, num_directions=500)


@pytest.fixture(scope="module")
def finished(small_mnist, tmp_path_factory):
    out = tmp_path_factory.mktemp("results")
    wiggle.run(dataclasses.replace(SMALL, dataset=str(small_mnist), out=out))
    wiggle.plot(out)
    return out / NAME


def test_all_claims_hold_on_any_data(finished):
    claims = json.loads((finished / "run.json").read_text())["claims"]
    assert {claim["id"] for claim in claims} == {"T6", "T8", "T9", "T10", "T37"}
    assert [claim["says"] for claim in claims if not claim["holds"]] == []


def test_it_leaves_two_figures(finished):
    assert {path.name for path in finished.glob("*.png")} == {"wiggle.png", "directions.png"}


def test_on_a_parabola_all_numbers_are_known(x64):
    slopes, curvatures = jnp.array([0.0, 3.2, 0.1, 5.0]), jnp.array([1.0, 2.0, 0.25, 1.0])
    here, is_weight = jnp.zeros(4), jnp.array([1.0, 1.0, 1.0, 0.0])  # the largest component is a bias's
    found = wiggle.two_weights(lambda p: slopes @ p + curvatures @ p**2 / 2, here, slopes, is_weight)
    np.testing.assert_array_equal(found.components, [3.2, 0.1])
    np.testing.assert_allclose(found.changes[:, 0], 3.2 * EPSILONS + EPSILONS**2, rtol=1e-12)
    assert float(found.error_slope) == pytest.approx(32 * abs(2 / 3.2 - 0.25 / 0.1) / 2)


def test_on_a_slope_the_steepest_way_is_the_gradient_and_the_signs_lose_what_the_sizes_say(x64):
    slopes = jnp.array([3.0, -4.0, *[0.0] * 98])
    found = wiggle.directions(lambda p: slopes @ p, jnp.zeros(100), slopes, jax.random.key(0), 500)
    np.testing.assert_allclose(found.first_order[:3], [1, 7 / (5 * np.sqrt(2)), 4 / 5])
    np.testing.assert_allclose(found.actual, wiggle.STEP_LENGTH * 5 * found.first_order, rtol=1e-9)
    assert float(found.first_order[3]) == pytest.approx(float(found.random.max()), rel=1e-5)


def test_bounds_for_the_best_random_direction_are_those_of_drawn_ones():
    low, high = wiggle.best_of_random(500, 400)
    drawn = np.random.default_rng(0).normal(size=(300, 500)).max(axis=1) / np.sqrt(400)
    assert np.mean((low < drawn) & (drawn < high)) > 0.98


def test_more_images_than_there_are_is_refused(small_mnist, tmp_path):
    with pytest.raises(SettingsError, match=r"--num-examples is 601; .* has 600 training images, so give 1 up to 600"):
        wiggle.run(dataclasses.replace(SMALL, dataset=str(small_mnist), num_examples=601, out=tmp_path))


def test_a_number_of_directions_that_fills_no_block_is_refused():
    with pytest.raises(SettingsError, match="--num-directions is 700; it must be a multiple of 500"):
        dataclasses.replace(SMALL, num_directions=700).check()
