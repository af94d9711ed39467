"""Keys of pseudonymity: everything that replaces an identifier derives from one key per project and site.

K_site = HMAC(project secret, site). Whoever holds K_site can repeat the mapping, nobody else can make or undo it;
two hospitals' patient "0001" stay two people, and two projects cannot be joined.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from dataclasses import dataclass, field

from irp_kernel import Uid

KEY_BYTES = 32
MIN_OFFSET_DAYS, MAX_OFFSET_DAYS = 30, 3680  # whole days into the past: times of day and intervals are kept


def _mac(key: bytes, purpose: str, text: str) -> bytes:
    return hmac.new(key, purpose.encode() + b"\x00" + text.encode("utf-8", "surrogateescape"), hashlib.sha256).digest()


@dataclass(frozen=True, slots=True)
class ProjectSecret:
    """32 random bytes of a project; they never leave the room that takes images in."""

    secret: bytes = field(repr=False)

    def __post_init__(self) -> None:
        if len(self.secret) != KEY_BYTES:
            raise ValueError(f"a project secret has {KEY_BYTES} bytes")

    def site_key(self, site: str) -> SiteKey:
        """K_site, all that an uploader of that site may hold."""
        return SiteKey(_mac(self.secret, "site", site.strip()))


@dataclass(frozen=True, slots=True)
class SiteKey:
    """K_site: pseudonyms, UIDs and date offsets of one site in one project."""

    key: bytes = field(repr=False)

    def pseudonym(self, patient_id: str) -> str:
        """The patient's new PatientID: `P` and 16 letters and digits (80 bits)."""
        return "P" + _readable(_mac(self.key, "patient", normal_id(patient_id)), 16)

    def uid(self, original: str) -> Uid:
        """2.25.<128 bits>, also for originals that are no valid UID. Source: PS3.5 B.2."""
        number = int.from_bytes(_mac(self.key, "uid", original.strip(" \x00"))[:16], "big")
        return Uid(f"2.25.{number}")

    def site_name(self) -> str:
        """What the site is called in the project's data."""
        return "S" + _readable(_mac(self.key, "site-name", ""), 8)

    def fingerprint(self, original: bytes) -> str:
        """HMAC of an original's hash: recognises the same instance without keeping a hash of patient data."""
        return _mac(self.key, "original", hashlib.sha256(original).hexdigest()).hex()

    def signing_key(self) -> bytes:
        """Seed of the Ed25519 key that signs reports of this site's uploads. Source: RFC 8032 section 5.1.5."""
        return _mac(self.key, "report-signing", "")

    def offset_days(self, patient_id: str) -> int:
        """Days that every date of the patient moves: always into the past, never zero."""
        number = int.from_bytes(_mac(self.key, "days", normal_id(patient_id))[:8], "big")
        return -(MIN_OFFSET_DAYS + number % (MAX_OFFSET_DAYS - MIN_OFFSET_DAYS))


def normal_id(patient_id: str) -> str:
    """A PatientID without the padding that DICOM and tables add; case and leading zeros tell people apart."""
    return patient_id.strip(" \x00\t\r\n")


def _readable(mac: bytes, length: int) -> str:
    return base64.b32encode(mac).decode("ascii")[:length]
