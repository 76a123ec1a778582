"""Displacement fields are undone where they can be, and end where they should."""

import numpy as np
import pytest

from models.face.puppet.field import Field, Region, smooth


@pytest.fixture
def region() -> Region:
    return Region(20, 10, 120, 90, step_px=4, within=(200, 200))


def bump(region: Region, height_px: float, width_px: float) -> Field:
    """Moves the middle of the region down."""
    x, y = np.moveaxis(region.nodes - (70, 50), -1, 0)
    down = height_px * np.exp(-(x * x + y * y) / (2 * width_px**2))
    return Field(region, np.stack((np.zeros_like(down), down), axis=-1)[None].astype(np.float32))


def test_a_field_at_rest_shows_every_px_where_it_was(region: Region) -> None:
    assert np.allclose(bump(region, 10, 20).sources(np.zeros(1, np.float32)), region.pixels(), atol=1e-4)


def test_a_spot_is_drawn_where_its_movement_takes_it(region: Region) -> None:
    sources = bump(region, 12, 16).sources(np.ones(1, np.float32))
    x, y = np.moveaxis(sources - (70, 50), -1, 0)
    arrived = sources[..., 1] + 12 * np.exp(-(x * x + y * y) / (2 * 16**2))
    assert np.abs(arrived - region.pixels()[..., 1]).max() < 0.6
    assert np.allclose(sources[..., 0], region.pixels()[..., 0], atol=1e-4)


def test_half_an_amount_is_half_a_movement(region: Region) -> None:
    field, twice = bump(region, 4, 20), bump(region, 8, 20)
    assert np.allclose(field.sources(np.full(1, 2, np.float32)), twice.sources(np.ones(1, np.float32)), atol=1e-3)


def test_a_region_lies_within_the_sheet_in_whole_steps() -> None:
    region = Region(-30, 150, 60, 260, step_px=6, within=(200, 220))
    assert region.left_px == 0
    assert region.top_px + region.height_px == 200
    assert region.width_px % 6 == 0
    assert region.height_px % 6 == 0
    assert Region(0, 0, 900, 900, step_px=6, within=(200, 220)).width_px <= 220


def test_a_region_fades_to_its_edges(region: Region) -> None:
    fade = region.edge_fade(region.pixels(), 10)
    assert fade[0].max() == 0
    assert fade[:, -1].max() == 0
    assert fade[40, 50] == 1


def test_smooth_is_level_at_its_ends() -> None:
    values = smooth(np.array([-1, 0, 0.01, 0.5, 0.99, 1, 2], np.float32))
    assert values[0] == values[1] == 0
    assert values[3] == 0.5
    assert values[5] == values[6] == 1
    assert values[2] < 0.001
