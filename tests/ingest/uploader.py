"""An uploader who de-identifies on the own side, as the tests need one."""

from __future__ import annotations

import io
from typing import Any

import pydicom
from irp_deid import Profile, SiteKey, after_meta, deidentify_file
from irp_deid.sequences import matching_sequences
from irp_deid.signed import sign
from irp_deid.uploads import UPLOADER, Draft, Rules, Treated
from irp_kernel import sha256_of

from .conftest import CONFIGURATION


class Uploader:
    """Holds the site's key."""

    def __init__(self, key: SiteKey, **rules: Any) -> None:
        self.key = key
        profile = Profile.from_configuration(CONFIGURATION["deidentification"])
        self.rules = Rules(profile=profile, site=key.site_name(), **rules)

    def treat(self, original: bytes) -> tuple[bytes, Treated]:
        """The de-identified file, and what its report says of it."""
        data, report = deidentify_file(original, self.key, self.rules.profile)
        clean = pydicom.dcmread(io.BytesIO(data))
        matched = matching_sequences(CONFIGURATION["sequences"], pydicom.dcmread(io.BytesIO(original)))
        return data, Treated(
            study_uid=clean.StudyInstanceUID,
            series_uid=clean.SeriesInstanceUID,
            sop_uid=clean.SOPInstanceUID,
            sop_class=clean.SOPClassUID,
            sha256=sha256_of(data),
            original=self.key.fingerprint(after_meta(original)),
            sequences=tuple(matched),
            report=report,
        )

    def report(self, treated: list[Treated], **changes: Any) -> dict[str, Any]:
        """The report, with something else in some places."""
        draft = Draft(self.rules)
        for one in treated:
            draft.add(one)
        return draft.document(UPLOADER, at="2026-01-01T00:00:00+00:00") | changes

    def signed(self, document: dict[str, Any]) -> str:
        """Signed with the site's key."""
        return sign(document, self.key.signing_key())
