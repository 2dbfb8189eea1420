"""What `make demo` runs: the examples on real input in one process, shown live and checked; it decides nothing itself.

`python -m examples.demo` runs it. The exit code is 0 only if everything came out as it must.
"""

import os
import shutil
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime
from itertools import groupby
from pathlib import Path
from pydoc_data import topics

# Run as a file, only the file's own folder is on the path, and the packages are one above.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from examples.cart_reminder.app import CartReminder
from examples.documents.app import Documents
from examples.orders.app import OrderProcessing, StockReport
from examples.orders.payment_service import Ledger, PaymentService, running
from orchestrator import Client, Instance, OrchestratorError, Settings
from orchestrator.authoring.registry import Registry
from orchestrator.cli.changes import Changes
from orchestrator.cli.liveview import live_view
from orchestrator.clock import SystemClock
from orchestrator.inspection import InstanceDetail
from tasks.embedded import Embedded
from web import Server, create_app

ROOT = Path(__file__).resolve().parents[1]
DATABASE_URL = "sqlite:///.orchestrator/demo.db"
QUERY = "enter and exit methods of a context manager"
ORDER = {"customer": "Ann", "items": [{"sku": "kettle"}, {"sku": "tea", "quantity": 2}]}
#: Far more than it takes: whatever needs longer has gone wrong, and the demo must say so instead of waiting.
PATIENCE_SECONDS = 40
FEW_LINES = 2


class NotAsExpected(Exception):
    """Something came out otherwise than it must."""


def main() -> int:
    if hasattr(sys.stdout, "reconfigure"):
        sys.stdout.reconfigure(errors="replace")  # a terminal that has no sign for a clock shall still see the rest
    started = time.perf_counter()
    try:
        with ExitStack() as running_parts:
            demonstrate(running_parts)
    except (NotAsExpected, OrchestratorError, OSError) as error:
        print(f"\nThe demo did not come out as expected: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    print(f"\nAll as expected, in {time.perf_counter() - started:.1f} s.\n")
    print(what_next())
    return 0


def demonstrate(parts: ExitStack) -> None:
    """Start everything, run the examples, and look at the pages; `parts` stops it all."""
    payments = parts.enter_context(running(ledger=Ledger()))
    os.environ["PAYMENT_URL"] = payments.url
    registry = Registry([Documents, OrderProcessing, StockReport, CartReminder])
    settings = Settings(database_url=DATABASE_URL, redis_url=None, broker_url=None)
    client = parts.enter_context(Embedded(settings, registry)).client
    pages = parts.enter_context(Server(create_app(client), "127.0.0.1", 0))
    print("One process, no services: workers, timers and pages, and a payment service to fail now and then.")
    print(f"  database  {DATABASE_URL}\n  pages     {pages.url}/\n  payments  {payments.url}/charges")
    show_documents(client)
    show_order(client, payments)
    show_rollback(client, payments)
    show_schedule(client)
    with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(f"{pages.url}/", timeout=10) as answer:
        expect(answer.status == 200, f"the pages answer {answer.status}")


def show_documents(client: Client) -> None:
    print(f"\n1. documents: {len(topics.topics)} help texts of this Python, a parallel step for each, and a question\n")
    instance = client.workflow(Documents).create({"query": QUERY})
    detail, seconds = follow(instance, instance.watch(timeout=PATIENCE_SECONDS))
    answer = instance.result(timeout=1)

    print(f'\n"{QUERY}"')
    columns = shutil.get_terminal_size((120, 24)).columns
    for hit in answer.hits:
        print(f"  {hit.score:>5.1f}  {hit.file:<22} {hit.snippet}"[: columns - 1])
    print(f"{answer.files} files, {answer.chunks} chunks, {len(detail.steps)} steps in {seconds:.1f} s")
    expect(answer.files == len(topics.topics), f"{answer.files} files were indexed, not {len(topics.topics)}")
    expect(any(hit.file == "context-managers.txt" for hit in answer.hits), "the best text is not among the hits")


def show_order(client: Client, payments: PaymentService) -> None:
    print(
        "\n2. order-processing: two payments fail, then the order waits for a manager, whose approval this demo sends\n"
    )
    instance = client.workflow(OrderProcessing).create(ORDER)
    _, seconds = follow(
        instance, when_it_waits(instance, lambda: instance.send_event("approval", {"by": "the demo's manager"}))
    )
    receipt = instance.result(timeout=1)

    print(f"\nreceipt of order {instance.id}")
    for name, value in receipt.model_dump().items():
        print(f"  {name:<12} {value}")
    attempts, charges = receipt.payment.attempts, list(payments.ledger.charges.values())
    print(f"{attempts} attempts to pay, {len(charges)} charge, approved by {receipt.decided_by}, in {seconds:.1f} s")
    expect(receipt.status == "confirmed", f"the order is {receipt.status}")
    expect(attempts == 3, f"the payment took {attempts} attempts, not 3")
    expect([charge.amount_cents for charge in charges] == [receipt.total_cents], f"charged were {charges}")
    expect(Path(receipt.letter).is_file(), f"there is no letter {receipt.letter}")


def show_rollback(client: Client, payments: PaymentService) -> None:
    print("\n3. order-processing again: the customer calls the order off, and its steps are undone, newest first\n")
    instance = client.workflow(OrderProcessing).create(ORDER)
    follow(instance, when_it_waits(instance, lambda: instance.terminate(rollback=True)))

    status, charge = instance.status(), list(payments.ledger.charges.values())[-1]
    print(f"\n{status.status}, {1 if charge.refunded else 0} charge refunded, the goods are back in the stock")
    expect(status.status == "terminated", f"the order is {status.status}")
    expect(status.rollback == {"outcome": "complete", "error": None}, f"the rollback came out as {status.rollback}")
    expect(charge.refunded, f"{charge} was not refunded")


def show_schedule(client: Client) -> None:
    reports = client.workflow(StockReport)
    (schedule,) = reports.schedules()
    coming = datetime.fromtimestamp(schedule.next_times[0] / 1000, UTC)
    print(
        f"\n4. stock-report: due at {schedule.cron} in {schedule.timezone}, next {coming:%a %d %b %H:%M} UTC; now on demand"
    )
    report = reports.run_schedule(schedule.id).result(timeout=PATIENCE_SECONDS)
    stock = ", ".join(f"{left:,} x {sku}" for sku, left in report.available.items())
    print(f"\nin the stock report {report.file}: {stock}")
    expect(Path(report.file).is_file(), f"there is no report {report.file}")


def when_it_waits(instance: Instance, act: Callable[[], object]) -> Iterator[InstanceDetail]:
    """What happens to the instance; as soon as it waits for an event, this acts."""
    acted = False
    for detail in instance.watch(timeout=PATIENCE_SECONDS):
        yield detail
        if not acted and any(step.kind == "waitForEvent" and step.status == "waiting" for step in detail.steps):
            act()
            acted = True


def follow(instance: Instance, details: Iterator[InstanceDetail]) -> tuple[InstanceDetail, float]:
    """Show the steps until the instance ends; how it ended, and the seconds it took."""
    started = time.perf_counter()
    if sys.stdout.isatty() and os.environ.get("TERM") != "dumb":
        live_view(details, stderr=False)
    else:
        print_changes(details)
    seconds = time.perf_counter() - started
    return instance.describe(), seconds


def print_changes(details: Iterator[InstanceDetail]) -> None:
    changes = Changes()
    for detail in details:
        for line in folded(changes.lines(detail, SystemClock().now_ms())):
            print(line, flush=True)


def folded(lines: list[str]) -> Iterator[str]:
    """Of many steps that came to the same state together, the first and their number."""
    for _, alike in groupby(lines, key=lambda line: line.split()[1:3]):
        first, *more = alike
        yield first
        if len(more) > FEW_LINES:
            yield f"{'':>8}  … and {len(more)} more"
        else:
            yield from more


def expect(holds: bool, otherwise: str) -> None:
    if not holds:
        raise NotAsExpected(otherwise)


def what_next() -> str:
    """Commands that work as they are printed, wherever the demo was started and whatever the PATH holds."""
    orchestrator, python = command("orchestrator"), command("python")
    here = "" if Path.cwd() == ROOT else f"\n  cd {ROOT}"
    database = DATABASE_URL if Path.cwd() == ROOT else DATABASE_URL.replace("///", f"///{Path.cwd()}/")
    return f"""What to do next{here}

  See what the demo left behind (then open http://127.0.0.1:8787/):
    ORCHESTRATOR_DATABASE_URL={database} ORCHESTRATOR_AUTH=loopback {orchestrator} web

  Ask about texts of your own:
    {orchestrator} dev examples/documents/app.py          # in a terminal of its own
    {orchestrator} trigger documents '{{"query": "your words", "folder": "/path/to/your/texts"}}' --watch

  Be the manager:
    {orchestrator} dev examples/orders/app.py             # in a terminal of its own
    {python} -m examples.orders.payment_service       # in another
    {orchestrator} trigger order-processing '{{"customer": "Ann", "items": [{{"sku": "cup"}}]}}'
    {orchestrator} instances send-event order-processing latest --type approval --payload '{{"by": "you"}}'

  Read examples/README.md, then change examples/orders/app.py while `dev` runs: it reloads."""


def command(name: str) -> str:
    """The program's name if the shell would find the one of this environment, else its path."""
    own = Path(sys.executable).with_name(name)
    found = shutil.which(name)
    if not own.exists() or (found is not None and Path(found).resolve() == own.resolve()):
        return name
    return os.path.relpath(own) if own.is_relative_to(Path.cwd()) else str(own)


if __name__ == "__main__":
    sys.exit(main())
