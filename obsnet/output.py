"""What commands print for machines."""

from __future__ import annotations

import json
import math
from typing import Any

__all__ = ["emit"]


def emit(data: Any) -> None:
    """Print data as JSON on standard output; NaN and infinity become null, times ISO 8601."""
    print(json.dumps(_plain(data), indent=1, ensure_ascii=False, allow_nan=False))


def _plain(value: Any) -> Any:
    """Turn numpy and path values into what JSON has."""
    if isinstance(value, dict):
        return {str(k): _plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple | set):
        return [_plain(v) for v in value]
    if hasattr(value, "tolist") and not isinstance(value, str):
        kind = getattr(getattr(value, "dtype", None), "kind", "")
        return _plain(value.astype(str).tolist() if kind in "mM" else value.tolist())
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value if isinstance(value, int | str | bool | type(None)) else str(value)
