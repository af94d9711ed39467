"""What a project's de-identification would do to sample files: nothing is sent, nothing is stored, no value is told.

In: files and the `deidentification` section of a configuration. Out: every attribute with what becomes of it, and why,
summed over the files. Pseudonyms come from a key that is made for the run and forgotten.
"""

from __future__ import annotations

import re
import secrets
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from irp_deid import Change, Profile, ProjectSecret, deidentify_file, read_part10
from irp_deid.pixels import Fate, judge_pixels
from irp_kernel.errors import IrpError

from openirp.upload import DICM, read_files

_ITEM = re.compile(r"\[\d+\]")
ORDER = ("removed", "unreadable", "emptied", "replaced", "cleaned", "kept")  # of the answer: what is lost comes first


@dataclass(slots=True)
class DryRun:
    """What would become of the files.

    Attributes:
        profile: what was followed.
        files: DICOM files that would be taken.
        skipped: files that are not DICOM.
        refused: files that would be refused, by reason.
        waiting: files that would wait in quarantine, by reason; a rule's mask is not tried.
        changes: in how many files an attribute (items of sequences as one: "[*]") has this fate for this reason.
    """

    profile: Profile
    files: int = 0
    skipped: int = 0
    refused: Counter[str] = field(default_factory=Counter)
    waiting: Counter[str] = field(default_factory=Counter)
    changes: Counter[Change] = field(default_factory=Counter)

    def rows(self) -> list[tuple[Change, int]]:
        """Changes with their number of files, in the order of `ORDER`, then of paths."""
        return sorted(self.changes.items(), key=lambda one: (ORDER.index(one[0].action), one[0].path, one[0].why))

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "options": [option.code for option in self.profile.options],
            "positive_list": str(self.profile.positive_list or ""),
            "vocabulary": len(self.profile.vocabulary),
            "files": self.files,
            "skipped": self.skipped,
            "refused": dict(sorted(self.refused.items())),
            "waiting": dict(sorted(self.waiting.items())),
            "changes": [
                {"path": one.path, "keyword": one.keyword, "action": one.action, "why": one.why, "files": files}
                for one, files in self.rows()
            ],
        }


def dry_run(files: Iterable[bytes], section: Mapping[str, Any]) -> DryRun:
    """De-identify files in memory and tell what happened.

    Args:
        files: contents, DICOM or not.
        section: `deidentification` of a project's configuration.

    Raises:
        UnsupportedProfile, PositiveListNotValid, VocabularyNotValid: the section cannot be followed.
    """
    run, key = DryRun(Profile.from_configuration(section)), ProjectSecret(secrets.token_bytes(32)).site_key("dry run")
    for file in files:
        if file[DICM] != b"DICM":
            run.skipped += 1
            continue
        try:
            verdict = judge_pixels(read_part10(file), run.profile, section.get("pixels", ()))
            _, report = deidentify_file(file, key, verdict.profile(run.profile), detailed=True)
        except IrpError as refused:
            run.refused[refused.reason] += 1
            continue
        if verdict.fate is Fate.QUARANTINE:
            run.waiting[verdict.reason] += 1
            continue
        run.files += 1
        run.changes.update({_anywhere(change) for change in report.changes})
    return run


def read_all(sources: Iterable[Path]) -> Iterator[bytes]:
    """Contents of files, of the files of folders, and of archives."""
    for source in sources:
        if source.is_dir() or source.suffix.lower() == ".zip":
            yield from read_files(source)
        else:
            yield source.read_bytes()


def _anywhere(change: Change) -> Change:
    return Change(_ITEM.sub("[*]", change.path), change.keyword, change.action, change.why)
