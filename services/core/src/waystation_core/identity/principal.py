"""Who makes the call that is being answered."""

from __future__ import annotations

from collections.abc import Mapping
from contextvars import ContextVar
from dataclasses import dataclass

from waystation_core.rpc.roles import OF_THE_INSTALLATION, ROLES, Role

EVERY = "*"
"""As a namespace: every one. As a service name: every one."""


@dataclass(frozen=True, slots=True)
class Principal:
    """A caller, by whatever it proved to be one."""

    name: str
    """For audit and histories: its kind and its name, such as `token:deploy`."""
    grants: Mapping[str, frozenset[Role]]
    """Roles by namespace; those under `*` hold in every one."""
    service_names: frozenset[str]
    """The services that it may act for as a handler; `*`: all."""

    def roles_in(self, namespace: str) -> frozenset[Role]:
        """Its roles in a namespace; empty: the namespace does not exist for it."""
        return self.grants.get(namespace, frozenset()) | self.grants.get(EVERY, frozenset())

    def may(self, method: str, namespace: str) -> bool:
        """Whether it may call a method, by its full name, about that namespace."""
        where = EVERY if method in OF_THE_INSTALLATION else namespace
        return not ROLES.get(method, frozenset()).isdisjoint(self.roles_in(where))

    def may_act_for(self, service_name: str, namespace: str) -> bool:
        """Whether it may register and complete for a service: a handler for its own ones, an operator for
        all."""
        roles = self.roles_in(namespace)
        if Role.OPERATOR in roles or Role.ADMIN in roles:
            return True
        return Role.HANDLER in roles and not self.service_names.isdisjoint({service_name, EVERY})


ANONYMOUS = Principal("anonymous", {EVERY: frozenset(Role) - {Role.ROUTER}}, frozenset({EVERY}))
"""Everybody, on a server that asks for no credential."""

_caller: ContextVar[Principal] = ContextVar("caller", default=ANONYMOUS)


def caller() -> Principal:
    """Who makes the call that this task answers."""
    return _caller.get()


def set_caller(principal: Principal) -> None:
    """Says so, for this task and those that it starts."""
    _caller.set(principal)
