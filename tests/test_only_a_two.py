"""Listening to one example or to many: who is listened to, what is observed, and a whole run on a small data set."""

import dataclasses
import json
import math
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from conftest import make_examples, make_params
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from test_average_of_nudges import small_digits

from experiments import only_a_two as experiment
from experiments.common.settings import SettingsError
from research import costs, gradients, training
from research.models import mlp

MODEL = mlp((12, 5, 6, 4))
OBJECTIVE = gradients.mean_over_examples(gradients.example_cost(MODEL.apply, costs.sum_of_squares))
NETWORK = experiment.Network(MODEL.apply, training.make_step(OBJECTIVE, optax.sgd(0.5)), optax.sgd(0.5))


def test_the_confusion_matrix_counts_every_example_once_and_its_diagonal_is_the_accuracy():
    params, examples = make_params(jax.random.key(0)), make_examples(jax.random.key(1), 37)
    found = np.asarray(jax.jit(partial(experiment.confusion, MODEL.apply))(params, examples))
    counted = np.zeros((4, 4))
    answers = np.asarray(jax.vmap(MODEL.apply, (None, 0))(params, examples.inputs)).argmax(axis=1)
    for truth, answer in zip(np.asarray(examples.targets).argmax(axis=1), answers, strict=True):
        counted[truth, answer] += 1 / 37
    np.testing.assert_allclose(found, counted, atol=1e-6)
    correct = gradients.mean_over_examples(gradients.example_cost(MODEL.apply, costs.is_correct))
    assert experiment.accuracies(found) == pytest.approx(float(correct(params, examples)))
    np.testing.assert_allclose(experiment.called(NETWORK, examples, params), counted.sum(axis=0), atol=1e-6)


@hypothesis_settings(max_examples=25, deadline=None)
@given(labels=st.lists(st.integers(0, 2), min_size=1, max_size=20), seed=st.integers(0, 100))
def test_the_order_is_a_permutation_that_begins_with_one_of_each_class(labels, seed):
    labels = np.array([0, 1, 2, *labels])
    shuffle = np.random.default_rng(seed).permutation(len(labels))
    order = experiment.listening_order(labels, shuffle, [2, 0, 1])
    assert sorted(order.tolist()) == list(range(len(labels)))
    assert labels[order[:3]].tolist() == [2, 0, 1]
    assert order[3:].tolist() == [index for index in shuffle if index not in order[:3]]


@pytest.mark.parametrize("size", [1, 2, 3, 7, 10, 23])
def test_every_step_sees_a_full_batch_and_everyone_is_heard_equally_often(size):
    listened, batch = np.arange(100, 100 + size), experiment.BATCH
    passes = math.lcm(size, batch) // batch if size < batch else size // batch  # steps in which everyone is heard alike
    rows = experiment.schedule_for(np.random.default_rng(0), listened, num_steps=6 * passes)
    assert rows.shape == (6 * passes, batch)
    counts = np.bincount(rows.ravel() - 100, minlength=size)
    if size < batch or size % batch == 0:
        assert (counts == counts[0]).all()
    assert set(rows.ravel().tolist()) <= set(listened.tolist())


def test_ten_copies_of_one_example_are_the_example(x64):
    params, examples = make_params(jax.random.key(2)), make_examples(jax.random.key(3), 1)
    copies = jax.tree.map(lambda leaf: jnp.repeat(leaf, 10, axis=0), examples)
    one, ten = (jax.jit(jax.grad(OBJECTIVE))(params, some) for some in (examples, copies))
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-15), one, ten)


def test_listening_to_one_is_the_same_as_steps_made_one_by_one():
    examples, test = make_examples(jax.random.key(4), 2), make_examples(jax.random.key(5), 20)
    alone = jax.tree.map(lambda leaf: np.asarray(leaf)[:, None], examples)
    starts = [make_params(jax.random.key(seed)) for seed in (6, 7)]
    stacked = jax.tree.map(lambda *leaves: np.stack(leaves), *starts)
    steps, shares = experiment.listen_to_one(NETWORK, stacked, alone, test, num_decades=2)
    assert steps.tolist() == [*range(11), *range(20, 101, 10)]
    step, called = jax.jit(NETWORK.step), jax.jit(partial(experiment.called, NETWORK, test))
    for run, params in enumerate(starts):
        state, seen = training.TrainState(params, optax.sgd(0.5).init(params)), {}
        for steps_done in range(101):
            seen[steps_done] = called(state.params)
            state, _ = step(state, jax.tree.map(lambda leaf, run=run: leaf[run], alone))
        np.testing.assert_allclose(shares[run], [seen[steps_done] for steps_done in steps.tolist()], atol=0.06)


@pytest.mark.parametrize(("field", "value"), [("num_decades", 0), ("num_steps", 15), ("num_steps", 0)])
def test_settings_out_of_range_are_refused(tmp_path, field, value):
    with pytest.raises(SettingsError, match=field.replace("_", "-")):
        dataclasses.replace(experiment.QUICK, out=tmp_path, **{field: value}).check()


def test_a_run_shows_that_one_is_too_few(tmp_path):
    settings = dataclasses.replace(
        experiment.QUICK, dataset=str(small_digits(tmp_path / "digits")), out=tmp_path, num_seeds=2, num_steps=500
    )
    experiment.run(settings)
    experiment.plot(tmp_path)
    folder = tmp_path / "only_a_two"
    record = json.loads((folder / "run.json").read_text())
    assert record["sizes"] == [1, 2, 3, 100, 130]
    assert record["claims"] == []  # they are about the film's network and MNIST
    with np.load(folder / "arrays.npz") as arrays:
        right = experiment.accuracies(arrays["confusion"])
        np.testing.assert_allclose(right[0], 13 / 40, atol=1e-6)  # everything is called a 2, as 13 of 40 are
        assert right[-1].min() > 0.9
        named = experiment.share_named(arrays["shares"])
        assert named[0, ..., -1].min() == 1.0
    for name in ("only_a_two", "more_and_more"):
        assert (folder / f"{name}.png").stat().st_size > 10_000
