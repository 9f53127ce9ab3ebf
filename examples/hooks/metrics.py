"""How long locks are waited for and held, and how often in vain, as metrics for Prometheus."""

from prometheus_client import Counter, Histogram, generate_latest

import pylock

waited = Histogram("pylock_wait_seconds", "From the request to the grant", ["lock"])
held = Histogram("pylock_hold_seconds", "From the grant to the release", ["lock"])
refused = Counter("pylock_refusals", "Requests that ended without the lock", ["lock", "why"])


def measure(event: pylock.Event) -> None:
    if event.kind == "granted":
        waited.labels(event.name).observe(event.seconds)
    elif event.kind == "released":
        held.labels(event.name).observe(event.seconds)
    elif event.kind in ("gave up", "deadlock"):
        refused.labels(event.name, type(event.error).__name__).inc()


pylock.on_event(measure)

if __name__ == "__main__":
    with pylock.lock("orders"):
        try:
            pylock.lock("orders").acquire_nowait()
        except pylock.WouldBlock:
            pass
    print(generate_latest().decode())
