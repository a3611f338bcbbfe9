"""Mini-batches against the full gradient, on few images: measured as numpy finds it from the gradients written out."""

import dataclasses
import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from conftest import make_examples, make_params
from jax.flatten_util import ravel_pytree

from experiments import minibatch_quality as experiment
from experiments.common import descents
from experiments.common.settings import SettingsError
from experiments.minibatch_quality import NAME, Settings
from research import costs, data, gradients, sampling, statistics
from research.models import mlp

SMALL = Settings(num_seeds=2, checkpoints=(0.5, 1))


def test_it_leaves_a_record_and_two_figures(finished):
    assert {path.name for path in finished.glob("*.png")} == {f"{NAME}.png", "noise_scale.png"}
    record = json.loads((finished / "run.json").read_text())
    assert record["claims"] == []  # too few images, and not the film's
    with np.load(finished / "arrays.npz") as arrays:
        np.testing.assert_allclose(arrays["epochs"], [0, 0.5, 1])
        assert arrays["sizes"].tolist() == [1, 2, 5, 10, 20, 50, 100, 200]
        assert arrays["cosine"].shape == (2, 3, 8)
        assert (np.diff(arrays["cosine"].mean(axis=(0, 1))) > 0).all()  # a larger batch points better


def test_on_few_images_the_scatter_is_what_sampling_theory_says(finished):
    with np.load(finished / "arrays.npz") as arrays:
        sizes, scale = arrays["sizes"], arrays["noise_scale"][..., None]
        predicted = scale / sizes * (600 - sizes) / 599
        single = sizes == 1  # every image once: no sampling, so exact
        np.testing.assert_allclose(arrays["squared_error"][..., single], predicted[..., single], rtol=1e-4)
        np.testing.assert_allclose(arrays["squared_error"].mean(axis=(0, 1)), predicted.mean(axis=(0, 1)), rtol=0.4)


def test_what_is_measured_is_what_numpy_finds(x64):
    examples, params = make_examples(jax.random.key(0), 300), make_params(jax.random.key(1), (12, 4))
    problem = descents.make_problem(mlp((12, 4)), costs.sum_of_squares, examples, examples)
    factors = statistics.layer_factors(costs.sum_of_squares, jax.nn.sigmoid, jax.nn.sigmoid)
    moments = statistics.layer_moments(factors)
    found = jax.jit(lambda p, e, k: experiment.quality(problem, moments, p, e, k))(params, examples, jax.random.key(2))
    nudges = jax.jit(gradients.per_example_gradients(problem.example_cost))(params, examples)
    gs = np.asarray(jax.vmap(lambda tree: ravel_pytree(tree)[0])(nudges))
    full = gs.mean(axis=0)
    squared = (full**2).sum()
    assert float(found.trace) == pytest.approx(gs.var(axis=0).sum(), rel=1e-10)
    assert float(found.squared_norm) == pytest.approx(squared, rel=1e-10)
    assert float(found.mean_error) < 1e-12
    cosines = gs @ full / np.linalg.norm(gs, axis=1) / np.sqrt(squared)
    assert float(found.batches.cosine[0]) == pytest.approx(cosines.mean(), rel=1e-10)
    assert float(found.batches.squared_error[0]) == pytest.approx(gs.var(axis=0).sum() / squared, rel=1e-10)
    order = np.asarray(jax.random.permutation(jax.random.split(jax.random.key(2))[0], 300)).reshape(3, 100)
    blocks = gs[order].mean(axis=1)
    hundred = experiment.batch_sizes(300).index(100)
    errors = ((blocks - full) ** 2).sum(axis=1)
    assert float(found.batches.squared_error[hundred]) == pytest.approx(errors.mean() / squared, rel=1e-9)
    cosines = blocks @ full / np.linalg.norm(blocks, axis=1) / np.sqrt(squared)
    assert float(found.batches.cosine[hundred]) == pytest.approx(cosines.mean(), rel=1e-10)
    assert float(found.trace_from_batches) == pytest.approx(100 * 299 / 200 * errors.mean(), rel=1e-9)


def test_batches_of_several_blocks_scatter_as_drawn_without_replacement(x64):
    apart = jax.random.normal(jax.random.key(3), (40, 30))
    apart = apart - apart.mean(axis=0, keepdims=True)
    full = jnp.ones(30)
    found = jax.jit(experiment.large_batches)(apart, full, jax.random.key(4))
    each = float(jnp.mean(jnp.sum(apart**2, axis=1))) / 30
    for times, batches in zip((1, 2, 5, 10, 20), found, strict=True):
        wanted = each / times * sampling.finite_population(times, 40)
        assert float(batches.squared_error) == pytest.approx(wanted, rel=0.05)  # 1,000 draws
        assert float(batches.squared_norm) == pytest.approx(30 * (1 + wanted), rel=0.02)


def test_the_end_of_pretty_good():
    epochs = np.array([0.0, 1.0, 3.0])
    assert experiment.over_at(epochs, np.array([0.99, 0.95, 0.91])) == np.inf
    assert experiment.over_at(epochs, np.array([0.8, 0.7, 0.6])) == 0.0
    assert experiment.over_at(epochs, np.array([0.8, 1.0, 0.8])) == 2.0


@pytest.mark.parametrize("checkpoints", [(), (1.0, 0.5), (1.0, 1.0), (0.0, 1.0), (float("nan"),)])
def test_impossible_checkpoints_are_refused(checkpoints):
    with pytest.raises(SettingsError, match="--checkpoints"):
        dataclasses.replace(SMALL, checkpoints=checkpoints).check()


def test_too_few_images_are_refused(small_mnist, tmp_path, monkeypatch):
    load = data.load
    monkeypatch.setattr(data, "load", lambda *args, **kw: jax.tree.map(lambda leaf: leaf[:399], load(*args, **kw)))
    with pytest.raises(SettingsError, match="has 399 training images; 400 or more are needed"):
        experiment.run(dataclasses.replace(SMALL, dataset=str(small_mnist), out=tmp_path))
