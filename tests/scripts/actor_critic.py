"""Actor-critic with torch.distributions: PPO on a line for a choice among three moves, and a Gaussian policy that aims a shot."""

import numpy as np
import torch
import torch.nn as nn
from torch.distributions import Categorical, Normal, kl_divergence

torch.manual_seed(7)
rng = np.random.default_rng(7)


class Line:
    """Stay, go left or right on 0..6; being at 5 pays."""

    def reset(self):
        self.place, self.time = int(rng.integers(0, 7)), 0
        return self.look()

    def look(self):
        return torch.nn.functional.one_hot(torch.tensor(self.place), 7).float()

    def step(self, action):
        self.place = min(6, max(0, self.place + action - 1))
        self.time += 1
        return self.look(), float(self.place == 5), self.time == 10


class ActorCritic(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(7, 24), nn.Tanh())
        self.actor, self.critic = nn.Linear(24, 3), nn.Linear(24, 1)
        for layer in (self.body[0], self.actor, self.critic):
            nn.init.orthogonal_(layer.weight, 2**0.5)
            nn.init.constant_(layer.bias, 0.0)

    def forward(self, x):
        h = self.body(x)
        return Categorical(logits=self.actor(h)), self.critic(h).squeeze(-1)


def rollout(model, env, episodes=4):
    states, actions, logps, rewards, values = [], [], [], [], []
    for _ in range(episodes):
        state, done = env.reset(), False
        while not done:
            with torch.no_grad():
                dist, value = model(state)
                action = dist.sample()
            nxt, reward, done = env.step(action.item())
            for store, item in ((states, state), (actions, action), (logps, dist.log_prob(action)), (rewards, reward), (values, value)):
                store.append(item)
            state = nxt
    returns, R = [], 0.0
    for i in reversed(range(len(rewards))):
        R = rewards[i] + 0.9 * (0.0 if i % 10 == 9 else R)
        returns.insert(0, R)
    returns, values = torch.tensor(returns), torch.stack(values)
    advantage = returns - values
    advantage = (advantage - advantage.mean()) / (advantage.std() + 1e-8)
    return torch.stack(states), torch.stack(actions), torch.stack(logps), returns, advantage, sum(rewards) / episodes


model, env = ActorCritic(), Line()
optimizer = torch.optim.Adam(model.parameters(), lr=1e-2, eps=1e-5)
for update in range(6):
    states, actions, old, returns, advantage, mean = rollout(model, env)
    before, _ = model(states)
    before = Categorical(logits=before.logits.detach())
    for _ in range(3):
        for index in torch.randperm(len(states)).split(20):
            dist, value = model(states[index])
            ratio = (dist.log_prob(actions[index]) - old[index]).exp()
            surrogate = torch.min(ratio * advantage[index], torch.clamp(ratio, 0.8, 1.2) * advantage[index])
            loss = -surrogate.mean() + 0.5 * (value - returns[index]).pow(2).mean() - 0.01 * dist.entropy().mean()
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), 0.5)
            optimizer.step()
    kl = kl_divergence(before, model(states)[0]).mean()
    print(f"update {update} return {mean:.3f} loss {loss.item():.5f} kl {kl.item():.6f}")

mean, log_std = nn.Parameter(torch.zeros(2)), nn.Parameter(torch.zeros(2))
optimizer = torch.optim.SGD([mean, log_std], lr=0.05)
target = torch.tensor([0.7, -0.3])
for step in range(8):
    policy = Normal(mean, log_std.exp())
    shot = policy.sample((64,))
    reward = -(shot - target).pow(2).sum(-1)
    loss = -(policy.log_prob(shot).sum(-1) * (reward - reward.mean())).mean()
    pathwise = (policy.rsample((8,)) - target).pow(2).sum(-1).mean()
    optimizer.zero_grad()
    (loss + 0.1 * pathwise).backward()
    optimizer.step()
    print(step, f"{loss.item():.5f} {pathwise.item():.5f} {policy.entropy().sum().item():.5f}", [round(m, 4) for m in mean.tolist()])
