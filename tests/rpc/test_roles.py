"""The table of who may call what is complete: every method of every service, and no other."""

from __future__ import annotations

import importlib
import pkgutil

import waystation.v1
from waystation_core.rpc.roles import ROLES


def methods_of_the_contract() -> set[str]:
    found = set()
    for module in pkgutil.iter_modules(waystation.v1.__path__):
        if module.name.endswith("_pb2"):
            descriptor = importlib.import_module(f"waystation.v1.{module.name}").DESCRIPTOR
            for service in descriptor.services_by_name.values():
                found |= {f"/{service.full_name}/{method.name}" for method in service.methods}
    return found


def test_every_method_has_its_roles() -> None:
    ours = {method for method in ROLES if method.startswith("/waystation.")}
    assert ours == methods_of_the_contract()
    assert all(ROLES.values())
