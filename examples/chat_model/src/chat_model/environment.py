"""Which model a process asks: what its environment says."""

import os
from collections.abc import Mapping

from chat_model.questions import ChatModel

DEFAULT_MODEL = "gpt-5-mini"


def model_from_environment(environ: Mapping[str, str] = os.environ) -> ChatModel | None:
    """The model that OPENAI_BASE_URL, OPENAI_API_KEY and OPENAI_MODEL name; None where neither of
    the first two is set. A server of one's own may want no key."""
    key, address = environ.get("OPENAI_API_KEY"), environ.get("OPENAI_BASE_URL")
    if not key and not address:
        return None
    # Imported by those who ask a model: it takes twice the time that the rest of a service takes to start.
    from openai import AsyncOpenAI

    from chat_model.openai_model import OpenAIModel

    client = AsyncOpenAI(api_key=key or "none", base_url=address or None)
    return OpenAIModel(client, environ.get("OPENAI_MODEL") or DEFAULT_MODEL)
