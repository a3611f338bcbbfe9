"""From settings to a problem: the data loaded, the functions found, network and cost tried."""

from typing import Any

import jax

from experiments.common import bounds, cli, problem
from experiments.common.bounds import blaming, require, typed
from experiments.common.problem import Problem
from research import data, models, sharding
from research.data import Examples
from research.models import Model


def pose(settings: Any) -> Problem:
    """The problem that the settings pose: data loaded, functions found, network and cost tried on a few examples."""
    train, test = load(settings)
    shape = data.image_shape(settings.dataset, data_dir=settings.data_dir)
    cost_fn = cli.import_function("--cost", settings.cost, "research.costs")
    if settings.model:
        function = cli.import_function("--model", settings.model, "")
        model, activations, mlp = own_model(function, settings, shape, train), None, None
    else:
        model, activations, mlp = layers(settings, train)
    posed = Problem(model, cost_fn, train, test, shape, activations, mlp)
    problem.try_out(posed)
    return posed._replace(train=sharding.on_every_device(train), test=sharding.on_every_device(test))


def load(settings: Any) -> tuple[Examples, Examples]:
    """The training examples that the settings ask for, and all test examples, as numpy arrays."""
    train, test = (data.load(settings.dataset, split, data_dir=settings.data_dir) for split in ("train", "test"))
    bounds.check_with_data(settings, settings.dataset, {"train": len(train.inputs), "test": len(test.inputs)})
    train = data.take(train, slice(settings.num_examples))
    what = f"{settings.dataset}, cut by --num-examples,"
    bounds.check_with_data(settings, what, {"train": len(train.inputs), "test": len(test.inputs)})
    return train, test


def own_model(function: Any, settings: Any, shape: tuple[int, int, int], train: Examples) -> Model:
    """The network that --model makes for these images."""
    num_classes = train.targets.shape[-1]
    asked = f"(image_shape, num_classes) = ({shape}, {num_classes})"
    with blaming(f"--model is {settings.model}, which made no network of {asked}"):
        made = function(shape, num_classes)
    return problem.as_model(made, settings.model, train.inputs.shape[-1])


def functions_of(settings: Any) -> tuple:
    """The functions behind --activation, --output-activation and --init-weights."""
    return (
        cli.import_function("--activation", settings.activation, "jax.nn"),
        cli.import_function("--output-activation", settings.output_activation, "jax.nn"),
        cli.import_function("--init-weights", settings.init_weights, "research.models"),
    )


def layers(settings: Any, train: Examples) -> tuple:
    """(plain layers, their activations, how to make such layers of other sizes); activations are None where one does
    not take each number alone."""
    *activations, init_weights = functions_of(settings)

    def mlp(sizes: tuple[int, ...]) -> Model:
        return models.mlp(sizes, *activations, init_weights=init_weights)

    model = mlp(sizes_for(settings, train))
    with blaming(
        f"--init-weights is {settings.init_weights}, which draws no weights",
        "it must be a function of (key, shape, dtype), such as research.models:unit_normal",
    ):
        jax.eval_shape(model.init, jax.random.key(0))
    by_hand = all(map(problem.works_number_by_number, activations))
    return model, tuple(activations) if by_hand else None, mlp


def sizes_for(settings: Any, examples: Examples) -> tuple[int, ...]:
    """The layer sizes, the first and the last taken from the data where none are given, else checked against it."""
    num_in, num_out = examples.inputs.shape[-1], examples.targets.shape[-1]
    sizes = settings.layer_sizes or (num_in, 16, 16, num_out)
    require(
        len(sizes) > 1 and (sizes[0], sizes[-1]) == (num_in, num_out),
        f"{typed('--layer-sizes', sizes)}: for {settings.dataset} it must begin with {num_in} pixels and end with "
        f"{num_out} classes, such as {num_in} 16 16 {num_out}",
    )
    return sizes
