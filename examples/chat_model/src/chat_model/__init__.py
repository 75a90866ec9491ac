"""A chat model as a task needs it: one question, one answer of a given shape, and failures that
already say whether Waystation shall try again.

Uses the worker SDK, openai and pydantic; must not import any other package of this repository, nor any
example.
"""

from chat_model.environment import model_from_environment
from chat_model.questions import (
    ASKING_SECONDS,
    AtMost,
    ChatModel,
    ModelUnavailable,
    OneOf,
    UnusableAnswer,
)

__all__ = [
    "ASKING_SECONDS",
    "AtMost",
    "ChatModel",
    "ModelUnavailable",
    "OneOf",
    "UnusableAnswer",
    "model_from_environment",
]
