"""The ledger: every claim of every result with its number, its bound and its verdict, as a page of markdown."""

import re
from collections import Counter
from typing import Any

from experiments.common import chapters
from experiments.common.claims import KINDS, Bound, number

TITLE = "# Every claim, its number and its verdict"
INTRODUCTION = f"""{TITLE}

Gathered by `python -m experiments --rejudge` from the run.json of every experiment. The bounds stand in the code before
a run; they come from theory or the literature. A prediction may fail; an identity checks the code; a follow-up was
asked after a failure; speed is a wish. A claim that does not hold is shown as such, and why.
"""
HEAD = ["| claim | kind | says | measured | bound | verdict |", "|---|---|---|---|---|---|"]


def text(records: dict[str, dict[str, Any]]) -> str:
    """The page for the records of finished runs, by the names of their experiments."""
    parts = chapters.in_order(records)
    lines = [INTRODUCTION, *totals([claim for record in records.values() for claim in record["claims"]]), ""]
    usual = Counter(map(made_by, records.values())).most_common(1)
    lines += [f"Where nothing else is said: {made}." for made, _ in usual]
    lines += [f"- {title}: {', '.join(f'[{name}](#{name})' for name in names)}" for title, names in parts.items()]
    for title, names in parts.items():
        lines += ["", f"# {title}"]
        for name in names:
            lines += ["", f"## {name}", "", *section(name, records[name], usual[0][0])]
    return "\n".join(lines) + "\n"


def made_by(record: dict[str, Any]) -> str:
    return f"commit `{record['commit'][:12]}`, {record['device']}, {record['status']}"


def totals(claims: list[dict[str, Any]]) -> list[str]:
    """How many of each kind hold."""
    rows = ["| kind | claims | hold |", "|---|---|---|"]
    for kind in KINDS:
        found = [claim["holds"] for claim in claims if claim.get("kind") == kind]
        rows.append(f"| {kind} | {len(found)} | {sum(found)} |")
    return rows


def section(name: str, record: dict[str, Any], usual: str) -> list[str]:
    """One experiment: its finding, its claims, identities folded, and links to its figures and pages."""
    files, made = record.get("files", []), made_by(record)
    identities = [row(claim) for claim in record["claims"] if claim["kind"] == "identity"]
    others = [claim for claim in record["claims"] if claim["kind"] != "identity"]
    rows = [row(claim) for claim in sorted(others, key=lambda claim: KINDS.index(claim["kind"]))]
    folded = f"<details><summary>{len(identities)} identities</summary>"
    return [
        plain(record["finding"] or record["status"]),
        "",
        f"<code>{plain(record['command'])}</code>" + f"; {made}." * (made != usual),
        "",
        *([*HEAD, *rows, ""] if rows else []),
        *([folded, "", *HEAD, *identities, "", "</details>", ""] if identities else []),
        *(f"![{file.removesuffix('.png')}]({name}/{file})" for file in files if file.endswith(".png")),
        *(f"[{file}]({name}/{file})" for file in files if file.endswith((".html", ".txt", ".gif"))),
    ]


def row(claim: dict[str, Any]) -> str:
    """One line of the table."""
    verdict = "holds" if claim["holds"] else "**does not hold**"
    why = f" {plain(claim['why'])}" if claim.get("why") else ""
    measured = f"{number(claim['measured'])} {claim['unit']}"
    cells = (claim["id"], claim["kind"], claim["says"], measured, str(Bound(*claim["bound"])))
    return f"| {' | '.join(map(plain, cells))} | {verdict}{why} |"


def plain(text: str) -> str:
    """Text that markdown and HTML leave as it is; what stands within words, such as one_example, needs no care."""
    text = re.sub(r"(?<!\w)_|_(?!\w)|[\\`*\[\]|]", r"\\\g<0>", text)
    return " ".join(text.replace("&", "&amp;").replace("<", "&lt;").split())
