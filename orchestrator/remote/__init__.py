"""The client for where the database can't be reached: the interface of `orchestrator.client`, spoken over HTTP."""

from orchestrator.remote.instance import RemoteInstance
from orchestrator.remote.root import RemoteClient
from orchestrator.remote.workflow import RemoteWorkflowClient

__all__ = ["RemoteClient", "RemoteInstance", "RemoteWorkflowClient"]
