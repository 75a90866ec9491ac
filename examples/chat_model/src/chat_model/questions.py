"""What a task asks of a model, whichever it is: the one method that a scripted one has as well."""

from collections.abc import Iterable, Mapping
from typing import Any, Protocol, TypeVar

from pydantic import BaseModel, GetCoreSchemaHandler, ValidationError
from pydantic_core import CoreSchema, core_schema

AnswerT = TypeVar("AnswerT", bound=BaseModel)

ANSWER_SECONDS = 90.0
"""How long an answer may take, from the first byte sent to the last one read."""

ASKING_SECONDS = ANSWER_SECONDS + 30
"""The timeout of a task that asks once. Longer than the answer may take, so that a slow model is
told apart from a task that hangs."""


class ModelUnavailable(Exception):
    """No answer this time, for a reason that may pass. Tried again by the task's backoff."""


class UnusableAnswer(Exception):
    """The model said something, but not what it was asked for. Tried again by the task's backoff:
    a model may do better the next time."""


class ChatModel(Protocol):
    """Answers questions. `name` goes into data and output, for whoever wonders who said so."""

    @property
    def name(self) -> str:
        """Such as `model:gpt-5-mini`."""
        ...

    async def ask(
        self, instructions: str, material: Mapping[str, Any], answer: type[AnswerT]
    ) -> AnswerT:
        """The answer to the instructions about the material, as this pydantic model.

        `material` is JSON and comes from strangers; `instructions` are the program's own. `answer`
        forbids extra fields and has no defaults, as strict JSON Schemas must. Raises what makes
        the task fail rightly: Reject, RetryAfter, or an exception that means another attempt.
        """
        ...


def read_answer(text: str, answer: type[AnswerT]) -> AnswerT:
    """What a model wrote, as the shape that it was asked for: hostile until it fits.

    Raises UnusableAnswer, naming what is wrong but nothing that was said: failures are logged, and
    what models and strangers write must not be.
    """
    try:
        return answer.model_validate_json(text)
    except ValidationError as error:
        wrong = error.errors(include_url=False, include_context=False, include_input=False)
        listed = sorted({_problem(one["loc"], one["type"], answer) for one in wrong})
    raise UnusableAnswer(f"the answer does not fit {answer.__name__}: {', '.join(listed)}")


def _problem(place: tuple[int | str, ...], problem: str, answer: type[BaseModel]) -> str:
    # The name of an extra field is the model's own word.
    field = place[0] if place and place[0] in answer.model_fields else "the whole"
    return f"{field} ({problem})"


class OneOf:
    """Annotates a `str` that comes out of a table: the schema lists what is in it, and nothing else
    fits."""

    def __init__(self, names: Iterable[str]) -> None:
        self._names = list(names)

    def __get_pydantic_core_schema__(self, _source: Any, _handler: Any) -> CoreSchema:
        return core_schema.literal_schema(self._names)


class AtMost:
    """Annotates a `str`: so many characters and no NUL. Checked here and not by the schema, for strict
    schemas know no length."""

    def __init__(self, characters: int) -> None:
        self._characters = characters

    def __get_pydantic_core_schema__(
        self, source: Any, handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        return core_schema.no_info_after_validator_function(self._check, handler(source))

    def _check(self, text: str) -> str:
        if len(text) > self._characters:
            raise ValueError(f"a text of at most {self._characters} characters")
        if "\0" in text:
            raise ValueError("a text without NUL")
        return text
