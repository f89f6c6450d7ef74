"""All rules, in the order in which they are applied.

NM0 the file, NM1 its structure, NM2 its behaviour, NM3 its noise, NM4 its accuracy, NM5 its cost.
"""

RULES = (
    "nm001_valid",
    "nm002_loads",
    "nm003_external_data",
    "nm004_domains",
    "nm005_bodies",
    "nm006_finite_weights",
    "nm007_size",
    "nm101_interface",
    "nm102_graph",
    "nm103_payloads",
    "nm104_provenance",
    "nm201_deterministic",
    "nm202_batch_independence",
    "nm203_dynamic_axes",
    "nm204_zero_noise",
    "nm205_backends_agree",
    "nm206_finite",
    "nm207_batchnorm",
    "nm301_parameters",
    "nm302_streams",
    "nm303_sigma",
    "nm304_baked",
    "nm305_distribution",
    "nm401_gate",
    "nm501_latency",
    "nm502_memory",
)
