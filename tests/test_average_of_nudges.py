"""The average of the nudges: its identities, its sums, its running mean, and a whole run on a small data set."""

import dataclasses
import itertools
import json
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from conftest import make_examples, make_params
from jax.flatten_util import ravel_pytree
from test_data import write_idx_folder

from experiments import average_of_nudges as experiment
from experiments.figures import average_of_nudges as figures
from research import costs, gradients
from research.data import Examples
from research.models import mlp

SIZES = (12, 5, 6, 4)
ONE = gradients.example_cost(mlp(SIZES).apply, costs.sum_of_squares)
BY_HAND = experiment.requests_by_hand(costs.sum_of_squares, jax.nn.sigmoid, jax.nn.sigmoid)


def requests_in_a_loop(params, examples):
    """(examples, params): minus the gradient of each example's cost, one call after the other."""
    gradient, rows = jax.jit(jax.grad(ONE)), jax.tree.map(np.asarray, examples)
    pick = lambda index: jax.tree.map(lambda leaf: leaf[index], rows)  # noqa: E731
    wanted = [jax.tree.leaves(gradient(params, pick(index))) for index in range(len(examples.inputs))]
    return np.stack([-np.concatenate([np.ravel(leaf) for leaf in leaves]) for leaves in wanted])


def test_every_identity_holds_in_float64(x64):
    params, examples = make_params(jax.random.key(0)), make_examples(jax.random.key(1), 9)
    found = jax.jit(partial(experiment.identities, ONE, BY_HAND))(params, examples)
    found = jax.tree.map(lambda leaf: np.asarray(leaf)[None], found)
    for way in (found.averaged, found.by_hand):
        assert experiment.row_errors(way, found.minus_gradient) < 1e-13
    assert experiment.row_errors(found.separate_steps, found.minus_gradient) < 1e-13
    assert found.leave_one_out < 1e-13
    for way, factor in ((found.averaged, 1), (found.halved, 0.5)):
        mean, spread = experiment.factors(way, found.minus_gradient)
        assert mean == pytest.approx(factor, abs=1e-13)
        assert spread < 1e-11


def test_the_identities_notice_a_gradient_that_is_not_the_average(x64):
    params, examples = make_params(jax.random.key(0)), make_examples(jax.random.key(1), 9)
    of_another_cost = experiment.requests_by_hand(
        lambda output, target: jnp.sum((output - target) ** 4), jax.nn.sigmoid, jax.nn.sigmoid
    )
    wanted = -ravel_pytree(jax.jit(jax.grad(gradients.mean_over_examples(ONE)))(params, examples))[0]
    found = ravel_pytree(gradients.average(jax.jit(of_another_cost)(params, examples)))[0]
    assert experiment.row_errors(found[None], wanted[None]) > 0.01
    components = np.arange(1.0, 5.0)[None]
    assert experiment.factors(components**2, components)[1] > 0.1


@pytest.mark.parametrize(("num_examples", "chunk_size"), [(1, 1), (6, 3), (7, 3), (2, 5)])
def test_the_chunks_do_not_change_the_average(num_examples, chunk_size):
    inputs = np.random.default_rng(2).uniform(size=(num_examples, 3)).astype(np.float32)
    examples = Examples(inputs, np.zeros((num_examples, 1), np.float32))
    found = experiment.average_in_chunks(lambda params, some: some.inputs - params, 0.5, examples, chunk_size)
    np.testing.assert_allclose(found, examples.inputs.mean(axis=0) - 0.5, atol=1e-6)


def test_the_tally_counts_what_a_loop_sees(x64):
    params, examples = make_params(jax.random.key(3)), make_examples(jax.random.key(4), 7)
    examples = examples._replace(inputs=examples.inputs.at[:, 5].set(0.0))  # a pixel that is always black
    wanted, found = requests_in_a_loop(params, examples), jax.jit(partial(experiment.tally, ONE))(params, examples)
    np.testing.assert_allclose(found.mean_square, (wanted**2).mean(axis=0), rtol=1e-12)
    np.testing.assert_allclose(found.more, (wanted > 0).mean(axis=0), rtol=1e-12)
    np.testing.assert_allclose(found.less, (wanted < 0).mean(axis=0), rtol=1e-12)
    share, silent = experiment.both_signs(jax.tree.map(lambda leaf: leaf[None], found))
    disputed = ((wanted > 0).any(axis=0) & (wanted < 0).any(axis=0)).sum()
    assert silent.tolist() == [SIZES[1]]
    assert share.tolist() == pytest.approx([disputed / (wanted.shape[1] - SIZES[1])])


def test_the_noise_scale_is_the_trace_of_the_covariance_over_the_squared_gradient():
    wanted = np.random.default_rng(0).normal(1.0, 2.0, (50, 7))
    expected = np.trace(np.cov(wanted.T, bias=True)) / np.sum(wanted.mean(axis=0) ** 2)
    found = experiment.noise_scale(wanted.mean(axis=0)[None], (wanted**2).mean(axis=0)[None])
    assert found.tolist() == pytest.approx([expected])


def test_over_all_orders_the_running_mean_is_as_far_away_as_theory_says(x64):
    params, examples = make_params(jax.random.key(5)), make_examples(jax.random.key(6), 5)
    wanted = requests_in_a_loop(params, examples)
    gradient = jax.jit(jax.grad(gradients.mean_over_examples(ONE)))(params, examples)
    orders = np.array(list(itertools.permutations(range(5))))
    distances = jax.jit(jax.vmap(partial(experiment.running_distance, ONE), (None, None, 0, None)))(
        params, gradient, orders, examples
    )
    scale = experiment.noise_scale(wanted.mean(axis=0)[None], (wanted**2).mean(axis=0)[None])
    expected = experiment.expected_distance(scale, np.arange(1, 6), 5)
    np.testing.assert_allclose(np.sqrt((np.asarray(distances) ** 2).mean(axis=0)), expected, atol=1e-12)


def test_with_two_classes_the_untrained_always_disagree_and_with_one_never():
    # two labels: w1 - (w1 + w2)/2 and w2 - (w1 + w2)/2 are each other's opposite; one label: w1 - w1/2 is one number
    assert experiment.chance_of_dispute(2) == 1.0
    assert experiment.chance_of_dispute(1) == 0.0


def test_every_parameter_is_named_by_its_place():
    params = make_params(jax.random.key(0), (3, 2, 2))
    numbered = ravel_pytree(params)[1](jnp.arange(14.0))
    assert figures.parameter_name(int(numbered[0].weights[1, 2]), (3, 2, 2)) == "pixel 2 to neuron 1 of layer 1"
    assert figures.parameter_name(int(numbered[0].biases[1]), (3, 2, 2)) == "bias of neuron 1 of layer 1"
    assert figures.parameter_name(int(numbered[1].weights[0, 1]), (3, 2, 2)) == "neuron 1 to output 0"
    assert figures.parameter_name(int(numbered[1].biases[0]), (3, 2, 2)) == "bias of output 0"
    assert len({figures.parameter_name(index, (3, 2, 2)) for index in range(14)}) == 14
    with pytest.raises(ValueError, match="no parameter"):
        figures.parameter_name(14, (3, 2, 2))


def test_the_table_shows_the_first_the_last_and_the_loudest_of_every_layer():
    mean_square = np.zeros(14)
    mean_square[[4, 7, 9, 12]] = 1.0  # a weight and a bias of each of the two layers of 3-2-2
    assert figures.table_rows(mean_square, (3, 2, 2)).tolist() == [0, 4, 7, 9, 12, 13]
    assert set(figures.heat_map_rows(mean_square, (3, 2, 2), seed=0).tolist()) == {4, 7, 9, 12}


def small_digits(folder):
    """Two sets of 6 x 5 images of three classes, each a bright row of its own in noise."""
    rng = np.random.default_rng(0)
    labels = {"train": np.arange(130) % 3, "test": np.arange(40) % 3}
    images = {split: rng.integers(0, 120, (len(these), 6, 5)) for split, these in labels.items()}
    for split, these in labels.items():
        images[split][np.arange(len(these)), 2 * these] += 120
    as_bytes = [{split: array.astype(np.uint8) for split, array in each.items()} for each in (images, labels)]
    return write_idx_folder(folder, *as_bytes)


def run_on_small_digits(tmp_path, **fields):
    """The claims of a run on `small_digits`."""
    settings = dataclasses.replace(
        experiment.QUICK, dataset=str(small_digits(tmp_path / "digits")), out=tmp_path, num_shuffles=8, **fields
    )
    experiment.run(settings)
    return json.loads((tmp_path / "average_of_nudges" / "run.json").read_text())["claims"]


def test_a_run_leaves_claims_that_hold_and_figures(tmp_path):
    claims = run_on_small_digits(tmp_path)
    assert [claim["says"] for claim in claims if not claim["holds"]] == []
    assert {"T28", "T29", "C6", "T13"} == {claim["id"] for claim in claims}  # T20 is about MNIST
    experiment.plot(tmp_path)
    for name in ("average_of_nudges", "heat_map", "running_mean"):
        assert (tmp_path / "average_of_nudges" / f"{name}.png").stat().st_size > 10_000


def test_the_claims_hold_for_another_cost_and_another_network(tmp_path):
    fields = {"cost": "optax:safe_softmax_cross_entropy", "output_activation": "jax.nn:identity", "learning_rate": 0.5}
    with jax.numpy_rank_promotion("allow"), jax.numpy_dtype_promotion("standard"):  # optax's cost mixes them
        claims = run_on_small_digits(tmp_path, layer_sizes=(30, 5, 3), **fields)
    assert [claim["says"] for claim in claims if not claim["holds"]] == []
