"""`nmtool analyze`: where noise costs what.

subject.py the model with a factor on the noise of each layer; sensitivity.py, snr.py, information.py,
layer_information.py and precision.py the parts; probe.py looks inside; journal.py measurements on disk; result.py,
document.py and plot.py how they are shown; profile.py and annotate.py what is made of them.
"""
