"""Nielsen's rates against his update; Results on which the claims about his numbers must hold, and must fail."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from conftest import make_examples

from experiments.common import descents
from experiments.common.bounds import SettingsError
from experiments.common.descents import Trained
from experiments.common.problem import Problem
from experiments.networks import nielsens_recipe
from experiments.networks.nielsens_recipe import ENTROPY, FULL, RECIPES, SQUARES, Outcome, Result, Settings
from research import costs
from research.models import Layer, mlp

SMALLEST = Settings(num_seeds=2, num_epochs=1, recipes=("784-10",))


def test_nielsens_rates_step_as_in_his_code():
    """His update: (eta / m) sum of delta a^T, delta = a - y for cross-entropy, times sigma' for his halved squares."""
    examples = make_examples(jax.random.key(2), 6)
    x, y = np.asarray(examples.inputs, float), np.asarray(examples.targets, float)
    rng = np.random.default_rng(3)
    params = [Layer(*(jnp.asarray(rng.normal(size=shape), jnp.float32) for shape in ((4, 12), (4,))))]
    for (cost_fn, last, rate), his_rate, halved_squares in ((SQUARES, 3.0, 1), (ENTROPY, 0.5, 0)):
        problem = Problem(mlp((12, 4), output_activation=last), cost_fn, examples, examples, (3, 4, 1))
        a = 1 / (1 + np.exp(-(x @ np.asarray(params[0].weights).T + np.asarray(params[0].biases))))
        his = his_rate / 6 * ((a - y) * (a * (1 - a)) ** halved_squares).T @ x
        found = rate * jax.jit(jax.grad(problem.cost))(params, problem.train)[0].weights
        np.testing.assert_allclose(found, his, rtol=1e-4, atol=1e-6)


def test_he_trains_on_50000_images_in_batches_of_ten(monkeypatch):
    assert (nielsens_recipe.HIS_IMAGES, nielsens_recipe.HIS_BATCH, nielsens_recipe.HIS_EPOCHS) == (50_000, 10, 30)
    seen, examples = [], make_examples(jax.random.key(0), 70)
    monkeypatch.setattr(nielsens_recipe, "HIS_IMAGES", 50)
    ends = Trained(0.5, None, np.ones(2), np.ones((2, 1)))
    monkeypatch.setattr(descents, "train", lambda name, posed, rates, keys, rows: seen.append((posed, rows)) or ends)
    nielsens_recipe.measure(Problem(mlp((12, 4)), costs.sum_of_squares, examples, examples, (3, 4, 1)), SMALLEST)
    [(posed, rows)] = seen
    assert (len(posed.train.inputs), len(posed.test.inputs), rows.shape) == (50, 70, (2, 1, 5, 10))


def outcomes(ends):
    """Four seeds each, one epoch, by the recipes' names; the training accuracy is the test's."""
    return Result({name: Outcome(np.array(end), np.array(end)[:, None]) for name, end in ends.items()})


GOOD = {
    "784-30-10": (0.951, 0.9545, 0.95, 0.99), "784-100-10": (0.88, 0.967, 0.96, 0.99), "784-10": (0.5,) * 4,
    "784-100-10, small weights": (0.97,) * 4, "784-30-10, cross-entropy": (0.954, 0.956) * 2,
    "784-100-10, cross-entropy": (0.97, 0.965) * 2,
}  # fmt: skip
BAD = {
    "784-30-10": (0.94, 0.99, 0.94, 0.94), "784-100-10": (0.88, 0.9, 0.91, 0.966), "784-10": (0.5,) * 4,
    "784-100-10, small weights": (0.96,) * 4, "784-30-10, cross-entropy": (0.94,) * 4,
    "784-100-10, cross-entropy": (0.98, 0.97) * 2,
}  # fmt: skip


def test_his_numbers_are_held_against_the_best_of_the_first_three_or_the_median():
    good = list(nielsens_recipe.claims(outcomes(GOOD), FULL))
    assert [claim.holds for claim in good] == [True] * 7
    assert [round(claim.measured, 2) for claim in good[1:]] == [95.28, 95.45, 96.7, 95.5, 96.75, 97]
    assert not any(claim.holds for claim in nielsens_recipe.claims(outcomes(BAD), FULL))


def test_his_numbers_say_nothing_of_other_data_or_another_length():
    for changed in ({"dataset": "kmnist"}, {"num_epochs": 10}, {"num_examples": 600}):
        assert list(nielsens_recipe.claims(outcomes(GOOD), dataclasses.replace(FULL, **changed))) == []


def test_every_recipe_has_its_own_name():
    assert len({recipe.name for recipe in RECIPES}) == len(RECIPES)
    with pytest.raises(SettingsError, match="--recipes has 784-31-10; give some of: 784-30-10; "):
        dataclasses.replace(SMALLEST, recipes=("784-31-10",)).check()
