"""Results as trees: a NamedTuple of arrays, numbers and words, nested where natural, written under its own names and
read back by its annotations."""

import types
from collections.abc import Iterator
from typing import Any, Union, get_args, get_origin, get_type_hints

import numpy as np


def flat(tree: Any, name: str = "") -> dict[str, np.ndarray]:
    """Every array of the tree by its name; the names of nested parts are joined by dots. None leaves nothing.

    >>> from typing import NamedTuple
    >>> class Curve(NamedTuple):
    ...     label: str
    ...     cost: np.ndarray
    >>> flat({"curves": (Curve("a", np.ones(2)),)})
    {'curves.0.label': array('a', dtype='<U1'), 'curves.0.cost': array([1., 1.])}
    """
    if tree is None:
        return {}
    if hasattr(tree, "_asdict"):
        parts = tree._asdict()
    elif isinstance(tree, list | tuple):
        parts = dict(enumerate(tree))
    elif isinstance(tree, dict):
        parts = tree
    else:
        return {name: np.asarray(tree)}
    found = {}
    for key, part in parts.items():
        found |= flat(part, joined(name, str(key)))
    return found


def built(kind: Any, arrays: dict[str, np.ndarray], name: str = "") -> Any:
    """The tree of type `kind` from its arrays: the inverse of `flat`. Raises KeyError for a name that is missing.

    >>> built(tuple[float, ...], {"0": np.asarray(0.5), "1": np.asarray(2.0)})
    (0.5, 2.0)
    """
    origin, args = get_origin(kind), get_args(kind)
    if origin in (Union, types.UnionType):  # X | None
        (kind,) = [arg for arg in args if arg is not type(None)]
        return built(kind, arrays, name) if name in arrays or any(children(arrays, name)) else None
    if hasattr(kind, "_fields"):
        hints = get_type_hints(kind)
        return kind(*(built(hints[field], arrays, joined(name, field)) for field in kind._fields))
    if origin in (tuple, list):
        keys = sorted(set(children(arrays, name)), key=int)
        kinds = [args[0]] * len(keys) if origin is list or args[-1] is Ellipsis else args
        return origin(built(one, arrays, joined(name, key)) for one, key in zip(kinds, keys, strict=True))
    if origin is dict:
        return {key: built(args[1], arrays, joined(name, key)) for key in dict.fromkeys(children(arrays, name))}
    return arrays[name].item() if kind in (int, float, str, bool) else arrays[name]


def as_read_back(kind: Any, tree: Any) -> Any:
    """The tree as it will be read back: numpy's arrays where there were JAX's. Raises TypeError for what no file can
    hold, such as random keys and objects."""
    arrays = flat(tree)
    strange = [f"{name} ({array.dtype})" for name, array in arrays.items() if array.dtype.kind not in "biufcU"]
    if strange:
        raise TypeError(f"{', '.join(strange)}: a field has numbers, words, arrays of these, or tuples and NamedTuples")
    found = built(kind, arrays)
    lost = arrays.keys() - flat(found).keys()
    if lost:
        raise TypeError(f"{', '.join(sorted(lost))} is not what its annotation says")
    return found


def joined(name: str, key: str) -> str:
    return f"{name}.{key}" if name else key


def children(arrays: dict[str, np.ndarray], name: str) -> Iterator[str]:
    """The keys directly below a name, as often as arrays lie there."""
    prefix = joined(name, "")
    return (key[len(prefix) :].split(".")[0] for key in arrays if key.startswith(prefix) and len(key) > len(prefix))
