"""What you learn here: `irp deid` tells what de-identification would do to sample files, and sends nothing."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import pydicom
import pytest
from openirp.command.app import app
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from typer.testing import CliRunner

from tests.deid.builders import an_instance, to_bytes

CONFIG = """
name: study-a
deidentification:
  options: ["113105", "113107"]
  vocabulary: [tako]
  positive_list: {name: cardiac-mr, version: 3, attributes: [SeriesDescription, "0018,0081", ReferencedImageSequence]}
"""


@pytest.fixture
def samples(tmp_path: Path) -> Path:
    folder = tmp_path / "samples"
    folder.mkdir()
    for number in range(2):
        items = Sequence([Dataset() for _ in range(2)])
        for item in items:
            item.ReferencedSOPInstanceUID = "1.2.3"
        ds = an_instance(SeriesDescription="tako of Quixote", EchoTime="1.5", ReferencedImageSequence=items)
        (folder / f"{number}.dcm").write_bytes(to_bytes(ds))
    (folder / "capture.dcm").write_bytes(to_bytes(an_instance(SOPClassUID=pydicom.uid.SecondaryCaptureImageStorage)))
    (folder / "notes.txt").write_text("Quixote")
    return folder


def run(*arguments: str, code: int = 0) -> str:
    result = CliRunner().invoke(app, ["deid", *arguments], env={"IRP_PROJECT": "", "COLUMNS": "200"})
    assert result.exit_code == code, result.output
    return result.output


def test_attributes_are_summed_over_files_with_fate_and_reason(samples: Path, tmp_path: Path) -> None:
    config = tmp_path / "study-a.yaml"
    config.write_text(CONFIG)
    document = json.loads(run(str(samples), "--config", str(config), "--json"))
    assert (document["files"], document["skipped"]) == (2, 1)
    assert (document["refused"], document["waiting"]) == ({}, {"SECONDARY_CAPTURE": 1})
    assert document["positive_list"].startswith("cardiac-mr 3 ")
    fates = {one["path"]: (one["action"], one["why"], one["files"]) for one in document["changes"]}
    assert fates["00080020"] == ("removed", "positive list cardiac-mr v3: not listed", 2)
    assert fates["00081140[*].00081155"] == ("removed", "positive list cardiac-mr v3: not listed", 2)
    assert fates["0008103E"] == ("cleaned", "option 113105: C", 2)
    assert fates["00180081"][0] == "kept"


def test_people_get_tables_and_no_value_is_shown(samples: Path) -> None:
    shown = run(str(samples), "--only", "cleaned")
    assert "SeriesDescription" in shown
    assert "2 files, 1 not DICOM" in shown.replace("\n", "")
    assert not any(word in shown for word in ("Quixote", "tako", "LM-1605", "notes.txt", "kept:"))


def test_archives_are_read_where_they_are(samples: Path, tmp_path: Path) -> None:
    archive = tmp_path / "scans.zip"
    with zipfile.ZipFile(archive, "w") as packed:
        packed.write(samples / "0.dcm", "0.dcm")
    assert json.loads(run(str(archive), "--json"))["files"] == 1


def test_a_list_that_cannot_be_followed_is_refused_by_its_place(samples: Path, tmp_path: Path) -> None:
    config = tmp_path / "wrong.yaml"
    config.write_text(CONFIG.replace("SeriesDescription", "SeriesDescripton"))
    assert "attributes.0" in run(str(samples), "--config", str(config), code=2)


def test_nothing_to_look_at_is_exit_code_1(samples: Path) -> None:
    run(str(samples / "notes.txt"), code=1)
