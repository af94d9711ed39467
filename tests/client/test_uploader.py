"""What you learn here: what `irp upload` finds, refuses to open, groups, remembers, and never remembers."""

from __future__ import annotations

import io
import json
import os
import threading
import zipfile
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from irp_deid import ProjectSecret, quietly
from openirp.stow import StowAnswer
from openirp.uploader import items
from openirp.uploader import plan as planning
from openirp.uploader.items import FileItem, SourceNotReadable
from openirp.uploader.plan import Found, Plan, make_plan
from openirp.uploader.send import Sender
from openirp.uploader.sources import find
from openirp.uploader.state import UploadState
from openirp.uploader.tally import Tally
from openirp.uploader.treat import Clean, Orders, Refused, treat
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.fileset import FileSet
from pydicom.uid import ExplicitVRLittleEndian, MRImageStorage

NAMES = ("Quixote", "LM-1605", "1.2.3.1")
SECTION = {"profile": "basic", "options": ["113105", "113107", "113111"]}
KEY = ProjectSecret(bytes(range(32))).site_key("north")
ORDERS = Orders(
    key=KEY.key,
    project="p",
    revision=1,
    configuration="0" * 64,
    section=SECTION,
    sequences=[{"class": "cine-sax", "when": {"SeriesDescription": "(?i)sax", "phases": {"min": 2}}}],
)


def an_image(number: int, *, series: int = 1, patient: str = "LM-1605", **more: object) -> bytes:
    ds = Dataset()
    ds.SOPClassUID, ds.Modality = MRImageStorage, "MR"
    ds.PatientID, ds.PatientName = patient, "Quixote^Alonso"
    ds.StudyInstanceUID, ds.SeriesInstanceUID = "1.2.3.1", f"1.2.3.1.{series}"
    ds.SOPInstanceUID = f"1.2.3.1.{series}.{number}"
    ds.StudyDate, ds.StudyTime, ds.StudyID, ds.AccessionNumber = "20230203", "101112", "1", "7"
    ds.SeriesNumber, ds.InstanceNumber, ds.SeriesDescription = series, number, "CINE SAX of Quixote"
    for keyword, value in more.items():
        setattr(ds, keyword, value)
    ds.Rows = ds.Columns = 2
    ds.SamplesPerPixel, ds.PhotometricInterpretation = 1, "MONOCHROME2"
    ds.BitsAllocated, ds.BitsStored, ds.HighBit, ds.PixelRepresentation = 16, 16, 15, 0
    ds.PixelData = bytes(8)
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    ds.file_meta.MediaStorageSOPClassUID, ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPClassUID, ds.SOPInstanceUID
    file = io.BytesIO()
    ds.save_as(file, enforce_file_format=True)
    return file.getvalue()


def an_archive(path: Path, *entries: tuple[str, bytes], packing: int = zipfile.ZIP_DEFLATED) -> Path:
    with zipfile.ZipFile(path, "w", packing) as packed:
        for name, data in entries:
            packed.writestr(name, data)
    return path


def test_files_are_known_by_content_and_grouped_by_series_whatever_their_names(tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    for name, data in {
        "deep/IM0": an_image(1, series=2),
        "IM1.txt": an_image(1),
        "IM2": an_image(2, series=2),
        "IM3": an_image(1, patient="other"),
        "notes.dcm": b"no image",
    }.items():
        (tmp_path / name).write_bytes(data)
    plan = make_plan(find(tmp_path))
    assert (plan.count("patient"), plan.count("patient", "study"), plan.count("patient", "study", "series")) == (
        2,
        2,
        3,
    )
    assert dict(plan.left) == {"not DICOM": 1}
    order = [(one.patient, one.series) for one in plan.found]
    assert order == sorted(order, key=order.index), "a series follows another"
    assert [len(batch) for batch in plan.batches()] == [4]


def test_one_large_file_makes_a_request_of_its_own_and_larger_ones_are_told_of(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(planning, "BATCH_BYTES", 2000)
    monkeypatch.setattr(planning, "MAX_FILE_BYTES", 5000)
    for number, size in enumerate((0, 0, 2000, 0, 5000)):
        (tmp_path / str(number)).write_bytes(an_image(number) + bytes(size))
    plan = make_plan(find(tmp_path))
    assert dict(plan.left) == {"too large": 1}
    assert [len(batch) for batch in plan.batches()] == [2, 1, 1]


def test_an_archive_is_read_where_it_is_entry_by_entry(tmp_path: Path) -> None:
    archive = an_archive(tmp_path / "scans", ("a/1", an_image(1)), ("../../2", an_image(2)), ("x", b"text"))
    plan = make_plan(find(archive))
    assert ([one.item.read() for one in plan.found], plan.left.total()) == ([an_image(1), an_image(2)], 1)
    assert list(tmp_path.iterdir()) == [archive]


def test_a_bomb_is_not_inflated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(items, "SMALL_BYTES", 1 << 16)
    bomb = an_image(1) + bytes(1 << 20)  # packs a thousand times
    (item,) = find(an_archive(tmp_path / "bomb.zip", ("1", bomb)))
    with pytest.raises(SourceNotReadable, match="beyond every measure"):
        item.read()
    for packing in (zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA):
        (item,) = find(an_archive(tmp_path / "other.zip", ("1", bomb), packing=packing))
        with pytest.raises(SourceNotReadable, match="within bounds"):
            item.read(1 << 10)
    (item,) = find(an_archive(tmp_path / "nested.zip", ("2.zip", (tmp_path / "bomb.zip").read_bytes())))
    assert make_plan([item]).left == {"not DICOM": 1}, "archives inside are not opened"


def test_an_entry_that_lies_about_its_size_gives_no_more_than_is_allowed(tmp_path: Path) -> None:
    archive = an_archive(tmp_path / "lies.zip", ("1", an_image(1) + os.urandom(5000)))
    said = bytearray(archive.read_bytes())
    at = said.rindex(b"PK\x01\x02")
    said[at + 24 : at + 28] = (10).to_bytes(4, "little")
    archive.write_bytes(said)
    (item,) = find(archive)
    assert item.size == 10
    with pytest.raises(SourceNotReadable):
        item.read()


def test_broken_and_encrypted_archives_are_refused_in_words(tmp_path: Path) -> None:
    (tmp_path / "cut.zip").write_bytes(b"PK\x03\x04 and no more")
    with pytest.raises(SourceNotReadable, match="broken"):
        list(find(tmp_path / "cut.zip"))
    archive = an_archive(tmp_path / "locked.zip", ("1", an_image(1)))
    said = bytearray(archive.read_bytes())
    said[said.rindex(b"PK\x01\x02") + 8] |= 1
    said[6] |= 1
    archive.write_bytes(said)
    assert make_plan(find(archive)).left == {"cannot be read": 1}


def a_file_set(folder: Path) -> Path:
    files = FileSet()
    for number in (1, 2):
        path = folder.parent / f"{number}.dcm"
        path.write_bytes(an_image(number))
        files.add(path)
    files.write(folder)
    return folder / "DICOMDIR"


def test_a_dicomdir_brings_the_files_that_it_names_and_is_not_sent_itself(tmp_path: Path) -> None:
    directory = a_file_set(tmp_path / "cd")
    (tmp_path / "cd" / "STRANGER").write_bytes(an_image(9))
    assert len(make_plan(find(directory)).found) == 2
    plan = make_plan(find(tmp_path / "cd"))
    assert (len(plan.found), dict(plan.left)) == (3, {"a DICOMDIR": 1})


@pytest.mark.parametrize("parts", [["..", "1.dcm"], ["A", "..", "..", "1.dcm"], ["C:\\1.dcm"], ["OUT"]])
def test_a_dicomdir_that_leaves_its_folder_is_refused(tmp_path: Path, parts: list[str]) -> None:
    from pydicom import dcmread

    directory = a_file_set(tmp_path / "cd")
    (tmp_path / "cd" / "OUT").symlink_to(tmp_path / "1.dcm")
    ds = dcmread(directory)
    with quietly():
        for record in ds.DirectoryRecordSequence:
            if "ReferencedFileID" in record:
                record.ReferencedFileID = parts
        ds.save_as(directory)
    with pytest.raises(SourceNotReadable, match="outside its folder"):
        list(find(directory))


def a_state(folder: Path, source: Path) -> UploadState:
    return UploadState(folder, "http://gateway", "study-a", source)


def test_an_upload_goes_on_where_it_was_cut_and_sends_what_changed_again(tmp_path: Path) -> None:
    source = tmp_path / "Quixote LM-1605"
    source.mkdir()
    for number in (1, 2, 3):
        (source / f"{number}.dcm").write_bytes(an_image(number))
    items = [FileItem.of(path) for path in sorted(source.iterdir())]
    tally = Tally(sent_bytes=5)
    tally.note("2.25.1", "MR", already=False)
    tally.note("2.25.1", "MR", already=True)
    a_state(tmp_path / "state", source).add(items[:2], tally)
    again = a_state(tmp_path / "state", source)
    assert [again.is_answered(item) for item in items] == [True, True, False]
    assert (again.tally.stored, again.tally.series["2.25.1"].already) == (2, 1)
    (source / "1.dcm").write_bytes(an_image(1) + b"!")
    assert not again.is_answered(FileItem.of(source / "1.dcm"))
    other = UploadState(tmp_path / "state", "http://gateway", "study-b", source)
    assert not other.is_answered(items[1]), "another project knows nothing of it"
    again.forget()
    assert a_state(tmp_path / "state", source).tally.files == 0


def test_the_state_names_no_patient_and_a_cut_line_is_not_believed(tmp_path: Path) -> None:
    source = tmp_path / "Quixote LM-1605 1.2.3.1"
    source.mkdir()
    (source / "Quixote.dcm").write_bytes(an_image(1))
    state, item = a_state(tmp_path / "state", source), FileItem.of(source / "Quixote.dcm")
    state.add([item], Tally())
    kept = [path for path in (tmp_path / "state").rglob("*") if path.is_file()]
    assert sorted(path.name for path in kept)[1:] == ["uploads.key"]
    for path in kept:
        assert not any(name.encode() in path.read_bytes() or name in path.name for name in NAMES)
        assert path.stat().st_mode & 0o077 == 0 or path.suffix == ".jsonl"
    (line,) = [path for path in kept if path.suffix == ".jsonl"]
    text = line.read_text()
    line.write_text(text + text[: len(text) // 2] + "\n" + json.dumps({"files": 5}))
    assert len(a_state(tmp_path / "state", source).answered) == 1


@dataclass(frozen=True)
class CountedItem:
    """A file that tells when it is read."""

    name: str
    reading: list[str]
    size: int = 1 << 20
    changed: int = 0

    def read(self, limit: int = 0) -> bytes:
        self.reading.append(self.name)
        return an_image(1)


class SlowGateway:
    """Answers a request when another one came, and looks how many files lie in memory meanwhile."""

    name, path = "p", ""

    def __init__(self, reading: list[str]) -> None:
        self.reading, self.most, self.completed = reading, 0, 0
        self.pair = threading.Barrier(2)

    def store(self, files: list[bytes], *, more: bool, report: str = "") -> StowAnswer:
        self.pair.wait(10)
        self.most = max(self.most, len(self.reading))
        self.pair.wait(10)
        del self.reading[: len(files)]
        self.pair.wait(10)
        return StowAnswer({}, "", "r" * len(files))

    def complete(self, uid: str) -> None:
        self.completed += 1


def test_no_more_files_lie_in_memory_than_the_streams_hold(tmp_path: Path) -> None:
    reading: list[str] = []
    found = [Found(CountedItem(str(number), reading), "", "", "", "MR") for number in range(16 * 8)]
    gateway = SlowGateway(reading)
    state = UploadState(tmp_path, "http://gateway", "p", tmp_path)
    tally = Sender(gateway, state, streams=2)(Plan(found))  # type: ignore[arg-type]
    assert gateway.most == 2 * 16, "two streams with 16 MiB each"
    assert tally.refused.total() == 16 * 8


def test_a_file_is_deidentified_as_ingest_would_and_its_report_names_the_matched_rules() -> None:
    done = treat(an_image(1), ORDERS)
    assert isinstance(done, Clean)
    assert done.treated.series_uid == str(KEY.uid("1.2.3.1.1"))
    assert done.treated.sequences == (0,)
    assert not any(name.encode() in done.data for name in NAMES)
    assert treat(an_image(1, BurnedInAnnotation="YES"), ORDERS) == Refused("BURNED_IN_ANNOTATION")
    assert treat(b"no image", ORDERS) == Refused("NOT_DICOM")
    mask = {"when": {"Modality": "."}, "then": {"mask": [[0, 0, 9, 9]]}}
    section = {**ORDERS.section, "options": ["113101"], "pixels": [mask]}
    assert treat(an_image(1), replace(ORDERS, section=section)) == Refused("NOT_MASKED_HERE")
    assert KEY.key.hex() not in repr(ORDERS)
    assert str(KEY.key) not in repr(ORDERS)
