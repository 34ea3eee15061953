"""The middle of all faces, as dlib's network sees them. Data; any thread.

The network puts all faces into one corner of its space: of two people's vectors the cosine is 0.84, of one person's
0.97. Seen from the middle these are 0.0 and 0.83, and far fewer people look alike. It is the mean of the vectors, each
of length 1, of 133 faces of all ages and origins from FairFace (Karkkainen and Joo 2021, CC BY 4.0), of the half that
thresholds were found on. A mean of 30 of them does as well.
"""

from __future__ import annotations

import numpy as np

_NUMBERS = (
    -0.073, 0.061, 0.037, -0.043, -0.067, -0.025, -0.018, -0.079, 0.113, -0.073, 0.154, -0.028, -0.156, -0.039,
    -0.016, 0.110, -0.116, -0.091, -0.071, -0.041, 0.008, 0.019, 0.010, 0.030, -0.083, -0.232, -0.057, -0.070, 0.020,
    -0.040, -0.010, 0.039, -0.137, -0.038, 0.018, 0.051, -0.028, -0.042, 0.136, 0.001, -0.136, -0.005, 0.034, 0.168,
    0.130, 0.005, 0.014, -0.053, 0.072, -0.159, 0.018, 0.102, 0.069, 0.050, 0.039, -0.091, 0.021, 0.085, -0.131,
    0.017, 0.039, -0.061, -0.035, -0.033, 0.155, 0.074, -0.080, -0.097, 0.118, -0.099, -0.032, 0.045, -0.087, -0.114,
    -0.200, 0.018, 0.288, 0.081, -0.120, 0.019, -0.059, -0.019, 0.037, 0.051, -0.044, -0.009, -0.052, 0.022, 0.137,
    -0.021, -0.010, 0.144, -0.005, 0.007, 0.016, 0.026, -0.064, -0.011, -0.077, -0.009, 0.027, -0.050, 0.002, 0.077,
    -0.128, 0.098, -0.003, -0.013, 0.002, 0.007, -0.051, -0.034, 0.103, -0.162, 0.140, 0.117, 0.001, 0.096, 0.040,
    0.047, -0.017, -0.014, -0.110, -0.057, 0.040, -0.018, 0.037, 0.013,
)  # fmt: skip
CENTRE = np.array(_NUMBERS, np.float32)
