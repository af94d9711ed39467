"""What you learn here: a house of real parts stands up, answers, survives a kill, and leaves nothing running."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from openirp.command.app import app
from openirp.house import House, HouseTrouble
from openirp.house.readiness import look_at
from openirp.problem import Problem
from typer.testing import CliRunner


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    house = House(tmp_path_factory.mktemp("house"), ports="auto", rooms=("gateway",))
    house.start()
    try:
        house.wait_ready(90)
        yield house
    finally:
        house.stop()


def test_the_gateway_answers_only_those_with_the_token(house: House) -> None:
    assert house.client().projects() == []
    assert httpx.get(f"{house.url}/api/v1/projects").status_code == 401


def test_a_killed_gateway_comes_back_and_still_knows_its_projects(house: House) -> None:
    client = house.client()
    document = {"name": "kept", "structures": [{"name": "lv", "canonical": "lv_blood_pool"}]}
    client.create_project(document)
    pid = house.kill("gateway")
    house.restarted("gateway", pid)
    assert [project["name"] for project in client.projects()] == ["kept"]


def test_killed_parts_come_back_too(house: House) -> None:
    for part in ("nats", "s3"):
        house.restarted(part, house.kill(part))
    house.wait_ready(60)


def test_starting_twice_is_starting_once(house: House) -> None:
    before = house.supervisor.pid("gateway")
    House(house.layout.home, rooms=("gateway",)).start()
    assert house.supervisor.pid("gateway") == before


def test_secrets_are_for_the_owner_only(house: House) -> None:
    files = [*house.layout.keys.iterdir(), house.layout.supervisor_config, house.layout.nats_config]
    assert all(path.stat().st_mode & 0o077 == 0 for path in files)


def test_logs_hold_no_secret(house: House) -> None:
    secrets = [house.keys.token, house.keys.s3_secret, *house.keys.nats.values()]
    text = "".join(path.read_text(errors="replace") for path in house.layout.logs.iterdir())
    assert not [secret for secret in secrets if secret in text]


def test_the_command_finds_the_house_by_irp_home(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("IRP_URL", raising=False)
    monkeypatch.setenv("IRP_HOME", str(house.layout.home))
    run = CliRunner().invoke(app, ["project", "create", "mine", "--template", "myocarditis"])
    assert run.exit_code == 0, run.output
    assert "mine" in CliRunner().invoke(app, ["project", "list"]).stdout
    exports = CliRunner().invoke(app, ["env"]).stdout
    assert f"export IRP_URL={house.url}" in exports
    assert "IRP_TOKEN=" in exports
    assert "IRP_DICOM_ADDRESS" not in exports  # this small house has no ingest


def test_a_refusal_is_told_in_words_and_by_exit_code(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IRP_HOME", str(house.layout.home))
    run = CliRunner().invoke(app, ["project", "show", "nobody-knows-it"])
    assert run.exit_code == 1
    with pytest.raises(Problem) as caught:
        house.client().project("nobody-knows-it").describe()
    assert (caught.value.status, caught.value.reason) == (404, "PROJECT_UNKNOWN")
    assert caught.value.advice


def test_a_room_that_cannot_start_is_named_with_the_end_of_its_log(tmp_path: Path) -> None:
    broken = {"gateway": {"IRP_AUTH_PRIVATE_KEY_FILE": str(tmp_path / "missing.pem")}}
    house = House(tmp_path / "h", ports="auto", rooms=("gateway",), room_environment=broken)
    house.start()
    try:
        with pytest.raises(HouseTrouble, match="gateway") as caught:
            house.wait_ready(60)
        assert "FileNotFoundError" in caught.value.advice
    finally:
        house.stop()
    assert not look_at("gateway", house.ports).ready
    assert not house.is_up()
