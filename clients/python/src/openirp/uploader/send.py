"""Sends a plan: several requests at a time, each de-identified here if wanted, each remembered once it is answered.

Memory is bounded by the number of streams: each holds one batch (32 files, 16 MiB) and its de-identified copy; of
larger files one is held at a time.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, ThreadPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from datetime import UTC, datetime

from irp_deid import SiteKey
from irp_deid.signed import sign
from irp_deid.uploads import UPLOADER, Draft

from openirp.problem import Problem
from openirp.project import Project
from openirp.stow import StowAnswer
from openirp.uploader.items import SourceNotReadable
from openirp.uploader.plan import BATCH_BYTES, BROKEN, Found, Plan
from openirp.uploader.state import UploadState
from openirp.uploader.tally import Tally
from openirp.uploader.treat import Clean, Orders, Refused, new_pool, treat

MAX_STREAMS = 4
OUTDATED = "REPORT_OUTDATED"


class Sender:
    """Sends plans to a project.

    Args:
        project: where to.
        state: what was answered in an earlier run.
        orders: rules to de-identify by on this side; None sends the originals, which ingest de-identifies.
        workers: processes that de-identify.
        streams: requests at a time, 1 to 4.
    """

    def __init__(
        self, project: Project, state: UploadState, orders: Orders | None = None, *, workers: int = 1, streams: int = 2
    ) -> None:
        self._project, self._state, self._orders = project, state, orders
        self._workers, self._streams = workers, min(max(streams, 1), MAX_STREAMS)
        self._writing, self._large = threading.Lock(), threading.Lock()

    def __call__(self, plan: Plan, on_batch: Callable[[Tally], None] = lambda tally: None) -> Tally:
        """Send what was not answered yet; the tally of everything, earlier runs included.

        Raises:
            Problem: the gateway refuses or stays away; the same call again goes on from there.
        """
        pool = new_pool(self._workers) if self._orders else None
        streams = ThreadPoolExecutor(self._streams)
        try:
            for tally in _bounded(streams, self._streams, self._work(plan, pool)):
                on_batch(tally)
        finally:
            streams.shutdown(wait=False, cancel_futures=True)
            if pool:
                pool.shutdown(wait=False, cancel_futures=True)
        for series_uid in self._state.tally.series:
            self._project.complete(series_uid)
        return self._state.tally

    def _work(self, plan: Plan, pool: ProcessPoolExecutor | None) -> Iterator[Callable[[], Tally]]:
        for batch in plan.batches(self._state.is_answered):
            yield lambda batch=batch: self._one(batch, pool)  # type: ignore[misc]

    def _one(self, batch: list[Found], pool: ProcessPoolExecutor | None) -> Tally:
        if sum(one.item.size for one in batch) <= BATCH_BYTES:
            return self._settle(batch, pool)
        with self._large:  # one large file in memory at a time
            return self._settle(batch, pool)

    def _settle(self, batch: list[Found], pool: ProcessPoolExecutor | None) -> Tally:
        tally = Tally(sent_bytes=sum(one.item.size for one in batch))
        files, sent = [], []
        for one in batch:
            try:
                files.append(one.item.read())
                sent.append(one)
            except SourceNotReadable:
                tally.refused[BROKEN] += 1
        if pool:
            self._send_clean(files, sent, pool, tally)
        elif files:
            _count(self._project.store(files, more=True), sent, tally)
        with self._writing:
            self._state.add([one.item for one in batch], tally)
        return tally

    def _send_clean(self, files: list[bytes], batch: list[Found], pool: ProcessPoolExecutor, tally: Tally) -> None:
        try:
            self._treat_and_send(files, batch, pool, tally)
        except Problem as problem:
            if problem.reason != OUTDATED:
                raise
            self._orders = orders_of(self._project)  # the project was revised while we were at it
            self._treat_and_send(files, batch, pool, tally)

    def _treat_and_send(self, files: list[bytes], batch: list[Found], pool: ProcessPoolExecutor, tally: Tally) -> None:
        orders = self._orders
        if orders is None:
            raise ValueError("there are no orders to de-identify by")
        try:
            treated = list(pool.map(treat, files, [orders] * len(files)))
        except BrokenProcessPool:
            raise SourceNotReadable("a worker died, perhaps for want of memory: try fewer --workers") from None
        draft = Draft(orders.rules, refused=Counter(one.reason for one in treated if isinstance(one, Refused)))
        clean = [(one, found) for one, found in zip(treated, batch, strict=True) if isinstance(one, Clean)]
        if clean:
            for one, _ in clean:
                draft.add(one.treated)
            jws = sign(draft.document(UPLOADER, at=_now()), SiteKey(orders.key).signing_key())
            report = self._project.put_report(jws)
            answer = self._project.store([one.data for one, _ in clean], more=True, report=report)
            _count(answer, [found for _, found in clean], tally)
        tally.refused.update(draft.refused)


def orders_of(project: Project) -> Orders:
    """What the gateway hands out for de-identification on this side.

    Raises:
        Problem: the token is no uploader's.
    """
    said = project.deidentification_key()
    return Orders(
        key=said.key,
        project=said.project,
        revision=said.revision,
        configuration=said.configuration,
        section=said.deidentification,
        sequences=said.sequences,
    )


def _count(answer: StowAnswer, batch: list[Found], tally: Tally) -> None:
    """Stored instances and refusals come in the order sent; the fates say which is which."""
    series, reasons = iter(answer.series), iter(answer.refusals)
    for found, fate in zip(batch, answer.fates, strict=False):
        if fate == "r":
            tally.refused[next(reasons, "")] += 1
        else:
            tally.note(next(series, ""), found.modality, already=fate == "a")


def _bounded(threads: ThreadPoolExecutor, limit: int, work: Iterator[Callable[[], Tally]]) -> Iterator[Tally]:
    """Results as they come; never more than `limit` pieces of work begun."""
    running: set[Future[Tally]] = set()
    for piece in work:
        running.add(threads.submit(piece))
        if len(running) >= limit:
            done, running = wait(running, return_when=FIRST_COMPLETED)
            yield from (future.result() for future in done)
    while running:
        done, running = wait(running, return_when=FIRST_COMPLETED)
        yield from (future.result() for future in done)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
