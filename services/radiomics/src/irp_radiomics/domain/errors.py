"""What can go wrong in radiomics."""

from __future__ import annotations

from irp_kernel.errors import FailedPrecondition, NotFound


class ExtractionUnknown(NotFound):
    """There is no such extraction in this project.

    Start one with POST /radiomics/extractions; the answer's Location names it.
    """


class NoFeaturesYet(FailedPrecondition):
    """No features have been extracted in this project yet.

    Accept a mask, start an extraction, and ask again when it has succeeded.
    """


class TooFewRows(FailedPrecondition):
    """A heat-map needs at least two regions with two features that differ.

    Accept masks of more series, extract again, or read the tidy table, which has every value.
    """


class SeriesNotExtractable(FailedPrecondition):
    """The features of this series could not be computed.

    Its image or mask is degenerate for PyRadiomics; look at the mask, correct it, and accept the correction.
    """
