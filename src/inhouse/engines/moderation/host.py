"""The moderation host: a child process that scores texts and images. Run as ``python -m``."""

from __future__ import annotations

from pathlib import Path

from inhouse.engines.hosting import HostServer, Stop
from inhouse.engines.moderation.classifier import TextClassifier
from inhouse.engines.moderation.images import ImageClassifier
from inhouse.engines.moderation.shapes import Classified, Classify
from inhouse.engines.protocol import Refused


def main() -> None:
    server = HostServer()
    folder = Path(server.config.weights[0].path)
    texts = TextClassifier(folder, server.config.threads)
    images = ImageClassifier(folder / "open-nsfw.onnx", server.config.threads)

    @server.call("/classify")
    def classify(request: Classify, stop: Stop) -> Classified:
        seen = []
        for number, image in enumerate(request.images):
            stop.check()
            try:
                seen.append(images.classify(image))
            except Refused as error:
                raise Refused(str(error), code=error.code, param=str(number)) from error
        return Classified(texts.classify(request.texts, stop.check), seen, texts.count(request.texts))

    server.run()


if __name__ == "__main__":
    main()
