"""From sound to what MuseTalk's mouth network listens to: Whisper's encoder, all its layers, cut out per picture.

Everything here has static shapes, makes no tensor on the host and waits for nothing, so that it can be captured in a
CUDA graph. The mel is float32 always; the encoder works in whatever type its weights have.
"""

from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from models.face.musetalk.mel import FFT_SAMPLES, HOP_SAMPLES, LEAST_POWER, RANGE_DECADES, mel_filters
from models.face.musetalk.timing import PICTURE_ROWS

Edge = Literal["zero", "repeat"]
"""What stands for rows before and after the sound: MuseTalk 1.5 was trained on zeros, 1.0 on the nearest row."""

_HALF_LIMIT = torch.finfo(torch.float16).max - 1_000
"""Where Whisper's layers clamp in half precision."""


class LogMel(nn.Module):
    """Sound [S, 480000] in [-1, 1] at 16 kHz to log-mel [S, 80, 3000], as Whisper's feature extractor makes it.

    `peak` [S] is log10 of the power from which eight decades are kept. The extractor takes the maximum of the 30 s,
    which in silence is the silence itself; here it is the caller's (see SpeechWindow.peak).
    """

    window: Tensor
    filters: Tensor

    def __init__(self, device: torch.device | None = None) -> None:
        super().__init__()
        self.register_buffer("window", torch.hann_window(FFT_SAMPLES, device=device), persistent=False)
        filters = torch.tensor(mel_filters().T, device=device)
        self.register_buffer("filters", filters, persistent=False)

    def forward(self, samples: Tensor, peak: Tensor) -> Tensor:
        spectrum = torch.stft(samples, FFT_SAMPLES, HOP_SAMPLES, window=self.window, return_complex=True)
        power = (spectrum[..., :-1].abs() ** 2).contiguous()
        bands = torch.clamp(self.filters @ power, min=LEAST_POWER).log10()
        return (torch.maximum(bands, peak[:, None, None] - RANGE_DECADES) + 4.0) / 4.0


class AudioEncoder(nn.Module):
    """Whisper's encoder as MuseTalk hears it: what goes into the first layer and what comes out of each.

    Takes the modules of transformers' WhisperEncoder, on their device and in their type: convert that before, not
    this, because the mel must stay float32. `final_layer_norm` normalises the last output, as transformers does;
    MuseTalk 1.0 was trained without.
    """

    def __init__(self, encoder: Any, *, final_layer_norm: bool = True) -> None:
        super().__init__()
        self._encoder = encoder
        self._mel = LogMel(encoder.conv1.weight.device)
        self._final_layer_norm = final_layer_norm

    def forward(self, samples: Tensor, peak: Tensor) -> Tensor:
        """Samples [S, 480000] float32 and mel peaks [S] float32 to features [S, 1500, layers + 1, channels]."""
        return self.layers(self._mel(samples, peak))

    def layers(self, mel: Tensor) -> Tensor:
        """Log-mel [S, 80, 3000] to features [S, 1500, layers + 1, channels]."""
        encoder = self._encoder
        hidden = F.gelu(encoder.conv1(mel.to(encoder.conv1.weight.dtype)))
        hidden = F.gelu(encoder.conv2(hidden)).permute(0, 2, 1) + encoder.embed_positions.weight
        states = [hidden]
        for layer in encoder.layers:
            hidden = _layer(layer, hidden)
            states.append(hidden)
        if self._final_layer_norm:
            states[-1] = encoder.layer_norm(hidden)
        return torch.stack(states, dim=2)


def gather_windows(features: Tensor, session: Tensor, first: Tensor, valid: Tensor, *, edge: Edge = "zero") -> Tensor:
    """What each of B pictures listens to: [B, 10 * layers, channels], time before layers.

    `features` [S, 1500, layers, channels]; `session`, `first` and `valid` int64 [B]: whose features, the first of ten
    rows, and how many rows are of sound (1 or more with edge "repeat"). Rows before 0 or from `valid` on are zero, or
    repeat the nearest.
    """
    rows = first[:, None] + torch.arange(PICTURE_ROWS, device=first.device)
    inside = (rows >= 0) & (rows < valid[:, None])
    nearest = torch.minimum(rows, valid[:, None] - 1).clamp(min=0)
    found = features[session[:, None], nearest]
    if edge == "zero":
        found = found.masked_fill(~inside[:, :, None, None], 0.0)
    return found.flatten(1, 2)


def _layer(layer: Any, hidden: Tensor) -> Tensor:
    """One of Whisper's layers: attention and feed-forward, each on the normalised input and added to it."""
    hidden = hidden + _attention(layer.self_attn, layer.self_attn_layer_norm(hidden))
    hidden = hidden + layer.fc2(F.gelu(layer.fc1(layer.final_layer_norm(hidden))))
    return hidden.clamp(-_HALF_LIMIT, _HALF_LIMIT) if hidden.dtype == torch.float16 else hidden


def _attention(attention: Any, hidden: Tensor) -> Tensor:
    heads = attention.num_heads
    # Whisper scales the queries, not the products: in half precision that is not the same.
    queries = attention.q_proj(hidden) * attention.scaling
    q, k, v = (
        part.unflatten(-1, (heads, -1)).transpose(1, 2)
        for part in (queries, attention.k_proj(hidden), attention.v_proj(hidden))
    )
    mixed = F.scaled_dot_product_attention(q, k, v, scale=1.0)
    result: Tensor = attention.out_proj(mixed.transpose(1, 2).flatten(2))
    return result
