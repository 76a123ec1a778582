"""What a language model writes in Ukrainian, rewritten as what a person would say.

Pure functions. What comes out holds only Ukrainian letters, stress marks (U+0301) after vowels, words of ASCII letters,
apostrophes, hyphens, spaces and the punctuation that carries prosody (. , ! ? ; : — …).
"""

import re
import unicodedata
from typing import Final

from models.tts.markup import LINES, TYPOGRAPHY, AddressWords, Rule, applied, markup, rule, tidy
from models.tts.quantities_ukrainian import spell_quantities

_ACUTE: Final = "\u0301"
_LETTERS: Final = "А-ЩЬЮЯЄІЇҐа-щьюяєіїґ"
_UPPER: Final = "А-ЩЬЮЯЄІЇҐ"
_VOWELS: Final = "АЕЄИІЇОУЮЯаеєиіїоуюя"


def speakable(text: str) -> str:
    """Return what a person would say for `text`; empty when there is nothing to say."""
    text = unicodedata.normalize("NFC", text).translate(TYPOGRAPHY).translate(_TYPOGRAPHY)
    text = applied(LINES, applied(_MARKUP, text))
    text = applied(_ABBREVIATIONS, text)
    text = spell_quantities(_compatible(text))
    text = applied(_SYMBOLS, text)
    text = applied(_INITIALS, _folded(text))
    text = applied(_TIDY, text).strip(" ,;:—-")
    return text if re.search(rf"[{_LETTERS}A-Za-z]", text) else ""


def _compatible(text: str) -> str:
    """Compatibility forms such as ½ and full-width digits in their plain spelling; ², ³ and № keep theirs."""
    text = re.sub("(?<=\\d)(?=[¼½¾⅓⅔⅛])", " і ", text)
    return "".join(sign if sign in "²³№…" else unicodedata.normalize("NFKC", sign) for sign in text)


def _folded(text: str) -> str:
    """Letters of other alphabets as the nearest Ukrainian or ASCII ones; what has none is left out."""
    kept: list[str] = []
    for letter in unicodedata.normalize("NFC", text.translate(_FOREIGN)):
        if letter.isascii() or letter in "—…" or re.match(rf"[{_LETTERS}]", letter):
            kept.append(letter)
        elif letter == _ACUTE:
            kept += [_ACUTE] if kept and kept[-1] in _VOWELS else []
        else:
            decomposed = unicodedata.normalize("NFKD", letter)
            kept += [part for part in decomposed if part.isascii() or re.match(rf"[{_LETTERS}]", part)]
    return "".join(kept).replace("\n", " ")


def _initials(match: re.Match[str]) -> str:
    """Capitals that are read letter by letter; В and З alone are prepositions at the start of a sentence."""
    word = match[0]
    if word in ("В", "З") or (word not in _READ_BY_LETTERS and any(letter in _VOWELS for letter in word)):
        return word
    return "-".join(_NAMES[letter] for letter in word)


def _abbreviation(written: str, spoken: str) -> Rule:
    return rule(rf"(?<![\w.]){_spaced(written)}(?!\w)", spoken)


def _spaced(written: str) -> str:
    """A pattern for `written` with or without its spaces."""
    return re.escape(written).replace("\\ ", r"\s?")


def _end_kept(written: str, spoken: str) -> tuple[Rule, Rule]:
    """An abbreviation whose last full stop may also end the sentence."""
    pattern = _spaced(written)
    return (
        rule(rf"(?<![\w.]){pattern}(?=\s+[{_UPPER}]|\s*$)", f"{spoken}."),
        rule(rf"(?<![\w.]){pattern}", spoken),
    )


def _place(
    written: str, nominative: str, genitive: str, locative: str, follows: str = rf"[{_UPPER}\"]"
) -> tuple[Rule, ...]:
    """A kind of place before its name, in the case that the preposition asks for."""
    name = rf"{re.escape(written)}\s?(?={follows})"
    return (
        rule(rf"(?<!\w)(?P<at>[УуВв]|[Нн]а|[Пп]о)\s+{name}", rf"\g<at> {locative} "),
        rule(rf"(?<!\w)(?P<of>[Зз]і?|[Вв]ід|[Дд]о|[Бб]іля|[Дд]ля)\s+{name}", rf"\g<of> {genitive} "),
        rule(rf"(?<![\w.]){name}", f"{nominative} "),
    )


_TYPOGRAPHY: Final = str.maketrans({"´": _ACUTE, "\u2011": "-", "\u2010": "-", "\u00ad": None, "\u2212": "-"})
_FOREIGN: Final = str.maketrans(
    {"ы": "и", "э": "е", "ё": "йо", "ъ": "'", "Ы": "И", "Э": "Е", "Ё": "Йо", "Ъ": "'", "ў": "в", "Ў": "В",
     "ß": "ss", "ø": "o", "Ø": "O", "æ": "ae", "Æ": "Ae", "œ": "oe", "ł": "l", "Ł": "L"}
)  # fmt: skip

_NAMES: Final = dict(
    zip(
        "АБВГҐДЕЄЖЗИІЇЙКЛМНОПРСТУФХЦЧШЩЬЮЯ",
        "а бе ве ге ґе де е є же зе и і ї йот ка ел ем ен о пе ер ес те у еф ха це че ша ща м'який-знак ю я".split(),
        strict=True,
    )
)
"""How the letters are called."""
_READ_BY_LETTERS: Final = frozenset(
    "США ЄС ЗСУ ООН СБУ ЗМІ АЕС НБУ ЦРУ ОАЕ ОВА ВПО БПЛА КНУ ДНУ ХАІ ЄБРР ЄСПЛ ОУН УПА УПЦ ЗНО ОСББ ІТ ШІ ПК ІПН АТО"
    " ООС".split()
)
"""Abbreviations with a vowel that are nevertheless spelt out."""
_MARKUP: Final = (
    rule(rf"(?<=[{_LETTERS}])`(?=[{_LETTERS}])", "'"),
    *markup(AddressWords(dot="крапка", dash="дефіс", underscore="підкреслення", at="собака")),
    rule(r"\b24/7\b", "двадцять чотири на сім"),
)
_ABBREVIATIONS: Final = (
    *_end_kept("і т. д.", "і так далі"),
    *_end_kept("і т. п.", "і тому подібне"),
    *_end_kept("та ін.", "та інші"),
    *_end_kept("до н. е.", "до нашої ери"),
    *_end_kept("н. е.", "нашої ери"),
    _abbreviation("т. зв.", "так званий"),
    _abbreviation("т. б.", "тобто"),
    _abbreviation("напр.", "наприклад"),
    _abbreviation("див.", "дивіться"),
    _abbreviation("пор.", "порівняйте"),
    _abbreviation("ім.", "імені"),
    _abbreviation("проф.", "професор"),
    _abbreviation("доц.", "доцент"),
    _abbreviation("акад.", "академік"),
    _abbreviation("гр.", "громадянин"),
    _abbreviation("п.", "пан"),
    _abbreviation("тел.", "телефон"),
    _abbreviation("ред.", "редактор"),
    _abbreviation("стор.", "сторінка"),
    _abbreviation("р-н", "район"),
    _abbreviation("к-сть", "кількість"),
    _abbreviation("грн/год", "гривень на годину"),
    *_place("м.", "місто", "міста", "місті"),
    *_place("с.", "село", "села", "селі"),
    *_place("смт", "селище", "селища", "селищі"),
    *_place("вул.", "вулиця", "вулиці", "вулиці"),
    *_place("просп.", "проспект", "проспекту", "проспекті"),
    *_place("пр-т", "проспект", "проспекту", "проспекті"),
    *_place("бульв.", "бульвар", "бульвару", "бульварі"),
    *_place("пров.", "провулок", "провулку", "провулку"),
    *_place("пл.", "площа", "площі", "площі"),
    *_place("буд.", "будинок", "будинку", "будинку", r"\d"),
    *_place("кв.", "квартира", "квартири", "квартирі", r"\d(?!\d*\s?к?м)"),
    *_place("оф.", "офіс", "офісу", "офісі", r"\d"),
    *_place("с.", "сторінка", "сторінки", "сторінці", r"\d"),
    *_end_kept("обл.", "область"),
    rule(r"№\s?(?=\d)|#(?=\d)", "номер "),
    rule(r"№", " номер "),
    rule(r"§\s?", "параграф "),
    rule(rf"\b([{_UPPER}])\.\s?(?=(?:[{_UPPER}]\.\s?)?[{_UPPER}][а-щьюяєіїґ])", lambda m: f"{_NAMES[m[1]]} "),
    rule(r"(?<=[A-Za-z]\s)(\d+)\.(\d+)(?![\d.])", r"\1 крапка \2"),
)
_SYMBOLS: Final = (
    rule(r"(?<=\w)\s?&\s?(?=\w)", " і "),
    rule(r"(?<=[A-Za-z])\+\+", " плюс плюс"),
    rule(r"\b([A-G])#", r"\1 шарп"),
    rule(r"\+", " плюс "),
    rule(r"\s?(?:<=|≤)\s?", " не більше ніж "),
    rule(r"\s?(?:>=|≥)\s?", " не менше ніж "),
    rule(r"\s?(?:!=|≠)\s?", " не дорівнює "),
    rule(r"\s?(?:[-=]>|→)\s?", " до "),
    rule(r"=+", " дорівнює "),
    rule(r"<(?=\s?\w)", " менше ніж "),
    rule(r">(?=\s?\w)", " більше ніж "),
    rule(r"±", " плюс-мінус "),
    rule(r"[≈~]", " приблизно "),
    rule(r"[×*](?= ?\w)", " помножити на "),
    rule(r"÷", " поділити на "),
    rule(r"\^", " у степені "),
    rule(r"%", " відсотків "),
    rule(r"°", " градусів "),
    rule(r"₴", " гривень "),
    rule(r"\$", " доларів "),
    rule(r"€", " євро "),
    rule(r"@", " собака "),
    rule(r"£|¥", " "),
    rule(rf"(?<![{_LETTERS}])грн\.?(?![{_LETTERS}])", "гривень"),
    rule(rf"(?<![{_LETTERS}])млн\.?(?![{_LETTERS}])", "мільйонів"),
    rule(rf"(?<![{_LETTERS}])млрд\.?(?![{_LETTERS}])", "мільярдів"),
    rule(rf"(?<![{_LETTERS}])тис\.(?=\s+[а-щьюяєіїґ])", "тисяч"),
    rule(r"(?<=\w)/(?=\w)", " "),
    rule(r"\s*–\s*|\s+--?\s+|(?<=\w)--(?=\w)", " — "),
    rule(r"[()\[\]{}]", ", "),
)
_INITIALS: Final = (rule(rf"(?<![{_LETTERS}'{_ACUTE}-])[{_UPPER}]{{1,6}}(?![{_LETTERS}'{_ACUTE}])", _initials),)
_TIDY: Final = (
    rule(rf"(?<![{_VOWELS}]){_ACUTE}", ""),
    *tidy(f"{_LETTERS}{_ACUTE}A-Za-z"),
)
