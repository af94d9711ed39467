"""Whether who was let in may stay, asked again and again while they are there."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

import structlog
from irp_kernel.errors import NotFound, PermissionDenied, Unauthenticated

from irp_gateway.domain.errors import MembershipNotKnown

LOOK_S = 5.0  # that one look may take
UNKNOWN_S = 300.0  # without an answer, for which they may stay: a database that fails over is back by then
LOST = (Unauthenticated, PermissionDenied, NotFound)  # what is known: the token, the role, or the membership is gone


class MayStay:
    """While nobody can say, they may, but not for ever: who was put out meanwhile must not listen on."""

    def __init__(self, look: Callable[[], Awaitable[object]], now: Callable[[], float] = time.monotonic) -> None:
        """Of somebody who was let in at this moment.

        Args:
            look: lets them in once more, or raises what keeps them out.
            now: monotonic seconds.
        """
        self._look, self._now, self._known_at = look, now, now()
        self._log = structlog.get_logger(part="may_stay")

    async def __call__(self) -> None:
        """Look again.

        Raises:
            Unauthenticated: the token has expired or was revoked.
            PermissionDenied, NotFound: they are no member any more.
            MembershipNotKnown: nobody could say for too long.
        """
        began = self._now()
        try:
            async with asyncio.timeout(LOOK_S):
                await self._look()
        except LOST:
            raise
        except Exception as error:
            self._log.warning("membership_not_known", exc_info=error)
            if self._now() - self._known_at >= UNKNOWN_S:
                raise MembershipNotKnown from None
        else:
            self._known_at = began
