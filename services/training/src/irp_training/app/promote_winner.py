"""The winner of a challenge becomes the champion of its name: a model if the usual gate allows, a container at once."""

from __future__ import annotations

from dataclasses import dataclass

from irp_training.app.promote_container import PromoteContainer
from irp_training.app.promote_meanwhile import PromoteMeanwhile, Standing
from irp_training.app.read_leaderboard import ReadLeaderboard
from irp_training.domain.challenges.challenge import Kind
from irp_training.domain.container_errors import ChallengeOpen
from irp_training.domain.run import ModelRef


@dataclass(frozen=True, slots=True, kw_only=True)
class Crowned:
    """The winner, and what became of it.

    Attributes:
        stands: what became of it; a container, whose place is its verdict, has no other.
    """

    kind: Kind
    ref: ModelRef
    stands: Standing


class PromoteWinner:
    """Asks the leaderboard, then the gate."""

    def __init__(self, leaderboard: ReadLeaderboard, model: PromoteMeanwhile, container: PromoteContainer) -> None:
        self._leaderboard, self._model, self._container = leaderboard, model, container

    async def __call__(self, challenge: str, actor: str) -> Crowned:
        """Promote.

        Raises:
            ChallengeUnknown: there is no such challenge.
            ChallengeOpen: it has no winner yet.
            CandidateWorse: the gate refuses.
        """
        board = await self._leaderboard(challenge)
        if not board.final or not board.rows:
            raise ChallengeOpen(deadline=board.challenge.deadline)
        winner = board.rows[0][0]
        name, version = winner.ref.name, winner.ref.version
        if winner.kind == "container":
            await self._container(name, version, actor)
            return Crowned(kind="container", ref=winner.ref, stands=Standing(state="promoted"))
        return Crowned(kind="model", ref=winner.ref, stands=await self._model(name, version, actor))
