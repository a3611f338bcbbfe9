"""The house: an arrow is an import, and arrows only go down."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FLOORS = [
    {"research.costs", "research.models", "research.data", "research.sharding", "research.plots"},
    {"research.gradients", "research.backprop", "research.flax_models"},
    {"research.statistics", "research.agreement"},
    {"research.training", "research.landscape", "research.curvature"},
    {"experiments.common.film", "experiments.common.records", "experiments.common.runs"},
    {"experiments.common.settings", "experiments.common.descents"},
    {"experiments.common.hills", "experiments.common.checkpoints", "experiments.common.peers"},
]
FIGURES = len(FLOORS)
ALONE = {  # of research, these import only what is named
    "research.costs": set(),
    "research.data": set(),
    "research.models": set(),
    "research.plots": set(),
    "research.sharding": set(),
    "research.flax_models": {"research.models"},
    "research.backprop": {"research.models", "research.data"},
    "research.statistics": {
        "research.data",
        "research.models",
        "research.sharding",
        "research.gradients",
        "research.backprop",
    },
    "research.agreement": {"research.data", "research.models", "research.gradients"},
    "research.training": {"research.data", "research.gradients"},
    "research.landscape": {"research.data", "research.gradients"},
    "research.curvature": {"research.data", "research.gradients"},
}
HEAVY = {"tensorflow_datasets": "research.data", "flax": "research.flax_models", "matplotlib": "research.plots"}
FILES = sorted([*(ROOT / "research").rglob("*.py"), *(ROOT / "experiments").rglob("*.py")])


def name_of(path):
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


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
    above = FIGURES if module.startswith("experiments.figures.") else FIGURES + 1  # the experiments stand on top
    return floors[0] if floors else above


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_arrows_only_go_down(path):
    module = name_of(path)
    ours = {name for name in imports_of(path) if name.split(".")[0] in ("research", "experiments")}
    if module in ALONE:
        assert ours <= ALONE[module]
    if module.startswith("research"):
        assert not any(name.startswith("experiments") for name in ours)
    for name in ours - {"research", "experiments", "experiments.common", "experiments.figures"}:
        assert floor_of(name) <= floor_of(module), f"{module} imports {name}, which is above it"
        assert floor_of(name) <= FIGURES, f"{module} imports the experiment {name}"
        assert not (floor_of(name) == floor_of(module) == FIGURES), f"{module} imports {name}, another's figures"


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_heavy_packages_are_imported_only_in_the_file_that_is_about_them(path):
    for package, home in HEAVY.items():
        if name_of(path).startswith("research") and any(name.split(".")[0] == package for name in imports_of(path)):
            assert name_of(path) == home


def test_no_module_hands_on_the_names_of_another():
    for path in FILES:
        if path.name == "__init__.py":
            assert imports_of(path) == set()
