"""beartype once for every signature: nested functions come anew with each call of what they stand in."""

from beartype import beartype

CHECKED = {}


def checked(stub):
    """`stub` checked by beartype. jaxtyping hands over no function of ours but one of its own that only has its
    annotations, so that an earlier one with the same serves as well."""
    key = stub.__module__, stub.__qualname__, *stub.__annotations__.items()
    if key not in CHECKED:
        CHECKED[key] = beartype(stub)
    return CHECKED[key]
