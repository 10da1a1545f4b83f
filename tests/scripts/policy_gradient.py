"""REINFORCE and actor-critic on a walk along a line: sampled actions, returns, a value network as the baseline."""

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
import torch.optim as optim

torch.manual_seed(543)
rng = np.random.default_rng(0)
eps = np.finfo(np.float32).eps.item()


class Line:
    """Start anywhere on 0..8, go left or right; 4 pays, every step costs."""

    def reset(self):
        self.place, self.steps = int(rng.integers(0, 9)), 0
        return self.state()

    def state(self):
        return np.array([self.place / 8, (self.place - 4) / 4, self.steps / 12], dtype=np.float32)

    def step(self, action):
        self.place = min(8, max(0, self.place + (1 if action else -1)))
        self.steps += 1
        done = self.place == 4 or self.steps == 12
        return self.state(), (1.0 if self.place == 4 else -0.1), done


class Policy(nn.Module):
    def __init__(self):
        super().__init__()
        self.affine1 = nn.Linear(3, 32)
        self.action_head = nn.Linear(32, 2)
        self.value_head = nn.Linear(32, 1)
        self.saved_actions = []
        self.rewards = []

    def forward(self, x):
        x = F.relu(self.affine1(x))
        return F.softmax(self.action_head(x), dim=-1), self.value_head(x)


def select_action(model, state):
    probs, state_value = model(torch.from_numpy(state).float())
    action = torch.multinomial(probs, 1)
    model.saved_actions.append((torch.log(probs[action.item()]), state_value))
    return action.item()


def finish_episode(model, optimizer, gamma=0.99):
    R = 0
    policy_losses, value_losses, returns = [], [], []
    for r in model.rewards[::-1]:
        R = r + gamma * R
        returns.insert(0, R)
    returns = torch.tensor(returns)
    if len(returns) > 1:
        returns = (returns - returns.mean()) / (returns.std() + eps)
    for (log_prob, value), R in zip(model.saved_actions, returns):
        advantage = R - value.item()
        policy_losses.append(-log_prob * advantage)
        value_losses.append(F.smooth_l1_loss(value, torch.tensor([R])))
    optimizer.zero_grad()
    loss = torch.stack(policy_losses).sum() + torch.stack(value_losses).sum()
    loss.backward()
    optimizer.step()
    del model.rewards[:]
    del model.saved_actions[:]
    return loss.item()


model, env = Policy(), Line()
optimizer = optim.Adam(model.parameters(), lr=3e-2)
running_reward = 0.0
for i_episode in range(40):
    state, ep_reward = env.reset(), 0
    while True:
        action = select_action(model, state)
        state, reward, done = env.step(action)
        model.rewards.append(reward)
        ep_reward += reward
        if done:
            break
    running_reward = 0.05 * ep_reward + (1 - 0.05) * running_reward
    loss = finish_episode(model, optimizer)
    if i_episode % 5 == 0:
        print(f"Episode {i_episode}\tLast reward: {ep_reward:.2f}\tAverage reward: {running_reward:.4f}\tLoss: {loss:.5f}")
