"""What every spec has in common: strict, frozen data whose errors a user can read."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, AliasChoices, BaseModel, ConfigDict, Field, model_validator

LONGEST = 300  # characters of an error's line
BEGINNING = 200  # of them, where a line is cut: the file and the field stand there, the fix behind


class InputError(Exception):
    """What the user gave cannot be used. The message is one line naming the file, the field and the
    fix, whatever was given: control characters are shown as escapes, and a long line is cut in its
    middle.
    """

    def __init__(self, message: str):
        if not message.isprintable():
            message = "".join(sign if sign.isprintable() else ascii(sign)[1:-1] for sign in message)
        if len(message) > LONGEST:
            end = LONGEST - BEGINNING - len(" … ")
            message = f"{message[:BEGINNING]} … {message[-end:]}"
        super().__init__(message)


class Unavailable(InputError):
    """What the user gave is sound, but a thing that it needs cannot be had now: a database that
    another process holds, workers that do not start. The message is one line naming the way out.
    """


def _finite(value: float) -> float:
    if not math.isfinite(value):
        raise ValueError("must be a finite number")
    return value


Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")]
Norm = Literal["inf", "2"]
Number = Annotated[float, AfterValidator(_finite)]
NonNegative = Annotated[float, Field(ge=0), AfterValidator(_finite)]
Positive = Annotated[float, Field(gt=0), AfterValidator(_finite)]
Share = Annotated[float, Field(ge=0, le=1), AfterValidator(_finite)]
LARGEST = 2**31 - 1  # of the integers that the database keeps
Count = Annotated[int, Field(ge=1, le=LARGEST)]


# The one JSON text of plain data: what keys are made of.
canonical = json.JSONEncoder(
    sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False
).encode


def named_lambda(default: Any = ...) -> Any:
    """A field that is `lambda`, a reserved word, in TOML and JSON and `strength` in Python."""
    return Field(
        default, validation_alias=AliasChoices("lambda", "strength"), serialization_alias="lambda"
    )


class Spec(BaseModel):
    """Frozen, strict: an unknown field or a value of another type is refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    @model_validator(mode="before")
    @classmethod
    def _lists_are_tuples(cls, data: Any) -> Any:
        # TOML and JSON know lists only; strict mode would refuse them where a field is a tuple.
        if isinstance(data, dict) and any(isinstance(value, list) for value in data.values()):
            return {
                key: tuple(value) if isinstance(value, list) else value
                for key, value in data.items()
            }
        return data

    def model_copy(self, *, update: Mapping[str, Any] | None = None, deep: bool = False) -> Self:
        # Pydantic's own would bring cached properties along, a trial's key say, which are another
        # object's; and it takes half as long again (tests/speed/README.md, Plan). What is frozen
        # may be shared: `deep` or not is the same.
        copied = object.__new__(type(self))
        values = vars(self)
        if len(values) > len(self.__pydantic_fields__):
            values = {name: values[name] for name in self.__pydantic_fields__}
        object.__setattr__(copied, "__dict__", {**values, **(update or {})})
        object.__setattr__(copied, "__pydantic_fields_set__", self.__pydantic_fields_set__)
        object.__setattr__(copied, "__pydantic_extra__", None)
        object.__setattr__(copied, "__pydantic_private__", None)
        return copied
