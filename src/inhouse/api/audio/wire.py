"""Shapes of the audio operations."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import UNSET, Meta, UnsetType

from inhouse.api.forms import UploadedFile
from inhouse.api.wire import RequestObject, ResponseObject, doc

ResponseFormat = Literal["json", "text", "srt", "verbose_json", "vtt", "diarized_json"]
TranslationFormat = Literal["json", "text", "srt", "verbose_json", "vtt"]
SpeechFormat = Literal["mp3", "opus", "aac", "flac", "wav", "pcm"]
AudioFile = Annotated[UploadedFile, doc("The audio: flac, mp3, mp4, mpeg, mpga, m4a, ogg, wav or webm, up to 25 MB.")]
Model = Annotated[str, doc("Id of the model.")]
Temperature = Annotated[
    Annotated[float, Meta(ge=0, le=1)] | None,
    doc("Spread of the sampling. 0, the default, takes the likeliest words and spreads only where that goes wrong."),
]


class VadConfig(RequestObject, kw_only=True):
    """How speech is told from silence."""

    type: Annotated[Literal["server_vad"], doc("Always `server_vad`.")]
    prefix_padding_ms: Annotated[
        Annotated[int, Meta(ge=0, le=60_000)] | None, doc("Audio kept around speech, in milliseconds; 300 by default.")
    ] = None
    silence_duration_ms: Annotated[
        Annotated[int, Meta(ge=0, le=60_000)] | None, doc("Silence that ends speech, in milliseconds; 200 by default.")
    ] = None
    threshold: Annotated[
        Annotated[float, Meta(ge=0, le=1)] | None, doc("How sure the detector must be of speech; 0.5 by default.")
    ] = None


class CreateTranscriptionRequest(RequestObject, kw_only=True):
    """Write down what is said in an audio file."""

    file: AudioFile
    model: Model
    language: Annotated[str | None, doc("Language spoken, as ISO-639-1 names it; detected by default.")] = None
    languages: Annotated[
        Annotated[list[str], Meta(min_length=1)] | None,
        doc("Languages that may be spoken, as ISO-639-1 names them. With one, it is taken for granted."),
    ] = None
    keywords: Annotated[list[str] | None, doc("Words that are likely said, such as names.")] = None
    prompt: Annotated[str | None, doc("Text in the style wanted, or what was said before.")] = None
    response_format: Annotated[ResponseFormat | None, doc("Format of the answer; `json` by default.")] = None
    temperature: Temperature = None
    include: Annotated[
        list[Literal["logprobs"]] | None, doc("`logprobs` tells how sure the model is of each token.")
    ] = None
    timestamp_granularities: Annotated[
        list[Literal["word", "segment"]] | None, doc("What has times in `verbose_json`; segments by default.")
    ] = None
    stream: Annotated[bool | None, doc("Answer with server-sent events, as the audio is understood.")] = None
    chunking_strategy: Annotated[
        Literal["auto"] | VadConfig | None,
        doc("Find speech before it is written down: `auto`, or with parameters. By default all audio is listened to."),
    ] = None
    known_speaker_names: Annotated[
        Annotated[list[str], Meta(max_length=4)] | None, doc("Names of up to 4 speakers, for diarization.")
    ] = None
    known_speaker_references: Annotated[
        Annotated[list[str], Meta(max_length=4)] | None,
        doc("As data URLs, 2 to 10 seconds of each of those speakers' voices."),
    ] = None


class CreateTranslationRequest(RequestObject, kw_only=True):
    """Write down in English what is said in an audio file."""

    file: AudioFile
    model: Model
    prompt: Annotated[str | None, doc("English text in the style wanted, or what was said before.")] = None
    response_format: Annotated[TranslationFormat | None, doc("Format of the answer; `json` by default.")] = None
    temperature: Temperature = None


class InputTokenDetails(ResponseObject, kw_only=True):
    """What the input's tokens were."""

    text_tokens: Annotated[int, doc("Tokens of the prompt.")]
    audio_tokens: Annotated[int, doc("Tokens of the audio: ten a second.")]


class UsageTokens(ResponseObject, kw_only=True, tag="tokens"):
    """What was used, in tokens."""

    input_tokens: Annotated[int, doc("Tokens of prompt and audio.")]
    input_token_details: Annotated[InputTokenDetails | UnsetType, doc("The input's tokens by kind.")] = UNSET
    output_tokens: Annotated[int, doc("Tokens of the text.")]
    total_tokens: Annotated[int, doc("Input and output together.")]


class UsageDuration(ResponseObject, kw_only=True, tag="duration"):
    """What was used, in time."""

    seconds: Annotated[float, doc("Seconds of audio.")]


Usage = UsageTokens | UsageDuration


class Logprob(ResponseObject, kw_only=True):
    """How sure the model is of a token."""

    token: Annotated[str, doc("The token's text.")]
    logprob: Annotated[float, doc("Its log probability.")]
    bytes: Annotated[list[int], doc("Its bytes.")]


class WholeLogprob(ResponseObject, kw_only=True):
    """How sure the model is of a token."""

    token: Annotated[str, doc("The token's text.")]
    logprob: Annotated[float, doc("Its log probability.")]
    bytes: Annotated[list[float], doc("Its bytes.")]


class Language(ResponseObject, kw_only=True):
    """A language that is spoken."""

    code: Annotated[str, doc("As ISO-639-1 names it.")]


class Word(ResponseObject, kw_only=True):
    """A word and when it is said."""

    word: Annotated[str, doc("The word.")]
    start: Annotated[float, doc("Second at which it begins.")]
    end: Annotated[float, doc("Second at which it ends.")]


class Segment(ResponseObject, kw_only=True):
    """What is said in a few seconds."""

    id: Annotated[int, doc("Its number, from 0.")]
    seek: Annotated[int, doc("Where the model began to listen for it, in hundredths of a second.")]
    start: Annotated[float, doc("Second at which it begins.")]
    end: Annotated[float, doc("Second at which it ends.")]
    text: Annotated[str, doc("The text.")]
    tokens: Annotated[list[int], doc("The text's token ids.")]
    temperature: Annotated[float, doc("Temperature that it was decoded at.")]
    avg_logprob: Annotated[float, doc("Mean log probability of its tokens; below -1 it is likely wrong.")]
    compression_ratio: Annotated[float, doc("How well it compresses; above 2.4 it likely repeats itself.")]
    no_speech_prob: Annotated[float, doc("Probability that nothing is said.")]


class DiarizedSegment(ResponseObject, kw_only=True, tag="transcript.text.segment"):
    """What one speaker says. Also an event of a diarized stream."""

    id: Annotated[str, doc("Its id.")]
    start: Annotated[float, doc("Second at which it begins.")]
    end: Annotated[float, doc("Second at which it ends.")]
    text: Annotated[str, doc("The text.")]
    speaker: Annotated[str, doc("Who speaks: a known name, or A, B, ... in the order of their first words.")]


class Transcription(ResponseObject, kw_only=True):
    """What is said, as `json`."""

    text: Annotated[str, doc("The text.")]
    languages: Annotated[list[Language] | UnsetType, doc("Languages that were detected.")] = UNSET
    logprobs: Annotated[list[WholeLogprob] | UnsetType, doc("Log probabilities of its tokens, if asked for.")] = UNSET
    usage: Annotated[Usage | UnsetType, doc("What was used.")] = UNSET


class TranscriptionVerbose(ResponseObject, kw_only=True):
    """What is said, as `verbose_json`."""

    task: Annotated[Literal["transcribe", "translate"], doc("What was done.")]
    language: Annotated[str, doc("Language of the audio, by its English name.")]
    duration: Annotated[float, doc("Seconds of audio.")]
    text: Annotated[str, doc("The text.")]
    words: Annotated[list[Word] | UnsetType, doc("Words with times, if asked for.")] = UNSET
    segments: Annotated[list[Segment] | UnsetType, doc("Segments with times.")] = UNSET
    usage: Annotated[UsageDuration | UnsetType, doc("What was used.")] = UNSET


class TranscriptionDiarized(ResponseObject, kw_only=True):
    """What is said and by whom, as `diarized_json`."""

    task: Annotated[Literal["transcribe"], doc("Always `transcribe`.")] = "transcribe"
    duration: Annotated[float, doc("Seconds of audio.")]
    text: Annotated[str, doc("The text.")]
    segments: Annotated[list[DiarizedSegment], doc("What each one says in turn.")]
    usage: Annotated[Usage | UnsetType, doc("What was used.")] = UNSET


class Translation(ResponseObject, kw_only=True):
    """What is said, in English."""

    text: Annotated[str, doc("The text.")]


class TextDelta(ResponseObject, kw_only=True, tag="transcript.text.delta"):
    """The next piece of a streamed text."""

    delta: Annotated[str, doc("The text.")]
    logprobs: Annotated[list[Logprob] | UnsetType, doc("Log probabilities of its tokens, if asked for.")] = UNSET
    segment_id: Annotated[str | UnsetType, doc("The diarized segment that it belongs to.")] = UNSET


class TextDone(ResponseObject, kw_only=True, tag="transcript.text.done"):
    """The whole text, at the end of a stream."""

    text: Annotated[str, doc("The text.")]
    languages: Annotated[list[Language] | UnsetType, doc("Languages that were detected.")] = UNSET
    logprobs: Annotated[list[Logprob] | UnsetType, doc("Log probabilities of its tokens, if asked for.")] = UNSET
    usage: Annotated[UsageTokens | UnsetType, doc("What was used.")] = UNSET


TranscriptionEvent = TextDelta | DiarizedSegment | TextDone


class CustomVoice(RequestObject, kw_only=True):
    """A voice of one's own."""

    id: Annotated[str, doc("Its id.")]


class CreateSpeechRequest(RequestObject, kw_only=True):
    """Speak a text."""

    model: Model
    input: Annotated[Annotated[str, Meta(min_length=1, max_length=4096)], doc("The text, up to 4,096 characters.")]
    voice: Annotated[
        str | CustomVoice,
        doc("alloy, ash, ballad, cedar, coral, echo, fable, marin, nova, onyx, sage, shimmer or verse."),
    ]
    instructions: Annotated[
        Annotated[str, Meta(max_length=4096)] | None, doc("How to speak. Honoured where the deployment can.")
    ] = None
    response_format: Annotated[SpeechFormat | None, doc("Format of the audio; `mp3` by default.")] = None
    speed: Annotated[Annotated[float, Meta(ge=0.25, le=4)] | None, doc("1 by default.")] = None
    stream_format: Annotated[
        Literal["sse", "audio"] | None, doc("The audio as it is, or in server-sent events; `audio` by default.")
    ] = None


class SpeechUsage(ResponseObject, kw_only=True):
    """What was used."""

    input_tokens: Annotated[int, doc("Tokens of the text.")]
    output_tokens: Annotated[int, doc("Tokens of the audio: twenty a second.")]
    total_tokens: Annotated[int, doc("Input and output together.")]


class SpeechDelta(ResponseObject, kw_only=True, tag="speech.audio.delta"):
    """The next piece of the audio."""

    audio: Annotated[str, doc("Bytes of the audio, in base64.")]


class SpeechDone(ResponseObject, kw_only=True, tag="speech.audio.done"):
    """The end of the audio."""

    usage: Annotated[SpeechUsage, doc("What was used.")]


SpeechEvent = SpeechDelta | SpeechDone
