"""What goes over the live door: JSON texts in; JSON texts out, each followed by its labels as one binary frame."""

from __future__ import annotations

import base64
from typing import Annotated, Any, Literal

from irp.common.v1 import types_pb2
from irp.inference.v1 import inference_service_pb2 as segment_pb
from irp.inference.v1 import live_service_pb2 as pb
from irp_chassis.verdicts import advice_of, title_of
from irp_kernel.errors import IrpError
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, model_validator

from irp_gateway.adapters.labels import contours_of, labels_of
from irp_gateway.adapters.options import OptionsBody, estimate_json
from irp_gateway.adapters.prompts import (
    AlgorithmBody,
    PromptsBody,
    algorithm_message,
    prompts_message,
    require_one,
)
from irp_gateway.adapters.segment import Index, ModelWanted

MAX_FRAME_BYTES = 64 << 10  # of a text that comes in
AskId = Annotated[str, Field(min_length=1, max_length=64)]
Out = tuple[dict[str, Any], bytes]
"""(header, labels); no binary frame follows if the labels are empty."""


class SegmentFrame(BaseModel):
    """A wish. `slice` null = what is marked; where nothing is, the whole series, frame by frame."""

    model_config = ConfigDict(extra="forbid", strict=True)

    type: Literal["segment"]
    id: AskId
    series: str = Field(pattern=r"^[0-9.]{1,64}$")
    model: ModelWanted | None = None
    algorithm: AlgorithmBody | None = None
    slice: Index | None = None
    frame: Index | None = None
    answer: list[Literal["labels", "contours"]] = Field(["labels"], min_length=1, max_length=2)
    binary: bool = True
    keep: bool = False
    ahead: bool = True
    deadline_s: float | None = Field(None, gt=0, le=60)
    options: OptionsBody = Field(default_factory=OptionsBody)
    prompts: PromptsBody | None = None

    @model_validator(mode="after")
    def _one_of(self) -> SegmentFrame:
        require_one(self.model, self.algorithm)
        return self

    @property
    def is_look(self) -> bool:
        """Of what a reader looks at now, which the next look supersedes; else a whole series, which goes on."""
        return self.slice is not None or self.prompts is not None

    @property
    def who(self) -> str:
        """Who is asked, as the audit log says it."""
        return f"algorithm={self.algorithm.name}" if self.algorithm else f"model={self.model}"

    def to_proto(self, project: types_pb2.ProjectRef) -> pb.LiveRequest:
        """As inference is asked."""
        request = segment_pb.SegmentRequest(
            project=project,
            series_uid=self.series,
            model=self.model or "",
            slices=[] if self.slice is None else [self.slice],
            frames=self._frames(),
            options=self.options.to_proto(),
            prompts=prompts_message(self.prompts) if self.prompts else None,
            algorithm=algorithm_message(self.algorithm) if self.algorithm else None,
            compact=True,
        )
        ask = pb.Ask(id=self.id, request=request, keep=self.keep, ahead=self.ahead, deadline_s=self.deadline_s or 0)
        return pb.LiveRequest(ask=ask)

    def _frames(self) -> list[int]:
        """One slice is of one frame; a whole series is of all."""
        if self.frame is not None:
            return [self.frame]
        return [] if self.slice is None else [0]


class CancelFrame(BaseModel):
    """A wish taken back."""

    model_config = ConfigDict(extra="forbid", strict=True)

    type: Literal["cancel"]
    id: AskId


FRAME: TypeAdapter[SegmentFrame | CancelFrame] = TypeAdapter(
    Annotated[SegmentFrame | CancelFrame, Field(discriminator="type")]
)


def is_end(response: pb.LiveResponse) -> bool:
    """Whether nothing more comes for the ask."""
    return response.WhichOneof("what") != "part"


def frame_of(response: pb.LiveResponse, asked: SegmentFrame) -> Out:
    """What the reader hears; milliseconds of work if contours are wanted: call it in a thread."""
    match response.WhichOneof("what"):
        case "answer":
            header = {"type": "answer", "id": response.id, "known": response.answer.known}
            return _segmented(header, response.answer.segmentation, asked)
        case "part":
            progress = response.part.progress
            header = {"type": "part", "id": response.id, "done": progress.done, "total": progress.total}
            header["eta_s"] = round(progress.eta_s, 3) if progress.eta_s >= 0 else None
            return _segmented(header, response.part.segmentation, asked)
        case "dropped":
            return {"type": "dropped", "id": response.id, "reason": response.dropped.reason}, b""
        case _:
            said = response.problem
            texts = {name: getattr(said, name) for name in ("code", "reason", "title", "detail", "advice")}
            header = {"type": "problem", "id": response.id, **texts, "retry_after_s": said.retry_after_s or None}
            return header, b""


def problem_frame(id: str | None, error: IrpError) -> dict[str, Any]:
    """A refusal by the gateway itself; id null = it belongs to no ask."""
    return {
        "type": "problem",
        "id": id,
        "code": error.code.value,
        "reason": error.reason,
        "title": title_of(error),
        "detail": error.message,
        "advice": advice_of(error),
        "retry_after_s": error.retry_after_s,
    }


def _segmented(header: dict[str, Any], found: segment_pb.SegmentResponse, asked: SegmentFrame) -> Out:
    model = found.provenance.model
    header |= {
        "series": asked.series,
        "model": f"{model.name}@{model.version}",
        "digest": model.digest,
        "timings_ms": {stage: round(ms, 2) for stage, ms in found.timings_ms.items()},
        "estimate": estimate_json(found),
    }
    if found.uncertainty:
        header["uncertainty"] = base64.b64encode(found.uncertainty).decode()
    if not found.HasField("labels"):
        return header, b""
    labels = found.labels
    header |= {"frames": list(labels.frames), "slices": list(labels.slices)}
    if "contours" in asked.answer:
        header["contours"], header["areas"] = contours_of(labels_of(found))
    if "labels" not in asked.answer:
        return header, b""
    header |= {"rows": labels.rows, "columns": labels.columns, "table": dict(labels.table), "encoding": "zlib"}
    if not asked.binary:
        return header | {"labels": base64.b64encode(labels.data).decode()}, b""
    return header | {"bytes": len(labels.data)}, labels.data
