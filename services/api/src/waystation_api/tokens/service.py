"""The servicer of TokenService."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TypeAlias
from uuid import UUID

import grpc
import structlog

from waystation.v1 import token_service_pb2, token_service_pb2_grpc
from waystation_api.audit.audited_call import audited_call
from waystation_api.pages import Key, Page, fill
from waystation_api.tokens.grants import grants_from_proto, token_to_proto
from waystation_conversion import seconds_from_proto
from waystation_core.identity.api_tokens import digest_of_secret, new_secret
from waystation_core.identity.principal import caller
from waystation_core.ids import may_be_ours, new_id
from waystation_core.ports.store import StoredToken, TokenStore
from waystation_domain import limits
from waystation_domain.errors import InvalidId, shown

_pb = token_service_pb2
Context: TypeAlias = "grpc.aio.ServicerContext[object, object]"

_DAY = 86_400.0
DEFAULT_LIFETIME_SECONDS = 90 * _DAY
LEAST_LIFETIME_SECONDS = 60.0
MOST_LIFETIME_SECONDS = 3_660 * _DAY

log = structlog.get_logger(__name__)


class TokenService(token_service_pb2_grpc.TokenServiceServicer):
    """For admins of every namespace."""

    def __init__(self, tokens: TokenStore) -> None:
        self._tokens = tokens

    async def CreateToken(
        self, request: _pb.CreateTokenRequest, context: Context
    ) -> _pb.CreateTokenResponse:
        name = limits.check_id(request.name, "name")
        grants = grants_from_proto(request.grants, request.service_names)
        lifetime = DEFAULT_LIFETIME_SECONDS
        if request.HasField("lifetime"):
            lifetime = seconds_from_proto(
                request.lifetime,
                "lifetime",
                least=LEAST_LIFETIME_SECONDS,
                most=MOST_LIFETIME_SECONDS,
            )
        secret = new_secret()
        token = await self._tokens.create_token(
            token_id=new_id(),
            name=name,
            digest=digest_of_secret(secret),
            grants=grants,
            created_by=caller().name,
            lifetime_seconds=lifetime,
            by=audited_call(),
        )
        log.info("token_created", token=name, token_id=token.token_id, by=token.created_by)
        return _pb.CreateTokenResponse(token=token_to_proto(token), secret=secret)

    async def ListTokens(
        self, request: _pb.ListTokensRequest, context: Context
    ) -> _pb.ListTokensResponse:
        page = Page(request, (datetime, UUID))
        response = _pb.ListTokensResponse()

        async def look(after: Key | None, limit: int) -> Sequence[StoredToken]:
            return await self._tokens.tokens(
                with_ended=request.with_ended,
                after=(after[0], after[1]) if after is not None else None,
                limit=limit,
            )

        response.next_page_token = await fill(
            page,
            response.tokens,
            look,
            token_to_proto,
            lambda token, _: (token.created_at, token.token_id),
        )
        return response

    async def RevokeToken(
        self, request: _pb.RevokeTokenRequest, context: Context
    ) -> _pb.RevokeTokenResponse:
        if not may_be_ours(request.token_id):
            raise InvalidId(
                f'token_id "{shown(request.token_id)}" is not the id of a token; `waystation tokens list` '
                "shows all.",
                field="token_id",
                value=shown(request.token_id),
            )
        token = await self._tokens.revoke_token(request.token_id, by=audited_call())
        log.info("token_revoked", token=token.name, token_id=token.token_id, by=caller().name)
        return _pb.RevokeTokenResponse(token=token_to_proto(token))
