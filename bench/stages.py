"""What a process does, by the module that it is in: the stages of `--profile`."""

import dis
from types import FrameType

IN_C = "event loop and gRPC, in C"
"""uvloop, and grpc.aio, whose code leaves no frames."""

STAGES = (
    # These started the loop: whatever Python code the loop calls has its frames inside of theirs.
    ("asyncio.runners", IN_C),
    ("uvloop", IN_C),
    ("waystation_domain", "decisions: the rules"),
    ("waystation_conversion", "messages into values and back"),
    ("waystation_core.store", "statements and rows"),
    ("psycopg", "driver of Postgres"),
    ("waystation_core.broker", "broker"),
    ("pika", "broker"),
    ("waystation_core.relay", "announcements and notices"),
    ("waystation_core.rpc", "gRPC and its messages"),
    ("grpc", "gRPC and its messages"),
    ("google.protobuf", "gRPC and its messages"),
    ("waystation.v1", "gRPC and its messages"),
    ("waystation_router", "router: intake, calls, commits"),
    ("waystation_api", "API: starts, waits, answers"),
    ("waystation_core", "engine, the rest"),
    ("waystation_cli", "engine, the rest"),
    ("waystation_worker", "SDK"),
    ("bench", "the work under load"),
    ("__main__", "the work under load"),
    ("structlog", "logs"),
    ("logging", "logs"),
)
"""Packages; the first that holds a module decides. A frame of another module, such as `json`, counts for its caller."""

_RESUME = dis.opmap["RESUME"]
_known: dict[str, str | None] = {}


def stage_of(frame: FrameType | None) -> str:
    """The stage of the innermost frame that has one."""
    if frame is not None and _just_begun(frame):
        return IN_C
    while frame is not None:
        stage = _stage(frame)
        if stage is not None:
            return stage
        frame = frame.f_back
    return IN_C


def _just_begun(frame: FrameType) -> bool:
    """Whether the loop is only about to run it. A signal that comes while C code runs is noticed at the first
    instruction of Python after it, so it was the loop that was interrupted."""
    return (
        frame.f_back is not None
        and _stage(frame.f_back) == IN_C
        and frame.f_code.co_code[frame.f_lasti] == _RESUME
    )


def _stage(frame: FrameType) -> str | None:
    module = frame.f_globals.get("__name__", "")
    if module not in _known:
        _known[module] = next(
            (stage for package, stage in STAGES if f"{module}.".startswith(f"{package}.")), None
        )
    return _known[module]
