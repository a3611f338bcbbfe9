"""The film's network in float64 numpy, one loop after the other: what the experiments' runs are held against. Its
gradients are held against finite differences in test_plain.py."""

import functools
import itertools

import jax
import numpy as np
import threefry

from experiments.common import asking, descents, hills, posing, runs
from research import training
from research.models import Layer


def sigmoid(sums):
    return 1 / (1 + np.exp(-sums))


def activations(params, inputs):
    """Of all layers, the inputs first; inputs: images, pixels, bytes or numbers from 0 to 1."""
    inputs = np.asarray(inputs)
    found = [inputs / 255 if inputs.dtype == np.uint8 else np.asarray(inputs, float)]
    for layer in params:
        found.append(sigmoid(found[-1] @ np.asarray(layer.weights, float).T + np.asarray(layer.biases, float)))
    return found


def costs(params, examples):
    """C of every example."""
    return ((activations(params, examples.inputs)[-1] - np.asarray(examples.targets, float)) ** 2).sum(axis=1)


def accuracy(params, examples):
    """The share of the examples at which the largest output is the right one."""
    return np.mean(activations(params, examples.inputs)[-1].argmax(axis=1) == np.argmax(examples.targets, axis=1))


def of_squares(outputs, targets):
    """dC/dz of the outputs of the film's cost."""
    return 2 * (outputs - targets) * outputs * (1 - outputs)


def of_cross_entropy(outputs, targets):
    """Of Nielsen's."""
    return outputs - targets


def of_softmax(outputs, targets):
    """Of softmax cross-entropy of the last weighted sums, whose sigmoids the outputs are here."""
    odds = outputs / (1 - outputs)
    return odds / odds.sum(axis=1, keepdims=True) - targets


def errors(params, examples, of_outputs=of_squares):
    """(dC/dz, the activations before it) of every layer, a row for every example."""
    reached, found = activations(params, examples.inputs), []
    error = of_outputs(reached[-1], np.asarray(examples.targets, float))
    for index in reversed(range(len(params))):
        before = reached[index]
        found.insert(0, (error, before))
        error = error @ np.asarray(params[index].weights, float) * before * (1 - before) if index else None
    return found


def gradients(params, examples):
    """dC/dtheta of every example: layers like `params`, with a leading axis of examples."""
    return [Layer(error[:, :, None] * before[:, None], error) for error, before in errors(params, examples)]


def gradient(params, examples, of_outputs=of_squares):
    """Their mean."""
    found = errors(params, examples, of_outputs)
    return [Layer(error.T @ before / len(error), error.mean(axis=0)) for error, before in found]


def products(params, examples):
    """g_i . g_j of every two of the examples."""
    return sum((error @ error.T) * (before @ before.T + 1) for error, before in errors(params, examples))


def sharpness(params, examples):
    """The largest eigenvalue of H where no layer is hidden: H falls apart into 1/N sum_i c_i a_i a_i^T of every output,
    and sqrt(K) diag(c) sqrt(K) / N with K_ij = a_i . a_j has the same eigenvalues."""
    inputs, outputs = activations(params, examples.inputs)
    slopes, targets = outputs * (1 - outputs), np.asarray(examples.targets, float)
    curved = 2 * slopes**2 + 2 * (outputs - targets) * slopes * (1 - 2 * outputs)
    values, vectors = np.linalg.eigh(inputs @ inputs.T + 1)
    root = vectors * np.sqrt(np.maximum(values, 0)) @ vectors.T
    return np.linalg.eigvalsh(root @ (curved.T[:, :, None] * root)).max() / len(inputs)


def rows(examples, chosen):
    """Some of the examples."""
    return type(examples)(*(np.asarray(part)[np.asarray(chosen)] for part in examples))


def flat(layers, leading=0):
    """All numbers of layers in one row, each behind its `leading` axes, in the order of jax.tree.leaves."""
    parts = [np.asarray(part, float) for layer in layers for part in layer]
    return np.concatenate([part.reshape(*part.shape[:leading], -1) for part in parts], axis=-1)


def scatter(params, examples, of_outputs=of_squares):
    """tr(Sigma) of the examples' gradients."""
    parts = errors(params, examples, of_outputs)
    squares = [(error**2).sum(axis=1) * (1 + (before**2).sum(axis=1)) for error, before in parts]
    return np.sum(squares, axis=0).mean() - (flat(gradient(params, examples, of_outputs)) ** 2).sum()


def relative_distance(found, wanted):
    """|found - wanted| / |wanted|, of all numbers of two trees."""
    one, other = (np.concatenate([np.ravel(leaf) for leaf in jax.tree.leaves(tree)]).astype(float)
                  for tree in (found, wanted))  # fmt: skip
    return np.linalg.norm(one - other) / np.linalg.norm(other)


def unflat(row, params):
    """Layers like `params` of the numbers in a row."""
    parts = [part for layer in params for part in layer]
    cut = np.split(row, np.cumsum([part.size for part in parts])[:-1])
    shaped = [numbers.reshape(part.shape) for numbers, part in zip(cut, parts, strict=True)]
    return [Layer(*pair) for pair in zip(shaped[::2], shaped[1::2], strict=True)]


def spectrum(params, examples, num_products):
    """Eigenvalues of the Hessian in the space of the gradient and what so many products with the Hessian make of it,
    in growing order: the extreme ones are known first. Products are differences of gradients."""
    at, here, basis, products = flat(params), flat(gradient(params, examples)), [], []
    for _ in range(num_products):
        along = products[-1] if products else here
        along = along - sum(each * (each @ along) for each in basis)
        basis.append(along / np.linalg.norm(along))
        products.append((flat(gradient(unflat(at + 1e-6 * basis[-1], params), examples)) - here) / 1e-6)
    return np.linalg.eigvalsh(np.array(basis) @ np.array(products).T)


def step(params, examples, rate, decay=0.0, of_outputs=of_squares):
    """params - rate * gradient, the weights' with decay * weights besides."""
    nudged = zip(params, gradient(params, examples, of_outputs), strict=True)
    return [
        Layer(weights - rate * (by.weights + decay * weights), biases - rate * by.biases)
        for (weights, biases), by in nudged
    ]


def descend(params, examples, schedule, rate, **how):
    """The parameters before the first step and after every one; schedule: steps, batch; rate: one, or every step's."""
    passed = [params]
    for batch, now in zip(np.asarray(schedule), np.broadcast_to(rate, len(schedule)), strict=True):
        passed.append(step(passed[-1], rows(examples, batch), now, **how))
    return passed


def falling(rate, num_steps):
    """The rate of every step: constant in the first half, then falling to 0."""
    return rate * np.minimum(1, 2 - np.arange(num_steps) / (num_steps // 2))


def trained(settings, train, starts):
    """Where the long training of every seed ends."""
    size, orders = settings.start_batch_size, shuffles(settings, len(train.inputs), settings.start_epochs)
    batches = training.in_batches(orders, size).reshape(len(orders), -1, size)
    rates = falling(settings.start_learning_rate, batches.shape[1])
    return [descend(start, train, steps, rates)[-1] for start, steps in zip(starts, batches, strict=True)]


def starts_and_keys(seed, num_seeds, layer_sizes):
    starts = [start(key, layer_sizes) for key, _ in threefry.seed_keys(seed, num_seeds)]
    return starts, runs.seed_keys(seed, num_seeds)[1]


def start(key, layer_sizes, scale=lambda num_in: num_in**-0.5, biases=0.0):
    """Plain layers with weights from N(0, scale^2) and biases from N(0, biases^2), in float32, as models.mlp."""
    layers = []
    for index, (num_in, num_out) in enumerate(itertools.pairwise(layer_sizes)):
        for_weights, for_biases = threefry.split(threefry.fold_in(key, index))
        weights = scale(num_in) * threefry.normal(for_weights, (num_out, num_in))
        layers.append(Layer(np.float32(weights), np.float32(biases * threefry.normal(for_biases, (num_out,)))))
    return layers


def normal_starts(settings, layer_sizes):
    """Every seed's start with all parameters from N(0, 1)."""
    keys = threefry.seed_keys(settings.seed, settings.num_seeds)
    return [start(key, layer_sizes, scale=lambda _: 1.0, biases=1.0) for key, _ in keys]


def shuffles(settings, num_examples, num_epochs):
    """(seeds, epochs, examples): every seed's order of the examples in every epoch, as descents.shuffles."""
    keys = [key for _, key in threefry.seed_keys(settings.seed, settings.num_seeds)]
    return np.stack([threefry.shuffles(key, num_examples, num_epochs) for key in keys])


def begin(settings):
    """(training examples, test examples, every seed's start, every seed's key for shuffling) of a run of the film's
    network, as the house gives them to an experiment."""
    train, test = posing.load(settings)
    sizes = tuple(posing.sizes_for(settings, train))
    return train, test, *starts_and_keys(settings.seed, settings.num_seeds, sizes)


def untrained_and_trained(settings):
    """(training examples, the networks that asking.untrained_and_trained gives: every seed's start, then its end)."""
    train, _, starts, _ = begin(settings)
    orders = asking.shuffles(settings.seed, len(starts), settings.num_epochs, len(train.inputs))
    schedules = orders.reshape(len(starts), -1, 100)
    paths = [descend(start, train, *of, settings.learning_rate) for start, *of in zip(starts, schedules, strict=True)]
    return train, starts + [passed[-1] for passed in paths]


def heights_above(settings):
    """Rows of all parameters -> the cost at each of the network of a run, on its training examples."""
    train, _, (like, *_), _ = begin(settings)
    images = train.inputs / 255

    def heights(points):
        networks = [unflat(point, like) for point in points]
        sums = images @ np.concatenate([first.weights for first, *_ in networks]).T  # one product for all
        seen = zip(networks, np.split(sums, len(networks), axis=1), strict=True)
        inner = [(rest, train._replace(inputs=sigmoid(part + first.biases))) for (first, *rest), part in seen]
        return np.array([costs(rest, examples).mean() for rest, examples in inner])

    return heights


def paths(starts, examples, schedules, rate):
    """What `descend` passes, flat, from every start through its schedule: starts, steps + 1, parameters."""
    examples = examples._replace(inputs=examples.inputs / 255)
    each = zip(starts, schedules, strict=True)
    return np.stack([[flat(params) for params in descend(start, examples, steps, rate)] for start, steps in each])


@functools.cache
def walked(settings):
    """The paths of every way of experiments.common.walks, the full batch first."""
    train, _, starts, _ = begin(settings)
    count = len(train.inputs)
    order = shuffles(settings, count, settings.num_epochs)
    whole = np.broadcast_to(np.arange(count), (settings.num_seeds, settings.num_steps, count))
    ways = [(whole, rate) for rate in settings.full_batch_learning_rates]
    ways += [(descents.in_batches(order, size), rate)
             for size, rate in zip(settings.batch_sizes, settings.learning_rates, strict=True)]  # fmt: skip
    return [paths(starts, train, schedules, rate) for schedules, rate in ways]


def look_down(heights, origin, directions, paths, resolution, *, reach=0.0, every=1):
    """What hills.View shows of paths on this plane; the surface at every so many points of the grid."""
    shadows = [(path - origin) @ directions.T for path in paths]
    low, high = (of(np.concatenate(shadows), axis=0) for of in (np.min, np.max))
    half = np.maximum(0.75 * (high - low), reach)
    alphas, betas = np.linspace((low + high) / 2 - half, (low + high) / 2 + half, resolution).T
    grid = np.array([[(alpha, beta) for beta in betas[::every]] for alpha in alphas[::every]])
    surface = heights(origin + grid.reshape(-1, 2) @ directions).reshape(grid.shape[:2])
    away = [np.linalg.norm(path - origin - shadow @ directions, axis=1)
            for path, shadow in zip(paths, shadows, strict=True)]  # fmt: skip
    return hills.View(alphas, betas, surface, tuple(shadows), tuple(away))


def same_view(found, expected):
    for field, one, other in zip(hills.View._fields, found, expected, strict=True):
        each = zip(one, other, strict=True) if isinstance(other, tuple) else [(one, other)]
        for part, wanted in each:
            np.testing.assert_allclose(part, wanted, rtol=1e-4, atol=1e-4, err_msg=field)
