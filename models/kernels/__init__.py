"""Compiled kernels: scalar numba code with a fixed order of operations, on flat arrays alone.

No libm, BLAS, numpy reduction, fastmath or contraction into fused multiply-adds: the bytes that come out
depend on the bytes that go in, not on the processor's features or on how samples are cut into calls.
"""
