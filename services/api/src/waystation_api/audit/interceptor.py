"""Every audited call gets its entry: one that changes something with the change, one that is refused
afterwards."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from waystation_api.audit.audited_call import set_audited_call
from waystation_api.audit.entries import entry_of
from waystation_api.audit.refusals import Refusals
from waystation_core.identity.principal import caller
from waystation_core.ports.store import AuditedCall
from waystation_core.rpc.audited import AUDITED
from waystation_core.rpc.method_interceptor import MethodInterceptor, form_of, with_behaviour
from waystation_domain.errors import WaystationError


class AuditInterceptor(MethodInterceptor):
    """Stands inside what finds out who is calling."""

    def __init__(self, refusals: Refusals) -> None:
        super().__init__()
        self._refusals = refusals

    def around(self, method: str, handler: Any) -> Any:
        """The handler, which records what becomes of an audited call."""
        if method not in AUDITED:
            return handler
        return with_behaviour(handler, self._recording(method, form_of(handler)[1]))

    def _recording(self, method: str, behaviour: Any) -> Any:
        async def recorded(request: Any, context: Any) -> Any:
            call = AuditedCall(entry_of(method, request, caller(), context.peer()))
            set_audited_call(call)
            try:
                return await behaviour(request, context)
            except Exception as error:
                known = error if isinstance(error, WaystationError) else WaystationError("")
                self._refusals.add(replace(call.entry, code=known.code, reason=known.reason))
                raise

        return recorded
