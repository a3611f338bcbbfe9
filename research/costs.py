"""Costs: pure functions of (output, target) of ONE example.

A new cost is one such function; nothing else is edited. The mean over examples is not taken
here but in `research.gradients.mean_over_examples`, once, for all of them.

What a cost tells the weights is delta = dC/dz, the slope in the weighted sums z of the last layer, whose outputs are
a = activation(z). The two cross-entropies take z itself, the logits, for their output, which is exact where a would be
rounded to 0 or 1: give the model the identity as its output activation (`--output-activation identity`).
"""

import jax.numpy as jnp
import optax
from jaxtyping import Array, Bool, Float


def sum_of_squares(output: Float[Array, "n"], target: Float[Array, "n"]) -> Float[Array, ""]:
    """The film's cost of one example: C = sum_j (a_j - y_j)^2.

    There is no 1/2 and no mean over the outputs, so dC/da_j = 2 (a_j - y_j). Learning rates are
    therefore not comparable with those for `optax.l2_loss` and Nielsen's book, which carry a 1/2
    (his 3.0 is 1.5 here), nor with a mean over the n outputs (n times larger there). With sigmoid outputs
    delta = 2 (a - y) sigma'(z), which is small where a neuron is saturated, even if it is wrong.

    Source: the film's recap, "add up the squares of the differences"; Nielsen, chapter 1, eq. 6.

    >>> float(sum_of_squares(jnp.array([0.5, 0.8, 0.2]), jnp.array([0.0, 0.0, 1.0])))  # .25 + .64 + .64
    1.53...
    """
    _check_same_shape(output, target)
    return jnp.sum(jnp.square(output - target))


def sigmoid_cross_entropy(output: Float[Array, "n"], target: Float[Array, "n"]) -> Float[Array, ""]:
    """Cross-entropy of n separate yes-or-no answers: C = -sum_j [y_j ln a_j + (1 - y_j) ln(1 - a_j)], a = sigma(z).

    `output` is z, the logits. The sum over the outputs, natural logarithm, no mean: as Nielsen's. delta = a - y: the
    nudge of a weighted sum is proportional to the distance from the target, with no sigma'(z) to stifle it. Any target
    in [0, 1] will do. Raises ValueError if the shapes differ.

    Source: Nielsen, chapter 3, eq. 63; `optax.sigmoid_binary_cross_entropy`, summed.

    >>> float(sigmoid_cross_entropy(jnp.zeros(3), jnp.array([0.0, 0.0, 1.0])))  # every a is 1/2: 3 ln 2
    2.07944...
    """
    _check_same_shape(output, target)
    return jnp.sum(optax.sigmoid_binary_cross_entropy(output, target))


def softmax_cross_entropy(output: Float[Array, "n"], target: Float[Array, "n"]) -> Float[Array, ""]:
    """Cross-entropy of one answer out of n: C = -sum_j y_j ln a_j, a = softmax(z), a_j = e^z_j / sum_k e^z_k.

    `output` is z, the logits; natural logarithm; with a one-hot target C = -ln a of the right class. delta = a - y for
    targets that sum to 1 (in general a sum_k y_k - y). Raises ValueError if the shapes differ.

    Source: Nielsen, chapter 3, eq. 78 and 80; `optax.softmax_cross_entropy`.

    >>> float(softmax_cross_entropy(jnp.zeros(10), jnp.eye(10)[2]))  # every a is 1/10: ln 10
    2.30258...
    """
    _check_same_shape(output, target)
    return optax.softmax_cross_entropy(output, target)


def absolute(output: Float[Array, "n"], target: Float[Array, "n"]) -> Float[Array, ""]:
    """The sum of distances, C = sum_j |a_j - y_j|: no mean over the outputs.

    dC/da_j = sign(a_j - y_j), 0 where they are equal: every output is nudged alike, however far it is from its target.
    With sigmoid outputs delta = sign(a - y) sigma'(z). Raises ValueError if the shapes differ.

    Source: the method of least absolute deviations (Boscovich, 1757).

    >>> float(absolute(jnp.array([0.5, 0.75, 0.25]), jnp.array([0.0, 0.0, 1.0])))  # .5 + .75 + .75
    2.0
    """
    _check_same_shape(output, target)
    return jnp.sum(jnp.abs(output - target))


def huber(output: Float[Array, "n"], target: Float[Array, "n"], *, threshold: float = 1.0) -> Float[Array, ""]:
    """Squares near the target and distances far from it, with t the threshold: C = sum_j h(a_j - y_j),

        h(e) = e^2 / 2 where |e| <= t,    t (|e| - t / 2) beyond.

    It has the 1/2, and no mean over the outputs: dC/da_j = a_j - y_j, clipped to [-t, t]. With sigmoid outputs, where
    |e| < 1, the default threshold clips nothing and C is half of `sum_of_squares`; delta = clip(a - y) sigma'(z).
    Raises ValueError if the shapes differ.

    Source: Huber 1964, Robust estimation of a location parameter; `optax.huber_loss`, summed.

    >>> float(huber(jnp.array([0.5, 3.0]), jnp.array([0.0, 1.0])))  # .125 + (2 - .5)
    1.625
    """
    _check_same_shape(output, target)
    return jnp.sum(optax.huber_loss(output, target, delta=threshold))


def is_correct(output: Float[Array, "n"], target: Float[Array, "n"]) -> Bool[Array, ""]:
    """Whether the largest output is the target's class; ties go to the lower index.

    Shaped like a cost, so that its mean over examples is the accuracy:
    `mean_over_examples(example_cost(apply, is_correct))`.

    >>> bool(is_correct(jnp.array([0.5, 0.8, 0.2]), jnp.array([0.0, 0.0, 1.0])))
    False
    """
    return jnp.argmax(output) == jnp.argmax(target)


def _check_same_shape(output: Array, target: Array) -> None:
    """Lest two shapes broadcast to a third in silence."""
    if output.shape != target.shape:
        raise ValueError(f"output and target have the shapes {output.shape} and {target.shape}; they must be the same")
