"""Rooms trust no one: the gateway mints 60-second tokens, every room verifies them.

Token: JWT, EdDSA (Ed25519), issuer `irp-gateway`, audience `irp`, claims sub, project, roles. A token of another
audience opens only the doors that name it: `irp-oip` is held by people for hours and opens tensors, nothing else.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path

import jwt
from cryptography.hazmat.primitives.serialization import load_pem_private_key, load_pem_public_key
from irp_kernel.errors import PermissionDenied, Unauthenticated

ISSUER, AUDIENCE, LIFETIME_S = "irp-gateway", "irp", 60
OIP_AUDIENCE = "irp-oip"  # audience of tokens that open the Open Inference Protocol's ports and nothing else
ADMIN = "admin"
FRESH_S = 10  # a room token is used for new calls so long; the other 50 s are for calls that hang or wait
LEEWAY_S = 5  # between the clocks of two hosts
KNOWN_TOKENS = 1024  # good tokens that a verifier remembers: a signature costs more than the rest of a small call


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """On whose behalf a call is made.

    Attributes:
        subject: user or service, never a patient.
        project: the project the roles hold in; empty for calls that touch none.
        roles: "admin", "owner", "curator", "annotator", "uploader", "viewer".
    """

    subject: str
    project: str = ""
    roles: frozenset[str] = frozenset()

    def require_project(self, project: str) -> None:
        """Raise PermissionDenied unless the token was minted for this project."""
        if self.project != project:
            raise PermissionDenied("the token was minted for another project")

    def require_role(self, *roles: str) -> None:
        """Raise PermissionDenied unless the caller has one of the roles; admins may do everything."""
        if not self.roles & {*roles, ADMIN}:
            raise PermissionDenied(f"this needs one of the roles {', '.join(roles)}")


_caller: ContextVar[Caller | None] = ContextVar("irp_caller", default=None)


def caller() -> Caller:
    """The caller of the RPC being served, or the identity set by `act_as`.

    Raises:
        Unauthenticated: there is none.
    """
    found = _caller.get()
    if found is None:
        raise Unauthenticated
    return found


def act_as(identity: Caller) -> None:
    """Set the identity of the present task, for the calls it makes."""
    _caller.set(identity)


class TokenMinter:
    """Mints tokens with the gateway's private key; a room token is used again while it is fresh."""

    def __init__(self, private_key_pem: bytes, now: Callable[[], float] = time.time) -> None:
        self._key = load_pem_private_key(private_key_pem, password=None)
        self._now = now
        self._fresh: OrderedDict[Caller, tuple[str, float]] = OrderedDict()  # room tokens, and until when

    @classmethod
    def from_file(cls, path: Path) -> TokenMinter:
        """Read an Ed25519 private key in PEM."""
        return cls(path.read_bytes())

    def mint(self, identity: Caller, *, audience: str = AUDIENCE, lifetime_s: int = LIFETIME_S) -> str:
        """A token for the rooms that lives 60 seconds, or another one."""
        if (audience, lifetime_s) != (AUDIENCE, LIFETIME_S):
            return self._mint(identity, audience, lifetime_s)
        token, until = self._fresh.get(identity, ("", 0.0))
        if not until - FRESH_S <= self._now() < until:
            token, until = self._mint(identity, audience, lifetime_s), self._now() + FRESH_S
            self._fresh[identity] = token, until
            if len(self._fresh) > KNOWN_TOKENS:
                self._fresh.popitem(last=False)
        return token

    def _mint(self, identity: Caller, audience: str, lifetime_s: int) -> str:
        at = int(self._now())
        claims = {
            "iss": ISSUER,
            "aud": audience,
            "sub": identity.subject,
            "project": identity.project,
            "roles": sorted(identity.roles),
            "iat": at,
            "exp": at + lifetime_s,
        }
        return jwt.encode(claims, self._key, algorithm="EdDSA")  # type: ignore[arg-type]


class TokenVerifier:
    """Verifies tokens with the gateway's public key; one that was found good is known until it expires.

    Args:
        public_key_pem: Ed25519.
        audiences: a token is for one of them.
        now: seconds since 1970.
    """

    def __init__(
        self, public_key_pem: bytes, audiences: Sequence[str] = (AUDIENCE,), now: Callable[[], float] = time.time
    ) -> None:
        self._key, self._audiences, self._now = load_pem_public_key(public_key_pem), list(audiences), now
        self._known: OrderedDict[str, tuple[Caller, float]] = OrderedDict()  # by token: whose, and until when

    @classmethod
    def from_file(cls, path: Path, audiences: Sequence[str] = (AUDIENCE,)) -> TokenVerifier:
        """Read an Ed25519 public key in PEM."""
        return cls(path.read_bytes(), audiences)

    def verify(self, token: str) -> Caller:
        """The caller a token speaks for.

        Raises:
            Unauthenticated: forged, expired, or for another audience.
        """
        found, until = self._known.get(token) or self._read(token)
        if self._now() >= until:
            raise Unauthenticated("the room's token is not valid any more")
        return found

    def _read(self, token: str) -> tuple[Caller, float]:
        try:
            claims = jwt.decode(
                token,
                self._key,  # type: ignore[arg-type]
                algorithms=["EdDSA"],
                issuer=ISSUER,
                audience=self._audiences,
                options={"require": ["exp", "iat", "sub"]},
                leeway=LEEWAY_S,
            )
        except jwt.PyJWTError as cause:
            raise Unauthenticated("the room's token is not valid") from cause
        owner = Caller(subject=claims["sub"], project=claims.get("project", ""), roles=frozenset(claims["roles"]))
        self._known[token] = owner, claims["exp"] + LEEWAY_S
        if len(self._known) > KNOWN_TOKENS:
            self._known.popitem(last=False)
        return self._known[token]
