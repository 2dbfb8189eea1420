"""Tests of workflows in milliseconds: modify steps and waits, move the clock, look inside; production never loads it."""

from orchestrator.testing.introspection import InstanceIntrospector, WorkflowIntrospector
from orchestrator.testing.misuse import IntrospectionError, UnusedModifierWarning
from orchestrator.testing.modifier import Modifier
from orchestrator.testing.steps import StepSelector
from orchestrator.testing.workflow_test import WorkflowTest, introspect_workflow, introspect_workflow_instance

__all__ = [
    "InstanceIntrospector",
    "IntrospectionError",
    "Modifier",
    "StepSelector",
    "UnusedModifierWarning",
    "WorkflowIntrospector",
    "WorkflowTest",
    "introspect_workflow",
    "introspect_workflow_instance",
]
