"""Dot products between examples and between classes, against numpy on the gradients written out."""

import jax
import jax.numpy as jnp
import numpy as np
import plain
import pytest
from test_statistics import FACTORS, NUM, ONE, data, rows

from research import agreement, statistics
from research.data import Examples

INPUT = lambda params, example: jnp.vdot(params, example.inputs)  # its gradient is the input


@pytest.mark.parametrize("way", [agreement.dot_products(ONE), agreement.layer_dot_products(FACTORS)])
def test_dot_products_are_those_of_the_gradients(way, x64):
    params, examples = data()
    gs = rows(params, examples)
    few = jax.tree.map(lambda leaf: leaf[:4], examples)
    np.testing.assert_allclose(jax.jit(way)(params, few, examples), gs[:4] @ gs.T, rtol=1e-11)


def test_the_two_ways_to_dot_products_agree_in_float32():
    params, examples = data()
    ways = (agreement.dot_products(ONE), agreement.layer_dot_products(FACTORS))
    assert plain.relative_distance(*(jax.jit(way)(params, examples, examples) for way in ways)) < 1e-5


def in_numpy(gs, labels, num_classes):
    """Mean cosine of pairs, loop over loop; the variance within and between classes from its definition."""
    units = gs / np.linalg.norm(gs, axis=1, keepdims=True)
    cosines = np.zeros((num_classes, num_classes))
    for a in range(num_classes):
        for b in range(num_classes):
            pairs = [units[i] @ units[j] for i in np.flatnonzero(labels == a) for j in np.flatnonzero(labels == b)
                     if i != j]  # fmt: skip
            cosines[a, b] = np.mean(pairs)
    means = np.stack([gs[labels == label].mean(axis=0) for label in range(num_classes)])
    within = np.mean([((g - means[label]) ** 2).sum() for g, label in zip(gs, labels, strict=True)])
    between = np.mean([((means[label] - gs.mean(axis=0)) ** 2).sum() for label in labels])
    return means @ means.T, cosines, between, within


@pytest.mark.parametrize("sums", [statistics.weighted_sums(ONE, 10), statistics.layer_weighted_sums(FACTORS, 10)])
def test_class_agreement_is_what_loops_over_pairs_find(sums, x64):
    params, examples = data()
    gs = rows(params, examples)
    found = jax.jit(agreement.class_agreement(sums))(params, examples, jnp.array((gs**2).sum(axis=1)))
    for part, wanted in zip(found, in_numpy(gs, np.argmax(examples.targets, axis=1), 4), strict=True):
        np.testing.assert_allclose(part, wanted, rtol=1e-10)
    assert float(found.between + found.within) == pytest.approx(gs.var(axis=0).sum(), rel=1e-12)


def test_classes_of_one_of_none_and_an_example_without_a_gradient_give_numbers():
    examples = Examples(jnp.array([[1.0, 0.0], [0.0, 0.0], [3.0, 4.0]]), jnp.eye(3)[jnp.array([0, 0, 1])])
    found = agreement.class_agreement(statistics.weighted_sums(INPUT))(jnp.zeros(2), examples, jnp.array([1.0, 0, 25]))
    assert all(np.isfinite(part).all() for part in found)
    np.testing.assert_allclose(found.cosines[0], [-0.5 + 0.5, 0.3, 0], atol=1e-6)
    np.testing.assert_array_equal(found.products[2], np.zeros(3))


def test_opponents_are_the_smallest_cosines():
    inputs = jax.random.normal(jax.random.key(6), (NUM, 3)).at[4].set(0)
    products = agreement.dot_products(INPUT)
    found = jax.jit(agreement.opponents(products, 5))(jnp.zeros(3), Examples(inputs, jnp.zeros((NUM, 1))))
    lengths = np.linalg.norm(inputs, axis=1)
    cosines = np.asarray(inputs @ inputs.T) / np.where(lengths, lengths, 1) / np.where(lengths, lengths, 1)[:, None]
    np.testing.assert_allclose(found.cosines, cosines.min(axis=1), atol=1e-6)
    np.testing.assert_array_equal(found.partners, cosines.argmin(axis=1))
