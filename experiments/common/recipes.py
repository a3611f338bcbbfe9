"""Two ways of teaching, compared where labels are asked about: Nielsen's, whose numbers are known, and the film's."""

from typing import NamedTuple

import jax
import numpy as np
import optax
from jax import Array

from experiments.common import descents
from experiments.common.problem import Problem, name_of
from research import costs, models, training
from research.models import Layer
from research.training import TrainState

BATCH = 10
FILMS_RATE = 1.5  # Nielsen's 3.0 for the quadratic cost, without his 1/2


class Recipe(NamedTuple):
    """A network with its cost, how it is taught, and every seed's start: leaves lead with seeds."""

    label: str
    problem: Problem
    optimizer: optax.GradientTransformation
    starts: models.Params

    @property
    def step(self) -> training.Step:
        """One step on a batch."""
        return descents.make_step(self.problem, descents.Method(self.label, BATCH, self.optimizer))


def nielsens(problem: Problem, init_keys: Array) -> Recipe:
    """The recipe of his figure on more data: 784-30-10, cross-entropy of sigmoid outputs, all parameters from N(0, 1),
    batches of 10, rate 0.5; the weights, not the biases, decay by 0.5 * 0.0001 a step."""
    sizes = (problem.train.inputs.shape[-1], 30, problem.train.targets.shape[-1])
    normal, activations = models.unit_normal, (jax.nn.sigmoid, jax.nn.identity)
    model = models.mlp(sizes, *activations, init_weights=normal, init_biases=normal)
    decay = optax.add_decayed_weights(1e-4, mask=lambda params: [Layer(True, False) for _ in params])  # pyright: ignore
    posed = problem._replace(model=model, cost_fn=costs.sigmoid_cross_entropy, activations=activations)
    label = f"{'-'.join(map(str, sizes))}, cross-entropy"
    return Recipe(label, posed, optax.chain(decay, optax.sgd(0.5)), descents.starts(posed, init_keys))


def films(problem: Problem, init_keys: Array) -> Recipe:
    """The network and the cost of the settings, the film's by default; plain layers are named by their sizes."""
    starts, network = descents.starts(problem, init_keys), "your network"
    if problem.mlp is not None:
        *_, num_inputs = starts[0].weights.shape
        network = "-".join(map(str, [num_inputs, *(layer.biases.shape[-1] for layer in starts)]))
    return Recipe(f"{network}, {name_of(problem.cost_fn)}", problem, optax.sgd(FILMS_RATE), starts)


def begin(recipe: Recipe, times: int) -> TrainState:
    """Every seed's start, so many times over: leaves (times * seeds, ...)."""
    params = jax.tree.map(lambda leaf: np.tile(leaf, (times,) + (1,) * (leaf.ndim - 1)), recipe.starts)
    return TrainState(params, jax.vmap(recipe.optimizer.init)(params))
