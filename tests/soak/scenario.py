"""The list of scenarios. Each is a function `(world, row)` that makes one fault once and waits until it is over."""
# SPDX-License-Identifier: GPL-3.0-or-later

from dataclasses import dataclass
from typing import Callable


@dataclass(frozen=True)
class Scenario:
    name: str
    title: str
    run: Callable
    repeats: int  # in one round
    short: int  # in the short form; 0: not in it
    calm: bool  # the load must not notice


SCENARIOS = []


def scenario(name, title, repeats=1, short=0, calm=False):
    def add(function):
        SCENARIOS.append(Scenario(name, title, function, repeats, short, calm))
        return function

    return add
