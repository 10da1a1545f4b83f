"""A character-level recurrent network that learns a line of text, and continues it."""

import torch
import torch.nn as nn

torch.manual_seed(7)
TEXT = "the quick brown fox jumps over the lazy dog. pack my box with five dozen liquor jugs. " * 6
chars = sorted(set(TEXT))
stoi = {c: i for i, c in enumerate(chars)}
data = torch.tensor([stoi[c] for c in TEXT])


class CharRNN(nn.Module):
    def __init__(self, kind, vocabulary, hidden):
        super().__init__()
        self.encoder = nn.Embedding(vocabulary, 24)
        self.rnn = getattr(nn, kind)(24, hidden, num_layers=2, dropout=0.1, batch_first=True)
        self.decoder = nn.Linear(hidden, vocabulary)

    def forward(self, x, state=None):
        out, state = self.rnn(self.encoder(x), state)
        return self.decoder(out), state


def repackage(state):
    """Cut the history: truncated back-propagation through time."""
    return state.detach() if isinstance(state, torch.Tensor) else tuple(repackage(s) for s in state)


@torch.no_grad()
def sample(model, start, length):
    model.eval()
    x, state, out = torch.tensor([[stoi[c] for c in start]]), None, list(start)
    for _ in range(length):
        logits, state = model(x, state)
        x = logits[:, -1:].argmax(-1)
        out.append(chars[x.item()])
    return "".join(out)


for kind in ("LSTM", "GRU", "RNN"):
    model = CharRNN(kind, len(chars), 32)
    print(model)
    optimizer = torch.optim.RMSprop(model.parameters(), lr=5e-3)
    criterion = nn.CrossEntropyLoss()
    rows = data[: len(data) // 4 * 4].view(4, -1)
    state = None
    for step in range(15):
        start = step % 4 * 20
        x, y = rows[:, start : start + 20], rows[:, start + 1 : start + 21]
        if start == 0:
            state = None
        logits, state = model(x, state)
        state = repackage(state)
        loss = criterion(logits.reshape(-1, len(chars)), y.reshape(-1))
        optimizer.zero_grad()
        loss.backward()
        norm = nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        if step % 3 == 0:
            print(f"{kind} {step} loss {loss.item():.5f} norm {norm.item():.4f}")
    print(repr(sample(model, "the ", 10)))
