"""What you learn here: what a frontend says and hears on the live door, who is let in, and when it is closed."""

from __future__ import annotations

import base64
import json
import threading
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import numpy as np
import pytest
from irp_gateway.adapters import live
from irp_gateway.adapters.live_frames import MAX_FRAME_BYTES
from irp_gateway.app import may_stay
from openirp.client import Irp
from openirp.problem import Problem
from sqlalchemy.exc import OperationalError
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect
from websockets.typing import Subprotocol

from .conftest import PROJECT, TOKEN, House, is_problem
from .fake_heart import a_mask


class Reader:
    """A frontend of plain frames."""

    def __init__(self, socket: ClientConnection) -> None:
        self.socket = socket

    def ask(self, id: str, **more: Any) -> None:
        frame = {"type": "segment", "id": id, "series": "1.2.3", "model": "cine", "slice": 1, "frame": 2, **more}
        self.socket.send(json.dumps(frame))

    def hear(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.socket.recv(timeout=10))
        if "bytes" in found:
            data = self.socket.recv(timeout=10)
            assert isinstance(data, bytes)
            assert len(data) == found["bytes"]
            shape = (len(found["frames"]), len(found["slices"]), found["rows"], found["columns"])
            found["array"] = np.frombuffer(zlib.decompress(data), dtype=np.uint8).reshape(shape)
        return found

    def closed(self) -> int:
        with pytest.raises(ConnectionClosed) as ended:
            while True:
                self.socket.recv(timeout=10)
        return ended.value.rcvd.code if ended.value.rcvd else 0


@contextmanager
def reading(house: House, project: str = "shared", token: str = TOKEN, **more: Any) -> Iterator[Reader]:
    address = f"{house.url.replace('http', 'ws', 1)}/api/v1/projects/{project}/live"
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    with connect(address, additional_headers=headers, proxy=None, **more) as socket:
        yield Reader(socket)


def token_of(person: httpx.Client) -> str:
    return person.headers["authorization"].removeprefix("Bearer ")


def test_a_slice_comes_as_a_header_and_packed_labels(house: House, project: str) -> None:
    with reading(house) as reader:
        reader.ask("a", ahead=False, deadline_s=1.5)
        found = reader.hear()
    assert (found["array"][0, 0] == a_mask().labels[2, 1]).all()
    assert (found["type"], found["id"], found["series"], found["model"]) == ("answer", "a", "1.2.3", "cine@2")
    assert found["table"] == {"1": "lv_blood_pool"}
    assert found["known"] is True
    assert found["timings_ms"] == {"segment": 9.0}
    ask = house.live.asked[-1]
    assert (ask.ahead, ask.keep, ask.deadline_s, ask.request.compact) == (False, False, 1.5, True)


def test_contours_and_labels_come_within_the_text_where_they_are_wanted_so(house: House, project: str) -> None:
    with reading(house) as reader:
        reader.ask("b", binary=False, answer=["labels", "contours"])
        found = reader.hear()
        labels = np.frombuffer(zlib.decompress(base64.b64decode(found["labels"])), dtype=np.uint8)
        assert (labels.reshape(16, 16) == a_mask().labels[2, 1]).all()
        line = found["contours"][0]
        assert (line["structure"], line["frame"], line["slice"]) == ("lv_blood_pool", 2, 1)
        assert len(line["points_px"]) == len(line["points_mm"]) == 16
        assert found["areas"][0]["area_mm2"] == pytest.approx(16 * 1.4**2)
        reader.ask("c", answer=["contours"])
        assert "bytes" not in reader.hear()


def test_a_whole_series_comes_in_parts_with_progress(house: House, project: str) -> None:
    with reading(house) as reader:
        reader.ask("all", slice=None, frame=None)
        parts = [reader.hear() for _ in range(3)]
        assert [(part["type"], part["done"], part["total"], part["eta_s"]) for part in parts] == [
            ("part", n + 1, 3, 2.0 - n) for n in range(3)
        ]
        assert parts[0]["array"].shape == (1, 2, 16, 16)
        end = reader.hear()
        assert end["type"] == "answer"
        assert "bytes" not in end


def test_every_ask_ends_once(house: House, project: str) -> None:
    with reading(house) as reader:
        reader.ask("no", model="liver")
        assert reader.hear()["reason"] == "MODEL_UNKNOWN"
        reader.ask("stays", model="never")
        reader.ask("stays", model="never")
        assert reader.hear()["reason"] == "LIVE_ASK_TWICE"
        reader.socket.send(json.dumps({"type": "cancel", "id": "stays"}))
        assert reader.hear() == {"type": "dropped", "id": "stays", "reason": "cancelled"}
        reader.socket.send(json.dumps({"type": "cancel", "id": "stays"}))  # ended already


def test_marks_and_method_arrive_as_they_were_said(house: House, admin: httpx.Client, project: str) -> None:
    method = {"name": "graph-cut", "structure": "scar", "parameters": {"likeness": 1}}
    prompts = {"clicks": [{"slice": 1, "frame": 2, "row": 7.5, "column": 2, "inside": False}]}
    with Irp(house.url, TOKEN).project("shared").live() as session:
        session.ask("1.2.3", algorithm=method, prompts=prompts, slice=1, frame=2)
        assert [said.type for said in session.answers()] == ["answer"]
    asked = house.live.asked[-1].request
    assert (asked.model, asked.algorithm.name, asked.algorithm.parameters) == ("", "graph-cut", '{"likeness": 1}')
    click = asked.prompts.clicks[0]
    assert (click.frame, click.slice, click.row, click.inside) == (2, 1, 7.5, False)
    lines = list(Irp(house.url, TOKEN).http.items("/api/v1/audit"))
    assert "uid=1.2.3 algorithm=graph-cut" in {line["target"] for line in lines}


def test_a_killed_classification_server_is_a_problem_and_the_session_lives_on(house: House, project: str) -> None:
    with reading(house) as reader:
        reader.ask("lost", model="never")
        reader.ask("kills", model="dies")
        heard = [reader.hear(), reader.hear()]
        assert {(said["id"], said["code"]) for said in heard} == {("lost", "UNAVAILABLE"), ("kills", "UNAVAILABLE")}
        assert heard[0]["reason"] == "ROOM_AWAY"
        lines = house.live.lines
        reader.ask("again")
        assert reader.hear()["type"] == "answer"
        assert house.live.lines == lines + 1


BAD = [
    "no json",
    "[]",
    '{"type": "dance"}',
    '{"type": "segment", "id": "a", "series": "1.2", "model": "cine", "slice": "4"}',
    '{"type": "segment", "id": "a", "series": "../etc", "model": "cine"}',
    '{"type": "segment", "id": "a", "series": "1.2", "model": "cine", "colour": "red"}',
    '{"type": "segment", "id": "", "series": "1.2", "model": "cine"}',
    '{"type": "segment", "id": "a", "series": "1.2"}',
    '{"type": "segment", "id": "a", "series": "1.2", "model": "cine", "algorithm": {"name": "n-sd", "structure": "a"}}',
    '{"type": "segment", "id": "a", "series": "1.2", "model": "cine", "prompts": {"clicks": [[1, 2]]}}',
    "[" * 10_000,
    b"binary",
]


@pytest.mark.parametrize("frame", BAD)
def test_a_frame_that_is_not_understood_is_a_problem_of_no_ask(house: House, project: str, frame: Any) -> None:
    with reading(house) as reader:
        reader.socket.send(frame)
        said = reader.hear()
        assert (said["type"], said["id"], said["reason"]) == ("problem", None, "FRAME_NOT_VALID")
        assert "../etc" not in said["detail"]
        reader.ask("a")
        assert reader.hear()["type"] == "answer"


def test_who_sends_only_rubbish_or_too_much_is_closed(house: House, project: str) -> None:
    with reading(house) as reader:
        for _ in range(live.BAD_FRAMES):
            reader.socket.send("rubbish")
        assert reader.closed() == live.Close.NOT_UNDERSTOOD
    with reading(house) as reader:
        reader.socket.send("x" * (MAX_FRAME_BYTES + 1))
        assert reader.closed() == live.Close.TOO_LARGE


def test_strangers_are_refused_before_the_connection_is_accepted(house: House, project: str) -> None:
    for token in ("", "forged"):
        with pytest.raises(InvalidStatus) as refused, reading(house, token=token):
            pass
        assert refused.value.response.status_code == 401
        assert json.loads(refused.value.response.body or b"")["reason"] == "UNAUTHENTICATED"
    outsider = house.member("live-other", "outsider", "viewer") if other_project(house) else None
    assert outsider
    with pytest.raises(InvalidStatus) as refused, reading(house, token=token_of(outsider)):
        pass
    assert refused.value.response.status_code == 404
    with pytest.raises(InvalidStatus) as refused, reading(house, project="nowhere"):
        pass
    assert refused.value.response.status_code == 404
    address = f"{house.url.replace('http', 'ws', 1)}/api/v1/projects/shared/live?access_token={TOKEN}"
    with pytest.raises(InvalidStatus), connect(address, proxy=None):  # a URL ends in logs
        pass


def other_project(house: House) -> bool:
    return house.person().post("/api/v1/projects", json=PROJECT | {"name": "live-other"}).status_code in {201, 409}


def test_a_browser_brings_its_token_as_subprotocol(house: House, project: str) -> None:
    offered = [Subprotocol("irp"), Subprotocol(f"bearer.{TOKEN}")]
    with reading(house, token="", subprotocols=offered) as reader:
        assert reader.socket.subprotocol == "irp"
        reader.ask("a")
        assert reader.hear()["type"] == "answer"
    with pytest.raises(InvalidStatus), reading(house, token="", subprotocols=[Subprotocol("irp"), Subprotocol("x")]):
        pass


def test_who_is_no_member_any_more_is_closed(
    house: House, admin: httpx.Client, project: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live, "RECHECK_S", 0.05)
    viewer = house.member("shared", "leaver", "viewer")
    with reading(house, token=token_of(viewer)) as reader:
        reader.ask("a")
        assert reader.hear()["type"] == "answer"
        assert admin.delete(f"{project}/members/leaver").status_code in {200, 204}
        assert reader.closed() == live.Close.NOT_A_MEMBER


def test_a_revoked_token_and_an_idle_reader_are_closed(
    house: House, admin: httpx.Client, project: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live, "RECHECK_S", 0.05)
    viewer = house.member("shared", "revoked", "viewer")
    with reading(house, token=token_of(viewer)) as reader:
        found = admin.get(f"{project}/tokens").json()["items"]
        token = next(one for one in found if one["subject"] == "revoked")
        assert admin.delete(f"{project}/tokens/{token['id']}").status_code in {200, 204}
        assert reader.closed() == live.Close.TOKEN_INVALID
    monkeypatch.setattr(live, "IDLE_S", 0.01)
    with reading(house) as reader:
        assert reader.closed() == live.Close.IDLE


@contextmanager
def without_database(house: House, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], None]]:
    """Members cannot be looked up; call what comes to wait until somebody tried."""
    assert house.room
    tried = threading.Semaphore(0)

    async def away(*asked: Any) -> None:
        tried.release()
        raise OperationalError("SELECT", {}, Exception("connection lost"))

    def wait() -> None:
        assert tried.acquire(timeout=10)

    with monkeypatch.context() as broken:
        broken.setattr(house.room.http.state.desk.projects, "find", away)
        yield wait


def test_a_database_that_is_away_for_a_while_closes_no_session(
    house: House, admin: httpx.Client, project: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live, "RECHECK_S", 0.02)
    viewer = house.member("shared", "steadfast", "viewer")
    with reading(house, token=token_of(viewer)) as reader:
        with without_database(house, monkeypatch) as somebody_tried:
            for number in range(3):
                somebody_tried()
                reader.ask(f"a{number}")
                assert reader.hear()["type"] == "answer"
        assert admin.delete(f"{project}/members/steadfast").status_code in {200, 204}  # and it is looked on
        assert reader.closed() == live.Close.NOT_A_MEMBER


def test_a_database_that_stays_away_closes_sessions_with_a_code_of_its_own(
    house: House, project: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live, "RECHECK_S", 0.02)
    monkeypatch.setattr(may_stay, "UNKNOWN_S", 0.1)
    with reading(house) as reader, without_database(house, monkeypatch):
        assert reader.closed() == live.Close.MEMBERSHIP_NOT_KNOWN == 4503


def test_a_session_that_cannot_be_looked_up_is_a_problem_that_tells_nothing(
    house: House, project: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with without_database(house, monkeypatch), pytest.raises(InvalidStatus) as refused, reading(house):
        pass
    answer = refused.value.response
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "10")
    assert json.loads(answer.body or b"")["reason"] == "MEMBERSHIP_NOT_KNOWN"
    assert b"SELECT" not in (answer.body or b"")


def test_an_ask_that_cannot_be_audited_is_refused_and_the_session_lives_on(
    house: House, admin: httpx.Client, project: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert house.room

    async def away(**line: Any) -> None:
        raise OperationalError("INSERT", {}, Exception("connection lost"))

    viewer = house.member("shared", "unseen", "viewer")
    with reading(house, token=token_of(viewer)) as reader:
        with monkeypatch.context() as broken:
            broken.setattr(house.room.http.state.desk.audit, "write", away)
            reader.ask("a")
            said = reader.hear()
            assert (said["id"], said["type"], said["reason"]) == ("a", "problem", "INTERNAL")
        reader.ask("a")
        assert reader.hear()["type"] == "answer"
    lines = list(Irp(house.url, TOKEN).http.items("/api/v1/audit"))
    assert [line["action"] for line in lines if line["subject"] == "unseen"] == ["segmentations.live"]


def test_one_user_has_a_bounded_number_of_sessions(house: House, project: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "SESSIONS_PER_SUBJECT", 1)
    viewer = token_of(house.member("shared", "many", "viewer"))
    with reading(house, token=viewer) as one:
        with pytest.raises(InvalidStatus) as refused, reading(house, token=viewer):
            pass
        assert refused.value.response.status_code == 429
        assert json.loads(refused.value.response.body or b"")["reason"] == "TOO_MANY_READERS"
        one.ask("a")
        assert one.hear()["type"] == "answer"


def test_the_audit_log_says_once_which_series_somebody_looked_at(
    house: House, admin: httpx.Client, project: str
) -> None:
    viewer = house.member("shared", "watched", "viewer")
    with reading(house, token=token_of(viewer)) as reader:
        for number in range(3):
            reader.ask(f"a{number}")
            reader.hear()
    lines = admin.get(f"{project}/audit", params={"limit": 500})
    lines = lines if lines.status_code == 200 else admin.get("/api/v1/audit", params={"limit": 500})
    mine = [line for line in lines.json()["items"] if line["subject"] == "watched"]
    assert [(line["action"], line["target"]) for line in mine] == [("segmentations.live", "uid=1.2.3 model=cine")]


def test_the_sdk_scrolls(house: House, project: str) -> None:
    shared = Irp(house.url, TOKEN).project("shared")
    with shared.live() as session:
        asks = [session.ask("1.2.3", "cine", slice=number) for number in (0, 1)]
        heard = {said.id: said for said in session.answers()}
        assert list(heard) == asks
        for number, ask in enumerate(asks):
            labels = heard[ask].labels
            assert labels is not None
            assert (labels[0, 0] == a_mask().labels[0, number]).all()
        whole = session.ask("1.2.3", "cine")
        assert [(said.id, said.ends) for said in session.answers()] == [
            (whole, end) for end in (False, False, False, True)
        ]
        lost = session.ask("1.2.3", "never")
        session.cancel(lost)
        assert session.next(timeout_s=10).header["reason"] == "cancelled"
    with pytest.raises(Problem) as refused:
        Irp(house.url, "forged").project("shared").live()
    assert (refused.value.status, refused.value.reason) == (401, "UNAUTHENTICATED")


def test_a_gateway_that_leaves_says_so(house: House, project: str) -> None:
    assert house.room
    leaving = house.room.http.state.desk.leaving
    with reading(house) as reader:
        house.loop.call_soon_threadsafe(leaving.set)
        assert reader.closed() == live.Close.RESTART
    house.loop.call_soon_threadsafe(leaving.clear)
    is_problem(house.person("").get(project), 401)
