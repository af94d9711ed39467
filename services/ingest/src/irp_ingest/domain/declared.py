"""Whether an uploader's report may be believed: signed with the site's key, under the project's present rules."""

from __future__ import annotations

from typing import Any

from irp_deid import SiteKey
from irp_deid.declared import Declared, follows, read_declared
from irp_deid.errors import ReportNotReadable
from irp_deid.signed import public_jwk, verify
from irp_deid.uploads import Rules

from irp_ingest.domain.errors import ReportOutdated

MAX_JWS_BYTES = 4 << 20


def opened(jws: str, rules: Rules, key: SiteKey) -> tuple[dict[str, Any], dict[str, Declared]]:
    """The document, and its instances by the SHA-256 of their files.

    Raises:
        ReportNotReadable: too large, or not of the schema.
        SignatureNotValid: not signed with the site's key.
        ReportOutdated: other rules, another project or site.
    """
    if len(jws) > MAX_JWS_BYTES:
        raise ReportNotReadable
    document = verify(jws, public_jwk(key.signing_key()))
    declared = read_declared(document)
    if not follows(document, rules):
        raise ReportOutdated
    return document, declared
