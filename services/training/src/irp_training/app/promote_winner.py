"""The winner of a challenge becomes the champion of its name, if the usual gate allows."""

from __future__ import annotations

from irp_training.app.promote_model import PromoteModel
from irp_training.app.read_leaderboard import ReadLeaderboard
from irp_training.domain.candidacy import State
from irp_training.domain.container_errors import ChallengeOpen, WinnerNotPromotable
from irp_training.domain.gate import Verdict
from irp_training.domain.run import ModelRef


class PromoteWinner:
    """Asks the leaderboard, then the gate."""

    def __init__(self, leaderboard: ReadLeaderboard, promote: PromoteModel) -> None:
        self._leaderboard, self._promote = leaderboard, promote

    async def __call__(self, challenge: str, actor: str) -> tuple[ModelRef, Verdict, State]:
        """Promote; "pending" where a second person has to agree.

        Raises:
            ChallengeUnknown: there is no such challenge.
            ChallengeOpen: it has no winner yet.
            WinnerNotPromotable: the winner is a container.
            CandidateWorse: the gate refuses.
        """
        board = await self._leaderboard(challenge)
        if not board.final or not board.rows:
            raise ChallengeOpen(deadline=board.challenge.deadline)
        winner = board.rows[0][0]
        if winner.kind != "model":
            raise WinnerNotPromotable(container=str(winner.ref))
        return winner.ref, *await self._promote(winner.ref.name, winner.ref.version, actor)
