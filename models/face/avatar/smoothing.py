"""Smoothing over time without delay: each value is replaced by a polynomial fitted to its neighbours."""

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]


def smooth(values: NDArray[np.floating], window: int, order: int, *, loops: bool = False) -> Floats:
    """`values` [N, ...] smoothed along the first axis; `window` is odd and shrinks for short series.

    Interior values come from the fit centred on them, those at the ends from the fit of the first and last window
    (Savitzky and Golay, 1964, Analytical Chemistry 36, 1627); when the series `loops`, its ends are neighbours.
    """
    count = len(values)
    if loops and count > window:
        half = window // 2
        return smooth(np.concatenate((values[-half:], values, values[:half])), window, order)[half : half + count]
    window = min(window, count - 1 + count % 2)
    if window <= order:
        return np.asarray(values, np.float32)
    half = window // 2
    places = np.arange(-half, half + 1, dtype=float)
    powers = places[:, None] ** np.arange(order + 1)
    fit = powers @ np.linalg.pinv(powers)
    flat = np.asarray(values, float).reshape(count, -1)
    result = np.empty_like(flat)
    result[:half] = fit[:half] @ flat[:window]
    result[count - half :] = fit[half + 1 :] @ flat[count - window :]
    result[half : count - half] = sum(
        fit[half, place] * flat[place : count - window + 1 + place] for place in range(window)
    )
    return np.asarray(result.reshape(values.shape), np.float32)


def filled(values: Floats, known: NDArray[np.bool_]) -> Floats:
    """`values` [N, ...] with the rows that are not `known` interpolated linearly, or held at the ends."""
    places = np.arange(len(values))
    flat = values.reshape(len(values), -1)
    columns = [np.interp(places, places[known], column[known]) for column in flat.T]
    return np.asarray(np.stack(columns, axis=1).reshape(values.shape), np.float32)
