"""The frontier: steps to a target against a loop by hand, the hyperbola, and a run on a few digits."""

import dataclasses
import json
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from test_average_of_nudges import small_digits

from experiments import batch_frontier as experiment
from experiments.common import descents
from experiments.common.settings import SettingsError
from research import gradients
from research.data import Examples

SMALL = dataclasses.replace(
    experiment.QUICK, num_examples=120, batch_sizes=(2, 8, 32), learning_rates=(1.0, 4.0, 16.0), target=0.6,
    max_steps=600,
)  # fmt: skip


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    out = tmp_path_factory.mktemp("results")
    settings = dataclasses.replace(SMALL, dataset=str(small_digits(out / "digits")), out=out)
    experiment.run(settings)
    experiment.plot(out)
    return out / experiment.NAME


def parabola(theta, example):
    return (theta - example.inputs[0]) ** 2 / 2


@pytest.mark.parametrize("batch_size", [2, 8])  # of eight examples: the second is everything
def test_the_race_counts_the_steps_that_a_loop_by_hand_makes(x64, batch_size):
    rng = np.random.default_rng(0)
    x, target, rates, cap = rng.normal(size=8), 0.7, (0.3, 0.1, 0.02), 60
    train = Examples(jnp.asarray(x)[:, None], jnp.zeros((8, 1)))
    problem = descents.Problem(None, parabola, gradients.mean_over_examples(parabola), None, train, train)
    settings = dataclasses.replace(SMALL, num_examples=8, target=target)
    rows = rng.integers(0, 8, (20, 3, batch_size))  # a look every three steps; after every one with all examples
    race = jax.jit(partial(experiment.race, settings, problem, batch_size))
    found = race(jnp.asarray(3.0), jnp.asarray(rows), train, jnp.asarray(rates), cap)
    best, expected = cap, []
    for rate in rates:
        theta, steps, patience = 3.0, 0, min(cap, best + best // 2)
        while np.mean((theta - x) ** 2) / 2 > target or steps == 0:
            if steps >= patience:
                steps = patience
                break
            batches = [np.arange(8)] if batch_size == 8 else rows[steps // 3]
            for batch in batches:
                theta -= rate * (theta - x[batch].mean())
            steps += len(batches)
        expected.append(min(steps, patience))
        best = min(best, expected[-1])
    assert found.tolist() == expected
    assert expected[0] < expected[1] < cap


def test_the_hyperbola_is_the_one_that_scatter_was_added_to():
    sizes, rng = np.geomspace(1, 60_000, 9), np.random.default_rng(0)
    found = experiment.fit_hyperbola(sizes, 130 * (1 + 20 / sizes) * np.exp(rng.normal(size=9) * 0.01))
    assert found.least_steps == pytest.approx(130, rel=0.02)
    assert found.critical == pytest.approx(20, rel=0.05)
    s, e = found.steps(sizes), found.steps(sizes) * sizes  # McCandlish's own form
    product = (s / found.least_steps - 1) * (e / (found.least_steps * found.critical) - 1)
    np.testing.assert_allclose(product, 1, rtol=1e-6)


def test_sizes_that_do_not_come_down_are_left_out_and_too_few_are_an_error():
    steps = np.array([[90.0, 80.0], [np.nan, 40.0], [30.0, 20.0], [20.0, 20.0], [20.0, 22.0]])
    frontier = experiment.Frontier(np.array([1, 2, 4, 8, 16]), steps, np.ones(5), np.ones((5, 3)))
    sizes, middle = experiment.medians(frontier)
    assert (sizes.tolist(), middle.tolist()) == ([1, 4, 8, 16], [85, 25, 20, 21])
    with pytest.raises(SettingsError, match=r"too few .* from every start \(1, 4, 8: 3, more than 3 are needed\)"):
        experiment.medians(jax.tree.map(lambda leaf: leaf[:4], frontier))


def test_a_target_that_all_reach_at_the_first_look_is_too_high():
    frontier = experiment.Frontier(
        np.array([4, 32, 512, 600]), np.array([[64.0], [8], [1], [5]]), np.ones(4), np.ones((4, 3))
    )
    with pytest.raises(
        SettingsError, match=r"--target is 0.6, to which .* at the first look, .* give a lower --target"
    ):
        experiment.require_several_looks(SMALL, frontier)
    experiment.require_several_looks(SMALL, frontier._replace(steps=np.array([[128.0], [8], [1], [5]])))


def test_looks_are_the_batches_in_their_order():
    settings = dataclasses.replace(SMALL, max_steps=1000)
    order = np.random.default_rng(0).permuted(np.tile(np.arange(120), (2, 70, 1)), axis=-1)
    looks = experiment.looks_of(settings, order, 8)
    assert looks.shape == (2, 31, 32, 8)  # 31 looks of 32 steps, 256 examples: 992 of at most 1000 steps
    np.testing.assert_array_equal(looks[1].reshape(-1, 8)[:15], order[1, 0].reshape(15, 8))


def test_a_run_makes_no_claim_about_other_data_and_counts_within_what_was_allowed(finished):
    record = json.loads((finished / "run.json").read_text())
    assert record["claims"] == []
    with np.load(finished / "arrays.npz") as arrays:
        assert arrays["from_the_start_sizes"].tolist() == [2, 8, 32, 120]
        assert arrays["from_the_start_steps"].shape == (4, 1)
        assert arrays["from_the_start_noise"].shape == (1, experiment.POINTS + 1)
        assert set(arrays["from_the_start_rates"].tolist()) <= set(SMALL.learning_rates)
    assert (finished / "batch_frontier.png").exists()
    assert not (finished / "past_the_plateau.png").exists()


def test_full_batch_descent_stops_at_the_first_step_at_which_the_cost_is_low_enough(x64, monkeypatch):
    monkeypatch.setattr(experiment, "PAST_RATE", 0.5)
    train = Examples(jnp.array([[0.0], [2.0]]), jnp.zeros((2, 1)))
    problem = descents.Problem(None, parabola, gradients.mean_over_examples(parabola), None, train, train)
    settings = dataclasses.replace(SMALL, past=0.75)
    found = experiment.past_the_plateau(settings, problem, jnp.array([5.0, 1.2]))
    # the cost is ((theta - 1)^2 + 1) / 2, and each step halves theta - 1: 4, 2, 1, 0.5
    np.testing.assert_allclose(found, [1.5, 1.2])


@pytest.mark.parametrize(
    ("field", "value"),
    [("batch_sizes", (8, 4, 2)), ("batch_sizes", (2, 8, 120)), ("learning_rates", (1.0, 2.0)), ("target", 0.0),
     ("max_steps", 0), ("past", 0.5)],
)  # fmt: skip
def test_settings_out_of_range_are_refused(tmp_path, field, value):
    with pytest.raises(SettingsError, match=field.replace("_", "-")):
        dataclasses.replace(SMALL, out=tmp_path, **{field: value}).check()
