"""Everything that can go wrong with models, as one tree.

    ModelError
    ├── WeightsError           a weight file cannot be had
    │   ├── WeightsMissing       no source delivered it, or it was never fetched
    │   └── WeightsCorrupt       the bytes are not the ones the catalog promises
    ├── AvatarError            a recording cannot be prepared, or a prepared avatar cannot be used
    └── EngineError            an engine cannot do its work
        ├── EngineUnavailable    this machine lacks what the engine needs; raised at start-up
        └── EngineFailed         one request failed; the engine stays usable
            └── ClauseCutShort     a clause broke off after some of its sound; the next one can be spoken

Each message is one sentence for a person that says what to do; `code` is the stable name for logs and messages.
"""


class ModelError(Exception):
    code = "model_error"


class WeightsError(ModelError):
    code = "weights_error"


class WeightsMissing(WeightsError):
    code = "weights_missing"


class WeightsCorrupt(WeightsError):
    code = "weights_corrupt"


class AvatarError(ModelError):
    code = "avatar_error"


class EngineError(ModelError):
    code = "engine_error"


class EngineUnavailable(EngineError):
    code = "engine_unavailable"


class EngineFailed(EngineError):
    code = "engine_failed"


class ClauseCutShort(EngineFailed):
    code = "clause_cut_short"
