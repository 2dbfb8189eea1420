"""Cloudflare's Python SDK, unmodified: every method it has for workflows, and what it makes of our answers."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from functools import cached_property
from types import FunctionType
from typing import Any

import cloudflare
import httpx
import pytest
from cloudflare import Cloudflare

from tests.cloudflare.conftest import ACCOUNT, Cloud
from tests.processes.workers import until

Fresh = Callable[[str], str]


def test_workflows_are_listed_page_by_page_and_found_by_name(sdk: Cloudflare) -> None:
    names = [row.name for row in sdk.workflows.list(account_id=ACCOUNT, per_page=2)]
    assert names == ["booking", "failing", "orders", "sleeper", "wordy"]
    first = sdk.workflows.list(account_id=ACCOUNT, per_page=2)
    assert first.result_info is not None
    assert (first.result_info.page, first.result_info.per_page, len(first.result)) == (1, 2, 2)
    assert [row.name for row in sdk.workflows.list(account_id=ACCOUNT, search="ORD")] == ["orders", "wordy"]


def test_a_workflow_is_shown_with_its_class_its_module_and_its_counts(
    sdk: Cloudflare, cloud: Cloud, fresh: Fresh
) -> None:
    cloud.create("sleeper", fresh("s"), until="waiting")
    shown = sdk.workflows.get("sleeper", account_id=ACCOUNT)
    assert (shown.name, shown.class_name, shown.script_name) == ("sleeper", "Sleeper", "app")
    assert shown.instances["waiting"] >= 1
    assert set(shown.instances) == {
        "queued", "running", "paused", "errored", "terminated", "complete", "waiting", "waitingForPause", "rollingBack",
    }  # fmt: skip
    assert shown.triggered_on is not None
    assert shown.created_on <= shown.modified_on
    assert shown.created_on.tzinfo is not None


def test_an_instance_goes_from_its_creation_to_its_output(sdk: Cloudflare, cloud: Cloud, fresh: Fresh) -> None:
    id = fresh("o")
    of = {"account_id": ACCOUNT, "workflow_name": "orders"}
    made = sdk.workflows.instances.create(
        "orders", account_id=ACCOUNT, instance_id=id, params=json.dumps({"items": 3}), location_hint="weur"
    )
    assert (made.id, made.trigger_source) == (id, "api")
    assert made.status in ("queued", "running", "waiting")
    assert made.workflow_id == sdk.workflows.get("orders", account_id=ACCOUNT).id
    cloud.awaits_approval(id)

    sent = sdk.workflows.instances.events.create("approval", **of, instance_id=id, body={"by": "ann"})
    assert sent.instance_id == id
    assert abs(datetime.now(UTC) - sent.timestamp) < timedelta(minutes=5)
    cloud.reaches("orders", id, "complete")

    shown = sdk.workflows.instances.get(id, **of)
    assert (shown.status, shown.success, shown.params) == ("complete", True, {"items": 3})
    assert shown.output == {"found": {"items": 3}, "by": "ann"}
    assert shown.trigger.source == "api"
    assert shown.start is not None
    assert shown.end is not None
    assert shown.queued <= shown.start <= shown.end
    assert (shown.step_count, [step.type for step in shown.steps]) == (3, ["step", "sleep", "waitForEvent"])


def test_steps_show_their_attempts_their_config_and_what_they_gave(sdk: Cloudflare, cloud: Cloud, fresh: Fresh) -> None:
    id = cloud.order(fresh("o"))
    stock, nap, wait = sdk.workflows.instances.get(id, account_id=ACCOUNT, workflow_name="orders").steps
    assert (stock.type, stock.name, stock.success, stock.output) == ("step", "check stock-1", True, '{"items":3}')
    assert [attempt.success for attempt in stock.attempts] == [False, True]
    assert stock.attempts[0].error is not None
    assert (stock.attempts[0].error.name, stock.attempts[0].error.message) == (
        "ConnectionError", "the warehouse does not answer",
    )  # fmt: skip
    assert (stock.config.retries.limit, stock.config.retries.delay, stock.config.retries.backoff) == (2, 0, "constant")
    assert stock.config.timeout == "1 minute"
    assert (nap.type, nap.name, nap.finished, nap.error) == ("sleep", "cool down-1", True, None)
    assert nap.end - nap.start >= timedelta(milliseconds=5)
    assert (wait.type, wait.name, wait.finished, wait.event_type) == (
        "waitForEvent", "manager approves-1", False, "approval",
    )  # fmt: skip
    assert wait.end - wait.start == timedelta(hours=24)


def test_steps_are_turned_round_or_left_out_on_request(sdk: Cloudflare, cloud: Cloud, fresh: Fresh) -> None:
    id = cloud.order(fresh("o"))
    newest = sdk.workflows.instances.get(id, account_id=ACCOUNT, workflow_name="orders", order="desc")
    assert [step.type for step in newest.steps] == ["waitForEvent", "sleep", "step"]
    simple = sdk.workflows.instances.get(id, account_id=ACCOUNT, workflow_name="orders", simple="true")
    assert simple.step_count == 3
    assert "steps" not in simple.model_fields_set


def test_an_error_has_its_name_and_message(sdk: Cloudflare, cloud: Cloud, fresh: Fresh) -> None:
    id = cloud.create("failing", fresh("f"), until="errored")
    shown = sdk.workflows.instances.get(id, account_id=ACCOUNT, workflow_name="failing")
    assert (shown.success, shown.output) == (False, None)
    assert shown.error is not None
    assert (shown.error.name, shown.error.message) == ("StockError", "out of stock")
    assert [step.success for step in shown.steps] == [True, False]


def test_a_long_output_is_cut_in_the_list_of_steps(sdk: Cloudflare, cloud: Cloud, fresh: Fresh) -> None:
    id = cloud.create("wordy", fresh("w"), until="complete")
    shown = sdk.workflows.instances.get(id, account_id=ACCOUNT, workflow_name="wordy").steps[0].output
    assert shown.endswith("xxx[truncated output]")
    assert len(shown) < 1100


def test_every_action_moves_an_instance(sdk: Cloudflare, cloud: Cloud, fresh: Fresh) -> None:
    id = cloud.create("sleeper", fresh("s"), until="waiting")
    edit = sdk.workflows.instances.status.edit
    of = {"account_id": ACCOUNT, "workflow_name": "sleeper"}
    paused = edit(id, **of, status="pause")
    assert paused.status in ("waitingForPause", "paused")
    assert paused.timestamp.tzinfo is not None
    cloud.reaches("sleeper", id, "paused")
    assert edit(id, **of, status="resume").status in ("queued", "running", "waiting")
    cloud.reaches("sleeper", id, "waiting")
    assert edit(id, **of, status="restart").status in ("queued", "running", "waiting")
    cloud.reaches("sleeper", id, "waiting")
    assert edit(id, **of, status="terminate").status == "terminated"
    last = sdk.workflows.instances.get(id, **of).steps[-1]
    assert (last.type, last.trigger.source) == ("termination", "api")
    with pytest.raises(cloudflare.ConflictError) as refused:
        edit(id, **of, status="terminate")
    assert "terminate" in str(refused.value)
    assert "restart" in str(refused.value)


def test_instances_are_listed_by_page_by_cursor_by_status_and_by_date(
    sdk: Cloudflare, cloud: Cloud, fresh: Fresh
) -> None:
    ids = [cloud.create("failing", fresh("l"), until="errored") for _ in range(5)]
    listing = sdk.workflows.instances.list
    newest = [row.id for row in listing("failing", account_id=ACCOUNT, per_page=2)]
    assert newest[:5] == ids[::-1]
    first = listing("failing", account_id=ACCOUNT, per_page=2, status="errored")
    cursor = first.to_dict()["result_info"]["cursor"]
    assert isinstance(cursor, str)
    second = listing("failing", account_id=ACCOUNT, per_page=2, cursor=cursor)
    assert [row.id for row in second.result] == newest[2:4]
    oldest = listing("failing", account_id=ACCOUNT, per_page=100, direction="asc")
    assert [row.id for row in oldest.result] == newest[::-1]
    assert listing("failing", account_id=ACCOUNT, status="running").result == []
    later = datetime.now(UTC) + timedelta(hours=1)
    assert listing("failing", account_id=ACCOUNT, date_start=later).result == []
    assert len(listing("failing", account_id=ACCOUNT, date_end=later).result) >= 5
    row = first.result[0]
    assert (row.status, row.trigger_source) == ("errored", "api")
    assert row.ended_on is not None


def test_a_batch_is_created_and_those_that_were_not_are_left_out(sdk: Cloudflare, cloud: Cloud, fresh: Fresh) -> None:
    taken, new = cloud.create("sleeper", fresh("s")), fresh("s")
    made = sdk.workflows.instances.bulk(
        "sleeper", account_id=ACCOUNT, body=[{"instance_id": taken}, {"instance_id": new, "params": '{"a": 1}'}, {}]
    )
    assert [row.id == new for row in made.result] == [True, False]
    assert cloud.client.workflow("sleeper").get(new).describe().params == {"a": 1}
    assert cloud.client.workflow("sleeper").get(made.result[1].id).id != taken
    for body in ([], [{}] * 101):
        with pytest.raises(cloudflare.UnprocessableEntityError, match="1 to 100 instances"):
            sdk.workflows.instances.bulk("sleeper", account_id=ACCOUNT, body=body)


def test_a_batch_as_an_object_tells_what_went_wrong_with_each(sdk: Cloudflare, cloud: Cloud, fresh: Fresh) -> None:
    taken, twice = cloud.create("sleeper", fresh("s")), fresh("s")
    path = f"/accounts/{ACCOUNT}/workflows/sleeper/instances/batch"
    given = {"instances": [{"instance_id": taken}, {"instance_id": twice}, {"instance_id": twice}]}
    result = _post(sdk, path, given)
    assert [row["id"] for row in result["created"]] == [twice]
    assert result["errors"] == [
        {"index": 0, "id": taken, "code": 10405, "message": "workflows.api.error.instance.already_exists"},
        {"index": 2, "id": twice, "code": 10415, "message": "workflows.api.error.instance.duplicate_in_batch"},
    ]
    assert len(_post(sdk, path, {"count": 3, "params": {"a": 1}})["created"]) == 3
    gone = _post(sdk, f"{path}/delete", {"instances": [twice, "none-such", twice]})
    missing = {"id": "none-such", "code": 10400, "message": "workflows.api.error.instance.not_found"}
    assert gone == {"deleted": [{"id": twice}, {"id": twice}], "errors": [missing]}


def _post(sdk: Cloudflare, path: str, body: Any) -> Any:
    """What the SDK has no method for yet."""
    return sdk.post(path, body=body, cast_to=object)["result"]  # type: ignore[index]


def test_an_instance_is_restarted_from_a_step(sdk: Cloudflare, cloud: Cloud, fresh: Fresh) -> None:
    id = cloud.create("wordy", fresh("w"), until="complete")
    of = {"account_id": ACCOUNT, "workflow_name": "wordy"}
    sdk.workflows.instances.status.edit(id, **of, status="restart", from_={"name": "write", "count": 1, "type": "do"})
    cloud.reaches("wordy", id, "complete")
    assert [run.restarted_from for run in cloud.client.workflow("wordy").get(id).runs()] == [
        None, {"name": "write", "count": 1, "type": "do"},
    ]  # fmt: skip
    with pytest.raises(cloudflare.APIStatusError, match="not found in execution history"):
        sdk.workflows.instances.status.edit(id, **of, status="restart", from_={"name": "never"})


def test_retention_is_taken_in_milliseconds_or_words(sdk: Cloudflare, fresh: Fresh) -> None:
    create = sdk.workflows.instances.create
    create(
        "sleeper",
        account_id=ACCOUNT,
        instance_id=fresh("s"),
        instance_retention={"success_retention": 60_000, "error_retention": "7 days"},
    )
    with pytest.raises(cloudflare.UnprocessableEntityError, match="soon"):
        create("sleeper", account_id=ACCOUNT, instance_retention={"success_retention": "soon"})


def test_what_a_schedule_starts_is_listed_and_addressed_by_its_odd_id(sdk: Cloudflare, cloud: Cloud) -> None:
    of = {"account_id": ACCOUNT, "workflow_name": "wordy"}
    schedule = cloud.client.workflow("wordy").add_schedule("0 */6 1 1 *")
    shown = sdk.workflows.get("wordy", account_id=ACCOUNT).schedules
    assert shown is not None
    assert [each.cron for each in shown] == ["0 */6 1 1 *"]
    assert shown[0].next_instance.endswith("Z")
    id = cloud.client.workflow("wordy").run_schedule(schedule.id).id
    cloud.reaches("wordy", id, "complete")
    assert sdk.workflows.instances.list("wordy", account_id=ACCOUNT).result[0].trigger_source == "cron"
    found = sdk.workflows.instances.get(id, **of)
    assert found.trigger.source == "cron"
    assert found.schedule is not None
    assert (found.schedule.cron, int(found.schedule.scheduled_time)) == ("0 */6 1 1 *", int(id.rpartition("-")[2]))
    sdk.workflows.instances.status.edit(id, **of, status="restart")
    cloud.reaches("wordy", id, "complete")
    cloud.client.workflow("wordy").remove_schedule(schedule.id)


def test_what_happens_to_an_instance_is_followed_as_it_happens(cloud: Cloud, fresh: Fresh) -> None:
    id = cloud.order(fresh("o"))
    place = f"{cloud.url}/client/v4/accounts/{ACCOUNT}/workflows/orders/instances/{id}/subscribe"
    types = []
    with httpx.stream("GET", place, headers={"Authorization": f"Bearer {cloud.token}"}, timeout=60) as stream:
        for line in stream.iter_lines():
            if line.startswith("event: "):
                types.append(line.removeprefix("event: "))
                if types[-1] == "wait_started":
                    cloud.client.workflow("orders").get(id).send_event("approval", {"by": "ann"})
    assert types[0] == "workflow_queued"
    assert types[-1] == "workflow_completed"
    assert "attempt_errored" in types


def test_the_whole_output_of_a_step_is_shown_and_the_event_of_a_wait(
    sdk: Cloudflare, cloud: Cloud, fresh: Fresh
) -> None:
    step = sdk.workflows.instances.step
    wordy = cloud.create("wordy", fresh("w"), until="complete")
    whole = step(wordy, account_id=ACCOUNT, workflow_name="wordy", name="write-1", type="step")
    assert (whole.status, whole.output, whole.error) == ("complete", "x" * 5000, None)
    order = cloud.order(fresh("o"))
    of = {"account_id": ACCOUNT, "workflow_name": "orders"}
    waiting = step(order, **of, name="manager approves-1", type="waitForEvent")
    assert (waiting.status, waiting.output, waiting.event_type) == ("waiting", None, "approval")
    failed = step(order, **of, name="check stock-1", type="step", attempt=1)
    assert failed.error is not None
    assert (failed.status, failed.error.message) == ("errored", "the warehouse does not answer")
    cloud.client.workflow("orders").get(order).send_event("approval", {"by": "ann"})
    cloud.reaches("orders", order, "complete")
    assert step(order, **of, name="manager approves-1", type="waitForEvent").output == {"by": "ann"}
    with pytest.raises(cloudflare.NotFoundError, match="never"):
        step(order, **of, name="never-1", type="step")


def test_the_versions_of_a_workflow_have_graphs(sdk: Cloudflare, cloud: Cloud, fresh: Fresh) -> None:
    versions = sdk.workflows.versions
    listed = list(versions.list("orders", account_id=ACCOUNT))
    assert [(row.class_name, row.language, row.has_dag) for row in listed] == [("Orders", "python", True)]
    shown = versions.get(listed[0].id, account_id=ACCOUNT, workflow_name="orders")
    assert (shown.id, shown.workflow_id) == (listed[0].id, sdk.workflows.get("orders", account_id=ACCOUNT).id)
    drawn = versions.graph(listed[0].id, account_id=ACCOUNT, workflow_name="orders")
    assert drawn.graph is not None
    assert drawn.graph.workflow.class_name == "Orders"
    kinds = {node.type for node in drawn.graph.workflow.nodes}
    assert {"step_do", "step_sleep", "step_wait_for_event"} <= kinds
    id = cloud.order(fresh("o"))
    assert sdk.workflows.instances.get(id, account_id=ACCOUNT, workflow_name="orders").version_id == listed[0].id
    with pytest.raises(cloudflare.NotFoundError):
        versions.get("none", account_id=ACCOUNT, workflow_name="orders")


def test_a_workflow_is_configured_but_its_code_comes_with_its_workers(sdk: Cloudflare) -> None:
    of = {"account_id": ACCOUNT, "class_name": "Failing", "script_name": "app"}
    put = sdk.workflows.update("failing", **of, limits={"steps": 100}, schedules=[{"cron": "0 5 1 1 *"}])
    assert (put.name, put.class_name, put.is_deleted, put.terminator_running) == ("failing", "Failing", 0, 0)
    shown = sdk.workflows.get("failing", account_id=ACCOUNT)
    assert shown.schedules is not None
    assert [each.cron for each in shown.schedules] == ["0 5 1 1 *"]
    sdk.workflows.update("failing", **of, schedules=[])
    with pytest.raises(cloudflare.UnprocessableEntityError, match="workers have registered"):
        sdk.workflows.update("failing", account_id=ACCOUNT, class_name="Other", script_name="app")


def test_all_instances_of_a_workflow_are_terminated(sdk: Cloudflare, cloud: Cloud, fresh: Fresh) -> None:
    path = f"/accounts/{ACCOUNT}/workflows/sleeper/instances/terminate"
    paused, waiting = (cloud.create("sleeper", fresh("s"), until="waiting") for _ in range(2))
    cloud.client.workflow("sleeper").get(paused).pause()
    cloud.reaches("sleeper", paused, "paused")
    assert _put(sdk, f"{path}?status=paused") == {"status": "ok"}
    cloud.reaches("sleeper", paused, "terminated")
    assert cloud.client.workflow("sleeper").get(waiting).status().status == "waiting"
    until(lambda: not cloud.client.workflow("sleeper").describe().terminator_running, "the end of the job")
    assert _put(sdk, path) == {"status": "ok"}
    cloud.reaches("sleeper", waiting, "terminated")
    with pytest.raises(cloudflare.BadRequestError, match="can't be terminated"):
        _put(sdk, f"{path}?status=complete")
    with pytest.raises(cloudflare.BadRequestError, match="that are never can't be terminated"):
        _put(sdk, f"{path}?status=never")
    with pytest.raises(cloudflare.NotFoundError) as refused:
        _put(sdk, f"/accounts/{ACCOUNT}/workflows/nothing/instances/terminate")
    assert _errors(refused.value) == [(10200, "workflows.api.error.workflow.not_found")]


def test_a_second_termination_of_all_joins_the_first(sdk: Cloudflare, cloud: Cloud) -> None:
    of = {"account_id": ACCOUNT, "class_name": "Failing", "script_name": "app"}
    with cloud.terminating("failing"):
        answer = _put(sdk, f"/accounts/{ACCOUNT}/workflows/failing/instances/terminate")
        assert answer == {"status": "already_running"}
        assert sdk.workflows.update("failing", **of).terminator_running == 1
    assert sdk.workflows.update("failing", **of).terminator_running == 0


def _put(sdk: Cloudflare, path: str) -> Any:
    return sdk.put(path, cast_to=object)["result"]  # type: ignore[index]


def test_a_workflow_is_deleted_with_its_instances(sdk: Cloudflare, cloud: Cloud) -> None:
    cloud.doomed()
    gone = sdk.workflows.delete("doomed", account_id=ACCOUNT)
    assert (gone.status, gone.success) == ("ok", True)
    cloud.doomed_is_gone()
    with pytest.raises(cloudflare.NotFoundError) as refused:
        sdk.workflows.delete("doomed", account_id=ACCOUNT)
    assert _errors(refused.value) == [(10200, "workflows.api.error.workflow.not_found")]


def test_the_sdk_has_no_method_that_is_not_tried_here(sdk: Cloudflare) -> None:
    assert set(_methods(sdk.workflows, "")) == {
        "update", "list", "delete", "get",
        "instances.create", "instances.list", "instances.bulk", "instances.get", "instances.step",
        "instances.status.edit", "instances.events.create",
        "versions.list", "versions.get", "versions.graph",
    }  # fmt: skip


def _methods(resource: Any, place: str) -> Iterator[str]:
    for name, member in vars(type(resource)).items():
        if isinstance(member, FunctionType) and not name.startswith("_"):
            yield place + name
        elif isinstance(member, cached_property) and not name.startswith("with_"):
            yield from _methods(getattr(resource, name), f"{place}{name}.")


def test_a_terminated_instance_undoes_what_it_has_done_on_request(sdk: Cloudflare, cloud: Cloud, fresh: Fresh) -> None:
    id = cloud.create("booking", fresh("b"), until="waiting")
    of = {"account_id": ACCOUNT, "workflow_name": "booking"}
    sdk.workflows.instances.status.edit(id, **of, status="terminate", rollback=True)
    cloud.reaches("booking", id, "terminated")
    shown = sdk.workflows.instances.get(id, **of)
    assert shown.rollback is not None
    assert (shown.rollback.outcome, shown.rollback.error) == ("complete", None)
    assert "rollback" in [step.type for step in shown.steps]


def test_a_wrong_token_is_refused_as_cloudflare_does(cloud: Cloud) -> None:
    with Cloudflare(api_token="wrong", base_url=f"{cloud.url}/client/v4", max_retries=0) as stranger:
        with pytest.raises(cloudflare.AuthenticationError) as refused:
            stranger.workflows.get("orders", account_id=ACCOUNT)
    assert _errors(refused.value) == [(10000, "workflows.api.error.auth.unauthorized")]


def test_what_is_not_there_is_a_404_with_cloudflares_number(sdk: Cloudflare) -> None:
    with pytest.raises(cloudflare.NotFoundError) as refused:
        sdk.workflows.get("nothing", account_id=ACCOUNT)
    assert _errors(refused.value) == [(10200, "workflows.api.error.workflow.not_found")]
    with pytest.raises(cloudflare.NotFoundError) as refused:
        sdk.workflows.instances.get("nothing", account_id=ACCOUNT, workflow_name="orders")
    assert _errors(refused.value) == [(10400, "workflows.api.error.instance.not_found")]


def test_an_id_is_used_once(sdk: Cloudflare, cloud: Cloud, fresh: Fresh) -> None:
    id = cloud.create("sleeper", fresh("s"))
    with pytest.raises(cloudflare.ConflictError) as refused:
        sdk.workflows.instances.create("sleeper", account_id=ACCOUNT, instance_id=id)
    assert _errors(refused.value) == [(10405, "workflows.api.error.instance.already_exists")]


@pytest.mark.parametrize("id", ["batch", "terminate", "terminateAll", "cf_" + "0" * 64, "-a", "a b", "a" * 101])
def test_reserved_and_impossible_ids_are_refused(sdk: Cloudflare, id: str) -> None:
    with pytest.raises(cloudflare.UnprocessableEntityError) as refused:
        sdk.workflows.instances.create("sleeper", account_id=ACCOUNT, instance_id=id)
    assert _errors(refused.value)[0][1] == "workflows.api.error.instance.invalid_id"


def test_params_that_are_no_json_are_refused(sdk: Cloudflare) -> None:
    with pytest.raises(cloudflare.BadRequestError, match="not valid JSON"):
        sdk.workflows.instances.create("sleeper", account_id=ACCOUNT, params="{bad")


def _errors(error: cloudflare.APIStatusError) -> list[tuple[int, str]]:
    body = error.body
    assert isinstance(body, dict)
    assert body["success"] is False
    assert body["messages"][0]["message"].endswith(".")
    return [(row["code"], row["message"]) for row in body["errors"]]
