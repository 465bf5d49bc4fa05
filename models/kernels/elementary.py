"""exp, log, power, tanh, sin and cos of our own: libm's last bits differ between machines and versions.

Argument reduction and polynomials are those of FreeBSD's msun (`e_exp.c`, `e_log.c`; Sun Microsystems,
1993, freely granted), written again here; errors stay under 1 ulp. The square root is the processor's,
which IEEE 754 requires to be exact to the last bit.
"""

from __future__ import annotations

import math

import numpy as np

from models.kernels.jit import helper, part

_LOG2_E = 1.44269504088896338700e00
_LN2_HIGH = 6.93147180369123816490e-01  # its last 32 bits are zero: k · _LN2_HIGH is exact
_LN2_LOW = 1.90821492927058770002e-10
_SQRT2 = 1.41421356237309514547e00

_P1 = 1.66666666666666019037e-01
_P2 = -2.77777777770155933842e-03
_P3 = 6.61375632143793436117e-05
_P4 = -1.65339022054652515390e-06
_P5 = 4.13813679705723846039e-08

_L1 = 6.666666666666735130e-01
_L2 = 3.999999999940941908e-01
_L3 = 2.857142874366239149e-01
_L4 = 2.222219843214978396e-01
_L5 = 1.818357216161805012e-01
_L6 = 1.531383769920937332e-01
_L7 = 1.479819860511658591e-01

_T1 = -9.64399179425052238628e-01
_T2 = -9.92877231001918586564e01
_T3 = -1.61468768441708447952e03
_T4 = 1.12811678491632931402e02
_T5 = 2.23548839060100448583e03
_T6 = 4.84406305325125486048e03

_TWO_OVER_PI = 6.36619772367581382433e-01
_HALF_PI_HIGH = 1.57079632673412561417e00  # its last 32 bits are zero: k · _HALF_PI_HIGH is exact
_HALF_PI_LOW = 6.07710050650619224932e-11
_S1 = -1.66666666666666324348e-01
_S2 = 8.33333333332248946124e-03
_S3 = -1.98412698298579493134e-04
_S4 = 2.75573137070700676789e-06
_S5 = -2.50507602534068634195e-08
_S6 = 1.58969099521155010221e-10
_C1 = 4.16666666666666019037e-02
_C2 = -1.38888888888741095749e-03
_C3 = 2.48015872894767294178e-05
_C4 = -2.75573143513906633035e-07
_C5 = 2.08757232129817482790e-09
_C6 = -1.13596475577881948265e-11

_EXP_MAX = 709.782712893383973096
_EXP_MIN = -708.0  # below lie denormals, which some libraries switch off for a whole process
_MANTISSA = 0x000FFFFFFFFFFFFF
_ONE_BITS = 0x3FF0000000000000
_SMALLEST_NORMAL = 2.2250738585072014e-308
_INF = math.inf
_NAN = math.nan


@helper
def exp(x: float) -> float:
    """e^x; 0 below -708, inf above 709.78.

    x = k ln2 + r with |r| ≤ ln2 / 2; e^r = 1 + r + r c / (2 - c) with c = r - r² P(r²).
    """
    if x != x:
        return x
    if x > _EXP_MAX:
        return _INF
    if x < _EXP_MIN:
        return 0.0
    k = int(x * _LOG2_E + (0.5 if x >= 0.0 else -0.5))
    high = x - k * _LN2_HIGH
    low = k * _LN2_LOW
    r = high - low
    t = r * r
    c = r - t * (_P1 + t * (_P2 + t * (_P3 + t * (_P4 + t * _P5))))
    y = 1.0 - ((low - (r * c) / (2.0 - c)) - high)
    # 2^(k-1) and a doubling, because 2^1024 is not a double.
    return y * np.int64((k + 1022) << 52).view(np.float64) * 2.0


@helper
def log(x: float) -> float:
    """The natural logarithm; -inf at 0, NaN below.

    x = 2^k (1 + f) with √2/2 < 1 + f ≤ √2; log(1 + f) = f - f²/2 + s (f²/2 + R(s²)), s = f / (2 + f).
    """
    if x != x or x == _INF:
        return x
    if x <= 0.0:
        return -_INF if x == 0.0 else _NAN
    k = 0
    if x < _SMALLEST_NORMAL:
        x *= 18014398509481984.0  # 2^54
        k = -54
    bits = np.float64(x).view(np.int64)
    k += int(bits >> 52) - 1023
    m = np.int64((bits & _MANTISSA) | _ONE_BITS).view(np.float64)
    if m > _SQRT2:
        m *= 0.5
        k += 1
    f = m - 1.0
    s = f / (2.0 + f)
    z = s * s
    w = z * z
    even = w * (_L2 + w * (_L4 + w * _L6))
    odd = z * (_L1 + w * (_L3 + w * (_L5 + w * _L7)))
    half = 0.5 * f * f
    return k * _LN2_HIGH - ((half - (s * (half + (odd + even)) + k * _LN2_LOW)) - f)


@helper
def power(x: float, exponent: float) -> float:
    """x^exponent for x > 0, as e^(exponent · log x): a relative error of about exponent · log x ulps."""
    return exp(exponent * log(x))


@part
def tanh(x: float) -> float:
    """The hyperbolic tangent; errors stay under 3 ulp.

    Below 0.625 x + x³ P(x²) / Q(x²) (Cody & Waite 1980, as in Cephes), above 1 - 2 / (e^(2 |x|) + 1).
    """
    size = abs(x)
    if size < 0.625:
        z = x * x
        p = (_T1 * z + _T2) * z + _T3
        q = ((z + _T4) * z + _T5) * z + _T6
        return x + x * (z * (p / q))
    y = 1.0 - 2.0 / (exp(2.0 * size) + 1.0)
    return y if x >= 0.0 else -y


@helper
def sin(x: float) -> float:
    """The sine of |x| ≤ 10^5 (NaN beyond); errors stay under 1e-15."""
    return _sine_of_quarters(x, 0)


@helper
def cos(x: float) -> float:
    """The cosine of |x| ≤ 10^5 (NaN beyond); errors stay under 1e-15."""
    return _sine_of_quarters(x, 1)


@part
def _sine_of_quarters(x: float, ahead: int) -> float:
    """sin(x + ahead π/2): x = k π/2 + r with |r| ≤ π/4, k mod 4 chooses ±sin r or ±cos r.

    The polynomials are those of FreeBSD's k_sin.c and k_cos.c; π/2 is taken off in two parts.
    """
    if not abs(x) <= 1e5:
        return _NAN
    k = int(x * _TWO_OVER_PI + (0.5 if x >= 0.0 else -0.5))
    r = (x - k * _HALF_PI_HIGH) - k * _HALF_PI_LOW
    z = r * r
    quarter = (k + ahead) & 3
    if quarter & 1:
        y = 1.0 - (0.5 * z - z * z * (_C1 + z * (_C2 + z * (_C3 + z * (_C4 + z * (_C5 + z * _C6))))))
    else:
        y = r + r * z * (_S1 + z * (_S2 + z * (_S3 + z * (_S4 + z * (_S5 + z * _S6)))))
    return -y if quarter & 2 else y
