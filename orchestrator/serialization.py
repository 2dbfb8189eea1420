"""Values and errors as JSON text on their way to and from the database; never pickle, and it does no I/O."""

from __future__ import annotations

import importlib
from functools import lru_cache
from typing import Any

import pydantic_core
from pydantic import PydanticSchemaGenerationError, PydanticUserError, TypeAdapter, ValidationError

from orchestrator.errors import NonRetryableError, NotSerializableError, OrchestratorError, PayloadTooLarge, StepError

MAX_PAYLOAD_BYTES = 1024 * 1024
MAX_ERROR_MESSAGE = 10_000
MAX_NESTING = 190
"""Readers of JSON give up at 200, and a value is stored and sent within others."""

_UNTYPED = (Any, None, type(None))
_ANY: TypeAdapter[Any] = TypeAdapter(Any)


def _adapter_or_reason(annotation: Any) -> TypeAdapter[Any] | str:
    try:
        return TypeAdapter(annotation)
    except (PydanticSchemaGenerationError, PydanticUserError) as error:
        return error.message.partition("\n")[0]


_cached_adapter = lru_cache(maxsize=4096)(_adapter_or_reason)


def adapter_for(annotation: Any) -> TypeAdapter[Any] | None:
    """The pydantic adapter of an annotation; None where values pass as plain JSON (no annotation, Any, None).

    Raises NotSerializableError for a type pydantic has no schema for.
    """
    if annotation in _UNTYPED or isinstance(annotation, str):
        return None
    try:
        adapter = _cached_adapter(annotation)
    except TypeError:  # an unhashable annotation can't be cached
        adapter = _adapter_or_reason(annotation)
    if isinstance(adapter, str):
        raise NotSerializableError(
            f"Type {annotation!r} can't be written as JSON: use a pydantic model, a dataclass, or plain types. ({adapter})"
        )
    return adapter


def encode(value: Any, adapter: TypeAdapter[Any] | None = None, *, what: str = "The value") -> str:
    """JSON text of a value. Raises NotSerializableError; NaN and infinities are refused, not turned into null."""
    try:
        if adapter is not None:
            raw = adapter.dump_json(value, warnings="error")
        else:
            raw = pydantic_core.to_json(value, inf_nan_mode="constants")
        if b"NaN" in raw or b"Infinity" in raw:
            pydantic_core.from_json(raw, allow_inf_nan=False)  # raises unless the word only stands within a string
        elif b"null" in raw and value is not None:
            _refuse_hidden_nan(value, adapter)
    except (ValueError, TypeError, RecursionError) as error:
        raise NotSerializableError(f"{what} is not serialisable: {error}") from None
    return raw.decode()


def _refuse_hidden_nan(value: Any, adapter: TypeAdapter[Any] | None) -> None:
    """Models write NaN as null unless told otherwise. Raises ValueError."""
    plain = (adapter or _ANY).dump_python(value, warnings="none")
    raw = pydantic_core.to_json(plain, inf_nan_mode="constants", serialize_unknown=True)
    if b"NaN" in raw or b"Infinity" in raw:
        pydantic_core.from_json(raw, allow_inf_nan=False)


def decode(text: str, adapter: TypeAdapter[Any] | None = None) -> Any:
    """The value of JSON text; with an adapter, of its type."""
    return adapter.validator.validate_json(text) if adapter is not None else pydantic_core.from_json(text)


def explain(error: ValidationError, root: str = "value") -> str:
    """What is wrong with a value, in a line: each place and what was expected there."""
    return "; ".join(f"{'.'.join(map(str, problem['loc'])) or root}: {problem['msg']}" for problem in error.errors())


def check_size(text: str, what: str, limit: int = MAX_PAYLOAD_BYTES) -> str:
    """Raises PayloadTooLarge if the JSON text is over the limit (bytes as UTF-8). Nothing is ever cut."""
    if len(text) > limit // 4:  # four bytes is the most a character can take: shorter texts need no count
        size = len(text.encode())
        if size > limit:
            raise PayloadTooLarge(
                f"{what} is too large: {size:,} bytes, and the limit is {limit:,} bytes. "
                "Keep large data elsewhere and pass a reference."
            )
    return text


def check_readable(text: str, what: str) -> str:
    """Raises NotSerializableError for JSON text that can be written and not read: what holds it could not be shown."""
    margin = 200 - MAX_NESTING
    try:
        pydantic_core.from_json("[" * margin + text + "]" * margin)
    except ValueError as error:
        reason = str(error).partition(" at line ")[0]
        if "recursion" in reason:
            reason = f"it is nested more than {MAX_NESTING} levels deep"
        elif "number" in reason:
            reason = "it has a number that is too long to be read"
        raise NotSerializableError(f"{what} is not serialisable: {reason}.") from None
    return text


# --- errors -----------------------------------------------------------------------------------------------------------


def encode_error(error: BaseException) -> dict[str, Any]:
    """An error as data: `name`, `message`, `module` (to find its class again), and `retryable: false` where it is not."""
    name = error.name if isinstance(error, NonRetryableError) else type(error).__name__
    data: dict[str, Any] = {"name": name, "message": _message(error), "module": type(error).__module__}
    if type(error).__qualname__ != name:
        data["class"] = type(error).__qualname__
    if isinstance(error, OrchestratorError):
        data["code"] = error.code
    return data


def _message(error: BaseException) -> str:
    try:
        text = str(error)
    except Exception as failure:  # noqa: BLE001 - a broken __str__ of user code must not hide that the step failed
        text = f"<message unavailable: {type(failure).__name__}>"
    # A file name that is no valid text is in the message of many an OSError; it must not keep the error from being stored.
    text = text.encode("utf-8", "backslashreplace").decode()
    return text if len(text) <= MAX_ERROR_MESSAGE else text[:MAX_ERROR_MESSAGE] + "… [truncated message]"


def named_error(data: dict[str, Any]) -> dict[str, Any]:
    """What is shown of an error: its name and message, and nothing of where its class is."""
    return {"name": data.get("name"), "message": data.get("message")}


def public_error(text: str) -> dict[str, Any]:
    """What is shown of a stored error."""
    return named_error(decode(text))


def decode_error(data: dict[str, Any]) -> Exception:
    """The error of the same class and message, so that `except PaymentDeclined` works on first run and on replay alike.

    The class is looked up by module and name and made without calling its constructor, whose arguments are not kept.
    A class that can't be found becomes a StepError that carries the original's name.
    """
    name, message = str(data.get("name", "Error")), str(data.get("message", ""))
    cls = _error_class(str(data.get("module", "")), str(data.get("class", name)))
    if cls is None:
        cls = _renamed(StepError, name)
    error = _construct(cls, message)
    if isinstance(error, NonRetryableError):
        error.name = name
    return error


@lru_cache(maxsize=1024)
def _error_class(module: str, qualname: str) -> type[Exception] | None:
    try:
        found: Any = importlib.import_module(module)
        for part in qualname.split("."):
            found = getattr(found, part)
    except Exception:  # noqa: BLE001 - importing user code may raise anything; the generic class is the answer then
        return None
    return found if isinstance(found, type) and issubclass(found, Exception) else None


def _construct(cls: type[Exception], message: str) -> Exception:
    try:
        error = _bare(cls, message)
        if _says(error, message):
            return error
        return _bare(_with_message(cls), message)  # type: ignore[arg-type]  # a class has another hash than its instances
    except Exception:  # noqa: BLE001 - a class with its own __new__ may raise anything here
        return _bare(_renamed(StepError, cls.__name__), message)


def _bare(cls: type[Exception], message: str) -> Exception:
    try:
        error = cls.__new__(cls, message)
    except TypeError:  # a __new__ that wants more
        error = Exception.__new__(cls, message)
    error.args = (message,)
    return error


def _says(error: Exception, message: str) -> bool:
    try:
        return str(error) == message
    except Exception:  # noqa: BLE001 - a __str__ that needs what only the constructor sets
        return False


@lru_cache(maxsize=1024)
def _with_message(cls: Any) -> type[Exception]:
    """A twin of a class whose own __str__ does not give back the message (KeyError quotes it, for one)."""
    names = {"__module__": cls.__module__, "__qualname__": cls.__qualname__, "__doc__": cls.__doc__}
    return type(cls.__name__, (cls,), {"__str__": lambda self: self.args[0], **names})


@lru_cache(maxsize=1024)
def _renamed(cls: type[Exception], name: str) -> type[Exception]:
    return type(name, (cls,), {"__doc__": cls.__doc__})
