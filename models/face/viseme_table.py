"""The mouth shape of every sound in Kokoro's vocabulary (IPA, capitals for diphthongs).

The numbers describe how a speaker of American English looks from the front; vowels follow the height, backness and
rounding of the IPA chart, consonants their place of articulation.
"""

# IPA letters are meant, not their Latin look-alikes.

from typing import NamedTuple


class Viseme(NamedTuple):
    """The shape a sound asks for (fields of MouthShape) and how strongly it pulls on jaw, lips and tongue."""

    opening: float = 0.0
    width: float = 0.0
    rounding: float = 0.0
    teeth: float = 0.0
    tongue: float = 0.0
    jaw_pull: float = 1.0
    lip_pull: float = 1.0
    tongue_pull: float = 1.0
    press: bool = False
    bite: bool = False


SILENCE = Viseme(jaw_pull=1.6, lip_pull=0.8)

VOWELS: dict[str, Viseme] = {
    "i": Viseme(0.20, 0.75, 0.0, 0.30),
    "ɪ": Viseme(0.27, 0.45, 0.0, 0.15, jaw_pull=0.8),
    "ᵻ": Viseme(0.25, 0.30, 0.0, 0.10, jaw_pull=0.6, lip_pull=0.6),
    "ɨ": Viseme(0.24, 0.25, 0.0, 0.10, jaw_pull=0.6, lip_pull=0.6),
    "e": Viseme(0.38, 0.50, 0.0, 0.12),
    "ɛ": Viseme(0.46, 0.36),
    "æ": Viseme(0.64, 0.46),
    "a": Viseme(0.74, 0.18),
    "ɐ": Viseme(0.50, 0.05, jaw_pull=0.8, lip_pull=0.7),
    "ʌ": Viseme(0.54, 0.05),
    "ə": Viseme(0.30, 0.08, jaw_pull=0.55, lip_pull=0.45),
    "ᵊ": Viseme(0.22, 0.05, jaw_pull=0.4, lip_pull=0.35),
    "ɜ": Viseme(0.32, -0.05, 0.30),
    "ɚ": Viseme(0.28, -0.05, 0.28, jaw_pull=0.7),
    "ɑ": Viseme(0.78, 0.0),
    "ɒ": Viseme(0.68, -0.1, 0.30),
    "ɔ": Viseme(0.58, -0.15, 0.52),
    "o": Viseme(0.44, -0.2, 0.74, lip_pull=1.3),
    "ɤ": Viseme(0.36, 0.0, 0.15),
    "ʊ": Viseme(0.28, -0.15, 0.58, lip_pull=1.2),
    "ɯ": Viseme(0.22, 0.15),
    "u": Viseme(0.20, -0.25, 0.92, lip_pull=1.6),
    "y": Viseme(0.18, -0.1, 0.85, lip_pull=1.4),
    "ø": Viseme(0.34, -0.1, 0.65, lip_pull=1.2),
    "œ": Viseme(0.46, -0.1, 0.50, lip_pull=1.1),
}

DIPHTHONGS: dict[str, tuple[str, str]] = {
    "A": ("e", "ɪ"),
    "I": ("a", "ɪ"),
    "O": ("o", "ʊ"),
    "Q": ("ə", "ʊ"),
    "W": ("a", "ʊ"),
    "Y": ("ɔ", "i"),
}

_LABIAL = Viseme(0.0, 0.05, 0.0, jaw_pull=2.2, lip_pull=0.4, press=True)
_LABIODENTAL = Viseme(0.10, 0.12, 0.0, jaw_pull=1.8, lip_pull=0.7, bite=True)
_DENTAL = Viseme(0.30, 0.15, 0.0, 0.0, 0.80, jaw_pull=1.2, lip_pull=0.4, tongue_pull=2.5)
_TIP = Viseme(0.17, 0.15, 0.0, 0.15, 0.90, jaw_pull=0.9, lip_pull=0.25, tongue_pull=2.0)
_LATERAL = Viseme(0.36, 0.12, 0.0, 0.0, 1.0, jaw_pull=0.8, lip_pull=0.3, tongue_pull=2.5)
_HISS = Viseme(0.06, 0.32, 0.0, 0.95, 0.0, jaw_pull=2.0, lip_pull=0.7, tongue_pull=2.2)
_HUSH = Viseme(0.10, -0.10, 0.55, 0.85, 0.0, jaw_pull=1.8, lip_pull=1.6, tongue_pull=2.0)
_BACK = Viseme(0.28, 0.05, 0.0, jaw_pull=0.5, lip_pull=0.15, tongue_pull=0.4)
_PALATAL = Viseme(0.20, 0.55, 0.0, 0.20, jaw_pull=0.8, lip_pull=0.7)
_BREATH = Viseme(0.32, 0.0, jaw_pull=0.25, lip_pull=0.08, tongue_pull=0.2)
_APPROXIMANT = Viseme(0.20, -0.15, 0.48, jaw_pull=0.9, lip_pull=1.1)
_GLIDE = Viseme(0.10, -0.30, 1.0, jaw_pull=1.3, lip_pull=2.4)

CONSONANTS: dict[str, Viseme] = {
    **dict.fromkeys("pbm", _LABIAL),
    **dict.fromkeys("fvʋβɸ", _LABIODENTAL),
    **dict.fromkeys("θð", _DENTAL),
    **dict.fromkeys("tdnɾʈɖɳɽ", _TIP),
    **dict.fromkeys("lʎꭧ", _LATERAL),
    **dict.fromkeys("szʣʦ", _HISS),
    **dict.fromkeys("ʃʒʧʤʂɕʥʨST", _HUSH),
    **dict.fromkeys("kɡgŋxɣɴqχʁɰ", _BACK),
    **dict.fromkeys("jcɟçʝɲ", _PALATAL),
    **dict.fromkeys("hʔ", _BREATH),
    **dict.fromkeys("ɹrɻ", _APPROXIMANT),
    **dict.fromkeys("wɥ", _GLIDE),
}

REDUCED_VOWELS = "əᵊᵻɨɚɐ"

PRIMARY_STRESS = "ˈ"
STRESS_MARKS = PRIMARY_STRESS + "ˌ"
LENGTHENERS = "ːʰʲ\u0303ᵝ"
"""Marks that belong to the sound before them."""


def visemes_of(symbol: str) -> tuple[Viseme, ...]:
    """One viseme, two for a diphthong, none for what is not a sound (silence, marks)."""
    if symbol in DIPHTHONGS:
        return tuple(VOWELS[part] for part in DIPHTHONGS[symbol])
    found = VOWELS.get(symbol) or CONSONANTS.get(symbol)
    return (found,) if found else ()


def is_vowel(symbol: str) -> bool:
    return symbol in VOWELS or symbol in DIPHTHONGS
