"""Words of a command line that cannot work: of every experiment from its declared bounds, and made by hand.

Each is refused in one sentence, with exit code 2, before anything is written: the tests try it, and reliability counts.
"""

import importlib
import itertools
from collections.abc import Iterator
from typing import Any

from annotated_types import MinLen, MultipleOf

from experiments.common import bounds, chapters
from experiments.common.bounds import Field

NO_NUMBERS = ("abc", "", " ", "1,5", "0x10", "--", "1e", "½", "None", "$x_{1}^$", "[/red]", "1;2", "9" * 5000)
NOT_WHOLE = ("1.5", "1e3", "nan")
NOT_FLOAT32 = ("nan", "inf", "-inf", "1e999", "1e-320", "-1e300")

# Refused by the words alone, in any experiment.
WORDS: tuple[str, ...] = (
    "--nonsense", "--nonsense=1", "nonsense", "-x", "--quick --full", "--num-seed 3", "--no-num-seeds", "--num-seeds",
    "--layer-sizes", "--out=", "--data-dir=", "--quick=1", "--full=", "--dry-run=1", "--resume=yes", "--help=3",
    "--cpu-devices 99999", "--num-seeds 100000000", f"--num-seeds {2**31}", f"--num-seeds {2**70}", f"--seed {2**32}",
    "--num-seeds 3 4", "--seed 1 --seed", "--num-examples -5", "--layer-sizes 784 -1 10", "--layer-sizes 784 x 10",
    "--layer-sizes 784,16,10", f"--seed {'9' * 5000}", f"--{'x' * 5000}", "y" * 5000,
)  # fmt: skip

# Refused after a look at the folder, the data, or the function that they name.
WITH_FILES: tuple[str, ...] = (
    "--out /dev/null", "--out /dev/null/below", "--out /proc/nope", f"--out {'a' * 300}",
    "--dataset /none", "--dataset /dev/null", "--dataset .", "--dataset /", "--dataset=", "--dataset ../../none",
    "--dataset mnist/nope", "--dataset $x_{1}^$", "--dataset [/red]", "--dataset `x`",
    f"--dataset {'a' * 300}", "--num-examples 99999999", "--layer-sizes 784", "--layer-sizes 784 16 11",
    "--layer-sizes 783 16 10", "--layer-sizes 784 99999999999 10",
    "--cost nope", "--cost :", "--cost a:", "--cost=", "--cost sys:exit", "--cost ../x:y", "--cost research.data:load",
    "--cost builtins:print", "--cost math:nan", "--cost jax.numpy:add", f"--cost {'a' * 5000}:b",
    "--activation nope", "--activation=", "--activation sys:exit", "--activation jax.numpy:sum",
    "--activation jax.numpy:argsort", "--output-activation nope", "--output-activation builtins:len",
    "--init-weights nope", "--init-weights sys:exit", "--init-weights jax.numpy:zeros_like",
    "--init-weights builtins:print", "--model nope", "--model no.such:module", "--model sys:exit",
    "--model builtins:dict", "--model builtins:len",
)  # fmt: skip


def all_of_them() -> list[tuple[str, list[str]]]:
    """(experiment, words): what the declarations forbid, then what is made by hand, for an experiment that has all."""
    return [*declared(), *(("steepest", words.split(" ")) for words in WORDS + WITH_FILES)]


def declared() -> Iterator[tuple[str, list[str]]]:
    """(experiment, words) for every setting that an experiment adds or bounds anew; for what all share, the first's."""
    seen, no_numbers = set(), itertools.cycle(NO_NUMBERS)
    for name, question in chapters.all_questions().items():
        default = importlib.import_module(question.module).Settings()
        for field in bounds.fields_of(type(default)):
            if field.kind in (int, float) and field not in seen:
                seen.add(field)
                single = [next(no_numbers), *(NOT_WHOLE if field.kind is int else NOT_FLOAT32), *outside(field)]
                whole = wrong_together(field, getattr(default, field.name)) if field.is_tuple else []
                yield from ((name, [f"{field.flag}={word}"]) for word in single)
                yield from ((name, [field.flag, *words]) for words in whole)


def outside(field: Field) -> Iterator[str]:
    """Numbers just outside the declared bounds, as one types them."""
    beyond = {"ge": -1, "gt": 0, "le": 1, "lt": 0}
    for bound in field.bounds:
        for edge, side in beyond.items():
            if (last := getattr(bound, edge, None)) is not None:
                yield str(last + side * (1 if field.kind is int else 1e-3 * max(1, abs(last))))
        if isinstance(bound, MultipleOf):
            yield "1000001"


def wrong_together(field: Field, values: tuple[Any, ...]) -> Iterator[list[str]]:
    """Numbers that are allowed one by one, but not as a tuple: none of them, too few, and the first one twice."""
    yield []
    words = list(map(str, values))
    for bound in field.bounds:
        match bound:
            case MinLen(min_length=least) if least > 1:
                yield words[: least - 1]
            case bounds.Rule() if words:
                yield [words[0], *words]
