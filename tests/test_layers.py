"""The house: an arrow is an import, and arrows only go down."""

import ast
import functools
from pathlib import Path

import pytest

from experiments.common.chapters import CHAPTERS

ROOT = Path(__file__).parents[1]
FLOORS = [  # from below
    {f"{package}.{name}" for name in names.split()}
    for package, names in (
        ("research", "costs models flax_models data datasets sharding fits paths"),
        ("research", "gradients backprop sampling"),
        ("research", "statistics agreement"),
        ("research", "training landscape curvature layerwise patching streaming"),
        ("experiments.common", "film claims trees bounds chapters plots filters wishes wish_tables hebbian stopping"),
        ("experiments.common", "on_paper"),
        ("experiments.common", "hosts devices"),
        ("experiments.common", "folders records terminal stale ledger front"),
        ("experiments.common", "resume"),
        ("experiments.common", "runs"),
        ("experiments.common", "problem tune batch_gradients cost_looks"),
        ("experiments.common", "descents cli bad_inputs"),
        ("experiments.common", "posing estimates twice"),
        ("experiments.common", "experiment"),
        ("experiments.common", "hills peers in_c floors teaching optimizers processes shared_works trials"),
        ("experiments.common", "long_training two_networks works layer_descents stationary again"),
        ("experiments.common", "checkpoints gather valleys asking race walks"),
        ("experiments.common", "microscope"),
    )
]
FIGURES, EXPERIMENTS, ENTRY = len(FLOORS), len(FLOORS) + 1, len(FLOORS) + 2
HEAVY = {"tensorflow_datasets": "research.datasets", "flax": "research.flax_models"}
NOT_IN_RESEARCH = {"matplotlib", "plotly", "rich", "tyro", "argparse"}
HOUSE_ONLY = {  # what nobody but these may do
    "argparse": {"experiments.common.cli", "experiments.__main__"},
    "importlib": {"experiments.common.cli", "experiments.common.records"},
    "json": {"experiments.common.folders"},
}
FILES = sorted([*(ROOT / "research").rglob("*.py"), *(ROOT / "experiments").rglob("*.py")])


def name_of(path):
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


@functools.cache
def imports_of(path):
    """All modules that a file names, inside its functions too."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: a relative import hides the arrow"
            names = {f"{node.module}.{alias.name}" for alias in node.names}
            ours = {name for name in names if (ROOT / (name.replace(".", "/") + ".py")).exists()}
            found |= ours or {node.module}
    return found


def floor_of(module):
    floors = [index for index, floor in enumerate(FLOORS) if module in floor]
    if floors:
        return floors[0]
    if module == "experiments.__main__":
        return ENTRY
    chapter = module.split(".")[1]
    assert chapter in CHAPTERS, f"{module} stands on no floor: name it in FLOORS, or put it into a chapter"
    return FIGURES if module.endswith("_figures") else EXPERIMENTS


@pytest.mark.parametrize("path", [path for path in FILES if path.name != "__init__.py"], ids=name_of)
def test_arrows_only_go_down(path):
    module = name_of(path)
    ours = {name for name in imports_of(path) if name.split(".")[0] in ("research", "experiments")}
    for name in ours - {"research", "experiments", "experiments.common"} - {f"experiments.{one}" for one in CHAPTERS}:
        assert floor_of(name) <= floor_of(module), f"{module} imports {name}, which is above it"
        assert floor_of(name) < EXPERIMENTS, f"{module} imports the experiment {name}"
        if floor_of(name) == FIGURES:
            assert name.rpartition(".")[0] == module.rpartition(".")[0], f"{module} imports {name}, another chapter's"


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_heavy_packages_are_imported_only_in_the_file_that_is_about_them(path):
    packages = {name.split(".")[0] for name in imports_of(path)}
    if name_of(path).startswith("research"):
        assert not packages & NOT_IN_RESEARCH
        for package, home in HEAVY.items():
            assert package not in packages or name_of(path) == home


@pytest.mark.parametrize("path", [path for path in FILES if "common" not in path.parts], ids=name_of)
def test_only_the_house_parses_reads_import_paths_and_writes_records(path):
    packages = {name.split(".")[0] for name in imports_of(path)}
    for package, allowed in HOUSE_ONLY.items():
        assert package not in packages or name_of(path) in allowed


def test_no_module_hands_on_the_names_of_another():
    for path in FILES:
        if path.name == "__init__.py":
            assert imports_of(path) == set()


def test_the_film_can_be_read_in_one_sitting():
    film = ("data", "costs", "models", "gradients", "backprop", "training")
    assert sum(len((ROOT / "research" / f"{name}.py").read_text().splitlines()) for name in film) < 1000


def functions():
    for path in FILES:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef):
                yield f"{name_of(path)}.{node.name}", node


def test_no_function_is_longer_than_40_lines_or_takes_more_than_6_parameters():
    for name, node in functions():
        arguments = node.args.posonlyargs + node.args.args + node.args.kwonlyargs
        docstring = ast.get_docstring(node)
        lines = (node.end_lineno or 0) - node.lineno + 1 - (len(docstring.splitlines()) if docstring else 0)
        assert lines <= 40, f"{name} has {lines} lines"
        assert len(arguments) <= 6, f"{name} takes {len(arguments)} parameters"
