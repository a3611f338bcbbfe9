"""The benchmark's contestants against jax.grad, and Results on which the claims must hold, and fail."""

from itertools import pairwise

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import make_examples, make_params
from jax.flatten_util import ravel_pytree

from experiments.common import in_c, peers, works
from experiments.common.problem import Problem
from experiments.common.works import Way, Work
from experiments.networks import benchmark, benchmark_figures
from experiments.networks.benchmark import Result, Settings, Timed
from research import costs, data, gradients, models

SMALLEST = Settings(rounds=2, pause=0.0, num_seeds=3, num_examples=200, surface_examples=50, resolution=4)
SIZES = (12, 5, 6, 4)
ONE = gradients.example_cost(models.mlp(SIZES).apply, costs.sum_of_squares)


def small():
    params, examples = make_params(jax.random.key(0)), make_examples(jax.random.key(1), 23)
    return params, examples, jax.tree.map(np.asarray, (params, examples.inputs, examples.targets))


def test_numpys_gradient_is_jaxs(x64):
    params, examples, by_hand = small()
    wanted = jax.jit(jax.grad(gradients.mean_over_examples(ONE)))(params, examples)
    np.testing.assert_allclose(ravel_pytree(peers.numpy_gradient(*by_hand))[0], ravel_pytree(wanted)[0], rtol=1e-12)


def test_numpys_epoch_is_a_step_for_every_row(x64):
    params, examples, by_hand = small()
    rows, rate = np.array([[0, 5, 7], [1, 2, 22]]), 0.7
    grads_of = jax.jit(jax.grad(gradients.mean_over_examples(ONE)))
    for chosen in rows:
        grads = grads_of(params, jax.tree.map(lambda leaf, chosen=chosen: leaf[chosen], examples))
        params = jax.tree.map(lambda leaf, grad: leaf - rate * grad, params, grads)
    found = peers.numpy_epoch(*by_hand, rows, rate)
    np.testing.assert_allclose(ravel_pytree(found)[0], ravel_pytree(params)[0], rtol=1e-12)


def test_numpys_variances_are_those_of_the_single_gradients(x64):
    params, examples, by_hand = small()
    each = jax.jit(gradients.per_example_gradients(ONE))(params, examples)
    wanted = np.concatenate([np.var(layer.weights, axis=0).ravel() for layer in each])
    np.testing.assert_allclose(peers.numpy_variances(*by_hand, chunk_size=10), wanted, rtol=1e-10)


@pytest.mark.skipif(not in_c.compiler(), reason="there is no C compiler, and in_c.c takes no part")
def test_c_finds_what_numpy_finds_in_twice_as_many_digits(monkeypatch):
    monkeypatch.setattr(in_c.os, "cpu_count", lambda: 2)  # of three batches one takes two
    generator = np.random.default_rng(0)
    images, labels = generator.integers(0, 256, (300, 784), np.uint8), generator.integers(0, 10, 300)
    targets, schedule = np.eye(10, dtype=np.float32)[labels], generator.permutation(300).reshape(3, 100)
    params = [(generator.standard_normal((num_out, num_in)) / num_in**0.5, generator.standard_normal(num_out))
              for num_in, num_out in pairwise(in_c.SIZES)]  # fmt: skip
    given = in_c.build() or pytest.fail("cc fails"), jax.tree.map(np.float32, params), images, targets
    each = [peers.numpy_gradient(params, images[[row]] / 255, targets[[row]]) for row in range(300)]
    for found, wanted in (
        (in_c.epoch(*given, schedule, 3.0), peers.numpy_epoch(params, images / 255, targets, schedule, 3.0)),
        (in_c.gradient(*given), peers.numpy_gradient(params, images / 255, targets)),
        (in_c.variances(*given), jax.tree.map(lambda *leaves: np.var(leaves, axis=0), *each)),
    ):
        for ours, theirs, start in zip(*map(jax.tree.leaves, (found, wanted, params)), strict=True):
            np.testing.assert_allclose(ours, theirs, atol=3e-6 * np.abs(theirs).max())
            assert np.abs(theirs - start).max() > 0.01, "it has moved"


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        ({}, "could not be compiled here"),
        ({"sizes": (784, 16, 10)}, "written for the film's network and whole batches of 100"),
        ({"count": 150}, "written for the film's network and whole batches of 100"),
        ({"kind": jnp.float32}, "written for the film's network and whole batches of 100"),
    ],
)
def test_c_says_why_it_takes_no_part(monkeypatch, changed, why):
    monkeypatch.setattr(in_c.shutil, "which", lambda command: None)
    shape = changed.get("count", 100), 784
    blank = data.Examples(jnp.zeros(shape, changed.get("kind", jnp.uint8)), jnp.zeros((shape[0], 10)))
    network = models.mlp(changed.get("sizes", in_c.SIZES))
    posed = Problem(network, costs.sum_of_squares, blank, blank, (28, 28, 1), (jax.nn.sigmoid,) * 2)
    contest = works.prepare(posed, 0)
    assert (works.by_c(contest, works.ALL_CORES, in_c.gradient), contest.not_in_c) == ({}, why)
    assert in_c.compiler() == ""


def test_a_ratio_is_the_median_of_the_rounds_ratios():
    timed = Timed("work", ("own", "other"), np.array([[1.0, 2.0, 4.0], [2.0, 10.0, 12.0]]), np.zeros(2), ())
    assert timed.ratios.tolist() == [1.0, 3.0]


def test_one_row_stands_for_the_whole_grid_and_is_compared_with_its_part():
    whole, row = jnp.arange(6.0).reshape(2, 3), jnp.array([0.0, 1.0, 2.5])
    ways = {"own": Way(lambda: whole), "row": Way(lambda: row, 2)}
    assert benchmark.take_turns(Work("grid", ways), 1, 0.0).apart == pytest.approx([0.0, 0.1])


@pytest.mark.parametrize("others", [{"cost_fn": costs.absolute}, {"activations": (jax.nn.relu, jax.nn.sigmoid)}])
def test_numpy_and_pytorch_leave_out_what_they_do_not_know(others):
    examples = make_examples(jax.random.key(1), 23)
    films = (jax.nn.sigmoid, jax.nn.sigmoid)
    posed = Problem(models.mlp(SIZES), costs.sum_of_squares, examples, examples, (3, 4, 1), films)
    assert works.prepare(posed, 0).by_hand is not None
    assert works.prepare(posed._replace(**others), 0)[2:5] == (None, None, None)


@pytest.mark.parametrize(("apart", "holds"), [(9.5e-4, True), (1.05e-3, False)])
def test_contestants_that_compute_something_else_are_noticed(apart, holds):
    alike, timed = (Timed("work", ("own", "other"), np.ones((2, 3)), np.array([0, off]), ()) for off in (0, apart))
    (same,) = benchmark.claims(Result((alike, timed, alike), (), "cpu"), Settings())
    assert same.holds == holds


def test_the_finding_is_of_the_median_the_quickest_and_the_slowest_who_do_the_work():
    seconds = np.array([[1.0, 2.0, 9.0], [2.0, 6.0, 45.0], [1.0, 3.0, 90.0]])
    timed = Timed(
        "work", ("own", "other", "another", works.BOUND), np.array([*seconds, seconds[0] / 10]), np.zeros(4), ()
    )
    found = benchmark.finding(Result((timed,), (), "cpu"), Settings())
    assert "work 2,000 ms (another: 1.5, other: 3.0 times as long)" in found


@pytest.mark.parametrize("more", [1.01, 0.99])
def test_the_library_is_to_be_ahead_of_c_where_little_is_made_and_in_its_reach_elsewhere(more):
    asked = {"an epoch of SGD": 1 / 0.95, "the gradient over all images": 1 / 0.9,
             "variance of all single gradients": 1 / 1.2, "the same by the layers' factors": 1 / 1.2}  # fmt: skip
    given = [Timed(name, ("own", works.ALL_CORES if at else works.ONE_THREAD),
                   np.array([[1.0, 1.0, 1.0], [more * times, more * times, 9.0]]), np.zeros(2), ())
             for at, (name, times) in enumerate(asked.items())]  # fmt: skip
    _, *ahead = benchmark.claims(Result(tuple(given), (), "cpu"), Settings())
    assert [(claim.kind, claim.holds) for claim in ahead] == 4 * [("speed", more > 1)]


def test_the_bound_is_as_many_operations_as_the_gradient_takes(monkeypatch):
    examples = make_examples(jax.random.key(1), 100)
    problem = Problem(models.mlp(SIZES), costs.sum_of_squares, examples, examples, (3, 4, 1), (jax.nn.sigmoid,) * 2)
    monkeypatch.setattr(works, "SQUARE", 10)
    (way,) = works.bound(works.prepare(problem, 0)).values()
    assert way.times * 2 * 10**3 == pytest.approx(100 * (4 * 12 * 5 + 6 * (5 * 6 + 6 * 4)))
    assert np.size(way.call()) == 0


def test_every_ratio_that_was_asked_for_is_of_a_work_and_a_way():
    examples = make_examples(jax.random.key(1), 100, 784, 10)
    in_bytes = examples._replace(inputs=(255 * examples.inputs).astype(jnp.uint8))
    posed = Problem(models.mlp(), costs.sum_of_squares, in_bytes, in_bytes, (28, 28, 1), (jax.nn.sigmoid,) * 2)
    found = works.all_works(SMALLEST, works.prepare(posed, 0))
    names = {(work.name, way) for work in found for way in work.ways}
    elsewhere = ("PyTorch",) if in_c.compiler() else ("PyTorch", "C by hand")
    assert all(asked in names for asked in benchmark_figures.ASKED if not asked[1].startswith(elsewhere))
