"""The table of roles in docs/security.md says what the table of roles in the code says."""

from __future__ import annotations

import re
from pathlib import Path

from waystation_core.rpc.roles import OF_THE_INSTALLATION, ROLES, Role

PAGE = Path(__file__).parents[2] / "docs" / "security.md"
_HEADING = "| method | READER | CLIENT | HANDLER | OPERATOR | ADMIN |"


def test_the_page_has_every_method_with_its_roles() -> None:
    table = PAGE.read_text(encoding="utf-8").partition(_HEADING)[2]
    columns = [Role[name] for name in re.findall("[A-Z]+", _HEADING)]
    told: dict[str, set[Role]] = {}
    marked = set()
    for row in re.findall(r"^\| `.*$", table.partition("\n\n")[0], re.M):
        name, *cells = (cell.strip() for cell in row.strip("|").split("|"))
        told[name.strip("`")] = {
            role for role, cell in zip(columns, cells, strict=True) if cell.startswith("yes")
        }
        if any("¹" in cell for cell in cells):
            marked.add(name.strip("`"))
    assert told == {
        method.rpartition("/")[2]: set(roles)
        for method, roles in ROLES.items()
        if roles != {Role.ROUTER}
    }
    assert marked == {method.rpartition("/")[2] for method in OF_THE_INSTALLATION}
