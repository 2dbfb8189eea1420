"""Errors go to the database and come back with class name and message, so that `except` works on every replay."""

from __future__ import annotations

import json
import ssl
from typing import Any

import pytest
from pydantic import BaseModel, ValidationError

from orchestrator import errors
from orchestrator.errors import NonRetryableError, OrchestratorError, StepError
from orchestrator.serialization import MAX_ERROR_MESSAGE, decode_error, encode_error


class PaymentDeclined(Exception):
    pass


class Rich(Exception):
    """Wants more than a message."""

    def __init__(self, code: int, *, reason: str) -> None:
        super().__init__(f"{code}: {reason}")
        self.code = code


class Templated(Exception):
    """Makes its message of what only the constructor sets."""

    def __init__(self, code: int) -> None:
        self.code = code

    def __str__(self) -> str:
        return f"declined with {self.code}"


class Particular(Exception):
    def __new__(cls, code: int, reason: str) -> Particular:
        return super().__new__(cls, code, reason)

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(f"{code} {reason}")


class Outer:
    class Nested(LookupError):
        pass


class CardStolen(NonRetryableError):
    pass


class Keyed(KeyError):
    pass


def through_the_database(error: BaseException) -> Exception:
    return decode_error(json.loads(json.dumps(encode_error(error))))


@pytest.mark.parametrize(
    "error",
    [
        ValueError("no"),
        ValueError(""),
        ValueError("several\nlines, ünïcode 😀"),
        TypeError("wrong"),
        ZeroDivisionError("division by zero"),
        KeyError("missing"),
        KeyError(("a", 1)),
        IndexError(),
        FileNotFoundError(2, "No such file", "a.txt"),
        ConnectionRefusedError(111, "Connection refused"),
        UnicodeDecodeError("utf-8", b"\xff", 0, 1, "invalid start byte"),
        ssl.SSLError(1, "certificate verify failed"),
        TimeoutError(),
        json.JSONDecodeError("Expecting value", "x", 0),
        PaymentDeclined("over the limit"),
        PaymentDeclined("several", 2, "arguments"),
        Rich(402, reason="over the limit"),
        Templated(402),
        Particular(402, "over the limit"),
        Outer.Nested("inner"),
        Keyed("missing"),
        CardStolen("stolen"),
        errors.StepTimeoutError.after(1000),
        errors.EventTimeoutError.after(1000),
        errors.WorkerLostError(),
        errors.PayloadTooLarge("too much"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_an_error_keeps_its_class_and_message(error: Exception) -> None:
    found = through_the_database(error)

    assert isinstance(found, type(error))
    assert str(found) == str(error)
    assert type(found).__name__ == type(error).__name__
    # And again, when it leaves `run` and becomes the instance's error, or a step's that raised it on.
    assert encode_error(found) == encode_error(error)


@pytest.mark.parametrize("error", [Rich(402, reason="x"), Templated(402), CardStolen("stolen"), PaymentDeclined("x")])
def test_what_only_the_constructor_sets_is_not_kept(error: Exception) -> None:
    assert set(vars(through_the_database(error))) <= {"name"}


@pytest.mark.parametrize(
    ("error", "name"),
    [(NonRetryableError("stop"), "NonRetryableError"), (NonRetryableError("stop", "CardStolen"), "CardStolen")],
)
def test_the_name_given_to_a_non_retryable_error_is_kept(error: NonRetryableError, name: str) -> None:
    found = through_the_database(error)

    assert isinstance(found, NonRetryableError)
    assert found.name == name
    assert encode_error(found)["name"] == name
    assert encode_error(found)["code"] == "non_retryable"


def test_a_subclass_of_non_retryable_is_known_by_its_code() -> None:
    assert encode_error(CardStolen("stolen"))["code"] == "non_retryable"


def local_class() -> Exception:
    class Local(PaymentDeclined):
        pass

    return Local("made in a function")


def unvalidated() -> Exception:
    class Model(BaseModel):
        number: int

    try:
        Model.model_validate({})
    except ValidationError as error:
        return error
    raise AssertionError


@pytest.mark.parametrize(
    "error",
    [local_class(), unvalidated(), ExceptionGroup("several", [ValueError("a")])],
    ids=lambda error: type(error).__name__,
)
def test_a_class_that_cannot_be_made_again_becomes_a_step_error_of_its_name(error: Exception) -> None:
    found = through_the_database(error)

    assert isinstance(found, StepError)
    assert type(found).__name__ == type(error).__name__
    assert str(found) == str(error)
    assert encode_error(found)["name"] == type(error).__name__


@pytest.mark.parametrize(
    "data",
    [
        {"name": "Gone", "message": "no", "module": "a.module.that.is.gone"},
        {"name": "Gone", "message": "no", "module": "json"},
        {"name": "Gone", "message": "no", "module": ""},
        {"name": "Gone", "message": "no"},
        {"name": "loads", "message": "no", "module": "json"},
        {"name": "Popen", "message": "no", "module": "subprocess"},
        {"name": "KeyboardInterrupt", "message": "no", "module": "builtins"},
    ],
)
def test_what_is_no_error_class_is_never_made(data: dict[str, Any]) -> None:
    found = decode_error(data)

    assert isinstance(found, StepError)
    assert type(found).__name__ == data["name"]
    assert str(found) == "no"


@pytest.mark.parametrize("error", [SystemExit(3), KeyboardInterrupt(), GeneratorExit()])
def test_what_is_no_exception_comes_back_as_one_that_can_be_caught(error: BaseException) -> None:
    found = through_the_database(error)

    assert isinstance(found, StepError)
    assert type(found).__name__ == type(error).__name__


def test_an_error_that_cannot_say_what_it_is_is_kept_all_the_same() -> None:
    class Mute(Exception):
        def __str__(self) -> str:
            raise RuntimeError("not even this")

    assert encode_error(Mute())["message"] == "<message unavailable: RuntimeError>"


def test_a_very_long_message_is_cut_and_says_so() -> None:
    message = encode_error(ValueError("x" * (MAX_ERROR_MESSAGE + 1)))["message"]

    assert message == "x" * MAX_ERROR_MESSAGE + "… [truncated message]"


def all_errors(base: type[OrchestratorError]) -> list[type[OrchestratorError]]:
    return [
        cls for sub in base.__subclasses__() if sub.__module__ == errors.__name__ for cls in (sub, *all_errors(sub))
    ]


def test_every_error_of_ours_has_a_code_of_its_own_and_says_a_sentence() -> None:
    classes = all_errors(OrchestratorError)

    assert len({cls.code for cls in classes}) == len(classes)
    for cls in classes:
        assert (cls.__doc__ or "").split("\n")[0].endswith(".")


@pytest.mark.parametrize("cls", [errors.WorkerLostError, errors.InstanceNotFound, errors.StepLimitExceeded])
def test_an_error_without_a_message_says_what_its_class_is_for(cls: type[OrchestratorError]) -> None:
    assert str(cls()) == cls().message == (cls.__doc__ or "").strip()
