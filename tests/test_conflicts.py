"""Who agrees with whom, on a few real digits and on made-up gradients."""

import dataclasses
import json

import jax
import numpy as np
import pytest
from conftest import make_examples, make_params
from test_statistics import rows

from experiments import conflicts as experiment
from experiments.common import checkpoints, descents, runs
from experiments.common.settings import SettingsError
from experiments.conflicts import Settings
from research import costs, statistics
from research.agreement import Opponents
from research.models import mlp

SMALL = Settings(num_seeds=2, checkpoints=(1,), num_images=30)


def test_between_and_within_are_the_total_on_any_data(finished):
    claims = json.loads((finished / "run.json").read_text())["claims"]
    assert [claim["holds"] for claim in claims] == [True, True]  # the others are about the film's network and data


def test_it_leaves_three_figures(finished):
    assert {path.name for path in finished.glob("*.png")} == {"conflicts.png", "agreement.png", "pairs.png"}
    with np.load(finished / "arrays.npz") as arrays:
        assert arrays["cosines"].shape == (2, 2, 10, 10)
        assert arrays["pair_images_1"].shape[1:] == (2, 28, 28, 1)
        assert (np.diff(arrays["pair_cosines_1"]) >= 0).all()


@pytest.mark.parametrize("by_layers", [False, True])
def test_mean_cosines_are_those_of_all_pairs_both_ways(by_layers, x64):
    params, examples = make_params(jax.random.key(0)), make_examples(jax.random.key(1), 23)
    problem = descents.make_problem(mlp((12, 5, 6, 4)), costs.sum_of_squares, examples, examples)
    factors = statistics.layer_factors(costs.sum_of_squares, jax.nn.sigmoid, jax.nn.sigmoid) if by_layers else None
    way = experiment.ways(problem, factors)
    look = jax.jit(lambda params, train: experiment.look(way, params, train))
    found = look(params, examples)
    saturated = jax.tree.map(lambda leaf: 1e30 * leaf, params)
    assert not np.isfinite(look(saturated, examples).coherence)  # for which checkpoints.stop_if_stuck looks
    gs, labels = rows(params, examples), np.asarray(examples.targets).argmax(axis=1)
    units = gs / np.linalg.norm(gs, axis=1, keepdims=True)
    cosines, alike = units @ units.T, labels[:, None] == labels
    assert float(found.different) == pytest.approx(cosines[~alike].mean(), rel=1e-10)
    assert float(found.same) == pytest.approx(cosines[alike & ~np.eye(23, dtype=bool)].mean(), rel=1e-10)
    np.testing.assert_allclose(jax.jit(way.products)(params, examples, examples), gs @ gs.T, rtol=1e-9, atol=1e-12)
    assert float(found.trace) == pytest.approx(gs.var(axis=0).sum(), rel=1e-9)
    assert float(found.coherence) == pytest.approx(23 * (gs.mean(axis=0) ** 2).sum() / (gs**2).sum(axis=1).mean())


def test_no_image_comes_twice_in_the_strongest_pairs():
    found = Opponents(np.array([-0.5, -0.9, -0.8, -0.9, -0.1]), np.array([4, 3, 1, 1, 0]))
    assert experiment.strongest_pairs(found, 3) == [(1, 3, -0.9), (0, 4, -0.5)]
    assert experiment.strongest_pairs(found, 1) == [(1, 3, -0.9)]


@pytest.mark.parametrize(
    ("field", "value"), [("checkpoints", ()), ("checkpoints", (2.0, 1.0)), ("num_images", 1), ("learning_rate", 0.0)]
)
def test_settings_out_of_range_are_refused(field, value):
    with pytest.raises(SettingsError, match=field.replace("_", "-")):
        dataclasses.replace(SMALL, **{field: value}).check()


def test_more_images_than_there_are_is_refused():
    with pytest.raises(SettingsError, match=r"--num-images is 601; .* so give 2 up to 600"):
        experiment.check_images(dataclasses.replace(SMALL, num_images=601), make_examples(jax.random.key(0), 600))
    with pytest.raises(SettingsError, match="has 99 training images; 100 or more"):
        experiment.check_images(SMALL, make_examples(jax.random.key(0), 99))


def test_where_no_gradient_is_left_one_sentence_says_so():
    epochs, fine = np.array([0.0, 0.5, 2.0]), np.ones((2, 3))
    assert checkpoints.stop_if_stuck(epochs, fine) is None
    with pytest.raises(
        runs.Diverged, match=r"no example has a gradient after 0.5 epochs of training, .* lower the learning rate"
    ):
        checkpoints.stop_if_stuck(epochs, np.where(np.arange(3) > 0, np.array([[1.0], [np.nan]]), fine))
