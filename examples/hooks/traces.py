"""A span for each wait and each hold of a lock, for OpenTelemetry."""

import time

from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import ConsoleSpanExporter, SimpleSpanProcessor

import pylock

tracer = trace.get_tracer("pylock")


def record(event: pylock.Event) -> None:
    what = {"granted": "wait for", "gave up": "wait in vain for", "released": "hold"}.get(event.kind)
    if what is None or event.seconds is None:
        return
    now = time.time_ns()
    attributes = {"lock.name": event.name, "lock.mode": event.mode, "lock.directory": event.directory}
    span = tracer.start_span(f"{what} {event.name}", start_time=now - int(event.seconds * 1e9), attributes=attributes)
    if event.error is not None:
        span.record_exception(event.error)
    span.end(now)


pylock.on_event(record)

if __name__ == "__main__":
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(ConsoleSpanExporter()))
    trace.set_tracer_provider(provider)
    with pylock.lock("orders"):
        print("working")
