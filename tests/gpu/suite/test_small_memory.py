"""A batch that does not fit is halved, and the run goes on. Only a pretended GPU can be told how much fits."""

import pytest

from engine.training.run import train

pytestmark = pytest.mark.filterwarnings("ignore")


def test_the_batch_is_halved_until_it_fits(options):
    machine = pytest.importorskip("device", reason="a real GPU").machine
    if not machine.batch:
        pytest.skip("needs a GPU that holds three images: python tests/gpu/pretended --fits 3 pytest ...")
    assert machine.batch == 3
    trainer = train(**{**options, "batch_size": 8}, amp="off")
    assert trainer.batch_size == 2
    assert trainer.rows[-1]["epoch"] == 1
