"""Recordings in several segments: one record, whose parts are read like records of their own.

Format: physionet.org/physiotools/wag/header-5.htm, with a fixed or a variable layout.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from data_pipeline.errors import DataError
from data_pipeline.headers import Header, read_header, segment_count
from data_pipeline.signals import Leads, read_leads
from data_pipeline.store import LEADS
from data_pipeline.units import joint_scale

GAP = "~"
"""Name of a segment without samples."""


def segment_names(path: Path) -> tuple[str, ...]:
    """Return the segments that a header names, without reading more of it than it takes."""
    try:
        lines = path.read_text("utf-8", errors="replace").splitlines()
    except OSError:
        return ()
    words = [line.split() for line in lines if line.strip() and not line.lstrip().startswith("#")]
    try:
        if not words or not segment_count(words[0][0], path)[1]:
            return ()
    except ValueError:  # more digits than a number has
        return ()
    return tuple(line[0] for line in words[1:] if line[0] != GAP)


def read_recording(header: Header, *, fix_gains: bool = False) -> Leads:
    """Read the twelve leads of a record, whether it is one piece or has segments.

    fix_gains replaces the gains known to be wrong in copies of the Challenge by 1000 per mV.

    Raises:
        DataError: a lead, file or segment is missing, or is not what the header says.
    """
    return _read_segments(header) if header.segments else read_leads(header, fix_gains=fix_gains)


def _read_segments(header: Header) -> Leads:
    """Read the segments of a recording one after the other, with NaN in the gaps."""
    # A first segment of no length describes the signals of all that follow; each has some.
    variable = header.segments[0][1] == 0
    parts = header.segments[1:] if variable else header.segments
    read = {
        name: _read_part(header, name, frames, partial=variable)
        for name, frames in parts
        if name != GAP
    }
    if not read:
        raise DataError("has only gaps")
    rates = {leads.sample_rate_hz for leads in read.values()}
    if len(rates) > 1:
        raise DataError(f"has segments of {', '.join(f'{rate:g}' for rate in sorted(rates))} Hz")
    rate = rates.pop()
    total = sum(frames for _, frames in parts)
    if header.samples is not None and total != header.samples:
        raise DataError(f"declares {header.samples} samples, but its segments have {total}")
    factor = round(rate / header.sample_rate_hz)
    blocks = [
        np.full((len(LEADS), frames * factor), np.nan) if name == GAP else read[name].values
        for name, frames in parts
    ]
    scales = {leads.scale for leads in read.values()}
    inverted = {lead for leads in read.values() for lead in leads.inverted}
    values = np.concatenate(blocks, axis=1)
    return Leads(
        stored=values,
        sample_rate_hz=rate,
        baseline=np.zeros(len(values)),
        gain=np.ones(len(values)),
        scale=joint_scale(scales),
        inverted=tuple(lead for lead in LEADS if lead in inverted),
    )


def _read_part(header: Header, name: str, frames: int, *, partial: bool) -> Leads:
    path = header.path.parent / f"{name}.hea"
    try:
        part = read_header(path)
        if part.segments:
            raise DataError("has segments itself")
        if part.sample_rate_hz != header.sample_rate_hz:
            raise DataError(
                f"is sampled at {part.sample_rate_hz:g} Hz, not {header.sample_rate_hz:g} Hz"
            )
        leads = read_leads(part, partial=partial)
    except DataError as error:
        raise type(error)(f"segment {name}: {error}") from error
    samples = frames * round(leads.sample_rate_hz / header.sample_rate_hz)
    if leads.stored.shape[1] != samples:
        raise DataError(f"segment {name} has {leads.stored.shape[1]} samples instead of {samples}")
    return leads
