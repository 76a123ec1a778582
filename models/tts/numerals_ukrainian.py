"""Ukrainian numerals and the nouns that are counted, in every case.

num2words has no ordinals but the masculine nominative, does not decline zero, and errs in the cases of round numbers:
двохста, тисячи, дев'яностами, стах. Here all forms come from tables; elsewhere the two agree.
"""

from dataclasses import dataclass
from typing import Final, Literal

Case = Literal["nom", "gen", "dat", "acc", "ins", "loc"]
Gender = Literal["m", "f", "n", "p"]
CASES: Final[tuple[Case, ...]] = ("nom", "gen", "dat", "acc", "ins", "loc")


@dataclass(frozen=True, slots=True)
class Noun:
    """What is counted: its gender and its forms in the order of CASES."""

    gender: Gender
    singular: tuple[str, ...]
    plural: tuple[str, ...]

    def counted(self, number: int, case: Case = "nom") -> str:
        """The form after `number` when both stand in `case`."""
        one, few = number % 10 == 1 and number % 100 != 11, number % 10 in (2, 3, 4) and number % 100 // 10 != 1
        if one:
            return self.singular[CASES.index(case)]
        if case not in ("nom", "acc"):
            return self.plural[CASES.index(case)]
        return self.plural[0 if few else 1]

    @property
    def part(self) -> str:
        """The form after a fraction: three tenths of a metre."""
        return self.singular[1]


_ENDINGS: Final = {
    "m": ("", "а", "у", "", "ом", "і", "и", "ів", "ам", "и", "ами", "ах"),
    "m2": ("", "у", "у", "", "ом", "і", "и", "ів", "ам", "и", "ами", "ах"),
    "f": ("а", "и", "і", "у", "ою", "і", "и", "", "ам", "и", "ами", "ах"),
    "f2": ("а", "і", "і", "у", "ею", "і", "і", "", "ам", "і", "ами", "ах"),
}
"""Endings of the cases, singular and plural, by declension."""


def noun(stem: str, declension: str, **forms: str) -> Noun:
    """`stem` with the endings of `declension`; `forms` name exceptions such as s_gen or p_gen; "0" does not decline."""
    if declension == "0":
        return Noun("n", (stem,) * 6, (stem,) * 6)
    whole = [stem + ending for ending in _ENDINGS[declension]]
    for name, form in forms.items():
        number, _, case = name.partition("_")
        whole[6 * (number == "p") + CASES.index(case)] = form
    return Noun("f" if declension[0] == "f" else "m", tuple(whole[:6]), tuple(whole[6:]))


THOUSAND: Final = noun("тисяч", "f2")
_SCALES: Final = (None, THOUSAND, noun("мільйон", "m"), noun("мільярд", "m"), noun("трильйон", "m"))
MOST_DIGITS: Final = 15

_ONE: Final = {
    "m": "один одного одному один одним одному".split(),
    "f": "одна однієї одній одну однією одній".split(),
    "n": "одне одного одному одне одним одному".split(),
    "p": "одні одних одним одні одними одних".split(),
}
_SIMPLE: Final = {
    0: "нуль нуля нулю нуль нулем нулі",
    2: "два двох двом два двома двох",
    3: "три трьох трьом три трьома трьох",
    4: "чотири чотирьох чотирьом чотири чотирма чотирьох",
    6: "шість шести шести шість шістьма шести",
    7: "сім семи семи сім сьома семи",
    8: "вісім восьми восьми вісім вісьма восьми",
    40: "сорок сорока сорока сорок сорока сорока",
    90: "дев'яносто дев'яноста дев'яноста дев'яносто дев'яноста дев'яноста",
    100: "сто ста ста сто ста ста",
    200: "двісті двохсот двомстам двісті двомастами двохстах",
    300: "триста трьохсот трьомстам триста трьомастами трьохстах",
    400: "чотириста чотирьохсот чотирьомстам чотириста чотирмастами чотирьохстах",
    500: "п'ятсот п'ятисот п'ятистам п'ятсот п'ятьмастами п'ятистах",
    600: "шістсот шестисот шестистам шістсот шістьмастами шестистах",
    700: "сімсот семисот семистам сімсот сьомастами семистах",
    800: "вісімсот восьмисот восьмистам вісімсот вісьмастами восьмистах",
    900: "дев'ятсот дев'ятисот дев'ятистам дев'ятсот дев'ятьмастами дев'ятистах",
}
_LIKE_FIVE: Final = dict(
    zip(
        (5, 9, 10, *range(11, 20), 20, 30, 50, 60, 70, 80),
        "п'ят дев'ят десят одинадцят дванадцят тринадцят чотирнадцят п'ятнадцят шістнадцят сімнадцят вісімнадцят"
        " дев'ятнадцят двадцят тридцят п'ятдесят шістдесят сімдесят вісімдесят".split(),
        strict=True,
    )
)

_ORDINALS: Final = dict(
    zip(
        (*range(1, 20), *range(20, 100, 10), *range(100, 1_000, 100)),
        "перш друг трет четверт п'ят шост сьом восьм дев'ят десят одинадцят дванадцят тринадцят чотирнадцят п'ятнадцят"
        " шістнадцят сімнадцят вісімнадцят дев'ятнадцят двадцят тридцят сороков п'ятдесят шістдесят сімдесят вісімдесят"
        " дев'яност сот двохсот трьохсот чотирьохсот п'ятисот шестисот семисот восьмисот дев'ятисот".split(),
        strict=True,
    )
)
_ADJECTIVE: Final = {
    "m": "ий ого ому ий им ому".split(),
    "f": "а ої ій у ою ій".split(),
    "n": "е ого ому е им ому".split(),
    "p": "і их им і ими их".split(),
}
_SOFT_ADJECTIVE: Final = {
    "m": "ій ього ьому ій ім ьому".split(),
    "f": "я ьої ій ю ьою ій".split(),
    "n": "є ього ьому є ім ьому".split(),
    "p": "і іх ім і іми іх".split(),
}


def cardinal(number: int, case: Case = "nom", gender: Gender = "m") -> str:
    """Words of `number`, which has at most MOST_DIGITS digits; 1 and 2 agree with the gender of what is counted."""
    if number < 1_000:
        return " ".join(_small(part, case, gender) for part in _parts(number))
    words: list[str] = []
    for power in reversed(range(len(_SCALES))):
        group = number // 1_000**power % 1_000
        scale = _SCALES[power]
        if not group:
            continue
        if scale is None:
            words.append(cardinal(group, case, gender))
        elif group == 1 and not words:
            words.append(scale.counted(1, case))
        else:
            words.append(f"{cardinal(group, case, scale.gender)} {scale.counted(group, case)}")
    return " ".join(words)


def ordinal(number: int, case: Case = "nom", gender: Gender = "m") -> str:
    """The ordinal of `number`: only its last word is one, and declined."""
    if number >= 1_000 and number % 1_000 == 0:
        thousands, stem = number // 1_000, "тисячн"
        if thousands % 1_000 == 0:
            thousands, stem = thousands // 1_000, "мільйонн"
        return f"{compound(thousands) if thousands > 1 else ''}{stem}{_ADJECTIVE[gender][CASES.index(case)]}"
    if number == 0:
        return f"нульов{_ADJECTIVE[gender][CASES.index(case)]}"
    last = _parts(number % 1_000)[-1]
    before = number - last
    endings = _SOFT_ADJECTIVE if last == 3 else _ADJECTIVE
    word = _ORDINALS[last] + endings[gender][CASES.index(case)]
    return f"{cardinal(before)} {word}" if before else word


def compound(number: int) -> str:
    """`number` as the first part of a word: двадцятирічний, двокімнатний."""
    first = {1: "одно", 2: "дво", 3: "три", 4: "чотири", 90: "дев'яносто", 100: "сто", 1_000: "тисячо"}
    if number in first:
        return first[number]
    return cardinal(number, "gen").replace(" ", "")


def digits(number: str) -> str:
    return " ".join(cardinal(int(digit)) for digit in number if digit.isdecimal())


def _parts(number: int) -> list[int]:
    """Hundreds, tens and units of a number below 1,000, those between 10 and 20 together."""
    hundreds, rest = number // 100 * 100, number % 100
    tens, units = (rest, 0) if 10 <= rest < 20 else (rest // 10 * 10, rest % 10)
    return [part for part in (hundreds, tens, units) if part] or [0]


def _small(number: int, case: Case, gender: Gender) -> str:
    place = CASES.index(case)
    if number == 1:
        return _ONE[gender][place]
    if number == 2 and gender == "f" and case in ("nom", "acc"):
        return "дві"
    if stem := _LIKE_FIVE.get(number):
        straight = stem if 50 <= number < 90 else f"{stem}ь"
        return (straight, f"{stem}и", f"{stem}и", straight, f"{stem}ьма", f"{stem}и")[place]
    return _SIMPLE[number].split()[place]
