"""Images as model input, batch by batch, prepared in threads while the device computes."""

import os
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

from jaxtyping import Float
from torch import Tensor

from lead_hub.checkpoint_outputs.shrunk_images import PixelArrays, Shrunk
from lead_hub.processes import n_on_this_machine

MOST_PREPARING_THREADS = 8  # more of them only add contention
MOST_AHEAD_BYTES = 2 << 30  # of all processes of a machine


def prepared_batches(
    prepare: Callable[[list[Shrunk]], Tensor],
    images: PixelArrays,
    positions: Sequence[int],
    batch_size: int,
    *,
    most_bytes: int = MOST_AHEAD_BYTES,
) -> Iterator[Float[Tensor, "image channel height width"]]:
    """The image processor's output, batch by batch in order, prepared ahead in threads.

    Ahead are at most as many batches as threads, and no more than the bytes hold, but one in any case. How large one is
    the first tells.
    """
    n_processes = n_on_this_machine()
    threads = max(1, min(MOST_PREPARING_THREADS, (os.cpu_count() or 1) // n_processes - 1))
    starts = deque(range(0, len(positions), batch_size))
    pending: deque[Future[Tensor]] = deque()
    n_ahead = 1

    def prepare_from(start: int) -> Tensor:
        return prepare([images[position] for position in positions[start : start + batch_size]])

    with ThreadPoolExecutor(threads, thread_name_prefix="lead-hub-prepare") as pool:
        try:
            while starts or pending:
                while starts and len(pending) <= n_ahead:
                    pending.append(pool.submit(prepare_from, starts.popleft()))
                batch = pending.popleft().result()
                n_ahead = max(1, min(threads, most_bytes // n_processes // max(1, batch.nbytes)))
                yield batch
        finally:
            for future in pending:
                future.cancel()
