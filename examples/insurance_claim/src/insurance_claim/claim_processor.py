"""`workflow.started`: reads the text of the claim."""

from collections.abc import Awaitable, Callable
from datetime import UTC, date, datetime

from insurance_claim.extractor import UnreadableText
from insurance_claim.reader import Reader
from waystation_worker import Reject, TaskContext

# Somebody is hurt: this claim goes before the dented bumpers, in every queue it passes.
INJURY_PRIORITY = 200


def claim_processor_with(reader: Reader) -> Callable[[TaskContext], Awaitable[None]]:
    """Gives the task that has letters read by this reader."""

    async def claim_processor(ctx: TaskContext) -> None:
        """Turns the letter into facts under `data.claim` and raises `claim.processed`.

        Reads the letter from the event, not from the data: an operator who retries the dead letter
        of an unreadable document with an edited payload gives the task what it needs.
        """
        letter = ctx.event.payload
        text = letter.get("text")
        received_on = _received_on(letter.get("received_on"), ctx.event.created_at)
        try:
            claim = await reader.read(text, received_on)
        except UnreadableText as unreadable:
            raise Reject(
                "UNREADABLE_TEXT",
                f"{unreadable}; retry it with a payload whose `text` says what the document says",
            ) from unreadable
        if ctx.data.get("text") != text:
            ctx.data["text"] = text
        ctx.data["received_on"] = received_on.isoformat()
        ctx.data["claim"] = claim.to_data()
        ctx.data["extracted_by"] = reader.name
        ctx.emit(
            "claim.processed",
            {"language": claim.language, "missing": claim.missing()},
            priority=INJURY_PRIORITY if claim.injured else None,
        )

    return claim_processor


def _received_on(written: object, raised_at: datetime | None) -> date:
    try:
        return date.fromisoformat(str(written))
    except ValueError:
        return (raised_at or datetime.now(UTC)).date()
