"""Costs: pure functions of (output, target) of ONE example.

A new cost is one such function; nothing else is edited. The mean over examples is not taken
here but in `research.gradients.mean_over_examples`, once, for all of them.
"""

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float


def sum_of_squares(output: Float[Array, "n"], target: Float[Array, "n"]) -> Float[Array, ""]:
    """The film's cost of one example: C = sum_j (a_j - y_j)^2.

    There is no 1/2 and no mean over the outputs, so dC/da_j = 2 (a_j - y_j). Learning rates are
    therefore not comparable with those for `optax.l2_loss` and Nielsen's book, which carry a 1/2
    (his 3.0 is 1.5 here), nor with a mean over the n outputs (n times larger there).

    Source: the film's recap, "add up the squares of the differences"; Nielsen, chapter 1, eq. 6.

    >>> float(sum_of_squares(jnp.array([0.5, 0.8, 0.2]), jnp.array([0.0, 0.0, 1.0])))  # .25 + .64 + .64
    1.53...
    """
    if output.shape != target.shape:
        raise ValueError(f"output and target have the shapes {output.shape} and {target.shape}; they must be the same")
    return jnp.sum(jnp.square(output - target))


def is_correct(output: Float[Array, "n"], target: Float[Array, "n"]) -> Bool[Array, ""]:
    """Whether the largest output is the target's class; ties go to the lower index.

    Shaped like a cost, so that its mean over examples is the accuracy:
    `mean_over_examples(example_cost(apply, is_correct))`.

    >>> bool(is_correct(jnp.array([0.5, 0.8, 0.2]), jnp.array([0.0, 0.0, 1.0])))
    False
    """
    return jnp.argmax(output) == jnp.argmax(target)
