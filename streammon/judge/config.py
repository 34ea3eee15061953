"""Which policies there are, and whose rooms are judged by which."""

from __future__ import annotations

from pydantic import Field

from streammon.config import FilePath, Section


class PoliciesConfig(Section):
    """Where policies lie. A room is judged by the one it names, else by its tenant's, else by the default."""

    folder: FilePath | None = Field(default=None, description="every *.yaml in it is a policy")
    files: tuple[FilePath, ...] = ()
    default: str = "live-default"
    tenants: dict[str, str] = Field(default={}, description="tenant: the id of its policy")
