"""English numbers, dates, times, money and units as words.

Every function here rewrites one form and leaves the rest of the text alone; `spell_quantities` applies them from the
most specific form to the plainest, so that "10:30", "$5" or "3.5 GB" are gone before bare numbers are read.
"""

import re
from typing import Final

from num2words import num2words

_NUMBER: Final = r"\d{1,3}(?:,\d{3})+(?:\.\d+)?|\d+(?:\.\d+)?"
_LONGEST_CARDINAL_DIGITS: Final = 15
"""Longer numbers are identifiers and are read digit by digit."""

_MONTHS: Final = (
    "January February March April May June July August September October November December".split()
)  # fmt: skip
_MONTH_BY_PREFIX: Final = {month[:3].lower(): month for month in _MONTHS}
_MONTH: Final = (
    r"(?P<month>Jan(?:uary)?|Feb(?:ruary)?|Mar(?:ch)?|Apr(?:il)?|May|June?|July?|Aug(?:ust)?|Sept?(?:ember)?"
    r"|Oct(?:ober)?|Nov(?:ember)?|Dec(?:ember)?)\b\.?"
)
_DAY: Final = r"(?P<day>[12]\d|3[01]|0?[1-9])(?:st|nd|rd|th)?\b"
_YEAR: Final = r"(?P<year>1[1-9]\d\d|20\d\d)\b"

_CURRENCIES: Final = {
    "$": ("dollar", "dollars", "cent", "cents"),
    "€": ("euro", "euros", "cent", "cents"),
    "£": ("pound", "pounds", "penny", "pence"),
    "₴": ("hryvnia", "hryvnias", "kopeck", "kopecks"),
    "¥": ("yen", "yen", "sen", "sen"),
}
_SCALES: Final = {"k": "thousand", "m": "million", "b": "billion", "bn": "billion", "t": "trillion"}

_UNITS: Final = {
    "km/h": ("kilometer per hour", "kilometers per hour"),
    "m/s": ("meter per second", "meters per second"),
    "mph": ("mile per hour", "miles per hour"),
    "mbps": ("megabit per second", "megabits per second"),
    "gbps": ("gigabit per second", "gigabits per second"),
    "kbps": ("kilobit per second", "kilobits per second"),
    "km": ("kilometer", "kilometers"),
    "cm": ("centimeter", "centimeters"),
    "mm": ("millimeter", "millimeters"),
    "nm": ("nanometer", "nanometers"),
    "m": ("meter", "meters"),
    "ft": ("foot", "feet"),
    "mi": ("mile", "miles"),
    "kg": ("kilogram", "kilograms"),
    "mg": ("milligram", "milligrams"),
    "g": ("gram", "grams"),
    "lb": ("pound", "pounds"),
    "lbs": ("pound", "pounds"),
    "oz": ("ounce", "ounces"),
    "ml": ("milliliter", "milliliters"),
    "l": ("liter", "liters"),
    "ms": ("millisecond", "milliseconds"),
    "s": ("second", "seconds"),
    "sec": ("second", "seconds"),
    "min": ("minute", "minutes"),
    "h": ("hour", "hours"),
    "hr": ("hour", "hours"),
    "hrs": ("hour", "hours"),
    "kb": ("kilobyte", "kilobytes"),
    "mb": ("megabyte", "megabytes"),
    "gb": ("gigabyte", "gigabytes"),
    "tb": ("terabyte", "terabytes"),
    "hz": ("hertz", "hertz"),
    "khz": ("kilohertz", "kilohertz"),
    "mhz": ("megahertz", "megahertz"),
    "ghz": ("gigahertz", "gigahertz"),
    "w": ("watt", "watts"),
    "kw": ("kilowatt", "kilowatts"),
    "kwh": ("kilowatt hour", "kilowatt hours"),
    "db": ("decibel", "decibels"),
    "px": ("pixel", "pixels"),
    "fps": ("frame per second", "frames per second"),
    "°c": ("degree Celsius", "degrees Celsius"),
    "°f": ("degree Fahrenheit", "degrees Fahrenheit"),
    "°": ("degree", "degrees"),
    "%": ("percent", "percent"),
}
_LONG_UNITS: Final = "|".join(re.escape(unit) for unit in sorted(_UNITS, key=len, reverse=True) if len(unit) > 1)
_UNIT: Final = rf"(?:(?i:{_LONG_UNITS})|[mgslhW°%])"
"""One letter counts as a unit only as it is written in physics: "5 g" is a weight, "5G" is not."""
_FRACTIONS: Final = {2: "half", 3: "third", 4: "quarter", 5: "fifth", 6: "sixth", 8: "eighth", 10: "tenth"}


def cardinal(number: str) -> str:
    """Words of a decimal number without sign; commas group thousands: "1,234.5" is read as a whole."""
    whole, _, decimals = number.replace(",", "").partition(".")
    if len(whole) > _LONGEST_CARDINAL_DIGITS or (len(whole) > 1 and whole.startswith("0")):
        words = digits(whole)
    else:
        words = str(num2words(int(whole))).replace(",", "").replace(" and ", " ")
    return f"{words} point {digits(decimals)}" if decimals else words


def ordinal(number: int) -> str:
    return str(num2words(number, to="ordinal")).replace(",", "").replace(" and ", " ")


def year(number: int) -> str:
    if 2000 <= number < 2010:
        return cardinal(str(number))
    return str(num2words(number, to="year"))


def digits(number: str) -> str:
    return " ".join(str(num2words(int(digit))) for digit in number if digit.isdecimal())


def spell_quantities(text: str) -> str:
    """Replace every digit of `text` by words."""
    for pattern, words in _RULES:
        text = pattern.sub(words, text)
    return text


def _iso_date(match: re.Match[str]) -> str:
    return _date(int(match["month"]), int(match["day"]), match["year"])


def _slash_date(match: re.Match[str]) -> str:
    first, second = int(match["first"]), int(match["second"])
    month, day = (second, first) if first > 12 else (first, second)
    return _date(month, day, match["year"]) if month <= 12 and day <= 31 else match[0]


def _named_date(match: re.Match[str]) -> str:
    return _date(_MONTHS.index(_MONTH_BY_PREFIX[match["month"][:3].lower()]) + 1, int(match["day"]), match["year"])


def _named_month(match: re.Match[str]) -> str:
    return f"{_MONTH_BY_PREFIX[match['month'][:3].lower()]} {year(int(match['year']))}"


def _date(month: int, day: int, number_of_year: str | None) -> str:
    words = f"{_MONTHS[month - 1]} {ordinal(day)}"
    return f"{words}, {year(int(number_of_year))}" if number_of_year else words


def _time(match: re.Match[str]) -> str:
    hour, minute = int(match["hour"]), int(match["minute"] or 0)
    half_of_day = f" {match['half'][0].upper()} M" if match["half"] else ""
    if match[0].endswith(".") and re.match(r"\s*$|\s+[A-Z]", match.string[match.end() :]):
        half_of_day += "."
    if minute:
        minutes = f"oh {cardinal(str(minute))}" if minute < 10 else cardinal(str(minute))
        return f"{cardinal(str(hour))} {minutes}{half_of_day}"
    if half_of_day:
        return f"{cardinal(str(hour))}{half_of_day}"
    return f"{cardinal(str(hour))} o'clock" if 1 <= hour <= 12 else f"{cardinal(str(hour))} hundred"


def _money(match: re.Match[str]) -> str:
    one, many, one_part, many_parts = _CURRENCIES[match["sign"]]
    amount = match["amount"].replace(",", "")
    minus = "minus " if match["minus"] else ""
    if match["scale"]:
        scale = match["scale"].lower()
        return f"{minus}{cardinal(amount)} {_SCALES.get(scale, scale)} {many}"
    whole, _, part = amount.partition(".")
    if len(part) != 2:
        return f"{minus}{cardinal(amount)} {one if amount == '1' else many}"
    parts = [f"{cardinal(whole)} {one if whole == '1' else many}"] if int(whole) or not int(part) else []
    if int(part):
        parts.append(f"{cardinal(str(int(part)))} {one_part if int(part) == 1 else many_parts}")
    return minus + " and ".join(parts)


def _quantity(match: re.Match[str]) -> str:
    one, many = _UNITS[match["unit"].lower()]
    amount = match["amount"].replace(",", "")
    return f"{cardinal(amount)} {one if amount == '1' else many}"


def _fraction(match: re.Match[str]) -> str:
    above, below = int(match["above"]), int(match["below"])
    if below not in _FRACTIONS or above >= below:
        return f"{cardinal(match['above'])} over {cardinal(match['below'])}"
    name = _FRACTIONS[below]
    plural = ("halves" if below == 2 else f"{name}s") if above > 1 else name
    return f"{cardinal(match['above'])} {plural}"


def _decade(match: re.Match[str]) -> str:
    words = year(int(match["year"])) if len(match["year"]) == 4 else cardinal(match["year"])
    return f"{words[:-1]}ies" if words.endswith("y") else f"{words}s"


def _plain(match: re.Match[str]) -> str:
    number = match[0]
    if re.fullmatch(r"1[1-9]\d\d|20[1-9]\d", number):
        return year(int(number))
    return cardinal(number)


def _rule(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern, re.IGNORECASE)


_RULES: Final = (
    (_rule(r"(?<!\d)(?P<year>[12]\d{3})-(?P<month>0[1-9]|1[0-2])-(?P<day>0[1-9]|[12]\d|3[01])(?!\d)"), _iso_date),
    (_rule(rf"(?<![\d/])(?P<first>\d\d?)/(?P<second>\d\d?)/{_YEAR}"), _slash_date),
    (re.compile(rf"\b{_MONTH} {_DAY}(?:,? {_YEAR})?"), _named_date),
    (re.compile(rf"(?<!\d)(?<!\d[.,]){_DAY}(?: of)? {_MONTH}(?:,? {_YEAR})?"), _named_date),
    (re.compile(rf"\b{_MONTH} {_YEAR}"), _named_month),
    (
        _rule(r"(?<![\d:])(?P<hour>[01]?\d|2[0-4]):(?P<minute>[0-5]\d)(?!\d|:\d)(?:\s?(?P<half>[ap])\.?m\b\.?)?"),
        _time,
    ),
    (_rule(r"\b(?P<hour>1[0-2]|0?[1-9])(?P<minute>)\s?(?P<half>[ap])\.?m\b\.?"), _time),
    (
        _rule(
            rf"(?P<minus>(?<!\w)[-\u2212])?(?P<sign>[$€£₴¥])\s?(?P<amount>{_NUMBER})"
            r"(?:\s?(?P<scale>thousand|million|billion|trillion|bn|[kmbt])\b)?"
        ),
        _money,
    ),
    (
        re.compile(rf"(?P<minus>(?<!\w)[-\u2212])?(?P<amount>{_NUMBER})\s?(?P<scale>)(?P<sign>[€₴])"),
        _money,
    ),
    (
        re.compile(r"(?<![\w.])\+?(?:\d{1,4}[- ])?(?:\(\d{3}\) ?|\d{3}[- ])?\d{3}-\d{4}(?![\w-])"),
        lambda m: digits(m[0]),
    ),
    (re.compile(r"\b(?P<year>1\d\d0|20\d0|[2-9]0)'?s\b"), _decade),
    (re.compile(r"(?<=\d)(?P<unit>%|°[CF]?)?\s?[–—]\s?(?=\d)|(?<=\d)-(?=\d)"), lambda m: f"{m['unit'] or ''} to "),
    (re.compile(r"(?<=\d)\s?[x×]\s?(?=\d)"), lambda m: " by "),
    (re.compile(r"(?<![\w)])[-\u2212](?=\d)"), lambda m: "minus "),
    (re.compile(rf"(?<![\w.])(?P<amount>{_NUMBER})[ \u00a0]?-?(?P<unit>{_UNIT})(?![\w°%])"), _quantity),
    (_rule(r"\b(?P<number>\d{1,6})(?:st|nd|rd|th)\b"), lambda m: ordinal(int(m["number"]))),
    (re.compile(r"(?<![\d/.])(?P<above>\d{1,3})[/\u2044](?P<below>\d{1,3})(?![\d/])"), _fraction),
    (re.compile(r"\d+(?:\.\d+){2,}"), lambda m: " point ".join(cardinal(part) for part in m[0].split("."))),
    (re.compile(r"(?<=[A-Za-z])(?=\d)|(?<=\d)(?=[A-Za-z])"), lambda m: " "),
    (re.compile(_NUMBER), _plain),
)
