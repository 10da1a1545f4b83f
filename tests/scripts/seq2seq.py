"""Sequences reversed by nn.Transformer, and by a GRU with attention over packed, padded input."""

import torch
import torch.nn as nn
import torch.nn.functional as F
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence, pad_sequence
from torch.utils.data import DataLoader

PAD, SOS, EOS, VOCAB = 0, 1, 2, 12
torch.manual_seed(4)


def collate(batch):
    source = [torch.tensor(s) for s in batch]
    target = [torch.tensor([SOS, *reversed(s), EOS]) for s in batch]
    return pad_sequence(source, batch_first=True, padding_value=PAD), pad_sequence(target, batch_first=True, padding_value=PAD)


numbers = torch.randint(3, VOCAB, (96, 7)).tolist()
sentences = [row[: 3 + i % 5] for i, row in enumerate(numbers)]
loader = DataLoader(sentences, batch_size=16, shuffle=True, collate_fn=collate)


class Reverser(nn.Module):
    def __init__(self, d_model=16):
        super().__init__()
        self.embedding = nn.Embedding(VOCAB, d_model, padding_idx=PAD)
        self.positions = nn.Parameter(torch.randn(12, d_model) * 0.1)
        self.transformer = nn.Transformer(d_model, 2, 1, 1, 32, dropout=0.1, activation="gelu", batch_first=True, norm_first=True)
        self.out = nn.Linear(d_model, VOCAB)

    def forward(self, src, tgt):
        mask = self.transformer.generate_square_subsequent_mask(tgt.size(1))
        place = lambda t: self.embedding(t) + self.positions[: t.size(1)]
        blind = torch.zeros(src.shape).masked_fill(src == PAD, float("-inf"))
        hidden = self.transformer(
            place(src), place(tgt), tgt_mask=mask, src_key_padding_mask=blind, memory_key_padding_mask=blind, tgt_is_causal=True
        )
        return self.out(hidden)


class Attention(nn.Module):
    """A GRU encoder over packed rows, a GRU decoder with additive attention and teacher forcing."""

    def __init__(self, hidden=16):
        super().__init__()
        self.embedding = nn.Embedding(VOCAB, hidden, padding_idx=PAD)
        self.encoder = nn.GRU(hidden, hidden, batch_first=True, bidirectional=True)
        self.bridge = nn.Linear(2 * hidden, hidden)
        self.Wa, self.Ua, self.Va = nn.Linear(hidden, hidden), nn.Linear(2 * hidden, hidden), nn.Linear(hidden, 1)
        self.decoder = nn.GRUCell(3 * hidden, hidden)
        self.out = nn.Linear(hidden, VOCAB)

    def forward(self, src, tgt):
        lengths = (src != PAD).sum(1)
        packed = pack_padded_sequence(self.embedding(src), lengths.cpu(), batch_first=True, enforce_sorted=False)
        outputs, state = self.encoder(packed)
        outputs, sizes = pad_packed_sequence(outputs, batch_first=True)
        assert torch.equal(sizes, lengths)
        h = torch.tanh(self.bridge(torch.cat([state[0], state[1]], dim=-1)))
        steps = []
        for t in range(tgt.size(1)):
            scores = self.Va(torch.tanh(self.Wa(h).unsqueeze(1) + self.Ua(outputs))).squeeze(-1)
            weights = F.softmax(scores.masked_fill(src == PAD, -1e9), dim=-1)
            context = torch.bmm(weights.unsqueeze(1), outputs).squeeze(1)
            h = self.decoder(torch.cat([self.embedding(tgt[:, t]), context], -1), h)
            steps.append(self.out(h))
        return torch.stack(steps, dim=1)


for make in (Reverser, Attention):
    model = make()
    for p in model.parameters():
        if p.dim() > 1:
            nn.init.xavier_uniform_(p)
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3, betas=(0.9, 0.98), eps=1e-9)
    warmup = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=1e-2, total_steps=18, pct_start=0.2)
    criterion = nn.CrossEntropyLoss(ignore_index=PAD, label_smoothing=0.05)
    for epoch in range(3):
        for src, tgt in loader:
            logits = model(src, tgt[:, :-1])
            loss = criterion(logits.reshape(-1, logits.shape[-1]), tgt[:, 1:].reshape(-1))
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), 1)
            optimizer.step()
            warmup.step()
            print(make.__name__, epoch, f"{loss.item():.6f}", f"{warmup.get_last_lr()[0]:.6f}")
    model.eval()
    with torch.no_grad():
        src, _ = collate(sentences[:3])
        ys = torch.full((3, 1), SOS)
        for _ in range(5):
            ys = torch.cat([ys, model(src, ys)[:, -1].argmax(-1, keepdim=True)], dim=1)
        print(ys.shape, model(src, ys).logsumexp(-1).mean().item())
