"""What you learn here: what the report of an upload is, what names it, and what its signature is good for."""

from __future__ import annotations

import base64
import json
from typing import Any

import jwt
import pytest
from irp_deid import Profile, Report, SiteKey
from irp_deid.signed import public_jwk, sign, verify
from irp_deid.uploads import INGEST, MAX_PATHS, Draft, Rules, Treated, count_actions, report_id
from irp_kernel.signed import SignatureNotValid

from .builders import KEY

SEED = KEY.signing_key()


def a_draft(*numbers: int, again: bool = False, removed: tuple[str, ...] = ("00100010",)) -> Draft:
    rules = Rules(project="p", revision=1, configuration="c" * 64, profile=Profile.of(), site=KEY.site_name())
    draft = Draft(rules)
    for number in numbers:
        report = Report(edition="", options=(), actions={"removed": len(removed), "kept": 3}, removed=removed)
        draft.add(
            Treated(
                study_uid="1",
                series_uid="2",
                sop_uid=f"3.{number}",
                sop_class="4",
                sha256="5",
                original="6",
                sequences=(),
                report=report,
                again=again,
            )
        )
    return draft


def a_report(draft: Draft, at: str = "now", **more: Any) -> dict[str, Any]:
    return draft.document(INGEST, at=at, **more)


def test_what_was_treated_alike_stands_there_once_and_is_counted_for_each() -> None:
    document = a_report(a_draft(1, 2, 3))
    assert (len(document["instances"]), len(document["treatments"])) == (3, 1)
    assert count_actions(document) == {"removed": 3, "kept": 9}


def test_a_report_is_named_by_what_was_done_not_by_when_in_which_order_or_whether_again() -> None:
    name = report_id(a_report(a_draft(1, 2)))
    assert name == report_id(a_report(a_draft(2, 1, again=True), at="later"))
    others = [a_report(a_draft(1)), a_report(a_draft(1, 2), complete=False), a_report(a_draft(1, 2), declared="x")]
    assert name not in set(map(report_id, others))


def test_removed_paths_are_bounded_and_all_of_them_are_counted() -> None:
    document = a_report(a_draft(1, removed=tuple(f"{n:08X}" for n in range(MAX_PATHS + 5))))
    assert len(document["treatments"][0]["removed"]) == MAX_PATHS
    assert count_actions(document)["removed"] == MAX_PATHS + 5


def test_a_signature_is_a_jws_that_other_libraries_check() -> None:
    token = sign({"schema": 1}, SEED)
    assert jwt.PyJWS().decode(token, jwt.PyJWK(public_jwk(SEED)).key, algorithms=["EdDSA"]) == b'{"schema":1}'
    assert jwt.get_unverified_header(token)["kid"] == public_jwk(SEED)["kid"]


def test_a_signature_holds_for_one_document_one_key_and_one_algorithm() -> None:
    token = sign({"schema": 1}, SEED)
    assert verify(token, public_jwk(SEED)) == {"schema": 1}
    header, payload, signature = token.split(".")
    none = base64.urlsafe_b64encode(json.dumps({"alg": "none"}).encode()).decode().rstrip("=")
    for wrong in (
        *(f"{header}.{payload[:-2]}.{signature}", f"{header}.{payload}.", f"{none}.{payload}.{signature}"),
        *("a.b", "", "..", "\u00e4.\u00e4.\u00e4", jwt.encode({"schema": 1}, "k" * 32, algorithm="HS256")),
    ):
        with pytest.raises(SignatureNotValid):
            verify(wrong, public_jwk(SEED))
    for key in (public_jwk(SiteKey(bytes(32)).signing_key()), {"kty": "RSA"}, {**public_jwk(SEED), "x": 5}, {}):
        with pytest.raises(SignatureNotValid):
            verify(token, key)


def test_another_critical_header_or_type_is_not_understood() -> None:
    payload = {"schema": 1}
    for header in ({"crit": ["b64"], "typ": "openirp-report+jws"}, {"typ": "JWT"}):
        key = jwt.PyJWK(public_jwk(SEED) | {"d": base64.urlsafe_b64encode(SEED).decode().rstrip("=")}).key
        token = jwt.PyJWS().encode(json.dumps(payload).encode(), key, algorithm="EdDSA", headers=header)
        with pytest.raises(SignatureNotValid):
            verify(token, public_jwk(SEED))
