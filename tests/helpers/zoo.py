"""Small models, one for each way in which weights reach a matrix product.

An entry also says what inject has to find: the names of the noisy arrays and, for the nodes that stay digital, a part
of the reason. The contract of the passes is tested on every entry.
"""

import zoo_arrays
import zoo_operators
import zoo_scopes
from entries import ZOO, Entry

__all__ = ["ZOO", "Entry", "zoo_arrays", "zoo_operators", "zoo_scopes"]
