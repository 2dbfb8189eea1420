"""The Celery tasks: parse, one call of the engine, log; they hold no logic and never raise to Celery."""

from __future__ import annotations

import logging

from celery import shared_task

from orchestrator.engine.convoy import advance_among, advance_together
from orchestrator.engine.step_runs import run_steps
from orchestrator.errors import DatabaseUnavailable
from tasks import process
from tasks.names import ADVANCE, ADVANCE_TOGETHER, RUN_STEP

log = logging.getLogger(__name__)


@shared_task(name=ADVANCE)  # type: ignore[untyped-decorator]
def advance_task(instance_pk: int) -> None:
    """The coordinator: take the instance up and go on with it as far as it goes."""
    try:
        advance_among(process.addressed(), int(instance_pk))
    except DatabaseUnavailable as error:
        log.warning("instance %r could not be advanced; it will be rung again: %s", instance_pk, error)
    except Exception:
        # Celery must not see it: it would only log it, while the row in the database says what is to be done.
        log.exception("instance %r could not be advanced; it will be rung again", instance_pk)


@shared_task(name=ADVANCE_TOGETHER)  # type: ignore[untyped-decorator]
def advance_together_task(instance_pks: list[int]) -> None:
    """The coordinator for several instances that have work at the same moment."""
    try:
        advance_together(process.addressed(), [int(pk) for pk in instance_pks])
    except Exception:
        log.exception("%d instances could not be advanced; they will be rung again", len(instance_pks))


@shared_task(name=RUN_STEP)  # type: ignore[untyped-decorator]
def run_step_task(instance_pk: int) -> None:
    """Run ready steps of the instance, one after another, until none is left."""
    try:
        run_steps(process.addressed(), int(instance_pk))
    except DatabaseUnavailable as error:
        log.warning("steps of instance %r could not be run; they will be rung again: %s", instance_pk, error)
    except Exception:
        log.exception("steps of instance %r could not be run; they will be rung again", instance_pk)
