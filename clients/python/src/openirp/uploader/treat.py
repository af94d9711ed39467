"""One file is de-identified on the uploader's side, in a worker process; only its parent talks to the gateway."""

from __future__ import annotations

import io
import multiprocessing
import os
import signal
import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import pydicom
from irp_deid import Profile, SiteKey, after_meta, deidentify_file, quietly
from irp_deid.errors import NotDicom, NotMaskedHere
from irp_deid.pixels import BY_RULE, Fate, judge_pixels
from irp_deid.sequences import matching_sequences
from irp_deid.uploads import Rules, Treated
from irp_kernel import sha256_of
from irp_kernel.errors import IrpError

from openirp.upload import DICM


@dataclass(frozen=True, slots=True, kw_only=True)
class Orders:
    """By which rules: what the gateway handed out for the token's site.

    Attributes:
        key: K_site; secret, and never written down.
        project, revision, configuration: which rules these are.
        section: `deidentification` of the configuration.
        sequences: `sequences` of the configuration.
    """

    key: bytes = field(repr=False)
    project: str
    revision: int
    configuration: str
    section: Mapping[str, Any]
    sequences: Sequence[Mapping[str, Any]]

    @property
    def rules(self) -> Rules:
        """For the report."""
        return Rules(
            project=self.project,
            revision=self.revision,
            configuration=self.configuration,
            profile=Profile.from_configuration(self.section),
            site=SiteKey(self.key).site_name(),
        )


@dataclass(frozen=True, slots=True)
class Clean:
    """A de-identified file and what was done to it."""

    data: bytes
    treated: Treated


@dataclass(frozen=True, slots=True)
class Refused:
    """A file that the engine does not take."""

    reason: str


def treat(original: bytes, orders: Orders) -> Clean | Refused:
    """De-identify a file as ingest would; in memory only."""
    try:
        with quietly():
            return _treat(original, orders)
    except IrpError as error:
        return Refused(error.reason)
    except Exception:  # pydicom raises what it likes on odd files, with their values in the text
        return Refused("CANNOT_DEIDENTIFY")


def _treat(original: bytes, orders: Orders) -> Clean | Refused:
    key, profile = SiteKey(orders.key), Profile.from_configuration(orders.section)
    if original[DICM] != b"DICM":
        raise NotDicom
    before = _header(original)
    verdict = judge_pixels(before, profile, orders.section.get("pixels", ()))
    if verdict.fate is not Fate.TAKE:  # regions are masked, and suspects looked at, only where originals arrive
        return Refused(verdict.reason if verdict.reason not in {"", BY_RULE} else NotMaskedHere.reason)
    data, report = deidentify_file(original, key, verdict.profile(profile))
    header = _header(data)
    treated = Treated(
        study_uid=str(header.StudyInstanceUID),
        series_uid=str(header.SeriesInstanceUID),
        sop_uid=str(header.SOPInstanceUID),
        sop_class=str(header.SOPClassUID),
        sha256=sha256_of(data),
        original=key.fingerprint(after_meta(original)),
        sequences=tuple(matching_sequences(orders.sequences, before)),
        report=report,
    )
    return Clean(data, treated)


def _header(data: bytes) -> pydicom.FileDataset:
    return pydicom.dcmread(io.BytesIO(data), stop_before_pixels=True)


def new_pool(workers: int) -> ProcessPoolExecutor:
    """Fresh worker processes: they inherit no open file, and leave when this process is gone, however it went."""
    context = multiprocessing.get_context("spawn")
    return ProcessPoolExecutor(workers, mp_context=context, initializer=_settle)


def _settle() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent, which ends us
    threading.Thread(target=_leave_with_parent, daemon=True).start()


def _leave_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
