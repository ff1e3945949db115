"""What commands print for machines."""

from __future__ import annotations

import json
import math
from typing import Any

__all__ = ["emit", "plain"]


def emit(data: Any) -> None:
    """Print data as JSON on standard output; NaN and infinity become null, times ISO 8601."""
    print(json.dumps(plain(data), indent=1, ensure_ascii=False, allow_nan=False))


def plain(value: Any) -> Any:
    """Turn numpy and path values into what JSON has; NaN and infinity become null, times ISO 8601."""
    if isinstance(value, dict):
        return {str(k): plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple | set):
        return [plain(v) for v in value]
    if hasattr(value, "tolist") and not isinstance(value, str):
        kind = getattr(getattr(value, "dtype", None), "kind", "")
        return plain(value.astype(str).tolist() if kind in "mM" else value.tolist())
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value if isinstance(value, int | str | bool | type(None)) else str(value)
