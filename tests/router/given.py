"""What several tests of routers begin with."""

from waystation_core.domain.model import Instance, Status

INSTANCE = Instance(
    key=1,
    workflow_instance_id="claim-1",
    workflow_type="claim",
    status=Status.ACTIVE,
    version=3,
    revision=3,
    data={},
    unsettled=2,
    dead_letters=0,
    event_count=3,
)
