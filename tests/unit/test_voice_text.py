"""What the cloned voice is asked to say."""

import pytest

from models.tts.any_language import spoken
from models.tts.markers import directed, undirected


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("(excited) Hello there!", "(excited) Hello there!"),
        ("Well, (Laughing) that is it.", "Well, (laughing) that is it."),
        ("[whispering] Come here.", "(whispering) Come here."),
        ("*sighs* I know.", "I know."),
        ("That (smiles warmly) is nice.", "That is nice."),
        ("She waved (smiling)!", "She waved!"),
        ("It costs $5 (about five)!", "It costs five dollars, about five!"),
        ("See [the page](https://example.org/a).", "See the page."),
        ("Ha (laughing)", "Ha (laughing)"),
        ("Well (sad)", "Well"),
        ("(excited)", ""),
        ("(smiles)", ""),
        ("...", ""),
        ("", ""),
        ("😀", ""),
        ("(joyful) Привіт, **друже**! (усміхається)", "(joyful) Привіт, друже!"),
        ("Це коштує 25 грн.", "Це коштує двадцять п'ять гривень."),
        ("Café — 😀 **déjà** vu", "Café — déjà vu"),
        ("Well,", "Well,"),
        ("Ну,", "Ну,"),
    ],
)
def test_known_markers_stay_and_everything_else_is_words(written: str, said: str) -> None:
    assert directed(written, spoken) == said


def test_markers_can_be_left_out() -> None:
    assert directed("(excited) Hello (laughing) there!", spoken, markers=False) == "Hello there!"


def test_a_voice_without_markers_keeps_asides_and_drops_directions() -> None:
    text = "(excited) It costs five (about [sic] six) (laughing), *sighs* see [the page](https://example.org)."
    assert undirected(text).split() == "It costs five (about [sic] six) , see [the page](https://example.org).".split()


@pytest.mark.parametrize("text", ["Привіт (так) [ні] {ось}", "Hello (yes or no) [why] {here}", "a (b (c)) d"])
def test_no_unknown_bracket_ever_reaches_the_model(text: str) -> None:
    assert not set("()[]{}") & set(directed(text, spoken))
