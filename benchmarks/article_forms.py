"""Mechanisms as tutorials write them, for comparison only: stacks, permutes and adaptive pools included."""

import torch
from torch import Tensor, nn


class TutorialSE(nn.Module):
    """Adaptive pool, two linear layers without biases, and an explicit expansion."""

    def __init__(self, channels: int, ratio: int = 16) -> None:
        super().__init__()
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.squeeze = nn.Linear(channels, channels // ratio, bias=False)
        self.excite = nn.Linear(channels // ratio, channels, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) → the same."""
        pooled = self.pool(x).view(x.shape[:2])
        weights = torch.sigmoid(self.excite(torch.relu(self.squeeze(pooled))))
        return x * weights.view(*x.shape[:2], 1, 1).expand_as(x)


class TutorialECA(nn.Module):
    """Adaptive pool and a 1-D convolution of fixed size between two transpositions."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.conv = nn.Conv1d(1, 1, 3, padding=1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) → the same."""
        sequence = self.pool(x).squeeze(-1).transpose(1, 2)
        weights = torch.sigmoid(self.conv(sequence).transpose(1, 2).unsqueeze(-1))
        return x * weights.expand_as(x)


class TutorialCBAM(nn.Module):
    """1 × 1 convolutions on adaptive pools, then a 3 × 3 convolution of mean and maximum."""

    def __init__(self, channels: int, ratio: int = 16) -> None:
        super().__init__()
        self.mean, self.most = nn.AdaptiveAvgPool2d(1), nn.AdaptiveMaxPool2d(1)
        self.mlp = nn.Sequential(
            nn.Conv2d(channels, channels // ratio, 1), nn.ReLU(inplace=True), nn.Conv2d(channels // ratio, channels, 1)
        )
        self.spatial = nn.Conv2d(2, 1, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) → the same."""
        x = x * torch.sigmoid(self.mlp(self.mean(x)) + self.mlp(self.most(x)))
        planes = torch.cat((torch.mean(x, 1, True), torch.max(x, 1, True)[0]), 1)
        return x * torch.sigmoid(self.spatial(planes))


class TutorialSK(nn.Module):
    """Dense branches 1, 3, 5, 7, stacked."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.branches = nn.ModuleList(
            nn.Sequential(nn.Conv2d(channels, channels, k, padding=k // 2), nn.BatchNorm2d(channels), nn.ReLU())
            for k in (1, 3, 5, 7)
        )
        hidden = max(32, channels // 16)
        self.squeeze = nn.Linear(channels, hidden)
        self.excite = nn.ModuleList(nn.Linear(hidden, channels) for _ in range(4))

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) → the same."""
        maps = [branch(x) for branch in self.branches]
        stack = torch.stack(maps, 0)
        z = self.squeeze(sum(maps).mean(-1).mean(-1))  # type: ignore[union-attr]
        weights = torch.stack([fc(z).view(*x.shape[:2], 1, 1) for fc in self.excite], 0).softmax(0)
        return (weights * stack).sum(0)


class TutorialGAM(nn.Module):
    """Linear layers between two permutations, then two 7 × 7 convolutions."""

    def __init__(self, channels: int, ratio: int = 4) -> None:
        super().__init__()
        hidden = channels // ratio
        self.mlp = nn.Sequential(nn.Linear(channels, hidden), nn.ReLU(), nn.Linear(hidden, channels))
        self.spatial = nn.Sequential(
            nn.Conv2d(channels, hidden, 7, padding=3),
            nn.BatchNorm2d(hidden),
            nn.ReLU(),
            nn.Conv2d(hidden, channels, 7, padding=3),
            nn.BatchNorm2d(channels),
        )

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) → the same."""
        x = self.mlp(x.permute(0, 3, 2, 1)).permute(0, 3, 2, 1) * x
        return x * torch.sigmoid(self.spatial(x))


class NaiveNonLocal(nn.Module):
    """Embedded Gaussian with the matrix of all pairs in memory."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        hidden = channels // 2
        self.theta, self.phi, self.g = (nn.Conv2d(channels, hidden, 1) for _ in range(3))
        self.out = nn.Sequential(nn.Conv2d(hidden, channels, 1), nn.BatchNorm2d(channels))

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) → the same."""
        q, k, v = (layer(x).flatten(2) for layer in (self.theta, self.phi, self.g))
        weights = (q.transpose(1, 2) @ k).softmax(-1)
        return x + self.out((weights @ v.transpose(1, 2)).transpose(1, 2).unflatten(2, x.shape[2:]))
