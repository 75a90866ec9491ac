"""Ctrl-C that can't be lost.

A KeyboardInterrupt can be lost: if the signal arrives while gRPC runs a callback, Python prints the
exception and drops it. So the signal is recorded, and the call in flight is cancelled.
"""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

import grpc


@contextmanager
def noted_ctrl_c() -> Iterator[Callable[[], bool]]:
    """Gives the body a function that says whether Ctrl-C was struck, and raises nothing: for a body that looks
    often. A call that goes on in the background (`future`) must not be interrupted where it happens to be: its
    channel could never be closed."""
    struck = False

    def strike(number: int, frame: FrameType | None) -> None:
        nonlocal struck
        struck = True

    before = signal.signal(signal.SIGINT, strike)
    try:
        yield lambda: struck
    finally:
        signal.signal(signal.SIGINT, before)


@contextmanager
def ctrl_c(tell: Callable[[], object] = lambda: None) -> Iterator[Callable[[], bool]]:
    """Gives the body a function that says whether Ctrl-C was struck. A strike calls `tell` (which
    cancels a call, say) and raises KeyboardInterrupt, and so does a call of the body that then
    fails."""
    struck = False

    def strike(number: int, frame: FrameType | None) -> None:
        nonlocal struck
        struck = True
        tell()
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGINT, strike)
    try:
        yield lambda: struck
    except grpc.RpcError as error:
        if struck:
            raise KeyboardInterrupt from error
        raise
    finally:
        signal.signal(signal.SIGINT, before)
