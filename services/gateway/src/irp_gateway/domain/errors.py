"""What can go wrong at the gateway."""

from __future__ import annotations

from irp_kernel.errors import AlreadyExists, FailedPrecondition, InvalidArgument


class ConfigurationNotValid(InvalidArgument):
    """The project's configuration is not valid.

    Correct the places that the detail names; `irp project template myocarditis` prints one that works.
    """

    http_status = 422


class ProjectExists(AlreadyExists):
    """A project of this name exists.

    Choose another name, or PUT a new revision of its configuration.
    """


class RevisionChanged(FailedPrecondition):
    """The configuration was changed by somebody else in the meantime.

    GET the project, apply your change to the present revision, and PUT it with that revision in If-Match.
    """

    http_status = 412


class MultipartBroken(InvalidArgument):
    """The multipart body is not well-formed.

    Send `multipart/related; type="application/dicom"; boundary=...` with one DICOM file per part.
    """


class BodyNotReadable(InvalidArgument):
    """The body is not readable as JSON or YAML.

    Send `application/json` or `application/yaml`.
    """
