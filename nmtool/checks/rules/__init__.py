"""All rules, in the order in which they are applied.

NM0 the file, NM1 its structure, NM2 its behaviour, NM3 its noise, NM4 its accuracy, NM5 its cost.
"""

RULES = ("nm001_valid", "nm301_parameters", "nm302_streams", "nm303_sigma")
