"""Metrics of the batches; Kubernetes scales this room by the queue seconds."""

from __future__ import annotations

from prometheus_client import Counter, Gauge, Histogram

WAITING = Gauge("irp_inference_waiting_requests", "Requests that wait for a pass or are in one")
EXPECTED_WAIT = Gauge("irp_inference_expected_wait_seconds", "How long a request that came now would wait for its pass")
QUEUE_SECONDS = Histogram("irp_inference_queue_seconds", "Seconds a request waited for its pass", ["lane"])
PASS_SECONDS = Histogram("irp_inference_pass_seconds", "Seconds of a forward pass")
BATCH_ROWS = Histogram(
    "irp_inference_batch_rows", "Inputs of a forward pass", buckets=(1, 2, 4, 8, 16, 32, 64, float("inf"))
)
DROPPED = Counter("irp_inference_dropped_requests", "Requests that caused no pass", ["why"])
