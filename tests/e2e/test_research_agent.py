"""The research agent as a newcomer runs it: its two services, and a person, on an embedded system."""

from pathlib import Path

from support.stories import raised_types, read_story
from support.system import Embedded

from research_agent.calls import WORKFLOW_TYPE
from research_agent.demo import QUESTION


async def test_the_agent_asks_looks_in_four_places_and_goes_round_once_more(
    tmp_path: Path,
) -> None:
    with Embedded(tmp_path) as system:
        system.start_handlers("-m", "research_agent.agent")
        system.start_handlers("-m", "research_agent.tools")
        async with system.client() as client:
            asked = await client.run(WORKFLOW_TYPE, {"question": QUESTION})
            assert asked.status == "WAITING_FOR_INPUT"
            assert "phone(harbour office)" in asked.waits[0].message
            await client.provide_input(asked.id, {"approved": True})
            ended = await client.wait(asked.id, timeout=60)
            assert ended.output
            assert (ended.output["outcome"], ended.output["rounds"]) == ("ANSWERED", 2)
            assert "150 nights" in ended.output["answer"]
            story = await read_story(client, asked.id)
            raised = await raised_types(client, asked.id)
    # The tool that failed twice is a value among the others, and ended nothing.
    findings = story.data["findings"]
    assert findings["1.4"]["failed"] == "nobody answers"
    found = {place for place in findings if "result" in findings[place]}
    assert found == {"1.1", "1.2", "1.3", "2.1"}
    assert raised["tools.finished"] == 2
    assert {entry.service_name for entry in story.message.event_history if entry.service_name} == {
        "research-agent",
        "research-tools",
    }
