"""Waiting for something to become true, with a deadline: the only kind of waiting in these tests."""
# SPDX-License-Identifier: GPL-3.0-or-later

import time

DEADLINE = 10.0
_STEP = 0.005


def until(condition, what="the condition", timeout=DEADLINE, step=_STEP):
    """The first true value of `condition()`; AssertionError after `timeout` seconds.

    `step` is the pause between two tries: longer where a try starts programs, which would slow what is waited for.
    """
    end = time.monotonic() + timeout
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError(f"not within {timeout} s: {what}")
        time.sleep(step)


def holds(condition, seconds, what="the condition"):
    """Asserts that `condition()` stays true for `seconds`."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        assert condition(), f"did not stay true: {what}"
        time.sleep(_STEP)
