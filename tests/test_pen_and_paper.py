"""The text that can be followed with a pencil: a reader that knows only arithmetic checks every line of it."""

import dataclasses
import itertools
import math
import re
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path

import jax
import numpy as np
import plain
import pytest
import threefry

from experiments.common.bounds import SettingsError
from experiments.one_example import pen_and_paper
from experiments.one_example import pen_and_paper_figures as paper
from experiments.one_example.pen_and_paper import Result, Settings
from research import costs
from research.data import Examples
from research.models import Layer

GOLDEN = Path(__file__).parent / "golden" / "pen_and_paper.txt"
NUMBER = r"(-?\d+\.?\d*)"
PRODUCT = re.compile(rf"{NUMBER} x +{NUMBER} = +{NUMBER}")
SUM = re.compile(rf"((?:{NUMBER} \+ +)+{NUMBER}) = +{NUMBER}")
SIGMA = re.compile(rf"sigma\({NUMBER}\) = +{NUMBER}")
LINES_OF_A_NEURON = re.compile(rf"((?:.*x.* = .*\n)+) +-+\n +z = +{NUMBER}")
NEW_NUMBERS = re.compile(rf"x +{NUMBER} = +{NUMBER} +{NUMBER} \+ +{NUMBER} = +{NUMBER}")


# With one step fewer, or smaller ones, the second seed still misses a pattern.
SMALLEST = Settings(num_seeds=2, num_steps=9)


@pytest.fixture(scope="module")
def text(ran):
    return ran("pen_and_paper")[0].result.text + "\n"


def rounded(number):
    return Decimal(number).quantize(Decimal("0.0001"), ROUND_HALF_UP)


def test_text_is_the_golden_one_up_to_its_last_sentence(text):
    assert text.partition("By pencil")[0] == GOLDEN.read_text()


def test_every_product_checks_out_to_the_last_digit(text):
    found = PRODUCT.findall(text)
    assert len(found) == 2 * (18 + 3 + 4) + 2 * 2 + 2 * (1 + 3) + 25 + (18 + 3) + 25
    for a, b, c in found:
        assert rounded(Decimal(a) * Decimal(b)) == Decimal(c), f"{a} x {b} = {c}"


def test_every_sum_checks_out(text):
    found = SUM.findall(text)
    assert len(found) == 6 + 25
    for addends, *_, total in found:
        assert sum(map(Decimal, re.findall(NUMBER, addends))) == Decimal(total)


def test_every_weighted_sum_is_the_sum_of_the_lines_above_it(text):
    found = LINES_OF_A_NEURON.findall(text)
    assert len(found) == 2 * 4
    for lines, z in found:
        assert sum(Decimal(product) for _, _, product in PRODUCT.findall(lines)) == Decimal(z)


def test_every_sigmoid_checks_out(text):
    found = SIGMA.findall(text)
    assert len(found) == 2 * 4
    for z, a in found:
        assert rounded(1 / (1 + math.exp(-float(z)))) == Decimal(a)


def numbers_of_the_step(text):
    """(old, gradient, new) of the 25 parameters, as a reader finds them in section 9."""
    return np.array([(old, slope, new) for slope, _, old, _, new in NEW_NUMBERS.findall(text)], float).T


RED = Examples(np.array([[0.9, 0.8, 0.1, 0.0, 0.1, 0.0]]), np.array([[1.0]]))


def network_of(parameters):
    """The 6-3-1 network of its 25 numbers in the order of the text: rows of weights, then the bias."""
    middle, output = parameters[:21].reshape(3, 7), parameters[None, 21:]
    return [Layer(rows[:, :-1], rows[:, -1]) for rows in (middle, output)]


def test_all_25_components_are_those_of_a_plain_network_but_for_the_largest_difference(ran, text):
    old, slopes, _ = numbers_of_the_step(text)
    assert len(old) == 25
    wanted = [np.column_stack(layer).ravel() for layer in plain.gradient(network_of(old), RED)]
    largest = np.abs(slopes - np.concatenate(wanted)).max()
    assert largest < 5e-4
    assert ran("pen_and_paper")[0].result.largest_difference == pytest.approx(largest, abs=1e-7)


def test_cost_before_and_after_the_step(ran, text):
    old, _, new = numbers_of_the_step(text)
    said = [float(cost) for cost in re.search(rf"the cost was {NUMBER} and is {NUMBER}", text).groups()]
    np.testing.assert_allclose(said, [plain.costs(network_of(each), RED)[0] for each in (old, new)], atol=5e-4)
    result = ran("pen_and_paper")[0].result
    assert [result.cost, result.new_cost] == said
    assert said[1] < said[0]


def test_every_seed_learns_the_eight_patterns_as_plain_descent_does(ran):
    run, _ = ran("pen_and_paper")
    settings, lit = run.settings, np.array(list(itertools.product((0, 1), repeat=3)))
    inputs = np.stack([0.1 + 0.8 * lit, 0.8 * lit], axis=-1).reshape(8, 6)
    patterns = Examples(inputs, 1 - (lit == (0, 0, 1)).all(axis=1, keepdims=True))
    right = []
    for key, _ in threefry.seed_keys(settings.seed, settings.num_seeds):
        params = plain.start(key, (6, 3, 1), scale=lambda _: 1.0, biases=1.0)
        for _ in range(settings.num_steps):
            params = plain.step(params, patterns, settings.learning_rate)
        right.append(np.mean((plain.activations(params, inputs)[-1] > 0.5) == patterns.targets))
    np.testing.assert_array_equal(run.result.accuracy, right)


def made_up(**changes):
    return Result("", 0.3, 0.1, 6e-5, np.ones(2))._replace(**changes)


@pytest.mark.parametrize(
    ("changes", "verdicts"),
    [({}, [True, True, True]), ({"largest_difference": 4.7e-4}, [True, True, True]),
     ({"largest_difference": 5.3e-4}, [False, True, True]), ({"new_cost": 0.0}, [True, True, True]),
     ({"new_cost": 0.31}, [True, False, True]), ({"accuracy": np.array([1, 0.875])}, [True, True, False])],
)  # fmt: skip
def test_the_claims_tell_good_from_bad(changes, verdicts):
    assert [claim.holds for claim in pen_and_paper.claims(made_up(**changes), SMALLEST)] == verdicts


def test_the_finding_counts_the_seeds_that_learn_all_patterns():
    said = pen_and_paper.finding(
        made_up(accuracy=np.array([1, 0.875, 0.5])), dataclasses.replace(SMALLEST, num_seeds=3)
    )
    assert (
        "the cost from 0.3000 to 0.1000; trained on all eight patterns, the network answers all of them in 1 of 3"
        in said
    )


def test_another_cost_is_written_down_too():
    layers = paper.paper_rows(pen_and_paper.MODEL.init(jax.random.key(0)))
    written = paper.trace(layers, ["red", "green"], Decimal("2.0"), costs.absolute)
    assert "minus the slope of the cost" in written.text
    assert pen_and_paper.largest_difference(written.nudges, layers, ["red", "green"], costs.absolute) < 5e-4


def test_a_lamp_that_no_traffic_light_has_is_refused():
    with pytest.raises(SettingsError, match="--lamps has blue; choose among red, amber, green"):
        dataclasses.replace(SMALLEST, lamps=("blue",)).check()
