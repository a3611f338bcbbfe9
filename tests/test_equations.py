"""The four equations on a small network, against central differences; the text by a reader that knows only arithmetic;
and Results on which the claims must hold, and must fail."""

import re
from decimal import ROUND_HALF_UP, Decimal
from functools import partial

import jax
import numpy as np
import pytest
from conftest import make_examples, make_params

from experiments.common import posing
from experiments.common.bounds import SettingsError
from experiments.one_example import equations, equations_figures
from experiments.one_example.equations import Result, Settings, Shown
from research import backprop, costs, data, gradients, models
from research.backprop import Functions

SMALLEST = Settings(num_seeds=2)
FILM = Functions(costs.sum_of_squares, jax.nn.sigmoid, jax.nn.sigmoid)
MODEL = models.mlp((12, 5, 6, 4))
EXAMPLE_COST = jax.jit(gradients.example_cost(MODEL.apply, costs.sum_of_squares))


def example_and_params():
    return data.take(make_examples(jax.random.key(1), 1), 0), make_params(jax.random.key(0))


def test_a_pull_is_what_a_moved_weighted_sum_does_to_the_cost(x64):
    """Moving z is moving the bias: central differences."""
    example, params = example_and_params()
    sums, _ = backprop.feed_forward(params, example.inputs, *FILM[1:])
    pulls = equations.pulls_by_autodiff(FILM, params, sums, example.targets)
    for layer, pull in enumerate(pulls):
        for neuron in range(len(pull)):
            up, down = (
                EXAMPLE_COST(
                    [each._replace(biases=each.biases.at[neuron].add(step)) if index == layer else each
                     for index, each in enumerate(params)], example)
                for step in (1e-6, -1e-6)
            )  # fmt: skip
            assert float(pull[neuron]) == pytest.approx(-float(up - down) / 2e-6, rel=1e-6, abs=1e-9)


@pytest.mark.parametrize("functions", [FILM, FILM._replace(activation=jax.nn.relu)], ids=["sigmoid", "relu"])
def test_all_four_equations_are_true(functions, x64):
    example, params = example_and_params()
    one = gradients.example_cost(models.mlp((12, 5, 6, 4), functions.activation).apply, costs.sum_of_squares)
    errors, _, _ = jax.jit(partial(equations.of_seed, functions, one))(params, example)
    assert float(errors.max()) < 1e-12


def test_the_gradient_of_another_network_is_noticed(x64):
    example, params = example_and_params()
    look = jax.jit(partial(equations.of_seed, FILM, lambda *both: 2 * EXAMPLE_COST(*both)))
    errors, *_ = look(params, example)
    np.testing.assert_allclose(errors, [0, 0, 0.5, 0.5], atol=1e-12)


def test_components_behind_a_dark_pixel_are_0(x64):
    example, params = example_and_params()
    darker = example._replace(inputs=example.inputs.at[:3].set(0))
    _, not_zero, _ = jax.jit(partial(equations.of_seed, FILM, EXAMPLE_COST))(params, darker)
    assert not_zero.tolist() == [5 * (9 + 1), 6 * (5 + 1), 4 * (6 + 1)]


def made_up(**changed):
    """A network of 3-2-2 neurons, one pixel of whose image is lit."""
    half, quarter, targets = np.full(2, 0.5), np.full(2, 0.25), np.array([0.0, 1.0])
    nudges = 2 * (targets - half)
    shown = Shown(half, targets, nudges, quarter, nudges / 4, np.array([[1.0, -2.0], [3.0, 0.5]]), half, quarter)
    found = {"errors": np.full((2, 4), 1e-16), "widths": np.array([3, 2, 2]), "counts": np.array([[6, 2], [4, 2]]),
             "not_zero": np.array([[4, 6]] * 2), "num_lit": 1, "row": 5, "shown": shown,
             "sigmoids": True}  # fmt: skip
    return Result(**(found | changed))


@pytest.mark.parametrize(
    ("changed", "failing"),
    [({}, []), ({"errors": np.array([[0, 1e-9, 0, 0]])}, [1]), ({"counts": np.array([[6, 0], [4, 2]])}, [4, 5]),
     ({"not_zero": np.array([[4, 6], [3, 6]])}, [5])],
)  # fmt: skip
def test_the_claims_tell_good_from_bad(changed, failing):
    verdicts = [claim.holds for claim in equations.claims(made_up(**changed), SMALLEST)]
    assert [index for index, holds in enumerate(verdicts) if not holds] == failing
    assert len(verdicts) == 6


def test_of_neurons_that_may_sleep_no_number_is_claimed():
    assert "C18" not in {claim.id for claim in equations.claims(made_up(sigmoids=False), SMALLEST)}


def test_the_text_can_be_followed_with_a_pencil():
    text = equations_figures.text(made_up(), "It is so.")
    products = re.findall(r"(-?\d\.\d+) x +(-?[\d.]+) = +(-?[\d.]+)  ", text)
    assert len(products) == 2 + 2 + 1 + 1 + 2
    for a, b, product in products:
        assert (Decimal(a) * Decimal(b)).quantize(Decimal("0.0001"), ROUND_HALF_UP) == Decimal(product)
    wants = [Decimal(product) for _, _, product in products[2:4]]
    assert f"{sum(wants)}   added up" in text
    assert "3 x 2 = 6" in text
    assert text.endswith("It is so.\n")


def test_a_network_without_a_hidden_layer_is_refused(small_mnist):
    settings = Settings(num_seeds=1, dataset=str(small_mnist), layer_sizes=(784, 10))
    with pytest.raises(SettingsError, match="--layer-sizes has no hidden layer"):
        equations.measure(posing.pose(settings), settings)


def test_the_neuron_that_is_followed_is_the_one_that_is_asked_most():
    shown = made_up().shown
    wishes = [sum(w * p for w, p in zip(column, shown.pulls, strict=True)) for column in shown.weights.T]
    assert equations_figures.most_wanted(shown) == int(np.argmax(np.abs(wishes)))
