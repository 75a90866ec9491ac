"""A chat model as a task needs it: one question, one answer of a given shape, and failures that
already say whether Waystation shall try again.

Uses the worker SDK, openai and pydantic; must not import any other part of the house, nor any
example.
"""

from chat_model.asking import ASKING_SECONDS, AtMost, ChatModel, OneOf, UnusableAnswer
from chat_model.failures import ModelUnavailable
from chat_model.openai_model import OpenAIModel, model_from_environment

__all__ = [
    "ASKING_SECONDS",
    "AtMost",
    "ChatModel",
    "ModelUnavailable",
    "OneOf",
    "OpenAIModel",
    "UnusableAnswer",
    "model_from_environment",
]
