"""What is said on the terminal: the claims, those that fail last so that they are seen, and the finding."""

import tempfile
from collections.abc import Iterable
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from experiments.common.bounds import SettingsError
from experiments.common.claims import Claim, number


def show(claims: Iterable[Claim], finding: str) -> None:
    """A row for every claim, and then the finding."""
    table = Table("claim", "says", "measured", "bound", "verdict", title_justify="left")
    for claim in sorted(claims, key=lambda claim: not claim.holds):
        verdict = "[green]holds[/]" if claim.holds else "[red]does not hold[/]"
        why = "" if claim.holds or not claim.why else f" Why: {claim.why}"
        measured = f"{number(float(claim.measured))} {claim.unit}"
        table.add_row(claim.id, escape(claim.says + why), escape(measured), str(claim.bound), verdict)
    console = Console()
    if table.row_count:
        console.print(table)
    console.print(finding, markup=False, highlight=False)


def check_writable(folder: Path) -> None:
    """Raises SettingsError unless a file can be made in `folder`, or in the nearest that exists above it.

    It is tried: who may do everything, as root, is told by `os.access` that every folder will do, even /proc.
    """
    try:
        existing = next(path for path in (folder.absolute(), *folder.absolute().parents) if path.exists())
        with tempfile.TemporaryFile(dir=existing):
            pass
    except OSError as error:
        raise SettingsError(
            f"--out is {folder}, which is not a folder that can be written to ({error.strerror}); choose another"
        ) from error
