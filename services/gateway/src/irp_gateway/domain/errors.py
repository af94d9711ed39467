"""What can go wrong at the gateway."""

from __future__ import annotations

from irp_kernel.errors import (
    Aborted,
    AlreadyExists,
    FailedPrecondition,
    InvalidArgument,
    NotFound,
    PermissionDenied,
    ResourceExhausted,
    Unavailable,
    Unimplemented,
)


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

    Send each part after a line with the boundary that Content-Type names, and close with `--boundary--`.
    """


class BodyNotReadable(InvalidArgument):
    """The body is not readable.

    Send what the detail asks for, in the media type that Content-Type names; /docs shows an example.
    """


class UploadNotFinished(Aborted):
    """The upload could not be finished, and a chunked body cannot be repeated by itself.

    Send the whole upload again after a moment: what was stored already is recognised and kept once.
    """


class SignatureMissing(NotFound):
    """The version is not signed.

    The registry had no key when it was registered, and has none now. Set `IRP_MODEL_KEY_FILE` in the training room:
    every version is signed at its next start.
    """


class ClientLeft(Aborted):
    """The client left before its body was complete, or before it was answered.

    Send the whole request again; nothing of an incomplete instance was stored.
    """

    http_status = 499


class RoomAway(Unavailable):
    """A room of the house does not answer.

    Repeat the request after the seconds in Retry-After; `irp status` shows which room is down.
    """


class RangeNotSatisfiable(InvalidArgument):
    """The range lies behind the end of the file.

    HEAD or GET without Range tells its length.
    """

    http_status = 416


class NotOffered(Unimplemented):
    """The transaction of DICOMweb is not offered here.

    Offered are STOW-RS, QIDO-RS, and WADO-RS of studies, series and instances, their metadata, frames, pictures,
    thumbnails and bulk data, and DELETE of studies, series and instances.
    """


class StillReferredTo(FailedPrecondition):
    """Something that people or models made of these images would lose them, so nothing is deleted.

    `references` names the first of what refers to them, by room, kind and id; `count` says how many there are.
    Keep the images, or delete others: segmentations, ratings, datasets and models are never deleted for this.
    """

    http_status = 409


class DeletionTooSlow(Aborted):
    """Asking what refers to these images took so long that something may have come in between; nothing is deleted.

    Delete again after a minute; `irp status` shows whether a room is slow.
    """


class TooManySeries(FailedPrecondition):
    """The study has more series than can be deleted at once.

    Delete them one by one.
    """


class QueryNotValid(InvalidArgument):
    """A query parameter is not valid.

    Correct the parameter that the detail names; /docs lists what this address takes.
    """


class SeriesNotAssembled(FailedPrecondition):
    """The series has no volume yet.

    Wait until its state is `assembled`; when it is `not_assembled`, the detail names the reason: correct it and upload.
    """


class RoleUnknown(InvalidArgument):
    """A role is not known.

    Give at least one of owner, curator, annotator, uploader, viewer.
    """

    http_status = 422


class MemberUnknown(NotFound):
    """The project has no such member.

    `GET /api/v1/projects/{project}/members` lists them.
    """


class LastOwner(FailedPrecondition):
    """A project keeps at least one owner.

    Give another member the role owner first.
    """


class TokenUnknown(NotFound):
    """There is no such token.

    List the tokens, and use the `id` of one of them.
    """


class SiteNotYours(PermissionDenied):
    """The upload names a site that its token does not speak for.

    Leave X-IRP-Site out, or ask a project owner for a token of that site.
    """


class FrameNotValid(InvalidArgument):
    """The frame is not one that the live door takes.

    Send one JSON object per text frame; docs/how-to/live.md shows every field.
    """


class LiveAskTwice(AlreadyExists):
    """An ask of this id has not ended.

    Give each ask an id of its own.
    """


class TooManyLiveAsks(ResourceExhausted):
    """More asks of this session have not ended than it takes.

    Wait for answers, leave `keep` out, or cancel what is not wanted any more.
    """

    retry_after_s = 1.0


class MembershipNotKnown(Unavailable):
    """It could not be looked up whether who listens may do so.

    Connect again after a moment; `irp status` shows whether the gateway's database is away.
    """

    retry_after_s = 10.0


class TooManyReaders(ResourceExhausted):
    """As many live sessions of one user are open as one may have.

    Close one: a frontend needs one session, whatever its reader looks at.
    """

    retry_after_s = 10.0


class OverlayUnknown(NotFound):
    """There is no such picture of this run.

    `GET /api/v1/projects/{project}/training/runs/{id}/overlays` lists those that there are.
    """


class ReportFileUnknown(NotFound):
    """The validation has no such file.

    A report is there when its validation has succeeded; `files` of the validation lists what it has.
    """


class VersionNotAgreed(FailedPrecondition):
    """Two persons have to agree before this version answers readers, and nobody has agreed yet.

    Promote it and have it approved (`irp models promote`, `irp models approve`), pin a version that was the champion
    before, or let it compute as a shadow: that answers nobody.
    """
