"""The operators, by family. Importing this package registers them."""

from nmtool.training.ops import activation as activation
from nmtool.training.ops import convolution as convolution
from nmtool.training.ops import elementwise as elementwise
from nmtool.training.ops import indexing as indexing
from nmtool.training.ops import linear as linear
from nmtool.training.ops import normalization as normalization
from nmtool.training.ops import pooling as pooling
from nmtool.training.ops import quantization as quantization
from nmtool.training.ops import random as random
from nmtool.training.ops import recurrent as recurrent
from nmtool.training.ops import reduction as reduction
from nmtool.training.ops import resize as resize
from nmtool.training.ops import shape as shape
from nmtool.training.ops import types as types
