"""Which processor this is, as far as it decides the last bits of a result."""

from __future__ import annotations

import os
import platform
import re
from dataclasses import dataclass
from pathlib import Path

# As /proc/cpuinfo calls them: on x86, then on ARM.
FAMILY = (
    ("vendor_id", "cpu family", "model", "stepping"),
    ("CPU implementer", "CPU architecture", "CPU variant", "CPU part", "CPU revision"),
)
# Extensions that libraries choose their kernels by, and with them the order of a sum.
VECTORS = re.compile(r"avx|amx|fma|f16c|s?sse|asimd|sve|sme(?!p)|bf16|i8mm")


@dataclass(frozen=True)
class Processor:
    """model: its name, as sold; a virtual machine's may be vague. family: what tells two of one
    name apart. vectors: the extensions for vectors and matrices, sorted.

    All that the system does not tell is "".
    """

    model: str
    family: str
    vectors: str

    @classmethod
    def of(cls, cpuinfo: str) -> Processor:
        """Of the text of /proc/cpuinfo: of its first processor, as all are alike to a program."""
        fields: dict[str, str] = {}
        for line in cpuinfo.splitlines():
            name, _, value = line.partition(":")
            fields.setdefault(name.strip(), value.strip())
        family = next((names for names in FAMILY if names[0] in fields), ())
        extensions = fields.get("flags", fields.get("Features", "")).split()
        return cls(
            model=fields.get("model name", ""),
            family=", ".join(f"{name} {fields[name]}" for name in family if name in fields),
            vectors=" ".join(sorted(filter(VECTORS.match, extensions))),
        )

    @classmethod
    def here(cls) -> Processor:
        """This machine's; of a system without /proc/cpuinfo what the standard library tells."""
        path = Path("/proc/cpuinfo")
        found = cls.of(path.read_text(errors="replace") if path.exists() else "")
        told = found.model or platform.processor() or platform.machine()
        return cls(told, found.family or platform.machine(), found.vectors)

    @property
    def named(self) -> str:
        """With the number of cores."""
        return f"{self.model} ({os.cpu_count() or 1} cores)"
