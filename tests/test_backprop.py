"""Backpropagation by hand against autodiff, against differences, and against what the film says of every nudge."""

from functools import partial

import jax
import jax.numpy as jnp
import jaxtyping
import numpy as np
import optax
import plain
import pytest
from jax.flatten_util import ravel_pytree

from research import backprop, costs, gradients
from research.data import Examples
from research.models import Layer, mlp

SIZES = (12, 5, 5, 5, 4)  # few different shapes: little to compile
DEPTHS = [(12, 4), (12, 5, 4), (12, 5, 5, 4), SIZES]
FILM = (costs.sum_of_squares, jax.nn.sigmoid, jax.nn.sigmoid)  # cost, activation, output activation


def made_up(output, target):
    """A cost that nobody uses: it mixes the outputs and is no sum over them."""
    return jnp.sum(jnp.cosh(output - target)) + jnp.prod(output) * jnp.sum(target * output)


CASES = [
    (costs.sum_of_squares, jax.nn.sigmoid),
    (optax.losses.softmax_cross_entropy, jax.nn.identity),  # on logits
    (made_up, jnp.tanh),
]
HIDDEN = [jax.nn.sigmoid, jnp.tanh, jax.nn.relu]
IN_NUMPY = {
    jax.nn.sigmoid: plain.sigmoid,
    jnp.tanh: np.tanh,
    jax.nn.relu: lambda z: np.maximum(z, 0),
    jax.nn.identity: lambda z: z,
}
every_case = pytest.mark.parametrize(("cost_fn", "output_activation"), CASES, ids=["squares", "entropy", "made_up"])
every_activation = pytest.mark.parametrize("activation", HIDDEN, ids=["sigmoid", "tanh", "relu"])
every_pair = pytest.mark.parametrize(  # of a depth, an activation and a case: 12 of all 36, the case goes round
    ("sizes", "activation", "cost_fn", "output_activation"),
    [
        (sizes, activation, *CASES[(row + column) % 3])
        for row, sizes in enumerate(DEPTHS)
        for column, activation in enumerate(HIDDEN)
    ],
)


def make_examples(seed, num_examples):
    """Random inputs in [0, 1] with random one-hot targets; drawn by numpy, so that nothing is compiled for it."""
    rng = np.random.default_rng(seed)
    targets = np.eye(SIZES[-1])[rng.integers(SIZES[-1], size=num_examples)]
    return jax.tree.map(in_default_precision, Examples(rng.random((num_examples, SIZES[0])), targets))


def one_example(seed):
    return jax.tree.map(lambda leaf: leaf[0], make_examples(seed, 1))


def make_params(seed, sizes=SIZES):
    rng = np.random.default_rng(seed)
    shapes = zip(sizes[1:], sizes[:-1], strict=True)
    layers = [Layer(rng.normal(size=(out, num_in)) / np.sqrt(num_in), rng.normal(size=out)) for out, num_in in shapes]
    return jax.tree.map(in_default_precision, layers)


def in_default_precision(array):
    return jnp.asarray(array, jnp.result_type(float))


def cost_by_autodiff(cost_fn, activation, output_activation):
    return gradients.example_cost(mlp(SIZES, activation, output_activation).apply, cost_fn)


def central_differences(params, example, cost_fn, activation, output_activation, step=1e-5):
    """The slope of the cost in every parameter by moving it both ways, through a network written in numpy."""
    flat, unflatten = ravel_pytree(params)
    activate, answer_by, flat = IN_NUMPY[activation], IN_NUMPY[output_activation], np.asarray(flat)

    def answer(vector):
        *hidden, last = jax.tree.map(np.asarray, unflatten(vector))
        activations = np.asarray(example.inputs)
        for weights, biases in hidden:
            activations = activate(weights @ activations + biases)
        return answer_by(last.weights @ activations + last.biases)

    moves = step * np.eye(flat.size)
    answers = np.array([[answer(flat + move), answer(flat - move)] for move in moves])
    up, down = jax.vmap(jax.vmap(cost_fn, (0, None)), (0, None))(jnp.asarray(answers), example.targets).T
    return unflatten((up - down) / (2 * step))


@every_pair
def test_by_hand_is_the_gradient_is_the_differences(sizes, activation, cost_fn, output_activation, x64):
    params, example = make_params(0, sizes), one_example(1)
    case = cost_fn, activation, output_activation
    by_hand = backprop.backpropagate(params, example, *case).grads
    by_autodiff = jax.grad(cost_by_autodiff(*case))(params, example)
    by_differences = central_differences(params, example, *case)
    for hand, autodiff, differences in zip(by_hand, by_autodiff, by_differences, strict=True):  # layer by layer
        assert plain.relative_distance(hand, autodiff) < 1e-12
        assert plain.relative_distance(hand, differences) < 1e-7


@every_activation
@every_case
def test_by_hand_is_the_gradient_in_float32(activation, cost_fn, output_activation):
    params, example = make_params(2), one_example(3)
    by_hand = backprop.backpropagate(params, example, cost_fn, activation, output_activation).grads
    by_autodiff = jax.grad(cost_by_autodiff(cost_fn, activation, output_activation))(params, example)
    for hand, autodiff in zip(by_hand, by_autodiff, strict=True):
        assert plain.relative_distance(hand, autodiff) < 1e-5


@every_activation
@every_case
def test_nudges_are_minus_the_slope_in_the_activations_of_every_layer_down_to_the_pixels(
    activation, cost_fn, output_activation, x64
):
    params, example = make_params(4), one_example(5)
    nudges = backprop.backpropagate(params, example, cost_fn, activation, output_activation).nudges
    seen = backprop.feed_forward(params, example.inputs, activation, output_activation).activations
    apply = mlp(SIZES, activation, output_activation).apply

    def cost_from(layer, activations):
        answer = apply(params[layer:], activations) if layer < len(params) else activations
        return cost_fn(answer, example.targets)

    assert len(nudges) == len(seen) == len(SIZES)
    for layer, (nudge, activations) in enumerate(zip(nudges, seen, strict=True)):
        assert plain.relative_distance(nudge, -jax.grad(partial(cost_from, layer))(activations)) < 1e-12


def test_forward_by_hand_is_the_models_answer(x64):
    params, example = make_params(6), one_example(7)
    forward = backprop.feed_forward(params, example.inputs, jnp.tanh, jax.nn.sigmoid)
    assert plain.relative_distance(forward.activations[-1], mlp(SIZES, jnp.tanh).apply(params, example.inputs)) < 1e-15
    for sums, activations in zip(forward.weighted_sums[:-1], forward.activations[1:-1], strict=True):
        np.testing.assert_array_equal(jnp.tanh(sums), activations)


# What the film says of the network that it shows: sigmoid everywhere, sum of squares.


def film_pass(seed):
    """(params, example, backward, activations, avenues of the last layer) of one example"""
    params, example = make_params(seed), one_example(seed + 1)
    backward = backprop.backpropagate(params, example, *FILM)
    forward = backprop.feed_forward(params, example.inputs, jax.nn.sigmoid, jax.nn.sigmoid)
    pull = backward.nudges[-1] * backprop.slope(jax.nn.sigmoid, forward.weighted_sums[-1])
    asked = backprop.avenues(params[-1], pull, forward.activations[-2])
    return params, example, backward, forward.activations, asked


def test_wished_for_output_is_to_rise_and_all_others_to_fall():
    for seed in range(5):
        _, example, backward, _, _ = film_pass(seed)
        np.testing.assert_array_equal(jnp.sign(backward.nudges[-1]), 2 * example.targets - 1)


def test_output_nudges_are_exactly_twice_the_distance_from_the_target(x64):
    _, example, backward, activations, _ = film_pass(20)
    np.testing.assert_array_equal(backward.nudges[-1], 2 * (example.targets - activations[-1]))


def test_columns_sum_to_the_weights_transposed_times_the_pull(x64):
    params, _, backward, _, asked = film_pass(21)
    np.testing.assert_allclose(asked.columns.sum(axis=0), params[-1].weights.T @ asked.biases, rtol=1e-12, atol=1e-15)
    np.testing.assert_allclose(asked.columns.sum(axis=0), backward.nudges[-2], rtol=1e-12, atol=1e-15)


def test_columns_of_unwanted_digits_point_against_their_weights_and_that_of_the_wanted_one_along_them():
    for seed in range(5):
        params, example, _, _, asked = film_pass(seed)
        signs = jnp.where(example.targets == 1, 1, -1)[:, None]
        np.testing.assert_array_equal(jnp.sign(asked.columns), signs * jnp.sign(params[-1].weights))


def test_a_column_is_proportional_to_its_weights(x64):
    params, _, _, _, asked = film_pass(22)
    ratios = asked.columns / params[-1].weights
    np.testing.assert_allclose(ratios, jnp.broadcast_to(asked.biases[:, None], ratios.shape), rtol=1e-12)


def test_weight_requests_of_one_example_are_rank_one_in_every_layer():
    _, _, backward, _, _ = film_pass(23)
    for layer in backward.grads:
        first, second, *_ = jnp.linalg.svd(layer.weights, compute_uv=False)
        assert second / first < 1e-6


def test_strongest_request_is_between_the_most_wished_for_and_the_most_active():
    for seed in range(5):
        _, _, backward, activations, _ = film_pass(seed)
        for layer, previous in zip(backward.grads, activations[:-1], strict=True):
            pull = -layer.biases
            assert pull.max() > 0
            strongest = np.unravel_index(np.argmax(-layer.weights), layer.weights.shape)
            assert strongest == (np.argmax(pull), np.argmax(previous))


def test_requests_of_one_neuron_are_in_the_ratio_of_the_activations_before_it(x64):
    _, _, backward, activations, _ = film_pass(24)
    for layer, previous in zip(backward.grads, activations[:-1], strict=True):
        ratios = layer.weights / layer.weights[:, :1]
        np.testing.assert_allclose(ratios, jnp.broadcast_to(previous / previous[0], ratios.shape), rtol=1e-12)


def test_zero_pixel_zero_request():
    params, example = make_params(25), one_example(26)
    dark = jnp.array([0, 3, 11])
    example = example._replace(inputs=example.inputs.at[dark].set(0))
    requests = backprop.backpropagate(params, example, *FILM).grads[0].weights
    assert not requests[:, dark].any()
    assert np.count_nonzero(requests) == 5 * (12 - 3)


def test_grey_levels_give_what_the_same_numbers_between_0_and_1_give():
    params, example = make_params(27), one_example(28)
    levels = jnp.round(example.inputs * 255).astype(jnp.uint8)
    from_levels = backprop.backpropagate(params, example._replace(inputs=levels), *FILM)
    from_numbers = backprop.backpropagate(params, example._replace(inputs=levels.astype(jnp.float32) / 255), *FILM)
    jax.tree.map(np.testing.assert_array_equal, from_levels, from_numbers)


# The average over examples.


def averaged_nudges(params, examples, cost_fn):
    def requests(params, example):
        return jax.tree.map(jnp.negative, backprop.backpropagate(params, example, cost_fn, *FILM[1:]).grads)

    return gradients.average(jax.jit(jax.vmap(requests, (None, 0)))(params, examples))


def film_gradient(params, examples):
    return jax.jit(jax.grad(gradients.mean_over_examples(cost_by_autodiff(*FILM))))(params, examples)


def test_average_of_all_nudges_by_hand_is_minus_the_gradient_of_the_mean(x64):
    params, examples = make_params(29), make_examples(30, 50)
    wanted = jax.tree.map(jnp.negative, film_gradient(params, examples))
    assert plain.relative_distance(averaged_nudges(params, examples, costs.sum_of_squares), wanted) < 1e-12


def test_factor_is_one_with_the_films_cost_and_one_half_with_the_half_cost(x64):
    params, examples = make_params(31), make_examples(32, 50)
    gradient = ravel_pytree(film_gradient(params, examples))[0]
    for cost_fn, factor in ((costs.sum_of_squares, 1.0), (lambda a, y: costs.sum_of_squares(a, y) / 2, 0.5)):
        ratios = -ravel_pytree(averaged_nudges(params, examples, cost_fn))[0] / gradient
        np.testing.assert_allclose(ratios, np.full(len(ratios), factor), rtol=1e-9)


# Bad input.


@pytest.fixture
def unchecked():
    """The type checks of the tests step aside, as they do where a user runs the library."""
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", False)


@pytest.mark.parametrize("params", [{"dense": {"kernel": jnp.ones((12, 4)), "bias": jnp.zeros(4)}}, [], [jnp.ones(3)]])
def test_a_model_without_plain_layers_is_refused_in_one_sentence(params, unchecked):
    example = Examples(jnp.ones(12), jnp.eye(4)[0])
    with pytest.raises(ValueError, match=r"needs plain layers, a list of research.models.Layer .* use jax.grad"):
        backprop.backpropagate(params, example, *FILM)


def test_a_layer_by_itself_is_no_network(unchecked):
    with pytest.raises(ValueError, match="but got Layer"):
        backprop.check_plain(Layer(jnp.ones((2, 3)), jnp.zeros(2)))  # a tuple, not a list of layers
