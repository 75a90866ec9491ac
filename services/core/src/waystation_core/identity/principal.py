"""Who makes the call that is being answered, and what it may do."""

from __future__ import annotations

from collections.abc import Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

from waystation_core.rpc.roles import OF_THE_INSTALLATION, ROLES, Role
from waystation_domain.errors import NamespaceNotFound, PermissionDenied, shown
from waystation_domain.model import DEFAULT_NAMESPACE

EVERY = "*"
"""As a namespace: every one. As a service name: every one."""

GRANTABLE = frozenset(Role) - {Role.ROUTER}
"""The roles that a credential can give."""


@dataclass(frozen=True, slots=True)
class Principal:
    """A caller, by whatever it proved to be one."""

    name: str
    """For audit and histories: its kind and its name, such as `token:deploy`."""
    grants: Mapping[str, frozenset[Role]]
    """Roles by namespace; those under `*` hold in every one."""
    service_names: frozenset[str]
    """The services that it may act for as a handler; `*`: all."""

    @property
    def own_namespace(self) -> str:
        """The namespace that it means when it names none: its only one, otherwise `default`."""
        if len(self.grants) == 1 and EVERY not in self.grants:
            return next(iter(self.grants))
        return DEFAULT_NAMESPACE

    def roles_in(self, namespace: str) -> frozenset[Role]:
        """Its roles in a namespace; empty: the namespace does not exist for it."""
        return self.grants.get(namespace, _NONE) | self.grants.get(EVERY, _NONE)

    def may(self, method: str, namespace: str) -> bool:
        """Whether it may call a method, by its full name, about that namespace."""
        where = EVERY if method in OF_THE_INSTALLATION else namespace
        return not ROLES.get(method, _NONE).isdisjoint(self.roles_in(where))

    def may_anywhere(self, method: str) -> bool:
        """Whether it may call a method about some namespace."""
        return any(self.may(method, namespace) for namespace in self.grants)

    def require(self, method: str, namespace: str) -> None:
        """Raises PermissionDenied unless it may call the method about that namespace."""
        if self is not ANONYMOUS and not self.may(method, namespace):
            raise denied(method)

    def services_in(self, namespace: str) -> frozenset[str] | None:
        """The services that it may register and complete for; None: all, as an operator may."""
        roles = self.roles_in(namespace)
        if Role.OPERATOR in roles or Role.ADMIN in roles:
            return None
        if Role.HANDLER not in roles:
            return _NO_SERVICES
        return None if EVERY in self.service_names else self.service_names

    def may_act_for(self, service_name: str, namespace: str) -> bool:
        """Whether that service is one of `services_in`."""
        services = self.services_in(namespace)
        return services is None or service_name in services

    def require_service(self, method: str, service_name: str, namespace: str) -> None:
        """Raises PermissionDenied, for a call of the method with this name, unless it may act for that service."""
        if not self.may_act_for(service_name, namespace):
            raise PermissionDenied(
                f"Your credential does not act for the service {shown(service_name)}. Ask an admin for a token "
                "with this service name.",
                method=method,
                service_name=shown(service_name),
            )


_NONE: frozenset[Role] = frozenset()
_NO_SERVICES: frozenset[str] = frozenset()

ANONYMOUS = Principal("anonymous", {EVERY: GRANTABLE}, frozenset({EVERY}))
"""Everybody, on a server that asks for no credential."""

_caller: ContextVar[Principal] = ContextVar("caller", default=ANONYMOUS)


def caller() -> Principal:
    """Who makes the call that this task answers."""
    return _caller.get()


def set_caller(principal: Principal) -> None:
    """Sets the caller of this task and of those that it starts."""
    _caller.set(principal)


def namespace_of(request: Any) -> str | None:
    """What a request says of its namespace, perhaps nothing (""); None if it has no field for one. A run is about
    the namespace of its start."""
    about = getattr(request, "start", request)
    named = getattr(about, "namespace", None)
    return named if isinstance(named, str) else None


def namespace_meant(namespace: str) -> str:
    """The namespace of a request: the named one, or the caller's own. Raises NamespaceNotFound if the caller
    has no role in it."""
    principal = caller()
    chosen = namespace or principal.own_namespace
    if principal is not ANONYMOUS and not principal.roles_in(chosen):
        raise NamespaceNotFound.of(chosen)
    return chosen


def denied(method: str) -> PermissionDenied:
    """The refusal of a method for lack of a role."""
    name = method.rpartition("/")[2]
    allowed = sorted(role.name for role in ROLES.get(method, _NONE))
    who = f"{name} needs one of the roles {', '.join(allowed)}" if allowed else f"{name} is closed"
    where = " in every namespace" if method in OF_THE_INSTALLATION else ""
    return PermissionDenied(
        f"{who}{where}, which your credential does not give. Ask an admin for a token that has it.",
        method=name,
    )
