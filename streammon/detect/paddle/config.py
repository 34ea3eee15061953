"""What an operator may set about the official paddleocr package."""

from __future__ import annotations

from pydantic import Field

from streammon.config import FilePath, Seconds, Section


class PaddleOcrConfig(Section):
    """The child that runs the official package. It takes 550 MB, and reads one picture at a time."""

    python: FilePath | None = Field(
        default=None, description="the interpreter of the environment that paddleocr is installed in"
    )
    threads: int = Field(
        default=1, ge=1, le=256, description="CPU threads of one run; more answer sooner, and wait actively in between"
    )
    startup_timeout: Seconds = Field(default=60.0, gt=0, description="a child that is not ready by then is ended")
    timeout: Seconds = Field(
        default=8.0, gt=0, description="a child that does not answer by then is ended, and started again"
    )

    def check(self) -> None:
        """Raises ValueError where this engine is asked for and cannot run."""
        if self.python is None:
            raise ValueError(
                "engine paddleocr needs `paddleocr.python`: make its environment as docs/paddleocr.md says"
            )
