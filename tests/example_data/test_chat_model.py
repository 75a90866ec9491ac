"""A model that misbehaves, over real HTTP: each fault becomes the right retry or failure."""

import logging
from collections.abc import AsyncIterator
from datetime import UTC, datetime

import pytest
from support.chat_server import HANGS, HANGS_UP, TRICKLES, ChatServer, Reply, fails, says
from support.claims import WINDSCREEN

from chat_model import ModelUnavailable, UnusableAnswer, model_from_environment
from chat_model.failures import MOST_PATIENCE, wanted_pause
from chat_model.openai_model import OpenAIModel
from insurance_claim.reader import LetterFacts, ModelReader, reader_from_environment
from insurance_claim.service import WORKFLOW_TYPE, build_service
from waystation_worker import Reject, RetryAfter
from waystation_worker.testing import TestEngine, WorkflowRun

SECRET = "Zebra-and-quince"
LETTER = {
    "received_on": "2025-03-10",
    "text": f"{SECRET}: my windscreen cracked on 11 February 2025, EUR 640, policy car 330091",
}


@pytest.fixture
async def server() -> AsyncIterator[ChatServer]:
    """A model's server that answers with the facts of the letter until it is told otherwise."""
    async with ChatServer(says(WINDSCREEN)) as running:
        yield running


def model_of(server: ChatServer, answer_seconds: float = 30) -> OpenAIModel:
    """The model behind the server."""
    return OpenAIModel(server.client, "tester", answer_seconds=answer_seconds)


def claim_run(server: ChatServer) -> tuple[TestEngine, WorkflowRun]:
    """A claim that is read by the model; each attempt asks it once."""
    service = build_service(ModelReader(model_of(server)))
    engine = TestEngine(service, duplicates=False)
    return engine, engine.start(WORKFLOW_TYPE, LETTER)


async def ask(server: ChatServer, *replies: Reply, answer_seconds: float = 30) -> LetterFacts:
    """Asks once, and gets the first of these replies."""
    server.replies_with(*replies)
    model = model_of(server, answer_seconds)
    return await model.ask("Read the letter.", {"letter": LETTER["text"]}, LetterFacts)


async def test_a_claim_is_read_by_the_model_and_the_output_says_so(server: ChatServer) -> None:
    _, run = claim_run(server)
    await run.until_ended()
    assert run.output
    assert (run.output["decision"], run.output["extracted_by"]) == ("APPROVED", "model:tester")
    assert run.data["extracted_by"] == "model:tester"
    [request] = server.requests
    assert request["model"] == "tester"
    shape = request["response_format"]["json_schema"]
    assert shape["strict"] is True
    # What strict schemas ask for: nothing may be left out, nothing added.
    assert shape["schema"]["additionalProperties"] is False
    assert set(shape["schema"]["required"]) == set(shape["schema"]["properties"]) == set(WINDSCREEN)
    # The letter is material: it stands apart from the instructions.
    assert SECRET not in request["messages"][0]["content"]
    assert SECRET in request["messages"][1]["content"]


async def test_without_a_model_the_rules_read_and_the_output_says_so() -> None:
    run = TestEngine(build_service()).start(WORKFLOW_TYPE, LETTER)
    await run.until_ended()
    assert run.output
    assert run.output["extracted_by"] == "rules"
    assert run.data["claim"]["policy_number"] == "CAR-330091"


async def test_a_busy_model_is_asked_again_when_it_says(server: ChatServer) -> None:
    server.replies_with(fails(429, retry_after="7"), fails(503, retry_after="60"), says(WINDSCREEN))
    engine, run = claim_run(server)
    await run.until_quiet()
    await engine.advance(6)
    assert len(server.requests) == 1
    await engine.advance(1)
    assert len(server.requests) == 2
    await engine.advance(59)
    assert len(server.requests) == 2
    await engine.advance(1)
    assert (len(server.requests), run.status) == (3, "COMPLETED")


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("7", 7),
        ("0.5", 0.5),
        ("-3", 0),
        ("1e9", MOST_PATIENCE),
        ("inf", MOST_PATIENCE),
        ("nan", None),
        ("soon", None),
        ("", None),
        (None, None),
        ("Mon, 10 Mar 2025 09:00:30 GMT", 30),
        ("Mon, 10 Mar 2025 09:00:30 -0000", 30),
        ("Mon, 10 Mar 2025 08:00:00 GMT", 0),
        ("Tue, 10 Mar 2026 09:00:00 GMT", MOST_PATIENCE),
        ("Mon, 99 Mar 2025 09:00:00 GMT", None),
    ],
)
def test_retry_after_is_seconds_or_a_date_and_is_believed_up_to_a_point(
    header: str | None, seconds: float | None
) -> None:
    assert wanted_pause(header, datetime(2025, 3, 10, 9, tzinfo=UTC)) == seconds


@pytest.mark.parametrize(
    "reply",
    [
        fails(429),
        fails(503, retry_after="soon"),
        fails(500),
        fails(502),
        fails(408),
        fails(409),
        HANGS_UP,
        HANGS,
        TRICKLES,
    ],
    ids=["429", "503", "500", "502", "408", "409", "hangs up", "hangs", "trickles"],
)
async def test_what_may_pass_is_tried_again_by_the_tasks_own_backoff(
    server: ChatServer, reply: Reply
) -> None:
    slow = reply in (HANGS, TRICKLES)
    with pytest.raises(ModelUnavailable):
        await ask(server, reply, answer_seconds=0.3 if slow else 30)
    # Once: the package does not try again by itself.
    assert len(server.requests) == 1


async def test_a_server_that_is_not_there_is_tried_again() -> None:
    async with ChatServer() as server:
        await server.stop()
        with pytest.raises(ModelUnavailable, match="APIConnectionError"):
            await model_of(server).ask("", {}, LetterFacts)


@pytest.mark.parametrize(
    "reply",
    [
        says("Sure! Here are the facts you asked for."),
        says('{"claim_type": "car", "amount": 6'),
        says(WINDSCREEN, finish_reason="length"),
        says({**WINDSCREEN, "claim_type": "spaceship"}),
        says({**WINDSCREEN, "amount": -640}),
        says({**WINDSCREEN, "amount": "640"}),
        says('{"amount": 1e999}'),
        says({**WINDSCREEN, "policy_number": "CAR-1; drop"}),
        says({**WINDSCREEN, "incident_date": "2025-02-31"}),
        says({**WINDSCREEN, "approved": True}),
        says({name: fact for name, fact in WINDSCREEN.items() if name != "language"}),
        says([WINDSCREEN]),
        says("[" * 100_000),
        Reply(body="[" * 100_000),
        says(None),
        Reply(body='{"choices": []}'),
        Reply(body='{"choices": "none"}'),
        Reply(body='{"choices": [{"message": {"content": 5}}]}'),
        Reply(body="[1, 2]"),
        Reply(body="<html>welcome</html>"),
        Reply(body="<html>welcome</html>", headers={"content-type": "text/html"}),
    ],
)
async def test_an_answer_that_does_not_fit_is_tried_again(server: ChatServer, reply: Reply) -> None:
    with pytest.raises(UnusableAnswer):
        await ask(server, reply)


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        (says(None, refusal="I can't help with that."), "MODEL_REFUSED"),
        (says("", finish_reason="content_filter"), "MODEL_REFUSED"),
        (fails(400, "content_filter"), "MODEL_REFUSED"),
        (fails(400, "context_length_exceeded"), "MODEL_NOT_CONFIGURED"),
        (fails(401, "invalid_api_key"), "MODEL_NOT_CONFIGURED"),
        (fails(403), "MODEL_NOT_CONFIGURED"),
        (fails(404, "model_not_found"), "MODEL_NOT_CONFIGURED"),
        (fails(429, "insufficient_quota", retry_after="5"), "MODEL_NOT_CONFIGURED"),
    ],
)
async def test_what_would_come_again_is_rejected_at_once(
    server: ChatServer, reply: Reply, reason: str
) -> None:
    with pytest.raises(Reject) as caught:
        await ask(server, reply)
    assert caught.value.reason == reason


async def test_a_model_that_never_does_better_ends_in_the_dead_letters_after_five_attempts(
    server: ChatServer,
) -> None:
    server.replies_with(says("no JSON"))
    engine, run = claim_run(server)
    await run.until_quiet()
    await engine.advance(600)
    assert len(server.requests) == 5
    [letter] = run.dead_letters
    assert letter.failure.reason == "UnusableAnswer"
    # Put right meanwhile: the dead letter goes through.
    server.replies_with(says(WINDSCREEN))
    run.retry(letter)
    await run.until_ended()
    assert run.status == "COMPLETED"


async def test_a_policy_number_that_the_letter_does_not_hold_is_asked_for(
    server: ChatServer,
) -> None:
    server.replies_with(says({**WINDSCREEN, "policy_number": "CAR-999999"}))
    _, run = claim_run(server)
    await run.until_waiting()
    assert "policy number" in run.waits[0].message


async def test_nothing_that_was_asked_or_answered_is_logged_or_kept_in_a_failure(
    server: ChatServer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    passing = [
        says({**WINDSCREEN, SECRET: SECRET, "language": SECRET}),
        fails(500, SECRET, SECRET),
        Reply(body=SECRET),
    ]
    for final in (says(None, refusal=SECRET), fails(400, SECRET, SECRET)):
        server.replies_with(*passing, final)
        engine, run = claim_run(server)
        await run.until_quiet()
        await engine.advance(600)
        assert run.failure
        assert run.failure.reason.startswith("MODEL_")
        assert SECRET not in f"{run.failure} {[entry.failure for entry in run.history]}"
    assert len(server.requests) == 8
    assert "raised UnusableAnswer" in caplog.text
    assert SECRET not in caplog.text


def test_the_model_is_what_the_environment_names(monkeypatch: pytest.MonkeyPatch) -> None:
    assert reader_from_environment().name == "rules"
    monkeypatch.setenv("OPENAI_BASE_URL", "http://127.0.0.1:1/v1")
    assert reader_from_environment().name == "model:gpt-5-mini"
    assert model_from_environment({}) is None
    assert model_from_environment({"OPENAI_API_KEY": "", "OPENAI_MODEL": "x"}) is None
    keyed = model_from_environment({"OPENAI_API_KEY": "k"})
    assert keyed is not None
    assert keyed.name == "model:gpt-5-mini"
    own = model_from_environment({"OPENAI_BASE_URL": "http://127.0.0.1:1/v1", "OPENAI_MODEL": "x"})
    assert own is not None
    assert own.name == "model:x"


def test_the_retry_after_that_is_longest_is_one_that_a_task_may_ask_for() -> None:
    assert RetryAfter(MOST_PATIENCE).seconds == MOST_PATIENCE
