from pathlib import Path

from tools import xnor_latency

SHIPPED = Path(__file__).parents[2] / "exported"


def test_every_body_is_told_beside_the_first(capsys):
    folders = [str(SHIPPED / name) for name in ("xnor_acdnet_third_mel_20-esc10", "micro_acdnet-esc10")]
    xnor_latency.main([*folders, "--rounds", "3"])
    _, _, first, *others = capsys.readouterr().out.splitlines()
    assert first.startswith("| xnor_acdnet_third_mel_20-esc10, C that counts bits |")
    assert first.endswith("| 1.00 | 1.00 to 1.00 |")
    assert [line.split(" | ")[0] for line in others] == [
        f"| micro_acdnet-esc10, int8, {kernels}" for kernels in ("xnnpack", "reference")
    ]
