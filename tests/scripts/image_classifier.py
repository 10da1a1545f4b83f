"""What ImageNet scripts do around the model: cuDNN flags, DataParallel, AMP off without a GPU, top-k accuracy, checkpoints."""

import os
import random
import shutil
import tempfile
import time
import warnings
from contextlib import nullcontext

import numpy as np
import torch
import torch.backends.cudnn as cudnn
import torch.multiprocessing as mp
import torch.nn as nn
import torch.nn.parallel
import torch.optim
import torch.utils.data
from torch.optim.lr_scheduler import LinearLR, MultiStepLR, SequentialLR
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from torch.utils.data import Subset, TensorDataset, WeightedRandomSampler


class BasicBlock(nn.Module):
    expansion = 1

    def __init__(self, inplanes, planes, stride=1):
        super().__init__()
        self.conv1 = nn.Conv2d(inplanes, planes, kernel_size=3, stride=stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(planes)
        self.relu = nn.ReLU(inplace=True)
        self.conv2 = nn.Conv2d(planes, planes, kernel_size=3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(planes)
        self.downsample = None
        if stride != 1 or inplanes != planes:
            self.downsample = nn.Sequential(nn.Conv2d(inplanes, planes, 1, stride, bias=False), nn.BatchNorm2d(planes))

    def forward(self, x):
        identity = x if self.downsample is None else self.downsample(x)
        out = self.bn2(self.conv2(self.relu(self.bn1(self.conv1(x)))))
        out += identity
        return self.relu(out)


class ResNet(nn.Module):
    def __init__(self, num_classes=6):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 8, kernel_size=3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(8)
        self.layer1 = nn.Sequential(BasicBlock(8, 8), BasicBlock(8, 8))
        self.layer2 = nn.Sequential(BasicBlock(8, 16, stride=2))
        self.avgpool = nn.AdaptiveAvgPool2d((1, 1))
        self.fc = nn.Linear(16, num_classes)
        for m in self.modules():
            if isinstance(m, nn.Conv2d):
                nn.init.kaiming_normal_(m.weight, mode="fan_out", nonlinearity="relu")
            elif isinstance(m, (nn.BatchNorm2d, nn.GroupNorm)):
                nn.init.constant_(m.weight, 1)
                nn.init.constant_(m.bias, 0)
        for m in self.modules():
            if isinstance(m, BasicBlock):
                nn.init.constant_(m.bn2.weight, 0)

    def forward(self, x):
        x = nn.functional.relu(self.bn1(self.conv1(x)), inplace=True)
        x = self.layer2(self.layer1(x))
        return self.fc(torch.flatten(self.avgpool(x), 1))


class AverageMeter:
    def __init__(self, name, fmt=":f"):
        self.name, self.fmt = name, fmt
        self.sum = self.count = 0

    def update(self, val, n=1):
        self.val = val
        self.sum += val * n
        self.count += n
        self.avg = self.sum / self.count

    def __str__(self):
        return ("{name} {val" + self.fmt + "} ({avg" + self.fmt + "})").format(**self.__dict__)


def accuracy(output, target, topk=(1,)):
    with torch.no_grad():
        maxk = max(topk)
        batch_size = target.size(0)
        _, pred = output.topk(maxk, 1, True, True)
        pred = pred.t()
        correct = pred.eq(target.view(1, -1).expand_as(pred))
        return [correct[:k].reshape(-1).float().sum(0, keepdim=True).mul_(100.0 / batch_size) for k in topk]


def data(count, seed):
    g = torch.Generator().manual_seed(seed)
    labels = torch.randint(0, 6, (count,), generator=g)
    images = torch.randn(count, 3, 12, 12, generator=g) * 0.5
    images[torch.arange(count), labels % 3] += 1.0
    images[labels >= 3, :, :6] -= 0.7
    return images.clamp_(-2, 2), labels


def validate(loader, model, criterion):
    top1, top3, losses = AverageMeter("Acc@1", ":6.2f"), AverageMeter("Acc@3", ":6.2f"), AverageMeter("Loss", ":.4e")
    model.eval()
    with torch.inference_mode():
        for images, target in loader:
            output = model(images)
            acc1, acc3 = accuracy(output, target, topk=(1, 3))
            losses.update(criterion(output, target).item(), images.size(0))
            top1.update(acc1[0].item(), images.size(0))
            top3.update(acc3[0].item(), images.size(0))
    print(" * ", top1, top3, losses)
    return top1.avg


def save_checkpoint(state, is_best, folder):
    filename = os.path.join(folder, "checkpoint.pth.tar")
    torch.save(state, filename)
    if is_best:
        shutil.copyfile(filename, os.path.join(folder, "model_best.pth.tar"))
    return filename


def main():
    seed = 3
    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)
    torch.cuda.manual_seed_all(seed)
    os.environ["PYTHONHASHSEED"] = str(seed)
    cudnn.deterministic = True
    cudnn.benchmark = torch.cuda.is_available()
    torch.backends.cuda.matmul.allow_tf32 = True
    torch.set_float32_matmul_precision("high")
    torch.use_deterministic_algorithms(True, warn_only=True)
    assert tuple(int(n) for n in torch.__version__.split("+")[0].split(".")[:2]) >= (1, 13)
    print(torch.cuda.device_count(), torch.version.cuda, "spawn" in mp.get_all_start_methods(), torch.distributed.is_initialized())
    device = "cuda" if torch.cuda.is_available() else "cpu"
    ctx = nullcontext() if device == "cpu" else torch.amp.autocast(device_type=device, dtype=torch.float16)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        scaler = torch.amp.GradScaler("cuda", enabled=device == "cuda")

    model = nn.DataParallel(ResNet()).to(device, memory_format=torch.channels_last)
    print(model)
    print(sum(p.numel() for p in model.parameters() if p.requires_grad))
    compiled = torch.compile(model, disable=True)
    ema = AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(0.9))
    criterion = nn.CrossEntropyLoss(label_smoothing=0.1).to(device)
    decay, no_decay = [], []
    for name, p in model.named_parameters():
        (no_decay if p.ndim <= 1 or name.endswith(".bias") else decay).append(p)
    groups = [{"params": decay, "weight_decay": 1e-4}, {"params": no_decay, "weight_decay": 0.0}]
    optimizer = torch.optim.SGD(groups, 0.05, momentum=0.9, nesterov=True)
    scheduler = SequentialLR(optimizer, [LinearLR(optimizer, 0.1, total_iters=2), MultiStepLR(optimizer, [2, 3])], milestones=[2])

    x, y = data(128, 1)
    weights = 1.0 / torch.bincount(y).float()
    sampler = WeightedRandomSampler(weights[y], num_samples=96)
    train_loader = torch.utils.data.DataLoader(TensorDataset(x, y), batch_size=16, sampler=sampler, num_workers=0, pin_memory=False)
    val_loader = torch.utils.data.DataLoader(Subset(TensorDataset(*data(96, 2)), range(64)), batch_size=32, shuffle=False)

    best_acc1, folder, accumulate = 0, tempfile.mkdtemp(), 2
    for epoch in range(3):
        model.train()
        losses, end = AverageMeter("Loss", ":.4f"), time.time()
        for i, (images, target) in enumerate(train_loader):
            images, target = images.to(device, non_blocking=True), target.to(device, non_blocking=True)
            images = images.to(memory_format=torch.channels_last)
            with ctx:
                output = compiled(images)
                loss = criterion(output, target) / accumulate
            scaler.scale(loss).backward()
            if (i + 1) % accumulate == 0:
                scaler.unscale_(optimizer)
                norm = torch.nn.utils.clip_grad_norm_(model.parameters(), 2.0)
                scaler.step(optimizer)
                scaler.update()
                optimizer.zero_grad(set_to_none=True)
                ema.update_parameters(model)
                losses.update(loss.item() * accumulate, images.size(0))
                print(f"Epoch: [{epoch}][{i}]\t{losses}\tnorm {norm:.4f}")
        assert time.time() >= end
        scheduler.step()
        acc1 = validate(val_loader, model, criterion)
        is_best = acc1 > best_acc1
        best_acc1 = max(acc1, best_acc1)
        filename = save_checkpoint({"epoch": epoch + 1, "state_dict": model.state_dict(), "best_acc1": best_acc1,
                                    "optimizer": optimizer.state_dict(), "scheduler": scheduler.state_dict()}, is_best, folder)  # fmt: skip
    validate(val_loader, ema, criterion)
    checkpoint = torch.load(filename, map_location=torch.device("cpu"), weights_only=True)
    state_dict = {k.removeprefix("module."): v for k, v in checkpoint["state_dict"].items()}
    fresh = ResNet()
    head = {k: v for k, v in state_dict.items() if not k.startswith("fc.")}
    print(fresh.load_state_dict(head, strict=False))
    print(fresh.load_state_dict(state_dict), checkpoint["epoch"], checkpoint["scheduler"]["last_epoch"])
    validate(val_loader, fresh, criterion)
    shutil.rmtree(folder)


if __name__ == "__main__":
    main()
