"""Waiting for things to happen. Every wait is bounded, and none passes or fails on speed: an emulated machine's clock
is slow and jumps."""

import threading
import time

POLL_SECONDS = 0.2


class Timeout(AssertionError):
    pass


class Deadline(threading.local):
    """The moment at which the running check has to be over, each thread its own. What waits longer than its own bound
    or this one gives up."""

    at = float("inf")

    def set(self, seconds):
        self.at = time.monotonic() + seconds


check_deadline = Deadline()


def remaining(until):
    return min(until, check_deadline.at) - time.monotonic()


def wait_until(condition, what, seconds=120, poll=POLL_SECONDS):
    """Polls until condition() is true and returns what it returned. `what` may be a function: asked when it is too late."""
    until = time.monotonic() + seconds
    while True:
        result = condition()
        if result:
            return result
        if remaining(until) < 0:
            raise Timeout(f"waited in vain: {what() if callable(what) else what}")
        time.sleep(poll)
