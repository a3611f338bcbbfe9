"""Runs an experiment, or lists them, runs them all, or looks again at what they left behind.

python -m experiments                                       what there is
python -m experiments NAME [--quick | --full] [settings]    one of them, or a module of your own: my_folder.my_file
python -m experiments NAME ... --dry-run                    what that would cost; nothing is run or written
python -m experiments --all [--quick | --full] [--out OUT]  those that are due in OUT: missing, stale, of other settings
python -m experiments --stale [--out OUT]                   which results in OUT were measured by other code than now
python -m experiments --rejudge [--out OUT]                 today's verdicts, sentences, figures and ledger of OUT
python -m experiments --page [--out OUT]                    only the ledger and the front page of OUT
python -m experiments --check [--quick] [--out OUT]         which verdicts in OUT are not the committed ones
python -m experiments --verify [NAME ...] [--out OUT]       runs results in OUT again: the same bits?
"""

import argparse
import difflib
import io
import os
import sys
from pathlib import Path
from typing import NoReturn

from experiments.common import chapters, stopping


def main(argv: list[str]) -> None:
    """python -m experiments"""
    sys.path.insert(0, "")  # the folder one is in, for a user's own modules
    if not argv:
        print(chapters.listing())
    elif argv[0].startswith("-"):
        together(argv)
    else:
        one(argv[0], argv[1:])


def one(name: str, argv: list[str]) -> None:
    """Runs the experiment of that name, or that module."""
    from experiments.common import cli, experiment
    from experiments.common.bounds import require

    with cli.exit_codes():
        found = chapters.all_questions()
        path = found[name].module if name in found else name
        own = name in found or "." in name or Path(f"{name}.py").exists()
        near = "".join(f" (did you mean {each}?)" for each in difflib.get_close_matches(name, found, 1))
        require(own, f"there is no experiment {name!r}{near}; `python -m experiments` lists those that there are, "
                "and one of your own is named from the folder you are in, as my_folder.my_file")  # fmt: skip
        last = name.rpartition(".")[2]
        clash = last in found and path != found[last].module
        require(not clash, f"{name} is called as our {last} is, and would take its place in OUT; call it otherwise")
        module = cli.import_module("the experiment", path)
        missing = [part for part in EIGHT if not hasattr(module, part)]
        require(
            not missing,
            f"{path} has no {', '.join(missing)}; an experiment is a module with {', '.join(EIGHT)}, "
            "and `python -m experiments` lists those that there are",
        )
        require(
            "__dataclass_fields__" in vars(module.Settings),
            f"{path}.Settings is no dataclass; write @dataclasses.dataclass(frozen=True) above it",
        )
        for size in ("QUICK", "FULL"):
            require(type(getattr(module, size)) is module.Settings, f"{path}.{size} must be Settings, as Settings() is")
        experiment.main(module, argv)


EIGHT = ("Settings", "QUICK", "FULL", "Result", "measure", "claims", "finding", "figures")


def together(argv: list[str]) -> None:
    """What is done with all of them."""
    options, passed_on = asked(argv)
    from experiments.common import cli, gather

    with cli.exit_codes():
        if options.all:
            gather.run_all(options.out, passed_on)
        elif options.stale:
            gather.print_stale(options.out)
        elif options.page:
            gather.there_are(options.out)  # or one sentence
            gather.write_ledger(options.out)
        elif options.check:
            gather.check(options.out, passed_on)
        elif options.verify is not None:
            gather.verify(options.verify, options.out)
        else:
            gather.rejudge_all(options.out)


def asked(argv: list[str]) -> tuple[argparse.Namespace, list[str]]:
    """What to do, and the words that are handed on."""
    parser = argparse.ArgumentParser("python -m experiments", description=__doc__, allow_abbrev=False,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)  # fmt: skip
    parser.error = refuse  # in one sentence
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--all", action="store_true", help="run what is missing, not finished, stale, or of another size "
                      "or other settings than are typed, then gather the ledger")  # fmt: skip
    what.add_argument("--stale", action="store_true", help="list results whose measuring code, or a file of your own, "
                      "has changed since")  # fmt: skip
    what.add_argument("--rejudge", action="store_true", help="judge and draw every result again, then --page")
    what.add_argument("--page", action="store_true", help="gather ledger and front page from the records as they are; "
                      "verdicts, sentences and figures stay (--rejudge makes them anew)")  # fmt: skip
    what.add_argument("--check", action="store_true", help="list claims, of runs of one size if --quick or --full is "
                      "given, whose verdict is not the committed one; exit code 1 if there are any, 2 if there is "
                      "nothing to compare")  # fmt: skip
    what.add_argument("--verify", nargs="*", metavar="NAME", help="run results, or all of them, again with their "
                      "settings, and say of every array whether it has the same bits; exit code 1 where one that is no "
                      "timing (\"seconds\" in its name) differs beyond float32's rounding; writes nothing")  # fmt: skip
    parser.add_argument("--out", type=lambda path: Path(os.path.expanduser(path)), default=Path("results/yours"),
                        help="folder of the results (default: results/yours)")  # fmt: skip
    options, passed_on = parser.parse_known_args(argv)
    if not {*WHAT}.intersection(argv):
        refuse(f"{argv[0]} comes after one of {', '.join(WHAT)}, or after the name of an experiment; "
               "`python -m experiments` lists these")  # fmt: skip
    if options.all and passed_on and not passed_on[0].startswith("-"):
        refuse(f"--all runs every experiment, and {passed_on[0]} is no setting; one of them is run by its name alone")
    if passed_on and not (options.all or options.check):
        refuse(f"{passed_on[0]} goes with --all, which hands it on to every experiment, or with --check; the name of "
               "a single one comes first")  # fmt: skip
    return options, passed_on


WHAT = ("--all", "--stale", "--rejudge", "--page", "--check", "--verify")


def refuse(message: str) -> NoReturn:
    print(f"error: {message}", file=sys.stderr)
    raise SystemExit(2)


if __name__ == "__main__":
    stopping.listen()
    os.environ["MPLBACKEND"] = "agg"  # pictures are files; a notebook names one that may not be installed here
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # a terminal may be of ASCII
    main(sys.argv[1:])
