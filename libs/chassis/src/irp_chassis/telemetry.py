"""Logs, traces and metrics.

Logs are JSON events with ids, numbers and units: never patients, never the text of foreign exceptions.
"""

from __future__ import annotations

import json
import logging
import sys
import threading
import traceback
from collections.abc import Iterator, Mapping, MutableMapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import structlog
from opentelemetry import propagate, trace
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from prometheus_client import Counter, Histogram

from irp_chassis.settings import ServiceSettings

_LEVELS = {"debug": 10, "info": 20, "warning": 30, "error": 40}

RPC_SECONDS = Histogram("irp_rpc_seconds", "Duration of served RPCs in seconds", ["method", "code"])
HTTP_SECONDS = Histogram("irp_http_seconds", "Duration of HTTP requests in seconds", ["method", "route", "status"])
FACTS_HANDLED = Counter("irp_facts_handled_total", "Facts handled, by durable and outcome", ["durable", "outcome"])
FACTS_PUBLISHED = Counter("irp_facts_published_total", "Facts published from the outbox", ["subject"])
JOBS_RUN = Counter("irp_jobs_run_total", "Jobs run, by kind and outcome", ["kind", "outcome"])


def start_telemetry(room: str, settings: ServiceSettings) -> structlog.stdlib.BoundLogger:
    """Configure logging and tracing of this process; the logger of the room."""
    _start_tracing(room, settings)
    renderer: Any = structlog.processors.JSONRenderer()
    if settings.log_format == "console":
        renderer = structlog.dev.ConsoleRenderer()
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            _trace_ids,
            _safe_exception,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(_LEVELS[settings.log_level]),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=False,
    )
    # Libraries may print values they were given: below warning they are silent, above it only their name is kept.
    logging.basicConfig(handlers=[_LibraryLog()], level=logging.WARNING, force=True)
    logger: structlog.stdlib.BoundLogger = structlog.get_logger(room=room)
    return logger


class _LibraryLog(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        structlog.get_logger().warning("library_warning", library=record.name, line=record.lineno)


def _trace_ids(_logger: Any, _name: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    context = trace.get_current_span().get_span_context()
    if context.is_valid:
        event["trace_id"] = f"{context.trace_id:032x}"
    return event


def _safe_exception(_logger: Any, _name: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Keep type and place of an exception; its text may hold what must not be logged."""
    error = event.pop("exc_info", None)
    if error is True:
        error = sys.exc_info()[1]
    if isinstance(error, BaseException):
        event["error"] = type(error).__name__
        event["where"] = [f"{Path(f.filename).name}:{f.lineno}" for f in traceback.extract_tb(error.__traceback__)[-6:]]
    return event


class _FileExporter(SpanExporter):
    """One JSON line per span: names, times and ids only."""

    def __init__(self, path: Path) -> None:
        self._path, self._lock = path, threading.Lock()

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        lines = [json.dumps(_as_line(span)) + "\n" for span in spans]
        with self._lock, self._path.open("a", encoding="utf-8") as file:
            file.writelines(lines)
        return SpanExportResult.SUCCESS


def _as_line(span: ReadableSpan) -> dict[str, Any]:
    context = span.get_span_context()
    return {
        "trace_id": f"{context.trace_id:032x}" if context else "",
        "span_id": f"{context.span_id:016x}" if context else "",
        "parent_id": f"{span.parent.span_id:016x}" if span.parent else "",
        "name": span.name,
        "start_ns": span.start_time,
        "end_ns": span.end_time,
        "attributes": dict(span.attributes or {}),
    }


def _start_tracing(room: str, settings: ServiceSettings) -> None:
    provider = TracerProvider(resource=Resource.create({"service.name": f"irp-{room}"}))
    if settings.otlp_endpoint:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

        provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(endpoint=settings.otlp_endpoint)))
    if settings.trace_file:
        provider.add_span_processor(BatchSpanProcessor(_FileExporter(settings.trace_file), schedule_delay_millis=500))
    trace.set_tracer_provider(provider)


def stop_telemetry() -> None:
    """Export what is left."""
    provider = trace.get_tracer_provider()
    if isinstance(provider, TracerProvider):
        provider.shutdown()


# Made once: to make one takes as long as to begin and end a span. It finds the provider when the first span begins.
_TRACER = trace.get_tracer("irp")


@contextmanager
def span(name: str, carrier: Mapping[str, str] | None = None) -> Iterator[None]:
    """A span of the present trace, or of the trace that a message's headers carry.

    Exceptions are not recorded: their text is not ours.
    """
    parent = propagate.extract(carrier) if carrier is not None else None
    with _TRACER.start_as_current_span(name, context=parent, record_exception=False, set_status_on_exception=False):
        yield


def trace_id() -> str:
    """Hexadecimal id of the present trace; empty outside one."""
    context = trace.get_current_span().get_span_context()
    return f"{context.trace_id:032x}" if context.is_valid else ""
