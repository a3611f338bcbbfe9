"""What is posed is tried before work starts: costs, activations, a user's own models; and both ways to statistics."""

import dataclasses
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen, nnx
from helpers import make_examples, make_params

from experiments.common import bounds, posing, problem
from experiments.common.bounds import SettingsError
from experiments.common.experiment import Settings
from experiments.common.long_training import PlainSettings
from experiments.common.problem import Problem
from research import costs, models, statistics
from research.data import Examples

MODEL = models.mlp((12, 5, 4))


def examples_of(num_examples=20):
    inputs = jnp.arange(num_examples * 12, dtype=jnp.uint8).reshape(num_examples, 12)
    return Examples(inputs, jnp.eye(4)[jnp.arange(num_examples) % 4])


def posed(cost_fn=costs.sum_of_squares, model=MODEL):
    return Problem(model, cost_fn, examples_of(), examples_of(), (3, 4, 1))


def test_layer_sizes_come_from_the_data_and_must_fit_them():
    assert posing.sizes_for(Settings(), examples_of()) == (12, 16, 16, 4)
    assert posing.sizes_for(Settings(layer_sizes=(12, 3, 4)), examples_of()) == (12, 3, 4)
    for sizes in ((784, 10), (12,)):
        with pytest.raises(SettingsError, match=r"^--layer-sizes .* begin with 12 pixels and end with 4 classes"):
            posing.sizes_for(Settings(layer_sizes=sizes), examples_of())


def test_a_batch_of_more_images_than_are_asked_for_is_refused(small_mnist):
    settings = PlainSettings(dataset=str(small_mnist), num_examples=100, batch_size=100)
    with pytest.raises(SettingsError, match=r"--batch-size is 100; .*, cut by --num-examples, has 100 train images"):
        posing.load(settings)
    train, test = posing.load(dataclasses.replace(settings, batch_size=99))
    assert (len(train.inputs), len(test.inputs)) == (100, 200)


def test_a_gpu_takes_as_many_images_at_a_time_as_fit_into_its_share_of_memory(monkeypatch):
    wide = posed()._replace(train=Examples(np.zeros((2, 784), np.uint8), np.eye(2)))
    assert wide.chunk_size == problem.CHUNK
    monkeypatch.setattr(problem.jax, "default_backend", lambda: "gpu")
    as_float32 = np.zeros(784, np.float32).nbytes
    assert wide.chunk_size * as_float32 <= 2**28 < (wide.chunk_size + 1) * as_float32


@pytest.mark.parametrize(
    ("name", "way", "on_cpu"),
    [("explicit", "moments", 25), ("explicit", "weighted_sums", 100),
     ("statistics", "moments", 500), ("statistics", "weighted_sums", 500)],
)  # fmt: skip
def test_statistics_take_as_many_gradients_at_a_time_as_fit_there(name, way, on_cpu, monkeypatch):
    """Their chunks are seen where the examples are cut, 89 numbers in each gradient, 1 KiB of room."""
    examples, sizes = make_examples(jax.random.key(1), 3), []
    given = (make_params(jax.random.key(0)), examples, *([jnp.ones((3, 1))] if way == "weighted_sums" else []))
    by_hand = Problem(models.mlp((12, 5, 6, 4)), costs.sum_of_squares, examples, examples, (3, 4, 1),
                      (jax.nn.sigmoid, jax.nn.sigmoid))  # fmt: skip
    cut = statistics.gradients.scan_in_chunks
    monkeypatch.setattr(problem, "ROOM", 1024)
    monkeypatch.setattr(statistics.gradients, "scan_in_chunks", lambda *given: sizes.append(given[3]) or cut(*given))
    for backend in ("cpu", "gpu"):
        monkeypatch.setattr(problem.jax, "default_backend", lambda backend=backend: backend)
        getattr(getattr(by_hand, name), way)(*given)
    assert sizes == [on_cpu, 1024 // (4 * by_hand.num_parameters)]


@pytest.mark.parametrize(
    ("cost_fn", "sentence"),
    [
        (lambda output, target: output - target, "returned shape (4,)"),
        (lambda output, target: jnp.argmax(output), "returned int32"),
        (lambda output, target: jnp.log(-jnp.sum(output)), "or its gradient is not a finite number"),
        (lambda output, target: jnp.mean(jnp.sum((output - target) ** 2, axis=1)),  # of a batch
         "failed on one example (shapes (4,) and (4,))"),
        (lambda output, target: (jnp.sum(output), jnp.sum(target)), "returned a tuple"),
        (lambda output, target: jnp.sum(output) * float(jnp.sum(target)),  # jax explains over several lines why not
         "failed on one example (shapes (4,) and (4,)): ConcretizationTypeError: "),
        (lambda output, target: np.sum(np.abs(output)), f"failed on one example.*; {bounds.TRACED}$"),
        (lambda output, target: output[0] if output[0] > 0 else 1.0, f"failed on one example.*; {bounds.TRACED}$"),
        (lambda output, target: jax.lax.while_loop(lambda cost: cost > 1, lambda cost: cost / 2, jnp.sum(output)),
         "cannot be taken"),
        (lambda output: output.sum(), "failed on one example"),
    ],
)  # fmt: skip
def test_a_cost_that_is_none_is_refused(cost_fn, sentence):
    cost_fn.__name__ = "my_cost"
    with pytest.raises(SettingsError) as error:
        problem.try_out(posed(cost_fn))
    pattern = sentence if bounds.TRACED in sentence else re.escape(sentence)
    assert re.search("(?:^|of )the cost my cost " + pattern, str(error.value))
    assert "pure function of ONE output and ONE target" in str(error.value)
    assert "\n" not in str(error.value)


def model_of(params, apply):
    return models.Model(lambda key: params, apply)


@pytest.mark.parametrize(
    ("model", "sentence"),
    [
        (
            model_of({}, lambda params, inputs: inputs[:4]),
            "^the parameters of the network are none; --model must",
        ),
        (
            model_of(jnp.ones((4, 12), int), lambda params, inputs: params @ inputs),
            "^the parameters of the network are int.*; --model must",
        ),
        (models.mlp((12, 5, 4), activation=lambda z: jnp.log(-jnp.abs(z))), "^a network .* not finite; --activation, "),
        (
            model_of(jnp.ones((4, 12)), lambda params, inputs: (params @ inputs).at[0].set(jnp.nan)),
            "^a network .* not finite",
        ),
        (models.mlp((12, 5, 4), activation=lambda z: jnp.sqrt(0 * z)), "outputs are; .* and --model must have finite "),
    ],
    ids=["no parameters", "integers", "NaN", "one output of NaN", "a slope of NaN"],
)
def test_what_is_the_networks_fault_is_not_called_the_costs(model, sentence):
    with pytest.raises(SettingsError, match=sentence):
        problem.try_out(posed(model=model))


def test_a_cost_that_depends_on_nothing_is_refused():
    with pytest.raises(SettingsError, match="is 0 for every parameter of a random network, so there is no way"):
        problem.try_out(posed(lambda output, target: jnp.sum(target)))


def test_a_cost_that_is_one_is_accepted():
    problem.try_out(posed(lambda output, target: jnp.max(jnp.abs(output - target))))


def test_a_parameter_that_nothing_depends_on_is_no_fault():
    params = {"idle": jnp.ones(3), "weights": jnp.ones((4, 12))}
    problem.try_out(posed(model=model_of(params, lambda params, inputs: params["weights"] @ inputs)))


@pytest.mark.parametrize("path", ["glu", "jax.numpy:sum", "math:sin", "one_hot"])
@pytest.mark.parametrize("field", ["activation", "output_activation"])
def test_an_activation_that_keeps_no_shape_is_refused(field, path):
    model, *_ = posing.layers(dataclasses.replace(Settings(), **{field: path}), examples_of())
    with pytest.raises(SettingsError, match="keep"):
        problem.try_out(posed(model=model))


def test_weights_are_drawn_by_the_function_that_is_named():
    settings = Settings(layer_sizes=(12, 4), init_weights="unit_normal")
    found = posing.layers(settings, examples_of())[0].init(jax.random.key(3))
    expected = models.mlp((12, 4), init_weights=models.unit_normal).init(jax.random.key(3))
    assert (found[0].weights == expected[0].weights).all()


@pytest.mark.parametrize("path", ["jax.nn:relu", "jax.nn.initializers:he_normal"])  # the latter makes such a function
def test_what_draws_no_weights_is_refused(path):
    with pytest.raises(SettingsError, match=r"--init-weights is .* which draws no weights"):
        posing.layers(Settings(layer_sizes=(12, 4), init_weights=path), examples_of())


@pytest.mark.parametrize("field", ["activation", "output_activation", "init_weights"])
def test_a_function_that_does_not_exist_is_refused_by_the_flag_that_names_it(field):
    with pytest.raises(SettingsError, match=f"^--{field.replace('_', '-')} is none_such"):
        posing.functions_of(dataclasses.replace(Settings(), **{field: "none_such"}))


def test_activations_by_hand_are_only_those_that_take_each_number_alone():
    assert posing.layers(Settings(output_activation="softmax"), examples_of())[1] is None
    assert posing.layers(Settings(activation="relu"), examples_of())[1] == (jax.nn.relu, jax.nn.sigmoid)
    with pytest.raises(SettingsError, match="nudges go by hand, which needs plain layers"):
        problem.plain_layers(posed(), "nudges go by hand")


class Linen(linen.Module):
    @linen.compact
    def __call__(self, inputs):
        return linen.Dense(4)(inputs)


@pytest.mark.parametrize(
    "made", [MODEL, Linen(), lambda rngs: nnx.Linear(12, 4, rngs=rngs)], ids=["Model", "linen", "nnx"]
)
def test_a_model_of_a_users_own_may_be_a_model_or_a_module_of_flax(made):
    model = posing.own_model(lambda shape, num_classes: made, Settings(model="my:model"), (3, 4, 1), examples_of())
    problem.try_out(posed(model=model))


def fails(shape, num_classes):
    raise ValueError("no such\nshape")


@pytest.mark.parametrize(
    ("function", "sentence"),
    [
        (
            fails,
            "--model is my:model, which made no network of (image_shape, num_classes) = ((3, 4, 1), 4): ValueError",
        ),
        (lambda shape, num_classes: 7, "--model my:model returned a int; it must return a research.models.Model"),
        (lambda shape, num_classes: lambda rngs: 7, "--model my:model is no model: "),
    ],
)
def test_what_makes_no_model_is_refused(function, sentence):
    with pytest.raises(SettingsError) as error:
        posing.own_model(function, Settings(model="my:model"), (3, 4, 1), examples_of())
    assert sentence in str(error.value)
    assert "\n" not in str(error.value)


def test_both_ways_to_the_statistics_agree(x64):
    params, examples = make_params(jax.random.key(0)), make_examples(jax.random.key(1), 23)
    by_hand = Problem(models.mlp((12, 5, 6, 4)), costs.sum_of_squares, examples, examples, (3, 4, 1),
                      (jax.nn.sigmoid, jax.nn.sigmoid))  # fmt: skip
    weights = jnp.linspace(0, 1, 46).reshape(23, 2)
    for name, more in (("moments", ()), ("weighted_sums", (weights,)), ("dot_products", (examples,))):
        explicit, factored = (
            jax.jit(getattr(each, name))(params, examples, *more) for each in (by_hand.explicit, by_hand.statistics)
        )
        jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-12), explicit, factored)


def test_random_parameters_of_a_layer_have_the_variance_one_over_its_inputs():
    first, _ = problem.random_parameters(models.mlp((400, 100, 4)))
    squares = 400 * first.weights.astype(float) ** 2  # of mean 1 and variance 2
    assert squares.mean() == pytest.approx(1, abs=5 * (2 / squares.size) ** 0.5)
