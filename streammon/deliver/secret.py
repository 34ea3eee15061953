"""A secret that the configuration names but does not hold: in a file, or in an environment variable."""

from __future__ import annotations

import os

from pydantic import Field, model_validator

from streammon.config import FilePath, Section
from streammon.errors import ConfigError, Problem


class Secret(Section):
    """Where a secret is: `{file: /run/secrets/kafka}` or `{env: KAFKA_PASSWORD}`."""

    file: FilePath | None = Field(default=None, description="its first line is the secret")
    env: str | None = Field(default=None, pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")

    @model_validator(mode="after")
    def _one(self) -> Secret:
        if (self.file is None) == (self.env is None):
            raise ValueError("should name either `file` or `env`, not the secret itself")
        return self

    def read(self, key: str) -> str:
        """The secret now. Raises ConfigError, naming the configuration's `key`, where it is not there or empty."""
        try:
            value = os.environ.get(self.env, "") if self.env is not None else self._first_line()
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "is not UTF-8 text"
            raise ConfigError([Problem(file=str(self.file), line=1, key=key, reason=f"{reason}")]) from error
        if not value:
            where = str(self.file) if self.file is not None else f"${self.env}"
            raise ConfigError([Problem(file=where, line=1, key=key, reason="is empty or not set")])
        return value

    def _first_line(self) -> str:
        assert self.file is not None  # noqa: S101 - `_one` saw to it
        lines = self.file.read_text(encoding="utf-8").splitlines()
        return lines[0] if lines else ""
