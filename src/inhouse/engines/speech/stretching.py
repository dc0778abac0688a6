"""Speech faster or slower at the same pitch, for speeds that the model itself does not speak well at."""

from __future__ import annotations

from itertools import pairwise

import av
import numpy as np
from av.filter import Graph
from numpy.typing import NDArray

from inhouse.engines.audio.formats import RATE


class Stretcher:
    """FFmpeg's ``atempo`` over one utterance.

    Args:
        tempo: from 0.5 to 2; 1 passes samples through.
    """

    def __init__(self, tempo: float) -> None:
        self._graph: Graph | None = None
        if tempo != 1.0:
            graph = Graph()
            ends = [
                graph.add_abuffer(format="flt", sample_rate=RATE, layout="mono"),
                graph.add("atempo", f"{tempo:.4f}"),
                graph.add("aformat", f"sample_fmts=flt:sample_rates={RATE}:channel_layouts=mono"),
                graph.add("abuffersink"),
            ]
            for one, other in pairwise(ends):
                one.link_to(other)
            graph.configure()
            self._graph = graph

    def add(self, samples: NDArray[np.float32]) -> NDArray[np.float32]:
        if self._graph is None:
            return samples
        frame = av.AudioFrame.from_ndarray(samples.reshape(1, -1), format="flt", layout="mono")
        frame.sample_rate = RATE
        self._graph.push(frame)
        return self._pull()

    def end(self) -> NDArray[np.float32]:
        if self._graph is None:
            return np.zeros(0, np.float32)
        self._graph.push(None)
        return self._pull()

    def _pull(self) -> NDArray[np.float32]:
        out = [np.zeros(0, np.float32)]
        while self._graph is not None:
            try:
                frame = self._graph.pull()
            except (av.error.BlockingIOError, av.error.EOFError):
                break
            out.append(frame.to_ndarray().reshape(-1).astype(np.float32, copy=False))
        return np.concatenate(out)
