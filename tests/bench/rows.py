"""What a bench prints with --json: one array, an object on each line. Members' names end in their units."""

import json
import math


def number(value):
    """A figure that could not be had is NaN, which JSON does not know: it is null."""
    if isinstance(value, list):
        return [number(item) for item in value]
    return None if isinstance(value, float) and math.isnan(value) else value


def print_rows(rows):
    print("[" + ",\n ".join(json.dumps({name: number(value) for name, value in row.items()}) for row in rows) + "]")
