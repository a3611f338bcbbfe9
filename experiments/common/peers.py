"""The same work done by others, for the benchmark only: numpy by hand, and PyTorch where it is installed, with Opacus
and BackPACK, its two libraries for the gradients of single examples, where these are.

All are of the film's cost and sigmoids; a network is a list of layers (weights, biases), weights (out, in), images are
float32 in [0, 1].
"""

import importlib
import importlib.metadata
import importlib.util
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

Pair = tuple[np.ndarray, np.ndarray]


def sigmoid(z: np.ndarray) -> np.ndarray:
    """1 / (1 + exp(-z)).

    >>> float(sigmoid(np.zeros(())))
    0.5
    """
    return 1 / (1 + np.exp(-z))


def numpy_factors(params: list[Pair], inputs: np.ndarray, targets: np.ndarray) -> list[Pair]:
    """(delta, activations before) of every layer, for a batch: backpropagation in matrix form."""
    activations = [inputs]
    for weights, biases in params:
        activations.append(sigmoid(activations[-1] @ weights.T + biases))
    delta, found = 2 * (activations[-1] - targets), []
    for (weights, _), before, after in zip(params[::-1], activations[-2::-1], activations[:0:-1], strict=True):
        delta = delta * after * (1 - after)
        found.append((delta, before))
        if len(found) < len(params):  # nobody asks for the pixels' derivatives
            delta = delta @ weights
    return found[::-1]


def numpy_gradient(params: list[Pair], inputs: np.ndarray, targets: np.ndarray) -> list[Pair]:
    """Of the mean cost of a batch."""
    factors = numpy_factors(params, inputs, targets)
    return [(delta.T @ before / len(inputs), delta.mean(axis=0)) for delta, before in factors]


def numpy_epoch(
    params: list[Pair], inputs: np.ndarray, targets: np.ndarray, schedule: np.ndarray, rate: float
) -> list[Pair]:
    """The parameters after a step for every row of the schedule (steps, batch)."""
    for rows in schedule:
        grads = numpy_gradient(params, inputs[rows], targets[rows])
        params = [(w - rate * by_w, b - rate * by_b) for (w, b), (by_w, by_b) in zip(params, grads, strict=True)]
    return params


def numpy_variances(params: list[Pair], inputs: np.ndarray, targets: np.ndarray, chunk_size: int = 1000) -> np.ndarray:
    """Of every weight's derivative over the examples, flat, by the outer-product identity."""
    sums, squares = np.zeros(()), np.zeros(())
    for start in range(0, len(inputs), chunk_size):
        rows = slice(start, start + chunk_size)
        factors = numpy_factors(params, inputs[rows], targets[rows])
        sums = sums + np.concatenate([(delta.T @ before).ravel() for delta, before in factors])
        squares = squares + np.concatenate([((delta**2).T @ before**2).ravel() for delta, before in factors])
    return squares / len(inputs) - (sums / len(inputs)) ** 2


def torch_version() -> str:
    """Of the PyTorch that takes part; empty where it is not installed, which this project does not ask for."""
    return version_of("torch", "torch")


def opacus_version() -> str:
    return torch_version() and version_of("opacus", "opacus")


def backpack_version() -> str:
    return torch_version() and version_of("backpack", "backpack-for-pytorch")


def version_of(module: str, package: str) -> str:
    """
    >>> version_of("no_such_module", "no-such-package")
    ''
    """
    return importlib.metadata.version(package) if importlib.util.find_spec(module) else ""


def torch() -> Any:
    return importlib.import_module("torch")


def to_torch(tree: Any) -> Any:
    """Lists and tuples of arrays as plain lists of tensors in the same memory, which nobody may write to."""
    if isinstance(tree, (list, tuple)):
        return [to_torch(each) for each in tree]
    return torch().from_dlpack(np.asarray(tree))


def torch_outputs(params: list, inputs: Any) -> Any:
    """What the network answers, for a batch; every layer (weights, biases) as it comes from `to_torch`."""
    module = torch()
    for weights, biases in params:
        inputs = module.sigmoid(module.nn.functional.linear(inputs, weights, biases))
    return inputs


def torch_gradient(params: list, inputs: Any, targets: Any, chunk_size: int = 60_000) -> list:
    """Of the mean cost, by autograd, flat list of tensors."""
    leaves = [leaf.detach().requires_grad_() for layer in params for leaf in layer]
    for rows, wanted in zip(inputs.split(chunk_size), targets.split(chunk_size), strict=True):
        cost = ((torch_outputs(in_layers(leaves), rows) - wanted) ** 2).sum() / len(inputs)
        cost.backward()
    return [leaf.grad for leaf in leaves]


def in_layers(leaves: list) -> list[tuple]:
    """[w, b, w, b, ...] as [(w, b), (w, b), ...]."""
    return list(zip(leaves[::2], leaves[1::2], strict=True))


def torch_epoch(params: list, inputs: Any, targets: Any, schedule: Any, rate: float) -> list:
    """The parameters after a step of torch.optim.SGD for every row of the schedule, in eager mode."""
    leaves = [leaf.detach().clone().requires_grad_() for layer in params for leaf in layer]
    optimizer = torch().optim.SGD(leaves, lr=rate)
    for rows in schedule:
        optimizer.zero_grad()
        ((torch_outputs(in_layers(leaves), inputs[rows]) - targets[rows]) ** 2).sum(1).mean().backward()
        optimizer.step()
    return [leaf.detach() for leaf in leaves]


def torch_variances(params: list, inputs: Any, targets: Any, chunk_size: int = 100) -> list:
    """Of every component of the gradient over the examples, by torch.func's vmap(grad), in chunks."""

    def cost(leaves: list, image: Any, wanted: Any) -> Any:
        return ((torch_outputs(in_layers(leaves), image) - wanted) ** 2).sum()

    leaves = [leaf for layer in params for leaf in layer]
    grads_of = torch().func.vmap(torch().func.grad(cost), (None, 0, 0))
    return variances_of(lambda *chunk: in_sums(grads_of(leaves, *chunk)), inputs, targets, chunk_size)


def opacus_variances(params: list, inputs: Any, targets: Any, chunk_size: int = 100) -> list:
    """The same by Opacus, whose hooks leave every example's gradient at the parameter."""
    module = importlib.import_module("opacus.grad_sample").GradSampleModule(sequential(params), loss_reduction="sum")

    def sums_of(images: Any, wanted: Any) -> list[tuple]:
        module.zero_grad()
        ((module(images) - wanted) ** 2).sum().backward()
        return in_sums([leaf.grad_sample for leaf in module.parameters()])

    return variances_of(sums_of, inputs, targets, chunk_size)


def backpack_variances(params: list, inputs: Any, targets: Any, chunk_size: int = 100) -> list:
    """The same by BackPACK."""
    backward = backpack_pass(params, "BatchGrad")
    sums_of = lambda *chunk: in_sums([leaf.grad_batch for leaf in backward(*chunk)])
    return variances_of(sums_of, inputs, targets, chunk_size)


def backpack_variances_by_layers(params: list, inputs: Any, targets: Any, chunk_size: int = 1000) -> list:
    """Of the weights only, by BackPACK, which adds up the squares without forming a gradient of a single example."""
    backward = backpack_pass(params, "SumGradSquared")
    sums_of = lambda *chunk: [(leaf.grad, leaf.sum_grad_squared) for leaf in backward(*chunk)[::2]]
    return variances_of(sums_of, inputs, targets, chunk_size)


def in_sums(grads: Iterable) -> list[tuple]:
    """(sum, sum of squares) over the examples, of every leaf (examples, ...)."""
    return [(leaf.sum(0), (leaf * leaf).sum(0)) for leaf in grads]


def variances_of(sums_of: Callable, inputs: Any, targets: Any, chunk_size: int) -> list:
    """Of every leaf, whose (sum, sum of squares) over a chunk `sums_of` gives."""
    totals = []
    for chunk in zip(inputs.split(chunk_size), targets.split(chunk_size), strict=True):
        sums = sums_of(*chunk)
        totals = [(a + c, b + d) for (a, b), (c, d) in zip(totals, sums, strict=True)] if totals else sums
    return [square / len(inputs) - (total / len(inputs)) ** 2 for total, square in totals]


def backpack_pass(params: list, extension: str) -> Any:
    """A function of a batch: the parameters after the way back, with what that extension of BackPACK has left there."""
    backpack, extensions = (importlib.import_module(name) for name in ("backpack", "backpack.extensions"))
    model, cost = backpack.extend(sequential(params)), backpack.extend(torch().nn.MSELoss(reduction="sum"))

    def backward(images: Any, wanted: Any) -> list:
        model.zero_grad()
        with backpack.backpack(getattr(extensions, extension)()):
            cost(model(images), wanted).backward()
        return list(model.parameters())

    return backward


def sequential(params: list) -> Any:
    """The network as a module of PyTorch, for libraries that want one."""
    nn, parts = torch().nn, []
    for weights, biases in params:
        linear = nn.Linear(*weights.shape[::-1])
        linear.weight, linear.bias = (nn.Parameter(leaf.clone()) for leaf in (weights, biases))
        parts += [linear, nn.Sigmoid()]
    return nn.Sequential(*parts)


def torch_surface(plane: list, inputs: Any, targets: Any, alphas: Any, betas: Any) -> Any:
    """The mean cost at every point of a grid on the plane (origin, along, across), each a list of layers."""

    def cost(alpha: Any, beta: Any) -> Any:
        return ((torch_outputs(torch_at(plane, alpha, beta), inputs) - targets) ** 2).sum()

    return torch_on_grid(cost, alphas, betas) / len(inputs)


def torch_surface_of_layers(plane: list, inputs: Any, targets: Any, alphas: Any, betas: Any) -> Any:
    """The same, with the first layer's product made only thrice, as `landscape.surface_of_layers` does."""
    origin, along, across = (torch().nn.functional.linear(inputs, *layers[0]) for layers in plane)

    def cost(alpha: Any, beta: Any) -> Any:
        hidden = torch().sigmoid(origin + alpha * along + beta * across)
        return ((torch_outputs(torch_at(plane, alpha, beta)[1:], hidden) - targets) ** 2).sum()

    return torch_on_grid(cost, alphas, betas) / len(inputs)


def torch_on_grid(cost: Callable, alphas: Any, betas: Any) -> Any:
    """At every point; as plain numbers, since thousands of small tensors scatter what is freed between them: 0.9 GB."""
    with torch().no_grad():
        return torch().tensor([[cost(alpha, beta).item() for beta in betas] for alpha in alphas])


def torch_at(plane: list, alpha: Any, beta: Any) -> list[tuple]:
    """The layers at one point of the plane."""
    return [
        tuple(o + alpha * u + beta * v for o, u, v in zip(*layers, strict=True)) for layers in zip(*plane, strict=True)
    ]
