"""Names for the arrays that statistics speak of."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]

Statistic = Callable[[FloatArray], FloatArray]
"""A figure that follows from column sums: (m, d) sums of the features of m samples -> (m,) values, NaN = undefined."""
