"""Which experiments there are: files in the chapters, in the film's order. None of them is imported for it."""

import ast
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
    """The docstring of a file, '' where there is none."""
    return ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or "" if path.exists() else ""


def questions(chapter: str) -> list[Question]:
    """The experiments of a chapter: first those that its docstring names, in that order, then the others."""
    order = header(FOLDER / chapter / "__init__.py")
    paths = [path for path in (FOLDER / chapter).glob("[!_]*.py") if not path.stem.endswith("_figures")]
    found = [
        Question(path.stem, f"experiments.{chapter}.{path.stem}", header(path).partition("\n")[0]) for path in paths
    ]

    def place(question: Question) -> tuple[int, str]:
        return (order.find(question.name) if question.name in order else len(order), question.name)

    return sorted(found, key=place)


def all_questions() -> dict[str, Question]:
    """Every experiment by its name, in the film's order."""
    return {question.name: question for chapter in CHAPTERS for question in questions(chapter)}


def listing() -> str:
    """Chapters and questions, for the terminal."""
    width = max(map(len, all_questions()), default=0)
    lines = []
    for chapter in CHAPTERS:
        lines += ["", f"{chapter}: {header(FOLDER / chapter / '__init__.py').partition(chr(10))[0]}"]
        lines += [f"  {question.name:<{width}}  {question.asks}" for question in questions(chapter)]
    return "\n".join([*lines[1:], "", "Run one with: python -m experiments NAME --quick   (--help shows its settings)"])
