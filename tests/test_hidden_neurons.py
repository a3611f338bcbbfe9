"""How many hidden neurons: which networks are tried, one of them trained by numpy, the claims, and a whole run."""

import dataclasses
import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from conftest import make_examples
from test_average_of_nudges import small_digits

from experiments import hidden_neurons as experiment
from experiments.common import descents
from experiments.common.settings import SettingsError
from research import costs
from research.models import Layer, mlp

SMALL = dataclasses.replace(
    experiment.QUICK, layer_sizes=(30, 3, 3, 3), widths=(0, 3), depths=(0, 1, 2), depth_width=3, num_epochs=2,
    batch_size=10, learning_rates=(0.5, 2.0),
)  # fmt: skip


def sigmoid(sums):
    return 1 / (1 + np.exp(-sums))


def test_every_network_is_tried_once_and_its_parameters_are_counted():
    settings = experiment.Settings()
    hidden = experiment.hidden_layers(settings)
    assert hidden[:2] == [(), (1,)]
    assert len(hidden) == len(set(hidden)) == 8 + 3  # depths 0 and 1 are widths 0 and 30
    for layers, number in (((), 7850), ((16, 16), 13_002), ((30,), 23_860)):
        assert experiment.num_parameters((784, *layers, 10)) == number
        shapes = jax.eval_shape(mlp((784, *layers, 10)).init, jax.random.key(0))
        assert sum(leaf.size for leaf in jax.tree.leaves(shapes)) == number


def test_a_network_without_hidden_neurons_is_trained_as_by_numpy():
    examples = make_examples(jax.random.key(1), 23)
    x, y = np.asarray(examples.inputs, float), np.asarray(examples.targets, float)
    problem = descents.make_problem(mlp((12, 4)), costs.sum_of_squares, examples, examples)
    keys, rows = jax.random.split(jax.random.key(0), 2), np.random.default_rng(0).integers(0, 23, (2, 2, 3, 5))
    found = experiment.train_network(problem, (12, 4), (0.1, 0.3), keys, rows)
    ends = {rate: [] for rate in (0.1, 0.3)}
    for rate, costs_of in ends.items():
        for seed, key in enumerate(keys):
            weights, biases = (np.asarray(leaf, float) for leaf in mlp((12, 4)).init(key)[0])
            start = sigmoid(x @ weights.T + biases)
            deltas = 2 * (start - y) * start * (1 - start) / len(x)
            norm = np.sqrt(np.sum((deltas.T @ x) ** 2) + np.sum(deltas.sum(axis=0) ** 2))
            assert found.norms[seed, 0] == pytest.approx(norm, rel=1e-5)
            for batch in rows[seed].reshape(6, 5):
                a = sigmoid(x[batch] @ weights.T + biases)
                deltas = 2 * (a - y[batch]) * a * (1 - a) / 5
                weights, biases = weights - rate * deltas.T @ x[batch], biases - rate * deltas.sum(axis=0)
            costs_of.append(np.sum((sigmoid(x @ weights.T + biases) - y) ** 2) / len(x))
    assert found.rate == min(ends, key=lambda rate: np.median(ends[rate]))
    np.testing.assert_allclose(found.cost, ends[found.rate], rtol=1e-5)


def trained(hidden, test_accuracy, first=1.0):
    sizes, test_accuracy = (784, *hidden, 10), np.array(test_accuracy)[:, None]
    norms = np.full((len(test_accuracy), len(sizes) - 1), first)
    return experiment.Trained(sizes, 1.0, np.zeros(1), test_accuracy[:, 0], test_accuracy, norms)


def test_the_claims_tell_good_from_bad():
    settings = dataclasses.replace(experiment.FULL, nielsen_epochs=0, num_seeds=2)
    good = [
        ((), (0.91, 0.92)),
        ((2,), (0.5, 0.6)),
        ((16,), (0.93, 0.94)),
        ((30,), (0.95, 0.95)),
        ((30, 30), (0.955,) * 2),
    ]
    bad = [
        ((), (0.8, 0.81)),
        ((2,), (0.5, 0.93)),
        ((16,), (0.93, 0.94)),
        ((30,), (0.95, 0.95)),
        ((30, 30), (0.97,) * 2),
    ]
    for several, holds, shrink in ((good, True, 0.235), (bad, False, 0.9)):
        found = [trained(hidden, accuracy, shrink ** len(hidden)) for hidden, accuracy in several]
        claims = experiment.make_claims(settings, found, [])
        assert [claim.holds for claim in claims] == [holds] * 4
    assert experiment.make_claims(dataclasses.replace(settings, dataset="kmnist"), found, []) == []


def test_nielsens_numbers_are_held_against_the_best_of_three_or_the_median():
    ends = [(0.951, 0.9545, 0.95, 0.99), (0.88, 0.967, 0.96, 0.99), (0.5,), (0.97, 0.96), (0.954, 0.956), (0.98, 0.97)]
    nielsen = [trained(recipe.hidden, each) for recipe, each in zip(experiment.NIELSENS, ends, strict=True)]
    claims = experiment.nielsens_claims(
        nielsen, lambda *args, **fields: experiment.Claim(*args, **{"num_seeds": 4, **fields})
    )
    assert [round(claim.measured, 3) for claim in claims[1:]] == [95.45, 96.7, 96.5, 95.5, 97.5]
    assert [claim.num_seeds for claim in claims] == [4, 3, 3, 4, 4, 4]
    assert [claim.holds for claim in claims[3:]] == [False, True, False]


def test_nielsens_rates_step_as_in_his_code():
    """His update: (eta / m) sum of delta a^T, delta = a - y for cross-entropy, times sigma' for his halved squares."""
    examples = make_examples(jax.random.key(2), 6)
    x, y = np.asarray(examples.inputs, float), np.asarray(examples.targets, float)
    rng = np.random.default_rng(3)
    params = [Layer(*(jnp.asarray(rng.normal(size=shape), jnp.float32) for shape in ((4, 12), (4,))))]
    for (cost_fn, last, rate), his_rate, halved_squares in ((experiment.SQUARES, 3.0, 1), (experiment.ENTROPY, 0.5, 0)):
        model = mlp((12, 4), output_activation=last)
        problem = descents.make_problem(model, cost_fn, examples, examples)
        a = sigmoid(x @ np.asarray(params[0].weights).T + np.asarray(params[0].biases))
        his = his_rate / 6 * ((a - y) * (a * (1 - a)) ** halved_squares).T @ x
        found = rate * jax.jit(jax.grad(problem.cost))(params, problem.train)[0].weights
        np.testing.assert_allclose(found, his, rtol=1e-4, atol=1e-6)


def test_the_sentence_names_the_least_width_that_is_nearly_as_good():
    found = [trained(hidden, (end,)) for hidden, end in (((), 0.9), ((2,), 0.93), ((16,), 0.945), ((30, 30), 0.96))]
    settings = dataclasses.replace(experiment.FULL, widths=(0, 2, 16))
    assert experiment.sentence(settings, found).startswith("2 hidden neurons are nearly enough (16: 94.5 %): 93.0 %")
    found[1] = found[1]._replace(rate=32.0)
    assert experiment.on_the_edge(settings, found) == ["784-2-10"]


@pytest.mark.parametrize(
    ("field", "value"),
    [("widths", ()), ("widths", (-1,)), ("depth_width", 0), ("num_epochs", 0), ("learning_rates", ())],
)
def test_settings_out_of_range_are_refused(tmp_path, field, value):
    with pytest.raises(SettingsError, match=field.replace("_", "-")):
        dataclasses.replace(SMALL, out=tmp_path, **{field: value}).check()


def test_a_run_leaves_a_record_and_a_figure(tmp_path):
    experiment.run(dataclasses.replace(SMALL, dataset=str(small_digits(tmp_path / "digits")), out=tmp_path))
    experiment.plot(tmp_path)
    folder = tmp_path / "hidden_neurons"
    record = json.loads((folder / "run.json").read_text())
    assert record["networks"] == [[30, 3], [30, 3, 3], [30, 3, 3, 3]]
    assert record["parameters"] == [93, 105, 117]
    assert record["claims"] == []  # they are about MNIST
    with np.load(folder / "arrays.npz") as arrays:
        assert arrays["sweep_2_norms"].shape == (2, 3)
        assert arrays["sweep_0_test_accuracy"].shape == (2, 2)
        assert (
            arrays["sweep_0_test_accuracy"][:, -1].min() > 0.5
        )  # three classes, each a bright row: no hidden layer does
    assert (folder / "hidden_neurons.png").stat().st_size > 10_000
