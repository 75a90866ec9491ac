"""A model behind the API that OpenAI made common, by the `openai` package."""

import asyncio
import json
import logging
from collections.abc import Mapping
from typing import Any

import openai
from openai import AsyncOpenAI
from openai.types.chat import ChatCompletion

from chat_model.failures import failure_of, refusal
from chat_model.questions import (
    ANSWER_SECONDS,
    AnswerT,
    ModelUnavailable,
    UnusableAnswer,
    read_answer,
)


class OpenAIModel:
    """Asks one model of one server. Never tries twice: that is Waystation's business, which counts
    the attempts and keeps their causes."""

    def __init__(
        self, client: AsyncOpenAI, model: str, *, answer_seconds: float = ANSWER_SECONDS
    ) -> None:
        self._client = client.with_options(max_retries=0, timeout=answer_seconds)
        self._model = model
        self._answer_seconds = answer_seconds
        # On DEBUG it writes down whole requests, and with them what strangers wrote.
        logging.getLogger("openai").setLevel(logging.INFO)

    @property
    def name(self) -> str:
        """As of ChatModel."""
        return f"model:{self._model}"

    async def ask(
        self, instructions: str, material: Mapping[str, Any], answer: type[AnswerT]
    ) -> AnswerT:
        """As of ChatModel."""
        try:
            # The client's own limit is for the pause between two bytes: a server that trickles
            # would never reach it.
            async with asyncio.timeout(self._answer_seconds):
                completion = await self._client.chat.completions.create(
                    model=self._model,
                    messages=[
                        {"role": "system", "content": instructions},
                        {"role": "user", "content": json.dumps(material)},
                    ],
                    response_format={
                        "type": "json_schema",
                        "json_schema": {
                            "name": answer.__name__,
                            "strict": True,
                            "schema": answer.model_json_schema(),
                        },
                    },
                )
        except TimeoutError:
            raise ModelUnavailable(f"no answer within {self._answer_seconds:g} s") from None
        except openai.APIError as error:
            # Not chained: the server's words would be logged with it.
            raise failure_of(error) from None
        except (ValueError, RecursionError):
            # The package reads what calls itself JSON without looking out.
            raise UnusableAnswer("the server's answer is no JSON") from None
        return read_answer(_text_of(completion), answer)


def _text_of(completion: object) -> str:
    """What the model wrote. The package builds its objects out of whatever came, unchecked.

    Raises Reject for a refusal, UnusableAnswer where there is nothing complete to read.
    """
    if not isinstance(completion, ChatCompletion):
        raise UnusableAnswer("the server's answer is no chat completion")
    try:
        choice = completion.choices[0]
        ended, refused, text = choice.finish_reason, choice.message.refusal, choice.message.content
    except (AttributeError, IndexError, KeyError, TypeError):
        raise UnusableAnswer("the server's answer holds no message") from None
    if refused or ended == "content_filter":
        raise refusal()
    if ended == "length":
        raise UnusableAnswer("the answer was cut off before its end")
    if not isinstance(text, str):
        raise UnusableAnswer("the message holds no text")
    return text
