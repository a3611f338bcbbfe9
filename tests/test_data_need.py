"""How much data, how clean: areas and votes against enumeration, labels and schedules as said, a run on few digits."""

import dataclasses
import itertools
import json
from fractions import Fraction
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from experiments import data_need as experiment
from experiments.common.settings import SettingsError
from experiments.data_need import Settings
from research import gradients
from research.data import Examples

SMALL = Settings(
    num_seeds=2, sizes=(20, 200, 300, 5000), num_steps=100, films_steps=100, shares=(0, 0.1, 0.4), num_epochs=2
)


def test_it_leaves_a_record_and_four_figures(finished):
    names = {"data_need.png", "label_noise.png", "wrong_labels.png", "annotators.png"}
    assert {path.name for path in finished.glob("*.png")} == names
    record = json.loads((finished / "run.json").read_text())
    assert [claim["holds"] for claim in record["claims"]] == [True]  # the vote; the others are about MNIST
    with np.load(finished / "arrays.npz") as arrays:
        assert arrays["sizes"].tolist() == [20, 200, 300]  # 5,000 are more than there are
        assert arrays["accuracy_0"].shape == (3, 2)
        assert arrays["areas_1"].shape == (2, 2, 2, 2)
        assert arrays["accuracy_1"][-1].mean() > arrays["accuracy_1"][0].mean()


def test_the_area_is_that_under_the_curve(finished):
    with np.load(finished / "arrays.npz") as arrays:
        curves, areas = arrays["curves_0"], arrays["areas_0"]
        alarms = arrays["false_alarms"]
    assert (np.diff(curves, axis=-1) >= 0).all()
    assert np.allclose(np.trapezoid(curves, alarms, axis=-1), areas, atol=0.02)


def test_the_area_is_the_share_of_pairs_in_the_right_order():
    rng = np.random.default_rng(0)
    positive, negative = rng.integers(0, 9, 30) + 2.0, rng.integers(0, 9, 40) + 0.0  # with ties
    pairs = [(one > other) + 0.5 * (one == other) for one, other in itertools.product(positive, negative)]
    assert experiment.auroc(positive, negative) == pytest.approx(np.mean(pairs), rel=1e-12)
    assert experiment.auroc(negative, positive) == pytest.approx(1 - np.mean(pairs), rel=1e-12)


@pytest.mark.parametrize(("num_voters", "num_classes"), [(1, 2), (2, 3), (4, 3), (5, 4), (7, 2)])
def test_a_vote_is_wrong_as_often_as_in_all_possible_votes(num_voters, num_classes):
    rate, lost = Fraction(3, 10), Fraction(0)
    for votes in itertools.product(range(num_classes), repeat=num_voters):
        counts = np.bincount(votes, minlength=num_classes)
        chance = (1 - rate) ** int(counts[0]) * (rate / (num_classes - 1)) ** int(num_voters - counts[0])
        winners = np.flatnonzero(counts == counts.max())
        lost += chance * (1 - Fraction(int(0 in winners), len(winners)))
    assert experiment.wrong_by_vote(0.3, num_voters, num_classes) == pytest.approx(float(lost), abs=1e-14)


def test_wrong_labels_are_as_many_as_said_nested_and_wrong():
    labels = np.arange(1000) % 7
    given = experiment.with_wrong_labels(labels, (0, 0.25, 0.6), 7, [3])
    wrong = given != labels
    assert wrong.sum(axis=1).tolist() == [0, 250, 600]
    assert (wrong[2] | ~wrong[1]).all()
    assert (given[1] == given[2])[wrong[1]].all()
    assert set(((given - labels) % 7)[2].tolist()) == set(range(7))


def test_the_expected_agreement_of_one_who_goes_by_the_truth():
    labels, answers = np.arange(70_000) % 7, (np.arange(70_000) // 7) % 10 == 0
    answers = np.where(answers, (labels + 1) % 7, labels)  # right in 9 of 10
    given = experiment.with_wrong_labels(labels, (0.3,), 7, [4])[0]
    theory = experiment.by_the_truth(np.array(0.3), np.array(0.9), 7)
    assert np.mean(given == answers) == pytest.approx(float(theory), abs=0.01)


def test_every_chosen_example_is_seen_equally_often():
    rows = experiment.rows_of(np.random.default_rng(1), np.array([5, 8, 13, 21]), 6)
    assert rows.shape == (6, 10)
    assert np.unique(rows, return_counts=True)[1].tolist() == [15, 15, 15, 15]


def test_what_a_point_costs_and_who_is_enough():
    shares = np.array([0.0, 0.2, 0.4])
    assert experiment.bearable(shares, np.array([95.0, 95.0, 93.0])) == 0.3
    assert experiment.bearable(shares, np.array([95.0, 95.5, 94.5])) == 0.4
    assert experiment.voters_needed(np.array([[0.3, 0.2, 0.1], [0.4, 0.3, 0.3]]), 0.2) == [2, None]


def test_a_power_law_is_recognised():
    sizes = np.array([10.0, 100.0, 1000.0])
    assert experiment.power_law(sizes, 40 * sizes**-0.3) == pytest.approx((40, 0.3, 1))


def test_both_ways_give_the_same_scores_and_nielsens_weights_decay(x64):
    rng = np.random.default_rng(5)
    train = Examples(jnp.asarray(rng.random((20, 6))), jnp.asarray(np.eye(3)[rng.integers(0, 3, 20)]))
    recipe = experiment.nielsens(Settings(), train, train, jax.random.split(jax.random.key(0), 1))
    params = jax.tree.map(lambda leaf: jnp.asarray(rng.normal(size=leaf.shape[1:])), recipe.starts)
    given = jnp.argmax(train.targets, axis=1)
    ask = jax.jit(lambda recipe_factors: experiment.scores(recipe, params, train, given))
    fast, costs = ask(())
    grads = jax.jit(gradients.per_example_gradients(recipe.problem.example_cost))(params, train)
    explicit = np.sqrt(
        sum(np.sum(np.asarray(leaf) ** 2, axis=tuple(range(1, leaf.ndim))) for leaf in jax.tree.leaves(grads))
    )
    np.testing.assert_allclose(fast, explicit, rtol=1e-10)
    zero = jax.tree.map(jnp.zeros_like, params)
    updates: Any = recipe.optimizer.update(zero, recipe.optimizer.init(params), params)[0]
    for update, layer in zip(updates, params, strict=True):
        np.testing.assert_allclose(update.weights, -0.5e-4 * np.asarray(layer.weights), rtol=1e-6)
        assert not np.asarray(update.biases).any()
    a, y = np.asarray(train.inputs), np.asarray(train.targets)
    for layer in params:
        a = 1 / (1 + np.exp(-(a @ np.asarray(layer.weights).T + np.asarray(layer.biases))))
    np.testing.assert_allclose(costs, -np.sum(y * np.log(a) + (1 - y) * np.log(1 - a), axis=1), rtol=1e-6)


@pytest.mark.parametrize(
    ("field", "value"),
    [("sizes", (100,)), ("sizes", (200, 100)), ("sizes", (5, 100)), ("num_steps", 15), ("films_steps", 0),
     ("num_epochs", 0), ("shares", (0.1, 0.2)), ("shares", (0,)), ("shares", (0, 1.0)), ("shares", ()),
     ("shares", (0, float("nan")))],
)  # fmt: skip
def test_settings_out_of_range_are_refused(field, value):
    with pytest.raises(SettingsError, match=field.replace("_", "-")):
        dataclasses.replace(Settings(), **{field: value}).check()


def test_sizes_beyond_the_data_set_are_refused(small_mnist, tmp_path):
    with pytest.raises(SettingsError, match="has 600 training images, so give two or more sizes of at most 600"):
        experiment.run(dataclasses.replace(SMALL, dataset=str(small_mnist), sizes=(601, 700), out=tmp_path))


def test_the_title_says_what_the_vote_takes_if_all_err_alike():
    record = {"bearable": 0.1, "voters_needed": {"0.1": 1, "0.4": 6}}
    arrays = {"rates": np.array([0.1, 0.4]), "voters": np.arange(1, 4), "same_way": np.array([[0.1] * 3, [0.4] * 3])}
    assert experiment.figures.votes_title(record, arrays).endswith("where all err alike, it takes more than 3")
    arrays["same_way"][1, 1:] = 0.09
    assert experiment.figures.votes_title(record, arrays).endswith("where all err alike, it takes 2")
    assert "cannot be outvoted" in experiment.figures.votes_title(record | {"voters_needed": {"0.4": None}}, arrays)


def test_the_title_says_that_a_claim_about_the_gradients_length_failed():
    arrays = {"areas_0": np.full((2, 2, 3, 2), 0.95), "areas_1": np.full((2, 2, 3, 2), [0.7, 0.95])}
    claim = {"says": "the film's cost, after 1 epoch: |g_i| finds the wrong labels", "low": 0.9, "holds": False}
    assert "area 0.95 against 0.70, where 0.9 was claimed" in experiment.figures.roc_title({"claims": [claim]}, arrays)
    kept = experiment.figures.roc_title({"claims": [claim | {"holds": True}]}, arrays)
    assert "area 0.95 against 0.70 (the worse of both networks)" in kept
