"""Shorter names that are accepted too."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")


def accepts_workflow_id(method: Callable[P, R]) -> Callable[P, R]:
    """Takes the keyword `workflow_id` for `workflow_instance_id`. Type checkers know it where the signature
    has it too. Raises TypeError if both are given."""

    @functools.wraps(method)
    def call(*args: Any, **kwargs: Any) -> R:
        if "workflow_id" in kwargs:
            if kwargs.get("workflow_instance_id") is not None:
                raise TypeError(
                    "workflow_id and workflow_instance_id are the same; give one of them"
                )
            kwargs["workflow_instance_id"] = kwargs.pop("workflow_id")
        return method(*args, **kwargs)

    return call


def by_workflow_id(method: Callable[..., R]) -> Callable[..., R]:
    """The same for a method whose overloads say both forms to type checkers."""
    return accepts_workflow_id(method)
