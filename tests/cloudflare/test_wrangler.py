"""wrangler, unmodified: every command it has for workflows, and what it prints of our answers."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cloudflare.conftest import Cloud
from tests.cloudflare.wrangler import Wrangler
from web import WebSettings, create_app, start

Fresh = Callable[[str], str]


def test_list_shows_the_workflows(cli: Wrangler) -> None:
    said = cli("list").out
    assert "Showing 5 workflows from page 1:" in said
    assert "│ sleeper │ app         │ Sleeper    │" in said
    assert [row["name"] for row in cli("list", "--per-page", "1", "--page", "2", "--json").json] == ["failing"]
    assert "No Workflows found on page 9" in cli("list", "--page", "9").err


def test_describe_shows_a_workflow_and_its_latest_version(cli: Wrangler, cloud: Cloud) -> None:
    said = cli("describe", "orders").out
    version = cloud.client.workflow("orders").versions()[0].id
    assert "Class Name:" in said
    assert "Orders" in said
    assert "Latest Version:" in said
    assert version in said


def test_trigger_starts_an_instance_with_its_id_and_params(cli: Wrangler, cloud: Cloud, fresh: Fresh) -> None:
    id = fresh("o")
    said = cli("trigger", "orders", '{"items": 2}', "--id", id)
    assert f'🚀 Workflow instance "{id}" has been queued successfully' in said.out
    made = cloud.client.workflow("orders").get(id).describe()
    assert (made.params, made.trigger) == ({"items": 2}, "api")
    refused = cli.run("trigger", "orders", "--id", id)
    assert refused.code == 1
    assert "workflows.api.error.instance.already_exists [code: 10405]" in refused.err


@pytest.mark.cloudflare(79)
def test_an_instance_is_described_while_it_waits_and_after_an_event(cli: Wrangler, cloud: Cloud, fresh: Fresh) -> None:
    id = cloud.order(fresh("o"))
    said = cli("instances", "describe", "orders", id).out
    for line in (
        "Workflow Name:         orders",
        f"Instance Id:           {id}",
        "Status:                ⏰ Waiting",
        "Trigger:               🌎 API",
        "Last Successful Step:  cool down-1",
        "Type:      🎯 Step",
        'Output:    "{\\"items\\":3}"',
        "Type:      💤 Sleeping",
        "Type:      👀 Waiting for event",
        "Duration:  1 day",
    ):
        assert line in said, said
    assert "❌ Error   │ ConnectionError: the warehouse does not answer" in said
    assert said.count("✅ Success") == 1

    sent = cli("instances", "send-event", "orders", id, "--type", "approval", "--payload", '{"by":"ann"}')
    assert f'📤 The event with type "approval" and payload "{{"by":"ann"}}" was sent to the instance "{id}"' in sent.out
    cloud.reaches("orders", id, "complete")
    done = cli("instances", "describe", "orders", id, "--json").json
    assert (done["id"], done["status"], done["success"]) == (id, "complete", True)
    assert done["output"] == {"found": {"items": 3}, "by": "ann"}
    assert done["steps"][2]["output"] == '{"by":"ann"}'


@pytest.mark.cloudflare(79)
def test_the_latest_instance_is_described_with_its_error(cli: Wrangler, cloud: Cloud, fresh: Fresh) -> None:
    id = cloud.create("failing", fresh("f"), until="errored")
    said = cli("instances", "describe", "failing", "latest").out
    assert f"Instance Id:           {id}" in said
    assert "Status:                ❌ Errored" in said
    assert "Error:                 StockError: out of stock" in said
    assert "❌ Error │ StockError: out of stock" in said
    short = cli("instances", "describe", "failing", id, "--no-step-output").out
    assert "Output" not in short


def test_instances_are_listed_filtered_and_paged(cli: Wrangler, cloud: Cloud, fresh: Fresh) -> None:
    first, second, third = (cloud.create("wordy", fresh("w"), until="complete") for _ in range(3))
    said = cli("instances", "list", "wordy", "--status", "complete").out
    assert said.index(third) < said.index(second) < said.index(first)
    assert "✅ Completed" in said
    # Page 2 is found by the cursor of page 1.
    assert [
        row["id"] for row in cli("instances", "list", "wordy", "--per-page", "1", "--page", "2", "--json").json
    ] == [second]
    nothing = cli("instances", "list", "wordy", "--date-start", "2100-01-01", "--date-end", "2100-01-02")
    assert 'No instances in workflow "wordy" matched the provided filters.' in nothing.err


def test_instances_are_paused_resumed_restarted_and_terminated(cli: Wrangler, cloud: Cloud, fresh: Fresh) -> None:
    id = cloud.create("sleeper", fresh("s"), until="waiting")
    assert f'⏸️ The instance "{id}" from sleeper was paused successfully' in cli("instances", "pause", "sleeper", id).out
    cloud.reaches("sleeper", id, "paused")
    assert (
        f'🔄 The instance "{id}" from sleeper was resumed successfully' in cli("instances", "resume", "sleeper", id).out
    )
    cloud.reaches("sleeper", id, "waiting")
    assert "was restarted successfully" in cli("instances", "restart", "sleeper", id).out
    said = cli("instances", "terminate", "sleeper", id).out
    assert f'🥷 The instance "{id}" from sleeper was terminated successfully' in said
    assert cloud.client.workflow("sleeper").get(id).status().status == "terminated"
    refused = cli.run("instances", "terminate", "sleeper", id)
    assert refused.code == 1
    assert "Cannot terminate instance since its on a finite state" in refused.err


@pytest.mark.cloudflare(79)
def test_terminate_with_rollback_undoes_what_was_done(cli: Wrangler, cloud: Cloud, fresh: Fresh) -> None:
    id = cloud.create("booking", fresh("b"), until="waiting")
    assert "was terminated successfully" in cli("instances", "terminate", "booking", id, "--rollback").out
    cloud.reaches("booking", id, "terminated")
    rollback = cloud.client.workflow("booking").get(id).status().rollback
    assert rollback is not None
    assert rollback["outcome"] == "complete"


@pytest.mark.cloudflare(79)
def test_an_instance_is_restarted_from_a_step(cli: Wrangler, cloud: Cloud, fresh: Fresh) -> None:
    id = cloud.create("wordy", fresh("w"), until="complete")
    options = ("--from-step-name", "write", "--from-step-count", "1", "--from-step-type", "do")
    assert "was restarted successfully" in cli("instances", "restart", "wordy", id, *options).out
    assert len(cloud.client.workflow("wordy").get(id).runs()) == 2
    refused = cli.run("instances", "restart", "wordy", id, "--from-step-name", "never")
    assert refused.code == 1
    assert "not found in execution history" in refused.err


@pytest.mark.cloudflare(79)
def test_instances_are_deleted_by_id_and_by_file_and_what_failed_is_told_last(
    cli: Wrangler, cloud: Cloud, fresh: Fresh, tmp_path: Path
) -> None:
    first, second = (cloud.create("wordy", fresh("w"), until="complete") for _ in range(2))
    file = tmp_path / "ids.json"
    file.write_text(json.dumps([second, "none-such"]))
    said = cli.run("instances", "delete", "wordy", first, "--filename", str(file))
    assert said.code == 1
    assert f'🗑️  Deleted workflow instances from "wordy": "{first}", "{second}"' in said.out
    assert "Failed to delete 1 workflow instance(s):" in said.err
    assert "- none-such: workflows.api.error.instance.not_found" in said.err


@pytest.mark.cloudflare(79)
def test_all_instances_are_terminated_by_status(cli: Wrangler, cloud: Cloud, fresh: Fresh) -> None:
    id = cloud.create("sleeper", fresh("s"), until="waiting")
    said = cli("instances", "terminate-all", "sleeper", "--status", "waiting").out
    assert '🥷 A job to terminate instances from Workflow "sleeper" with status "waiting" has been started.' in said
    cloud.reaches("sleeper", id, "terminated")
    with cloud.terminating("failing"):
        assert "is already running." in cli("instances", "terminate-all", "failing").out
    assert cli("instances", "terminate-all", "failing", "--json").json == {"status": "ok"}
    refused = cli.run("instances", "terminate-all", "nothing")
    assert refused.code == 1
    assert "workflows.api.error.workflow.not_found [code: 10200]" in refused.err


def test_a_workflow_is_deleted_with_its_instances(cli: Wrangler, cloud: Cloud) -> None:
    cloud.doomed()
    said = cli("delete", "doomed").out
    assert '✅ Workflow "doomed" removed successfully.' in said
    cloud.doomed_is_gone()
    refused = cli.run("delete", "doomed")
    assert refused.code == 1
    assert "workflows.api.error.workflow.not_found [code: 10200]" in refused.err


@pytest.mark.cloudflare(79)
def test_wrangler_has_no_command_that_is_not_tried_here(cli: Wrangler) -> None:
    commands = re.findall(r"^  wrangler workflows ([a-z -]+?) [ <\[]", cli("--help").out, re.MULTILINE)
    assert set(commands) == {"list", "describe", "delete", "trigger", "instances"}
    commands = re.findall(
        r"^  wrangler workflows instances ([a-z -]+?) [ <\[]", cli("instances", "--help").out, re.MULTILINE
    )
    # `terminate-all` is there and not listed.
    assert set(commands) == {"list", "describe", "send-event", "terminate", "restart", "pause", "resume", "delete"}


def test_what_is_not_there_is_said_with_cloudflares_numbers(cli: Wrangler) -> None:
    missing = cli.run("instances", "describe", "orders", "nothing")
    assert missing.code == 1
    assert "workflows.api.error.instance.not_found [code: 10400]" in missing.err
    unknown = cli.run("describe", "nothing")
    assert unknown.code == 1
    assert "workflows.api.error.workflow.not_found [code: 10200]" in unknown.err


@pytest.mark.cloudflare(79)
def test_local_commands_find_the_interface_on_the_port_of_the_development_server(
    cli: Wrangler, cloud: Cloud, fresh: Fresh
) -> None:
    id = fresh("s")
    with start(create_app(cloud.client, settings=WebSettings(auth="loopback")), "127.0.0.1", 0) as server:
        local = ("--local", "--port", server.url.rpartition(":")[2])
        assert "triggered successfully" in cli("trigger", "sleeper", "--id", id, *local).out
        cloud.reaches("sleeper", id, "waiting")
        assert "⏰ Waiting" in cli("instances", "describe", "sleeper", id, *local).out
        assert "was terminated successfully" in cli("instances", "terminate", "sleeper", id, *local).out
