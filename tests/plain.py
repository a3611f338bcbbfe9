"""The film's network in float64 numpy, one loop after the other: what the experiments' runs are held against. Its
gradients are held against finite differences in test_plain.py."""

import functools
import operator

import jax
import numpy as np

from experiments.common import posing, runs
from research.models import Layer, mlp


def sigmoid(sums):
    return 1 / (1 + np.exp(-sums))


def activations(params, inputs):
    """Of all layers, the inputs first; inputs: images, pixels, bytes or numbers from 0 to 1."""
    inputs = np.asarray(inputs)
    found = [inputs / 255 if inputs.dtype == np.uint8 else inputs.astype(float)]
    for layer in params:
        found.append(sigmoid(found[-1] @ np.asarray(layer.weights, float).T + np.asarray(layer.biases, float)))
    return found


def costs(params, examples):
    """C of every example."""
    return ((activations(params, examples.inputs)[-1] - np.asarray(examples.targets, float)) ** 2).sum(axis=1)


def accuracy(params, examples):
    """The share of the examples at which the largest output is the right one."""
    return np.mean(activations(params, examples.inputs)[-1].argmax(axis=1) == np.argmax(examples.targets, axis=1))


def errors(params, examples):
    """(dC/dz, the activations before it) of every layer, a row for every example."""
    reached, found = activations(params, examples.inputs), []
    error = 2 * (reached[-1] - np.asarray(examples.targets, float))
    for layer, before, after in zip(params[::-1], reached[-2::-1], reached[:0:-1], strict=True):
        error = error * after * (1 - after)
        found.insert(0, (error, before))
        error = error @ np.asarray(layer.weights, float)
    return found


def gradients(params, examples):
    """dC/dtheta of every example: layers like `params`, with a leading axis of examples."""
    return [Layer(error[:, :, None] * before[:, None], error) for error, before in errors(params, examples)]


def gradient(params, examples):
    """Their mean."""
    return [Layer(error.T @ before / len(error), error.mean(axis=0)) for error, before in errors(params, examples)]


def rows(examples, chosen):
    """Some of the examples."""
    return type(examples)(*(np.asarray(part)[np.asarray(chosen)] for part in examples))


def flat(layers, leading=0):
    """All numbers of layers in one row, each behind its `leading` axes, in the order of jax.tree.leaves."""
    parts = [np.asarray(part, float) for layer in layers for part in layer]
    return np.concatenate([part.reshape(*part.shape[:leading], -1) for part in parts], axis=-1)


def step(params, examples, rate):
    """params - rate * gradient."""
    nudged = zip(params, gradient(params, examples), strict=True)
    return [Layer(weights - rate * by.weights, biases - rate * by.biases) for (weights, biases), by in nudged]


def descend(params, examples, schedule, rate):
    """The parameters before the first step and after every one; schedule: steps, batch."""
    passed = [params]
    for batch in np.asarray(schedule):
        passed.append(step(passed[-1], rows(examples, batch), rate))
    return passed


@functools.cache
def starts_and_keys(seed, num_seeds, layer_sizes):
    init_keys, shuffle_keys = runs.seed_keys(seed, num_seeds)
    leading = jax.device_get(jax.jit(jax.vmap(mlp(layer_sizes).init))(init_keys))
    return [jax.tree.map(operator.itemgetter(index), leading) for index in range(num_seeds)], shuffle_keys


def begin(settings):
    """(training examples, test examples, every seed's start, every seed's key for shuffling) of a run of the film's
    network, as the house gives them to an experiment."""
    train, test = posing.load(settings)
    sizes = tuple(posing.sizes_for(settings, train))
    return train, test, *starts_and_keys(settings.seed, settings.num_seeds, sizes)
