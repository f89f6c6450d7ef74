"""Going through the data of a check, as far as a rule needs it."""

from collections.abc import Iterator, Mapping

from nmtool.backends import Array
from nmtool.checks.subject import Subject

_BATCH = 32


def batches(subject: Subject, samples: int) -> Iterator[tuple[Mapping[str, Array], int]]:
    """Feeds and how many samples they hold; the made-up ones of the subject where there is no data.

    Args:
        subject: has the data.
        samples: after so many it ends.
    """
    data = subject.data
    if data is None:
        yield subject.feeds, len(next(iter(subject.feeds.values()), ()))
    elif data.fixed:
        for count, batch in enumerate(data):
            if count * data.batch_size >= samples:
                return
            yield batch.feeds, batch.size
    else:
        for start in range(0, min(samples, data.count), _BATCH):
            size = min(_BATCH, samples - start, data.count - start)
            yield data.take(range(start, start + size)).feeds, size
