"""The verdict on a run's folder: valid or not, which promises broke, and the figures."""

import json
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from typing import Any

from chaos.checks import validity
from chaos.checks.attempts import only_tasks_spend_attempts
from chaos.checks.evidence import Evidence, Kind, Violation, read, successes
from chaos.checks.growth import growth, nothing_grows
from chaos.checks.liveness import LIVENESS, percentile, recoveries
from chaos.checks.safety import SAFETY
from chaos.folder import RunFolder

Rule = Callable[[Evidence], Iterator[Violation]]

CLEAN, BROKEN, INVALID = 0, 1, 2
"""Exit codes: valid and clean; a promise broke; nothing was proved."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """Of one run."""

    violations: list[Violation]
    doubts: list[str]
    figures: dict[str, Any]

    @property
    def exit_code(self) -> int:
        """A broken promise counts in an invalid run too."""
        if self.violations:
            return BROKEN
        return INVALID if self.doubts else CLEAN

    @property
    def word(self) -> str:
        """For people."""
        return {CLEAN: "valid and clean", BROKEN: "BROKEN", INVALID: "INVALID"}[self.exit_code]


def judge(folder: RunFolder) -> Verdict:
    """Checks a run's folder and writes verdict and report into it."""
    evidence = read(folder)
    rules: list[Rule] = [*SAFETY, only_tasks_spend_attempts, *LIVENESS]
    scheduled = validity.read_schedule(folder.schedule)
    if not scheduled:
        # Without faults every process lives from begin to end.
        rules.append(nothing_grows)
    # A run that broke off says nothing about its end.
    judged = rules if evidence.complete else []
    violations = [violation for rule in judged for violation in rule(evidence)]
    doubts = list(validity.doubts(evidence, scheduled))
    verdict = Verdict(violations, doubts, figures(evidence, violations))
    folder.verdict.write_text(
        json.dumps(
            {
                "verdict": verdict.word,
                "violations": [asdict(violation) for violation in violations],
                "doubts": doubts,
                "figures": verdict.figures,
            },
            indent=1,
        )
    )
    folder.report.write_text(render(verdict))
    return verdict


def figures(evidence: Evidence, violations: list[Violation]) -> dict[str, Any]:
    """The figures of the run."""
    rules = Counter(violation.rule for violation in violations)
    kinds = Counter(violation.kind for violation in violations)
    recovered = sorted(recoveries(evidence))
    calls = [line for line in evidence.ledger if line["answer"] == "ok" and not line["dry_run"]]
    committed = sum(1 for instance in evidence.instances.values() for _ in successes(instance))
    outcomes = Counter(operation["outcome"] for operation in evidence.operations)
    return {
        "workflows": len(evidence.instances),
        "commits_of_tasks": committed,
        "operations": sum(outcomes.values()),
        "operations_by_outcome": dict(outcomes),
        "operations_fine": round(validity.fine_share(evidence), 4),
        "faults": dict(
            Counter(line["kind"] for line in evidence.faults if line["event"] == "injected")
        ),
        "died_by_themselves": dict(
            Counter(line["name"] for line in evidence.faults if line["event"] == "died")
        ),
        "lost": kinds[Kind.LOST],
        "double_effects": kinds[Kind.DOUBLE],
        "stuck": kinds[Kind.STUCK],
        "violations_by_rule": dict(rules),
        "recovery_s": {
            "instances": len(recovered),
            "p50": _rounded(percentile(recovered, 0.5)),
            "p99": _rounded(percentile(recovered, 0.99)),
            "max": _rounded(recovered[-1] if recovered else None),
        },
        "growth": growth(evidence.samples),
        "extra_handler_calls_per_1000": (
            round(1000 * (len(calls) - committed) / committed, 1) if committed else None
        ),
    }


def render(verdict: Verdict) -> str:
    """For people, in Markdown."""
    lines = [f"# {verdict.word}", ""]
    for name, value in verdict.figures.items():
        lines.append(f"- {name}: {json.dumps(value)}")
    for title, items in (
        ("Doubts", verdict.doubts),
        ("Broken promises", [f"{v.rule} {v.instance}: {v.text}" for v in verdict.violations]),
    ):
        if items:
            lines += ["", f"## {title}", *(f"- {item}" for item in items[:100])]
            if len(items) > 100:
                lines.append(f"- and {len(items) - 100} more")
    return "\n".join(lines) + "\n"


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 2)
