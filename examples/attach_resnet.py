"""Attach attention to a torchvision ResNet, in one line: `python examples/attach_resnet.py`.

Puts CBAM behind every stage and SE behind the second convolution of every block of the last stage. With identity=True
the network first computes exactly what it did before, so pretrained weights keep their worth; a few training steps then
show that the mechanisms learn. Takes seconds; downloads nothing.
"""

import sys
from pathlib import Path

import torch
from torchvision.models import resnet18

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from attention import attach


def main() -> None:
    """Attach, compare, train a little."""
    torch.manual_seed(0)
    model = resnet18(num_classes=10).eval()  # or resnet18(weights="DEFAULT")
    images, labels = torch.randn(8, 3, 64, 64), torch.arange(8)
    with torch.no_grad():
        before = model(images)

    attach(
        model,
        {"layer[1234]": "CBAM", "layer4.*.conv2": ("SE", {"reduction": 8})},
        example=torch.zeros(1, 3, 64, 64),
        identity=True,
    )
    with torch.no_grad():
        print("same output as before:", torch.equal(model(images), before))

    gates = [p for name, p in model.named_parameters() if name.endswith("gamma")]
    added = sum(p.numel() for name, p in model.named_parameters() if ".attention." in name)
    print(f"{len(gates)} mechanisms, {added} parameters")

    optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
    model.train()
    for step in range(5):
        loss = torch.nn.functional.cross_entropy(model(images), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        print(
            f"step {step}: loss {loss.item():.3f}, mean |γ| {torch.stack([g.abs() for g in gates]).mean().item():.4f}"
        )


if __name__ == "__main__":
    main()
