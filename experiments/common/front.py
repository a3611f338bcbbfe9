"""index.html: the film in ten sentences and what became of them, what surprised, what the readers asked, what lies
beyond the film, and every claim, to search through."""

from pathlib import Path
from typing import Any, NamedTuple

import jinja2

from experiments.common import chapters
from experiments.common.claims import KINDS, Bound, number
from experiments.common.film import FILM, OPEN, Row

TEMPLATE = Path(__file__).with_name("front.html")
TITLE = "<title>What backpropagation is really doing, computed</title>"  # by which a page of ours is known


class Sentence(NamedTuple):
    """One of the ten: what the film says, in our words, who computes it, an exercise for a class, and the address of
    the page on which it is done, if there is one."""

    says: str
    name: str
    exercise: str
    page: str = ""


TEN = (
    Sentence("No direction lowers the cost as fast as minus the gradient.", "steepest",
             "How steep is the best of 500 random directions? Guess, then ask --num-directions 500."),
    Sentence("The size of a component says how sensitive the cost is to that weight.", "wiggle",
             "Wiggle one weight by 0.1, by 0.01, by 0.001: by how much does the ratio of the changes miss?"),
    Sentence("One image wants its own output up and the others down; going back, that makes a wish for every neuron.",
             "nudges", "Follow one pixel from its wish to the ten outputs, with a pencil.",
             "nudges/nudges.html#page=8"),
    Sentence("Weights grow most between neurons that fire and those that should: what fires together wires together.",
             "hebb", "Which weights of a 2 go against Hebb's rule? Say why before you look."),
    Sentence("A network that listened to one 2 alone would call every image a 2.", "only_a_two",
             "Do it: ask one digit alone. After how many steps?",
             "play/play.html#image=1&target=2&network=yours&ask=0"),
    Sentence("So every example is asked, and the average of what they want is minus the gradient.", "average_of_nudges",
             "Average the nudges of two images by hand. Whose wish wins?"),
    Sentence("A mini-batch's gradient is not the true one, but a pretty good approximation.", "minibatch_quality",
             "Compare the cosine of batches of 10 with the one foretold, at the start and later.",
             "play/play.html#ask=3"),
    Sentence("And it is a significant speed-up.", "full_batch_vs_sgd",
             "Choose a rate for batches of 1 that beats batches of 100 on every clock. Is there one?",
             "play/play.html#ask=1"),
    Sentence("A drunk man stumbles down the hill with quick steps, a careful man takes slow ones.", "drunk_man",
             "On which clock does the careful man win? Turn the hill until both look straight: what does it hide?",
             "drunk_man/drunk_man.html#steps"),
    Sentence("Both end near a local minimum of the cost.", "minimum_or_saddle",
             "Two directions curve up at a saddle and one down. How would you find the one among 13,002?"),
)  # fmt: skip


def page(records: dict[str, dict[str, Any]]) -> str:
    """The page for the records of finished runs, by the names of their experiments; it links what lies beside it."""
    environment = jinja2.Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True)
    questions = chapters.all_questions()
    shown = {name: card(name, record, questions.get(name)) for name, record in records.items()}
    claims = [claim for each in shown.values() for claim in each["claims"]]
    pages = [(f"{name}/{file}", each) for name, each in reversed(shown.items()) for file in each["files"]
             if file.endswith(".html")]  # fmt: skip
    return environment.from_string(TEMPLATE.read_text(encoding="utf-8")).render(
        ten=[(sentence, shown[sentence.name]) for sentence in TEN if sentence.name in shown],
        surprises=[claim for claim in claims if claim["why"].startswith("finding")],
        readers=answers(("C",), shown),
        beyond=answers(("E", "N"), shown),
        open=[row.sentence for row in FILM.values() if row.unchecked == OPEN],
        chapters={title: [shown[name] for name in names] for title, names in chapters.in_order(shown).items()},
        totals=[(kind, [claim["holds"] for claim in claims if claim["kind"] == kind]) for kind in KINDS],
        pages=pages,
        names=set(shown),
        failing=sum(not claim["holds"] for claim in claims),
    )


def answers(kinds: tuple[str, ...], shown: dict[str, dict[str, Any]]) -> list[tuple[Row, list[tuple[dict, list]]]]:
    """The film's rows of these kinds that something answers, in their order: the cards, and their claims about it."""
    found = {row: [(each, [claim for claim in each["claims"] if claim["id"] == row.id]) for each in shown.values()]
             for row in FILM.values() if row.id.startswith(kinds)}  # fmt: skip
    answered = ((row, [(each, claims) for each, claims in cards if claims]) for row, cards in found.items())
    return [(row, cards) for row, cards in answered if cards]


def card(name: str, record: dict[str, Any], question: chapters.Question | None) -> dict[str, Any]:
    """One experiment, ready to be shown; a user's own is no question of ours."""
    files = record.get("files", [])
    pictures = sorted((file for file in files if file.endswith(".png")), key=lambda file: file != f"{name}.png")
    claims = [
        {
            "name": name, "id": claim["id"], "film": FILM[claim["id"]].sentence if claim["id"] in FILM else "",
            "kind": claim["kind"], "says": claim["says"], "measured": number(claim["measured"]), "unit": claim["unit"],
            "bound": str(Bound(*claim["bound"])), "holds": claim["holds"], "why": claim.get("why", ""),
        }
        for claim in sorted(record["claims"], key=lambda claim: (claim["holds"], KINDS.index(claim["kind"])))
    ]  # fmt: skip
    return {
        "name": name, "asks": question.asks if question else "",
        "source": question.module.replace(".", "/") + ".py" if question else "",
        "finding": record["finding"] or record["status"], "command": record["command"], "files": files,
        "pictures": pictures, "claims": claims, "hold": sum(claim["holds"] for claim in claims),
    }  # fmt: skip
