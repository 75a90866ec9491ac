"""What a replay found: a line for each step, and below it what differs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

from rich.text import Text

from waystation.v1.replay_pb2 import (
    REPLAY_OUTCOME_SKIPPED,
    ReplayDifference,
    ReplayEventDifference,
    ReplayStep,
)
from waystation_cli.render import differences, names
from waystation_cli.render.message_json import as_value
from waystation_cli.render.text import plain, stdout
from waystation_domain.differences import ABSENT, Difference

_WORDS = {
    "SAME": ("same", "green"),
    "DIFFERS": ("differs", "yellow"),
    "FAILED": ("fails", "red"),
    "SKIPPED": ("skipped", "dim"),
}


def print_steps(steps: Iterable[ReplayStep]) -> None:
    """Each with what differs."""
    out = stdout()
    for step in steps:
        out.print(Text("\n").join([_heading(step), *_body(step)]), soft_wrap=True)


def print_summary(steps: Sequence[ReplayStep]) -> None:
    """How many of each."""
    out = stdout()
    if not steps:
        out.print("There is no attempt to replay.")
        return
    counts = Counter(names.replay_outcome(step.outcome) for step in steps)
    told = ", ".join(f"{counts[each]} {word}" for each, (word, _) in _WORDS.items() if counts[each])
    attempts = "1 attempt" if len(steps) == 1 else f"{len(steps)} attempts"
    out.print(f"{attempts}: {told}", style="bold")
    if all(step.outcome == REPLAY_OUTCOME_SKIPPED for step in steps):
        out.print("Nothing was compared.", style="yellow")


def _heading(step: ReplayStep) -> Text:
    outcome = names.replay_outcome(step.outcome)
    word, colour = _WORDS.get(outcome, (outcome, ""))
    line = Text.assemble(
        (f"#{step.sequence} ", "dim"),
        plain(f"{step.task_id} on {step.event_type}"),
        f" attempt {step.attempt} " if step.attempt > 1 else " ",
        (word, colour),
    )
    if step.outcome == REPLAY_OUTCOME_SKIPPED:
        line.append(plain(f": {step.skip_message}"), style="dim")
    elif step.HasField("error"):
        line.append(plain(f" {step.error.reason or step.error.code}: {step.error.message}"), colour)
    if step.differs and step.recorded_service_version != step.replayed_service_version:
        versions = (step.recorded_service_version or "-", step.replayed_service_version or "-")
        line.append(plain(f" (version {versions[0]} then, {versions[1]} now)"), style="dim")
    return line


def _body(step: ReplayStep) -> Iterator[Text]:
    if step.differs and step.HasField("recorded_error"):
        error = step.recorded_error
        yield Text(plain(f"  failed then: {error.reason or error.code}: {error.message}"))
    for part, places in (("data", step.differences), ("instance", step.instance_differences)):
        if places:
            yield Text(f"  {part}")
            yield from _indented(_differences(places))
    if step.event_differences:
        yield Text("  events")
        for event in step.event_differences:
            yield from _event(event)
    if step.differences_left_out:
        yield Text(f"  (and {step.differences_left_out} more)", style="dim")


def _event(event: ReplayEventDifference) -> Iterator[Text]:
    there, now = event.HasField("recorded_index"), event.HasField("replayed_index")
    if there and now:
        yield Text(plain(f"    {event.event_type}"))
    yield from _indented(_differences(event.differences), label=event.event_type)


def _indented(places: Iterable[Difference], label: str = "") -> Iterator[Text]:
    for line in differences.lines(places, label):
        yield Text.assemble("  ", line)


def _differences(messages: Iterable[ReplayDifference]) -> Iterator[Difference]:
    for each in messages:
        yield Difference(
            each.path,
            as_value(each.recorded) if each.HasField("recorded") else ABSENT,
            as_value(each.replayed) if each.HasField("replayed") else ABSENT,
        )
