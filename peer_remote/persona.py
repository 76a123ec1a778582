"""Who the double is, and how that becomes the beginning of every conversation. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass

from models.interfaces import Message


@dataclass(frozen=True, slots=True)
class Persona:
    """A person to be; `{name}` stands for the name in every text."""

    name: str
    about: str
    """Who they are and how they speak, in prose."""
    examples: tuple[tuple[str, str], ...] = ()
    """Questions and answers that show the manner of speaking; a small model follows them better than any rule."""
    openings: tuple[str, ...] = ()
    """First words that answers often have; the voice learns them before they are needed."""
    languages: tuple[str, ...] = ()
    """ISO 639-1 codes, the one that is spoken unless the others speak another one first."""
    style: tuple[str, ...] = ()
    facts: tuple[str, ...] = ()
    taboos: tuple[str, ...] = ()
    trouble: str | None = None
    """What is said when an answer breaks off, empty for nothing; None takes the usual words of the first language."""
    spoken: bool = False
    """Whether the prompt tells how one speaks aloud; a prompt that was written as a whole may do so itself."""

    def prompt(self) -> str:
        """The system prompt."""
        words = _UKRAINIAN if self.languages[:1] == ("uk",) else _ENGLISH
        parts = [self.about.strip()]
        parts += [
            "\n".join([words[heading], *(f"- {line}" for line in lines)])
            for heading, lines in (("style", self.style), ("facts", self.facts), ("taboos", self.taboos))
            if lines
        ]
        if self.languages:
            parts.append(_languages(self.languages, words))
        if self.spoken:
            parts.append(words["spoken"])
        return self._named("\n\n".join(parts))

    def trouble_line(self) -> str:
        """What is said when an answer breaks off."""
        usual = _TROUBLE["uk" if self.languages[:1] == ("uk",) else "en"]
        return self._named(usual if self.trouble is None else self.trouble)

    def messages(self) -> tuple[Message, ...]:
        """What every conversation begins with."""
        messages = [Message("system", self.prompt())]
        for question, answer in self.examples:
            messages += [Message("user", self._named(question)), Message("assistant", self._named(answer))]
        return tuple(messages)

    def _named(self, text: str) -> str:
        return text.replace("{name}", self.name)


LANGUAGES: Mapping[str, tuple[str, str]] = {
    "ar": ("Arabic", "арабською"),
    "cs": ("Czech", "чеською"),
    "de": ("German", "німецькою"),
    "en": ("English", "англійською"),
    "es": ("Spanish", "іспанською"),
    "fr": ("French", "французькою"),
    "it": ("Italian", "італійською"),
    "ja": ("Japanese", "японською"),
    "ko": ("Korean", "корейською"),
    "nl": ("Dutch", "нідерландською"),
    "pl": ("Polish", "польською"),
    "pt": ("Portuguese", "португальською"),
    "ro": ("Romanian", "румунською"),
    "uk": ("Ukrainian", "українською"),
    "zh": ("Chinese", "китайською"),
}
"""Code → the language's name in an English prompt and in a Ukrainian one."""


def _languages(codes: tuple[str, ...], words: Mapping[str, str]) -> str:
    first, *others = (LANGUAGES[code][words is _UKRAINIAN] for code in codes)
    if not others:
        return words["language"].format(first)
    listed = ", ".join(others[:-1])
    return words["languages"].format(first, words["or"].join(filter(None, [listed, others[-1]])))


_TROUBLE: Mapping[str, str] = {
    "en": "Sorry, I lost my thread. Could you say that again?",
    "uk": "Ой, загубилася думка. Скажіть, будь ласка, ще раз.",
}
_ENGLISH: Mapping[str, str] = {
    "style": "How {name} speaks:",
    "facts": "What is true about {name}:",
    "taboos": "What {name} does not talk about, but turns away politely:",
    "language": "Speak {}.",
    "languages": "Speak {}; when somebody speaks {}, answer in that language.",
    "or": " or ",
    "spoken": (
        "Every word is said aloud in a call. Answer in one or two short sentences, as people speak. Never write lists, "
        "headings, emoji, Markdown, links or what you do (*smiles*). Write numbers, dates, units and abbreviations as "
        'they are said: "about twenty kilometres", "for example".'
    ),
}
_UKRAINIAN: Mapping[str, str] = {
    "style": "Як говорить {name}:",
    "facts": "Що правда про {name}:",
    "taboos": "Про що {name} не говорить, а ввічливо відмовляє:",
    "language": "Говори {}.",
    "languages": "Говори {}; коли хтось говорить {}, відповідай тією мовою.",
    "or": " чи ",
    "spoken": (
        "Кожне слово звучить уголос у розмові. Відповідай одним-двома короткими реченнями, як говорять люди. Ніколи не "
        "пиши списків, заголовків, емодзі, розмітки, посилань чи того, що ти робиш (*усміхається*). Числа, дати, "
        "одиниці та скорочення пиши так, як їх вимовляють: «близько двадцяти кілометрів», «наприклад»."
    ),
}
