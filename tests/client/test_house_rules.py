"""What you learn here: which ports a house takes, what its rooms may say on NATS, and how settings are written down."""

from __future__ import annotations

import json
import socket
import tempfile
from pathlib import Path

import pytest
from openirp.house import HouseTrouble
from openirp.house import ports as ports_of_houses
from openirp.house.layout import SOCKET_LIMIT, Layout
from openirp.house.nats_config import nats_config, permissions
from openirp.house.ports import DOORS, choose_ports
from openirp.house.supervisor import Program, supervisor_config


def test_one_setting_moves_a_whole_house(tmp_path: Path) -> None:
    # Below those that houses and rooms of other tests take at random.
    ports = choose_ports("fixed", tmp_path / "ports.json", {"IRP_GATEWAY_PORT": "9480", "IRP_NATS_PORT": "9422"})
    assert (ports["gateway"], ports["nats"]) == (9480, 9422)
    assert len(set(ports.values())) == len(DOORS)


def test_a_taken_port_is_refused_with_the_setting_that_helps(tmp_path: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        with pytest.raises(HouseTrouble) as caught:
            choose_ports("fixed", tmp_path / "p", {"IRP_GATEWAY_PORT": str(other.getsockname()[1])})
    assert "IRP_PORTS=auto" in caught.value.advice


def test_automatic_ports_are_kept_as_long_as_they_are_free(tmp_path: Path) -> None:
    remembered = tmp_path / "ports.json"
    first = choose_ports("auto", remembered, {})
    remembered.write_text(json.dumps(first))
    assert choose_ports("auto", remembered, {}) == first


def test_houses_that_start_at_once_choose_other_ports(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ports_of_houses, "SEARCHED", range(10_000, 10_000 + 3 * ports_of_houses.BLOCK))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(ports_of_houses, "taken", lambda port: False)  # nobody listens yet
    chosen = [choose_ports("auto", tmp_path / f"{number}", {}) for number in range(3)]
    assert len({port for ports in chosen for port in ports.values()}) == 3 * len(DOORS)
    with pytest.raises(HouseTrouble, match="no free ports"):
        choose_ports("auto", tmp_path / "fourth", {})
    monkeypatch.setattr(ports_of_houses, "RESERVED_S", -1.0)  # they ended long ago
    assert choose_ports("auto", tmp_path / "fifth", {})["gateway"] in {ports["gateway"] for ports in chosen}


def test_a_room_may_publish_its_own_facts_only() -> None:
    allowed = permissions("quality")["publish"]["allow"]
    assert "irp.quality.>" in allowed
    assert not [subject for subject in allowed if subject.startswith("irp.") and "quality" not in subject]
    assert "$JS.API.STREAM.DELETE" not in " ".join(allowed)


def test_an_old_nats_server_is_not_told_what_it_does_not_know(tmp_path: Path) -> None:
    passwords = dict.fromkeys(
        ("ingest", "quality", "annotation", "inference", "training", "radiomics", "gateway"), "secret"
    )
    old = json.loads(nats_config(tmp_path, 4222, passwords, (2, 9)))
    new = json.loads(nats_config(tmp_path, 4222, passwords, (2, 15)))
    assert "sync_interval" not in old["jetstream"]
    assert new["jetstream"]["sync_interval"] == "always"


def test_percent_signs_survive_and_quotation_marks_are_refused(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    text = supervisor_config(layout, [Program("room", ["python", "a b"], {"X": "50%"}, 1)])
    assert 'X="50%%"' in text
    assert "command=python 'a b'" in text
    with pytest.raises(HouseTrouble):
        supervisor_config(layout, [Program("room", ["python"], {"X": 'say "no"'}, 1)])


def test_a_house_with_a_long_path_has_its_socket_elsewhere(tmp_path: Path) -> None:
    deep = Layout(tmp_path / ("x" * 90) / ("y" * 20))
    assert len(str(deep.socket)) <= SOCKET_LIMIT
    assert Layout(tmp_path).socket != deep.socket
