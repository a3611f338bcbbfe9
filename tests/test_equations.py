"""The four equations, beside a plain network; the text by a reader that knows only arithmetic;
and Results on which the claims must hold, and must fail."""

import re
from decimal import ROUND_HALF_UP, Decimal
from functools import partial

import jax
import numpy as np
import plain
import pytest
from helpers import make_examples, make_params

from experiments.common import posing
from experiments.common.bounds import SettingsError
from experiments.one_example import equations, equations_figures
from experiments.one_example.equations import Result, Settings, Shown
from research import costs, data, gradients, models
from research.backprop import Functions

SMALLEST = Settings(num_seeds=2)
FILM = Functions(costs.sum_of_squares, jax.nn.sigmoid, jax.nn.sigmoid)
EXAMPLE_COST = gradients.example_cost(models.mlp((12, 5, 6, 4)).apply, costs.sum_of_squares)


def example_and_params():
    return data.take(make_examples(jax.random.key(1), 1), 0), make_params(jax.random.key(0))


def test_with_relu_all_four_equations_are_true_too(x64):
    example, params = example_and_params()
    one = gradients.example_cost(models.mlp((12, 5, 6, 4), jax.nn.relu).apply, costs.sum_of_squares)
    errors, _, _ = jax.jit(partial(equations.of_seed, FILM._replace(activation=jax.nn.relu), one))(params, example)
    assert float(errors.max()) < 1e-12


def test_a_wrong_pull_and_the_gradient_of_another_cost_are_noticed_by_all_four_equations(x64, monkeypatch):
    right = equations.pulls_by_autodiff

    def wrong(*given):
        *others, last = right(*given)
        return [*others, 2 * last]

    monkeypatch.setattr(equations, "pulls_by_autodiff", wrong)
    example, params = example_and_params()
    errors, *_ = jax.jit(partial(equations.of_seed, FILM, lambda *both: 3 * EXAMPLE_COST(*both)))(params, example)
    assert float(errors.min()) > 0.1


def test_the_equations_are_true_of_the_first_2_and_what_is_written_down_is_that_of_a_plain_network(ran):
    run, _ = ran("equations")
    result, (train, _, starts, _) = run.result, plain.begin(run.settings)
    row = list(train.targets.argmax(axis=1)).index(2)
    one = plain.rows(train, [row])
    assert (result.row, result.num_lit) == (row, np.count_nonzero(one.inputs))
    *_, before, answer = (layer[0] for layer in plain.activations(starts[0], one.inputs))
    nudges, slopes = 2 * (one.targets[0] - answer), answer * (1 - answer)
    wanted = Shown(answer, one.targets[0], nudges, slopes, nudges * slopes, starts[0][-1].weights, before,
                   before * (1 - before))  # fmt: skip
    for field, shown in result.shown._asdict().items():
        np.testing.assert_allclose(shown, getattr(wanted, field), rtol=1e-4, err_msg=field)
    assert result.errors.max() < 1e-12
    counts = [[sum(map(np.count_nonzero, layer)) for layer in plain.gradient(start, one)] for start in starts]
    np.testing.assert_array_equal(result.not_zero, counts)
    np.testing.assert_array_equal(result.counts, [[part.size for part in layer] for layer in starts[0]])
    np.testing.assert_array_equal(result.widths, [784, *(len(layer.biases) for layer in starts[0])])


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


def test_the_finding_is_of_the_network_that_is_farthest_off():
    errors = np.array([[1e-16] * 4, [1e-16, 2e-13, 1e-16, 1e-16]])
    assert "within 2e-13" in equations.finding(made_up(errors=errors), SMALLEST)


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
