"""What a setting may be, declared once at its field: the help, the check and the sentence of an error come from here.

    rates: Annotated[tuple[float, ...], Gt(0), MinLen(1), rising] = (0.1, 1.0)

`Ge`, `Gt`, `Le`, `Lt`, `Interval` and `MultipleOf` of annotated_types bound a number, and each number of a tuple;
`MinLen` bounds a tuple. Words of our own: `rising`, `falling` and `different` for tuples, `of_train`, `below_train` and
`of_test` for numbers that the data set bounds. Every float must be a number that float32 holds.
"""

import contextlib
import dataclasses
import functools
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any, NamedTuple, get_args, get_origin, get_type_hints

from annotated_types import Ge, Gt, Interval, Le, Lt, MinLen, MultipleOf
from jax.errors import JAXTypeError

FEWEST = 10  # training images of a run
KINDS = (int, float, str, bool, Path)  # of a setting
RESERVED = ("help", "quick", "full", "dry_run", "resume")
TRACED = "JAX calls it with symbols, to compile it: write jax.numpy for numpy, and jnp.where for an if"


class SettingsError(ValueError):
    """A setting that cannot work: what was wrong, what is allowed, what to do. The command exits with code 2."""


def require(condition: bool, sentence: str) -> None:
    """Raises SettingsError(sentence) unless the condition holds."""
    if not condition:
        raise SettingsError(sentence)


@contextlib.contextmanager
def blaming(what: str, hint: str = "") -> Iterator[None]:
    """Turns whatever a user's own function raises into a SettingsError: what failed, how, and what to do."""
    try:
        yield
    except (SettingsError, MemoryError, KeyboardInterrupt):  # said already, the size's fault, or somebody's wish
        raise
    except BaseException as error:
        traced = TRACED if isinstance(error, JAXTypeError) else ""
        raise SettingsError("; ".join(filter(None, (f"{what}: {first_line(error)}", hint, traced)))) from error


@contextlib.contextmanager
def staying(what: str) -> Iterator[None]:
    """sys.exit in a user's own code, which would end a run without a word, is an error."""
    try:
        yield
    except SystemExit as error:
        raise SettingsError(f"{what} ended the program by sys.exit({error.code}); let it raise an error") from error


class Rule(NamedTuple):
    holds: Callable[[Any], bool]
    words: str


IN_FLOAT32 = Rule(lambda value: value == 0 or 1e-37 < abs(value) < 3e38, "a finite number that float32 holds")


class UpTo(NamedTuple):  # a rule that only the data can judge
    split: str
    strictly: bool = False


# for a tuple as a whole
rising = Rule(lambda values: list(values) == sorted(set(values)), "in rising order")
falling = Rule(lambda values: list(values) == sorted(set(values), reverse=True), "in falling order")
different = Rule(lambda values: len(set(values)) == len(values), "all different")
of_train, below_train, of_test = UpTo("train"), UpTo("train", strictly=True), UpTo("test")


Count = Annotated[int, Interval(ge=1, le=10_000)]  # of runs, such as seeds
BatchSize = Annotated[int, Ge(1), below_train]  # of a mini-batch: never the whole training set


class Field(NamedTuple):
    """One setting: its flag, the type of one value, whether it is a tuple or may be None, and its bounds."""

    name: str
    kind: type
    is_tuple: bool
    optional: bool
    bounds: tuple[Any, ...]

    @property
    def flag(self) -> str:
        return "--" + self.name.replace("_", "-")

    def converted(self, value: Any) -> Any:
        """What was typed, or stands in run.json, as a value of the setting's type."""
        one = (lambda path: Path(os.path.expanduser(path))) if self.kind is Path else self.kind
        return tuple(map(one, value)) if self.is_tuple else one(value)

    def fits(self, value: Any) -> bool:
        """Whether the value is of the setting's type."""
        kinds = (int, float) if self.kind is float else self.kind
        if not self.is_tuple:
            return isinstance(value, kinds)
        return isinstance(value, tuple | list) and all(isinstance(one, kinds) for one in value)

    def each(self, value: Any) -> Sequence[Any]:
        """The numbers that the bounds of a number are for."""
        return value if self.is_tuple else (value,)

    @property
    def single(self) -> list[Rule]:
        """The rules for each number."""
        finite = [IN_FLOAT32] if self.kind is float else []
        return finite + [rule for bound in self.bounds for rule in rules_of(bound)]

    @property
    def whole(self) -> list[Rule]:
        """The rules for the tuple."""
        least = [bound.min_length for bound in self.bounds if isinstance(bound, MinLen)]
        long_enough = [
            Rule(lambda values, count=count: len(values) >= count, f"{count} or more of them") for count in least
        ]
        return long_enough + [bound for bound in self.bounds if isinstance(bound, Rule)]

    @property
    def words(self) -> str:
        """What is allowed, for the help.

        >>> Field("rates", float, True, False, (Gt(0), MinLen(1), rising)).words
        'each a finite number that float32 holds, above 0; 1 or more of them, in rising order'
        """
        single = [rule.words for rule in self.single if self.bounds]
        single += [f"{'below' if bound.strictly else 'at most'} the number of {bound.split} images"
                   for bound in self.bounds if isinstance(bound, UpTo)]  # fmt: skip
        each = "each " if self.is_tuple and single else ""
        return "; ".join(filter(None, [each + ", ".join(single), in_words(self.whole)]))


def rules_of(bound: Any) -> Iterator[Rule]:
    """The rules for a number that a constraint stands for; none for those of tuples and of data."""
    match bound:
        case Ge(ge=least):
            yield Rule(lambda value: value >= least, f"{least:,} or more")
        case Gt(gt=below):
            yield Rule(lambda value: value > below, f"above {below:,}")
        case Le(le=most):
            yield Rule(lambda value: value <= most, f"at most {most:,}")
        case Lt(lt=above):
            yield Rule(lambda value: value < above, f"below {above:,}")
        case MultipleOf(multiple_of=unit):
            yield Rule(lambda value: value % unit == 0, f"a multiple of {unit:,}")
        case Interval():
            for part in bound:
                yield from rules_of(part)


def in_words(rules: Sequence[Rule]) -> str:
    return ", ".join(rule.words for rule in rules)


@functools.cache
def fields_of(kind: type) -> tuple[Field, ...]:
    """Every setting of a dataclass with its bounds, in the order of its fields."""
    with blaming(f"the annotations of {kind.__module__}.{kind.__qualname__} cannot be read"):
        hints = get_type_hints(kind, include_extras=True)
    return tuple(field_of(field.name, hints[field.name]) for field in dataclasses.fields(kind))


def field_of(name: str, hint: Any) -> Field:
    """The setting that an annotation describes: int, tuple[float, ...], Path | None, each with or without bounds."""
    require(name not in RESERVED, f"a setting is called {name}; that is the house's own flag, so call it otherwise")
    hint, *bounds = get_args(hint) if hasattr(hint, "__metadata__") else (hint,)
    kinds = [kind for kind in get_args(hint) if kind not in (type(None), Ellipsis)]
    kind, is_tuple = (kinds or [hint])[0], get_origin(hint) is tuple
    require(
        kind in KINDS and hint in (kind, kind | None, tuple[kind, ...]),
        f"the setting {name} is annotated {hint}; it must be int, float, str, bool or Path, or as int | None, or a "
        "tuple of one of them, as tuple[int, ...]",
    )
    return Field(name, kinds[0] if kinds else hint, is_tuple, bool(kinds) and not is_tuple, tuple(bounds))


def check(settings: Any) -> None:
    """Raises SettingsError for the first setting out of its declared bounds; then the settings' own check may."""
    for field in fields_of(type(settings)):
        value = getattr(settings, field.name)
        if field.optional and value is None:
            continue
        wanted = "a tuple, each " * field.is_tuple + field.kind.__name__
        require(field.fits(value), f"{field.flag} is {value!r} in the Settings; it must be {wanted}")
        for one in field.each(value):
            said = f"{typed(field.flag, value)}: each" if field.is_tuple else f"{field.flag} is {one}; it"
            require(all(rule.holds(one) for rule in field.single), f"{said} must be {in_words(field.single)}")
        if field.is_tuple:
            sentence = f"{typed(field.flag, value)}: give values, {in_words(field.whole)}"
            require(all(rule.holds(value) for rule in field.whole), sentence)
    if hasattr(settings, "check"):
        with blaming("check of the Settings failed", "it takes nothing and raises SettingsError"):
            settings.check()


def check_with_data(settings: Any, dataset: str, counts: dict[str, int]) -> None:
    """Raises SettingsError for the first setting that is larger than the data set; `counts` examples has each split."""
    for field in fields_of(type(settings)):
        for bound in field.bounds:
            if isinstance(bound, UpTo):
                count, split = counts[bound.split], bound.split
                most = count - bound.strictly
                so = f"so give at most {most}" if most > 0 else "too few for any value; take more"
                for one in field.each(getattr(settings, field.name)):
                    sentence = f"{field.flag} is {one}; {dataset} has {count} {split} images, {so}"
                    require(one is None or one <= most, sentence)


def check_enough(dataset: str, targets: Any) -> None:
    """Raises SettingsError where there is next to nothing to learn from. targets: (examples, classes), one-hot."""
    count, num_classes = len(targets), len(set(targets.argmax(axis=1).tolist()))
    require(
        count >= FEWEST and num_classes > 1,
        f"{dataset}, with what --num-examples leaves of it, has {count} training image{'s' * (count != 1)}, of "
        f"{num_classes} class{'es' * (num_classes != 1)}; give {FEWEST} or more, of two classes or more",
    )


def typed(flag: str, values: Sequence[float]) -> str:
    """A setting as one types it.

    >>> typed("--layer-sizes", (784, 16, 10)), typed("--learning-rates", ())
    ('--layer-sizes 784 16 10', '--learning-rates, with no value')
    """
    words = [str(value).removesuffix(".0") for value in values]
    return " ".join([flag, *words]) if words else f"{flag}, with no value"


def first_line(error: BaseException) -> str:
    r"""Kind and first line of somebody else's error, to stand within one sentence.

    >>> first_line(ValueError("wrong\nin detail"))
    'ValueError: wrong'
    """
    said = []
    with contextlib.suppress(Exception):  # somebody else's error may have no words
        said = str(error).strip().splitlines()
    return f"{type(error).__name__}: {said[0].rstrip(' .:')}" if said else type(error).__name__
