"""The settings of the programs of this package: UNDERSTUDY_TTS__…, UNDERSTUDY_ASR__… and UNDERSTUDY_WEIGHTS__…"""

from models.environment import ProgramSettings, read
from models.settings import AsrSettings, EngineSettings, TtsSettings, WeightsSettings


class _Environment(ProgramSettings):
    weights: WeightsSettings = WeightsSettings()
    asr: AsrSettings = AsrSettings()
    tts: TtsSettings = TtsSettings()


def engine_settings() -> EngineSettings:
    """What the environment and .env say. Raises EngineUnavailable with the name of a setting that is wrong."""
    found = read(_Environment)
    return EngineSettings(weights=found.weights, asr=found.asr, tts=found.tts)
