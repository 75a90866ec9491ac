"""Two pools on real servers: events go to the right one, and what becomes of them when it is gone."""

import asyncio
import subprocess
from pathlib import Path

import pytest
from e2e.conftest import StartParts
from support.stories import read_story
from support.system import BINARIES, Parts
from support.waiting import eventually

from localservers.ports import free_port
from waystation.v1.workflow_service_pb2 import BLOCKER_KIND_NO_ROUTER
from waystation_worker import Client

HANDLERS = '''
from waystation_worker import HandlerService, task

service = HandlerService("scoring")


@task(service, on="workflow.started", workflows="scoring")
async def begin(ctx):
    ctx.emit("fraud.wanted")


@task(service, on="fraud.*", workflows="scoring")
async def score(ctx):
    ctx.complete({"scored": True})


service.run()
'''
