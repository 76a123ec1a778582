"""What Ukrainian numbers count: currencies, powers of ten, units of measure."""

from typing import Final

from models.tts.numerals_ukrainian import THOUSAND, Noun, noun

SCALES: Final = {
    **dict.fromkeys(("тис", "тисяч", "тисяча", "тисячі"), THOUSAND),
    **dict.fromkeys(("млн", "мільйон", "мільйони", "мільйонів"), noun("мільйон", "m")),
    **dict.fromkeys(("млрд", "мільярд", "мільярди", "мільярдів"), noun("мільярд", "m")),
    "трлн": noun("трильйон", "m"),
}

_HRYVNIA: Final = noun("гривн", "f2", s_nom="гривня", s_acc="гривню", p_gen="гривень", p_dat="гривням",
                       p_ins="гривнями", p_loc="гривнях")  # fmt: skip
_KOPECK: Final = noun("копійк", "f", s_dat="копійці", s_loc="копійці", p_gen="копійок")
_DOLLAR: Final = noun("долар", "m")
_EURO: Final = noun("євро", "0")
_CENT: Final = noun("цент", "m")
_POUND: Final = noun("фунт", "m")
_PENNY: Final = noun("пенс", "m")
_ZLOTY: Final = noun("злот", "m", s_nom="злотий", s_gen="злотого", p_nom="злоті", p_gen="злотих")
_GROSZ: Final = noun("грош", "m", p_nom="гроші", p_gen="грошів")
_YEN: Final = noun("єн", "f")

CURRENCIES: Final[dict[str, tuple[Noun, Noun]]] = {
    **dict.fromkeys(("₴", "грн", "uah"), (_HRYVNIA, _KOPECK)),
    **dict.fromkeys(("коп", "копійок"), (_KOPECK, _KOPECK)),
    **dict.fromkeys(("$", "usd", "дол", "доларів"), (_DOLLAR, _CENT)),
    **dict.fromkeys(("€", "eur", "євро"), (_EURO, _CENT)),
    **dict.fromkeys(("£", "gbp"), (_POUND, _PENNY)),
    **dict.fromkeys(("pln", "zł"), (_ZLOTY, _GROSZ)),
    "¥": (_YEN, _YEN),
}
"""By sign or abbreviation in lower case: the currency and its hundredth part."""

_METRE: Final = noun("метр", "m")
_SECOND: Final = noun("секунд", "f")
_HOUR: Final = noun("годин", "f")
_MINUTE: Final = noun("хвилин", "f")
_GRAM: Final = noun("грам", "m")
_LITRE: Final = noun("літр", "m")
_BYTE: Final = noun("байт", "m")
_PERCENT: Final = noun("відсотк", "m", s_nom="відсоток", s_acc="відсоток", p_gen="відсотків")
_DEGREE: Final = noun("градус", "m")
_PIECE: Final = noun("штук", "f", s_dat="штуці", s_loc="штуці")
_WATT: Final = noun("ват", "m")
_BIT: Final = noun("біт", "m")
_HERTZ: Final = noun("герц", "m", p_nom="герци", s_ins="герцом")


def _prefixed(prefix: str, unit: Noun) -> Noun:
    return Noun(
        unit.gender, tuple(prefix + form for form in unit.singular), tuple(prefix + form for form in unit.plural)
    )


def _adjective(stem: str, unit: Noun) -> Noun:
    """A masculine `unit` with an adjective before it."""
    singular = zip("ий ого ому ий им ому".split(), unit.singular, strict=True)
    plural = zip("і их им і ими их".split(), unit.plural, strict=True)
    return Noun(
        unit.gender,
        tuple(f"{stem}{ending} {form}" for ending, form in singular),
        tuple(f"{stem}{ending} {form}" for ending, form in plural),
    )


UNITS: Final[dict[str, tuple[Noun, str]]] = {
    **dict.fromkeys(("км/год", "km/h"), (_prefixed("кіло", _METRE), "на годину")),
    **dict.fromkeys(("м/с", "m/s"), (_METRE, "на секунду")),
    **dict.fromkeys(("Мбіт/с", "мбіт/с", "mbps"), (_prefixed("мега", _BIT), "на секунду")),
    **dict.fromkeys(("Гбіт/с", "gbps"), (_prefixed("гіга", _BIT), "на секунду")),
    **dict.fromkeys(("км²", "км2", "кв. км"), (_adjective("квадратн", _prefixed("кіло", _METRE)), "")),
    **dict.fromkeys(("м²", "м2", "кв. м", "m²", "m2"), (_adjective("квадратн", _METRE), "")),
    **dict.fromkeys(("м³", "м3", "куб. м", "m³", "m3"), (_adjective("кубічн", _METRE), "")),
    **dict.fromkeys(("км", "km"), (_prefixed("кіло", _METRE), "")),
    **dict.fromkeys(("см", "cm"), (_prefixed("санти", _METRE), "")),
    **dict.fromkeys(("мм", "mm"), (_prefixed("мілі", _METRE), "")),
    **dict.fromkeys(("м", "m"), (_METRE, "")),
    **dict.fromkeys(("кг", "kg"), (_prefixed("кіло", _GRAM), "")),
    **dict.fromkeys(("мг", "mg"), (_prefixed("мілі", _GRAM), "")),
    **dict.fromkeys(("г", "гр", "g"), (_GRAM, "")),
    "т": (noun("тонн", "f"), ""),
    "ц": (noun("центнер", "m"), ""),
    "га": (noun("гектар", "m"), ""),
    **dict.fromkeys(("мл", "ml"), (_prefixed("мілі", _LITRE), "")),
    **dict.fromkeys(("л", "l"), (_LITRE, "")),
    **dict.fromkeys(("мс", "ms"), (_prefixed("мілі", _SECOND), "")),
    **dict.fromkeys(("с", "сек", "s", "sec"), (_SECOND, "")),
    **dict.fromkeys(("хв", "min"), (_MINUTE, "")),
    **dict.fromkeys(("год", "h"), (_HOUR, "")),
    "міс": (noun("місяц", "m", s_nom="місяць", s_acc="місяць", s_gen="місяця", s_ins="місяцем", p_nom="місяці",
                 p_acc="місяці"), ""),
    "шт": (_PIECE, ""),
    **dict.fromkeys(("КБ", "кБ", "Кб", "kb"), (_prefixed("кіло", _BYTE), "")),
    **dict.fromkeys(("МБ", "Мб", "mb"), (_prefixed("мега", _BYTE), "")),
    **dict.fromkeys(("ГБ", "Гб", "gb"), (_prefixed("гіга", _BYTE), "")),
    **dict.fromkeys(("ТБ", "Тб", "tb"), (_prefixed("тера", _BYTE), "")),
    **dict.fromkeys(("Гц", "hz"), (_HERTZ, "")),
    **dict.fromkeys(("кГц", "khz"), (_prefixed("кіло", _HERTZ), "")),
    **dict.fromkeys(("МГц", "mhz"), (_prefixed("мега", _HERTZ), "")),
    **dict.fromkeys(("ГГц", "ghz"), (_prefixed("гіга", _HERTZ), "")),
    **dict.fromkeys(("Вт", "w"), (_WATT, "")),
    **dict.fromkeys(("кВт·год", "кВт⋅год", "кВт-год", "kwh"), (_prefixed("кіло", _WATT), "на годину")),
    **dict.fromkeys(("кВт", "kw"), (_prefixed("кіло", _WATT), "")),
    **dict.fromkeys(("дБ", "db"), (noun("децибел", "m"), "")),
    "px": (noun("піксел", "m", s_nom="піксель", p_nom="пікселі", p_gen="пікселів"), ""),
    "fps": (noun("кадр", "m"), "на секунду"),
    **dict.fromkeys(("°C", "°С", "°c"), (_DEGREE, "Цельсія")),
    **dict.fromkeys(("°F", "°f"), (_DEGREE, "Фаренгейта")),
    "°": (_DEGREE, ""),
    "%": (_PERCENT, ""),
}  # fmt: skip
"""As written, Latin ones also in capitals: what is counted, and what is said after it."""
