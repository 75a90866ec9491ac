"""TokenService: who may make API tokens, what they may then do, and that they end."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from support.issuer import AUDIENCE, ISSUER, Issuer
from support.running_api import Api, refusal

from waystation.v1 import audit_service_pb2, token_pb2, token_service_pb2, workflow_service_pb2
from waystation.v1.audit_service_pb2_grpc import AuditServiceStub
from waystation.v1.token_service_pb2_grpc import TokenServiceStub
from waystation_core.identity.keys_file import digest_of_key, new_key
from waystation_core.store.connections import connection_of, open_pool

_pb = token_service_pb2

ADMIN = new_key()
CLIENT = token_pb2.RoleGrant(namespace="default", roles=[token_pb2.ROLE_CLIENT])
EVERYWHERE = token_pb2.RoleGrant(namespace="*", roles=[token_pb2.ROLE_ADMIN])


def bearer(secret: str) -> tuple[tuple[str, str], ...]:
    return (("authorization", f"Bearer {secret}"),)


class Tokens:
    """TokenService, called by the admin of the file of keys."""

    def __init__(self, api: Api) -> None:
        self.api = api
        self._stub: Any = TokenServiceStub(api.channel)

    def __getattr__(self, name: str) -> Callable[..., Awaitable[Any]]:
        async def call(request: Any, secret: str = ADMIN) -> Any:
            return await getattr(self._stub, name)(request, metadata=bearer(secret))

        return call

    async def make(self, name: str, *grants: Any, **given: Any) -> tuple[token_pb2.Token, str]:
        response = await self.CreateToken(
            _pb.CreateTokenRequest(name=name, grants=grants or [CLIENT], **given)
        )
        return response.token, response.secret

    async def names(self, **which: Any) -> list[str]:
        response = await self.ListTokens(_pb.ListTokensRequest(**which))
        return [token.name for token in response.tokens]


@pytest.fixture
async def tokens(serve: Callable[..., Awaitable[Api]], tmp_path: Path) -> Tokens:
    file = tmp_path / "keys.json"
    key = {"name": "ops", "sha256": digest_of_key(ADMIN), "grants": {"*": ["admin"]}}
    file.write_text(json.dumps({"keys": [key]}))
    file.chmod(0o600)
    return Tokens(await serve(WAYSTATION_KEYS_FILE=str(file)))


async def reason(call: Awaitable[Any]) -> str:
    refused = await refusal(call)
    return f"{refused.code.name} {refused.reason}"


async def test_a_token_does_what_it_grants_and_nothing_else(
    tokens: Tokens, database_url: str
) -> None:
    token, secret = await tokens.make("deploy")
    assert token.created_by == "key:ops"
    assert list(token.grants) == [CLIENT]
    assert token.expires_at.seconds - token.created_at.seconds == 90 * 86_400
    start = workflow_service_pb2.StartWorkflowRequest(workflow_type="claim")
    await tokens.api.workflows.StartWorkflow(start, metadata=bearer(secret))
    start.namespace = "acme"
    started = tokens.api.workflows.StartWorkflow(start, metadata=bearer(secret))
    assert await reason(started) == "NOT_FOUND NAMESPACE_NOT_FOUND"
    listed = tokens.ListTokens(_pb.ListTokensRequest(), secret)
    assert await reason(listed) == "PERMISSION_DENIED PERMISSION_DENIED"
    # What is stored does not let anybody in.
    pool = open_pool(database_url, size=1, name="test")
    await pool.open()
    async with connection_of(pool) as connection:
        row = await (await connection.execute("SELECT t::text FROM api_tokens t")).fetchone()
    await pool.close()
    assert row is not None
    assert secret not in row[0]
    assert secret.removeprefix("wst_") not in row[0]


async def test_an_admin_by_token_makes_tokens_and_the_chain_is_told(tokens: Tokens) -> None:
    _, secret = await tokens.make("boss", EVERYWHERE)
    response = await tokens.CreateToken(
        _pb.CreateTokenRequest(name="deploy", grants=[CLIENT]), secret
    )
    assert response.token.created_by == "token:boss"


async def test_a_revoked_token_is_listed_only_when_asked_for(tokens: Tokens) -> None:
    token, _ = await tokens.make("first")
    await tokens.make("second")
    revoked = await tokens.RevokeToken(_pb.RevokeTokenRequest(token_id=token.token_id))
    assert revoked.token.HasField("revoked_at")
    again = await tokens.RevokeToken(_pb.RevokeTokenRequest(token_id=token.token_id))
    assert again.token == revoked.token
    assert await tokens.names() == ["second"]
    assert await tokens.names(with_ended=True) == ["second", "first"]
    page = await tokens.ListTokens(_pb.ListTokensRequest(page_size=1, with_ended=True))
    assert await tokens.names(page_token=page.next_page_token, with_ended=True) == ["first"]


def create(name: str = "deploy", **given: Any) -> _pb.CreateTokenRequest:
    return _pb.CreateTokenRequest(**{"name": name, "grants": [CLIENT], **given})


def grant(namespace: str, *roles: int) -> Any:
    message = token_pb2.RoleGrant(namespace=namespace)
    message.roles.extend(roles)  # type: ignore[arg-type]
    return message


@pytest.mark.parametrize(
    ("request_", "expected"),
    [
        (create("no spaces"), "INVALID_ARGUMENT INVALID_ID"),
        (create(grants=[]), "INVALID_ARGUMENT INVALID_FIELD"),
        (create(grants=[grant("default")]), "INVALID_ARGUMENT INVALID_FIELD"),
        (create(grants=[grant("", 2)]), "INVALID_ARGUMENT INVALID_FIELD"),
        (create(grants=[grant("default", 0)]), "INVALID_ARGUMENT INVALID_FIELD"),
        (create(grants=[grant("default", 99)]), "INVALID_ARGUMENT INVALID_FIELD"),
        (create(grants=[CLIENT, CLIENT]), "INVALID_ARGUMENT INVALID_FIELD"),
        (create(grants=[grant("none-such", 2)]), "NOT_FOUND NAMESPACE_NOT_FOUND"),
        (create(grants=[grant("default", 3)]), "INVALID_ARGUMENT INVALID_FIELD"),
        (create(service_names=["claims"]), "INVALID_ARGUMENT INVALID_FIELD"),
        (
            create(grants=[grant("default", 3)], service_names=["no spaces"]),
            "INVALID_ARGUMENT INVALID_ID",
        ),
        (create(lifetime={"seconds": 59}), "INVALID_ARGUMENT INVALID_FIELD"),
        (create(lifetime={"seconds": 3_661 * 86_400}), "INVALID_ARGUMENT INVALID_FIELD"),
        (create("taken"), "ALREADY_EXISTS TOKEN_ALREADY_EXISTS"),
    ],
)
async def test_what_cannot_be_a_token_is_refused(
    request_: Any, expected: str, tokens: Tokens
) -> None:
    await tokens.make("taken")
    assert await reason(tokens.CreateToken(request_)) == expected
    assert await tokens.names() == ["taken"]


async def test_only_an_id_of_a_token_can_be_revoked(tokens: Tokens) -> None:
    for token_id, expected in (
        ("", "INVALID_ARGUMENT INVALID_ID"),
        ("deploy", "INVALID_ARGUMENT INVALID_ID"),
        ("00000000-0000-7000-8000-000000000000", "NOT_FOUND TOKEN_NOT_FOUND"),
    ):
        request = _pb.RevokeTokenRequest(token_id=token_id)
        assert await reason(tokens.RevokeToken(request)) == expected


async def test_the_audit_log_has_who_made_and_who_revoked_a_token(tokens: Tokens) -> None:
    token, secret = await tokens.make("deploy")
    await tokens.RevokeToken(_pb.RevokeTokenRequest(token_id=token.token_id))
    audit: Any = AuditServiceStub(tokens.api.channel)
    listed = await audit.ListAudit(
        audit_service_pb2.ListAuditRequest(), metadata=bearer(ADMIN), timeout=10
    )
    found = [(entry.method, entry.principal, dict(entry.target)) for entry in listed.entries]
    assert found == [
        ("RevokeToken", "key:ops", {"token_id": token.token_id}),
        ("CreateToken", "key:ops", {"name": "deploy"}),
    ]
    assert secret not in str(listed)


async def test_without_credentials_there_is_nothing_to_make_tokens_for(api: Api) -> None:
    """A server that asks nobody takes the call: the token is of use once it asks."""
    stub: Any = TokenServiceStub(api.channel)
    response = await stub.CreateToken(create())
    assert response.token.created_by == "anonymous"


async def test_a_jwt_of_the_issuer_in_the_settings_is_a_caller(
    serve: Callable[..., Awaitable[Api]], tmp_path: Path
) -> None:
    issuer, file = Issuer(), tmp_path / "jwks.json"
    file.write_bytes(issuer.jwks())
    api = await serve(
        WAYSTATION_JWT_ISSUER=ISSUER,
        WAYSTATION_JWT_AUDIENCE=AUDIENCE,
        WAYSTATION_JWT_JWKS_FILE=str(file),
        WAYSTATION_JWT_ROLES_CLAIM="realm.roles",
    )
    start = workflow_service_pb2.StartWorkflowRequest(workflow_type="claim")
    token = issuer.token(realm={"roles": ["default:client"]})
    await api.workflows.StartWorkflow(start, metadata=bearer(token))
    reader = issuer.token(realm={"roles": ["default:reader"]})
    denied = await refusal(api.workflows.StartWorkflow(start, metadata=bearer(reader)))
    assert denied.reason == "PERMISSION_DENIED"
    assert "CLIENT" in denied.message
    assert denied.metadata["method"] == "StartWorkflow"
    stranger = await refusal(api.workflows.StartWorkflow(start))
    assert stranger.reason == "UNAUTHENTICATED"
