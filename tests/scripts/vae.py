"""A variational auto-encoder (Kingma and Welling 2013) on pictures of one bright square each."""

import torch
from torch import nn, optim
from torch.nn import functional as F

torch.manual_seed(1)
SIDE = 12


def pictures(count):
    rows, columns = torch.randint(0, SIDE - 4, (2, count, 1, 1))
    i = torch.arange(SIDE)
    inside = lambda start, axis: (axis >= start) & (axis < start + 5)
    return (inside(rows, i.view(1, SIDE, 1)) & inside(columns, i.view(1, 1, SIDE))).float()


class VAE(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc1 = nn.Linear(SIDE * SIDE, 64)
        self.fc21 = nn.Linear(64, 4)
        self.fc22 = nn.Linear(64, 4)
        self.fc3 = nn.Linear(4, 64)
        self.fc4 = nn.Linear(64, SIDE * SIDE)

    def encode(self, x):
        h1 = F.relu(self.fc1(x))
        return self.fc21(h1), self.fc22(h1)

    def reparameterize(self, mu, logvar):
        std = torch.exp(0.5 * logvar)
        eps = torch.randn_like(std)
        return mu + eps * std

    def decode(self, z):
        h3 = F.relu(self.fc3(z))
        return torch.sigmoid(self.fc4(h3))

    def forward(self, x):
        mu, logvar = self.encode(x.view(-1, SIDE * SIDE))
        z = self.reparameterize(mu, logvar)
        return self.decode(z), mu, logvar


def loss_function(recon_x, x, mu, logvar):
    BCE = F.binary_cross_entropy(recon_x, x.view(-1, SIDE * SIDE), reduction="sum")
    KLD = -0.5 * torch.sum(1 + logvar - mu.pow(2) - logvar.exp())
    return BCE + KLD


model = VAE()
optimizer = optim.Adam(model.parameters(), lr=1e-3)
data = pictures(512)
loader = torch.utils.data.DataLoader(data, batch_size=64, shuffle=True)

for epoch in range(1, 6):
    model.train()
    train_loss = 0
    for batch in loader:
        optimizer.zero_grad()
        recon_batch, mu, logvar = model(batch)
        loss = loss_function(recon_batch, batch, mu, logvar)
        loss.backward()
        train_loss += loss.item()
        optimizer.step()
    print("====> Epoch: {} Average loss: {:.4f}".format(epoch, train_loss / len(loader.dataset)))

with torch.no_grad():
    sample = model.decode(torch.randn(4, 4)).view(4, 1, SIDE, SIDE)
    print(sample.mean(dim=(1, 2, 3)).tolist(), sample.shape)
