"""Super-resolution with a sub-pixel convolution, after pytorch/examples: orthogonal init, PSNR, a learning-rate schedule."""

from math import log10

import torch
import torch.nn as nn
import torch.nn.init as init
import torch.optim as optim
from torch.utils.data import DataLoader, Dataset

UPSCALE = 2


class Waves(Dataset):
    """Pictures of waves: shrunk by averaging as the input, whole as the target."""

    def __init__(self, count, seed):
        super(Waves, self).__init__()
        g = torch.Generator()
        g.manual_seed(seed)
        self.freq = torch.rand(count, 2, generator=g) * 1.5
        self.phase = torch.rand(count, generator=g) * 6.28

    def __getitem__(self, index):
        y, x = torch.meshgrid(torch.arange(16.0), torch.arange(16.0), indexing="ij")
        target = (torch.sin(self.freq[index, 0] * x + self.freq[index, 1] * y + self.phase[index]) + 1) / 2
        target = target.unsqueeze(0)
        return nn.functional.avg_pool2d(target, UPSCALE), target

    def __len__(self):
        return len(self.freq)


class Net(nn.Module):
    def __init__(self, upscale_factor):
        super(Net, self).__init__()
        self.relu = nn.ReLU()
        self.conv1 = nn.Conv2d(1, 16, (5, 5), (1, 1), (2, 2))
        self.conv2 = nn.Conv2d(16, 16, (3, 3), (1, 1), (1, 1))
        self.conv3 = nn.Conv2d(16, 8, (3, 3), (1, 1), (1, 1))
        self.conv4 = nn.Conv2d(8, upscale_factor**2, (3, 3), (1, 1), (1, 1))
        self.pixel_shuffle = nn.PixelShuffle(upscale_factor)
        self._initialize_weights()

    def forward(self, x):
        x = self.relu(self.conv1(x))
        x = self.relu(self.conv2(x))
        x = self.relu(self.conv3(x))
        return self.pixel_shuffle(self.conv4(x))

    def _initialize_weights(self):
        init.orthogonal_(self.conv1.weight, init.calculate_gain("relu"))
        init.orthogonal_(self.conv2.weight, init.calculate_gain("relu"))
        init.orthogonal_(self.conv3.weight, init.calculate_gain("relu"))
        init.orthogonal_(self.conv4.weight)


torch.manual_seed(123)
device = torch.device("mps" if torch.backends.mps.is_available() else "cuda" if torch.cuda.is_available() else "cpu")
training_data_loader = DataLoader(Waves(64, 1), num_workers=0, batch_size=8, shuffle=True)
testing_data_loader = DataLoader(Waves(16, 2), num_workers=0, batch_size=4, shuffle=False)
model = Net(UPSCALE).to(device)
criterion = nn.MSELoss()
optimizer = optim.Adam(model.parameters(), lr=0.003)
scheduler = optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=3, eta_min=1e-4)

for epoch in range(1, 4):
    epoch_loss = 0
    for iteration, batch in enumerate(training_data_loader, 1):
        input, target = batch[0].to(device), batch[1].to(device)
        optimizer.zero_grad()
        loss = criterion(model(input), target)
        epoch_loss += loss.item()
        loss.backward()
        optimizer.step()
        print("===> Epoch[{}]({}/{}): Loss: {:.5f}".format(epoch, iteration, len(training_data_loader), loss.item()))
    scheduler.step()
    mean = epoch_loss / len(training_data_loader)
    print("===> Epoch {} Complete: Avg. Loss: {:.5f} lr {:.6f}".format(epoch, mean, scheduler.get_last_lr()[0]))

avg_psnr = 0
with torch.no_grad():
    for batch in testing_data_loader:
        input, target = batch[0].to(device), batch[1].to(device)
        mse = criterion(model(input), target)
        avg_psnr += 10 * log10(1 / mse.item())
print("===> Avg. PSNR: {:.4f} dB".format(avg_psnr / len(testing_data_loader)))
out = model(testing_data_loader.dataset[0][0].unsqueeze(0)).detach().numpy()
print(out.shape, out.dtype, float(out.clip(0, 1).mean()))
