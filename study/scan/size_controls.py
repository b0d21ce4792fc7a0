"""Build the plain convolutions that a candidate is compared with: at its place, of its size."""

import math

import torch

from models.network.cost import count_parameters
from study.plan.controls import BLOCK, KERNELS, Match, match_parameters
from study.scan.candidates import Candidate


def plain_control(candidate: Candidate) -> Candidate:
    """Return the control of a candidate: a plain convolution block at its place, with about as many parameters.

    Hidden widths are powers of 4, so that mechanisms of about one size share their control. A mechanism with fewer
    parameters than the smallest block has that one.
    """
    match = size_match(candidate)
    hidden = 4 ** max(0, round(math.log(match.hidden, 4)))
    options = {"hidden": hidden, "kernel_size": match.kernel_size}
    text = f"{BLOCK}{{hidden: {hidden}, kernel_size: {match.kernel_size}}}"
    return Candidate(text, BLOCK, options, candidate.place)


def size_match(candidate: Candidate) -> Match:
    """Return the block whose parameters come closest to a candidate's."""
    channels = [tap.channels for tap in candidate.place.taps]
    target = parameters(candidate)
    try:
        return match_parameters(target, channels)
    except ValueError:  # fewer parameters than the smallest block
        return Match(target, 1, KERNELS[-1], 0, 0)


def parameters(candidate: Candidate) -> int:
    """Count the parameters of a candidate, without a gate."""
    with torch.random.fork_rng(devices=[]):
        return count_parameters(candidate.build(identity=False))
