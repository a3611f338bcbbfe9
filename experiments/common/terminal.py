"""What is said on the terminal: the claims, those that fail last so that they are seen, and the finding."""

import os
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path

from rich.console import Console
from rich.text import Text

from experiments.common.bounds import SettingsError
from experiments.common.claims import Claim, number


def show(claims: Iterable[Claim], finding: str, committed: Mapping[tuple[str, str], float | None]) -> None:
    """Two lines for every claim, cut to the width of a terminal, those that fail last and with their why; the finding.
    `committed` has the number that stands in the repository's results for (id, says) of a claim."""
    console = Console(highlight=False)
    for claim in sorted(claims, key=lambda claim: not claim.holds):
        verdict = Text("holds" if claim.holds else "does not hold", "green" if claim.holds else "red")
        there = committed.get((claim.id, claim.says))
        beside = "" if there is None else f" (committed: {number(there)})"
        found = f"  {claim.id}  {number(float(claim.measured))}{beside}, expected {claim.bound}; {claim.unit}"
        for line in (verdict + Text(found), Text(f"  {claim.says}")):
            console.print(line, no_wrap=True, overflow="ellipsis" if console.is_terminal else "ignore",
                          crop=console.is_terminal)  # fmt: skip
        if claim.why and not claim.holds:
            console.print(Text(f"  why: {claim.why}"))
    console.print(Text(f"\n{finding}"))


def check_writable(folder: Path) -> None:
    """Raises SettingsError unless a file can be made in `folder`, if it exists, or else in the nearest above it.
    It is tried: who may do everything, as root, is told by `os.access` that every folder will do, even /proc."""
    try:
        there = Path(os.path.realpath(folder))  # where a link leads
        existing = next(path for path in (there, *there.parents) if path.exists() or path.is_symlink())
        with tempfile.TemporaryFile(dir=existing):
            pass
    except OSError as error:
        raise SettingsError(
            f"--out is {folder}, which is not a folder that can be written to ({error.strerror}); choose another"
        ) from error
