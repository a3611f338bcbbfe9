"""The second guess: ranks, Wilson's interval, softer labels, teaching by numpy, and a whole run on small digits."""

import dataclasses
import json

import jax
import numpy as np
import pytest
from conftest import make_examples
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from test_average_of_nudges import small_digits

from experiments import second_guess as experiment
from experiments.common import descents
from experiments.common.settings import SettingsError
from research import costs
from research.models import Layer, mlp

RNG = np.random.default_rng(0)
OUTPUTS, TRUTH = RNG.random((40, 5)), np.eye(5)[RNG.integers(0, 5, 40)]


def sigmoid(sums):
    return 1 / (1 + np.exp(-sums))


def test_the_rank_is_the_number_of_outputs_above_the_right_one():
    right = (OUTPUTS * TRUTH).sum(axis=1, keepdims=True)
    np.testing.assert_array_equal(experiment.ranks(OUTPUTS, TRUTH), (right < OUTPUTS).sum(axis=1))
    np.testing.assert_array_equal(experiment.ranks(np.zeros((5, 5)), np.eye(5)), np.arange(5))  # ties
    shares = [experiment.top(experiment.ranks(OUTPUTS, TRUTH), guesses) for guesses in range(6)]
    assert shares[0] == 0
    assert shares[5] == 1
    assert shares == sorted(shares)


@hypothesis_settings(max_examples=50, deadline=None)
@given(count=st.integers(1, 10_000), data=st.data())
def test_at_the_ends_of_wilsons_interval_the_share_is_z_standard_deviations_off(count, data):
    share = data.draw(st.integers(0, count)) / count
    low, high = experiment.wilson(share, count)
    assert -1e-12 <= low <= share + 1e-12
    assert share - 1e-12 <= high <= 1 + 1e-12
    for end in (float(low), float(high)):
        deviation = experiment.Z * np.sqrt(max(end * (1 - end), 0) / count)
        assert abs(share - end) == pytest.approx(deviation, rel=1e-6, abs=1e-7)


def test_softer_labels_are_shares_of_the_right_digits():
    two = experiment.own_top_two(OUTPUTS)
    second = experiment.with_second(TRUTH, OUTPUTS, 0.2)
    random = experiment.with_random(TRUTH, 0.2, np.random.default_rng(1))
    for labels in (two, second, random):
        np.testing.assert_allclose(labels.sum(axis=1), 1)
        assert ((labels > 0).sum(axis=1) == 2).all()
    np.testing.assert_array_equal(two.argmax(axis=1), OUTPUTS.argmax(axis=1))
    for labels in (second, random):
        np.testing.assert_array_equal(labels.argmax(axis=1), TRUTH.argmax(axis=1))
        np.testing.assert_allclose(labels.max(axis=1), 0.8)
    for label, output, truth in zip(second, OUTPUTS, TRUTH, strict=True):
        others = [index for index in np.argsort(-output) if not truth[index]]
        assert label[others[0]] == pytest.approx(0.2)
    assert (random != second).any()


def test_every_seed_is_taught_its_own_labels_in_its_own_order_as_by_numpy():
    examples = make_examples(jax.random.key(1), 11)
    x = np.asarray(examples.inputs, float)
    problem = descents.make_problem(mlp((12, 4)), costs.sum_of_squares, examples, examples)
    weights, biases = RNG.standard_normal((2, 4, 12)).astype(np.float32), np.zeros((2, 4), np.float32)
    rows, targets = RNG.integers(0, 11, (2, 1, 6, 3)), RNG.random((2, 11, 4)).astype(np.float32)
    settings = dataclasses.replace(experiment.QUICK, learning_rate=0.5)
    taught = experiment.teach(settings, problem, [Layer(weights, biases)], rows, targets)
    for seed in range(2):
        w, b = weights[seed].astype(float), biases[seed].astype(float)
        for batch in rows[seed, 0]:
            a = sigmoid(x[batch] @ w.T + b)
            deltas = 2 * (a - targets[seed][batch]) * a * (1 - a) / 3
            w, b = w - 0.5 * deltas.T @ x[batch], b - 0.5 * deltas.sum(axis=0)
        for outputs in (taught.train_outputs, taught.test_outputs):
            np.testing.assert_allclose(outputs[seed], sigmoid(x @ w.T + b), atol=1e-5)


def test_the_claims_count_guesses():
    settings = dataclasses.replace(experiment.FULL, num_seeds=1)
    ranks = np.repeat([0, 1, 2], [9500, 400, 100])[None]
    found = dict.fromkeys(experiment.LABELS, ranks)
    claims = experiment.make_claims(settings, found)
    assert [claim.holds for claim in claims] == [True] * 4
    assert [round(claim.measured, 4) for claim in (claims[0], claims[3])] == [99.0, 0.8]
    perfect = dict.fromkeys(experiment.LABELS, np.zeros((1, 10_000), int) + (np.arange(10_000) == 0))
    assert [claim.holds for claim in experiment.make_claims(settings, perfect)] == [False, False, False, True]
    assert experiment.make_claims(dataclasses.replace(settings, dataset="kmnist"), found) == []


@pytest.mark.parametrize(
    ("field", "value"), [("softness", 0.5), ("batch_size", 0), ("num_epochs", 0), ("learning_rate", 0.0)]
)
def test_settings_out_of_range_are_refused(tmp_path, field, value):
    with pytest.raises(SettingsError, match=field.replace("_", "-")):
        dataclasses.replace(experiment.QUICK, out=tmp_path, **{field: value}).check()


def test_a_run_leaves_ranks_and_a_figure(tmp_path):
    settings = dataclasses.replace(
        experiment.QUICK, dataset=str(small_digits(tmp_path / "digits")), batch_size=10, num_epochs=40, out=tmp_path
    )
    experiment.run(settings)
    experiment.plot(tmp_path)
    folder = tmp_path / "second_guess"
    record = json.loads((folder / "run.json").read_text())
    assert record["claims"] == []
    with np.load(folder / "arrays.npz") as arrays:
        np.testing.assert_array_equal(arrays["truth"] == 0, arrays["called"] == arrays["labels"])
        assert all(arrays[labels].shape == (2, 40) for labels in experiment.LABELS)
        assert experiment.top(arrays["truth"], 1).min() > 0.9
        assert (experiment.top(arrays["truth"], 3) == 1).all()
    assert (folder / "second_guess.png").stat().st_size > 10_000


def test_the_title_says_how_many_guesses_it_takes():
    shares = np.array([[0.8, 0.95, 1.0], [0.9, 0.97, 1.0], [0.7, 0.9, 1.0]])  # seeds, guesses
    assert experiment.figures.title(shares, 0.96).endswith(
        "right in 95.0 %, not in 96 % of the test images: that takes all 3"
    )
    assert experiment.figures.title(shares, 0.94).endswith("right in 95.0 % of the test images, as hoped")
