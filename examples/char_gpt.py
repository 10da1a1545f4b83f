"""A small GPT learns English letter by letter, from the manual that comes with Python (`pydoc_data.topics`), and then writes on.

    python examples/char_gpt.py    # about a minute on two cores

The loss curve goes to out/char_gpt.png.
"""

import math
from pathlib import Path
from pydoc_data.topics import topics

from tqdm import tqdm

import chainrule as torch
from chainrule import nn
from chainrule.nn import functional as F

CONTEXT, BATCH, WIDTH, HEADS, LAYERS, STEPS = 64, 16, 96, 4, 3, 500
OUT = Path("out")


def read(length=100_000):
    """Plain prose out of the manual, in small letters."""
    text = " ".join("\n".join(topics[name] for name in sorted(topics)).lower().split())
    return "".join(c for c in text if c in "abcdefghijklmnopqrstuvwxyz .,;:()'-")[:length]


class Block(nn.Module):
    """Each place looks at those before it, then thinks about what it saw."""

    def __init__(self):
        super().__init__()
        self.before_look, self.before_think = nn.LayerNorm(WIDTH), nn.LayerNorm(WIDTH)
        self.qkv, self.mix = nn.Linear(WIDTH, 3 * WIDTH), nn.Linear(WIDTH, WIDTH)
        self.think = nn.Sequential(nn.Linear(WIDTH, 4 * WIDTH), nn.GELU(), nn.Linear(4 * WIDTH, WIDTH), nn.Dropout(0.1))

    def forward(self, x):
        n, t, _ = x.shape
        q, k, v = self.qkv(self.before_look(x)).view(n, t, 3, HEADS, -1).permute(2, 0, 3, 1, 4)
        seen = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.mix(seen.transpose(1, 2).reshape(n, t, WIDTH))
        return x + self.think(self.before_think(x))


class GPT(nn.Module):
    def __init__(self, letters):
        super().__init__()
        self.letter, self.place = nn.Embedding(letters, WIDTH), nn.Embedding(CONTEXT, WIDTH)
        self.blocks = nn.Sequential(*[Block() for _ in range(LAYERS)])
        self.norm = nn.LayerNorm(WIDTH)
        self.apply(self.start)

    def start(self, module):
        if isinstance(module, (nn.Linear, nn.Embedding)):
            nn.init.normal_(module.weight, std=0.02)

    def forward(self, x):
        x = self.letter(x) + self.place(torch.arange(x.shape[1]))
        return self.norm(self.blocks(x)) @ self.letter.weight.T  # a letter is guessed by the same vectors as it is read


def train(model, data, steps):
    """Yields the loss of each step."""
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3, betas=(0.9, 0.99))
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda k: min(1, (k + 1) / 50) * (0.55 + 0.45 * math.cos(math.pi * k / STEPS)))
    offsets = torch.arange(CONTEXT + 1)
    for _ in range(steps):
        rows = data[torch.randint(len(data) - CONTEXT - 1, (BATCH, 1)) + offsets]
        loss = F.cross_entropy(model(rows[:, :-1]).flatten(0, 1), rows[:, 1:].flatten())
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        yield loss.item()


@torch.no_grad()
def write(model, start, length):
    """Go on writing after some letters (their numbers)."""
    model.eval()
    x = torch.tensor([start])
    for _ in range(length):
        probabilities = F.softmax(model(x[:, -CONTEXT:])[0, -1] / 0.8, dim=-1)
        x = torch.cat([x, torch.multinomial(probabilities, 1).view(1, 1)], dim=1)
    return x[0].tolist()


def main():
    import matplotlib

    matplotlib.use("agg")
    import matplotlib.pyplot as plt

    torch.manual_seed(0)
    text = read()
    letters = sorted(set(text))
    number = {c: i for i, c in enumerate(letters)}
    data = torch.tensor([number[c] for c in text])
    model = GPT(len(letters))
    print(f"{len(text)} letters of {len(letters)} kinds, {sum(p.numel() for p in model.parameters())} parameters")

    losses = []
    with tqdm(train(model, data, STEPS), total=STEPS) as bar:
        for loss in bar:
            losses.append(loss)
            bar.set_postfix(bits_per_letter=f"{loss / math.log(2):.2f}")
    print("".join(letters[i] for i in write(model, [number[c] for c in "the "], 300)))

    plt.plot([loss / math.log(2) for loss in losses], lw=0.8)
    plt.xlabel("step")
    plt.ylabel("bits per letter")
    OUT.mkdir(exist_ok=True)
    plt.savefig(OUT / "char_gpt.png", dpi=120)
    print("the loss curve is in", OUT / "char_gpt.png")


if __name__ == "__main__":
    main()
