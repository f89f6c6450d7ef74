"""Data sets: batches that fit a model, from files, folders, arrays or the user's own function."""

from nmtool.data.binding import load
from nmtool.data.dataset import Batch, Dataset
from nmtool.data.options import DataOptions
from nmtool.data.sources import DataSource, path_of

__all__ = ["Batch", "DataOptions", "DataSource", "Dataset", "load", "path_of"]
