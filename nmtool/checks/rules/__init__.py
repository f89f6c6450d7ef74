"""All rules, in the order in which they are applied.

NM0 the file, NM1 its structure, NM2 its behaviour, NM3 its noise, NM4 its accuracy, NM5 its cost.
"""

RULES = (
    "nm001_valid",
    "nm201_deterministic",
    "nm202_batch_independence",
    "nm203_dynamic_axes",
    "nm204_zero_noise",
    "nm205_backends_agree",
    "nm206_finite",
    "nm207_batchnorm",
)
