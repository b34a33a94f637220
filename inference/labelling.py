"""Label many recordings with bounded memory: read them ahead in threads, and keep their order."""

from collections import deque
from concurrent.futures import ThreadPoolExecutor
from itertools import islice

from speech2unit.corpora.audio import BadAudio


def label(recognizer, items, read, *, name_of, batch_size, num_best, num_workers):
    """Yield each item with its `Recognition`, or with the `BadAudio` error of one that cannot be used, in order.

    Args:
        recognizer: a `Recognizer`.
        items: iterable of anything; it is read about two batches ahead.
        read: function that maps an item to an input of the recognizer; it may raise `BadAudio`.
        name_of: function that maps an item to its utterance_id.
        batch_size: items that are labelled together. The unusable ones among them count.
        num_best: number of answers in `Recognition.n_best`.
        num_workers: threads that read.
    """
    pairs = read_ahead(items, read, num_workers, batch_size)
    while batch := list(islice(pairs, batch_size)):
        usable = [(item, content) for item, content in batch if not isinstance(content, BadAudio)]
        names = [name_of(item) for item, _ in usable]
        contents = [content for _, content in usable]
        results = iter(recognizer.stream(contents, batch_size=batch_size, num_best=num_best, names=names))
        for item, content in batch:
            yield item, content if isinstance(content, BadAudio) else next(results)


def read_ahead(items, read, num_workers, num_ahead):
    """Yield pairs (item, what `read` returns for it, or its `BadAudio` error) in order; threads read at most `num_ahead` items ahead."""

    def read_or_error(item):
        try:
            return item, read(item)
        except BadAudio as error:
            return item, error

    items = iter(items)
    pending = deque()
    with ThreadPoolExecutor(num_workers) as threads:
        try:
            while True:
                for item in islice(items, max(0, num_ahead - len(pending))):
                    pending.append(threads.submit(read_or_error, item))
                if not pending:
                    return
                yield pending.popleft().result()
        finally:
            for future in pending:
                future.cancel()
