"""Label many recordings with bounded memory: read them ahead in threads, and keep their order."""

import threading

from speech2unit.corpora.audio import BadAudio

MAX_SAMPLES = 2**25  # of a batch, and of what is read ahead: 35 minutes at 16 kHz, 134 MB


def label(recognizer, items, read, *, name_of, batch_size, num_best, num_workers):
    """Yield each item with its `Recognition`, or with the `BadAudio` error of one that cannot be used, in order.

    Args:
        recognizer: a `Recognizer`.
        items: iterable of anything; it is read about two batches ahead.
        read: function that maps an item to an input of the recognizer; it may raise `BadAudio`.
        name_of: function that maps an item to its utterance_id.
        batch_size: items that are labelled together. The unusable ones among them count. Long recordings make smaller batches.
        num_best: number of answers in `Recognition.n_best`.
        num_workers: threads that read.
    """
    for batch in batches(read_ahead(items, read, num_workers, batch_size), batch_size):
        usable = [(item, content) for item, content in batch if not isinstance(content, BadAudio)]
        names = [name_of(item) for item, _ in usable]
        contents = [content for _, content in usable]
        results = iter(recognizer.stream(contents, batch_size=batch_size, num_best=num_best, names=names))
        for item, content in batch:
            yield item, content if isinstance(content, BadAudio) else next(results)


def batches(pairs, batch_size):
    """Yield lists of `batch_size` pairs (item, content), fewer where their audio has `MAX_SAMPLES`."""
    batch = []
    num_samples = 0
    for item, content in pairs:
        batch.append((item, content))
        num_samples += samples_in(content)
        if len(batch) == batch_size or num_samples >= MAX_SAMPLES:
            yield batch
            batch = []
            num_samples = 0
    if batch:
        yield batch


def samples_in(content):
    """Return the number of samples of an input (waveform, rate) of a recognizer; 0 for units and errors."""
    return len(content[0]) if isinstance(content, tuple) and hasattr(content[0], "__len__") else 0


def read_ahead(items, read, num_workers, num_ahead):
    """Yield pairs (item, what `read` returns for it, or its `BadAudio` error) in order.

    Threads read ahead while fewer than `num_ahead` items, of fewer than `MAX_SAMPLES`, wait.
    """
    reader = _Reader(items, read, num_ahead)
    threads = [threading.Thread(target=reader.work, daemon=True) for _ in range(num_workers)]
    for thread in threads:
        thread.start()
    try:
        while (result := reader.next()) is not None:
            yield result
    finally:
        reader.stop()
        for thread in threads:
            thread.join()


class _Reader:
    """Items that several threads read, each item by one of them. Whoever holds `changed` may use the other attributes."""

    def __init__(self, items, read, num_ahead):
        self.items = enumerate(items)
        self.read = read
        self.num_ahead = num_ahead
        self.changed = threading.Condition()
        self.num_taken = 0  # items that threads have begun to read
        self.num_given = 0  # items that `next` has returned
        self.num_samples = 0  # of what has been read and not returned
        self.finished = {}  # number of an item → (item, content)
        self.error = None  # about no single item
        self.is_over = False  # nothing more is to be read

    def work(self):
        """Read items until there are none left."""
        while True:
            with self.changed:
                self.changed.wait_for(self._may_read)
                taken = None if self.is_over else self._take()
                if taken is None:
                    return
            number, item = taken
            try:
                content = self.read(item)
            except BadAudio as error:
                content = error
            except BaseException as error:
                self._fail(error)
                return
            with self.changed:
                self.finished[number] = (item, content)
                self.num_samples += samples_in(content)
                self.changed.notify_all()

    def next(self):
        """Return the next pair (item, content), or None after the last one. Raises an error that is about no single item."""
        with self.changed:
            self.changed.wait_for(
                lambda: self.error or self.num_given in self.finished or (self.is_over and self.num_given == self.num_taken)
            )
            if self.error:
                raise self.error
            if self.num_given not in self.finished:
                return None
            item, content = self.finished.pop(self.num_given)
            self.num_given += 1
            self.num_samples -= samples_in(content)
            self.changed.notify_all()
            return item, content

    def stop(self):
        """Let the threads end after what they are reading."""
        with self.changed:
            self.is_over = True
            self.changed.notify_all()

    def _may_read(self):
        """Return whether a thread may take the next item, or should end."""
        is_room = self.num_taken - self.num_given < self.num_ahead and self.num_samples < MAX_SAMPLES
        return self.is_over or is_room

    def _take(self):
        """Return the number of the next item and the item, or None after the last one."""
        try:
            taken = next(self.items, None)
        except BaseException as error:
            self.error = error
            taken = None
        if taken is None:
            self.is_over = True
            self.changed.notify_all()
        else:
            self.num_taken += 1
        return taken

    def _fail(self, error):
        """End with an error that is about no single item."""
        with self.changed:
            self.error = error
            self.is_over = True
            self.changed.notify_all()
