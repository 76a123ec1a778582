"""Which of a decoder's convolutions are computed in eight bits, and whether kernels are used at all.

calibrate ─► all in int8? ─► each layer alone ─► those that err least? ─► all in float16? ─► `sd` itself
                    every "?" is the gate: the first decoder that holds it is taken
"""

import logging
import math
from collections.abc import Callable, Iterator, Sequence
from functools import partial

from torch import Tensor, nn

from models.face.musetalk.kernels.decoder import TOGETHER, KernelSdDecoder
from models.face.musetalk.kernels.formats import Format, PackedConv
from models.face.musetalk.kernels.gate import GateResult, Thresholds, gate
from models.face.musetalk.kernels.layers import Layer, calibrate, formats, layers
from models.face.musetalk.kernels.mixture import costs, mixture
from models.face.musetalk.kernels.reference import Operations

logger = logging.getLogger(__name__)

EIGHT_BITS: tuple[Format, ...] = ("int8", "fp8")
"""What a layer may read; both take about the same time. int8 errs a third as much unless a few values stand far out."""
COSTED = 4
"""Latents, at most, on which each layer is tried alone: some sixty decoders."""
SHARES = (0.8, 0.4)
"""How much of the error that the gate allows to plan with, one try after another."""


def fast_decoder(
    sd: nn.Module,
    latents: Tensor,
    *,
    eight_bits: bool = True,
    thresholds: Thresholds | None = None,
    operations: Operations | None = None,
    together: Sequence[int] = TOGETHER,
) -> tuple[nn.Module, GateResult]:
    """`sd` by kernels, with as many layers in eight bits as hold the gate on `latents`, or `sd` itself.

    `sd` is an SdDecoder whose doublings are not rewritten; it is left as it is. `latents` [N, 4, 32, 32] are scaled
    ones of the faces that will be drawn (an avatar's own), on its device and of its type. Without `eight_bits` every
    layer stays in float16. The result is that of the last decoder tried: it has passed if and only if a KernelSdDecoder
    is returned. `sd` is returned, and the reason logged, when not even float16 holds the gate or the kernels fail,
    which on a new card, driver or compiler only trying can tell. Waits for the device; the decoder does not. May run
    beside a thread that captures graphs; what was tried stays in torch's cache of memory, not in use.
    """
    table, reaches = layers(sd.decoder), calibrate(sd, sd.decoder, latents)
    limits = thresholds or Thresholds()
    build = partial(KernelSdDecoder, sd, reaches=reaches, operations=operations, together=together)
    decoder: KernelSdDecoder | None = None
    try:
        decoder, result = _first_that_holds(sd, build, table, latents, limits, eight_bits=eight_bits)
    except Exception as error:
        result = GateResult(math.nan, math.nan, math.nan, limits)
        reason = f"{type(error).__name__}: {error}".partition("\n")[0]
        logger.warning("decoder_kernels_failed", extra={"reason": reason})
    return decoder or sd, result


def _first_that_holds(
    sd: nn.Module,
    build: Callable[..., KernelSdDecoder],
    table: tuple[Layer, ...],
    latents: Tensor,
    limits: Thresholds,
    *,
    eight_bits: bool,
) -> tuple[KernelSdDecoder | None, GateResult]:
    """The first of ever more careful decoders that holds the gate, or None; and the result of the last one tried."""
    packs: dict[tuple[str, Format], PackedConv] = {}
    some = latents[:: -(-len(latents) // COSTED)]

    def tables() -> Iterator[dict[str, Format]]:
        if eight_bits:
            yield formats(table, EIGHT_BITS[0])
            known = costs(lambda chosen: build(chosen, packs=packs), table, some, EIGHT_BITS)
            for share in SHARES:
                yield mixture(table, known, limits, share=share)
        yield formats(table, "fp16")

    for chosen in tables():
        decoder = build(chosen, packs=packs)
        result = gate(sd, decoder, latents, limits)
        work = sum(layer.operations for layer in table if chosen[layer.name] != "fp16")
        told = {
            "eight_bits": round(work / sum(layer.operations for layer in table), 3),
            "psnr_db": round(result.psnr_db, 1),
            "mean": round(result.mean_absolute, 5),
        }
        if result.passed:
            logger.info("decoder_chosen", extra=told)
            return decoder, result
        logger.info("decoder_refused", extra=told)
    logger.warning("decoder_kernels_inexact", extra=told)
    return None, result
