"""A convolutional network, or that of --model, and plain layers beside it: posed alike, trained on the same batches."""

import dataclasses
from typing import Annotated, NamedTuple

import jax
import numpy as np
import optax
from annotated_types import Ge
from jax import Array
from jax.flatten_util import ravel_pytree

from experiments.common import cli, descents, experiment, filters, posing, runs
from experiments.common.bounds import Count, first_line, of_train, require
from experiments.common.descents import Method
from experiments.common.problem import Problem, try_out
from research import costs, flax_models, models
from research.data import Examples
from research.training import TrainState

NAMES = ("convolutional", "plain")
LEGS_PER_EPOCH = 5  # looks at accuracy and place


@dataclasses.dataclass(frozen=True)
class Settings(experiment.Settings):
    # --layer-sizes and --activation are those of the plain network
    cost: str = "research.costs:softmax_cross_entropy"
    """The cost of one example for both networks, package.module:function; this one takes weighted sums for output."""
    output_activation: str = "jax.nn:identity"
    """Activation of the last layer of both networks (a --model has its own); a cost of outputs between 0 and 1 wants
    jax.nn:sigmoid."""
    num_seeds: Count = 2
    """How many runs, each with its own start and its own shuffles."""
    batch_size: Annotated[int, Ge(1), of_train] = 50
    """Examples in a mini-batch; five batches or more make an epoch."""
    num_epochs: Annotated[int, Ge(1)] = 5
    """Passes over the training set."""

    @property
    def have_usual_outputs(self) -> bool:
        """Whether cost, outputs and network are those for which learning rates are known, however they are spelled."""
        functions = (cli.import_function("--cost", self.cost, "research.costs"), posing.functions_of(self)[1])
        return not self.model and functions == (costs.softmax_cross_entropy, jax.nn.identity)

    @property
    def are_usual(self) -> bool:
        """Whether also the data and the plain network are those for which the literature has numbers."""
        squashed = dataclasses.replace(self, output_activation=experiment.Settings.output_activation)
        return self.have_usual_outputs and squashed.has_films_network and self.dataset == Settings.dataset


class Trained(NamedTuple):
    epochs: np.ndarray  # looks
    accuracy: np.ndarray  # seeds, looks; on the test set
    places: np.ndarray  # seeds, looks, parameters
    end: models.Params  # every leaf leads with a seed axis
    seconds: float  # all seeds, compilation apart


def pose(problem: Problem, settings: Settings) -> tuple[Problem, Problem]:
    """The same problem for the convolutional network, or that of --model, and for the plain one; explicitly."""
    num_examples, most = len(problem.train.inputs), len(problem.train.inputs) // LEGS_PER_EPOCH
    require(
        settings.batch_size <= most,
        f"--batch-size is {settings.batch_size}, too large for {num_examples} images; give at most {most}, so that "
        f"{LEGS_PER_EPOCH} batches make an epoch",
    )
    explicitly = problem._replace(activations=None)
    if settings.model:
        plain = explicitly._replace(model=posing.layers(settings, problem.train)[0])
        try_out(plain)
        return explicitly, plain
    try:
        inner = flax_models.from_nnx(filters.network(problem.image_shape, problem.train.targets.shape[-1]))
    except ValueError as error:
        require(False, f"{first_line(error)}; give a --model of your own")
        raise
    activation = posing.functions_of(settings)[1]
    conv = models.Model(inner.init, lambda params, inputs: activation(inner.apply(params, inputs)))
    return explicitly._replace(model=conv), explicitly


def falling(rate: float | Array, num_steps: int) -> optax.GradientTransformation:
    """Descent with a learning rate that falls to zero in the second half of the steps."""
    return optax.sgd(descents.falling(rate, num_steps))  # pyright: ignore[reportArgumentType]


def look(problem: Problem, shared: tuple[Examples, Examples], state: TrainState) -> tuple[Array, Array]:
    """(accuracy on the test set, the flat point)."""
    return problem.accuracy(state.params, shared[1]), ravel_pytree(state.params)[0]


def train(
    name: str, problem: Problem, settings: Settings, rate: float, starts: models.Params, order: np.ndarray
) -> Trained:
    """Trains from every seed's start with a rate that falls; `order` (seeds, epochs, examples): shuffles."""
    rows = descents.in_batches(order[:, : settings.num_epochs], settings.batch_size)
    legs = descents.in_equal_legs(rows, LEGS_PER_EPOCH * settings.num_epochs)
    optimizer = falling(rate, legs.shape[1] * legs.shape[2])
    loop = descents.minibatch_legs(problem, Method(name, settings.batch_size, optimizer), look)
    chunks = [(chunk,) for chunk in np.split(legs, settings.num_epochs, axis=1)]
    state = TrainState(starts, jax.vmap(optimizer.init)(starts))
    run = runs.descend(name, loop, state, (problem.train, problem.test), chunks)
    epochs = run.steps * settings.batch_size / order.shape[-1]
    accuracy, places = run.history.observed
    return Trained(epochs, accuracy, places, run.state.params, run.run_seconds)
