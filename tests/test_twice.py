"""A user's function that gives something else when it is called again is refused by its name; a pure one is not."""

import dataclasses
import itertools
import re
import sys
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import make_examples

from experiments.common import problem, twice
from experiments.common.bounds import SettingsError
from experiments.common.experiment import Settings
from experiments.common.problem import Problem
from research import costs, models

SIZES = (12, 5, 4)
COST, ACTIVATION, INIT = "cost", "activation", "init_weights"


def posed(
    cost: Callable = costs.sum_of_squares, activation: Any = jax.nn.sigmoid, init_weights: Any = models.scaled_normal
):
    examples = make_examples(jax.random.key(0), 20)
    model = models.mlp(SIZES, activation, init_weights=init_weights)
    return Problem(model, cost, examples, examples, (3, 4, 1), (activation, jax.nn.sigmoid))


def counting():
    calls = itertools.count(1)
    return lambda output, target: next(calls) * costs.sum_of_squares(output, target)


def failing_at(call, error):
    calls = itertools.count(1)

    def cost(output, target):
        if next(calls) == call:
            raise error
        return costs.sum_of_squares(output, target)

    return cost


def drawn_by_numpy(key, shape, dtype):
    return jnp.asarray(np.random.default_rng().normal(size=shape), dtype)


def noisy(weighted_sums):
    return jnp.tanh(weighted_sums + np.random.default_rng().normal())


@pytest.mark.parametrize(("path", "gave"), [
    ("jax.numpy:argsort", "int32 of shape"),  # it keeps the shape, and has no slope
    ("jax.numpy:sum", "float32 of shape ()"),
    ("jax.numpy:modf", "a tuple"),
])  # fmt: skip
def test_an_activation_of_a_library_gives_floats_of_the_same_shape(path, gave):
    for name in ("activation", "output_activation"):
        with pytest.raises(SettingsError, match=re.escape(f"--{name.replace('_', '-')} {path} gave {gave}")):
            twice.check_alone(dataclasses.replace(Settings(), **{name: path}))
    twice.check_alone(Settings(activation="relu", output_activation="softmax"))


@pytest.mark.parametrize(("name", "function", "said"), [
    (COST, counting(), "gives other numbers when it is called again"),
    (COST, failing_at(4, SystemExit(0)), "failed when it was tried: SystemExit: 0"),
    (ACTIVATION, noisy, "gives other numbers when it is called again"),
    (INIT, drawn_by_numpy, "gives other numbers when it is called again"),
    (INIT, lambda key, shape, dtype: jnp.full(shape, jnp.inf, dtype), "draws numbers that are not finite"),
    ("model", drawn_by_numpy, "gives other numbers when it is called again"),
], ids=["counts", "leaves", "noisy", "without a key", "infinite", "a model without a key"])  # fmt: skip
def test_what_changes_between_calls_is_refused_by_its_name(name, function, said):
    tried = posed(**{INIT if name == "model" else name: function})
    problem.try_out(tried)  # called once, it is as good as any
    with pytest.raises(SettingsError) as error:
        twice.check_again(dataclasses.replace(Settings(), **{name: "my:own"}), tried)
    assert str(error.value).startswith(f"--{name.replace('_', '-')} my:own {said}")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(("name", "body", "said"), [
    (ACTIVATION, "return numbers.astype(int)", "gave int32 of shape (5,), where floating point numbers of shape (5,)"),
    (ACTIVATION, "raise GeneratorExit", "failed when it was tried: GeneratorExit; it must be a pure function"),
    ("output_activation", "return numbers * next(count)", "gives other numbers when it is called again"),
    (INIT, "return jax.numpy.ones((3, 4), int)", "gave int32 of shape (3, 4), where floating point numbers"),
    (INIT, "return jax.numpy.ones(4)", "gave float32 of shape (4,), where floating point numbers of shape (3, 4)"),
])  # fmt: skip
def test_activations_and_initialisers_are_tried_before_the_data_are_loaded(name, body, said, tmp_path, monkeypatch):
    (tmp_path / "my.py").write_text(f"import itertools, jax\ncount = itertools.count()\ndef own(numbers, *_): {body}")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "my", raising=False)
    with pytest.raises(SettingsError) as error:
        twice.check_alone(dataclasses.replace(Settings(dataset="none"), **{name: "my:own"}))
    assert str(error.value).startswith(f"--{name.replace('_', '-')} my:own {said}")


@pytest.mark.parametrize("name", [COST, ACTIVATION, INIT, "output_activation", "model"])
def test_pure_functions_pass(name):
    twice.check_again(dataclasses.replace(Settings(), **{name: "my:own"}), posed())


def test_nan_again_is_the_same():
    assert np.isnan(twice.same(["--cost my:own"], jnp.log, jnp.array([-1.0]))).all()


def test_activations_that_are_pure_pass_before_the_data_are_loaded(tmp_path, monkeypatch):
    (tmp_path / "tame.py").write_text("def own(numbers): return numbers * numbers")
    monkeypatch.syspath_prepend(tmp_path)
    twice.check_alone(Settings(dataset="none", activation="tame:own", output_activation="tame:own"))


def test_of_functions_that_are_known_none_is_called():
    def fails(*_):
        raise AssertionError

    twice.check_again(Settings(cost="huber", activation="relu"), posed(fails, fails, fails))
