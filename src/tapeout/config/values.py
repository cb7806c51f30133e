"""What the tables of `tapeout.toml` are made of."""

import re
from typing import Annotated

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

from tapeout.base.hosts import allow_list

_DURATION = re.compile(r"(?P<number>\d+(?:\.\d+)?)(?P<unit>ms|s|m|h)?")
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}


def parse_duration(value: object) -> object:
    """Seconds from a number or from text such as `"90s"`, `"10m"`, `"1.5h"`; other values pass through."""
    if isinstance(value, str):
        match = _DURATION.fullmatch(value.strip())
        if match is None:
            raise ValueError('should be a duration such as 90, "90s", "10m" or "1h"')
        return float(match["number"]) * _SECONDS[match["unit"] or "s"]
    return value


Seconds = Annotated[float, BeforeValidator(parse_duration), Field(gt=0, allow_inf_nan=False)]
_SIZE = re.compile(r"(?P<number>\d+(?:\.\d+)?)\s*(?P<unit>[kMGT]i?B|B)?")
_BYTES = {unit: 1024**power for power, unit in enumerate(("", "k", "M", "G", "T"))}


def parse_size(value: object) -> object:
    """Bytes from a number or from text such as `"512MB"`, `"4GB"` (units of 1024); other values pass through."""
    if isinstance(value, str):
        match = _SIZE.fullmatch(value.strip())
        if match is None:
            raise ValueError('should be a size such as "512MB" or "4GB"')
        return int(float(match["number"]) * _BYTES[(match["unit"] or "B").rstrip("iB")])
    return value


Size = Annotated[int, BeforeValidator(parse_size), Field(gt=0)]
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$")]


def _hosts(value: tuple[str, ...]) -> tuple[str, ...]:
    allow_list(value)
    return value


Hosts = Annotated[tuple[str, ...], Field(strict=False), AfterValidator(_hosts)]


class Model(BaseModel):
    """A table of the file: unknown keys are errors, values are not coerced."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)
