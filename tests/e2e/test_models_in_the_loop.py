"""The examples that ask models, as their own processes on an embedded system: the research agent with
its scripted one, an insurance claim with one behind HTTP."""

import json
from collections.abc import Iterator

import pytest
from support.chat_server import ChatServer, fails, says
from support.claims import WINDSCREEN, unattended
from support.stories import attempts, raised_types, read_story
from support.system import CLAIMS, Embedded

from insurance_claim.service import WORKFLOW_TYPE as CLAIM
from research_agent.calls import WORKFLOW_TYPE as RESEARCH
from research_agent.demo import QUESTION


@pytest.fixture(scope="module")
def embedded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Embedded]:
    """One system for both."""
    with Embedded(tmp_path_factory.mktemp("embedded")) as running:
        yield running


async def test_the_agent_asks_looks_in_four_places_and_goes_round_once_more(
    embedded: Embedded,
) -> None:
    embedded.start_handlers("-m", "research_agent.agent")
    embedded.start_handlers("-m", "research_agent.tools")
    async with embedded.client() as client:
        asked = await client.run(RESEARCH, {"question": QUESTION})
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
    served = {entry.service_name for entry in story.entries}
    assert {"research-agent", "research-tools"} <= served


async def test_a_claim_is_read_by_the_model_that_the_environment_names(embedded: Embedded) -> None:
    claim = next(claim for claim in unattended() if claim.name == "car-windscreen")
    async with ChatServer(fails(429, retry_after="0"), says("?"), says(WINDSCREEN)) as server:
        environment = {"OPENAI_BASE_URL": server.base_url, "OPENAI_MODEL": "m", "NO_PROXY": "*"}
        embedded.start_handlers(*CLAIMS, environment=environment)
        async with embedded.client() as client:
            ended = await client.run(CLAIM, claim.claim, timeout=60)
            assert ended.output
            assert ended.output["extracted_by"] == "model:m"
            assert ended.output["decision"] == claim.expected.outcome
            story = await read_story(client, ended.id)
    tried = attempts(story, "claim_processor")
    assert [entry.error.reason for entry in tried] == ["MODEL_BUSY", "UnusableAnswer", ""]
    assert json.loads(server.requests[0]["messages"][1]["content"])["letter"] == claim.claim["text"]
