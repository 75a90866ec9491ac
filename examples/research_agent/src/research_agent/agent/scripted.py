"""A model that follows a script instead of thinking: no network, the same thoughts every time. It
looks where a reader of the library would look, and can tell how long a store lasts."""

import re
from collections.abc import Mapping
from typing import Any

from chat_model.questions import AnswerT, ChatModel
from research_agent.agent.thoughts import MAX_INPUT, Plan, Reflection, ToolCall

_STORE = re.compile(r"([\d,]+) litres of oil")
_PER_NIGHT = re.compile(r"(\d+) litres a night")


class ScriptedModel(ChatModel):
    """Stands in for a real model, behind the same method."""

    name = "model:scripted"

    async def ask(
        self, instructions: str, material: Mapping[str, Any], answer: type[AnswerT]
    ) -> AnswerT:
        """As of ChatModel."""
        thought = plan(material["question"]) if answer is Plan else reflect(material["findings"])
        # As if it had come from outside: what is checked of others is checked of this one.
        return answer.model_validate_json(thought.model_dump_json())


def plan(question: str) -> Plan:
    """Looks in four places at once. Nobody answers in the harbour office."""
    return Plan(
        idea="I will look into the library and the notes, and ask the harbour office.",
        calls=[
            ToolCall(tool="search", input=question[:MAX_INPUT]),
            ToolCall(tool="search", input="litres burned in a night"),
            ToolCall(tool="notes", input="visit"),
            ToolCall(tool="phone", input="harbour office"),
        ],
    )


def reflect(findings: Mapping[str, Mapping[str, Any]]) -> Reflection:
    """Divides a store by what is burned in a night, and answers with what came out."""
    found = [each for each in findings.values() if "result" in each]
    # The first result of each tool.
    results = {each["tool"]: str(each["result"]) for each in reversed(found)}
    read = " ".join(str(each["result"]) for each in found)
    if "calculator" in results:
        answer = f"The oil lasted for {results['calculator']} nights. {results.get('notes', '')}"
        return Reflection(thought="The sum is done.", answer=answer.strip(), calls=[])
    store, per_night = _STORE.search(read), _PER_NIGHT.search(read)
    if store and per_night:
        division = ToolCall(
            tool="calculator", input=f"{store[1].replace(',', '')} / {per_night[1]}"
        )
        thought = "The library has both numbers, but not how many nights that makes."
        return Reflection(thought=thought, answer=None, calls=[division])
    if "search" in results:
        thought = "This is what the library says."
        return Reflection(thought=thought, answer=results["search"], calls=[])
    return Reflection(thought="The library says nothing about it.", answer=None, calls=[])
