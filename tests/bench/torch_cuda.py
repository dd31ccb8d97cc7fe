#!/usr/bin/env python3
"""torch_cuda.py: the yardstick of tests/bench/cuda.c, PyTorch and transformers on the same card.

Attention by scaled_dot_product_attention, then one GRPO step of a Llama of the same shape: a
rollout by generate(), the reference's log-probs, an update in bf16 under torch.compile with fused
AdamW on float32 weights. One line each:

    attention N x T heads H (KV) of D: forward F TFLOP/s, backward B
    step SIZE rollout S reference S update S memory_gb M

--tsv FILE: every number a line too, as it comes: part, name, unit, value. --size NAME: that model
alone, without attention. --cpu --quick: tiny shapes, to see that it works where there is no GPU."""
import copy
import importlib.util
import sys
import time

QUICK, DEVICE = "--quick" in sys.argv, "cpu" if "--cpu" in sys.argv else "cuda"
option = lambda name: sys.argv[sys.argv.index(name) + 1] if name in sys.argv[:-1] else None
TSV, ONLY = option("--tsv"), option("--size")
if importlib.util.find_spec("torch") is None:
    print("skipped: python3 has no PyTorch here (pip install torch transformers)")
    sys.exit(0)

import torch  # noqa: E402
import torch.nn.functional as F  # noqa: E402

if DEVICE == "cuda" and not torch.cuda.is_available():
    print("skipped: this PyTorch finds no GPU")
    sys.exit(0)

#         hidden layers heads kv ffn   vocab   kind     head_dim, prompts G  prompt completion
SIZES = {
    "0.5B": (896, 24, 14, 2, 4864, 151936, "Qwen2", 64, 4, 16, 64, 256),
    "0.6B": (1024, 28, 16, 8, 3072, 151936, "Qwen3", 128, 32, 8, 64, 256),
    "135M": (576, 30, 9, 3, 1536, 49152, "Llama", 64, 4, 16, 64, 256),
    "15M": (288, 6, 6, 6, 768, 32000, "Llama", 48, 4, 16, 64, 256),
}
ATTENTION = [(16, 1024, 16, 16, 64), (16, 1024, 16, 16, 128), (16, 1024, 14, 2, 64),
             (16, 1024, 16, 8, 128), (4, 4096, 16, 16, 128)]
MICRO = 16  # sequences per forward and backward
if QUICK:
    SIZES = {"tiny": (64, 1, 2, 1, 96, 64, "Qwen3", 64, 2, 2, 4, 4)}
    ATTENTION = [(2, 33, 2, 1, 16)]


def record(part, unit, name, value):
    if TSV:
        with open(TSV, "a") as file:
            file.write(f"{part}\t{name}\t{unit}\t{value:.6g}\n")


def now():
    if DEVICE == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter()


def seconds_of(run, tries=3 if QUICK else 20):
    run()
    run()
    start = now()
    for _ in range(tries):
        run()
    return (now() - start) / tries


def attention(n, length, heads, kv, d):
    make = lambda h: torch.randn(n, h, length, d, device=DEVICE, dtype=torch.bfloat16)
    q, dy = make(heads).requires_grad_(), make(heads)
    k, v = make(kv).requires_grad_(), make(kv).requires_grad_()
    grouped = {"enable_gqa": True} if kv < heads else {}
    run = lambda: F.scaled_dot_product_attention(q, k, v, is_causal=True, **grouped)
    forward = seconds_of(run)
    y = run()
    backward = seconds_of(lambda: torch.autograd.grad(y, (q, k, v), dy, retain_graph=True))
    flops = 4e-12 * n * heads * d * 0.5 * length * (length + 1)
    print(f"attention {n} x {length} heads {heads} ({kv}) of {d}: forward {flops / forward:.1f} "
          f"TFLOP/s, backward {2.5 * flops / backward:.1f}", flush=True)
    for way, rate in ("forward", flops / forward), ("backward", 2.5 * flops / backward):
        record("attention.torch", "TFLOP/s", f"{n}x{length} h{heads}/{kv} d{d} {way}", rate)


def model_of(hidden, layers, heads, kv, ffn, vocab, kind, head_dim, length):
    import transformers
    config = getattr(transformers, kind + "Config")(
        hidden_size=hidden, num_hidden_layers=layers, num_attention_heads=heads, head_dim=head_dim,
        num_key_value_heads=kv, intermediate_size=ffn, vocab_size=vocab,
        max_position_embeddings=length, tie_word_embeddings=True, use_cache=True,
        attn_implementation="sdpa")
    with torch.device(DEVICE):                      # drawn there: on the host it takes minutes
        return getattr(transformers, kind + "ForCausalLM")(config)


def logprobs(model, tokens, prompt):
    """Log-probs [sequences, completion] of the completion's tokens, in bf16."""
    with torch.autocast(DEVICE, torch.bfloat16):
        hidden = model.model(tokens[:, :-1]).last_hidden_state[:, prompt - 1:]
        logits = model.lm_head(hidden).float()
    return -F.cross_entropy(logits.flatten(0, 1), tokens[:, prompt:].flatten(),
                            reduction="none").view(len(tokens), -1)


def step(name):
    *shape, n, group, prompt, length = SIZES[name]
    torch.manual_seed(0)
    torch._dynamo.reset()
    if DEVICE == "cuda":
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
    policy = model_of(*shape, prompt + length)
    reference = copy.deepcopy(policy).to(torch.bfloat16).requires_grad_(False)
    actor = copy.deepcopy(reference)
    optimizer = torch.optim.AdamW(policy.parameters(), lr=1e-6, fused=DEVICE == "cuda")
    score = torch.compile(logprobs) if DEVICE == "cuda" else logprobs

    def once():
        times = [now()]
        for mine, new in zip(actor.parameters(), policy.parameters()):
            mine.data.copy_(new.data)
        prompts = torch.randint(policy.config.vocab_size, (n, prompt), device=DEVICE)
        prompts = prompts.repeat_interleave(group, 0)
        with torch.inference_mode():
            tokens = actor.generate(prompts, attention_mask=torch.ones_like(prompts),
                                    do_sample=True, top_k=0, temperature=1.0, pad_token_id=0,
                                    min_new_tokens=length, max_new_tokens=length).clone()
        tokens = tokens.clone()
        times.append(now())
        with torch.no_grad():
            ref = torch.cat([score(reference, t, prompt) for t in tokens.split(MICRO)])
        times.append(now())
        reward = (tokens[:, prompt:] % 3).float().mean(1).view(-1, group)
        A = (reward - reward.mean(1, keepdim=True)) / (reward.std(1, keepdim=True) + 1e-4)
        for t, r, a in zip(tokens.split(MICRO), ref.split(MICRO), A.view(-1, 1).split(MICRO)):
            logp = score(policy, t, prompt)
            ratio, d = (logp - logp.detach()).exp(), r - logp
            gain = torch.minimum(ratio * a, ratio.clamp(0.8, 1.2) * a)
            ((0.04 * (d.exp() - d - 1) - gain).mean(1).sum() / len(tokens)).backward()
        torch.nn.utils.clip_grad_norm_(policy.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        times.append(now())
        return [b - a for a, b in zip(times, times[1:])]

    once()  # compiles
    best = [1e9] * 3
    for _ in range(2):  # the better of two, each as soon as it is there
        best = [min(pair) for pair in zip(best, once())]
        for part, seconds in zip(("rollout", "reference", "update"), best):
            record("step.torch", "s", f"{name} {part}", seconds)
        record("step.torch", "s", f"{name} step", sum(best))
        memory = torch.cuda.max_memory_allocated() * 1e-9 if DEVICE == "cuda" else 0
        record("step.torch", "GB", f"{name} memory", memory)
    print("step {} rollout {:.4f} reference {:.4f} update {:.4f} memory_gb {:.3f}".format(
        name, *best, memory), flush=True)


for case in [] if ONLY else ATTENTION:
    attention(*case)
if importlib.util.find_spec("transformers") is None:
    print("skipped: whole steps, for python3 has no transformers here")
else:
    for size in [ONLY] if ONLY else SIZES:
        try:
            step(size)
        except Exception as error:  # too little memory, say: the other sizes can still be measured
            print(f"skipped: {size}: {type(error).__name__}: {str(error)[:200]}", flush=True)
