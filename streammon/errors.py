"""Every error this package raises, as one tree. `retryable` tells a caller whether the same call may succeed later."""

from __future__ import annotations

from dataclasses import dataclass


class StreammonError(Exception):
    """Base of all. The message names the place and the cure, in one line."""

    retryable = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One fault in a configuration file. `line` counts from 1; `key` is dotted, with list indices."""

    file: str
    line: int
    key: str
    reason: str
    value: object = None

    def __str__(self) -> str:
        key = f" {self.key}:" if self.key else ""
        got = "" if self.value is None else f" (got {self.value!r})"
        return f"{self.file}:{self.line}:{key} {self.reason}{got}"


class ConfigError(StreammonError):
    """One or more files are not valid; `problems` lists all of them at once."""

    def __init__(self, problems: list[Problem]) -> None:
        super().__init__("\n".join(str(problem) for problem in problems))
        self.problems = problems


class RuntimeMissing(StreammonError):
    """No ONNX Runtime is installed."""


class ProviderUnavailable(StreammonError):
    """The execution provider that was asked for by name is not there."""


class ModelError(StreammonError):
    """Something is wrong with a model's weights."""


class ModelMissing(ModelError):
    """The weights are not in the store; `streammon models pull` fetches them."""


class ModelCorrupt(ModelError):
    """A file's sha256 is not the catalogue's, or it cannot be read as what it should be."""


class ModelUpdateRefused(ModelError):
    """What is asked of a model on trial cannot be done as things are."""


class DetectorUnknown(ModelError):
    """No detector that runs has this name."""


class RunTimedOut(ModelError):
    """A run took longer than it may, or waited too long for its provider, and was ended."""

    retryable = True


class ModelProcessLost(ModelError):
    """A process of its own that runs a model has ended or cannot be understood; it is started again after a while."""

    retryable = True


class ModelSourceUnavailable(ModelError):
    """The package that carries the weights could not be fetched."""

    retryable = True


class PictureUnreadable(StreammonError):
    """A picture file cannot be read: it is none, is damaged, or is too large."""


class HeadUnusable(StreammonError):
    """A trained head cannot be run: its file is none, or it was trained on another embedding."""


class TrainingRefused(StreammonError):
    """What was given to learn from does not do; the message tells all that is wrong with it, a line each."""


class LibraryError(StreammonError):
    """A list of faces or pictures cannot be read, written or searched as it is."""


class FaceUnusable(StreammonError):
    """Nobody can be enrolled from a picture: it shows no face, several, or one that is too small or blurred."""


class SourceError(StreammonError):
    """A room's stream could not be opened or read. `code` is the reason that events and metrics carry."""

    retryable = True
    code = "source_error"
    persistent = False
    """Time alone rarely mends it, so it is tried again more slowly."""


class SourceUnreachable(SourceError):
    """Refused, unknown host, timed out, or the server has no such stream."""

    code = "unreachable"


class SourceDenied(SourceError):
    """The server wants other credentials (401, 403)."""

    code = "denied"
    persistent = True


class SourceForbidden(SourceError):
    """The address is not one that this monitor may connect to."""

    code = "forbidden_address"
    persistent = True


class SourceTooLarge(SourceError):
    """Something is larger than a stream's parts may be."""

    code = "too_large"
    persistent = True


class SourceStopped(SourceError):
    """The room is being stopped; nothing is wrong."""

    code = "stopped"


class SourceFinished(SourceError):
    """The publisher says that the stream is over. It may come back."""

    code = "end_of_stream"


class SourceEnded(SourceError):
    """The publisher left, or the connection broke."""

    code = "ended"


class SourceStalled(SourceError):
    """Connected, but nothing came for longer than the time-out."""

    code = "stalled"


class SourceHung(SourceError):
    """A call into FFmpeg, the resolver or a file system does not come back; its thread was given up."""

    code = "hung"


class SourceNotMedia(SourceError):
    """The URL answers, but not with a stream that can be decoded."""

    code = "not_media"
    persistent = True


class SourceHasNoVideo(SourceNotMedia):
    """A stream without video, such as audio only."""

    code = "no_video"


class InternalFault(SourceError):
    """Something in our own code went wrong while a room was watched."""

    code = "internal_error"


class IngestCrashed(StreammonError):
    """The ingest process died more often than its restart budget allows."""


class SpoolError(StreammonError):
    """The spool, where judged events are kept until they are delivered, cannot be opened or written."""


class DeliveryError(StreammonError):
    """A sink did not take events; they stay in the spool."""

    retryable = True


class EvidenceError(StreammonError):
    """Evidence could not be stored; it stays in the spool."""

    retryable = True
