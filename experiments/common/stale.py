"""Which results were measured by other code than today's: what `measure` needs, now and at the commit of the result.

Of the experiment itself that is what Settings, the sizes, Result and measure use, and of the house what Settings and
pose use; of research/ and experiments/, the files that are imported there, and those that they import, but for the
files that only judge, draw and run; besides Python's, the files beside one that its code names. Docstrings and comments
do not count. Of a user's own files run.json has the hashes.
"""

import ast
import functools
import hashlib
import subprocess
import sys
import sysconfig
from collections.abc import Callable, Iterable
from pathlib import Path
from types import ModuleType
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
HOUSE = "experiments.common.experiment"
MEASURES = {"Settings", "QUICK", "FULL", "Result", "measure", "pose"}
JUDGES = {f"experiments.common.{name}" for name in (
    "bounds", "chapters", "claims", "cli", "film", "folders", "front", "gather", "hosts", "ledger", "plots", "records",
    "resume", "stale", "stopping", "terminal", "trees")}  # fmt: skip
Read = Callable[[str], str | None]  # path within the repository -> its text, None where it does not exist


def is_stale(module: str, record: dict[str, Any]) -> bool:
    """Whether what measures has changed since the record's commit, or had uncommitted changes then; or a file of the
    user's own."""
    commit, own = record["commit"], record.get("own_code", {})
    if commit.endswith("+changes") or changed(module, record):
        return True
    now, then = (measuring(module, read, own) for read in (as_it_is, functools.partial(at_commit, commit)))
    return now != then


def changed(module: str, record: dict[str, Any]) -> list[str]:
    """The user's own files, looked for from the current folder, that are not what they were."""
    return [path for path, digest in record.get("own_code", {}).items() if digest_of(path, module) != digest]


def users_code(module: str) -> dict[str, str]:
    """SHA-256 of the code of every file of a user's own that is imported by now, which is neither ours nor installed,
    by its path from the current folder; of the experiment itself the part that measures."""
    python = [Path(sysconfig.get_path(name)) for name in ("stdlib", "platstdlib")]
    known = [ROOT / "research", ROOT / "experiments", *python, *(path.resolve() for path in python)]
    here, found = Path.cwd(), {}
    for loaded in list(sys.modules.values()):
        # vars() would import what a library imports lazily
        file = object.__getattribute__(loaded, "__dict__").get("__file__") if isinstance(loaded, ModuleType) else None
        if not isinstance(file, str):
            continue
        path, seen = Path(file).resolve(), (Path(file), Path(file).resolve())  # a package may be a link
        installed = any({"site-packages", "dist-packages"}.intersection(each.parts) for each in seen)
        if path.is_file() and not installed and not any(each.is_relative_to(one) for each in seen for one in known):
            name = str(path.relative_to(here) if path.is_relative_to(here) else path)
            found[name] = digest_of(name, module)
    return dict(sorted(found.items()))


def digest_of(path: str, module: str) -> str:
    """SHA-256 of a user's file without docstrings and comments, of the experiment itself the part that measures; ''
    where there is none, or none that can be read."""
    text = in_current_folder(path)
    return "" if text is None else hashlib.sha256(parsed(text, path.endswith(path_of(module)))[0].encode()).hexdigest()


def measuring(module: str, read: Read, own: Iterable[str] = ()) -> dict[str, str | None]:
    """The code that a result depends on, file by file, without docstrings and comments; with what files of the user's
    `own`, which are read as they are, import of ours."""
    found, todo = {}, {module, HOUSE}
    for path in own:
        todo |= files_of(parsed(in_current_folder(path) or "", False)[1], read)
    while todo:
        name = todo.pop()
        path = path_of(name)
        text = read(path) if is_ours(name) else in_current_folder(path)
        if path not in found and text is not None:
            found[path], imported, said = parsed(text, name in (module, HOUSE))
            found |= {other: read(other) for other in named_beside(path, said) if is_ours(name)}
            todo |= files_of(imported, read)
    return found


@functools.cache  # many results need the same files
def parsed(text: str, in_part: bool) -> tuple[str, list[ast.Import | ast.ImportFrom], set]:
    """(the code of a file, or of the part of it that measures; what is imported there; its constants)"""
    tree = needed(ast.parse(text)) if in_part else ast.parse(text)
    code, nodes = bare(tree), list(ast.walk(tree))
    said = {node.value for node in nodes if isinstance(node, ast.Constant)}
    return code, [node for node in nodes if isinstance(node, ast.Import | ast.ImportFrom)], said


def needed(tree: ast.Module) -> ast.Module:
    """The part of an experiment, or of the house, that measures: what those names use, if need be through
    others of the module."""
    defined = {name: node for node in tree.body for name in names_defined(node)}
    wanted, todo = set(), MEASURES & defined.keys()
    while todo:
        name = todo.pop()
        wanted.add(name)
        names = [part for part in ast.walk(defined[name]) if isinstance(part, ast.Name)]
        used = {part.id for part in names if isinstance(part.ctx, ast.Load)}  # a field of the same name uses nothing
        todo |= (used & defined.keys()) - wanted
    keep = {id(defined[name]) for name in wanted}
    for node in tree.body:
        if isinstance(node, ast.Import | ast.ImportFrom):
            node.names = [alias for alias in node.names if called(alias) in wanted]
    return ast.Module([node for node in tree.body if id(node) in keep], [])


def names_defined(node: ast.stmt) -> list[str]:
    """The names that a statement at the top of a module defines or imports."""
    match node:
        case ast.FunctionDef(name=name) | ast.ClassDef(name=name):
            return [name]
        case ast.Import(names=names) | ast.ImportFrom(names=names):
            return [called(alias) for alias in names]
        case ast.Assign() | ast.AnnAssign():
            names = [part for part in ast.walk(node) if isinstance(part, ast.Name)]
            return [name.id for name in names if isinstance(name.ctx, ast.Store)]
    return []


def called(alias: ast.alias) -> str:
    return alias.asname or alias.name.partition(".")[0]


def files_of(imported: list[ast.Import | ast.ImportFrom], read: Read) -> set[str]:
    """The modules of ours among what is imported that measure."""
    found = set()
    for node in imported:
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names if is_ours(alias.name)}
        elif is_ours(node.module or ""):
            below = {f"{node.module}.{alias.name}" for alias in node.names}
            files = {name for name in below if read(path_of(name)) is not None}
            found |= files or {node.module}
    return found - JUDGES


def named_beside(path: str, said: set) -> list[str]:
    """The files of another kind beside it that the code names, in full or, those of its own name, by their ending."""
    others = [file for file in (ROOT / path).parent.glob("*.*") if file.suffix != ".py"]
    named = [file for file in others if file.name in said or (file.stem == Path(path).stem and file.suffix in said)]
    return [Path(path).with_name(file.name).as_posix() for file in named]


def bare(tree: ast.Module) -> str:
    """The code without docstrings, comments and places."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef):
            node.body = [part for part in node.body if not is_text(part)]
    return ast.unparse(tree)


def is_text(node: ast.AST) -> bool:
    """Whether it is a string that stands alone: a docstring."""
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)


def is_ours(module: str) -> bool:
    return module.split(".")[0] in ("research", "experiments")


def path_of(module: str) -> str:  # from the root of the repository
    return module.replace(".", "/") + ".py"


def as_it_is(path: str) -> str | None:
    file = ROOT / path
    return file.read_text(encoding="utf-8") if file.is_file() else None


def in_current_folder(path: str) -> str | None:
    """A user's file; None where it is missing, or broken."""
    try:
        text = Path(path).read_text(encoding="utf-8", errors="replace")
        parsed(text, False)
    except (OSError, SyntaxError, ValueError):
        return None
    return text


@functools.cache  # many results are of one commit
def at_commit(commit: str, path: str) -> str | None:
    done = subprocess.run(["git", "-C", str(ROOT), "show", f"{commit}:{path}"], capture_output=True, text=True)
    return done.stdout if done.returncode == 0 else None
