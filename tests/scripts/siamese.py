"""Metric learning: a siamese network with a shared trunk, contrastive and triplet losses, nearest neighbours by cdist."""

import torch
import torch.nn as nn
import torch.nn.functional as F
from torch.utils.data import DataLoader, IterableDataset

torch.manual_seed(8)
PROTOTYPES = torch.randn(5, 1, 10, 10)


class Pairs(IterableDataset):
    def __init__(self, count):
        self.count = count

    def __iter__(self):
        for i in range(self.count):
            a = torch.randint(5, ()).item()
            b = a if i % 2 else (a + 1 + torch.randint(4, (1,)).item()) % 5
            yield PROTOTYPES[a] + 0.3 * torch.randn(1, 10, 10), PROTOTYPES[b] + 0.3 * torch.randn(1, 10, 10), torch.tensor(float(a == b))


class SiameseNetwork(nn.Module):
    def __init__(self):
        super(SiameseNetwork, self).__init__()
        self.trunk = nn.Sequential(
            nn.Conv2d(1, 8, 3), nn.PReLU(8), nn.MaxPool2d(2), nn.InstanceNorm2d(8, affine=True), nn.Conv2d(8, 16, 3), nn.ELU(),
            nn.Flatten(),
        )  # fmt: skip
        self.fc = nn.Sequential(nn.Linear(128, 32), nn.ReLU(inplace=True), nn.Linear(32, 1))
        self.sigmoid = nn.Sigmoid()
        self.apply(self.init_weights)

    def init_weights(self, m):
        if isinstance(m, nn.Linear):
            torch.nn.init.xavier_uniform_(m.weight)
            m.bias.data.fill_(0.01)

    def forward_once(self, x):
        return self.trunk(x).view(x.size(0), -1)

    def forward(self, input1, input2):
        output = torch.cat((self.forward_once(input1), self.forward_once(input2)), 1)
        return self.sigmoid(self.fc(output))


model = SiameseNetwork()
print(model)
handle = model.trunk[0].register_forward_hook(lambda m, i, o: print("hook", tuple(i[0].shape), tuple(o.shape)))
model(torch.zeros(1, 1, 10, 10), torch.zeros(1, 1, 10, 10))
handle.remove()
optimizer = torch.optim.NAdam([{"params": model.trunk.parameters(), "lr": 2e-3}, {"params": model.fc.parameters()}], lr=5e-3)
criterion = nn.BCELoss()
for batch_idx, (images_1, images_2, targets) in enumerate(DataLoader(Pairs(128), batch_size=16)):
    optimizer.zero_grad()
    outputs = model(images_1, images_2).squeeze()
    loss = criterion(outputs, targets)
    loss.backward()
    optimizer.step()
    correct = torch.where(outputs > 0.5, 1, 0).eq(targets).sum().item()
    print(batch_idx, f"{loss.item():.6f}", correct)

embed = nn.Sequential(model.trunk, nn.utils.parametrizations.weight_norm(nn.Linear(64, 6)))
for p in model.trunk.parameters():
    p.requires_grad_(False)
optimizer = torch.optim.Adagrad(filter(lambda p: p.requires_grad, embed.parameters()), lr=0.05)
triplet, margin = nn.TripletMarginLoss(margin=1.0, p=2), 1.0
for step in range(8):
    label = torch.randint(0, 5, (16,))
    other = (label + torch.randint(1, 5, (16,))) % 5
    draw = lambda k: PROTOTYPES[k] + 0.3 * torch.randn(16, 1, 10, 10)
    a, p, n = embed(draw(label)), embed(draw(label)), embed(draw(other))
    distance = F.pairwise_distance(a, n)
    contrastive = (F.pairwise_distance(a, p).pow(2) + torch.clamp(margin - distance, min=0.0).pow(2)).mean()
    cosine = F.cosine_embedding_loss(a, p, torch.ones(16)) + (1 - F.cosine_similarity(a, p)).mean()
    loss = triplet(a, p, n) + 0.1 * contrastive + 0.1 * cosine
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    print(step, f"{loss.item():.6f} {contrastive.item():.6f} {cosine.item():.6f}")
with torch.no_grad():
    centres = F.normalize(embed(PROTOTYPES), dim=-1)
    queries = F.normalize(embed(PROTOTYPES + 0.3 * torch.randn(5, 1, 10, 10)), dim=-1)
    print(torch.cdist(queries, centres).min(1).values.tolist(), torch.cdist(queries, centres).argmin(dim=1).tolist())
