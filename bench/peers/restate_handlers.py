"""The same work for Restate: a durable step for each task. Served by granian, in the peer's environment:

granian --interface asgi --http 2 bench.peers.restate_handlers:app
"""

from typing import Any

import restate

CHECKS = ("risk", "fraud", "vehicle")

claims = restate.Service("claims")


def _process(claim: dict[str, Any]) -> dict[str, Any]:
    return {
        "claim": claim,
        "claim_type": "car" if "car" in claim["text"] else "home",
        "amount": round(claim["amount"] * 1.19, 2),
    }


def _validate(data: dict[str, Any]) -> bool:
    return 0 < data["amount"] < 1_000_000


def _summary(data: dict[str, Any]) -> str:
    return f"{data['claim_type']} claim over {data['amount']:.2f}"


def _check(name: str, data: dict[str, Any]) -> float:
    if name == "risk":
        return float(data["amount"]) / 1_000
    return len(data["claim"]["text"]) / 100 if name == "fraud" else 0.5


def _total(scores: list[float]) -> float:
    return sum(scores)


@claims.handler("claim_3")
async def claim_3(ctx: restate.Context, request: dict[str, Any]) -> dict[str, Any]:
    """Process, validate, complete: durable after each."""
    data = await ctx.run_typed("process", _process, claim=request["claim"])
    data["valid"] = await ctx.run_typed("validate", _validate, data=data)
    return {"summary": await ctx.run_typed("complete", _summary, data=data)}


@claims.handler("claim_fan")
async def claim_fan(ctx: restate.Context, request: dict[str, Any]) -> dict[str, Any]:
    """Process, three checks at once, complete."""
    data = await ctx.run_typed("process", _process, claim=request["claim"])
    checks = [ctx.run_typed(name, _check, name=name, data=data) for name in CHECKS]
    scores = [await check for check in await restate.gather(*checks)]
    return {"score": await ctx.run_typed("complete", _total, scores=scores)}


app = restate.app([claims])
