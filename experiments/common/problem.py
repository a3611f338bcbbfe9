"""What an experiment is posed: one network with one cost on one data set, and the ways to every example's gradient."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from experiments.common.bounds import blaming, require
from research import agreement, costs, gradients, models, statistics
from research.data import Examples, unit_interval
from research.models import Activation, Model

# Examples at a time on a CPU, for a core's cache; elsewhere ROOM bounds the bytes of float32, a GPU or TPU wants many.
CHUNK = 1000  # of a mean: their images fit
MOMENTS, SUMS, FACTORS = 25, 100, 500  # of statistics: whole gradients, those weighted, factors of gradients
ROOM = 2**28
OF_THE_NETWORK = "--activation, --output-activation and --model"
A_COST = "a cost is a pure function of ONE output and ONE target"


class Statistics(NamedTuple):
    """Every example's gradient, in bulk: the explicit way for any model, or the factored one for plain layers."""

    moments: Callable  # (params, examples) -> statistics.Moments
    weighted_sums: Callable  # (params, examples, weights) -> gradients, one for every column of the weights
    dot_products: Callable  # (params, examples, examples) -> matrix


class Problem(NamedTuple):
    """One network with one cost on one data set. `activations`, of the hidden layers and of the last, are None unless
    the network is made of plain layers whose activations take each number alone: only such layers can be followed by
    hand, and factored."""

    model: Model
    cost_fn: Callable
    train: Examples
    test: Examples
    image_shape: tuple[int, int, int]
    activations: tuple[Activation, Activation] | None = None
    mlp: Callable[[Sequence[int]], Model] | None = None  # layer sizes -> plain layers of the same kind

    @property
    def example_cost(self) -> Callable:
        """(params, example) -> the cost of one example."""
        return gradients.example_cost(self.model.apply, self.cost_fn)

    @property
    def cost(self) -> Callable:
        """(params, examples) -> the mean cost, in bounded memory."""
        return gradients.mean_over_examples(self.example_cost, chunk_size=self.chunk_size)

    @property
    def accuracy(self) -> Callable:
        """(params, examples) -> the share that is read correctly."""
        correct = gradients.example_cost(self.model.apply, costs.is_correct)
        return gradients.mean_over_examples(correct, chunk_size=self.chunk_size)

    @property
    def chunk_size(self) -> int:
        """How many examples a mean takes at a time: elsewhere than on a CPU those whose images fill ROOM."""
        return self.at_once(CHUNK, self.train.inputs.shape[-1])

    def at_once(self, on_cpu: int, numbers: int) -> int:
        """How many examples are taken at a time, of which each needs so many numbers."""
        return on_cpu if jax.default_backend() == "cpu" else max(1, ROOM // (4 * numbers))

    @property
    def statistics(self) -> Statistics:
        """The quickest way that this network allows."""
        return self.explicit if self.activations is None else self.factored(self.activations)

    @property
    def explicit(self) -> Statistics:
        """By vmap(grad): any model, any cost. Elsewhere than on a CPU as many gradients at a time as fill ROOM."""
        one, size = self.example_cost, self.num_parameters
        moments = statistics.moments(one, self.at_once(MOMENTS, size))
        weighted_sums = statistics.weighted_sums(one, self.at_once(SUMS, size))
        return Statistics(moments, weighted_sums, agreement.dot_products(one))

    def factored(self, activations: tuple[Activation, Activation]) -> Statistics:
        """By each layer's two factors, with no gradient formed: plain layers only. As many examples at a time as those
        whose gradients fill ROOM: the columns of weights multiply what weighted_sums holds of each."""
        factors = statistics.layer_factors(self.cost_fn, *activations)
        at_once = self.at_once(FACTORS, self.num_parameters)
        moments, weighted_sums = (
            way(factors, at_once) for way in (statistics.layer_moments, statistics.layer_weighted_sums)
        )
        return Statistics(moments, weighted_sums, agreement.layer_dot_products(factors))

    @property
    def num_parameters(self) -> int:
        return sum(leaf.size for leaf in jax.tree.leaves(jax.eval_shape(self.model.init, jax.random.key(0))))


def plain_layers(problem: Problem, why: str) -> tuple[Activation, Activation]:
    """The activations of a network of plain layers. Raises SettingsError for any other, and says why one is needed."""
    require(
        problem.activations is not None,
        f"{why}, which needs plain layers and activations that take each number alone, such as sigmoid; leave out "
        "--model, or choose another --activation and --output-activation",
    )
    return problem.activations  # pyright: ignore[reportReturnType]


def works_number_by_number(activation: Activation) -> bool:
    """Whether the activation of several numbers is the activation of each.

    >>> works_number_by_number(jax.nn.relu), works_number_by_number(jax.nn.softmax)
    (True, False)
    """
    numbers = np.linspace(-1, 1, 5, dtype=np.float32)
    try:
        return np.allclose([activation(number) for number in numbers], activation(numbers))  # pyright: ignore
    except Exception:  # whatever a user's own function raises
        return False


def as_model(made: Any, name: str, num_inputs: int) -> Model:
    """What a user's function made -> a Model: one already, a module of flax.linen, or a function of nnx.Rngs that makes
    a module of flax.nnx."""
    if isinstance(made, Model):
        return made
    from flax import linen  # here, for whoever has a module of flax: --help would wait 0.3 s for it

    from research import flax_models

    require(
        isinstance(made, linen.Module) or callable(made),
        f"--model {name} returned a {type(made).__name__}; it must return a research.models.Model, a module of "
        "flax.linen, or a function of nnx.Rngs that makes a module of flax.nnx",
    )
    with blaming(f"--model {name} is no model"):
        if isinstance(made, linen.Module):
            return flax_models.from_linen(made, num_inputs)
        return flax_models.from_nnx(made)  # pyright: ignore[reportArgumentType]


def try_out(problem: Problem) -> None:
    """Raises SettingsError unless model and cost make of ONE example a finite real number with a finite gradient.
    They are tried on the first ten examples in a network of random parameters, before any work starts."""
    few = jax.tree.map(lambda leaf: np.asarray(leaf[:10]), problem.train)
    check_parameters(problem.model)
    check_cost_shape(problem, few)
    cost = f"the cost {name_of(problem.cost_fn)}"
    output = lambda params, example: problem.model.apply(params, unit_interval(example.inputs))
    found = lambda *given: (output(*given), jax.value_and_grad(problem.example_cost)(*given))
    with blaming(f"the gradient of {cost} cannot be taken", A_COST):
        outputs, tried = jax.jit(jax.vmap(found, (None, 0)))(random_parameters(problem.model), few)
    require(
        bool(np.isfinite(outputs).all()),
        f"a network of random parameters gives numbers that are not finite; {OF_THE_NETWORK} must be finite there",
    )
    require(
        all(bool(np.isfinite(leaf).all()) for leaf in jax.tree.leaves(tried)),
        f"{cost} or its gradient is not a finite number in a network of random parameters, whose outputs are; "
        f"{A_COST}, finite there, and {OF_THE_NETWORK} must have finite slopes",
    )
    require(
        any(bool(np.any(leaf)) for leaf in jax.tree.leaves(tried[1])),
        f"the gradient of {cost} is 0 for every parameter of a random network, so there is no way down; let the cost "
        "depend on the output, and that on the weights",
    )


def check_parameters(model: Model) -> None:
    """Raises SettingsError unless the model makes parameters, and all can be nudged."""
    with blaming("--model makes no parameters"):
        types = [str(leaf.dtype) for leaf in jax.tree.leaves(jax.eval_shape(model.init, jax.random.key(0)))]
    require(
        bool(types) and all(jnp.issubdtype(each, jnp.floating) for each in types),
        f"the parameters of the network are {', '.join(types) or 'none'}; --model must make one array or more, all of "
        "real floating point numbers, for only those can be nudged",
    )


def check_cost_shape(problem: Problem, few: Examples) -> None:
    """Raises SettingsError unless the cost makes one floating point number of ONE output and ONE target."""
    cost, output = f"the cost {name_of(problem.cost_fn)}", output_shape(problem.model, few)
    target = jax.ShapeDtypeStruct(few.targets.shape[1:], few.targets.dtype)
    with blaming(f"{cost} failed on one example (shapes {output.shape} and {target.shape})", A_COST):
        found = jax.eval_shape(problem.cost_fn, output, target)
    is_array = isinstance(found, jax.ShapeDtypeStruct)
    shape = f"shape {found.shape}" if is_array else f"a {type(found).__name__}"
    wanted = f"{A_COST} and returns one number, for instance by jnp.sum"
    require(is_array and found.shape == (), f"{cost} returned {shape}; {wanted}")
    wanted = f"{A_COST} and returns a real floating point number"
    require(jnp.issubdtype(found.dtype, jnp.floating), f"{cost} returned {found.dtype}; {wanted}")


def output_shape(model: Model, examples: Examples) -> jax.ShapeDtypeStruct:
    """Shape and type of the output for one example. Raises SettingsError unless there is one number for every class."""
    num_classes = examples.targets.shape[-1]
    with blaming(
        f"the network cannot be computed with these {OF_THE_NETWORK}",
        "an activation keeps the shape of what it gets, such as relu, tanh or sigmoid",
    ):
        found = jax.eval_shape(
            lambda first: model.apply(model.init(jax.random.key(0)), unit_interval(first)), examples.inputs[0]
        )
    shape = getattr(found, "shape", found)
    require(
        shape == (num_classes,),
        f"the network answers with shape {shape} where {num_classes} numbers are needed; activations must keep the "
        "shape of what they get, as relu, tanh and sigmoid do, and a --model must give one number for every class",
    )
    return found


def random_parameters(model: Model) -> models.Params:
    """Parameters of the shapes that `model.init` makes, from N(0, 1/n), n the last axis.
    By numpy: to compile `init` for this would take three times as long as the check itself.

    >>> [layer.biases.shape for layer in random_parameters(models.mlp((3, 2, 1)))]
    [(2,), (1,)]
    """
    rng = np.random.default_rng(0)

    def drawn(leaf: jax.ShapeDtypeStruct) -> np.ndarray:
        return (rng.standard_normal(leaf.shape) / max(leaf.shape[-1:], default=1) ** 0.5).astype(leaf.dtype)

    return jax.tree.map(drawn, jax.eval_shape(lambda: model.init(jax.random.key(0))))


def name_of(function: Callable) -> str:
    """The function's name in words; of a callable without one, as partial(huber, delta=1), what it prints as."""
    return getattr(function, "__name__", repr(function)).replace("_", " ")
