"""A card processor to try against, so that the orders example meets real failures of a real network; never for money.

`python -m examples.orders.payment_service` runs it. It listens on this machine only and forgets its charges at the end.
"""

import argparse
import json
import random
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Literal

PORT = 8790
#: The first three answers with this seed: service unavailable, an answer lost after charging, a good answer.
SEED = 18
FAILURE_RATE = 0.4
DECLINED_CARD = "tok_declined"

Outcome = Literal["answers", "is unavailable", "loses its answer"]


@dataclass
class Charge:
    id: str
    card: str
    amount_cents: int
    refunded: bool = False


@dataclass
class Ledger:
    """What was charged under which idempotency key, and which of the coming requests fail."""

    seed: int = SEED
    failure_rate: float = FAILURE_RATE
    charges: dict[str, Charge] = field(default_factory=dict)
    requests: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self._dice = random.Random(self.seed)
        self._lock = threading.Lock()

    def next_outcome(self) -> Outcome:
        """One seed gives one row of outcomes, so that a run can be had again."""
        with self._lock:
            fails, loses = self._dice.random() < self.failure_rate, self._dice.random() < 0.5
            outcome: Outcome = "answers" if not fails else "loses its answer" if loses else "is unavailable"
            self.requests[outcome] += 1
            return outcome

    def charge(self, key: str, card: str, amount_cents: int) -> Charge | None:
        """The charge made under this key, now or before; None if the key was used for something else."""
        with self._lock:
            charge = self.charges.setdefault(key, Charge(f"ch_{len(self.charges) + 1:04}", card, amount_cents))
            return charge if (charge.card, charge.amount_cents) == (card, amount_cents) else None

    def refund(self, key: str) -> Charge | None:
        """Mark what was charged under this key as refunded; None if nothing was. A second time changes nothing."""
        with self._lock:
            charge = self.charges.get(key)
            if charge is not None:
                charge.refunded = True
            return charge


class PaymentService(ThreadingHTTPServer):
    """The HTTP server; port 0 takes a free one."""

    daemon_threads = True

    def __init__(self, port: int = PORT, ledger: Ledger | None = None, *, log: bool = False) -> None:
        self.ledger = ledger or Ledger()
        self.log = log
        super().__init__(("127.0.0.1", port), PaymentRequest)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class PaymentRequest(BaseHTTPRequestHandler):
    """POST /charges, POST /refunds (both with the Idempotency-Key of the charge), GET /charges."""

    server: PaymentService

    def do_GET(self) -> None:
        ledger = self.server.ledger
        if self.path == "/charges":
            charges = [asdict(charge) for charge in ledger.charges.values()]
            self.answer(HTTPStatus.OK, {"charges": charges, "requests": dict(ledger.requests)})
        else:
            self.answer(HTTPStatus.NOT_FOUND, {"error": f"there is no {self.path} here; try /charges"})

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        outcome = self.server.ledger.next_outcome()
        if outcome == "is unavailable":
            self.answer(HTTPStatus.SERVICE_UNAVAILABLE, {"error": "the card network does not answer"})
            return
        status, reply = self.handle_post(body)
        if outcome == "loses its answer":
            # The nastiest failure of all: it was done, and the caller will never hear so.
            self.close_connection = True
            self.log_message("%s: done, but the answer is lost", self.path)
            return
        self.answer(status, reply)

    def handle_post(self, body: bytes) -> tuple[HTTPStatus, dict[str, object]]:
        key = self.headers.get("Idempotency-Key")
        if self.path not in ("/charges", "/refunds"):
            return HTTPStatus.NOT_FOUND, {"error": f"there is no {self.path} here"}
        if not key:
            return HTTPStatus.BAD_REQUEST, {"error": "the Idempotency-Key header is missing"}
        if self.path == "/charges":
            return self.handle_charge(key, body)
        refunded = self.server.ledger.refund(key)
        return HTTPStatus.OK, {"refunded": asdict(refunded) if refunded else None}

    def handle_charge(self, key: str, body: bytes) -> tuple[HTTPStatus, dict[str, object]]:
        try:
            asked = json.loads(body)
            card, amount_cents = asked["card"], asked["amount_cents"]
        except (ValueError, KeyError, TypeError):
            return HTTPStatus.BAD_REQUEST, {"error": 'the body must be {"card": …, "amount_cents": …} as JSON'}
        if card == DECLINED_CARD:
            return HTTPStatus.PAYMENT_REQUIRED, {"error": "the card was declined"}
        charge = self.server.ledger.charge(key, card, amount_cents)
        if charge is None:
            return HTTPStatus.CONFLICT, {"error": "this Idempotency-Key was used for another charge"}
        return HTTPStatus.OK, asdict(charge)

    def answer(self, status: HTTPStatus, reply: dict[str, object]) -> None:
        body = json.dumps(reply).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        if self.server.log:
            super().log_message(format, *args)


@contextmanager
def running(port: int = 0, ledger: Ledger | None = None) -> Iterator[PaymentService]:
    """The service in a thread of this process, until the block is left."""
    with PaymentService(port, ledger) as service:
        thread = threading.Thread(target=service.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        thread.start()
        try:
            yield service
        finally:
            service.shutdown()
            thread.join()


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m examples.orders.payment_service", description=__doc__)
    parser.add_argument("--port", type=int, default=PORT)
    parser.add_argument("--seed", type=int, default=SEED, help="which requests fail: the same seed, the same ones")
    parser.add_argument("--failure-rate", type=float, default=FAILURE_RATE, help="from 0 (never) to 1 (always)")
    options = parser.parse_args()
    ledger = Ledger(options.seed, options.failure_rate)
    try:
        service = PaymentService(options.port, ledger, log=True)
    except OSError as error:
        sys.exit(
            f"port {options.port} can't be used ({error.strerror}). Take another with --port N,"
            " and tell the worker: PAYMENT_URL=http://127.0.0.1:N"
        )
    with service:
        print(f"payment service on {service.url} (see {service.url}/charges); Ctrl-C stops it", flush=True)
        try:
            service.serve_forever()
        except KeyboardInterrupt:
            print("stopped")


if __name__ == "__main__":
    main()
