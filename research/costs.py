"""Costs: pure functions of (output, target) of ONE example.

A new cost is one such function; nothing else is edited. `research.gradients.mean_over_examples` takes the mean.
"""

import jax.numpy as jnp
import optax
from jaxtyping import Array, Bool, Float


def sum_of_squares(output: Float[Array, "n"], target: Float[Array, "n"]) -> Float[Array, ""]:
    """The film's cost of one example: C = sum_j (a_j - y_j)^2.
    No 1/2 and no mean over the outputs: dC/da_j = 2 (a_j - y_j). Hence learning rates are half of those for
    `optax.l2_loss` and in Nielsen's book, which carry a 1/2 (his 3.0 is 1.5 here), and 1/n of those for a mean.
    Source: the film's recap, "add up the squares of the differences"; Nielsen, chapter 1, eq. 6.

    >>> float(sum_of_squares(jnp.array([0.5, 0.8, 0.2]), jnp.array([0.0, 0.0, 1.0])))  # .25 + .64 + .64
    1.53...
    """
    _check_shapes(output, target)
    return jnp.sum(jnp.square(output - target))


def sigmoid_cross_entropy(logits: Float[Array, "n"], target: Float[Array, "n"]) -> Float[Array, ""]:
    """Cross-entropy of n yes-or-no questions: C = -sum_j (y_j ln a_j + (1 - y_j) ln(1 - a_j)), a = sigmoid(z).
    Of the logits z, so that no logarithm of 0 is taken: the model's output activation is `jax.nn.identity`. A sum, no
    mean. dC/dz_j = a_j - y_j: the sigmoid's derivative is gone, which mutes outputs that are wrong and sure of it.
    Source: Nielsen, chapter 3, eq. 63 (his learning rates carry over: neither has a factor); `optax.losses`.

    >>> float(sigmoid_cross_entropy(jnp.zeros(2), jnp.array([1.0, 0.0])))  # ln 2 for each of two even chances
    1.38...
    """
    _check_shapes(logits, target)
    return jnp.sum(optax.losses.sigmoid_binary_cross_entropy(logits, target))


def softmax_cross_entropy(logits: Float[Array, "n"], target: Float[Array, "n"]) -> Float[Array, ""]:
    """Cross-entropy of one choice among n: C = -sum_j y_j ln a_j, a = softmax(z).
    Of the logits z: the output activation is `jax.nn.identity`. Where the targets sum to 1, dC/dz_j = a_j - y_j too.
    Source: Nielsen, chapter 3, eq. 80; `optax.losses`.

    >>> float(softmax_cross_entropy(jnp.zeros(2), jnp.array([1.0, 0.0])))  # ln 2
    0.69...
    """
    _check_shapes(logits, target)
    return optax.losses.softmax_cross_entropy(logits, target)


def absolute(output: Float[Array, "n"], target: Float[Array, "n"]) -> Float[Array, ""]:
    """C = sum_j |a_j - y_j|: every output that is off is pulled equally hard, dC/da_j = sign(a_j - y_j), however far.
    No mean over the outputs. At a_j = y_j, where there is no derivative, JAX takes 0.

    >>> float(absolute(jnp.array([0.5, 0.75]), jnp.array([0.0, 1.0])))
    0.75
    """
    _check_shapes(output, target)
    return jnp.sum(jnp.abs(output - target))


def huber(output: Float[Array, "n"], target: Float[Array, "n"], delta: float = 0.1) -> Float[Array, ""]:
    """C = sum_j d^2/2 where d = a - y is small, |d| <= delta, else delta (|d| - delta/2): dC/da_j is d, at most delta.
    Mind the 1/2: inside delta it is half of `sum_of_squares`. For another delta name a function of your own.
    Source: Huber (1964), "Robust estimation of a location parameter"; `optax.losses`.

    >>> float(huber(jnp.array([0.5, 1.05]), jnp.array([0.0, 1.0])))  # 0.1 (0.5 - 0.05) + 0.05^2/2
    0.04625...
    """
    _check_shapes(output, target)
    return jnp.sum(optax.losses.huber_loss(output, target, delta=delta))


def is_correct(output: Float[Array, "n"], target: Float[Array, "n"]) -> Bool[Array, ""]:
    """Whether the largest output is the target's class; ties go to the lower index.
    Shaped like a cost: the accuracy is `mean_over_examples(example_cost(apply, is_correct))`.

    >>> bool(is_correct(jnp.array([0.5, 0.8, 0.2]), jnp.array([0.0, 0.0, 1.0])))
    False
    """
    _check_shapes(output, target)
    return jnp.argmax(output) == jnp.argmax(target)


def _check_shapes(output: Array, target: Array) -> None:
    """Raises ValueError unless both have one number for every output: broadcast, a wrong sum would go unnoticed."""
    if output.shape != target.shape:
        raise ValueError(f"output and target have the shapes {output.shape} and {target.shape}; they must be the same")
