"""Rows of challenges and their entries. Scores per case stand in a column that no message is made from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any

from irp_chassis.db import Database, Transaction
from sqlalchemy import func, select

from irp_training.adapters.container_tables import CHALLENGE, ENTRY
from irp_training.adapters.db import METADATA
from irp_training.adapters.documents import dataset_from_document, to_document
from irp_training.app.attempts import grown
from irp_training.domain.challenges.challenge import CaseScore, Challenge, Entry
from irp_training.domain.container_errors import ChallengeExists, ChallengeUnknown, EntryUnknown, TooManyEntries
from irp_training.domain.run import ModelRef, Progress

ENTRY_JOB = "challenge-entry"

_challenges, _entries = METADATA.tables[CHALLENGE], METADATA.tables[ENTRY]


class ChallengeRows:
    """See app.challenge_ports.Challenges."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, challenge: Challenge) -> Challenge:
        """Keep it; the same again, but for its time, is the one that is there."""
        row = {"name": challenge.name, "document": to_document(challenge)}
        async with self._database.transaction() as tx:
            if await tx.insert_once(_challenges, row, keys=("name",)):
                return challenge
        known = await self.challenge(challenge.name)
        if replace(known, created_at=challenge.created_at) != challenge:
            raise ChallengeExists(name=challenge.name)
        return known

    async def challenge(self, name: str) -> Challenge:
        """One, or ChallengeUnknown."""
        found = await self.challenges(name) if name else []
        if not found:
            raise ChallengeUnknown
        return found[0]

    async def challenges(self, name: str = "") -> list[Challenge]:
        """All, or the one of this name."""
        query = select(_challenges.c.document).order_by(_challenges.c.name)
        if name:
            query = query.where(_challenges.c.name == name)
        async with self._database.read() as connection:
            return [challenge_from_document(row) for row in (await connection.execute(query)).scalars()]

    async def enter(self, entry: Entry, most: int) -> Entry:
        """Add and queue it; one that failed is scored again; each further one of a team counts against its limit."""
        async with self._database.transaction() as tx:
            await _lock_challenge(tx, entry.challenge)
            known = (await tx.execute(_entry_query(entry.challenge, entry.id))).scalar()
            if known is not None:
                before = entry_from_document(known)
                if before.state != "failed":
                    return before
                entry = replace(entry, entered_at=before.entered_at, attempt=before.attempt + 1)
            else:
                mine = (_entries.c.challenge == entry.challenge, _entries.c.team == entry.team)
                count = (await tx.execute(select(func.count()).where(*mine))).scalar() or 0
                if count >= most:
                    raise TooManyEntries(limit=most)
            await _write(tx, entry, [])
            payload = {"challenge": entry.challenge, "entry": entry.id}
            await tx.enqueue(ENTRY_JOB, key=f"{entry.challenge}/{entry.id}/{entry.attempt}", payload=payload)
        return entry

    async def entry(self, challenge: str, entry_id: str) -> Entry:
        """One, or EntryUnknown."""
        async with self._database.read() as connection:
            document = (await connection.execute(_entry_query(challenge, entry_id))).scalar()
        if document is None:
            raise EntryUnknown
        return entry_from_document(document)

    async def entries(self, challenge: str) -> list[Entry]:
        """In the order in which they were entered."""
        query = select(_entries.c.document).where(_entries.c.challenge == challenge)
        async with self._database.read() as connection:
            rows = (await connection.execute(query.order_by(_entries.c.entered_at, _entries.c.id))).scalars()
            return [entry_from_document(row) for row in rows]

    async def save_entry(self, entry: Entry, cases: Sequence[CaseScore] = ()) -> bool:
        """Keep a change, unless it has ended or was begun anew."""
        async with self._database.transaction() as tx:
            query = _entry_query(entry.challenge, entry.id).with_for_update()
            current = entry_from_document((await tx.execute(query)).scalar_one())
            if (changed := grown(current, entry)) is None:
                return False
            await _write(tx, changed, [asdict(case) for case in cases])
        return True

    async def scores(self, challenge: str) -> Mapping[str, Sequence[CaseScore]]:
        """Of the scored entries."""
        query = select(_entries.c.id, _entries.c.document, _entries.c.cases).where(_entries.c.challenge == challenge)
        async with self._database.read() as connection:
            rows = (await connection.execute(query)).all()
        return {
            row.id: [CaseScore(**case) for case in row.cases]
            for row in rows
            if entry_from_document(row.document).state == "scored"
        }


def challenge_from_document(document: Mapping[str, Any]) -> Challenge:
    """Document -> Challenge."""
    lists = {name: tuple(document[name]) for name in ("structures", "metrics")}
    return Challenge(**{**document, **lists, "dataset": dataset_from_document(document["dataset"])})


def entry_from_document(document: Mapping[str, Any]) -> Entry:
    """Document -> Entry."""
    nested = {"ref": ModelRef(**document["ref"]), "progress": Progress(**document["progress"])}
    return Entry(**{**document, **nested})


async def _lock_challenge(tx: Transaction, name: str) -> None:
    """Entries of one challenge follow one another, or two at once would both be a team's last."""
    await tx.execute(select(_challenges.c.name).where(_challenges.c.name == name).with_for_update())


def _entry_query(challenge: str, entry_id: str) -> Any:
    return select(_entries.c.document).where(_entries.c.challenge == challenge, _entries.c.id == entry_id)


async def _write(tx: Transaction, entry: Entry, cases: list[Any]) -> None:
    row = {"challenge": entry.challenge, "id": entry.id}
    keys = tuple(row)
    more = {"team": entry.team, "entered_at": entry.entered_at, "document": to_document(entry), "cases": cases}
    await tx.upsert(_entries, {**row, **more}, keys=keys)
