"""The command line: words to checked settings, import paths to functions, and errors to one sentence and an exit code.

Import paths end here: nobody below sees one. What a function must be is tried in experiments/common/problem.py.
"""

import argparse
import ast
import contextlib
import dataclasses
import functools
import importlib
import inspect
import itertools
import sys
import textwrap
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any, NoReturn

from jax.errors import JaxRuntimeError

from experiments.common import bounds, hosts
from experiments.common.bounds import Field, SettingsError, first_line, require
from experiments.common.runs import Diverged
from research.data import DataError

KINDS = {int: "a whole number", float: "a number", Path: "a path", str: "text"}
SIZES = {"--quick", "--full"}
DRY_RUN, RESUME = "--dry-run", "--resume"
LONGEST = 500  # letters of a sentence; what is typed may have thousands


class Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:  # in one sentence, and without leaving
        raise SettingsError(message.removeprefix("argument "))


def parse(module: ModuleType, name: str, argv: Sequence[str]) -> Any:
    """The settings from the words of a command line, checked; --quick or --full choose what the other words change."""
    default, changes = typed(module, name, argv)
    return dataclasses.replace(default, **changes)


def typed(module: ModuleType, name: str, argv: Sequence[str]) -> tuple[Any, dict[str, Any]]:
    """The settings of the size that the words name, and what other words change of them; both together are checked."""
    chosen = SIZES.intersection(argv)
    require(len(chosen) <= 1, "--quick and --full were both given; choose one of them, or neither")
    require(not {DRY_RUN, RESUME} <= set(argv), "--dry-run and --resume were both given; choose one of them")
    default = {"--quick": module.QUICK, "--full": module.FULL}[chosen.pop()] if chosen else module.Settings()
    fields, docs = bounds.fields_of(type(default)), docs_of(type(default))
    own = module.__name__ if not module.__name__.startswith("experiments.") else name
    parser = Parser(
        f"python -m experiments {own} [--quick | --full] [--dry-run | --resume]",
        description=inspect.cleandoc(module.__doc__ or ""),
        allow_abbrev=False,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="Sizes: --quick, a first look; --full, the committed results; neither, the default.\n"
        "--dry-run checks all of it, says what it would cost, and stops.\n"
        "--resume goes on from where the same run was stopped.",
    )
    for field in fields:
        add_argument(parser, field, getattr(default, field.name), docs.get(field.name, ""))
    found, unknown = parser.parse_known_args([word for word in argv if word not in SIZES | {DRY_RUN, RESUME}])
    require(not unknown, f"{' '.join(unknown)} is no setting of {name}; --help lists them all")
    changes = {field.name: read(field, getattr(found, field.name)) for field in fields if hasattr(found, field.name)}
    bounds.check(dataclasses.replace(default, **changes))
    return default, changes


def add_argument(parser: argparse.ArgumentParser, field: Field, default: Any, doc: str) -> None:
    """One setting with its help: what it is, what is allowed, what it is by default. Only what is typed is kept."""
    shown = " ".join(map(str, default)) if field.is_tuple else default
    words = [doc, f"({field.words})" if field.words else "", f"[{shown}]" if shown not in ("", None) else ""]
    help_text = " ".join(filter(None, words)).replace("%", "%%")
    if field.kind is bool:
        options: dict[str, Any] = {"action": argparse.BooleanOptionalAction}
    else:
        options = {"nargs": "+" if field.is_tuple else None, "metavar": field.kind.__name__.upper()}
    parser.add_argument(field.flag, default=argparse.SUPPRESS, help=help_text, **options)


def read(field: Field, word: Any) -> Any:
    """The value of a setting from what was typed. Raises SettingsError for a word that is none of its kind."""
    try:
        # pathlib takes '' for the current folder; of FLAG=-- argparse makes an empty list.
        if word == [] or (word == "" and field.kind is Path):
            raise ValueError
        return field.converted(word)
    except ValueError:
        said = (" ".join(word) if field.is_tuple else word) or "''"
        raise SettingsError(f"{field.flag} is {said}; it must be {KINDS[field.kind]}") from None


@functools.cache
def docs_of(kind: type) -> dict[str, str]:
    """The text under every field of a dataclass and of those it is derived from, as one paragraph each."""
    docs = {}
    for ancestor in reversed([kind for kind in kind.__mro__ if dataclasses.is_dataclass(kind)]):
        (body,) = ast.parse(textwrap.dedent(inspect.getsource(ancestor))).body
        lines = body.body  # pyright: ignore[reportAttributeAccessIssue]
        for field, text in itertools.pairwise(lines):
            match field, text:
                case ast.AnnAssign(target=ast.Name(id=name)), ast.Expr(value=ast.Constant(value=str(doc))):
                    docs[name] = " ".join(doc.split())
    return docs


@contextlib.contextmanager
def exit_codes() -> Iterator[None]:
    """Says in one sentence what went wrong. 2: a wrong setting, file or function, or a full disk; 1: a run that
    diverged; 3: of several processes one has failed. Signals: experiments/common/stopping.py."""
    try:
        yield
    except (SettingsError, DataError) as error:
        leave(2, f"error: {'. '.join([str(error), *getattr(error, '__notes__', [])])}")
    except ValueError as error:
        if hosts.are_several() and "Gloo" in str(error):  # an exchange that was under way
            hosts.lost(first_line(error))
        raise
    except (MemoryError, OverflowError, JaxRuntimeError) as error:
        if isinstance(error, JaxRuntimeError) and "RESOURCE_EXHAUSTED" not in str(error):
            if hosts.are_several():
                hosts.lost(first_line(error))
            raise
        more = f"these settings ask for more than this machine can hold ({first_line(error)})"
        leave(2, f"error: {more}; give smaller numbers")
    except KeyboardInterrupt:  # a key ends the program by stopping.py; from other programs, and users' functions, too
        leave(130, "stopped by KeyboardInterrupt; earlier results stand")
    except Diverged as error:
        leave(1, f"diverged: {error}")
    except OSError as error:
        if error.filename is None:
            raise
        leave(2, f"error: {error.strerror}: {error.filename}; name another file or folder")


def leave(code: int, sentence: str) -> NoReturn:
    print(sentence if len(sentence) <= LONGEST else f"{sentence[:300]} ... {sentence[-150:]}", file=sys.stderr)
    raise SystemExit(code) from None


def import_module(what: str, path: str) -> ModuleType:
    """The module of that name, where `what` (a flag, or 'the experiment') asked for it."""
    require(
        all(part.isidentifier() for part in path.split(".")),
        f"{what} is {path}, which names no module; write it with dots and without .py, as my_folder.my_file",
    )
    try:
        return importlib.import_module(path)
    except ModuleNotFoundError as error:
        raise SettingsError(
            f"{what} is {path}, but there is no module {error.name}; give its name from the folder in which its file "
            "lies, and install what it imports"
        ) from error
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # whatever a user's own module raises while it is imported
        raise SettingsError(f"{what} is {path}, but importing it failed: {first_line(error)}; mend it first") from error


def import_function(flag: str, path: str, default_module: str) -> Callable:
    """The function that `path` names, package.module:function; without a module it is one of `default_module`."""
    module_name, colon, name = path.rpartition(":")
    own = "" if colon else f", or, if {path} is a module of your own, {path}:FUNCTION"
    wanted = "give package.module:function" + f", such as {default_module}:NAME" * bool(default_module)
    require(name.isidentifier(), f"{flag} is {path}, which names no function; {wanted}")
    require(bool(module_name or default_module), f"{flag} is {path}; {wanted}")
    module = import_module(flag, module_name or default_module)
    require(hasattr(module, name), f"{flag} is {path}, but {module.__name__} has no {name}; name a function of it{own}")
    function = getattr(module, name)
    require(callable(function), f"{flag} is {path}, but that is not a function; name a function of {module.__name__}")
    return function
