"""The command line: settings that every experiment has, their checks, and errors of one sentence."""

import dataclasses
import importlib
import math
import os
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

import jax
import jax.numpy as jnp
import numpy as np
import tyro

from experiments.common import records
from experiments.common.runs import Diverged
from research import costs, data, gradients, models, statistics
from research.data import DataError, Examples, unit_interval
from research.models import Activation, Model

FILMS_SIZES = (784, 16, 16, 10)


class SettingsError(ValueError):
    """A setting that cannot work: what was wrong, what is allowed, what to do. The command exits with code 2."""


def require(condition: bool, sentence: str) -> None:
    """Raises SettingsError(sentence) unless the condition holds."""
    if not condition:
        raise SettingsError(sentence)


@dataclasses.dataclass(frozen=True)
class CommonSettings:
    """The settings that all experiments share."""

    dataset: str = "mnist"
    """MNIST is bundled; else any image classification set of TensorFlow Datasets by name (fashion_mnist, kmnist,
    cifar10, ...), or a folder with four IDX files."""
    data_dir: Path | None = None
    """Where TensorFlow Datasets keeps its files; by default TFDS_DATA_DIR or ~/tensorflow_datasets."""
    cost: str = "research.costs:sum_of_squares"
    """The cost of one example, package.module:function, a pure function (output, target) -> number. Files in the
    current folder count: my_costs:my_cost."""
    layer_sizes: tuple[int, ...] = ()
    """Neurons in each layer, pixels first, classes last; empty means pixels 16 16 classes, the film's network."""
    activation: str = "jax.nn:sigmoid"
    """Activation of the hidden layers, package.module:function; without a module one of jax.nn: relu, tanh, ..."""
    output_activation: str = "jax.nn:sigmoid"
    """Activation of the last layer, likewise; jax.nn:identity leaves the weighted sums as they are."""
    init_weights: str = "research.models:scaled_normal"
    """What draws the weights that training starts from, package.module:function, of (key, shape, dtype) as in
    jax.nn.initializers, shape (out, in); without a module one of research.models: scaled_normal, unit_normal."""
    seed: int = 0
    """Seed of all random numbers, 0 or more, below 2^32; one seed, the same results."""
    num_seeds: int = 4
    """How many runs, each with its own start and its own shuffles, 1 or more."""
    cpu_devices: int = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    """Into how many devices JAX divides the CPU, 1 or more; the seeds are shared out over them. Not for GPU, TPU."""
    out: Path = Path("results")
    """Folder for what the experiment leaves behind: OUT/<experiment>/run.json and figures."""
    replot: bool = False
    """Draw the figures again from what an earlier run left in OUT, without running."""

    def check(self) -> None:
        """Raises SettingsError for the first field out of its range. Reads no data and writes nothing."""
        require(0 <= self.seed < 2**32, f"--seed is {self.seed}; it must be 0 or more and below 2^32")
        require(self.num_seeds >= 1, f"--num-seeds is {self.num_seeds}; it must be 1 or more")
        require(self.cpu_devices >= 1, f"--cpu-devices is {self.cpu_devices}; it must be 1 or more")
        require(
            all(size >= 1 for size in self.layer_sizes) and len(self.layer_sizes) != 1,
            f"{typed('--layer-sizes', self.layer_sizes)}: it needs two or more numbers, each at least 1, such as "
            "784 16 16 10",
        )
        check_writable(self.out)

    def sizes_for(self, examples: Examples) -> tuple[int, ...]:
        """The layer sizes, the first and the last taken from the data where none are given, else checked against it."""
        num_in, num_out = examples.inputs.shape[-1], examples.targets.shape[-1]
        sizes = self.layer_sizes or (num_in, 16, 16, num_out)
        require(
            (sizes[0], sizes[-1]) == (num_in, num_out),
            f"{typed('--layer-sizes', sizes)}: for {self.dataset} it must begin with {num_in} pixels and end with "
            f"{num_out} classes",
        )
        return sizes


def typed(flag: str, values: Sequence[float]) -> str:
    """A setting as one types it.

    >>> typed("--layer-sizes", (784, 16, 10)), typed("--learning-rates", ())
    ('--layer-sizes 784 16 10', '--learning-rates, with no value')
    """
    return (
        " ".join([flag, *(str(value).removesuffix(".0") for value in values)]) if values else f"{flag}, with no value"
    )


def first_line(error: Exception) -> str:
    r"""Kind and first line of somebody else's error, to stand within one sentence.

    >>> first_line(ValueError("wrong\nin detail"))
    'ValueError: wrong'
    """
    said = str(error).strip().splitlines()
    return f"{type(error).__name__}: {said[0].rstrip(' .:')}" if said else type(error).__name__


def check_positive(name: str, values: Sequence[float]) -> None:
    """Raises SettingsError unless every value is a finite number above 0."""
    for value in values:
        require(math.isfinite(value) and value > 0, f"{name} is {value}; it must be a finite number above 0")


def check_writable(folder: Path) -> None:
    """Raises SettingsError unless a file can be made in `folder`, or in the nearest that exists above it.

    It is tried: who may do everything, as root, is told by `os.access` that every folder will do, even /proc.
    """
    existing = next(path for path in (folder.absolute(), *folder.absolute().parents) if path.exists())
    try:
        with tempfile.TemporaryFile(dir=existing):
            pass
    except OSError as error:
        raise SettingsError(
            f"--out is {folder}, but {existing} is not a folder that can be written to; choose another with --out"
        ) from error


def import_function(flag: str, path: str, default_module: str) -> Callable:
    """The function that `path` names, package.module:function; without a module it is one of `default_module`."""
    module_name, colon, name = path.rpartition(":")
    own = "" if colon else f", or, if {path} is a module of your own, {path}:FUNCTION"
    module_name = module_name or default_module
    require(
        all(part.isidentifier() for part in (*module_name.split("."), name)),
        f"{flag} is {path}, which names no function; give package.module:function, such as {default_module}:NAME",
    )
    try:
        function = getattr(importlib.import_module(module_name), name)
    except ModuleNotFoundError as error:
        raise SettingsError(
            f"{flag} is {path}, but there is no module {error.name}; name package.module:function, from the folder in "
            "which the module's file lies, and install what it imports"
        ) from error
    except AttributeError as error:
        raise SettingsError(f"{flag} is {path}, but {module_name} has no {name}; name a function of it{own}") from error
    except Exception as error:  # whatever a user's own module raises while it is imported
        raise SettingsError(
            f"{flag} is {path}, but importing {module_name} failed: {first_line(error)}; mend it first"
        ) from error
    require(callable(function), f"{flag} is {path}, but that is not a function; name a function of {module_name}")
    return function


def cost_function(settings: CommonSettings) -> Callable:
    """The function behind --cost."""
    return import_function("--cost", settings.cost, "research.costs")


def name_of(function: Callable) -> str:
    """The function's name in words; of a callable without one, as partial(huber, delta=1), what it prints as.

    >>> name_of(costs.sum_of_squares)
    'sum of squares'
    """
    return getattr(function, "__name__", repr(function)).replace("_", " ")


def activations(settings: CommonSettings) -> tuple[Activation, Activation]:
    """The functions behind --activation and --output-activation."""
    return (
        import_function("--activation", settings.activation, "jax.nn"),
        import_function("--output-activation", settings.output_activation, "jax.nn"),
    )


def activations_by_hand(settings: CommonSettings) -> tuple[Activation, Activation]:
    """The same for research.backprop. Raises SettingsError for one that does not take each number alone."""
    found = activations(settings)
    paths = (("--activation", settings.activation), ("--output-activation", settings.output_activation))
    for (flag, path), activation in zip(paths, found, strict=True):
        require(
            works_number_by_number(activation),
            f"{flag} is {path}; backpropagation by hand needs a function of each number alone, such as sigmoid",
        )
    return found


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


def layer_factors(settings: CommonSettings, cost_fn: Callable) -> Callable | None:
    """`statistics.layer_factors` of the settings' network, the quick way to all single gradients; None where an
    activation does not take each number alone, so that only the explicit way is left."""
    found = activations(settings)
    return statistics.layer_factors(cost_fn, *found) if all(map(works_number_by_number, found)) else None


def make_model(settings: CommonSettings, examples: Examples) -> Model:
    """The network of the settings, its first and last layer as wide as the data ask."""
    init_weights = import_function("--init-weights", settings.init_weights, "research.models")
    model = models.mlp(settings.sizes_for(examples), *activations(settings), init_weights=init_weights)
    try:
        jax.eval_shape(model.init, jax.random.key(0))
    except Exception as error:  # whatever a user's own function raises
        raise SettingsError(
            f"--init-weights is {settings.init_weights}, which draws no weights: {first_line(error)}; it must be a "
            "function of (key, shape, dtype), such as research.models:unit_normal"
        ) from error
    return model


def is_the_films(settings: CommonSettings) -> bool:
    """Whether data, cost and network are the film's, however they are spelled; all else is left to the experiment."""
    return (
        settings.dataset == CommonSettings.dataset
        and settings.layer_sizes in ((), FILMS_SIZES)
        and cost_function(settings) is costs.sum_of_squares
        and all(activation is jax.nn.sigmoid for activation in activations(settings))
        and import_function("--init-weights", settings.init_weights, "research.models") is models.scaled_normal
    )


def load(settings: CommonSettings) -> tuple[Examples, Examples]:
    """The training and the test examples of the settings' data set, as numpy arrays."""
    train, test = (data.load(settings.dataset, split, data_dir=settings.data_dir) for split in ("train", "test"))
    return train, test


def require_images(settings: CommonSettings, flag: str, count: int, train: Examples, *, least: int = 1) -> None:
    """Raises SettingsError unless `count`, given by `flag`, is `least` up to all of the training images."""
    have = len(train.inputs)
    require(
        least <= count <= have,
        f"{flag} is {count}; {settings.dataset} has {have} training images, so give {least} up to {have}",
    )


def first(examples: Examples, count: int) -> Examples:
    """The first `count` of them.

    >>> first(Examples(np.arange(3), np.arange(3)), 2).inputs.tolist()
    [0, 1]
    """
    return jax.tree.map(lambda leaf: leaf[:count], examples)


def model_and_cost(settings: CommonSettings, train: Examples) -> tuple[Model, Callable]:
    """The network and the cost of the settings, tried on a few examples. Raises SettingsError if they do not work."""
    cost_fn, model = cost_function(settings), make_model(settings, train)
    check_cost(cost_fn, model, train)
    return model, cost_fn


def output_shape(model: Model, examples: Examples) -> jax.ShapeDtypeStruct:
    """Shape and type of the output for one example. Raises SettingsError unless there is one number for every class."""
    shape, num_classes = None, examples.targets.shape[-1]
    try:
        shape = jax.eval_shape(
            lambda first: model.apply(model.init(jax.random.key(0)), unit_interval(first)), examples.inputs[0]
        )
    except Exception as error:  # whatever a user's own activation raises
        raise SettingsError(
            f"the network cannot be computed with this --activation and --output-activation: "
            f"{first_line(error)}; "
            "each is a function that keeps the shape of what it gets, such as relu, tanh or sigmoid"
        ) from error
    require(
        getattr(shape, "shape", None) == (num_classes,),
        f"the network answers with shape {getattr(shape, 'shape', shape)} where {num_classes} numbers are needed; "
        "--activation and --output-activation must keep the shape of what they get, as relu, tanh and sigmoid do",
    )
    return shape


def check_cost(cost_fn: Callable, model: Model, examples: Examples) -> None:
    """Raises SettingsError unless `cost_fn` turns ONE (output, target) into one finite real number with a finite slope.

    It is tried on the first ten examples in a network of random parameters, before any work starts.
    """
    name = getattr(cost_fn, "__name__", repr(cost_fn))
    hint = "a cost is a pure function of ONE output and ONE target"
    few = jax.tree.map(lambda leaf: np.asarray(leaf[:10]), examples)
    output = output_shape(model, few)
    target = jax.ShapeDtypeStruct(few.targets.shape[1:], few.targets.dtype)
    try:
        shape = jax.eval_shape(cost_fn, output, target)
    except Exception as error:  # whatever a user's own cost raises
        sizes = f"shapes {output.shape} and {target.shape}"
        raise SettingsError(f"the cost {name} failed on one example ({sizes}): {first_line(error)}; {hint}") from error
    is_array = isinstance(shape, jax.ShapeDtypeStruct)
    found = f"shape {shape.shape}" if is_array else f"a {type(shape).__name__}"
    require(
        is_array and shape.shape == (),
        f"the cost {name} returned {found}; {hint} and returns one number, for instance by jnp.sum",
    )
    require(
        jnp.issubdtype(shape.dtype, jnp.floating),
        f"the cost {name} returned {shape.dtype}; {hint} and returns a real floating point number",
    )
    one = gradients.example_cost(model.apply, cost_fn)
    try:
        tried = jax.jit(jax.vmap(jax.value_and_grad(one), (None, 0)))(random_parameters(model), few)
    except MemoryError:  # the network's fault
        raise
    except Exception as error:
        raise SettingsError(f"the gradient of the cost {name} cannot be taken: {first_line(error)}; {hint}") from error
    require(
        all(bool(np.isfinite(leaf).all()) for leaf in jax.tree.leaves(tried)),
        f"the cost {name} or its gradient is not a finite number in a network of random parameters; "
        f"{hint}, finite there",
    )
    require(
        any(bool(np.any(leaf)) for leaf in jax.tree.leaves(tried[1])),
        f"the gradient of the cost {name} is 0 for every parameter of a random network, so there is no way down; "
        "let the cost depend on the output, and that on the weights",
    )


def random_parameters(model: Model) -> models.Params:
    """Parameters of the shapes that `model.init` makes, from N(0, 1/n), n the last axis.

    By numpy: to compile `init` for this would take three times as long as the check itself.

    >>> [layer.biases.shape for layer in random_parameters(models.mlp((3, 2, 1)))]
    [(2,), (1,)]
    """
    rng = np.random.default_rng(0)
    shapes = jax.eval_shape(lambda: model.init(jax.random.key(0)))
    return jax.tree.map(
        lambda leaf: (rng.standard_normal(leaf.shape) / max(leaf.shape[-1:], default=1) ** 0.5).astype(leaf.dtype),
        shapes,
    )


S = TypeVar("S", bound=CommonSettings)


def parse(default: S, quick: S, full: S, description: str, argv: Sequence[str]) -> S:
    """Settings from the command line: --quick or --full choose the values that the other words then change."""
    sizes = {"--quick": quick, "--full": full}
    chosen = [word for word in argv if word in sizes]
    require(len(chosen) <= 1, "--quick and --full were both given; choose one of them, or neither")
    start = sizes[chosen[0]] if chosen else default
    words = [word for word in argv if word not in sizes]
    about = "Sizes: --quick (a first look), none of the two (default), --full (the committed results)."
    if {"-h", "--help"} & {*argv}:  # tyro would make one line of a paragraph
        print(description.strip().partition("\n")[2])
    return tyro.cli(
        type(default), prog=f"python -m {records.module_name()}", default=start, description=about, args=words
    )


def command(
    run: Callable[[S], None],
    plot: Callable[[Path], None],
    default: S,
    quick: S,
    full: S,
    description: str | None,
    argv: Sequence[str] | None = None,
) -> None:
    """What every script does: read the settings, check them, run, plot; and say in one sentence what went wrong.

    Exit codes: 2 for a wrong setting, file or cost function, before anything is written; 1 for a run that diverged.
    """
    print((description or "").strip().splitlines()[0], flush=True)
    try:
        settings = parse(default, quick, full, description or "", sys.argv[1:] if argv is None else argv)
        settings.check()
        if not settings.replot:
            jax.config.update("jax_num_cpu_devices", settings.cpu_devices)
            run(settings)
        plot(settings.out)
    except (SettingsError, DataError) as error:
        print(f"error: {error}", file=sys.stderr)
        raise SystemExit(2) from None
    except (MemoryError, OverflowError, jax.errors.JaxRuntimeError) as error:
        if isinstance(error, jax.errors.JaxRuntimeError) and "RESOURCE_EXHAUSTED" not in str(error):
            raise
        said = f"these settings ask for more than this machine can hold ({first_line(error)}); give smaller numbers"
        print(f"error: {said}", file=sys.stderr)
        raise SystemExit(2) from None
    except Diverged as error:
        print(f"diverged: {error}", file=sys.stderr)
        raise SystemExit(1) from None
    except KeyboardInterrupt:
        print("stopped by hand", file=sys.stderr)
        raise SystemExit(130) from None
