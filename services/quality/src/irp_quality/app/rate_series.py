"""Verb: a reader rates a series."""

from __future__ import annotations

from dataclasses import dataclass

from irp_kernel import ObjectRef, Slug, Uid

from irp_quality.app.ports import Answers, Assessments, Clock, Forms, Ratings
from irp_quality.domain.errors import SeriesNotAssessed
from irp_quality.domain.rating import Rating, check_rating


@dataclass(frozen=True, slots=True, kw_only=True)
class RateCommand:
    """One rating as it was sent, with the project's revision it answers."""

    project: Slug
    revision: int
    configuration: ObjectRef
    uid: Uid
    rater: str
    stars: int
    answers: Answers


class RateSeries:
    """Check a rating against the project's form and keep it."""

    def __init__(self, assessments: Assessments, forms: Forms, ratings: Ratings, clock: Clock) -> None:
        self._assessments, self._forms, self._ratings, self._clock = assessments, forms, ratings, clock

    async def __call__(self, command: RateCommand) -> int:
        """The version of the reader's rating: 1 for the first.

        Raises:
            SeriesNotAssessed: the series is not known here.
            RatingInvalid: stars or answers do not validate.
        """
        if await self._assessments.find(command.project, command.uid) is None:
            raise SeriesNotAssessed(series=command.uid)
        form = await self._forms.of(command.project, command.revision, command.configuration)
        check_rating(command.stars, command.answers, form)
        rating = Rating(rater=command.rater, stars=command.stars, form=command.answers, at=self._clock(), version=1)
        return await self._ratings.save(
            command.project, command.uid, rating, revision=command.revision, configuration=command.configuration
        )
