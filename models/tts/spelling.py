"""How an English word that no dictionary knows is pronounced: the recurrent network of g2p_en, in numpy.

One gated recurrent unit reads the letters, another writes ARPAbet symbols (Cho et al. 2014, arXiv:1406.1078; weights:
g2p_en's checkpoint20.npz, trained on CMUdict). A word takes 1-3 ms.
"""

from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from models.errors import WeightsCorrupt

_LETTERS: Final = {letter: index for index, letter in enumerate("abcdefghijklmnopqrstuvwxyz", start=3)}
_UNKNOWN_LETTER: Final = 1
_END_OF_LETTERS: Final = 2

_VOWELS: Final = "AA AE AH AO AW AY EH ER EY IH IY OW OY UH UW".split()
_SYMBOLS: Final = (
    *"AA0 AA1 AA2 AE0 AE1 AE2 AH0 AH1 AH2 AO0 AO1 AO2 AW0 AW1 AW2 AY0 AY1 AY2 B CH D DH".split(),
    *"EH0 EH1 EH2 ER0 ER1 ER2 EY0 EY1 EY2 F G HH IH0 IH1 IH2 IY0 IY1 IY2 JH K L M N NG".split(),
    *"OW0 OW1 OW2 OY0 OY1 OY2 P R S SH T TH UH0 UH1 UH2 UW UW0 UW1 UW2 V W Y Z ZH".split(),
)
_FIRST_SYMBOL: Final = 4
"""The output vocabulary starts with padding, unknown, start and end."""
_START: Final = 2
_END: Final = 3
_LONGEST_PRONUNCIATION: Final = 32

_IPA: Final = dict(
    zip(
        "AA AE AH AO AW AY B CH D DH EH ER EY F G HH IH IY JH K L M N NG OW OY P R S SH T TH UH UW V W Y Z ZH".split(),
        "ɑ æ ʌ ɔ W I b ʧ d ð ɛ ɜɹ A f ɡ h ɪ i ʤ k l m n ŋ O Y p ɹ s ʃ t θ ʊ u v w j z ʒ".split(),
        strict=True,
    )
)
_UNSTRESSED: Final = {"AH": "ə", "ER": "əɹ"}
_STRESS: Final = {"1": "ˈ", "2": "ˌ"}

Matrix = NDArray[np.float32]


class SpellingModel:
    """Guesses a pronunciation from the spelling. Stateless between words."""

    def __init__(self, checkpoint: Path) -> None:
        try:
            with np.load(checkpoint) as arrays:
                self._weights: dict[str, Matrix] = {name: arrays[name].astype(np.float32) for name in arrays.files}
            self._weights["fc_w"]
        except (OSError, ValueError, KeyError) as error:
            raise WeightsCorrupt(f"{checkpoint.name} is no pronunciation model; fetch the weights again.") from error

    def pronounce(self, word: str) -> str:
        """Symbols of Kokoro's alphabet for `word`, whose letters are read as lower-case ASCII."""
        weights = self._weights
        hidden = np.zeros(weights["enc_w_hh"].shape[1], np.float32)
        for letter in (*(_LETTERS.get(letter, _UNKNOWN_LETTER) for letter in word.lower()), _END_OF_LETTERS):
            hidden = self._step("enc", weights["enc_emb"][letter], hidden)
        symbol, written = _START, []
        for _ in range(_LONGEST_PRONUNCIATION):
            hidden = self._step("dec", weights["dec_emb"][symbol], hidden)
            symbol = int(np.argmax(weights["fc_w"] @ hidden + weights["fc_b"]))
            if symbol == _END:
                break
            if symbol >= _FIRST_SYMBOL:
                written.append(_SYMBOLS[symbol - _FIRST_SYMBOL])
        return "".join(map(_ipa, written))

    def _step(self, side: str, seen: Matrix, hidden: Matrix) -> Matrix:
        weights = self._weights
        reset_x, update_x, new_x = np.split(weights[f"{side}_w_ih"] @ seen + weights[f"{side}_b_ih"], 3)
        reset_h, update_h, new_h = np.split(weights[f"{side}_w_hh"] @ hidden + weights[f"{side}_b_hh"], 3)
        update = _sigmoid(update_x + update_h)
        new = np.tanh(new_x + _sigmoid(reset_x + reset_h) * new_h)
        result: Matrix = (1 - update) * new + update * hidden
        return result


def _sigmoid(x: Matrix) -> Matrix:
    result: Matrix = 0.5 * (1 + np.tanh(0.5 * x))
    return result


def _ipa(symbol: str) -> str:
    base, stress = symbol.rstrip("012"), symbol[-1]
    if base not in _VOWELS:
        return _IPA[base]
    return _STRESS.get(stress, "") + (_UNSTRESSED.get(base, _IPA[base]) if stress == "0" else _IPA[base])
