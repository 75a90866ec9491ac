"""What is wrong with the flow of events, for people."""

from __future__ import annotations

from rich.text import Text

from waystation.v1.system_service_pb2 import GetFlowResponse
from waystation_cli.render import names
from waystation_cli.render.text import addressed, plain, stdout, when

_STYLES = {"ERROR": "bold red", "WARNING": "yellow", "INFO": "cyan"}


def print_findings(response: GetFlowResponse) -> None:
    """Each finding with what to do, the worst first, and what the look rests on."""
    out = stdout()
    for finding in response.findings:
        severity = names.flow_severity(finding.severity)
        rule = names.flow_rule(finding.rule)
        out.print(
            Text.assemble(
                (severity, _STYLES.get(severity, "")),
                (f" {rule}", "bold"),
                plain(f" {finding.message}"),
            ),
            soft_wrap=True,
        )
        out.print(plain(f"    {addressed(finding.remedy)}"), style="dim", soft_wrap=True)
    if response.findings:
        out.print()
    out.print(plain(f"{_counts(response)} {basis(response)}"), soft_wrap=True)


def basis(response: GetFlowResponse) -> str:
    """What the flow is known from."""
    tasks = len({task.task_id for flow in response.flows for task in flow.tasks})
    said = (
        f"{_number(len(response.flows), 'workflow type')}, {_number(tasks, 'task')}, "
        f"{_number(response.instances, 'instance')} started since {when(response.looked_back_to)}"
    )
    if response.cut_short:
        said += " (older ones exist: use --instances to sample more)"
    if response.left_out:
        said += f"; {response.left_out} names, paths and findings left out"
    return said + "."


def _counts(response: GetFlowResponse) -> str:
    if not response.findings:
        return "No findings in"
    severities = [names.flow_severity(each.severity) for each in response.findings]
    told = ", ".join(
        _number(severities.count(word), word.lower() if word != "INFO" else "note")
        for word in ("ERROR", "WARNING", "INFO")
        if word in severities
    )
    return f"{told} in"


def _number(number: int, word: str) -> str:
    return f"{number} {word}{'' if number == 1 else 's'}"
