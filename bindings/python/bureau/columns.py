"""Columns of the engine as arrays of numpy and pandas, without a loop over rows."""

from __future__ import annotations

from typing import Any

_NUMPY = {"boolean": "i8", "integer": "i8", "real": "f8", "timestamp": "M8[us]", "duration": "m8[us]",
          "enumeration": "i8"}


def arrays(columns: dict[str, Any]) -> dict[str, Any]:
    """What `Repository.columns()` gives."""
    try:
        import numpy
    except ImportError:
        return {name: _plain(*column) for name, column in columns.items()}
    return {name: _array(numpy, *column) for name, column in columns.items()}


def _array(numpy: Any, type: str, data: Any, nulls: Any, names: Any) -> Any:
    if type not in _NUMPY:
        return data
    array = numpy.frombuffer(data, dtype=_NUMPY[type])
    missing = numpy.frombuffer(nulls, dtype=bool) if nulls is not None else None
    if type == "boolean":
        array = array.astype(bool)
    elif type == "enumeration":
        array = numpy.array(names, dtype=object)[array]
    if missing is None:
        return array
    if type in ("timestamp", "duration"):
        array = array.copy()
        array[missing] = numpy.datetime64("NaT") if type == "timestamp" else numpy.timedelta64("NaT")
        return array
    return numpy.ma.masked_array(array, missing)


def _plain(type: str, data: Any, nulls: Any, names: Any) -> list[Any]:
    from array import array
    from datetime import datetime, timedelta, timezone

    if type not in _NUMPY:
        return list(data)
    values: list[Any] = list(array("d" if type == "real" else "q", bytes(data)))
    epoch = datetime(1970, 1, 1, tzinfo=timezone.utc)
    if type == "boolean":
        values = [bool(one) for one in values]
    elif type == "enumeration":
        values = [names[one] for one in values]
    elif type == "timestamp":
        values = [epoch + timedelta(microseconds=one) for one in values]
    elif type == "duration":
        values = [timedelta(microseconds=one) for one in values]
    if nulls is None:
        return values
    return [None if missing else one for one, missing in zip(values, nulls)]


def frame(columns: dict[str, Any]) -> Any:
    """What `Repository.frame()` gives."""
    import numpy
    import pandas

    masked: Any = numpy.ma

    out: dict[str, Any] = {}
    for name, (type, data, nulls, names) in columns.items():
        if type == "enumeration":
            codes = numpy.frombuffer(data, dtype="i8")
            if nulls is not None:
                codes = numpy.where(numpy.frombuffer(nulls, dtype=bool), -1, codes)
            out[name] = pandas.Categorical.from_codes(codes, categories=names, ordered=True)
            continue
        array = _array(numpy, type, data, nulls, names)
        if type == "timestamp":
            out[name] = pandas.DatetimeIndex(array).tz_localize("UTC")
        elif type == "duration":
            out[name] = pandas.TimedeltaIndex(array)
        elif type in ("integer", "boolean") and nulls is not None:
            kind = pandas.arrays.IntegerArray if type == "integer" else pandas.arrays.BooleanArray
            out[name] = kind(masked.getdata(array).copy(), numpy.frombuffer(nulls, dtype=bool).copy())
        elif type == "real" and nulls is not None:
            out[name] = array.filled(numpy.nan)
        else:
            out[name] = array
    return pandas.DataFrame(out)
