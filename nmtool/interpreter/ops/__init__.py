"""The operators, by family. Importing this package registers them."""

from nmtool.interpreter.ops import activation as activation
from nmtool.interpreter.ops import attention as attention
from nmtool.interpreter.ops import contrib as contrib
from nmtool.interpreter.ops import contrib_attention as contrib_attention
from nmtool.interpreter.ops import converters as converters
from nmtool.interpreter.ops import convolution as convolution
from nmtool.interpreter.ops import elementwise as elementwise
from nmtool.interpreter.ops import indexing as indexing
from nmtool.interpreter.ops import linear as linear
from nmtool.interpreter.ops import noise as noise
from nmtool.interpreter.ops import normalization as normalization
from nmtool.interpreter.ops import pooling as pooling
from nmtool.interpreter.ops import quantization as quantization
from nmtool.interpreter.ops import random as random
from nmtool.interpreter.ops import recurrent as recurrent
from nmtool.interpreter.ops import reduction as reduction
from nmtool.interpreter.ops import resize as resize
from nmtool.interpreter.ops import shape as shape
from nmtool.interpreter.ops import types as types
