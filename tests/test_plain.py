"""The plain network that runs are held against: its slopes by moving every parameter both ways, and the random
numbers with which they begin."""

import types

import jax
import numpy as np
import plain
import pytest
import threefry

from experiments.common import descents, runs
from research import training
from research.data import Examples
from research.models import Layer, mlp, unit_normal


def test_the_gradient_is_the_differences():
    rng = np.random.default_rng(0)
    params = [Layer(rng.normal(size=(3, 5)), rng.normal(size=3)), Layer(rng.normal(size=(2, 3)), rng.normal(size=2))]
    examples = Examples(rng.integers(256, size=(4, 5), dtype=np.uint8), np.eye(2)[[0, 1, 1, 0]])
    slopes = []
    for part in (part for layer in params for part in layer):
        for place in np.ndindex(part.shape):
            at, found = part[place], []
            for part[place] in (at + 1e-5, at - 1e-5):
                found.append(plain.costs(params, examples))
            part[place] = at
            slopes.append((found[0] - found[1]) / 2e-5)
    np.testing.assert_allclose(plain.flat(plain.gradients(params, examples), leading=1).T, slopes, atol=1e-9)
    np.testing.assert_allclose(plain.flat(plain.gradient(params, examples)), np.mean(slopes, axis=1), atol=1e-9)
    np.testing.assert_allclose(plain.products(params, examples), np.transpose(slopes) @ slopes, atol=1e-9)
    np.testing.assert_allclose(plain.scatter(params, examples), np.var(slopes, axis=1).sum(), rtol=1e-8)
    moved = plain.descend(params, examples, [[0, 1, 2, 3]], rate=0.5)[1]
    np.testing.assert_allclose(plain.flat(moved), plain.flat(params) - 0.5 * np.mean(slopes, axis=1), atol=1e-9)
    at, step = plain.flat(params), 1e-5
    ends = [[plain.gradient(plain.unflat(at + to * way, params), examples) for to in (step, -step)]
            for way in np.eye(len(at))]  # fmt: skip
    hessian = [np.subtract(*map(plain.flat, pair)) / (2 * step) for pair in ends]
    extremes = np.linalg.eigvalsh(np.add(hessian, np.transpose(hessian)) / 2)[[0, -1]]
    np.testing.assert_allclose(plain.spectrum(params, examples, 15)[[0, -1]], extremes, rtol=1e-4)


def test_the_sharpness_without_a_hidden_layer_is_that_of_the_whole_spectrum():
    rng = np.random.default_rng(1)
    params, inputs = [Layer(rng.normal(size=(3, 4)), rng.normal(size=3))], rng.random((6, 4))
    examples = Examples(inputs, np.eye(3)[rng.integers(3, size=6)])
    largest = plain.spectrum(params, examples, 15)[-1]
    assert plain.sharpness(params, examples) == pytest.approx(largest, rel=1e-5)


def test_the_rate_falls_as_the_house_lets_it():
    wanted = [float(descents.falling(0.3, 8)(step)) for step in range(8)]
    np.testing.assert_allclose(plain.falling(0.3, 8), wanted, rtol=1e-6)


@jax.jit
def drawn_by_jax():
    init_keys, shuffle_keys = runs.seed_keys(3, 2)
    other, normal = jax.random.fold_in(init_keys[1], 7), unit_normal
    orders = jax.vmap(lambda key: training.shuffled_order(key, 2000, 3))(shuffle_keys)  # sorted twice
    starts = mlp((20, 5, 3)).init(init_keys[0]), mlp((20, 3), init_weights=normal, init_biases=normal).init(other)
    return orders, starts


def test_what_a_run_begins_with_is_what_jax_draws():
    orders, starts = jax.device_get(drawn_by_jax())
    settings = types.SimpleNamespace(seed=3, num_seeds=2)
    np.testing.assert_array_equal(plain.shuffles(settings, 2000, 3), orders)
    ours, _ = plain.starts_and_keys(3, 2, (20, 5, 3))
    other = threefry.fold_in(threefry.seed_keys(3, 2)[1][0], 7)
    for found, wanted in zip((ours[0], plain.start(other, (20, 3), lambda _: 1, biases=1)), starts, strict=True):
        np.testing.assert_allclose(plain.flat(found), plain.flat(wanted), atol=2e-6)
