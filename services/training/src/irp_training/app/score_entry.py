"""A queued entry -> scores on the test set. The labels stay here; killed at any point, it is done again."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace

from irp_kernel import Mask, decode_mask, decode_volume

from irp_training.app.answer_with_container import AnswerWithContainer
from irp_training.app.attempts import begin, failed, finished
from irp_training.app.case_files import case_files
from irp_training.app.challenge_ports import Challenges, Examiner
from irp_training.app.container_ports import Containers, Runtime
from irp_training.app.ports import Clock, Objects, Store
from irp_training.app.snapshots import read_snapshot
from irp_training.domain.challenges.challenge import CaseScore, Challenge, Entry
from irp_training.domain.challenges.scoring import at_frames, score_answer
from irp_training.domain.container_errors import ITS_FAULT
from irp_training.domain.containers.container import Container, Ended
from irp_training.domain.containers.sockets import read_sockets
from irp_training.domain.datasets.dataset import Case, Snapshot
from irp_training.domain.judging.scores import as_model_sees, judged_frames
from irp_training.domain.run import Progress


class ScoreEntry:
    """Works on one entry until it has ended."""

    def __init__(
        self,
        challenges: Challenges,
        store: Store,
        containers: Containers,
        objects: Objects,
        *,
        examiner: Examiner,
        runtime: Runtime,
        now: Clock,
    ) -> None:
        self._challenges, self._store, self._containers, self._objects = challenges, store, containers, objects
        self._examiner, self._answer, self._now = examiner, AnswerWithContainer(runtime), now

    async def __call__(self, challenge: str, entry_id: str, *, turn: int = 1) -> None:
        """Score and keep; the last `turn` ends it, whatever happens."""
        entry, asked = await self._challenges.entry(challenge, entry_id), await self._challenges.challenge(challenge)
        if entry.ended:
            return
        cases: Sequence[CaseScore] = ()
        try:
            begin(turn)
            cases = await (self._model(asked, entry) if entry.kind == "model" else self._container(asked, entry))
            entry = replace(entry, state="scored")
        except Exception as error:
            entry = failed(entry, error, turn)
        await self._challenges.save_entry(finished(entry, self._now()), cases)

    async def _model(self, challenge: Challenge, entry: Entry) -> Sequence[CaseScore]:
        snapshot = await self._snapshot(challenge)
        bundle = await self._objects.get((await self._store.model(entry.ref.name, entry.ref.version)).bundle)
        files = case_files(self._objects, snapshot, ("test",))
        await self._note(entry, 0.0, "the model answers every case")
        return await self._examiner.score_entry(bundle, files, challenge.structures, challenge.metrics)

    async def _container(self, challenge: Challenge, entry: Entry) -> Sequence[CaseScore]:
        container = await self._containers.container(entry.ref.name, entry.ref.version)
        cases, scores = (await self._snapshot(challenge)).of("test"), list[CaseScore]()
        for number, case in enumerate(cases):
            await self._note(entry, number / len(cases), f"case {number + 1} of {len(cases)}")
            scores.append(await self._case(challenge, entry, container, case))
        return scores

    async def _case(self, challenge: Challenge, entry: Entry, container: Container, case: Case) -> CaseScore:
        """One case; an answer that fails through the container's own fault has the worst values."""
        volume = await asyncio.to_thread(decode_volume, await self._objects.get(case.volume))
        truth = await asyncio.to_thread(decode_mask, await self._objects.get(case.mask))
        if read_sockets(container.sockets).frames == "each":
            frames = judged_frames(as_model_sees(truth, challenge.structures))
            if not frames:
                return CaseScore(series=case.series, patient=case.patient, values={})
            volume, truth = at_frames(volume, truth, frames)
        found: Mask | None
        try:
            found = (await self._answer(container, volume, f"entry-{entry.id}", _silent)).mask
        except ITS_FAULT:
            found = None
        values = await asyncio.to_thread(score_answer, found, truth, challenge.structures, challenge.metrics)
        return CaseScore(series=case.series, patient=case.patient, values=values, missing=found is None)

    async def _snapshot(self, challenge: Challenge) -> Snapshot:
        return await read_snapshot(self._objects, challenge.dataset.manifest)

    async def _note(self, entry: Entry, fraction: float, step: str) -> None:
        progress = Progress(fraction=fraction, step=step)
        await self._challenges.save_entry(replace(entry, state="running", progress=progress))


async def _silent(done: int, of: int, ended: Ended) -> None:
    """Nobody hears of single cases."""
