"""The way in from any process: start instances, look at them, act on them; it runs no workflow code and no steps."""

from orchestrator.client.access import ROLES, Access, AuditEntry, TokenView
from orchestrator.client.batches import BatchCreated, BatchDeleted, BatchError
from orchestrator.client.instance import Instance, InstanceState
from orchestrator.client.messages import RejectedMessage
from orchestrator.client.outputs import StepOutput
from orchestrator.client.root import Client, load_doorbell
from orchestrator.client.subscription import InstanceEvent, Subscription
from orchestrator.client.workflow import WorkflowClient
from orchestrator.engine.answers import Answer, Claimed
from orchestrator.engine.jobs import BulkJob

__all__ = [
    "ROLES",
    "Access",
    "Answer",
    "AuditEntry",
    "BatchCreated",
    "BatchDeleted",
    "BatchError",
    "BulkJob",
    "Claimed",
    "Client",
    "Instance",
    "InstanceEvent",
    "InstanceState",
    "RejectedMessage",
    "StepOutput",
    "Subscription",
    "TokenView",
    "WorkflowClient",
    "load_doorbell",
]
