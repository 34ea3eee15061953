"""All rows."""

from __future__ import annotations

from typing import Any

from tests.faults.fault import Fault
from tests.faults.rows_http import HTTP_ROWS
from tests.faults.rows_media import MEDIA_ROWS
from tests.faults.rows_server import SERVER_ROWS

FAULTS: list[Fault[Any]] = [*SERVER_ROWS, *HTTP_ROWS, *MEDIA_ROWS]
