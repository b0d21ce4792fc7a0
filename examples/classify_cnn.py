"""Train a small CNN on handwritten digits, with and without channel attention: `python examples/classify_cnn.py`.

Three convolution blocks of 32, 64 and 128 channels, each followed by channel attention (SE) where asked for, trained
with Adam and ReduceLROnPlateau on scikit-learn's bundled 8 × 8 digits. Trains both variants from the same seeds and
prints their test accuracies. Under a minute on two cores; both reach about 99 %, and the difference is within the
spread of seeds: on a task that a plain network solves, attention has little to add.
"""

import argparse
import sys
from pathlib import Path

import torch
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch import Tensor, nn

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from attention import ATTENTION, build_attention

WIDTHS = (32, 64, 128)


class DigitsCNN(nn.Module):
    """Three blocks of convolution, BN, ReLU, attention, pooling, then one linear layer.

    Args:
        attention: name of a mechanism, or None.

    Shape:
        (B, 1, 8, 8) → (B, 10) logits.
    """

    def __init__(self, attention: str | None) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for c_in, c_out in zip((1, *WIDTHS), WIDTHS, strict=False):
            layers += [nn.Conv2d(c_in, c_out, 3, padding=1), nn.BatchNorm2d(c_out), nn.ReLU()]
            layers += [build_attention(attention, c_out)] if attention else []
            layers += [nn.MaxPool2d(2)]
        self.features = nn.Sequential(*layers)
        self.classify = nn.Linear(WIDTHS[-1], 10)

    def forward(self, x: Tensor) -> Tensor:
        """Classify images."""
        return self.classify(self.features(x).flatten(1))


def train(attention: str | None, seed: int, epochs: int) -> float:
    """Train one network and test it.

    Args:
        attention: name of a mechanism, or None.
        seed: of the initial values, the split and the order.
        epochs: passes over the training images.

    Returns:
        Share of test images classified correctly.
    """
    torch.manual_seed(seed)
    digits = load_digits()
    images = torch.tensor(digits.images, dtype=torch.float32)[:, None] / 16
    parts = train_test_split(
        images, torch.tensor(digits.target), test_size=0.3, random_state=seed, stratify=digits.target
    )
    x, x_test, y, y_test = parts
    model = DigitsCNN(attention)
    optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)
    schedule = torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer, factor=0.5, patience=2)
    for _ in range(epochs):
        model.train()
        total = 0.0
        for rows in torch.randperm(len(x)).split(64):
            loss = nn.functional.cross_entropy(model(x[rows]), y[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total += loss.item()
        schedule.step(total)
    model.eval()
    with torch.no_grad():
        return (model(x_test).argmax(1) == y_test).float().mean().item()


def main() -> None:
    """Train both variants and print their accuracies."""
    parser = argparse.ArgumentParser(description="Handwritten digits with and without attention.")
    parser.add_argument("--attention", default="ChannelAttention", help="any of: " + ", ".join(ATTENTION.names()))
    parser.add_argument("--epochs", type=int, default=12)
    parser.add_argument("--seeds", type=int, default=3)
    options = parser.parse_args()
    if options.attention not in ATTENTION:
        parser.error(f"--attention {options.attention}: there are {', '.join(ATTENTION.names())}")
    for name in (None, options.attention):
        accuracies = [train(name, seed, options.epochs) for seed in range(options.seeds)]
        shown = " ".join(f"{a:.4f}" for a in accuracies)
        print(f"{name or 'no attention':<18} test accuracy {shown}   mean {sum(accuracies) / len(accuracies):.4f}")


if __name__ == "__main__":
    main()
