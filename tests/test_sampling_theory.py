"""The three covariances: enumeration and drawing on points whose answers are known, and a run on a few real digits."""

import dataclasses
import itertools
import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from experiments import sampling_theory as experiment
from experiments.common.settings import SettingsError
from experiments.sampling_theory import NAME, Settings
from research import training

SMALL = Settings(num_seeds=2, num_examples=60, num_epochs=200)


def test_what_is_exact_holds_on_any_data(finished):
    claims = json.loads((finished / "run.json").read_text())["claims"]
    assert len(claims) == 11
    exact = [claim for claim in claims if "all cases" in claim["says"] or "average to G" in claim["says"]]
    in_errors = [claim for claim in claims if "standard errors" in claim["says"]]
    assert (len(exact), len(in_errors)) == (4, 3)
    assert [claim["says"] for claim in exact + in_errors if not claim["holds"]] == []


def test_it_leaves_a_figure(finished):
    assert [path.name for path in finished.glob("*.png")] == [f"{NAME}.png"]
    with np.load(finished / "arrays.npz") as arrays:
        assert arrays["sizes"].tolist() == [1, 3, 10, 30, 60]
        assert arrays["enumerated"].shape == (2, 3, 8)


def test_draws_at_once_are_draws_one_by_one():
    points = np.random.default_rng(0).normal(size=(5, 2))
    draws = np.array(list(itertools.product(range(5), repeat=3)))
    means = points[draws].mean(axis=1)
    np.testing.assert_allclose(experiment.every_draw(points, 3), means.T @ means / len(draws), rtol=1e-12)


def test_every_shuffle_is_every_pair_of_batches():
    points = np.random.default_rng(1).normal(size=(4, 2))
    own, both = experiment.every_shuffle(points, 2)
    pairs = [
        (points[[a, b]].mean(axis=0), points[[c, d]].mean(axis=0)) for a, b, c, d in itertools.permutations(range(4))
    ]
    np.testing.assert_allclose(own, np.mean([np.outer(one, one) for one, _ in pairs], axis=0), rtol=1e-12)
    np.testing.assert_allclose(both, np.mean([np.outer(one, other) for one, other in pairs], axis=0), rtol=1e-12)
    assert np.isnan(experiment.every_shuffle(points, 3)[1]).all()  # one batch and a rest


def test_a_wrong_theory_is_noticed():
    points = np.random.default_rng(2).normal(size=(8, 3))  # their mean is not 0, so these are no covariances
    _, errors = experiment.enumerated(points)
    assert np.nanmax(errors) > 0.01


def test_scatter_is_what_a_loop_finds():
    points = jax.random.normal(jax.random.key(0), (12, 3))
    points = points - points.mean(axis=0, keepdims=True)
    schedule = training.shuffled_schedule(jax.random.key(1), 12, 5, 4)
    found = experiment.scatter(points, schedule)
    trace = np.mean(np.sum(np.asarray(points) ** 2, axis=1))
    for epoch, batches in enumerate(np.asarray(schedule)):
        one, other = (np.asarray(points)[rows].mean(axis=0) for rows in batches)
        assert float(found.own[epoch]) == pytest.approx((one @ one + other @ other) / 2 / trace, rel=1e-5)
        assert float(found.both[epoch]) == pytest.approx(one @ other / trace, rel=1e-4, abs=1e-6)
        assert float(found.epoch[epoch]) == pytest.approx(((one + other) ** 2).sum() / 4 / trace, rel=1e-4, abs=1e-6)


def test_projections_have_no_mean():
    one = lambda params, example: jnp.vdot(params, example.inputs)  # noqa: E731
    examples = experiment.Examples(jax.random.normal(jax.random.key(2), (20, 6)), jnp.zeros((20, 1)))
    found = experiment.projected(one, jnp.zeros(6), examples, jax.random.key(3))
    assert found.shape == (20, experiment.DIRECTIONS)
    np.testing.assert_allclose(found.mean(axis=0), 0, atol=1e-6)
    assert np.linalg.matrix_rank(np.asarray(found), tol=1e-4) == 6


@pytest.mark.parametrize(("field", "value"), [("num_examples", 7), ("num_epochs", 1)])
def test_settings_out_of_range_are_refused(field, value):
    with pytest.raises(SettingsError, match=field.replace("_", "-")):
        dataclasses.replace(SMALL, **{field: value}).check()


def test_more_images_than_there_are_is_refused(small_mnist, tmp_path):
    with pytest.raises(SettingsError, match=r"--num-examples is 601; .* so give 8 up to 600"):
        experiment.run(dataclasses.replace(SMALL, dataset=str(small_mnist), num_examples=601, out=tmp_path))
