"""Which experiments there are: files in the chapters, in the film's order. None of them is imported for it."""

import inspect
import re
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

FOLDER = Path(__file__).parents[1]
CHAPTERS = ("one_example", "all_examples", "mini_batches", "hill", "labels", "networks")


class Question(NamedTuple):
    """One experiment: its name, its module, and the first line of its header."""

    name: str
    module: str
    asks: str


def header(path: Path) -> str:
    """The docstring that a file opens with. Parsing all files for it would take 0.3 s of every start."""
    found = re.match('"""(.*?)"""', path.read_text(encoding="utf-8"), re.DOTALL)
    return inspect.cleandoc(found[1]) if found else ""


def first_line(path: Path) -> str:
    return header(path).partition("\n")[0]


def questions(chapter: str) -> list[Question]:
    """The experiments of a chapter: first those that its docstring names, in that order, then the others."""
    named = re.findall(r"\w+", header(FOLDER / chapter / "__init__.py"))
    paths = [path for path in sorted((FOLDER / chapter).glob("[!_]*.py")) if not path.stem.endswith("_figures")]
    paths.sort(key=lambda path: named.index(path.stem) if path.stem in named else len(named))
    return [Question(path.stem, f"experiments.{chapter}.{path.stem}", first_line(path)) for path in paths]


def all_questions() -> dict[str, Question]:
    """Every experiment by its name, in the film's order."""
    return {question.name: question for chapter in CHAPTERS for question in questions(chapter)}


def in_order(names: Iterable[str]) -> dict[str, list[str]]:
    """Those of the experiments, by the titles of their chapters, in the film's order; a user's own come last."""
    left, found = list(names), {}
    for chapter in CHAPTERS:
        here = [question.name for question in questions(chapter) if question.name in left]
        left = [name for name in left if name not in here]
        found[first_line(FOLDER / chapter / "__init__.py").removesuffix(".")] = here
    return {title: here for title, here in (found | {"Your own": left}).items() if here}


def listing() -> str:
    """Chapters and questions, for the terminal."""
    width = max(map(len, all_questions()), default=0)
    lines = []
    for chapter in CHAPTERS:
        lines += ["", f"{chapter}: {first_line(FOLDER / chapter / '__init__.py')}"]
        lines += [f"  {question.name:<{width}}  {question.asks}" for question in questions(chapter)]
    return "\n".join([*lines[1:], "", "Run one with: python -m experiments NAME --quick   (--help shows its settings)"])
