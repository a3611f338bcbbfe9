"""What is said on the terminal: the claims, those that fail last so that they are seen, and the finding."""

from collections.abc import Iterable, Mapping

from rich.console import Console
from rich.text import Text

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
