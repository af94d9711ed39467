"""What you learn here: the SDK waits longer than the gateway does, and what takes long is begun once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx
import openirp.transport
import pytest
from irp_gateway.adapters import challenges, datasets, model_reports, models, segment, serving
from openirp import Irp, Problem

Call = Callable[[Irp], Any]
LONG: dict[str, tuple[Call, float]] = {
    "promote": (lambda irp: irp.promote_model("cine", 2), models.GATE_TIMEOUT_S),
    "push": (lambda irp: irp.push_model(b"", "cine"), models.REGISTER_TIMEOUT_S),
    "load": (lambda irp: irp.load_model("cine", 2), serving.LOAD_TIMEOUT_S),
    "report": (lambda irp: irp.ask_report("cine", 2), model_reports.FREEZING_TIMEOUT_S),
    "precision": (lambda irp: irp.try_precision("cine", 2, "int8"), model_reports.FREEZING_TIMEOUT_S),
    "validate": (lambda irp: irp.validate_model("cine", 2), model_reports.FREEZING_TIMEOUT_S),
    "freeze": (lambda irp: irp.project("p").datasets.freeze(), datasets.FREEZING_TIMEOUT_S),
    "hold": (lambda irp: irp.challenges.create("c", "p", [], "2030-01-01T00:00:00Z"), challenges.FREEZING_TIMEOUT_S),
    "rank": (lambda irp: irp.challenges.leaderboard("c"), challenges.RANKING_TIMEOUT_S),
    "win": (lambda irp: irp.challenges.promote("c"), challenges.GATE_TIMEOUT_S),
}
SHORT: dict[str, tuple[Call, float]] = {
    "projects": (lambda irp: irp.projects(), 60.0),
    "segment": (
        lambda irp: irp.project("p").segment("1.2", "cine"),
        segment.SEGMENT_TIMEOUT_S + segment.ENCODE_TIMEOUT_S,
    ),
}


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(openirp.transport, "PAUSE_S", 0.0)


@pytest.mark.parametrize("what", [*LONG, *SHORT])
def test_the_gateway_has_the_first_word_on_what_took_too_long(what: str) -> None:
    call, gateway_s = (LONG | SHORT)[what]
    waits = list[dict[str, float]]()

    def answer(request: httpx.Request) -> httpx.Response:
        waits.append(request.extensions["timeout"])
        return httpx.Response(404, json={})

    with pytest.raises(Problem):
        call(Irp("http://gateway", "", httpx.MockTransport(answer)))
    assert waits[0]["read"] > gateway_s
    assert waits[0]["connect"] == openirp.transport.CONNECT_S


@pytest.mark.parametrize("what", LONG)
@pytest.mark.parametrize("late", [httpx.ReadTimeout("61 s"), httpx.Response(504, json={"title": "Late"})])
def test_what_takes_long_is_begun_once_and_the_words_say_where_to_look(
    what: str, late: httpx.ReadTimeout | httpx.Response
) -> None:
    asked = list[httpx.Request]()

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        if isinstance(late, httpx.ReadTimeout):
            raise late
        return late

    with pytest.raises(Problem) as caught:
        LONG[what][0](Irp("http://gateway", "", httpx.MockTransport(answer)))
    assert len(asked) == 1
    assert "Look again with `irp " in caught.value.advice
    assert "irp up" not in caught.value.advice
    if isinstance(late, httpx.ReadTimeout):
        assert (caught.value.reason, caught.value.title) == ("STILL_WORKING", "No answer yet: it is still working")


def test_where_nobody_is_there_yet_it_is_asked_again_as_before() -> None:
    answers: list[Exception | httpx.Response] = [httpx.ConnectError("refused"), httpx.Response(200, json={"id": "a"})]

    def answer(request: httpx.Request) -> httpx.Response:
        said = answers.pop(0)
        if isinstance(said, Exception):
            raise said
        return said

    irp = Irp("http://gateway", "", httpx.MockTransport(answer))
    assert LONG["hold"][0](irp) == {"id": "a"}
