"""The settings of the programs of this package: UNDERSTUDY_TTS__…, UNDERSTUDY_ASR__… and UNDERSTUDY_WEIGHTS__…"""

from pydantic import ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from models.errors import EngineUnavailable
from models.settings import AsrSettings, EngineSettings, TtsSettings, WeightsSettings
from models.weights.environment import PREFIX


class _Environment(BaseSettings):
    model_config = SettingsConfigDict(
        env_prefix=PREFIX, env_nested_delimiter="__", env_file=".env", frozen=True, extra="ignore"
    )

    weights: WeightsSettings = WeightsSettings()
    asr: AsrSettings = AsrSettings()
    tts: TtsSettings = TtsSettings()


def engine_settings() -> EngineSettings:
    """What the environment and .env say. Raises EngineUnavailable with the name of a setting that is wrong."""
    try:
        found = _Environment()
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        name = PREFIX + "__".join(str(part) for part in first["loc"]).upper()
        raise EngineUnavailable(f"{name}: {first['msg']}.") from None
    return EngineSettings(weights=found.weights, asr=found.asr, tts=found.tts)
