"""How one fact is handled: once, whatever is delivered. A decision table around a handler; no NATS in here."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import structlog
from google.protobuf.message import DecodeError, Message
from irp_kernel.errors import Code, IrpError

from irp_chassis.db import AlreadyHandled, Delivery, current_delivery
from irp_chassis.inbox import Inbox
from irp_chassis.telemetry import FACTS_HANDLED
from irp_chassis.verdicts import TABLE, Nats

Handler = Callable[[Any], Awaitable[None]]

PARK_AFTER_FAILURES = 8  # unexpected exceptions; then the message is parked
PARK_AFTER_RETRIES = 240  # transient refusals (a part is down, a fact is not yet known): hours with the back-off below
BACK_OFF_S = (0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What to tell JetStream: acknowledge, or deliver again after `retry_s`."""

    name: str
    retry_s: float | None = None


def retry_or_park(error: BaseException, failures: int) -> float | None:
    """Seconds until the next attempt, or None to park. `failures` counts this one."""
    if isinstance(error, IrpError):
        if TABLE[error.code].nats is Nats.PARK:
            return None
        limit = PARK_AFTER_FAILURES if error.code is Code.INTERNAL else PARK_AFTER_RETRIES
    else:
        limit = PARK_AFTER_FAILURES
    if failures >= limit:
        return None
    return BACK_OFF_S[min(failures, len(BACK_OFF_S)) - 1]


class HandleOnce:
    """Runs a handler for one durable, with the inbox around it."""

    def __init__(self, durable: str, message: type[Message], handler: Handler, inbox: Inbox) -> None:
        self.durable = durable
        self._message, self._handler, self._inbox = message, handler, inbox
        self._log = structlog.get_logger(durable=durable)

    async def __call__(self, message_id: str, subject: str, data: bytes) -> Outcome:
        """Handle one delivery; never raises but for cancellation."""
        state, failures = await self._inbox.state(self.durable, message_id)
        if state in {"done", "parked"}:
            return self._count(Outcome("repeated"))
        delivery = Delivery(self.durable, message_id)
        token = current_delivery.set(delivery)
        try:
            await self._handler(self._message.FromString(data))
        except AlreadyHandled:
            return self._count(Outcome("repeated"))
        except (asyncio.CancelledError, GeneratorExit):
            raise
        except DecodeError as error:
            return await self._failed(error, message_id, PARK_AFTER_FAILURES, subject, data)
        except Exception as error:
            if isinstance(error, IrpError) and TABLE[error.code].nats is Nats.ACK:
                await self._inbox.put(self.durable, message_id, state="done")
                return self._count(Outcome("repeated"))
            return await self._failed(error, message_id, failures + 1, subject, data)
        finally:
            current_delivery.reset(token)
        if not delivery.marked:
            await self._inbox.put(self.durable, message_id, state="done")
        return self._count(Outcome("done"))

    async def _failed(self, error: Exception, message_id: str, failures: int, subject: str, data: bytes) -> Outcome:
        reason = error.reason if isinstance(error, IrpError) else type(error).__name__
        retry_s = retry_or_park(error, failures)
        state = "parked" if retry_s is None else "failing"
        await self._inbox.put(
            self.durable, message_id, state=state, failures=failures, reason=reason, subject=subject, data=data
        )
        report = self._log.error if retry_s is None else self._log.warning
        report(f"fact_{state}", message_id=message_id, reason=reason, failures=failures, exc_info=error)
        return self._count(Outcome(state, retry_s))

    def _count(self, outcome: Outcome) -> Outcome:
        FACTS_HANDLED.labels(self.durable, outcome.name).inc()
        return outcome
