"""The ledger: every claim of every result with its number, its bound and its verdict, as a page of markdown."""

from typing import Any

from experiments.common import chapters
from experiments.common.claims import KINDS, Bound, number

INTRODUCTION = """# Every claim, its number and its verdict

Gathered by `python -m experiments --rejudge` from the run.json of every experiment. The bounds stand in the code before
a run; they come from theory or the literature. A prediction may fail; an identity checks the code; a follow-up was
asked after a failure; speed is a wish. A claim that does not hold is shown as such, and why.
"""


def text(records: dict[str, dict[str, Any]]) -> str:
    """The page for the records of finished runs, by the names of their experiments."""
    order = chapters.all_questions()
    names = [name for name in order if name in records] + [name for name in records if name not in order]
    lines = [INTRODUCTION, totals([claim for name in names for claim in records[name]["claims"]])]
    for name in names:
        lines += ["", f"## {name}", "", *section(name, records[name])]
    return "\n".join(lines) + "\n"


def totals(claims: list[dict[str, Any]]) -> str:
    """How many of each kind hold."""
    rows = ["| kind | claims | hold |", "|---|---|---|"]
    for kind in KINDS:
        found = [claim["holds"] for claim in claims if claim.get("kind") == kind]
        rows.append(f"| {kind} | {len(found)} | {sum(found)} |")
    return "\n".join(rows)


def section(name: str, record: dict[str, Any]) -> list[str]:
    """One experiment: its finding, its claims, and links to its figures and pages."""
    files = record.get("files", [])
    return [
        plain(record["finding"]),
        "",
        f"`{record['command']}`, commit `{record['commit'][:12]}`, {record['device']}; {record['status']}.",
        "",
        "| claim | kind | says | measured | bound | verdict |",
        "|---|---|---|---|---|---|",
        *(row(claim) for claim in sorted(record["claims"], key=lambda claim: KINDS.index(claim["kind"]))),
        "",
        *(f"![{file.removesuffix('.png')}]({name}/{file})" for file in files if file.endswith(".png")),
        *(f"[{file}]({name}/{file})" for file in files if file.endswith((".html", ".txt", ".gif"))),
    ]


def row(claim: dict[str, Any]) -> str:
    """One line of the table."""
    verdict = "holds" if claim["holds"] else "**does not hold**"
    why = f" {claim['why']}" if claim.get("why") else ""
    measured = f"{number(claim['measured'])} {claim['unit']}"
    cells = (claim["id"], claim["kind"], claim["says"], measured, str(Bound(*claim["bound"])), verdict + why)
    return f"| {' | '.join(map(plain, cells))} |"


def plain(text: str) -> str:
    """Text that markdown and HTML leave as it is."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace("|", "\\|")
