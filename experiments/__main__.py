"""Lists the experiments with their questions, or runs them all and gathers the ledger of their claims.

    python -m experiments                               what there is
    python -m experiments --all [--quick] [--out OUT]   all of them, one after the other, then OUT/README.md
    python -m experiments --ledger [--out OUT]          only OUT/README.md, from the runs that lie in OUT

An experiment is a file in this folder with a main(): there is no list to edit.
"""

import argparse
import ast
import json
import subprocess
import sys
from pathlib import Path

from experiments.common.records import write_whole

FOLDER = Path(__file__).parent


def questions() -> dict[str, str]:
    """Every experiment's name with the first line of its header, without importing any."""
    headers = {path.stem: ast.get_docstring(ast.parse(path.read_text())) for path in sorted(FOLDER.glob("[!_]*.py"))}
    return {name: (header or "").partition("\n")[0] for name, header in headers.items()}


def ledger(out: Path) -> str:
    """A table of every claim found in OUT/*/run.json, with its number, its bounds and its verdict."""
    lines = [
        "# Every claim, its number and its verdict",
        "",
        "Gathered by `python -m experiments --ledger` from the run.json of every experiment. The bounds stand in the",
        "code before a run; they come from theory or the literature. A claim that does not hold is shown as such.",
    ]
    for path in sorted(out.glob("*/run.json")):
        record = json.loads(path.read_text())
        lines += ["", f"## {path.parent.name}", "", record.get("finding", ""), ""]
        lines += [
            f"Status: {record['status']}. `{record['command']}`, commit `{record['commit'][:12]}`, {record['device']}."
        ]
        lines += ["", "| claim | says | measured | expected | low | high | unit | seeds | verdict |", "|" + "---|" * 9]
        lines += [claim_row(claim) for claim in record["claims"]]
        lines += [
            "",
            *(f"![{figure.stem}]({path.parent.name}/{figure.name})" for figure in sorted(path.parent.glob("*.png"))),
            *(
                f"[{page.name}]({path.parent.name}/{page.name})"
                for page in sorted([*path.parent.glob("*.html"), *path.parent.glob("*.txt")])
            ),
        ]
    return "\n".join(lines) + "\n"


def claim_row(claim: dict) -> str:
    """One line of the ledger."""
    numbers = ["" if claim[key] is None else f"{claim[key]:.4g}" for key in ("measured", "expected", "low", "high")]
    verdict = "holds" if claim["holds"] else "**does not hold**"
    says = claim["says"].replace("|", "\\|")
    unit = claim["unit"].replace("|", "\\|")
    return f"| {claim['id']} | {says} | {' | '.join(numbers)} | {unit} | {claim['num_seeds']} | {verdict} |"


def main() -> None:
    """python -m experiments"""
    parser = argparse.ArgumentParser(prog="python -m experiments", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--all", action="store_true", help="run all experiments, then gather the ledger")
    parser.add_argument("--ledger", action="store_true", help="gather the ledger from the runs that lie in OUT")
    parser.add_argument("--out", type=Path, default=Path("results"), help="folder of the results (default: results)")
    options, passed_on = parser.parse_known_args()
    if passed_on and not options.all:
        parser.error(f"{passed_on[0]} goes with --all, which hands it on to every experiment")
    if not (options.all or options.ledger):
        width = max(map(len, questions()))
        print(*(f"{name:<{width}}  {question}" for name, question in questions().items()), sep="\n")
        print("\nRun one with: python -m experiments.NAME --quick   (--help shows its settings)")
        return
    failed = []
    if options.all:
        for name in questions():
            command = [sys.executable, "-m", f"experiments.{name}", "--out", str(options.out), *passed_on]
            failed += [name] if subprocess.run(command).returncode else []
    write_whole(options.out / "README.md", lambda file: file.write(ledger(options.out).encode()))
    print(f"the ledger is {options.out / 'README.md'}")
    if failed:
        raise SystemExit(f"failed: {', '.join(failed)}")


if __name__ == "__main__":
    main()
