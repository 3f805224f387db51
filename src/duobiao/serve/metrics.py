"""What Prometheus is told."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
_SIZES = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024)
_TOKENS = (16, 32, 64, 128, 256, 512, 1024, 2048, 4096, 8192, 16384)


class Metrics:
    """All counters of one server, in a registry of its own.

    Only the names of served models and their labels become values of Prometheus labels: no caller can make their number grow.
    """

    def __init__(self) -> None:
        self.registry = own = CollectorRegistry()
        self.requests = Counter("duobiao_requests", "Requests by answer.", ["path", "status"], registry=own)
        self.rows = Counter("duobiao_rows", "Rows by outcome: ok, failed or dropped.", ["model", "outcome"], registry=own)
        self.queue = Gauge("duobiao_queue_rows", "Rows that wait.", ["model"], registry=own)
        self.batch_rows = Histogram("duobiao_batch_rows", "Rows of a batch.", ["model"], buckets=_SIZES, registry=own)
        self.batch_tokens = Histogram(
            "duobiao_batch_tokens", "Padded tokens of a batch, estimated.", ["model"], buckets=_TOKENS, registry=own
        )
        self.stages = Histogram(
            "duobiao_stage_seconds",
            "Latency by stage: queue (waiting), pipe (to the process and back, with waiting there), compute, request (in all).",
            ["model", "stage"],
            buckets=_SECONDS,
            registry=own,
        )
        self.labels = Counter("duobiao_labels", "How often each label was chosen.", ["model", "label"], registry=own)
        self.tokens = Counter("duobiao_tokens", "Tokens that were read.", ["model"], registry=own)
        self.unknown = Counter("duobiao_unknown_tokens", "Tokens that were [UNK].", ["model"], registry=own)
        self.restarts = Counter("duobiao_worker_restarts", "Processes started again after a death.", ["model"], registry=own)
        self.reloads = Counter("duobiao_reloads", "Attempts to load a version, by outcome.", ["model", "outcome"], registry=own)
        self.ready = Gauge("duobiao_ready", "1 while the model answers.", ["model"], registry=own)

    def text(self) -> bytes:
        """The exposition format."""
        return generate_latest(self.registry)
