"""Segmentation with a small U-Net: skip connections, transposed convolutions, a Dice loss, intersection over union."""

import torch
import torch.nn as nn
import torch.nn.functional as F
from torch.utils.data import ConcatDataset, DataLoader, Dataset

torch.manual_seed(21)


class Discs(Dataset):
    def __init__(self, count, seed):
        g = torch.Generator().manual_seed(seed)
        self.centre = torch.rand(count, 2, generator=g) * 16
        self.radius = torch.rand(count, generator=g) * 4 + 2
        self.noise = torch.randn(count, 1, 16, 16, generator=g) * 0.3

    def __len__(self):
        return self.radius.shape[0]

    def __getitem__(self, i):
        grid = torch.stack(torch.meshgrid(torch.arange(16), torch.arange(16), indexing="ij")).float()
        mask = ((grid - self.centre[i][:, None, None]).pow(2).sum(0) < self.radius[i] ** 2).long()
        return {"image": mask.float().unsqueeze(0) + self.noise[i], "mask": mask, "name": f"disc{i}"}


class DoubleConv(nn.Sequential):
    def __init__(self, in_channels, out_channels):
        super().__init__(
            nn.Conv2d(in_channels, out_channels, kernel_size=3, padding=1, bias=False), nn.BatchNorm2d(out_channels), nn.ReLU(inplace=True),
            nn.Conv2d(out_channels, out_channels, kernel_size=3, padding=1, bias=False), nn.BatchNorm2d(out_channels),
            nn.ReLU(inplace=True),
        )  # fmt: skip


class Up(nn.Module):
    def __init__(self, in_channels, out_channels, bilinear):
        super().__init__()
        if bilinear:
            self.up = nn.Upsample(scale_factor=2, mode="bilinear", align_corners=True)
            self.reduce = nn.Conv2d(in_channels, in_channels // 2, 1)
        else:
            self.up = nn.ConvTranspose2d(in_channels, in_channels // 2, kernel_size=2, stride=2)
            self.reduce = nn.Identity()
        self.conv = DoubleConv(in_channels, out_channels)

    def forward(self, x1, x2):
        x1 = self.reduce(self.up(x1))
        diffY, diffX = x2.size()[2] - x1.size()[2], x2.size()[3] - x1.size()[3]
        x1 = F.pad(x1, [diffX // 2, diffX - diffX // 2, diffY // 2, diffY - diffY // 2])
        return self.conv(torch.cat([x2, x1], dim=1))


class UNet(nn.Module):
    def __init__(self, n_channels=1, n_classes=2, bilinear=False):
        super().__init__()
        self.inc = DoubleConv(n_channels, 6)
        self.down1 = nn.Sequential(nn.MaxPool2d(2), DoubleConv(6, 12))
        self.down2 = nn.Sequential(nn.MaxPool2d(2), DoubleConv(12, 24))
        self.up1, self.up2 = Up(24, 12, bilinear), Up(12, 6, bilinear)
        self.outc = nn.Conv2d(6, n_classes, kernel_size=1)

    def forward(self, x):
        x1 = self.inc(x)
        x2 = self.down1(x1)
        return self.outc(self.up2(self.up1(self.down2(x2), x2), x1))


def dice_coeff(input, target, epsilon=1e-6):
    inter = 2 * (input * target).sum(dim=(-1, -2))
    sets_sum = input.sum(dim=(-1, -2)) + target.sum(dim=(-1, -2))
    sets_sum = torch.where(sets_sum == 0, inter, sets_sum)
    return ((inter + epsilon) / (sets_sum + epsilon)).mean()


def dice_loss(logits, mask):
    return 1 - dice_coeff(F.softmax(logits, dim=1).float().flatten(0, 1), F.one_hot(mask, 2).permute(0, 3, 1, 2).float().flatten(0, 1))


for bilinear in (False, True):
    model = UNet(bilinear=bilinear)
    optimizer = torch.optim.RMSprop(model.parameters(), lr=1e-4, weight_decay=1e-8, momentum=0.5, foreach=True)
    loader = DataLoader(ConcatDataset([Discs(24, 1), Discs(8, 2)]), shuffle=True, batch_size=8, drop_last=True)
    criterion = nn.CrossEntropyLoss(weight=torch.tensor([0.4, 0.6]))
    for epoch in range(2):
        for batch in loader:
            images, masks = batch["image"], batch["mask"]
            pred = model(images)
            loss = criterion(pred, masks)
            loss += dice_loss(pred, masks)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            print(epoch, len(batch["name"]), f"{loss.item():.6f}")
    model.eval()
    with torch.no_grad():
        batch = next(iter(DataLoader(Discs(12, 3), batch_size=12)))
        logits = model(batch["image"])
        found, truth = logits.softmax(1)[:, 1].mean(), batch["mask"].bool()
        both = torch.logical_and(logits.argmax(1).bool(), truth).sum() / torch.logical_or(logits.argmax(1).bool(), truth).sum()
        print(f"mean {found.item():.5f} iou {both.item():.3f}")
