"""The report of an upload: what was done to which instance under which rules. One schema, whoever made it.

In: engine reports of single files. Out: a JSON document that holds pseudonyms, hashes, tags and counts, and never a
value of an original. Instances that were treated alike share one entry of `treatments`.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from irp_deid.profile import EDITION, Profile
from irp_deid.report import ENGINE, Report

SCHEMA = 1
MAX_PATHS = 1000  # removed paths that a treatment names; `actions` counts all of them
INGEST, UPLOADER = "ingest", "uploader"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """What every instance of an upload has in common.

    Attributes:
        project: its id.
        revision, configuration: number and SHA-256 of the configuration document.
        profile: what the engine followed.
        site: the site's name in the project's data.
    """

    project: str
    revision: int
    configuration: str
    profile: Profile
    site: str

    def to_dict(self) -> dict[str, Any]:
        """For the document."""
        return {
            "project": self.project,
            "revision": self.revision,
            "configuration": self.configuration,
            "site": self.site,
            "profile": profile_to_dict(self.profile),
            "engine": {"edition": EDITION, "version": ENGINE},
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Treated:
    """One instance after de-identification.

    Attributes:
        study_uid, series_uid, sop_uid, sop_class: identifiers after de-identification.
        sha256: of the de-identified file.
        original: keyed hash of the original dataset's bytes (`SiteKey.fingerprint`).
        sequences: numbers of the project's sequence rules that the original header matched.
        report: what was done.
        again: the instance had been stored before.
    """

    study_uid: str
    series_uid: str
    sop_uid: str
    sop_class: str
    sha256: str
    original: str
    report: Report
    sequences: tuple[int, ...] = ()
    again: bool = False


@dataclass(slots=True)
class Draft:
    """A report that grows with its upload; of what was done alike one copy is held.

    Attributes:
        rules: project, profile, site.
        instances: entries of the document.
        refused: files by reason.
    """

    rules: Rules
    instances: list[dict[str, Any]] = field(default_factory=list)
    refused: Counter[str] = field(default_factory=Counter)
    _treatments: dict[str, int] = field(default_factory=dict)

    def add(self, one: Treated) -> None:
        """An instance was de-identified."""
        actions = {action: one.report.actions[action] for action in sorted(one.report.actions)}
        treatment = json.dumps({"actions": actions, "removed": list(one.report.removed[:MAX_PATHS])})
        entry = {
            "study_uid": one.study_uid,
            "series_uid": one.series_uid,
            "sop_uid": one.sop_uid,
            "sop_class": one.sop_class,
            "sha256": one.sha256,
            "original": one.original,
            "sequences": list(one.sequences),
            "treatment": self._treatments.setdefault(treatment, len(self._treatments)),
            "again": one.again,
        }
        self.instances.append(entry)

    def document(self, by: str, *, at: str, complete: bool = True, declared: str = "") -> dict[str, Any]:
        """The document.

        Args:
            by: `INGEST` or `UPLOADER`.
            at: time, ISO 8601.
            complete: False for an upload that was cut.
            declared: id of the uploader's report that came with the upload.
        """
        return {
            "schema": SCHEMA,
            "by": by,
            "at": at,
            "complete": complete,
            "declared": declared,
            **self.rules.to_dict(),
            "instances": self.instances,
            "treatments": [json.loads(treatment) for treatment in self._treatments],
            "refused": dict(sorted(self.refused.items())),
        }


def report_id(document: Mapping[str, Any]) -> str:
    """Names what was done, not when and how often: the same upload again has the same report."""
    told = {name: value for name, value in document.items() if name != "at"}
    told["instances"] = sorted(
        ({k: v for k, v in one.items() if k != "again"} for one in document["instances"]),
        key=lambda one: one["sop_uid"],
    )
    text = json.dumps(told, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def profile_to_dict(profile: Profile) -> dict[str, Any]:
    """A profile in a report."""
    return {
        "name": "basic",
        "options": [option.code for option in profile.options],
        "positive_list": str(profile.positive_list or ""),
        "vocabulary": len(profile.vocabulary),
    }


def count_actions(document: Mapping[str, Any]) -> Counter[str]:
    """How many elements got which action, over all instances."""
    total: Counter[str] = Counter()
    for one in document["instances"]:
        total.update(document["treatments"][one["treatment"]]["actions"])
    return total
