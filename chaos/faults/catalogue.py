"""All kinds of faults, with what each chooses, acts on, and how long it lasts."""

import random

from chaos.faults import broker, database, links, processes, services
from chaos.faults.world import Act, Kind, Params
from chaos.handlers import LEASE_SECONDS, SERVICES
from chaos.system import APIS, ENDPOINTS, ROUTERS

_APIS = [f"api-{number}" for number in range(1, APIS + 1)]
_ROUTERS = [f"router-{number}" for number in range(1, ROUTERS + 1)]
_HANDLERS = [f"handler-{number}" for number in range(1, len(SERVICES) * ENDPOINTS + 1)]
_LINKS = [
    *(
        f"{server}>{target}"
        for server in (*_APIS, *_ROUTERS)
        for target in ("postgres", "rabbitmq")
    ),
    *(f"routers>{handler}" for handler in _HANDLERS),
    *(f"{handler}>api" for handler in _HANDLERS),
    *(f"client>{api}" for api in _APIS),
]
_EVERYTHING = {"postgres", "rabbitmq", *_APIS, *_ROUTERS, *_HANDLERS}
_ANSWERING = "postgres answers"
"""Taken by what has no effect without replies of Postgres, and by what leaves it without any for long."""
_COLUMNS = (
    ("deliveries", "leased_by"),
    ("registry", "changes"),
    ("outbox", "announcements"),
    ("events", "payload"),
    ("workflow_instances", "version"),
)
_TABLES = ("events", "deliveries", "outbox", "workflow_instances", "handlers", "routers", "history")


def _of_process(
    name: str, rows: str, act: Act, names: list[str], least: float, most: float, weight: int = 1
) -> Kind:
    """A kind that acts on one process of several."""
    return Kind(
        name,
        rows,
        act,
        lambda pick: {"name": pick.choice(names)},
        lambda params: {params["name"]},
        least,
        most,
        weight,
    )


def _of(
    name: str, rows: str, act: Act, touched: set[str], least: float, most: float, weight: int = 1
) -> Kind:
    """A kind without parameters."""
    return Kind(name, rows, act, lambda pick: {}, lambda params: touched, least, most, weight)


def _plan_link(pick: random.Random) -> Params:
    link = pick.choice(_LINKS)
    return {"link": link, "behaviour": links.describe(links.plan_behaviour(pick, link))}


def _replicas(service: int) -> list[str]:
    return _HANDLERS[service * ENDPOINTS : (service + 1) * ENDPOINTS]


def _touched_by_link(params: Params) -> set[str]:
    # Its ends: no traffic goes over a link whose process is gone, so it would have no effect.
    link: str = params["link"]
    source, target = link.split(">")
    others = {"client": set(), "routers": set()}.get(source, {source})
    return {link, *others, *({target} if target != "api" else set())}


def replies_lost(chance: float) -> Params:
    """Parameters of the fault that loses replies of Postgres to every server."""
    return {"chance": chance, "links": [link for link in _LINKS if link.endswith(">postgres")]}


def _plan_lock(pick: random.Random) -> Params:
    return {"table": pick.choice(_TABLES)}


def _plan_rename(pick: random.Random) -> Params:
    table, column = pick.choice(_COLUMNS)
    return {"table": table, "column": column}


def _plan_restart(pick: random.Random) -> Params:
    return {"mode": pick.choice(("fast", "immediate", "kill"))}


_KINDS = (
    _of_process("kill-router", "F1-F4, F6, F7", processes.kill, _ROUTERS, 0, 8, 3),
    _of_process("kill-api", "F5", processes.kill, _APIS, 0, 6, 2),
    _of_process("kill-handler", "F23", processes.kill, _HANDLERS, 0, 10, 2),
    _of_process("pause-router", "F4, F42", processes.pause, _ROUTERS, 2, 25, 2),
    _of_process("pause-api", "F42", processes.pause, _APIS, 2, 12),
    _of_process("pause-handler", "F22, F42", processes.pause, _HANDLERS, 2, 12),
    Kind(
        "service-gone",
        "F25",
        processes.kill_service,
        lambda pick: {"names": _replicas(pick.randrange(len(SERVICES)))},
        lambda params: set(params["names"]),
        3,
        30,
    ),
    Kind(
        "rolling-restart",
        "F37",
        processes.roll,
        lambda pick: {"kind": pick.choice(("api", "router", "handler"))},
        lambda params: _EVERYTHING,
        0,
        2,
        2,
    ),
    _of("kill-everything", "F41", processes.kill_everything, {_ANSWERING, *_EVERYTHING}, 0, 3),
    Kind("link", "F8, F17-F21", links.misbehave, _plan_link, _touched_by_link, 3, 30, 10),
    Kind(
        "lost-replies",
        "F17",
        links.lose_replies,
        lambda pick: replies_lost(pick.choice((0.02, 0.05, 0.1))),
        lambda params: {_ANSWERING, *params["links"]},
        3,
        10,
        3,
    ),
    _of("rabbitmq-stop", "F11", broker.stop, {"rabbitmq"}, 0, 10),
    _of("rabbitmq-kill", "F11", broker.kill, {"rabbitmq"}, 0, 8),
    _of("rabbitmq-lose-data", "F10", broker.lose_data, {"rabbitmq", *_ROUTERS}, 0, 5),
    _of("rabbitmq-delete-queue", "F9", broker.delete_queue, {"rabbitmq", *_ROUTERS}, 1, 5),
    _of("rabbitmq-purge", "F10", broker.purge_queue, {"rabbitmq", *_ROUTERS}, 0, 2),
    _of("rabbitmq-close-all", "F13", broker.close_connections, {"rabbitmq", *_ROUTERS}, 1, 5),
    _of("rabbitmq-alarm", "F12", broker.alarm, {"rabbitmq"}, 5, 30),
    Kind(
        "duplicates",
        "F28, F29",
        broker.duplicate,
        lambda pick: {"seed": pick.randrange(10**6), "rounds": 4, "copies": 10},
        lambda params: {"rabbitmq"},
        0,
        2,
        2,
    ),
    Kind(
        "garbage",
        "F24",
        broker.publish_garbage,
        lambda pick: {"seed": pick.randrange(10**6)},
        lambda params: {"rabbitmq"},
        0,
        2,
    ),
    Kind(
        "postgres-restart",
        "F15",
        database.restart,
        _plan_restart,
        lambda params: {"postgres"},
        0,
        3,
        3,
    ),
    Kind(
        "postgres-down",
        "F16",
        database.restart,
        _plan_restart,
        lambda params: {"postgres", _ANSWERING},
        8,
        30,
    ),
    Kind(
        "postgres-end-backends",
        "F15",
        database.end_backends,
        lambda pick: {"times": pick.randint(1, 5)},
        lambda params: {"postgres"},
        0,
        1,
    ),
    _of("postgres-read-only", "F16", database.read_only, {"postgres"}, 40, 40, 2),
    Kind(
        "column-renamed",
        "F38",
        database.rename_column,
        _plan_rename,
        # Seen by statements that fail, which takes a router.
        lambda params: {"postgres", *_ROUTERS},
        1.5,
        1.5,
    ),
    Kind(
        "table-locked",
        "F38",
        database.lock_table,
        _plan_lock,
        lambda params: {"postgres", *_ROUTERS},
        2,
        6,
    ),
    _of("idle-in-transaction", "F39", database.idle_in_transaction, {"postgres"}, 5, 40),
    _of_process(
        "registration-lapses",
        "F26",
        services.lose_registration,
        _HANDLERS,
        LEASE_SECONDS + 3,
        LEASE_SECONDS + 8,
    ),
    _of("runaway", "F43", services.runaway, {"runaway"}, 2, 5),
    _of("poison-that-kills", "F23", services.poison_that_kills, {"handler-5", "handler-6"}, 5, 15),
)
CATALOGUE: dict[str, Kind] = {kind.name: kind for kind in _KINDS}
