"""A run that never was: the files that a flawless run of one workflow leaves, for the checker's
tests to spoil."""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from chaos.folder import Lines, RunFolder

NAME = "s1-groups-000001"
BEGAN = 1_800_000_000.0
BLOCKS: list[dict[str, Any]] = [
    {
        "do": "fan",
        "id": "fan1",
        "branches": [[{"do": "work", "id": "work2"}], [{"do": "give_up", "id": "give_up3"}]],
    },
    {"do": "ask", "id": "ask4", "answered": True},
    {"do": "end", "id": "end5"},
]


def _time(seconds: float) -> str:
    return datetime.fromtimestamp(BEGAN + seconds, UTC).isoformat().replace("+00:00", "Z")


class MadeUpRun:
    """One workflow (a group of two branches, one of which is given up; a question; the end), its
    ledger, operations, faults and the state afterwards."""

    def __init__(self) -> None:
        self.history: list[dict[str, Any]] = []
        self.events: list[dict[str, Any]] = []
        self.ledger: list[dict[str, Any]] = []
        self.tokens: list[str] = []
        self.dead_letters: list[dict[str, Any]] = []
        self.program = {
            "instance": NAME,
            "kind": "groups",
            "blocks": BLOCKS,
            "priority": 100,
            "deadline": None,
            "notes": [1.0],
            "cancel_after": None,
            "fork": False,
            "replay": False,
        }
        first = {"tokens": [], "joins": {}, "after": {}}
        self._entry(
            "workflow.started",
            "client",
            ["e1"],
            action="start",
            change=[{"path": "", "set": first}],
        )
        self._done("e1", "begin", "begin", ["e2"])
        self._raise("e2", "step.fan", blocks=BLOCKS)
        self._done("e2", "fan", "fan1", ["e3", "e4"])
        self._raise("e3", "step.work", cause="e2", group="g1", blocks=BLOCKS[0]["branches"][0])
        self._raise("e4", "step.give_up", cause="e2", group="g1", blocks=BLOCKS[0]["branches"][1])
        self._entry("note", "client", ["e5"], action="publish", event="e5")
        self._raise("e5", "note", note=f"{NAME}.0")
        self._done("e5", "note", f"note.{NAME}.0", [])
        self._done("e3", "work", "work2", [])
        self._call("e4", "give_up", "give_up3", "rejects")
        self._entry("step.give_up", "give_up", [], event="e4", result="FAILED", attempt=1)
        self.dead_letters.append(
            {
                "workflow_instance_id": NAME,
                "task_id": "give_up",
                "event": self.events[-2]["event"],
                "error": {"reason": "HOPELESS"},
            }
        )
        self._entry("step.ask", "system", ["e6"], action="fan_in", event="e6")
        self._raise("e6", "step.ask", cause="e2", blocks=BLOCKS[1:])
        self._done("e6", "ask", "ask4", [])
        self._entry(
            "user.input.provided", "client", ["e7"], action="input", event="e7", wait_id="ask4"
        )
        self._raise("e7", "user.input.provided", wait_id="ask4")
        self._done("e7", "answered", "ask4.answered", ["e8"])
        self._raise("e8", "step.end", blocks=BLOCKS[2:])
        self._done("e8", "end", "end5", ["e9"], status="COMPLETED")
        self._raise("e9", "workflow.completed", state="UNHANDLED")
        self._entry(
            "workflow.completed", "system", [], event="e9", result="UNHANDLED", status="COMPLETED"
        )
        self._raise("e1", "workflow.started", blocks=BLOCKS)
        self.status = "COMPLETED"
        self.completed_at: float | None = 20.0
        self.operations: list[dict[str, Any]] = [
            self._operation("start", request="r1"),
            self._operation("publish", request="r2", note=f"{NAME}.0"),
            self._operation("input", request="r3", wait="ask4"),
            self._operation("wait"),
            self._operation("wait"),
        ]
        self.scheduled = [{"number": 1, "kind": "kill-router", "params": {"name": "router-1"}}]
        self.faults: list[dict[str, Any]] = [
            {"at": BEGAN + 5, "event": "injected", "number": 1, "kind": "kill-router"},
            {
                "at": BEGAN + 10,
                "event": "healed",
                "number": 1,
                "kind": "kill-router",
                "bit": True,
                "evidence": {},
            },
        ]
        self.announced = ["e1", "e3"]
        self.samples: list[dict[str, Any]] = []
        self.state: dict[str, Any] = {
            "status": {"routers": [{"router_id": "r"}], "dead_letters": "1"},
            "handlers": [],
            "listed_twice": 0,
            "dead_letters_of_no_instance": {},
            "probe_before": {"r": 10},
            "probe_after": {"r": 20},
            "broker": {"consumers": 1, "messages": 0},
        }

    def entry(self, wanted: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """The first entry of history that is so."""
        return next(entry for entry in self.history if wanted(entry))

    def call_of(self, block: str) -> dict[str, Any]:
        """The ledger's line about a block."""
        return next(line for line in self.ledger if line["block"] == block)

    def write(self, path: Path) -> RunFolder:
        """As a run's folder."""
        folder = RunFolder(path)
        folder.make()
        folder.schedule.write_text(json.dumps(self.scheduled))
        folder.state.write_text(json.dumps(self.state))
        Lines(folder.programs).write(**self.program)
        for file, lines in (
            (folder.operations, self.operations),
            (folder.ledger / "handler-1.jsonl", self.ledger),
            (folder.faults, self.faults),
            (folder.samples, self.samples),
        ):
            writer = Lines(file)
            for line in lines:
                writer.write(**line)
        Lines(folder.announced).write(events=self.announced)
        context = {
            "workflow_instance_id": NAME,
            "status": f"WORKFLOW_STATUS_{self.status}",
            "version": len(self.history),
            "created_at": _time(0),
            "data": {"tokens": self.tokens, "joins": {}, "after": {}},
        }
        if self.completed_at is not None:
            context["completed_at"] = _time(self.completed_at)
        Lines(folder.instances).write(
            instance=NAME,
            context=context,
            history=self.history,
            events=self.events,
            dead_letters=self.dead_letters,
        )
        return folder

    def _entry(self, event_type: str, by: str, raised: list[str], **more: Any) -> None:
        event = more.pop("event", raised[0] if raised else "")
        status = more.pop("status", "ACTIVE")
        result = more.pop("result", "SUCCESS")
        self.history.append(
            {
                "sequence": len(self.history) + 1,
                "event_id": event,
                "event_type": event_type,
                "processed_by": by,
                "result": f"HISTORY_RESULT_{result}",
                "status": f"WORKFLOW_STATUS_{status}",
                "raised_event_ids": raised,
                **more,
            }
        )

    def _call(self, event: str, task: str, block: str, answer: str) -> str:
        token = f"{block}/{event}/1/{len(self.ledger)}"
        self.ledger.append(
            {
                "at": BEGAN + 12,
                "process": "handler-1",
                "instance": NAME,
                "event": event,
                "task": task,
                "attempt": 1,
                "key": f"{event}:{task}",
                "dry_run": False,
                "block": block,
                "answer": answer,
                "token": token,
            }
        )
        return token

    def _done(
        self, event: str, task: str, block: str, raised: list[str], status: str = "ACTIVE"
    ) -> None:
        token = self._call(event, task, block, "ok")
        self.tokens.append(token)
        self._entry(
            "step",
            task,
            raised,
            event=event,
            attempt=1,
            status=status,
            change=[{"path": "/tokens", "append": token}],
        )

    def _raise(
        self,
        event: str,
        event_type: str,
        *,
        state: str = "SETTLED",
        group: str = "",
        cause: str = "",
        **payload: Any,
    ) -> None:
        fields: dict[str, Any] = {"event_id": event, "event_type": event_type, "payload": payload}
        if group:
            fields["group_id"] = group
        if cause:
            fields["causation_id"] = cause
        self.events.append({"event": fields, "state": f"EVENT_STATE_{state}"})

    def _operation(self, kind: str, **more: Any) -> dict[str, Any]:
        return {
            "at": BEGAN + 1,
            "began": BEGAN,
            "kind": kind,
            "instance": NAME,
            "outcome": "ok",
            "reason": "",
            "message": "",
            "fine": True,
            **more,
        }
