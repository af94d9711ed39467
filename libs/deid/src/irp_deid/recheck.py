"""Was this file de-identified by these rules before it came? Nothing is changed; problems are told by path and reason.

PatientIdentityRemoved alone proves nothing: every element is judged as if the file were an original, and what the
engine would still take away, empty or clean is a problem. That dates were moved, and by whose key, cannot be seen.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from pydicom._uid_dict import UID_dictionary
from pydicom.datadict import keyword_for_tag
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset, FileDataset
from pydicom.uid import DeflatedExplicitVRLittleEndian

from irp_deid.engine import DatasetSiblings, why_it_stays
from irp_deid.identity import identifiers_in
from irp_deid.judge import PATIENT_ID, Judge, Verdict
from irp_deid.keys import SiteKey
from irp_deid.part10 import IMPLEMENTATION, IMPLEMENTATION_UID, PREAMBLE_BYTES, after_meta, read_part10
from irp_deid.profile import Profile
from irp_deid.quiet import quietly
from irp_deid.refusals import refuse_unsafe
from irp_deid.report import Change
from irp_deid.safe_private import is_safe_creator
from irp_deid.stamp import stamp
from irp_deid.values import DUMMY_TEXT, Subject, is_empty

PATIENT_NAME = 0x00100010
MAX_PROBLEMS = 100  # told of one file; more say nothing new
_PSEUDONYM = re.compile(r"P[A-Z2-7]{16}")
_KEYED_UID = re.compile(r"2\.25\.(0|[1-9]\d{0,38})")
_META_REASON = "file meta information is written anew"
_META = {0x00020000, 0x00020001, 0x00020002, 0x00020003, 0x00020010, 0x00020012, 0x00020013}


def recheck(data: bytes, key: SiteKey, profile: Profile) -> tuple[Change, ...]:
    """What in Part 10 bytes is not as the engine would have left it; empty for a file that was de-identified.

    `action` says what the engine would do, or "missing" for what it would have written.

    Raises:
        InstanceRefused: its subclasses in `irp_deid.errors` say why it must not enter at all.
        TooLarge: it inflates beyond `part10.MAX_BYTES`.
    """
    with quietly():
        dataset = read_part10(data)
        refuse_unsafe(dataset, profile)
        found = _Recheck(Judge(_subject(dataset, key, profile), profile)).problems(data, dataset)
        return tuple(one for _, one in zip(range(MAX_PROBLEMS), found, strict=False))


def _subject(dataset: Dataset, key: SiteKey, profile: Profile) -> Subject:
    known = frozenset({DUMMY_TEXT, *(str(dataset.get(word, "")) for word in ("PatientID", "PatientName"))})
    dated = profile.has("113106") or profile.has("113107")
    return Subject(
        key,
        0 if dated else None,
        identifiers_in(dataset, profile, known=frozenset(word for word in known if _is_ours(word))),
        retains_uids=profile.has("113110"),
        vocabulary=profile.vocabulary,
    )


@dataclass(frozen=True, slots=True)
class _Recheck:
    judge: Judge

    def problems(self, data: bytes, dataset: FileDataset) -> Iterator[Change]:
        yield from _outside(data, dataset)
        stamped = _stamped(dataset, self.judge.profile)
        for element in stamped:
            if element.tag not in dataset:
                yield _change(int(element.tag), "missing", "what says how the file was de-identified")
            elif dataset[element.tag].value != element.value:
                yield _change(int(element.tag), "replaced", "what says how the file was de-identified")
        yield from self.walk(dataset, "", skip=set(map(int, stamped.keys())), strict=False)

    def walk(self, dataset: Dataset, path: str, *, skip: set[int], strict: bool) -> Iterator[Change]:
        siblings = DatasetSiblings(dataset)
        for tag in sorted(dataset.keys()):
            here = f"{path}{int(tag):08X}"
            if int(tag) in skip or why_it_stays(dataset.get_item(tag), self.judge.profile):
                continue
            try:
                element = dataset[tag]
                verdict = self.judge(element, siblings, strict=strict)
            except Exception:
                yield Change(here, keyword_for_tag(tag), "unreadable", "its bytes do not fit its value representation")
                continue
            if verdict.action == "walked":
                for index, item in enumerate(element.value or []):
                    yield from self.walk(item, f"{here}[{index}].", skip=set(), strict=verdict.strict)
            elif not _is_fine(element, verdict):
                yield Change(here, keyword_for_tag(tag), verdict.action, verdict.why)


def _is_fine(element: DataElement, verdict: Verdict) -> bool:
    if element.tag.is_private_creator:
        return is_safe_creator(str(element.value))
    if verdict.action == "removed":
        return False
    if verdict.action == "emptied":
        return element.is_empty
    if int(element.tag) == PATIENT_ID:
        return element.is_empty or bool(_PSEUDONYM.fullmatch(str(element.value)))
    if element.VR == "UI" and verdict.action in {"replaced", "cleaned"}:  # by the table, or by default
        return all(_is_replaced_uid(uid) for uid in _values(element.value))
    return _same(verdict.value, element.value)


def _outside(data: bytes, dataset: FileDataset) -> Iterator[Change]:
    """Preamble, file meta information, and bytes behind the end."""
    meta = dataset.file_meta
    if any(data[:PREAMBLE_BYTES]):
        yield Change("preamble", "", "emptied", "the preamble says something")
    for element in meta:
        if int(element.tag) not in _META:
            yield _change(int(element.tag), "removed", _META_REASON)
    written = {
        0x00020002: dataset.get("SOPClassUID", ""),
        0x00020003: dataset.get("SOPInstanceUID", ""),
        0x00020012: IMPLEMENTATION_UID,
        0x00020013: IMPLEMENTATION,
    }
    for tag, value in written.items():
        if tag not in meta or str(meta[tag].value) != str(value):
            yield _change(tag, "replaced", _META_REASON)
    if meta.get("TransferSyntaxUID") == DeflatedExplicitVRLittleEndian:
        inflate = zlib.decompressobj(-zlib.MAX_WBITS)
        inflate.decompress(after_meta(data))
        if inflate.unused_data.strip(b"\x00"):
            yield Change("end", "", "removed", "bytes behind the deflated dataset")


def _stamped(dataset: Dataset, profile: Profile) -> Dataset:
    """What the engine would have written into this file."""
    patient = str(dataset.get("PatientID", "") or "")
    written = Dataset()
    stamp(written, patient if _PSEUDONYM.fullmatch(patient) else "P", profile)
    return written


def _change(tag: int, action: str, why: str) -> Change:
    return Change(f"{tag:08X}", keyword_for_tag(tag), action, why)


def _is_replaced_uid(uid: str) -> bool:
    return not uid or uid in UID_dictionary or bool(_KEYED_UID.fullmatch(uid))


def _is_ours(word: str) -> bool:
    return word == DUMMY_TEXT or bool(_PSEUDONYM.fullmatch(word))


def _values(value: Any) -> list[str]:
    return [str(one) for one in value] if isinstance(value, list | tuple) or hasattr(value, "append") else [str(value)]


def _same(new: Any, old: Any) -> bool:
    return bool(new == old) or (is_empty(new) and is_empty(old))
