"""A reader's rating: stars, and answers to the project's form."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from irp_quality.domain.errors import QualityFormInvalid, RatingInvalid

MIN_STARS, MAX_STARS = 1, 5
TEXT_LIMIT = 4000  # characters of one free-text answer
TYPES = ("integer", "number", "text", "boolean", "choice")


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """One question of a quality form.

    Attributes:
        name: key of the answer.
        type: integer, number, text, boolean or choice.
        min: least number, or None.
        max: largest number, or None.
        options: what a choice may be.
    """

    name: str
    type: str
    min: float | None = None
    max: float | None = None
    options: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Rating:
    """What one reader said of a series; a later version replaces an earlier one."""

    rater: str
    stars: int
    form: Mapping[str, Any]
    at: str  # RFC 3339 UTC
    version: int


def read_form(document: Mapping[str, Any]) -> tuple[Question, ...]:
    """The questions of a project's configuration document; none if it has no `quality_form`.

    Raises:
        QualityFormInvalid: a question has no name or no known type.
    """
    questions = []
    for entry in document.get("quality_form") or ():
        if not isinstance(entry, dict) or not entry.get("name") or entry.get("type") not in TYPES:
            raise QualityFormInvalid
        options = tuple(str(option) for option in entry.get("options") or ())
        bounds = {key: entry[key] for key in ("min", "max") if entry.get(key) is not None}
        questions.append(Question(name=str(entry["name"]), type=str(entry["type"]), options=options, **bounds))
    if len({question.name for question in questions}) != len(questions):
        raise QualityFormInvalid
    return tuple(questions)


def check_rating(stars: int, answers: Mapping[str, Any], form: Sequence[Question]) -> None:
    """Raise unless stars and answers validate; text and choices may be left out, numbers may be null.

    Raises:
        RatingInvalid: names the question, never the answer.
    """
    if not MIN_STARS <= stars <= MAX_STARS:
        raise RatingInvalid(f"stars are {MIN_STARS} to {MAX_STARS}", field="stars")
    known = {question.name: question for question in form}
    for name in answers:
        if name not in known:
            raise RatingInvalid("the form has an answer to a question that the project does not ask", field="form")
    for question in form:
        answer = answers.get(question.name)
        if answer is not None and not _fits(answer, question):
            raise RatingInvalid(f"`{question.name}` {_expected(question)}", field=question.name)


def _fits(answer: Any, question: Question) -> bool:
    if question.type == "boolean":
        return isinstance(answer, bool)
    if question.type == "text":
        return isinstance(answer, str) and len(answer) <= TEXT_LIMIT
    if question.type == "choice":
        return isinstance(answer, str) and answer in question.options
    if isinstance(answer, bool) or not isinstance(answer, int | float):
        return False
    whole = question.type != "integer" or float(answer).is_integer()
    least, most = question.min, question.max
    return whole and (least is None or answer >= least) and (most is None or answer <= most)


def _expected(question: Question) -> str:
    if question.type == "choice":
        return f"must be one of {', '.join(question.options)}"
    if question.type in {"integer", "number"}:
        limits = [f"at least {question.min:g}"] if question.min is not None else []
        limits += [f"at most {question.max:g}"] if question.max is not None else []
        return " and ".join([f"must be a {'whole ' if question.type == 'integer' else ''}number", *limits])
    return "must be true or false" if question.type == "boolean" else f"must be text of at most {TEXT_LIMIT} characters"
