#!/usr/bin/env python3
"""torch_grpo.py: one GRPO training step in PyTorch on the CPU, the yardstick for grpo.h.

The same model (a Llama-style decoder in float32), sizes and phases: roll out G completions per
prompt with a key/value cache, score them, take reference log-probs from a frozen copy, then one
clipped update with AdamW. One line per size, medians in seconds and peak resident memory in GB:

    torch SIZE threads N step S rollout S reference S update S memory_gb M

What makes it faster, measured with PyTorch 2.15.0 on one core of an AMD EPYC with AVX-512:

- MKL keeps to AVX2 kernels on AMD processors unless a library loaded before it overrides
  mkl_serv_intel_cpu_true: 102 -> 246 GFLOP/s at 4352x512x2752.
- glibc's malloc returns large blocks and faults them in again, unless mallopt (or
  MALLOC_MMAP_THRESHOLD_ and MALLOC_TRIM_THRESHOLD_) forbids it: RMSNorm of 4352x512 5.0 -> 1.2 ms.
- tune_process() does both, --stock neither: a step then takes 0.32 s in place of 0.19 (toy), 5.4
  in place of 2.3 (small).
- GLIBC_TUNABLES=glibc.malloc.hugetlb=1 on top of these: 3 % on toy, 1 % on small; --compile: 11 %
  on toy, 4 % on small, none on mid; torch.set_flush_denormal: no steady difference.
"""
import argparse
import copy
import ctypes
import importlib.util
import math
import os
import resource
import subprocess
import sys
import tempfile
import time
import warnings
from statistics import median

#            hidden layers heads ffn  vocab  prompts G  prompt completion
SIZES = {
    "toy":   (64,   2,     4,    192,  32,    32,    8, 16,    32),
    "small": (288,  6,     6,    768,  32000, 2,     8, 16,    128),
    "mid":   (512,  8,     8,    1376, 4096,  2,     8, 16,    256),
}
MICRO = {"toy": 128, "small": 4, "mid": 4}  # sequences per forward and backward


def arguments():
    p = argparse.ArgumentParser(description="GRPO steps in PyTorch on the CPU, timed")
    p.add_argument("--size", default="toy", choices=[*SIZES, "all"])
    p.add_argument("--threads", type=int, default=os.cpu_count())
    p.add_argument("--steps", type=int, default=0, help="timed steps; 0: about 10 s, at least 3")
    p.add_argument("--micro", type=int, default=0, help="sequences per backward; 0: tuned")
    p.add_argument("--check", action="store_true", help="cached decode against a full forward")
    p.add_argument("--stock", action="store_true", help="leave malloc and MKL as they come")
    p.add_argument("--compile", action="store_true", help="torch.compile the two full forwards")
    return p.parse_args()


def tune_process():
    """What a user would otherwise put in the environment; has to run before torch is loaded."""
    libc = ctypes.CDLL(None)
    if hasattr(libc, "mallopt"):
        libc.mallopt(-3, 1 << 30)  # M_MMAP_THRESHOLD: no mmap for blocks below 1 GiB
        libc.mallopt(-1, 2**31 - 1)  # M_TRIM_THRESHOLD: keep up to 2 GiB that were freed
    try:
        with open("/proc/cpuinfo") as f:
            if "AuthenticAMD" not in f.read():
                return
        with tempfile.TemporaryDirectory() as tmp:
            code, shim = b"int mkl_serv_intel_cpu_true() {return 1;}", os.path.join(tmp, "mkl.so")
            cc = ["cc", "-shared", "-fPIC", "-o", shim, "-xc", "-"]
            subprocess.run(cc, input=code, check=True)
            ctypes.CDLL(shim, mode=ctypes.RTLD_GLOBAL)
    except (OSError, subprocess.CalledProcessError) as error:
        print(f"torch_grpo.py: MKL is left as it is: {error}", file=sys.stderr)


def peak_gb():
    """The peak of this process alone; ru_maxrss can also hold that of the one which started it."""
    if not os.path.exists("/proc/self/status"):
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024e-9
    with open("/proc/self/status") as f:
        return next(int(s.split()[1]) for s in f if s.startswith("VmHWM")) * 1024e-9


ARGS = arguments()
if importlib.util.find_spec("torch") is None:
    print("torch_grpo.py: PyTorch is not installed: pip install torch")
    sys.exit(0)
if ARGS.size == "all":
    # each size in its own process, so that each has its own peak memory
    command = [sys.executable, __file__, *sys.argv[1:], "--size"]
    sys.exit(int(any([subprocess.run([*command, size]).returncode for size in SIZES])))
if not ARGS.stock:
    tune_process()
warnings.filterwarnings("ignore", message="Failed to initialize NumPy")

import torch  # noqa: E402
import torch.nn.functional as F  # noqa: E402
from torch import nn  # noqa: E402


def rope_table(length, head_dim):
    inv = 10000.0 ** (-torch.arange(0, head_dim, 2, dtype=torch.float64) / head_dim)
    angle = torch.outer(torch.arange(length, dtype=torch.float64), inv)
    cos, sin = angle.cos().float(), angle.sin().float()
    return torch.cat((cos, cos), -1), torch.cat((-sin, sin), -1)  # signed for rotate()


def rotate(x, cos, sin):
    """Rotary positions, half-split; x is [..., length, heads, head_dim]."""
    return torch.addcmul(x * cos, x.roll(x.shape[-1] // 2, -1), sin)


class Block(nn.Module):
    def __init__(self, hidden, heads, ffn):
        super().__init__()
        self.heads = heads
        self.norm1 = nn.RMSNorm(hidden, eps=1e-6)
        self.qkv = nn.Linear(hidden, 3 * hidden, bias=False)
        self.out = nn.Linear(hidden, hidden, bias=False)
        self.norm2 = nn.RMSNorm(hidden, eps=1e-6)
        self.gate_up = nn.Linear(hidden, 2 * ffn, bias=False)
        self.down = nn.Linear(ffn, hidden, bias=False)

    def project(self, x, cos, sin):
        """Queries, keys and values, each [batch, heads, length, head_dim]."""
        batch, length, hidden = x.shape
        qkv = self.qkv(self.norm1(x)).view(batch, length, 3, self.heads, hidden // self.heads)
        qk, v = qkv.split((2, 1), 2)
        q, k = rotate(qk, cos[:, None, None], sin[:, None, None]).unbind(2)
        return q.transpose(1, 2), k.transpose(1, 2), v.squeeze(2).transpose(1, 2)

    def finish(self, x, attended):
        x = x + self.out(attended.transpose(1, 2).reshape(x.shape))
        gate, up = self.gate_up(self.norm2(x)).chunk(2, -1)
        return x + self.down(F.silu(gate) * up)

    def forward(self, x, cos, sin, cache=None):
        q, k, v = self.project(x, cos, sin)
        if cache is not None:
            cache.append((k, v))
        return self.finish(x, F.scaled_dot_product_attention(q, k, v, is_causal=True))

    def decode(self, x, cos, sin, keys, values, pos):
        """One token per sequence. For a single query two products take 0.5 to 0.9 of the time of
        F.scaled_dot_product_attention, except while they are so small that torch.bmm is a loop."""
        q, k, v = self.project(x, cos, sin)
        keys[:, :, pos:pos + 1], values[:, :, pos:pos + 1] = k, v
        keys, values = keys[:, :, :pos + 1], values[:, :, :pos + 1]
        if q.shape[-1] * (pos + 1) < 400:
            return self.finish(x, F.scaled_dot_product_attention(q, keys, values))
        scores = (q * q.shape[-1] ** -0.5) @ keys.transpose(-1, -2)
        return self.finish(x, scores.softmax(-1) @ values)


class Llama(nn.Module):
    def __init__(self, hidden, layers, heads, ffn, vocab, max_len):
        super().__init__()
        self.embed = nn.Embedding(vocab, hidden)  # also the LM head
        self.blocks = nn.ModuleList(Block(hidden, heads, ffn) for _ in range(layers))
        self.norm = nn.RMSNorm(hidden, eps=1e-6)
        self.cos, self.sin = rope_table(max_len, hidden // heads)
        for p in self.parameters():
            if p.dim() > 1:
                nn.init.normal_(p, 0.0, 0.02)

    def hidden(self, tokens, cache=None):
        x, n = self.embed(tokens), tokens.shape[1]
        for block in self.blocks:
            x = block(x, self.cos[:n], self.sin[:n], cache)
        return x

    def logits(self, x):
        return F.linear(self.norm(x), self.embed.weight)

    def forward(self, tokens, prompt_len):
        """Log-probs [batch, completion_len] of the completion tokens, and of no others."""
        x = self.hidden(tokens[:, :-1])[:, prompt_len - 1:]
        target = tokens[:, prompt_len:]
        nll = F.cross_entropy(self.logits(x).flatten(0, 1), target.flatten(), reduction="none")
        return -nll.view(target.shape)


def draw(weights):
    """An index [batch, 1] per row, by inverting the cumulative sum at one random number."""
    cdf = weights.cumsum(-1)
    u = torch.rand(len(cdf), 1) * cdf[:, -1:]
    return torch.searchsorted(cdf, u, right=True).clamp_(max=cdf.shape[-1] - 1)


def sample(logits):
    """Temperature-1 tokens [batch, 1] and their log-probs. torch.multinomial and Gumbel noise take
    a random number per vocabulary entry; this takes one or two per row."""
    p = logits.softmax(-1)
    if p.shape[-1] <= 1024:
        token = draw(p)
    else:  # a block of the vocabulary first, then a token in it
        blocks = p.view(len(p), -1, math.gcd(p.shape[-1], 256))
        block = draw(blocks.sum(-1))
        inner = draw(blocks[torch.arange(len(p)), block[:, 0]])
        token = block * blocks.shape[-1] + inner
    return token, p.gather(-1, token).log_()


def transposed_copy(model):
    """A model to decode with, its matrices stored transposed: with few rows a product is then up
    to twice as fast, which pays for copying the weights into it at every rollout."""
    actor = copy.deepcopy(model).requires_grad_(False)
    for p in actor.parameters():
        p.data = p.data.t().contiguous().t() if p.dim() == 2 else p.data
    return actor


@torch.inference_mode()
def rollout(policy, model, prompts, group, length):
    """G completions of each prompt: tokens [prompts * G, prompt + length] and log-probs."""
    for mine, p in zip(model.parameters(), policy.parameters()):
        mine.copy_(p)
    prompt_len, cache = prompts.shape[1], []
    x = model.hidden(prompts, cache)[:, -1]  # each prompt is prefilled once
    logits = model.logits(x).repeat_interleave(group, 0)
    batch, (_, heads, _, dim) = len(logits), cache[0][0].shape
    kv = torch.empty(len(cache), 2, batch, heads, prompt_len + length, dim)
    for layer, pair in zip(kv, cache):
        layer[..., :prompt_len, :] = torch.stack(pair).repeat_interleave(group, 1)
    tokens = torch.empty(batch, prompt_len + length, dtype=torch.long)
    tokens[:, :prompt_len] = prompts.repeat_interleave(group, 0)
    logp = torch.empty(batch, length)
    for i in range(length):
        pos = prompt_len + i
        token, logp[:, i:i + 1] = sample(logits)
        tokens[:, pos:pos + 1] = token
        if i + 1 < length:
            x, cos, sin = model.embed(token), model.cos[pos:pos + 1], model.sin[pos:pos + 1]
            for block, (keys, values) in zip(model.blocks, kv):
                x = block.decode(x, cos, sin, keys, values, pos)
            logits = model.logits(x[:, 0])
    return tokens, logp


def advantages(completions, group):
    reward = (completions % 3).float().mean(1).view(-1, group)
    adv = (reward - reward.mean(1, keepdim=True)) / (reward.std(1, keepdim=True) + 1e-4)
    return adv.view(-1, 1)


def loss_sum(logp, old, ref, adv, clip=0.2, beta=0.04):
    """Sum over sequences of the mean over tokens of the clipped loss and the k3 KL."""
    ratio = (logp - old).exp()
    gain = torch.minimum(ratio * adv, ratio.clamp(1 - clip, 1 + clip) * adv)
    d = ref - logp
    return (beta * (d.exp() - d - 1) - gain).mean(1).sum()


def bench(name, args):
    hidden, layers, heads, ffn, vocab, n_prompts, group, prompt_len, length = SIZES[name]
    torch.set_num_threads(args.threads)
    torch.manual_seed(0)
    model = policy = Llama(hidden, layers, heads, ffn, vocab, prompt_len + length)
    actor, reference = transposed_copy(model), copy.deepcopy(model).requires_grad_(False)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, weight_decay=0.0, fused=True)
    if args.compile:
        policy, reference = torch.compile(policy), torch.compile(reference)
    batch, micro = n_prompts * group, args.micro or MICRO[name]

    def step():
        times = [time.perf_counter()]
        prompts = torch.randint(vocab, (n_prompts, prompt_len))
        tokens, old = rollout(model, actor, prompts, group, length)
        times.append(time.perf_counter())
        adv = advantages(tokens[:, prompt_len:], group)
        with torch.inference_mode():
            ref = torch.cat([reference(t, prompt_len) for t in tokens.split(micro)])
        times.append(time.perf_counter())
        parts = (t.clone().split(micro) for t in (tokens, old, ref, adv))  # out of inference mode
        for tok, *rest in zip(*parts):
            (loss_sum(policy(tok, prompt_len), *rest) / batch).backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        times.append(time.perf_counter())
        return [times[3] - times[0]] + [b - a for a, b in zip(times, times[1:])]

    if args.check:
        prompts = torch.randint(vocab, (n_prompts, prompt_len))
        tokens, old = rollout(model, actor, prompts, group, length)
        with torch.inference_mode():
            full = torch.cat([model(t, prompt_len) for t in tokens.split(micro)])
        worst = (full - old).abs().max().item()
        print(f"check {name}: cached and full log-probs differ by {worst:.1e} at most")
        assert worst < 1e-4

    start, rows = time.perf_counter(), []
    step()  # warm-up
    while len(rows) < (args.steps or 3) or not args.steps and time.perf_counter() - start < 10:
        rows.append(step())
    total, roll, ref, upd = (median(column) for column in zip(*rows))
    print(f"torch {name} threads {args.threads} step {total:.6f} rollout {roll:.6f} "
          f"reference {ref:.6f} update {upd:.6f} memory_gb {peak_gb():.3f}", flush=True)


bench(ARGS.size, ARGS)
