"""Ukrainian numbers, dates, times, money and units as words, in the gender and the case that the words around ask for.

Every rule rewrites one form and leaves the rest of the text alone; `spell_quantities` applies them from the most
specific form to the plainest. Without a parser the case comes from the preposition before and from the ending of the
noun after: enough for everyday speech, and the nominative for the rest.
"""

import re
from collections.abc import Callable, Iterable
from typing import Final

from models.tts.numerals_ukrainian import MOST_DIGITS, Case, Gender, Noun, cardinal, compound, digits, ordinal
from models.tts.units_ukrainian import CURRENCIES, SCALES, UNITS

_LETTER: Final = "А-ЩЬЮЯЄІЇҐа-щьюяєіїґ"
_NUMBER: Final = r"\d{1,3}(?:[ \u00a0\u202f\u2009]\d{3})+(?:[.,]\d+)?(?!\d)|\d+(?:[.,]\d+)?"
_WORD: Final = rf"[{_LETTER}][{_LETTER}'\u0301-]*"

_MONTHS: Final = (
    "січня лютого березня квітня травня червня липня серпня вересня жовтня листопада грудня".split()
)  # fmt: skip
_MONTH: Final = "|".join(_MONTHS)

_CASE_AFTER: Final[dict[str, Case]] = {
    **dict.fromkeys(
        "до від без для після близько біля більше менше протягом упродовж з із зі серед крім проти коло".split(),
        "gen",
    ),
    **dict.fromkeys("між перед над".split(), "ins"),
    **dict.fromkeys("завдяки всупереч".split(), "dat"),
}
"""Prepositions that ask for one case only."""
_PREPOSITION: Final = (
    "до|від|без|для|після|близько|біля|більше|менше|протягом|упродовж|із|зі|з|серед|крім|проти|коло|між|перед|над"
    "|завдяки|всупереч|у|в|на|о|об|при|по|за|через|про|під|понад"
)
_BEFORE: Final = rf"(?:(?<![{_LETTER}'])(?P<before>(?i:{_PREPOSITION}))(?P<gap>\s+))?"

_CASE_OF_ENDING: Final[tuple[tuple[tuple[str, ...], Case], ...]] = (
    (("ах", "ях"), "loc"),
    (("ами", "ями", "ьми", "има"), "ins"),
    (("ам", "ям"), "dat"),
)
_ONE_BEFORE: Final[tuple[tuple[tuple[str, ...], tuple[Case, Gender]], ...]] = (
    (("ою", "ею", "єю"), ("ins", "f")),
    (("ом", "ем", "єм"), ("ins", "m")),
    (("у", "ю"), ("acc", "f")),
    (("а", "я"), ("nom", "f")),
    (("о", "е", "є"), ("nom", "n")),
)
"""What one is before a singular noun with such an ending."""
_FEMININE: Final = re.compile(
    r"(?:гривні|копійки|тисячі|години|хвилини|секунди|доби|ночі|речі|ідеї|людини|особи|жінки|дівчини|дочки|доньки|сестри"
    r"|подруги|книги|вулиці|школи|машини|камери|фрази|теми|групи|кави|країни|області|проблеми|програми|мови|квартири"
    r"|роботи|спроби|задачі|зустрічі|доріжки|таблетки|бабусі|тітки|вистави|поради|картини|причини|зміни|пари|ночі|миші"
    r"|зими|весни|осені|тонни|крони|руки|ноги|голови|сторони|команди|помилки|посилки|чашки|пляшки|ложки|кішки|книжки"
    r"|ручки|картки|сторінки|зупинки|кнопки|папки|вкладки|пісні|риби|ціни|сумки|відповіді|частини|половини|точки|крапки"
    r"|\w+(?:ції|зії|сії|ості|иці|ушки|очки|ечки|иції|ії|ани[цч]і))$"
)
"""Plural nouns before which two is дві."""
_MASCULINE: Final = frozenset("місяці стільці олівці кінці хлопці українці німці іспанці молодці".split())
_ORDINAL_NOUNS: Final[dict[str, tuple[Gender, Case]]] = {
    **dict.fromkeys(
        "поверх клас курс квартал сезон том розділ день раунд етап номер пункт під'їзд".split(), ("m", "nom")
    ),
    **dict.fromkeys(
        "поверсі класі курсі кварталі сезоні томі розділі раунді етапі пункті під'їзді".split(), ("m", "loc")
    ),
    **dict.fromkeys("поверху класу курсу кварталу сезону тому розділу раунду етапу пункту".split(), ("m", "gen")),
    **dict.fromkeys("місце".split(), ("n", "nom")),
    **dict.fromkeys("місці".split(), ("n", "loc")),
    **dict.fromkeys("сторінці лінії групі серії зміні школі годині".split(), ("f", "loc")),
    **dict.fromkeys("сторінку лінію групу серію зміну школу годину".split(), ("f", "acc")),
}
"""Singular nouns before which a number says which, not how many."""
_COUNTED_TOO: Final = frozenset("день раунд етап номер пункт квартал сезон годину сторінку лінію групу серію".split())
"""Those of which there may well be one, or twenty-one."""
_ORDINAL_ENDINGS: Final[dict[str, tuple[Gender, Case]]] = {
    "й": ("m", "nom"), "ий": ("m", "nom"), "ій": ("f", "loc"), "го": ("m", "gen"), "ого": ("m", "gen"),
    "му": ("m", "dat"), "ому": ("m", "dat"), "им": ("m", "ins"), "м": ("m", "ins"), "а": ("f", "nom"),
    "та": ("f", "nom"), "тя": ("f", "nom"), "я": ("f", "nom"), "тю": ("f", "acc"),
    "ша": ("f", "nom"), "ї": ("f", "gen"), "ої": ("f", "gen"), "у": ("f", "acc"),
    "ту": ("f", "acc"),
    "шу": ("f", "acc"), "ю": ("f", "ins"), "ою": ("f", "ins"), "е": ("n", "nom"), "те": ("n", "nom"),
    "ше": ("n", "nom"),
    "є": ("n", "nom"), "тє": ("n", "nom"), "ті": ("p", "nom"), "і": ("p", "nom"), "х": ("p", "gen"), "их": ("p", "gen"),
    "ми": ("p", "ins"), "ими": ("p", "ins"),
}  # fmt: skip
_CARDINAL_ENDINGS: Final[dict[str, Case]] = {
    "ти": "gen", "и": "gen", "ма": "ins", "ох": "gen", "ьох": "gen", "ом": "dat", "ьом": "dat", "ьма": "ins"
}  # fmt: skip
_ROMAN: Final = {"I": 1, "V": 5, "X": 10, "L": 50, "C": 100}
_CASES_OF_YEAR: Final[dict[str, Case]] = {"рік": "nom", "року": "gen", "році": "loc", "роком": "ins"}
_PARTS: Final = {1: "десят", 2: "сот", 3: "тисячн"}


def spell_quantities(text: str) -> str:
    """Replace every digit of `text` by words."""
    for pattern, words in _RULES:
        text = pattern.sub(words, text)
    return text


def number_words(written: str, case: Case = "nom", gender: Gender = "m") -> str:
    """Words of a number with spaces between thousands and a comma or a point before decimals."""
    whole, decimals = _split(written)
    if len(whole) > MOST_DIGITS or (len(whole) > 1 and whole.startswith("0")):
        return digits(whole + decimals)
    if not decimals:
        return cardinal(int(whole), case, gender)
    if len(decimals) > 3 or not int(decimals):
        return f"{cardinal(int(whole), case)} кома {digits(decimals)}"
    ending = ("а", "ої", "ій", "у", "ою", "ій")
    many = "их" if case not in ("dat", "ins") else "им" if case == "dat" else "ими"
    place = ("nom", "gen", "dat", "acc", "ins", "loc").index(case)

    def part(number: int, stem: str) -> str:
        one = number % 10 == 1 and number % 100 != 11
        return f"{cardinal(number, case, 'f')} {stem}{ending[place] if one else many}"

    return f"{part(int(whole), 'ціл')} {part(int(decimals), _PARTS[len(decimals)])}"


def counted(written: str, thing: Noun, case: Case = "nom") -> str:
    """`written` and `thing` in the form that goes with it: дві з половиною гривні, п'ять відсотків."""
    whole, decimals = _split(written)
    if decimals == "5" and case in ("nom", "acc") and int(whole) < 1_000:
        if whole == "0":
            return f"пів {thing.part}"
        if whole == "1":
            return f"{'півтори' if thing.gender == 'f' else 'півтора'} {thing.part}"
        return f"{cardinal(int(whole), case, thing.gender)} з половиною {thing.counted(int(whole), case)}"
    if decimals:
        return f"{number_words(written, case)} {thing.part}"
    return f"{number_words(whole, case, thing.gender)} {thing.counted(int(whole), case)}"


def _split(written: str) -> tuple[str, str]:
    whole, _, decimals = re.sub(r"\s", "", written).replace(",", ".").partition(".")
    return whole, decimals


def _case(before: str | None) -> Case:
    return _CASE_AFTER.get((before or "").lower(), "nom")


def _with(match: re.Match[str], words: str) -> str:
    """`words` after the preposition that the match began with."""
    return f"{match['before']} {words}" if match["before"] else words


def _day(day: int, before: str) -> str:
    nominative = before.lower() in ("сьогодні", "завтра", "вчора", "учора", "це", "на", "за", "був", "буде", "—", "-")
    return ordinal(day, "nom" if nominative else "gen", "n")


def _numeric_date(match: re.Match[str]) -> str:
    words = f"{_day(int(match['day']), match['word'] or '')} {_MONTHS[int(match['month']) - 1]}"
    if match["year"]:
        words += f" {ordinal(int(match['year']), 'gen')} року"
    return f"{match['word'] or ''}{match['gap'] or ''}{words}"


def _named_date(match: re.Match[str]) -> str:
    first = f"{ordinal(int(match['from']), 'gen', 'n')} — " if match["from"] else ""
    words = f"{first}{_day(int(match['day']), match['word'] or '')} {match['month'].lower()}"
    if match["year"]:
        words += f" {ordinal(int(match['year']), 'gen')} року"
    return f"{match['word'] or ''}{match['gap'] or ''}{words}"


def _year(match: re.Match[str]) -> str:
    after_in = (match["before"] or "").lower() in ("у", "в")
    word = match["noun"] if match["noun"] in _CASES_OF_YEAR else "році" if after_in else "року"
    return _with(match, f"{ordinal(int(match['year']), _CASES_OF_YEAR[word])} {word}")


def _years(match: re.Match[str]) -> str:
    return _with(match, f"{cardinal(int(match['first']))} — {cardinal(int(match['last']))} роки")


def _time(match: re.Match[str]) -> str:
    hour, minute = int(match["hour"]), int(match["minute"])
    before = (match["before"] or "").lower()
    cases: dict[str, Case] = {
        "о": "loc",
        "об": "loc",
        "на": "acc",
        "за": "acc",
        "по": "acc",
        "перед": "ins",
        "між": "ins",
    }
    case = cases.get(before, _case(before))
    hours = ordinal(hour, case, "f") if hour else "нуль"
    if minute:
        words = f"{hours} {f'нуль {cardinal(minute)}' if minute < 10 else cardinal(minute)}"
    elif hour:
        words = hours if match["before"] else f"{hours} година"
    else:
        words = "північ" if case in ("nom", "acc") else "нуль годин"
    return _with(match, words)


def _hour(match: re.Match[str]) -> str:
    """The hour alone: о 5, об 11, з 9 до 18."""
    return f"{match['before']} {ordinal(int(match['hour']), 'loc', 'f')}"


def _hours(match: re.Match[str]) -> str:
    first, last = (ordinal(int(match[name]), "gen", "f") for name in ("first", "last"))
    return f"{match['from']} {first} до {last}"


def _money(match: re.Match[str]) -> str:
    one, part = CURRENCIES[match["sign"].lower()]
    case = _case(match["before"])
    minus = "мінус " if match["minus"] else ""
    amount = match["amount"]
    if scale := match["scale"]:
        return _with(match, f"{minus}{counted(amount, SCALES[scale.lower().rstrip('.')], case)} {one.plural[1]}")
    whole, decimals = _split(amount)
    if len(decimals) != 2:
        return _with(match, minus + counted(amount, one, case))
    words = [counted(whole, one, case)] if int(whole) or not int(decimals) else []
    words += [counted(str(int(decimals)), part, case)] if int(decimals) else []
    return _with(match, minus + " ".join(words))


def _quantity(match: re.Match[str]) -> str:
    unit = UNITS.get(match["unit"]) or UNITS[match["unit"].lower()]
    thing, after = unit
    case = _case(match["before"])
    if scale := match["scale"]:
        words = f"{counted(match['amount'], SCALES[scale.lower().rstrip('.')], case)} {thing.plural[1]}"
    else:
        words = counted(match["amount"], thing, case)
    return _with(match, f"{words} {after}".rstrip())


def _scaled(match: re.Match[str]) -> str:
    return _with(match, counted(match["amount"], SCALES[match["scale"].lower().rstrip(".")], _case(match["before"])))


def _phone(match: re.Match[str]) -> str:
    number = "".join(re.findall(r"\d", match[0]))
    plus = "плюс тридцять вісім, " if number.startswith("380") else "плюс " if match[0].startswith("+") else ""
    national = number.removeprefix("38") if number.startswith("380") else number
    if len(national) != 10:
        return plus + digits(national)
    groups = (national[:3], national[3:6], national[6:8], national[8:])
    return plus + ", ".join(map(_group, groups))


def _group(group: str) -> str:
    rest = group.lstrip("0")
    return " ".join((*("нуль" for _ in range(len(group) - len(rest))), *((cardinal(int(rest)),) if rest else ())))


def _written_ordinal(match: re.Match[str]) -> str:
    number, ending = int(match["number"]), match["ending"]
    if ending in _CARDINAL_ENDINGS or (ending == "х" and number in (2, 3, 4)):
        return cardinal(number, _CARDINAL_ENDINGS.get(ending, "gen"))
    gender, case = _ORDINAL_ENDINGS[ending]
    return ordinal(number, case, gender)


def _compound(match: re.Match[str]) -> str:
    return compound(int(match["number"])) + match["word"]


def _century(match: re.Match[str]) -> str:
    values = [_ROMAN[letter] for letter in match["roman"].upper().translate(str.maketrans("ІХС", "IXC"))]
    number = sum(-one if one < other else one for one, other in zip(values, (*values[1:], 0), strict=True))
    if not 0 < number < 40:
        return match[0]
    case: Case = "loc" if (match["before"] or "").lower() in ("у", "в") else _case(match["before"])
    word = match["noun"]
    if word.startswith("ст"):
        word = word if word.startswith("століт") else ("століття" if case != "loc" else "столітті")
    return _with(match, f"{ordinal(number, case, 'n')} {word}")


def _fraction(match: re.Match[str]) -> str:
    above, below = int(match["above"]), int(match["below"])
    if below == 2 and above == 1:
        return "одна друга" if match.string[match.end() :].strip() == "" else "пів"
    if not 2 <= below <= 100 or above >= below:
        return f"{cardinal(above)} на {cardinal(below)}"
    one = above % 10 == 1 and above != 11
    return f"{cardinal(above, gender='f')} {ordinal(below, 'nom' if one else 'gen', 'f' if one else 'p')}"


def _counted_word(match: re.Match[str]) -> str:
    """A plain number, the preposition before it and the noun after it."""
    written, word = match["amount"], match["noun"] or ""
    whole, decimals = _split(written)
    tail = f"{match['space']}{word}" if word else ""
    case = _case(match["before"])
    gender: Gender = "m"
    last = word.lower().replace("\u0301", "")
    if decimals or len(whole) > MOST_DIGITS or (len(whole) > 1 and whole.startswith("0")):
        return _with(match, number_words(written, case) + tail)
    number = int(whole)
    one = number % 10 == 1 and number % 100 != 11
    if (found := _ORDINAL_NOUNS.get(last)) and not (one and last in _COUNTED_TOO):
        return _with(match, ordinal(number, found[1], found[0]) + tail)
    if one:
        case, gender = _of_one(last, case, (match["before"] or "").lower())
    else:
        case = next((found for endings, found in _CASE_OF_ENDING if last.endswith(endings)), case)
        if number % 10 == 2 and last not in _MASCULINE and _FEMININE.fullmatch(last):
            gender = "f"
    return _with(match, cardinal(number, case, gender) + tail)


def _of_one(word: str, case: Case, before: str) -> tuple[Case, Gender]:
    """Case and gender of one before the singular noun `word`."""
    if case == "gen":
        return "gen", "f" if word.endswith(("и", "і", "ї")) else "m"
    if before in ("у", "в", "на", "о", "об", "при", "по") and word.endswith(("і", "ї")):
        return "loc", "f"
    return next((found for endings, found in _ONE_BEFORE if word.endswith(endings)), (case, "m"))


Rule = tuple[re.Pattern[str], Callable[[re.Match[str]], str]]


def _any_of(words: Iterable[str]) -> str:
    """A pattern for one of `words`, the longest that fits."""
    return "|".join(re.escape(word) for word in sorted(words, key=len, reverse=True))


_SCALE: Final = r"(?:\s?(?P<scale>(?i:тис|млн|млрд|трлн)\b\.?|тисяч[аі]?|мільйон(?:и|ів)?|мільярд(?:и|ів)?))?"
_SIGN: Final = _any_of(CURRENCIES)
_ENDING: Final = _any_of((*_ORDINAL_ENDINGS, *_CARDINAL_ENDINGS))
_PREFIXED_SIGN: Final = "[$€£₴¥]"
_UNIT: Final = _any_of(UNITS)
_MINUS: Final = r"(?P<minus>(?<![\w)])[-\u2212])?"
_DAY: Final = r"(?P<day>0?[1-9]|[12]\d|3[01])"
_MONTH_NUMBER: Final = r"(?P<month>0?[1-9]|1[0-2])"
_YEAR: Final = r"(?P<year>1[1-9]\d\d|20\d\d)"
_WORD_BEFORE: Final = rf"(?:(?<![{_LETTER}'])(?P<word>{_WORD}|—)(?P<gap>\s+))?"
_DOT: Final = r"(?:\.(?!\s*$|\s+[^\Wа-яєіїґa-z\d_]))?"
"""The full stop of an abbreviation, unless it ends the sentence too."""
_END: Final = rf"(?![\d{_LETTER}])"

_RULES: Final[tuple[Rule, ...]] = (
    (
        re.compile(rf"{_WORD_BEFORE}(?<![\d.,]){_DAY}[./]{_MONTH_NUMBER}[./]{_YEAR}(?!\d)(?:\s?(?:р\.|року|р\b))?"),
        _numeric_date,
    ),
    (
        re.compile(
            rf"{_WORD_BEFORE}(?<!\d)(?P<year>[12]\d{{3}})-(?P<month>0[1-9]|1[0-2])-(?P<day>0[1-9]|[12]\d|3[01])(?!\d)"
        ),
        _numeric_date,
    ),
    (
        re.compile(
            rf"{_WORD_BEFORE}(?<![\w.,])(?P<day>0[1-9]|[12]\d|3[01])\.(?P<month>0[1-9]|1[0-2])(?P<year>)"
            rf"(?![\d,]|\.\d|\s?[%₴$€£°]|\s?(?:{_UNIT}|{_SIGN}|тис|млн|млрд)\b)"
        ),
        _numeric_date,
    ),
    (
        re.compile(
            rf"{_WORD_BEFORE}(?<![\d.,])(?:(?P<from>[12]?\d|3[01])\s?[-–—]\s?)?{_DAY}(?:-(?:го|е|те))?\s+"
            rf"(?P<month>(?i:{_MONTH})){_END}(?:,?\s+{_YEAR}(?!\d)(?:\s?(?:р\.|року|р\b))?)?"
        ),
        _named_date,
    ),
    (re.compile(rf"{_BEFORE}(?P<first>[12]\d{{3}})\s?[-–—]\s?(?P<last>[12]\d{{3}})\s?(?:рр\.?|роки){_END}"), _years),
    (re.compile(rf"{_BEFORE}{_YEAR}(?:-(?:й|го|му|ому|м))?\s?(?P<noun>рік|року|році|роком|р\.){_END}"), _year),
    (re.compile(rf"(?<![{_LETTER}])(?P<before>[УуВв])\s+{_YEAR}(?P<noun>)(?=\s*(?:[,;:!?)]|\.(?!\d)|$))"), _year),
    (
        re.compile(
            rf"{_BEFORE}(?<![XVIХІ])(?P<roman>[IVXLCХІС]+)\s(?P<noun>століття|столітті|століттям|ст\.)(?![{_LETTER}])"
        ),
        _century,
    ),
    (
        re.compile(rf"{_BEFORE}(?<![\d:.,])(?P<hour>[01]?\d|2[0-3]):(?P<minute>[0-5]\d)(?!\d|:\d)(?:\s?год\b{_DOT})?"),
        _time,
    ),
    (
        re.compile(
            rf"(?<![{_LETTER}])(?P<from>[ЗзІі]з?|[Вв]ід)\s(?P<first>1?\d|2[0-3])\sдо\s(?P<last>1?\d|2[0-4])"
            rf"(?=\s*(?:[.,;!?)]|$|години|щодня))"
        ),
        _hours,
    ),
    (
        re.compile(
            rf"(?<![{_LETTER}])(?P<before>[Оо]б?)\s(?P<hour>1?\d|2[0-3])(?![\d,.:]\d|\d)(?=\s*(?:[.,;!?)]|$|годині|ранку|вечора|ночі|дня))"
        ),
        _hour,
    ),
    (re.compile(r"(?<![\w.,])(?:\+\d{1,3}[\s-]?)?\(?0?\d{2}\)?[\s-]\d{3}[\s-]\d{2}[\s-]\d{2}(?![\w-])"), _phone),
    (re.compile(r"(?<![\w.,])(?:\+\d{9,14}|0\d{9})(?![\w-])"), _phone),
    (
        re.compile(rf"{_BEFORE}{_MINUS}(?P<sign>{_PREFIXED_SIGN})\s?(?P<amount>{_NUMBER}){_SCALE}"),
        _money,
    ),
    (
        re.compile(
            rf"{_BEFORE}{_MINUS}(?<![\d.,])(?P<amount>{_NUMBER}){_SCALE}\s?(?P<sign>(?i:{_SIGN}))(?![{_LETTER}A-Za-z]){_DOT}"
        ),
        _money,
    ),
    (re.compile(r"(?<=\d)(?P<unit>%|°[CС]?)?\s?[–—]\s?(?=\d)|(?<=\d)-(?=\d)"), lambda m: f"{m['unit'] or ''} — "),
    (re.compile(r"(?<=\d)\s?[x×хX]\s?(?=\d)"), lambda m: " на "),
    (re.compile(r"(?<![\w)])[-\u2212](?=\d)"), lambda m: "мінус "),
    (
        re.compile(
            rf"{_BEFORE}(?<![\w.,])(?P<amount>{_NUMBER}){_SCALE}[ \u00a0]?-?(?P<unit>{_UNIT})"
            rf"(?![{_LETTER}A-Za-z°%\u00b2\u00b3]){_DOT}"
        ),
        _quantity,
    ),
    (
        re.compile(
            rf"{_BEFORE}(?<![\w.,])(?P<amount>{_NUMBER})\s?(?P<scale>(?i:тис|млн|млрд|трлн))(?![{_LETTER}]){_DOT}"
        ),
        _scaled,
    ),
    (
        re.compile(rf"(?<![\d.,])(?P<number>\d{{1,6}})-(?P<ending>{_ENDING}){_END}"),
        _written_ordinal,
    ),
    (
        re.compile(rf"(?<![\d.,])(?P<number>[1-9]\d?)-?(?P<letter>[{_LETTER[:9]}])(?=\s+клас)"),
        lambda m: f"{ordinal(int(m['number']))} {m['letter']}",
    ),
    (re.compile(r"(?<![\d.,])(?P<number>[1-9]\d{0,3})-(?P<word>[а-щьюяєіїґ]{4,})"), _compound),
    (re.compile(r"(?<![\d/.])(?P<above>\d{1,3})[/\u2044](?P<below>\d{1,3})(?![\d/])"), _fraction),
    (re.compile(r"\d+(?:\.\d+){2,}"), lambda m: " крапка ".join(number_words(part) for part in m[0].split("."))),
    (re.compile(r"(?<=[A-Za-z])-?(?=\d)|(?<=\d)(?=[A-Za-z])"), lambda m: " "),
    (re.compile(rf"{_BEFORE}(?P<amount>{_NUMBER})(?:(?P<space>\s+)(?P<noun>{_WORD}))?"), _counted_word),
    (re.compile(r"\d+"), lambda m: digits(m[0])),
)
