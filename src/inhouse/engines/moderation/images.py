"""The image classifier: how likely an image shows nudity or sexual acts. It knows nothing else."""

from __future__ import annotations

import io
import warnings
from pathlib import Path

import numpy as np
import onnxruntime
from PIL import Image

from inhouse.engines.protocol import Refused

FORMATS = ("PNG", "JPEG", "WEBP", "GIF")
MAX_PIXELS = 50_000_000
"""Of an image as it is stored; a larger one is refused before it is unpacked."""

_MEAN = np.array([104, 117, 123], dtype=np.float32)
"""Of blue, green and red in the data that open_nsfw was trained on."""
_SIDE, _CROP = 256, 224


class ImageClassifier:
    """Scores images with open_nsfw. Thread-safe."""

    def __init__(self, model: Path, threads: int) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        self._session = onnxruntime.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])
        self._input = self._session.get_inputs()[0].name

    def classify(self, image: bytes) -> dict[str, float]:
        """The probability of the one category that it has evidence for.

        Raises:
            Refused: not an image of ``FORMATS``, damaged, or too large to unpack.
        """
        [[_, sexual]] = self._session.run(None, {self._input: _prepared(image)[np.newaxis]})[0]
        return {"sexual": float(sexual)}


def _prepared(data: bytes) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    """An image as the network was trained to see it: shape (224, 224, 3), blue, green, red around their means.

    The network learned from images that were shrunk to 256 pixels, saved as JPEG and cut; so this one is, too.
    """
    if not data:
        raise Refused("The image is empty.", code="empty_image_file")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            image = Image.open(io.BytesIO(data), formats=FORMATS)
            if image.width * image.height > MAX_PIXELS:
                raise Refused(
                    f"The image is too large: {image.width} x {image.height} pixels. "
                    f"At most {MAX_PIXELS:,} pixels are supported.",
                    code="image_too_large",
                )
            image.draft("RGB", (_SIDE, _SIDE))  # a JPEG is unpacked at a fraction of its size
            small = _opaque(image).resize((_SIDE, _SIDE), Image.Resampling.BILINEAR)
    except Refused:
        raise
    except Image.DecompressionBombError as error:
        raise Refused("The image is too large.", code="image_too_large") from error
    except Exception as error:  # decoders raise nearly anything on hostile bytes
        raise Refused(
            "You uploaded an unsupported image. Please make sure your image is valid and has one of the following "
            "formats: 'png', 'jpeg', 'gif', 'webp'.",
            code="invalid_image_format",
        ) from error
    saved = io.BytesIO()
    small.save(saved, format="JPEG")
    offset = (_SIDE - _CROP) // 2
    pixels = np.asarray(Image.open(saved), dtype=np.float32)[offset : offset + _CROP, offset : offset + _CROP]
    return np.ascontiguousarray(pixels[:, :, ::-1] - _MEAN, dtype=np.float32)


def _opaque(image: Image.Image) -> Image.Image:
    """Its first frame in RGB, on white where it is transparent."""
    if image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info:
        layer = image.convert("RGBA")
        ground = Image.new("RGBA", layer.size, "white")
        return Image.alpha_composite(ground, layer).convert("RGB")
    return image.convert("RGB")
