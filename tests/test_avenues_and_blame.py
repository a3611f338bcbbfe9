"""The accounts on a few real digits: what is theory holds; and the pieces on networks whose answers are known."""

import dataclasses
import itertools
import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from experiments import avenues_and_blame as blame
from experiments.avenues_and_blame import NAME, Settings
from experiments.common.settings import SettingsError
from research import costs, data, gradients
from research.data import Examples
from research.models import Layer, mlp
from research.training import TrainState

SMALL = Settings(num_seeds=2, num_legs=4, steps_per_leg=5, batch_size=20, repair_steps=5, num_examples=200)
PAIRS = ((4, 3), (3, 5), (5, 2))
EXAMPLES = Examples(jnp.zeros((1, 1)), jnp.zeros((1, 1)))


@pytest.fixture(scope="module")
def finished(small_mnist, tmp_path_factory):
    out = tmp_path_factory.mktemp("results")
    blame.run(dataclasses.replace(SMALL, dataset=str(small_mnist), out=out))
    blame.plot(out)
    return out / NAME


def test_what_is_theory_holds_on_any_data(finished):
    claims = json.loads((finished / "run.json").read_text())["claims"]
    assert {claim["id"] for claim in claims} == {"C2", "C3", "C11", "C13", "C23"}
    assert [claim["says"] for claim in claims if not claim["holds"] and claim["id"] != "C11"] == []
    assert {path.name for path in finished.glob("*.png")} == {"avenues.png", "blame.png"}


def test_weights_of_pixels_that_are_black_everywhere_are_the_ones_that_do_not_change(finished, small_mnist):
    claims = json.loads((finished / "run.json").read_text())["claims"]
    (changed,) = (claim["measured"] for claim in claims if claim["says"].startswith("every parameter changes"))
    inputs = np.asarray(data.load(str(small_mnist), "train").inputs)
    assert changed == 13_002 - 16 * (inputs.max(axis=0) == 0).sum() < 13_002


def bilinear(params, examples):
    """C = (v w - 1)^2 of two layers of one weight each: everything about it is known."""
    return jnp.squeeze((params[1].weights * params[0].weights - 1) ** 2)


def two_weights(w, v):
    return [Layer(jnp.array([[number]]), jnp.zeros(1)) for number in (w, v)]


def moved_by(step, w, v):
    params = step(TrainState(two_weights(w, v), ()), EXAMPLES)[0].params
    return [float(layer.weights[0, 0]) for layer in params]


def test_a_step_of_both_at_once_and_one_after_the_other(x64):
    w, v, rate = 3.0, 0.5, 0.1
    old_v = blame.at_once(bilinear, rate, jnp.ones(2))
    assert moved_by(old_v, w, v) == pytest.approx([w - rate * 2 * v * 0.5, v - rate * 2 * w * 0.5])
    new_v = v - rate * 2 * w * 0.5
    first_v = blame.last_first(bilinear, rate, jnp.array([0.0, 1.0]))
    assert moved_by(first_v, w, v) == pytest.approx([w - rate * 2 * new_v * (new_v * w - 1), new_v])


def test_in_whatever_order_the_updates_are_applied_the_step_is_the_same(x64):
    rng = np.random.default_rng(0)
    params = [Layer(rng.normal(size=(num_out, num_in)), rng.normal(size=num_out)) for num_in, num_out in PAIRS]
    examples = Examples(rng.uniform(size=(7, 4)), np.eye(2)[rng.integers(0, 2, 7)])
    objective = gradients.mean_over_examples(gradients.example_cost(mlp((4, 3, 5, 2)).apply, costs.sum_of_squares))
    slopes_at = jax.jit(jax.grad(objective))
    grads = jax.tree.map(np.asarray, slopes_at(params, examples))
    wanted = jax.tree.map(lambda p, g: p - 0.5 * g, params, grads)
    for order in itertools.permutations(range(3)):
        moved = params
        for layer in order:
            moved = blame.go(moved, grads, 0.5, np.eye(3)[layer])
        jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-15), moved, wanted)
    with_new_v = blame.go(params, grads, 0.5, np.eye(3)[2])
    assert np.max(np.abs(slopes_at(with_new_v, examples)[0].weights - grads[0].weights)) > 1e-4  # taken anew: others


def test_a_layer_that_is_not_free_rests(x64):
    w, v = moved_by(blame.at_once(bilinear, 0.1, jnp.array([0.0, 1.0])), 3.0, 0.5)
    assert w == 3.0
    assert v != 0.5


def test_errors_of_small_steps_are_those_of_the_second_order(x64):
    w, v = 3.0, 0.5
    params = two_weights(w, v)
    found = blame.small_steps(bilinear, lambda p: (p[1].weights * p[0].weights).ravel(), params, EXAMPLES)
    grad_w, grad_v = 2 * v * (w * v - 1), 2 * w * (w * v - 1)
    new_v = v - blame.RATES * grad_v
    np.testing.assert_allclose(found.updates, np.abs(1 - 2 * new_v * (w * new_v - 1) / grad_w), rtol=1e-9)
    new_w = w - blame.RATES * grad_w
    decrease = ((w * v - 1) ** 2 - (new_w * new_v - 1) ** 2) / (blame.RATES * (grad_w**2 + grad_v**2))
    np.testing.assert_allclose(found.decrease, np.abs(1 - decrease), rtol=1e-7)
    curved = blame.RATES**2 * grad_w * grad_v  # what the product v w has beyond its first order
    np.testing.assert_allclose(found.activations, np.abs(curved / (new_w * new_v - w * v)), rtol=1e-7)
    assert float(found.order.max()) < 1e-15


def test_shares_are_squared_lengths_over_the_whole(x64):
    grads = [Layer(jnp.array([[3.0]]), jnp.array([0.0])), Layer(jnp.array([[0.0]]), jnp.array([4.0]))]
    np.testing.assert_allclose(blame.shares(grads), [[9 / 25, 0], [0, 16 / 25]])


def test_damage_shuffles_the_weights_of_one_layer_and_touches_nothing_else():
    rng = np.random.default_rng(0)
    params = [
        Layer(jnp.array(rng.normal(size=(4, 3))), jnp.ones(4)),
        Layer(jnp.array(rng.normal(size=(2, 4))), jnp.ones(2)),
    ]
    networks = jax.jit(blame.damaged)(params, jax.random.key(0))
    for at_fault in (0, 1):
        for index, (layer, whole) in enumerate(zip(networks, params, strict=True)):
            assert (layer.weights[at_fault] == whole.weights).all() == (index != at_fault)
            np.testing.assert_array_equal(
                np.sort(layer.weights[at_fault], axis=None), np.sort(whole.weights, axis=None)
            )
            np.testing.assert_array_equal(layer.biases[at_fault], whole.biases)


def test_a_hit_is_the_largest_of_its_own_row():
    matrix = np.array([[[2.0, 1.0], [3.0, 1.0]]])
    np.testing.assert_array_equal(blame.hits(matrix), [[True, False]])
    np.testing.assert_array_equal(blame.rises(matrix - 1.5), [[True, False]])


def test_batches_are_as_many_as_asked_for_over_several_epochs():
    rows = np.asarray(blame.batches(jax.random.key(0), dataclasses.replace(SMALL, batch_size=3), 10, 7))
    assert rows.shape == (7, 3)
    assert len(np.unique(rows[:3])) == len(np.unique(rows[3:6])) == 9


def test_a_batch_larger_than_the_data_is_refused(small_mnist, tmp_path):
    with pytest.raises(SettingsError, match=r"--batch-size is 601; .* has 600 training images, so give 1 up to 600"):
        blame.run(dataclasses.replace(SMALL, dataset=str(small_mnist), batch_size=601, out=tmp_path))
