"""What can go wrong in quality."""

from __future__ import annotations

from irp_kernel.errors import InvalidArgument, NotFound


class SeriesNotAssessed(NotFound):
    """There is no quality report of this series (yet).

    Reports appear by themselves some seconds after a series is assembled; check the SeriesInstanceUID, or ask again.
    """


class RatingInvalid(InvalidArgument):
    """The rating does not validate.

    Stars are whole numbers from 1 to 5 and the form answers every question of the project's `quality_form` as its
    type and limits say; the detail names the question.
    """

    http_status = 422


class QualityFormInvalid(InvalidArgument):
    """The project's quality form cannot be read.

    Each question has a unique `name` and a `type`: integer or number (with `min`, `max`), text, boolean,
    or choice (with `options`).
    """
