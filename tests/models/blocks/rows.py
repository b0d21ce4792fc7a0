"""A row of every block of forks, after a stem of 32 channels at stride 2 (row 0) and a copy of its size (row 1)."""

from typing import Any

# name of the case → its row; channels and stride that must come out
ROWS: dict[str, tuple[list[Any], int, float]] = {
    "BiFPN_Concat2": ([[-1, 0], 1, "BiFPN_Concat2", [1]], 64, 2),
    "BiFPN_Concat3": ([[-1, 0, 0], 1, "BiFPN_Concat3", [1]], 96, 2),
    "BiFPN_Concat": ([[-1, 0, 0, 1], 1, "BiFPN_Concat", [1]], 128, 2),
    "BiFPN_Add2": ([[-1, 0], 1, "BiFPN_Add2", [32, 48]], 48, 2),
    "BiFPN_Add3": ([[-1, 0, 0], 1, "BiFPN_Add3", [32, 32]], 32, 2),
    "Concat_bifpn": ([[-1, 0], 1, "Concat_bifpn", [32, 48]], 48, 2),
    "Concat_bifpn of three": ([[-1, 0, 0], 1, "Concat_bifpn", [32, 48]], 48, 2),
    "BiFPN": ([[-1, 0], 1, "BiFPN", [48]], 48, 2),
    "BiFPN plain": ([[-1, 0, 0], 1, "BiFPN", []], 32, 2),
    "SPD": ([-1, 1, "SPD", [1]], 128, 4),
    "space_to_depth": ([-1, 1, "space_to_depth", [1]], 128, 4),
    "SPDConv": ([-1, 1, "SPDConv", [48]], 48, 4),
    "Contract": ([-1, 1, "Contract", [2]], 128, 4),
    "Expand": ([-1, 1, "Expand", [2]], 8, 1),
    "CARAFE": ([-1, 1, "CARAFE", [48, 3, 2]], 48, 1),
    "CARAFE plain": ([-1, 1, "CARAFE", []], 32, 1),
    "DySample": ([-1, 1, "DySample", []], 32, 1),
    "DySample pl": ([-1, 1, "DySample", [2, "pl", 4, True]], 32, 1),
    "GSConv": ([-1, 1, "GSConv", [48, 3, 2]], 48, 4),
    "GSBottleneck": ([-1, 1, "GSBottleneck", [48]], 48, 2),
    "VoVGSCSP": ([-1, 2, "VoVGSCSP", [64, False]], 64, 2),
    "VoVGSCSPC": ([-1, 2, "VoVGSCSPC", [64, False]], 64, 2),
    "MBConv": ([-1, 2, "MBConv", [48, 2, 4]], 48, 4),
    "FusedMBConv": ([-1, 2, "FusedMBConv", [48, 2, 4]], 48, 4),
    "ConvNextBlock": ([-1, 2, "ConvNextBlock", [32]], 32, 2),
    "CNeB": ([-1, 2, "CNeB", [48]], 48, 2),
    "gnconv": ([-1, 1, "gnconv", [32]], 32, 2),
    "HorBlock": ([-1, 2, "HorBlock", [32]], 32, 2),
    "C3HB": ([-1, 2, "C3HB", [64]], 64, 2),
    "C3C2": ([-1, 2, "C3C2", [48]], 48, 2),
    "NarrowC3": ([-1, 2, "NarrowC3", [48]], 48, 2),
    "CoT3": ([-1, 2, "CoT3", [48]], 48, 2),
    "BoT3": ([-1, 2, "BoT3", [48]], 48, 2),
    "C3STR": ([-1, 2, "C3STR", [64]], 64, 2),
    "BottleneckCSPF": ([-1, 2, "BottleneckCSPF", [48]], 48, 2),
    "BottleneckCSP2": ([-1, 2, "BottleneckCSP2", [48]], 48, 2),
    "SPPCSP": ([-1, 1, "SPPCSP", [48]], 48, 2),
    "SPPFCSPC": ([-1, 1, "SPPFCSPC", [48]], 48, 2),
    "SPPCSPC_group": ([-1, 1, "SPPCSPC_group", [48]], 48, 2),
    "Involution": ([-1, 1, "Involution", [32, 3, 2]], 32, 4),
    "SwinBlock": ([-1, 1, "SwinBlock", [32]], 32, 2),
    "Shuffle_Block": ([-1, 1, "Shuffle_Block", [48, 2]], 48, 4),
    "Shuffle_Block by": ([-1, 2, "Shuffle_Block", [32, 1]], 32, 2),
    "CBRM": ([-1, 1, "CBRM", [48]], 48, 8),
    "MobileNetV3_InvertedResidual": ([-1, 1, "MobileNetV3_InvertedResidual", [48, 64, 5, 2, 1, 1]], 48, 4),
    "conv_bn_hswish": ([-1, 1, "conv_bn_hswish", [48, 2]], 48, 4),
    "CBH": ([-1, 1, "CBH", [48, 3, 2]], 48, 4),
    "DeformConv": ([-1, 1, "DeformConv", [48, 3, 2]], 48, 4),
    "DCNv2": ([-1, 1, "DCNv2", [48, 3, 2]], 48, 4),
    "Yolov7_Tiny_E_ELAN": ([-1, 1, "Yolov7_Tiny_E_ELAN", [48, 16, "nn.LeakyReLU(0.1)"]], 48, 2),
    "Yolov7_Tiny_SPP": ([-1, 1, "Yolov7_Tiny_SPP", [48, "nn.LeakyReLU(0.1)"]], 48, 2),
    "RepVGGBlock": ([-1, 1, "RepVGGBlock", [32, 3, 1]], 32, 2),
    "RepVGGBlockv6": ([-1, 1, "RepVGGBlockv6", [48, 3, 2]], 48, 4),
    "RepBlock": ([-1, 3, "RepBlock", [48]], 48, 2),
    "CSPStage": ([-1, 2, "CSPStage", [48]], 48, 2),
    "SimConv": ([-1, 1, "SimConv", [48, 3, 2]], 48, 4),
    "SimSPPF": ([-1, 1, "SimSPPF", [48]], 48, 2),
    "Silence": ([-1, 1, "Silence", []], 32, 2),
    "nn.Conv2d": ([-1, 1, "nn.Conv2d", [48, 3, 2, 1]], 48, 4),
    "nn.ConvTranspose2d": ([-1, 1, "nn.ConvTranspose2d", [48, 4, 2, 1, 0, 16]], 48, 1),
    "nn.PixelShuffle": ([-1, 1, "nn.PixelShuffle", [2]], 8, 1),
    "nn.PixelUnshuffle": ([-1, 1, "nn.PixelUnshuffle", [2]], 128, 4),
    "nn.BatchNorm2d": ([-1, 1, "nn.BatchNorm2d", [32]], 32, 2),
    "ConvTranspose": ([-1, 1, "ConvTranspose", [48]], 48, 1),
    "DWConvTranspose2d": ([-1, 1, "DWConvTranspose2d", [32, 4, 2, 1]], 32, 1),
    "GhostBottleneck": ([-1, 1, "GhostBottleneck", [48, 3, 2]], 48, 4),
    "HGBlock": ([-1, 2, "HGBlock", [16, 48, 3]], 48, 2),
}


def description(*rows: list[Any]) -> dict[str, Any]:
    """Return a model of one level with the rows after its stem and before a convolution and its head."""
    return {
        "nc": 2,
        "anchors": [[10, 13, 16, 30]],
        "backbone": [[-1, 1, "Conv", [32, 3, 2]], [-1, 1, "Conv", [32, 3, 1]], *rows],
        "head": [[-1, 1, "Conv", [8, 1, 1]], [[-1], 1, "Detect", ["nc", "anchors"]]],
    }


# Blocks that no file but TorchScript's can hold.
DEFORMABLE = {"DeformConv", "DCNv2"}
