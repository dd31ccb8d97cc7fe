/* grpo.h - v0.2 - train a language model by Group Relative Policy Optimization, in one C header
 *
 *   Do this:
 *
 *       #define GRPO_IMPLEMENTATION
 *       #include "grpo.h"
 *
 *   in one C or C++ file; include it without the #define everywhere else. Link with -lm. That
 *   is all: no library, no build system, no global state, no exit(). Public domain or MIT (see
 *   the end).
 *
 * CONTENTS   (search for the >>tag)                                                  about lines
 *
 *   I    READ ME           GRPO on one page, the worked example, a whole program, questions   190
 *   II   INTERFACE         config, samples, rewards, objective, trainer, maths, backend      1080
 *   III  THE ALGORITHM     in the order in which a batch lives its life:                     2330
 *        >>tools >>text >>model >>sampling >>rollout >>passes
 *        >>reward >>advantage >>score >>loss >>optimize >>step
 *   IV   THE MACHINE ROOM                                                                    6370
 *        >>base >>more >>metrics >>ticks >>characters >>words >>team >>life >>units >>softmax
 *        >>threads >>matmul >>rows >>attention >>files >>selftest
 *   V    LICENCE                                                                               50
 *
 *   In a hurry: part I; >>advantage and >>loss down to "variants"; grpo_step(), where >>step ends.
 *   To use it: parts I and II, without the backend.  To know all of GRPO: part III, top to bottom.
 *   To bring it to another device: "the backend" in part II, then >>units to >>attention.
 *
 * ============================================================================================
 *
 *   I   READ ME
 *
 * ============================================================================================
 *
 * GRPO ON ONE PAGE   (DeepSeekMath, arXiv:2402.03300)
 *
 *   PPO trains a policy with three helpers: a reference policy, a reward model and a value
 *   model that predicts each reward, so that one can say whether an answer was better than
 *   expected. GRPO drops the value model: ask each question q several times, and compare every
 *   answer with its group. It drops the reward model too where a function can verify the answer.
 *
 *   1. Sample   G completions o_1 ... o_G of q from pi_old                          grpo_rollout
 *   2. Reward   r_i = what your function says of o_i                                grpo_score
 *   3. Compare  A_i = (r_i - mean(r)) / std(r), the same for every token of o_i     grpo_advantage
 *   4. Learn    raise                                                               grpo_update
 *
 *        J = 1/G sum_i 1/|o_i| sum_t { min(r_it A_i, clip(r_it, 1-eps, 1+eps) A_i) - beta KL_it }
 *
 *               pi(o_it | q, o_i<t)                   pi_ref         pi_ref
 *        r_it = -----------------------      KL_it = -------- - log -------- - 1    ("k3")
 *               pi_old(o_it | q, o_i<t)                  pi             pi
 *
 *      whose gradient, before averaging, is one number per token:
 *
 *        d(loss)/d(log pi) = (clipped ? 0 : -r A) + beta (1 - pi_ref / pi)
 *
 *      "clipped" means A > 0 and r > 1+eps, or A < 0 and r < 1-eps: the ratio has already moved far
 *      enough the way it is pushed.
 *
 *   symbol      here                        meaning
 *   q, o_i      grpo_prompt, grpo_sample    a question, its i-th sampled answer (completion)
 *   G           num_generations             completions per prompt: the group
 *   r_i         reward functions            the reward of a completion
 *   A_i         advantages                  how much better than its group
 *   pi          the policy                  the model being trained
 *   pi_old      batch.logprobs              the model as it was when it sampled
 *   pi_ref      the reference               the model that KL keeps us near: the policy as it was
 *                                           at the first rollout; none if beta is 0
 *   r_it        ratio                       pi / pi_old of one token (unlike r_i, the reward)
 *   eps         epsilon, epsilon_high       the clip range
 *   mu          num_iterations              passes over each rollout
 *
 * THE WORKED EXAMPLE   (tests/test_maths.c checks every digit)
 *
 *   "2+2=" is sampled four times and rewarded 1, 0, 1, 0. The mean is .5. The population std
 *   (numpy's) is .5, which would give A = +1, -1, +1, -1; the sample std (torch's, and ours by
 *   default: advantage_ddof 1) is .577, which gives +-.866. Go on with A = +1, beta = .04,
 *   eps = .2:
 *
 *   The token "4" had pi_old = pi_ref = .40 and has pi = .44: r = 1.10, not clipped.
 *       d(loss)/d(log pi) = -1.10 + .04 (1 - .40/.44) = -1.096     pull it up
 *   Later it has pi = .55: r = 1.375 is beyond 1.2, so the first part is 0 and only KL is left:
 *       d(loss)/d(log pi) =    0  + .04 (1 - .40/.55) = +0.011     hold it back a little
 *
 * A WHOLE PROGRAM   (tests/programs.sh extracts, builds and runs it)
 *
 *   #define GRPO_IMPLEMENTATION
 *   #include "grpo.h"
 *
 *   static float is_four(const grpo_sample *s, void *user)
 *   {
 *       (void)user;
 *       return strcmp(s->completion, "4") == 0;      // verify: nobody shows it the answer
 *   }
 *
 *   int main(void)
 *   {
 *       grpo_prompt question = grpo_question("2+2=", NULL);
 *       grpo_config config = grpo_defaults();
 *       grpo_metrics m;
 *       grpo *g;
 *       config.vocabulary = "0123456789+=";
 *       config.max_completion_length = 4;
 *       config.num_prompts = 1;
 *       config.num_generations = 64;
 *       grpo_add_reward(&config, "is_four", is_four, 1.0f, NULL);
 *       g = grpo_new(&config);
 *       if (!g) return puts(config.error), 1;
 *       do {
 *           if (grpo_step(g, &question, 1, &m)) return puts(grpo_error(g)), 1;
 *           if (m.step % 10 == 1) printf("step %3d  reward %.2f\n", m.step, m.reward);
 *       } while (m.reward < 0.95);
 *       printf("solved at step %d\n", m.step);
 *       grpo_free(g);
 *       return 0;
 *   }
 *
 *   It prints
 *
 *       step   1  reward 0.00
 *       step  11  reward 0.06
 *       step  21  reward 0.16
 *       step  31  reward 0.28
 *       step  41  reward 0.56
 *       step  51  reward 0.75
 *       step  61  reward 0.84
 *       solved at step 70
 *
 * WHAT IT PROMISES
 *
 *   The sampler's log-probs equal the trainer's bit for bit: the first ratio is exactly 1. The same
 *   bits for any number of threads, any micro-batch, any place in the batch, any number of
 *   processes that share the work. No padding; a prompt is computed once per group. Logits never
 *   all in memory. A step allocates nothing. Failures are a code and a sentence, and leave the
 *   weights as they were before the failing update. Each promise is a test.
 *   (32-bit x86: compile with -msse2 -mfpmath=sse; x87 rounds when the compiler spills.)
 *
 * WHAT IT DOES NOT DO
 *
 *   Other architectures than Llama / Qwen2 / Qwen3 / Mistral decoders, mixture of experts,
 *   images, models split over several cards, quantised training, tool calls. It reads no tokenizer
 *   files: bring your own two hooks (examples/tool/tokenizer.h has them for tokenizer.json).
 *
 * DEVIATIONS FROM THE PAPER
 *
 *   - std(r) has 1e-4 added and divides by n-1 (the paper says neither; TRL does both), and where a
 *     group's rewards (less KL, if kl_in_reward is 1) are equal, z-scores are 0 exactly.
 *   - The last token of a completion that is cut off at max_completion_length counts like any
 *     other; set mask_truncated_completions to leave such completions out.
 *   - A sequence of which no token counts is not counted in averages either.
 *   - A group without any gradient (equal rewards, and no KL or other pull in the loss) is not
 *     computed: its tokens count in the metrics with the log-probs they were sampled with.
 *   - Dynamic sampling (DAPO) samples the same prompt anew instead of drawing another.
 *   - Under top-k, top-p, min-p and temperature, the distribution trained is the one sampled
 *     from: the ratio, KL and entropy are of the probabilities renormalised over the tokens
 *     that were allowed.
 *
 * QUESTIONS EVERYBODY ASKS
 *
 *   Why is the loss 0 at the start?  With mu = 1 the ratio is 1, so the loss is -mean(A) + beta KL,
 *     and the advantages of a group sum to 0. (Not so where the mean is over tokens, as in DAPO: a
 *     longer completion's A counts more often.) The gradient is not 0: it is that of -A log pi.
 *     Watch the reward.
 *   Why is the ratio always 1?  Because you learn once from each rollout (mu = 1, one minibatch).
 *     Raise num_iterations or steps_per_generation and it moves; only then does the clip matter.
 *   Why divide by the std, and when not?  It gives every question the same weight, however rare
 *     success is; Dr. GRPO objects that this overweights questions nearly always or never solved.
 *   Is the ratio per token or per sequence?  Per token, as in the paper and PPO; per sequence in
 *     GSPO: grpo_objective_set(&config.objective, "gspo", NULL). Every variant is such a line of
 *     words; >>words has the table.
 *   Which KL is this, and does its gradient match?  The value of k3 is an unbiased estimate of
 *     KL(pi || pi_ref). Its gradient on fresh samples is not: it is that of KL(pi_ref || pi), which
 *     keeps pi from collapsing.
 *   Why does the reward not move?  frac_reward_zero_std tells: if every reward of a group is equal,
 *     the group teaches nothing. Larger G, easier questions, a warm-up (grpo_sft), partial rewards.
 *   What is the reference?  The policy as it was at the first rollout, after whatever warm-up there
 *     was; so KL is exactly 0 at the first step. A model that was loaded is the reference as it was
 *     loaded. grpo_set_reference() sets it to the policy at any time.
 *   Keep or skip groups of equal rewards?  Kept, they let AdamW's momentum move the weights on
 *     after a rare hit; skipped, they freeze them. Neither is always faster.
 *   Why is completions/clipped_ratio 1?  No completion ever ends: end-of-text is never sampled. It
 *     is a token to be learnt like any other; reward short answers, or warm up.
 *   How does a larger model fit?  config.lora.rank = 16: adapters are trained beside the model's
 *     frozen weights, which need no gradients, no moments and no second copy as a reference. Raise
 *     the learning rate tenfold or more.
 *   How do several machines train one model?  config.lanes = 8, say, and config.team: up to 8
 *     processes, by MPI (examples/tool/mpi.h), give the bits of one with as many lanes.
 *   Why do two machines differ?  Vector units with and without fused multiply-add round
 *     differently. On one machine the bits are always the same.
 *
 * MACROS
 *
 *   GRPO_IMPLEMENTATION   compile the functions here, in this one file
 *   GRPO_STATIC           make every function static to this file
 *   GRPO_CUDA             a config without a backend gets grpo_cuda(): link grpo_cuda.cu (nvcc)
 *   GRPO_NO_THREADS       one core (old glibc without -pthread does this by itself)
 *   GRPO_NO_SIMD          no vector instructions, libm's exp: plain C, slow, for reference
 */

/* ============================================================================================
 *
 *   II   INTERFACE
 *
 * ============================================================================================ */
#ifndef GRPO_H
#define GRPO_H

#define GRPO_VERSION "0.2"

#include <stddef.h>
#include <stdint.h>

#ifndef GRPO_STATIC
#define GRPO_API extern
#elif defined(__GNUC__)
#define GRPO_API static __attribute__((unused))
#else
#define GRPO_API static
#endif
#ifdef __cplusplus
extern "C" {
#endif

typedef struct grpo grpo;
/* Every function that can fail returns GRPO_OK or one of these; grpo_error() has the sentence. */
enum {
    GRPO_OK        = 0,
    GRPO_BAD_INPUT = -1,      /* an argument or a config field makes no sense */
    GRPO_NO_MEMORY = -2,      /* the allocator returned NULL */
    GRPO_IO        = -3,      /* a file could not be opened, read, written or renamed */
    GRPO_BAD_FILE  = -4,      /* a file is there but is not what it should be */
    GRPO_NONFINITE = -5,      /* NaN or Inf appeared: the update was skipped, weights as before */
    GRPO_DEVICE    = -6,      /* the backend reported an error */
    GRPO_CALLBACK  = -7       /* one of the caller's own functions returned a failure */
};

enum { GRPO_MAX_REWARDS = 8, GRPO_MAX_EOS = 8, GRPO_NAME_LENGTH = 32, GRPO_ERROR_LENGTH = 256 };

/* -------------------------------------------------------------------------------- the model --
 * The decoder of Llama, Qwen2, Qwen3 and Mistral, with the field names of Hugging Face's
 * config.json: RMSNorm -> grouped-query attention with rotary positions -> RMSNorm -> SwiGLU. */
enum { GRPO_ROPE_DEFAULT, GRPO_ROPE_LINEAR, GRPO_ROPE_LLAMA3 };

typedef struct grpo_rope_scaling {  /* rotary angles stretched for longer contexts; 0: not used  */
    int   rope_type;                /* GRPO_ROPE_*                                               */
    float factor, low_freq_factor, high_freq_factor;          /* _LINEAR has the first alone     */
    int   original_max_position_embeddings;
} grpo_rope_scaling;

typedef struct grpo_model_config {
    int   vocab_size;               /* V;  0: taken from the vocabulary                          */
    int   hidden_size;              /* H                                                         */
    int   intermediate_size;        /* F, the width of SwiGLU                                    */
    int   num_hidden_layers, num_attention_heads;
    int   num_key_value_heads;      /* 0: as many as num_attention_heads                         */
    int   head_dim;                 /* even; 0: hidden_size / num_attention_heads                */
    int   max_position_embeddings;  /* longest prompt + completion                               */
    float rope_theta, rms_norm_eps;
    grpo_rope_scaling rope_scaling;
    int   tie_word_embeddings;      /* 1: the LM head is the embedding matrix                    */
    int   attention_bias;           /* 1: q, k and v have a bias (Qwen2)                         */
    int   qk_norm;                  /* 1: q and k are RMS-normalised per head (Qwen3)            */
    int   num_labels;               /* 1: a scalar head instead of the LM head: a value or reward
                                       model (LlamaForSequenceClassification; examples/ppo.h)    */
    int   value_head;               /* 1: a scalar head beside it: PPO with shared weights       */
    float initializer_range;        /* std of random initial weights; 0: quick, for loaded ones  */
} grpo_model_config;

/* LoRA (Hu et al. 2021, arXiv:2106.09685), as in PEFT: beside each target matrix W [out, in], which
 * is frozen, A [rank, in] and B [out, rank] are trained: y = x W^T + alpha / rank (x A^T) B^T. The
 * reference is the policy without its adapters. A model needs about a seventh of the memory. */
enum { GRPO_LORA_Q = 1, GRPO_LORA_K = 2, GRPO_LORA_V = 4, GRPO_LORA_O = 8, GRPO_LORA_GATE = 16,
       GRPO_LORA_UP = 32, GRPO_LORA_DOWN = 64, GRPO_LORA_ALL = 127, GRPO_LORA_TARGETS = 7 };

typedef struct grpo_lora {
    int   rank;                     /* 0: no LoRA, all weights are trained                       */
    float alpha;
    int   targets;                  /* GRPO_LORA_*, or'ed: which matrices of each layer          */
} grpo_lora;

/* ------------------------------------------------------------------------ prompts and samples */
typedef struct grpo_prompt {
    const char *text;               /* the question, NUL-terminated; may be NULL if tokens is set */
    const char *answer;             /* for the reward functions and grpo_sft; may be NULL         */
    const int  *tokens;             /* if not NULL, used instead of encoding text                 */
    int         num_tokens;
    const void *data;               /* the caller's own, handed on to the reward functions        */
} grpo_prompt;

typedef struct grpo_sample {        /* what a reward function sees: one completion               */
    int prompt_index, completion_index;      /* in this batch; in its group                      */
    const char *prompt, *completion;         /* text, NUL-terminated; end-of-text is not in it   */
    const char *answer;                      /* the prompt's                                     */
    const int  *prompt_tokens, *tokens;      /* tokens includes end-of-text if it was sampled    */
    int num_prompt_tokens, num_tokens;
    int truncated;                           /* 1: max_completion_length came before end-of-text */
    int max_completion_length;
    const void *data;                        /* the prompt's                                     */
} grpo_sample;

/* A reward of one completion. NaN: none; the sample is left out of its group (with
 * GRPO_COMBINE_ADVANTAGES only of this reward's group, unless it has no other reward). */
typedef float (*grpo_reward_function)(const grpo_sample *sample, void *user);
/* The rewards of a whole batch at once, for verifiers that are slow one by one. Fill rewards[n];
 * returning non-zero makes grpo_score() fail with GRPO_CALLBACK. */
typedef int (*grpo_reward_batch_function)(const grpo_sample *samples, int n, float *rewards,
                                          void *user);
/* Process supervision: the rewards of a completion's steps. Step j ends with token ends[j] (from 0,
 * increasing) and gets rewards[j]. Returns the number of steps, at most capacity, or a negative
 * number to make grpo_score() fail with GRPO_CALLBACK. */
typedef int (*grpo_reward_steps_function)(const grpo_sample *sample, int *ends, float *rewards,
                                          int capacity, void *user);

typedef struct grpo_reward {        /* one line of the rubric; set one of the three functions    */
    char  name[GRPO_NAME_LENGTH];   /* logged as rewards/NAME/mean and rewards/NAME/std          */
    float weight;
    grpo_reward_function       function;
    grpo_reward_batch_function batch;
    grpo_reward_steps_function steps;         /* moves its tokens' advantages, not the reward    */
    void *user;
} grpo_reward;

/* The caller's own tokenizer. encode writes at most capacity tokens and returns how many there are
 * (more than capacity: they did not fit), or a negative number if the text cannot be encoded.
 * decode likewise, in bytes, without a closing NUL. */
typedef int (*grpo_encode_function)(void *tokenizer, const char *text, int *tokens, int capacity);
typedef int (*grpo_decode_function)(void *tokenizer, const int *tokens, int num_tokens,
                                    char *text, int capacity);

/* ------------------------------------------------------------------------------- the sampler --
 * The filters apply in this order to softmax(logits / temperature), each renormalising. */
typedef struct grpo_sampling {
    float temperature;              /* 0: greedy, the most probable token with probability 1     */
    int   top_k;                    /* allow the k most probable tokens; 0: all                  */
    float top_p;                    /* allow the fewest tokens that hold this much mass; 1: all  */
    float min_p;                    /* allow tokens with p >= min_p * max p; 0: all              */
} grpo_sampling;

/* ----------------------------------------------------------------------------- the objective --
 * Everything that says WHICH loss: each field swaps one part of the line for J in part I, and
 * loss = -J. Presets fill them all. */
enum {                              /* A of a completion with reward r                           */
    GRPO_ADVANTAGE_ZSCORE,          /* (r - mean) / (std + eps), of the group (the paper)        */
    GRPO_ADVANTAGE_MEAN,            /* r - mean                       (Dr. GRPO)                 */
    GRPO_ADVANTAGE_BATCH,           /* (r - mean) / (std of the whole batch + eps)               */
    GRPO_ADVANTAGE_RLOO,            /* r - mean of the others         (leave one out)            */
    GRPO_ADVANTAGE_OPO,             /* r - mean weighted by length    (OPO)                      */
    GRPO_ADVANTAGE_GPG,             /* (r - mean) * rewards / rewards that are not 0  (GPG)      */
    GRPO_ADVANTAGE_PASS_K,          /* the group's best: (r - second best) / (std + eps); else 0 */
    GRPO_ADVANTAGE_MAX_RL,          /* (r - mean) / mean; 0 where the mean is not above 0        */
    GRPO_ADVANTAGE_RETURN           /* what is still to come, gamma-discounted: no baseline      */
};
enum { GRPO_COMBINE_REWARDS,        /* several rewards: weighted sum first, then A               */
       GRPO_COMBINE_ADVANTAGES };   /* A of each, weighted sum, then over the batch's std (GDPO) */
enum {
    GRPO_LOSS_CLIP,                 /* -min(r A, clip(r) A)           (PPO, the paper)           */
    GRPO_LOSS_REINFORCE,            /* -A log pi: no ratio, no clip                              */
    GRPO_LOSS_CISPO,                /* -sg(clip(r)) A log pi; sg: a constant for the derivative  */
    GRPO_LOSS_SAPO,                 /* -sigmoid(tau (r - 1)) 4 / tau A: a soft clip              */
    GRPO_LOSS_GEOMETRIC,            /* -A geometric mean of clipped r (GMPO; eps on log r)       */
    GRPO_LOSS_VESPO,                /* -sg(phi(r of the sequence)) A log pi                      */
    GRPO_LOSS_DPPO_TV,              /* -sg(r) A log pi, but not where pi has left pi_old by more */
    GRPO_LOSS_DPPO_KL,              /*     than epsilon: in probability; in binary KL            */
    GRPO_LOSS_DRO                   /* -A log pi + dro_beta / 2 (log r)^2                        */
};
enum { GRPO_RATIO_TOKEN,            /* r = pi / pi_old of the token (the paper)                  */
       GRPO_RATIO_SEQUENCE,         /* of the sequence, to the power 1 / its length (GSPO)       */
       GRPO_RATIO_SUM };            /* of the sequence (RLOO in TRL)                             */
enum { GRPO_AVERAGE_SEQUENCE,       /* mean over sequences of each one's token mean (the paper)  */
       GRPO_AVERAGE_TOKEN,          /* mean over all tokens of the step (DAPO)                   */
       GRPO_AVERAGE_CONSTANT,       /* sum / (sequences * max_completion_length) (Dr. GRPO)      */
       GRPO_AVERAGE_SEQUENCE_SUM,   /* mean over sequences of each one's token sum (LUSPO)       */
       GRPO_AVERAGE_SUM };          /* sum over all tokens                                       */
enum { GRPO_KL_K1,                  /* log(pi/ref)                                               */
       GRPO_KL_K2,                  /* 1/2 log(pi/ref)^2                                         */
       GRPO_KL_K3,                  /* ref/pi - log(ref/pi) - 1       (the paper)                */
       GRPO_KL_ABS,                 /* |log(pi/ref)|                                             */
       GRPO_KL_FULL };              /* exact: sum over the vocabulary of pi log(pi/ref)          */
enum { GRPO_KL_ESTIMATORS = 4 };    /* the first four, which need only the token's log-probs     */
enum { GRPO_EQUAL_KEEP,             /* a group whose rewards are all equal stays: A = 0, KL acts */
       GRPO_EQUAL_SKIP,             /* ... takes no part in the loss and its averages            */
       GRPO_EQUAL_RESAMPLE };       /* ... is sampled anew up to max_resamples times, then skipped
                                           (DAPO's dynamic sampling, on the same prompt)         */
enum { GRPO_IMPORTANCE_NONE,        /* tokens drawn by another policy than pi_old: uncorrected   */
       GRPO_IMPORTANCE_TOKEN,       /* their loss times min(w, cap), w = pi_old / pi_sampling    */
       GRPO_IMPORTANCE_TOKEN_MASK,  /* ... times w, or 0 where w > cap                           */
       GRPO_IMPORTANCE_SEQUENCE,    /* as _TOKEN and _TOKEN_MASK, with w of the whole sequence   */
       GRPO_IMPORTANCE_SEQUENCE_MASK };

typedef struct grpo_objective {
    /* rewards -> advantages */
    int   advantage;                /* GRPO_ADVANTAGE_*                                          */
    float advantage_eps;            /* added to the std                                          */
    int   advantage_ddof;           /* 1: sample std (torch), 0: population std (numpy)          */
    int   combine;                  /* GRPO_COMBINE_*                                            */
    int   whiten;                   /* 1: last, all tokens' A get mean 0 and std 1               */
    float gamma;                    /* discount (_RETURN)                                        */
    int   equal_rewards;            /* GRPO_EQUAL_*                                              */
    int   max_resamples;            /* bound of GRPO_EQUAL_RESAMPLE                              */
    int   mask_truncated_completions;  /* 1: completions without end-of-text do not train        */
    /* advantages -> policy loss */
    int   loss, ratio, average;     /* GRPO_LOSS_*, GRPO_RATIO_*, GRPO_AVERAGE_*                 */
    int   max_completion_length;    /* the constant of GRPO_AVERAGE_CONSTANT                     */
    float epsilon, epsilon_high;    /* the clip range is [1 - epsilon, 1 + epsilon_high]         */
    float delta;                    /* two-sided: r is capped here before r A; 0: off (TRL)      */
    float dual_clip;                /* for A < 0 the loss is at most -dual_clip A; 0: off (veRL) */
    float sapo_temperature_pos, sapo_temperature_neg;         /* tau where A > 0, and elsewhere  */
    float dro_beta;                 /* weight of (log r)^2 / 2 in GRPO_LOSS_DRO                  */
    /* tokens without policy loss (KL and entropy still act on them) */
    float top_entropy_quantile;     /* train this share of tokens, the most uncertain; 1: all    */
    float off_policy_mask_threshold;  /* leave out sequences with A < 0 whose mean of
                                       log pi_sampling - log pi is above this; 0: none           */
    int   importance;               /* GRPO_IMPORTANCE_*                                         */
    float importance_cap;           /* C, the cap                                                */
    /* KL to the reference policy */
    float beta;                     /* weight of the KL term; 0: no reference policy in memory   */
    int   kl;                       /* GRPO_KL_*                                                 */
    int   kl_straight_through;      /* 1: kl's value with the gradient of k2 (veRL's "+")        */
    int   kl_in_reward;             /* 1: beta * KL is subtracted from the reward instead; 2: from
                                       A, the KL of the token and those after it (OpenRLHF)      */
    float kl_target, kl_horizon;    /* beta follows grpo_adaptive_kl(); target 0: it stays. The
                                       horizon: in completions, above a fifth of a step's        */
    /* entropy */
    float entropy_coef;             /* loss -= entropy_coef * token mean of the entropy          */
    float entropy_target;           /* each step moves entropy_coef by entropy_step so that the  */
    float entropy_step;             /*     entropy nears the target; 0: it stays                 */
} grpo_objective;

/* What the loss saw, in TRL's terms. Means are over the tokens that count. */
typedef struct grpo_loss_stats {
    double loss, policy_loss, kl, entropy;
    double kl_estimates[GRPO_KL_ESTIMATORS];                  /* of GRPO_KL_K1 ..., to compare   */
    double sampling_difference_mean, sampling_difference_max; /* |log pi_old - log pi_sampling|  */
    double importance_min, importance_mean, importance_max;   /* pi_old / pi_sampling, capped    */
    double ratio_mean, ratio_max;
    double clip_low_mean, clip_high_mean, clip_region_mean;   /* share of tokens that are clipped */
    double clip_low_min, clip_high_max;                       /* of the per-sequence shares       */
    int    num_tokens, num_sequences;                         /* that count                       */
} grpo_loss_stats;

/* ------------------------------------------------------------------------------- the metrics --
 * One step, under TRL's names with '/' written '_'; grpo_metrics_json() writes the real names. */
typedef struct grpo_metrics {
    int    step;                    /* GRPO steps done, this one included                        */
    double num_tokens;              /* prompt and completion tokens seen since the start         */
    double step_time;               /* seconds; a team's: process 0's, until all agreed last     */
    double loss, policy_loss, grad_norm, learning_rate;       /* grad_norm: before clipping      */
    double reward, reward_std;      /* mean and sample std over the whole batch                  */
    double frac_reward_zero_std;    /* share of groups whose rewards are all equal               */
    double entropy;                 /* of the sampling distribution; at 0 nothing is explored    */
    double kl, beta, entropy_coef;  /* kl: mean estimate, or exact with GRPO_KL_FULL             */
    double kl_estimates[GRPO_KL_ESTIMATORS];                  /* beside kl, to compare           */
    double sampling_difference_mean, sampling_difference_max; /* after grpo_adopt(): as in       */
    double importance_min, importance_mean, importance_max;   /*     grpo_loss_stats             */
    double clip_ratio_low_mean, clip_ratio_high_mean, clip_ratio_region_mean;
    double clip_ratio_low_min, clip_ratio_high_max;
    double ratio_mean, ratio_max;
    /* in tokens, end-of-text included; terminated: only of completions that end with it */
    double completions_mean_length, completions_min_length, completions_max_length;
    double completions_mean_terminated_length, completions_min_terminated_length;
    double completions_max_terminated_length, completions_clipped_ratio; /* the last: truncated  */
    int    num_rewards;
    char   reward_names[GRPO_MAX_REWARDS][GRPO_NAME_LENGTH];
    double reward_means[GRPO_MAX_REWARDS], reward_stds[GRPO_MAX_REWARDS];
    int    num_left_out;            /* samples whose reward was not a number                     */
    int    num_resampled;           /* groups sampled anew because their rewards were all equal  */
    int    num_idle;                /* groups without any gradient, for which no work was done   */
    int    num_updates;             /* optimizer updates of this step                            */
    int    skipped;                 /* 1: an update was skipped: NaN or Inf                      */
} grpo_metrics;

/* -------------------------------------------------------------------------------- the config --
 * Fill it with grpo_defaults(), then change what you like. grpo_new() copies it; the strings,
 * hooks and user pointers in it must live as long as the object. */
enum { GRPO_SCHEDULE_CONSTANT, GRPO_SCHEDULE_LINEAR, GRPO_SCHEDULE_COSINE };

/* Processes that train one model together, each called as if alone, with the same config, weights
 * and prompts: a process samples, rewards and learns from its share of the prompts. All call the
 * same functions in the same order, but for grpo_generate() and those of text and pure maths; files
 * are written by process 0. rank: a process's number, from 0; size: how many there are, a power of
 * two, at most lanes; 0: it is alone. exchange sends `bytes` bytes to process `peer`, receives as
 * many from it, and returns 0; both call it. If that fails, or a process dies or fails, every other
 * one gets an error that says so, its weights as before the update; then each should end, and a new
 * team, of any size, resume from what was saved. */
typedef struct grpo_team {
    int rank, size;
    int (*exchange)(void *user, int peer, const void *send, void *receive, size_t bytes);
    void *user;
    int device_memory;              /* 1: exchange also takes addresses in the backend's memory  */
} grpo_team;

struct grpo_backend;
typedef void (*grpo_log_function)(const char *message, void *user);
typedef void (*grpo_step_function)(const grpo_metrics *metrics, void *user);
/* A completion so far, end-of-text included. Not 0 ends grpo_generate() with GRPO_CALLBACK. */
typedef int (*grpo_token_function)(int prompt, const int *tokens, int num_tokens, void *user);

typedef struct grpo_config {
    grpo_model_config model;
    grpo_lora lora;
    /* text: a character vocabulary, or (NULL) raw bytes, or the caller's own tokenizer */
    const char *vocabulary;         /* UTF-8; token i is its i-th character; end-of-text is last */
    grpo_encode_function encode;    /* if set, vocabulary is ignored; set decode, eos_token_id   */
    grpo_decode_function decode;    /*     and model.vocab_size too                              */
    void *tokenizer;
    int   eos_token_id;             /* -1: the one that the vocabulary adds                      */
    int   eos_token_ids[GRPO_MAX_EOS];    /* these end a completion too (eos_token_id may be one */
    int   num_eos;                        /*     of them); only eos_token_id ends an answer      */
    int   max_token_bytes;          /* bytes of the longest token's text                         */
    /* the shape of a step */
    int   num_prompts;              /* most prompts in one call of grpo_step()                   */
    int   num_generations;          /* G, completions per prompt                                 */
    int   max_prompt_length, max_completion_length;           /* in tokens                       */
    int   num_iterations;           /* mu, passes over each rollout                              */
    int   steps_per_generation;     /* optimizer steps (minibatches of prompts) in each pass     */
    int   rollout_batch_prompts;    /* prompts sampled together; 0: all                          */
    int   micro_batch_prompts;      /* prompts trained together (memory, not results); 0: some
                                       2,000 rows                                                */
    size_t memory_budget;           /* bytes; 0: any. Within it sampling's activations are stored
                                       for training; else they are computed again, in passes of
                                       one group at the least (speed, not results)               */
    grpo_sampling  sampling;
    grpo_reward    rewards[GRPO_MAX_REWARDS];                 /* grpo_add_reward() appends       */
    int            num_rewards;
    float          success_reward;  /* grpo_evaluate(): correct if rewards[0] gives at least this */
    grpo_objective objective;
    /* AdamW and its schedule */
    float learning_rate, adam_beta1, adam_beta2, adam_epsilon;
    float weight_decay;             /* on matrices, never on norms and biases                    */
    float max_grad_norm;            /* clip the global gradient norm to this; 0: do not          */
    int   lr_scheduler_type;        /* GRPO_SCHEDULE_*                                           */
    int   warmup_steps, max_steps;  /* in optimizer steps of grpo_update()                       */
    /* the reference: grpo_set_reference(ref_model_mixup_alpha) after every ref_model_sync_steps
     * GRPO steps (0: never). With alpha 1 that is iterative GRPO, DeepSeekMath's Algorithm 1. */
    int   ref_model_sync_steps;
    float ref_model_mixup_alpha;
    /* the machine */
    uint64_t seed;                  /* of the weights and of everything sampled                  */
    int      lanes;                 /* an update's prompts in this many parts, a power of two,
                                       whose gradients a binary tree adds: results depend on it,
                                       and not on how many processes share the lanes; each holds
                                       log2(its lanes) + 1 gradients                             */
    grpo_team team;                 /* zeros: alone                                              */
    int      threads;               /* 0: one per core. Speed, not results                       */
    const struct grpo_backend *backend;                       /* NULL: grpo_cpu(), or grpo_cuda()
                                                                 where GRPO_CUDA is defined      */
    void *(*allocate)(size_t size, void *user);               /* NULL: malloc and free           */
    void  (*release)(void *memory, void *user);
    grpo_log_function  log;         /* warnings and errors in words; NULL: silent                */
    grpo_step_function on_step;     /* called at the end of each grpo_step(); may be NULL        */
    grpo_token_function on_token;   /* called for each token that grpo_generate() draws          */
    const char *metrics_path;       /* if set, one JSON object a step is appended to this file   */
    void *user;                     /* handed to allocate, release, log, on_step and on_token    */
    char error[GRPO_ERROR_LENGTH];  /* out: why grpo_new() returned NULL                         */
} grpo_config;

/* --------------------------------------------------------------------------------- the batch --
 * One rollout, packed: sequence i = prompt * G + completion has tokens[offsets[i]] up to
 * tokens[offsets[i+1] - 1]. All arrays are on the host and owned by the object. The next rollout,
 * evaluation or supervised step overwrites them. */
typedef struct grpo_batch {
    int num_prompts, group_size, num_sequences;
    int          *prompt_offsets;   /* [num_prompts + 1]                                         */
    int          *prompt_tokens;    /* [prompt_offsets[num_prompts]]                             */
    int          *offsets;          /* [num_sequences + 1]                                       */
    int          *tokens;           /* [offsets[num_sequences]], like the five that follow       */
    float        *logprobs;         /* log pi_old, written by the sampler                        */
    float        *entropies;        /* of the sampling distribution                              */
    float        *ref_logprobs;     /* log pi_ref; NULL when beta is 0                           */
    float        *kl;               /* exact KL when sampled; NULL unless it is GRPO_KL_FULL     */
    float        *sampling_logprobs;  /* log pi_sampling after grpo_adopt(), else NULL           */
    float        *process;          /* advantages of process supervision; NULL without it        */
    float        *advantages;       /* A                                                         */
    unsigned char *mask;            /* counts in the loss: 0 no, 1 yes, 2 without policy loss    */
    unsigned char *truncated;       /* [num_sequences]                                           */
    float        *rewards;          /* [num_sequences] weighted sum of the rubric                */
    float        *reward_parts;     /* [num_rewards][num_sequences]                              */
    grpo_sample  *samples;          /* [num_sequences] as the reward functions saw them          */
    int          *resampled;        /* [num_prompts] how often the group was sampled anew        */
} grpo_batch;

typedef struct grpo_state {         /* what a resumed run needs besides the weights              */
    int64_t step;                   /* GRPO steps done; keys the random numbers                  */
    int64_t optimizer_step;         /* updates of grpo_update(); drives the schedule             */
    int64_t adam_step;              /* all updates, supervised ones too; AdamW's t               */
    double  num_tokens;
    int     reference_set;          /* 0: the next rollout makes the policy its own reference    */
} grpo_state;

typedef struct grpo_memory {        /* bytes, exactly as grpo_new() will ask for them            */
    size_t weights, reference, gradients, optimizer;          /* on the backend                  */
    size_t activations, cache, logits;                        /* on the backend                  */
    size_t host;                                              /* batch, text, indices            */
    size_t total;                                             /* with the backend's own scratch  */
    size_t num_parameters;                                    /* of the model: a number, no bytes */
} grpo_memory;

typedef struct grpo_completion {    /* one that was not sampled here                             */
    const char  *text;              /* end-of-text is added, unless truncated                    */
    const int   *tokens;            /* if not NULL, used instead of text, as they are            */
    int          num_tokens;
    const float *logprobs;          /* [num_tokens] log pi_sampling; NULL: drawn by this policy  */
    int          truncated;         /* 1: text was cut off before end-of-text                    */
} grpo_completion;

typedef struct grpo_evaluation {
    int   num_prompts, num_samples, k;
    float accuracy;                 /* share of prompts whose greedy completion is correct       */
    float pass_at_1, pass_at_k;     /* unbiased, over num_samples sampled completions            */
    float reward, mean_length;      /* of the greedy completions                                 */
} grpo_evaluation;

struct grpo {                       /* transparent: read what you like, write config hyper-      */
    grpo_config  config;            /*     parameters (learning rate, objective, sampling)       */
    grpo_batch   batch;
    grpo_state   state;
    size_t       num_parameters, num_trained;                 /* of the model; by the optimizer  */
    struct grpo__machinery *machinery;                        /* private                         */
};

/* -------------------------------------------------------------------------------------- life */
GRPO_API grpo_config grpo_defaults(void);
/* Change fields in words: "learning_rate=1e-4 sampling.top_p=0.9 objective.kl=k1", or a preset's
 * name, which sets the whole objective. A value is a number, or the end of an enum's name in small
 * letters. GRPO_BAD_INPUT, with the reason in error[GRPO_ERROR_LENGTH] (may be NULL), leaves the
 * config as it was. */
GRPO_API int grpo_config_set(grpo_config *config, const char *settings, char *error);
/* The value of a field by name, of an enum its number; NaN if there is no such field. */
GRPO_API double grpo_config_get(const grpo_config *config, const char *name);
/* The numeric fields, nested ones too: for a program's options and its --help. */
enum { GRPO_FIELD_INT, GRPO_FIELD_FLOAT, GRPO_FIELD_SIZE, GRPO_FIELD_UINT64 };
typedef struct grpo_field {
    const char *name, *symbol, *help;         /* "sampling.temperature", "T", a short line       */
    const char *words;              /* of an enum: the names of 0, 1, ...; NULL: a number        */
    int    type, fixed;             /* GRPO_FIELD_*; not 0: must not change after grpo_new(), 2: */
                                    /*     and has no effect on results                          */
    size_t at;                      /* offsetof(grpo_config, name)                               */
    double initial, least, most;    /* the default; the range (least == most: any value)         */
} grpo_field;
GRPO_API const grpo_field *grpo_field_at(int i);              /* NULL beyond the last            */
/* Append a line to the rubric. GRPO_BAD_INPUT: there are GRPO_MAX_REWARDS already. */
GRPO_API int grpo_add_reward(grpo_config *config, const char *name, grpo_reward_function function,
                             float weight, void *user);
/* What grpo_new() would allocate; allocates nothing. */
GRPO_API int grpo_memory_needed(grpo_config *config, grpo_memory *needed);
/* A policy with random weights. All memory is allocated here, the reference's too if objective.beta
 * is above 0. NULL on failure, with the reason in config->error. */
GRPO_API grpo *grpo_new(grpo_config *config);
GRPO_API void  grpo_free(grpo *g);                            /* NULL is fine                    */
GRPO_API const char *grpo_error(const grpo *g);               /* last failure, in words, or ""   */

/* --------------------------------------------------------------------------- the whole algorithm
 * One GRPO step on 1..num_prompts prompts: sample G completions of each, reward, compare, learn.
 * metrics may be NULL. On failure the weights are as they were before the failing update. */
GRPO_API int grpo_step(grpo *g, const grpo_prompt *prompts, int num_prompts, grpo_metrics *metrics);
/* its four lines, in order */
GRPO_API int grpo_rollout(grpo *g, const grpo_prompt *prompts, int num_prompts);
GRPO_API int grpo_score(grpo *g);         /* rewards of the batch, and the reference's log-probs */
GRPO_API int grpo_advantage(grpo *g);     /* rewards -> advantages and mask                      */
GRPO_API int grpo_update(grpo *g, grpo_metrics *metrics);     /* mu passes of minibatch updates  */
/* ref = alpha * policy + (1 - alpha) * ref, weight by weight. The first rollout (or grpo_adopt())
 * copies the policy, as any warm-up has left it, unless the reference was set here, loaded or
 * resumed before; the first call copies whatever alpha is. Refused with LoRA, whose reference is
 * the model without its adapters. */
GRPO_API int grpo_set_reference(grpo *g, float alpha);
/* Instead of grpo_rollout(): completions [num_prompts * num_generations], group by group, that were
 * not sampled here (yesterday's, a teacher's, another engine's). Computes log pi_old of each token;
 * log-probs, if given, are of pi_sampling: objective.importance corrects for that, and groups are
 * never resampled. A model of num_labels 1 has none: grpo_forward() gives the values of what it
 * adopts. */
GRPO_API int grpo_adopt(grpo *g, const grpo_prompt *prompts, int num_prompts,
                        const grpo_completion *completions);

/* ------------------------------------------------------------------------------------ policy */
enum { GRPO_POLICY, GRPO_REFERENCE };
/* Per-token outputs of a model, or their gradients. Packed like batch.tokens,
 * [offsets[num_sequences]] each; NULL: not wanted. */
typedef struct grpo_per_token {
    float *logprobs;                /* log pi of the token, renormalised over the allowed ones   */
    float *entropies;               /* of that distribution, in nats                             */
    float *kl;                      /* its exact KL(pi || pi_ref), in nats; with GRPO_KL_FULL    */
    float *values;                  /* V before the token: of a model with a scalar head         */
} grpo_per_token;
/* Per-token outputs on the batch: logprobs (NULL: more->logprobs) and more (NULL: no others).
 * GRPO_BAD_INPUT: none is wanted, or the model lacks what one needs: LM head, scalar head, memory
 * for exact KL. The reference has logprobs and entropies. */
GRPO_API int grpo_forward(grpo *g, int model, float *logprobs, const grpo_per_token *more);
/* Adds to the gradient of the policy's weights: sum over tokens and outputs of gradient *
 * d(output)/d(weights); gradients are given as grpo_forward() gives outputs, with its errors. Runs
 * the forward pass first, unless its activations are stored from sampling or from grpo_forward()
 * just before. (An entropy bonus: the constant -entropy_coef / number of tokens that count.) */
GRPO_API int grpo_backward(grpo *g, const float *dlogprobs, const grpo_per_token *more);
/* Restricts these two to prompts [first_prompt, first_prompt + num_prompts), a minibatch, until the
 * next batch; elements of other prompts are neither read nor written. */
GRPO_API int grpo_minibatch(grpo *g, int first_prompt, int num_prompts);
/* Clip the gradient, update the weights by AdamW, clear the gradient. GRPO_NONFINITE: the gradient
 * was not finite; it was cleared, no weight changed. grad_norm (before clipping) may be NULL. */
GRPO_API int grpo_optimize(grpo *g, float learning_rate, double *grad_norm);
/* Copy every tensor that both have, by name: a value model begins as the policy. Not LoRA's. */
GRPO_API int grpo_copy_weights(grpo *to, const grpo *from);
/* The completion of a prompt; sampling NULL: the config's; zeros: greedy. Needs no rewards. Returns
 * its length in bytes, or an error. batch.samples[0] has its tokens, and says how it ended:
 * truncated, or by its last token. */
GRPO_API int grpo_generate(grpo *g, const grpo_prompt *prompt, const grpo_sampling *sampling,
                           uint64_t seed, char *text, size_t capacity);
/* Of several prompts at once (as many as completions fit in a step), into batch.samples. */
GRPO_API int grpo_generate_all(grpo *g, const grpo_prompt *prompts, int num_prompts,
                               const grpo_sampling *sampling, uint64_t seed);
/* One supervised step towards each prompt's answer (then end-of-text): the policy gradient with
 * advantage 1, token mean. loss (mean negative log-likelihood) may be NULL. Before the first
 * rollout it is a warm-up: see grpo_set_reference(). */
GRPO_API int grpo_sft(grpo *g, const grpo_prompt *prompts, int num_prompts, float learning_rate,
                      double *loss);
/* Greedy accuracy, and pass@k from num_samples samples a prompt (0: greedy only), on any number of
 * prompts. Its random numbers are its own: training is not affected. */
GRPO_API int grpo_evaluate(grpo *g, const grpo_prompt *prompts, int num_prompts, int num_samples,
                           int k, grpo_evaluation *evaluation);

/* In a team: 1 if any process calls with a wish other than 0 (to stop, say), else 0, or an error;
 * all must call. Alone: wish != 0. */
GRPO_API int grpo_team_any(grpo *g, int wish);

/* -------------------------------------------------------------------------------------- text */
GRPO_API grpo_prompt grpo_question(const char *text, const char *answer);
GRPO_API int grpo_encode(grpo *g, const char *text, int *tokens, int capacity);
GRPO_API int grpo_decode(grpo *g, const int *tokens, int num_tokens, char *text, int capacity);

/* ------------------------------------------------------------------------------------- files --
 * A checkpoint is a folder as Hugging Face writes it: config.json and model.safetensors, which
 * transformers loads; with LoRA, unless merged, adapter_config.json and adapter_model.safetensors,
 * which PEFT loads. trainer_state.safetensors is all that grpo_resume() needs to go on bit for bit
 * (fp32 weights, reference, AdamW's moments, counters), in one file, so that no crash can leave it
 * half old and half new; with LoRA it holds the adapters alone (B times alpha / rank) and a hash
 * of their model. */
enum { GRPO_SAVE_STATE = 1,         /* also write trainer_state.safetensors                      */
       GRPO_SAVE_BF16  = 2,         /* model.safetensors in bf16 instead of fp32                 */
       GRPO_SAVE_F16   = 4,         /* ... in fp16; refused if a weight is beyond its range      */
       GRPO_SAVE_MERGED = 8 };      /* LoRA: the whole model with the adapters in its weights    */
GRPO_API int grpo_save(grpo *g, const char *folder, int flags);
/* load: the weights, and the reference as their copy, from one file or many
 * (model.safetensors.index.json); with LoRA the model first, which resets the adapters, then, from
 * a folder with an adapter_config.json, the adapters. resume: everything. Files are read twice,
 * first to check them: no second copy in memory. If the second reading fails (the disk broke, the
 * file changed), all is as grpo_new() made it. */
GRPO_API int grpo_load(grpo *g, const char *folder);
GRPO_API int grpo_resume(grpo *g, const char *folder);
/* Before grpo_new(): fill config->model from folder/config.json or, where there is an
 * adapter_config.json, config->lora. If config->encode is set, eos_token_ids too, from
 * generation_config.json or else config.json (if either has any), and eos_token_id is the first. A
 * config->vocabulary that is set must be the one saved. An unknown name in these files that could
 * change the numbers is an error. The reason of a failure is in config->error. */
GRPO_API int grpo_load_config(grpo_config *config, const char *folder);
/* One line of JSON under TRL's names. Returns its length (as snprintf does). */
GRPO_API int grpo_metrics_json(const grpo_metrics *metrics, char *text, size_t capacity);

/* ---------------------------------------------------------------- built-in verifiers (rewards) --
 * Reward functions for grpo_add_reward(). The first four: 1 if it is so, else 0. NaN without a
 * sample, or what they need of it. user is unused where nothing is said of it. */
typedef struct grpo_format { const char *prefix, *suffix; } grpo_format;   /* NULL: anything     */
/* completion == answer, blanks at both ends aside */
GRPO_API float grpo_reward_exact_match(const grpo_sample *s, void *user);
/* the last number of the completion equals the last of answer (GSM8K) */
GRPO_API float grpo_reward_last_number(const grpo_sample *s, void *user);
/* answer "target: a b c": completion is an expression of that value, each number used once */
GRPO_API float grpo_reward_countdown(const grpo_sample *s, void *user);
/* user = grpo_format *: completion begins with prefix and ends with suffix */
GRPO_API float grpo_reward_format(const grpo_sample *s, void *user);
/* user = const int *, Lc: DAPO's soft penalty, from 0 to -1 over the last Lc tokens */
GRPO_API float grpo_reward_overlong(const grpo_sample *s, void *user);
/* -(1 - unique / all of the tokens' 3-grams) */
GRPO_API float grpo_reward_repetition(const grpo_sample *s, void *user);
/* The value of an expression of + - * / ( ) and decimal numbers. Returns 1 and sets value, or 0 if
 * the text is not one expression or divides by zero. numbers (may be NULL) gets the operands in
 * order of appearance, at most capacity; *count their number. */
GRPO_API int grpo_evaluate_expression(const char *text, double *value, double *numbers,
                                      int capacity, int *count);
/* The last number in a text: sign (Unicode's too, before or after a currency's), separators of
 * thousands (LaTeX's too), decimals, powers of ten (1e-05, 2 \times 10^{3}). 0: there is none. */
GRPO_API int grpo_last_number(const char *text, double *value);

/* --------------------------------------------------------------------- pure maths, plain arrays --
 * No model, no allocation, no state: usable with anyone's policy. An array that must not be NULL
 * and is, a size or token out of range: nothing is written, and the result is GRPO_BAD_INPUT or
 * NaN. The formulas stand in part III, beside the code. */

/* A preset: "deepseekmath", "trl", "dapo", "gspo" ...; >>words has the table, with sources. For an
 * unknown name (or NULL) *found (may be NULL) is 0 and the result deepseekmath's. Presets with
 * GRPO_AVERAGE_CONSTANT need max_completion_length, which grpo_new() sets by itself. */
GRPO_API grpo_objective grpo_objective_preset(const char *name, int *found);
/* grpo_config_set() for the objective alone: "dapo beta=0.01 kl=k1" is that preset with two
 * changes; without a preset's name o itself is changed. */
GRPO_API int grpo_objective_set(grpo_objective *o, const char *settings, char *error);
/* The name of preset i and where it comes from (either may be NULL); 0 beyond the last. */
GRPO_API int grpo_objective_name(int i, const char **name, const char **source);
/* rewards, advantages [num_groups * group_size]. A NaN reward is left out of its group's statistics
 * and gets advantage 0. lengths: tokens of each, for GRPO_ADVANTAGE_OPO; NULL: all alike. equal
 * (may be NULL) [num_groups]: 1 if the group's rewards are all equal, by exact comparison; its
 * advantages are then exactly 0 (but with _RETURN A = r). */
GRPO_API int grpo_advantages(const grpo_objective *o, const float *rewards, int num_groups,
                             int group_size, const int *lengths, float *advantages,
                             unsigned char *equal);
/* GRPO_COMBINE_ADVANTAGES: of several rewards, parts [num_rewards][num_groups * group_size], the
 * weighted sum of each one's advantages, z-scored over the batch (GDPO, arXiv:2601.05242, as in
 * TRL). A NaN is left out of its sample's sum; a sample whose rewards are all NaN (or of weight 0)
 * is left out of the statistics and gets advantage 0. */
GRPO_API int grpo_combine_advantages(const grpo_objective *o, const float *parts,
                                     const float *weights, int num_rewards, int num_groups,
                                     int group_size, const int *lengths, float *advantages);
/* Process supervision (DeepSeekMath 4.1.3): step j of sequence i, step_offsets[i] <= j <
 * step_offsets[i + 1], ends with its token step_ends[j] and has step_rewards[j], z-scored over all
 * steps of the group. A token's advantage is the sum over the steps that end with it or later. */
GRPO_API int grpo_process_advantages(const grpo_objective *o, int num_groups, int group_size,
                                     const int *step_offsets, const int *step_ends,
                                     const float *step_rewards, const int *offsets,
                                     float *advantages);
/* x [n] -> (x - mean) / sqrt(sample variance + 1e-8) over those with mask (NULL: all); the others
 * become 0 (veRL). */
GRPO_API void grpo_whiten(float *x, const unsigned char *mask, int n);

/* The loss's input: packed sequences, one element a token, [offsets[num_sequences]]. Clear it
 * first: optional arrays are NULL. */
typedef struct grpo_sequences {
    int num_sequences;
    const int   *offsets;           /* [num_sequences + 1]                                       */
    const float *logprobs;          /* log pi, of the policy as it is now                        */
    const float *old_logprobs;      /* log pi_old, of the policy that drew the tokens            */
    const float *advantages;        /* A                                                         */
    const float *ref_logprobs;      /* log pi_ref; NULL: no KL                                   */
    const float *kl;                /* exact KL, for GRPO_KL_FULL                                */
    const float *sampling_logprobs; /* log pi_sampling; NULL: pi_old drew the tokens             */
    const float *entropies;         /* for entropy_coef and stats; NULL: neither                 */
    const unsigned char *mask;      /* 0: does not count, 1: counts, 2: counts, but without policy
                                       loss; NULL: all count                                     */
} grpo_sequences;

/* The loss -J and its derivatives, one per token (either may be NULL): dlogprobs, and dkl for
 * GRPO_KL_FULL, whose KL is not a function of the token's log-prob (that of entropies: see
 * grpo_backward()). Where r is of a sequence whose tokens differ in A, mask or importance, a
 * token's derivative is that of its own loss alone (GSPO-token). stats may be NULL. Sequences
 * without a token that counts are not counted in the averages. DeepSeekMath eq. 3
 * (arXiv:2402.03300); the variants' sources are in the table of presets. */
GRPO_API double grpo_loss(const grpo_objective *o, const grpo_sequences *s, float *dlogprobs,
                          float *dkl, grpo_loss_stats *stats);
/* g's batch as grpo_loss() takes it, with these log-probs of the policy as it is now. */
GRPO_API grpo_sequences grpo_batch_sequences(const grpo *g, const float *logprobs);
/* The KL estimate of one token (GRPO_KL_K1 to _ABS), and d(kl)/d(logprob) (may be NULL). */
GRPO_API float grpo_kl(int kind, float logprob, float ref_logprob, float *derivative);
/* Exact KL(pi || ref) of one row of logits over the allowed tokens (NULL: all), renormalised;
 * gradient (may be NULL) [vocab] gets d(KL)/d(logits). */
GRPO_API float grpo_full_kl(const float *logits, const float *ref_logits, int vocab,
                            float temperature, const uint32_t *allowed, float *gradient);
/* The next beta after num_samples completions with this KL: beta * (1 + clip(kl / target - 1,
 * +-0.2) num_samples / horizon) (Ziegler et al. 2019, as in veRL). */
GRPO_API float grpo_adaptive_kl(float beta, float kl, float target, float horizon, int num_samples);
/* PPO, which GRPO simplifies: examples/ppo.h trains value and reward models with these three.
 * Generalised advantage estimation (Schulman et al. 2016) within each sequence; all per token.
 * values NULL: 0. returns may be NULL; advantages may be the array of rewards. */
GRPO_API void grpo_gae(int num_sequences, const int *offsets, const float *rewards,
                       const float *values, float gamma, float lam, float *advantages,
                       float *returns);
/* The clipped value loss, mean over the tokens with mask (NULL: all), as in veRL and TRL. clip 0:
 * not clipped. dvalues, d(loss)/dV, and clipfrac, the share of tokens clipped, may be NULL. */
GRPO_API double grpo_value_loss(int num_tokens, const float *values, const float *old_values,
                                const float *returns, const unsigned char *mask, float clip,
                                float *dvalues, double *clipfrac);
/* Bradley-Terry over pairs, scores [num_pairs][chosen, rejected]: mean of -log sigmoid(chosen -
 * rejected), and d(loss)/d(scores) (may be NULL). */
GRPO_API double grpo_preference_loss(int num_pairs, const float *scores, float *dscores);
/* AdamW (Loshchilov & Hutter 2019) as in PyTorch, on arrays [n]. The gradient is first multiplied
 * by scale; step counts from 1; m and v start as zeros. */
GRPO_API void grpo_adamw(float *weights, const float *gradient, float *m, float *v, size_t n,
                         float learning_rate, float beta1, float beta2, float epsilon,
                         float weight_decay, float scale, int64_t step);
/* The factor 0..1 on the learning rate of optimizer step 0, 1, ... as in Hugging Face. */
GRPO_API float grpo_schedule(int type, int64_t step, int warmup_steps, int max_steps);
/* 1 - C(n-c, k) / C(n, k), an unbiased estimate of the chance that one of k samples is correct
 * (Chen et al. 2021, arXiv:2107.03374). */
GRPO_API double grpo_pass_at_k(int num_samples, int num_correct, int k);
/* logits [vocab] -> the tokens that s allows, one bit each, [(vocab + 31) / 32]. */
GRPO_API void grpo_filter(const grpo_sampling *s, const float *logits, int vocab,
                          uint32_t *allowed);
/* log softmax(logits / temperature) over the allowed tokens (NULL: all) at token, and the entropy
 * of that distribution (may be NULL). temperature 0 counts as 1. */
GRPO_API float grpo_logprob(const float *logits, int vocab, float temperature,
                            const uint32_t *allowed, int token, float *entropy);
/* In place, logits -> d(loss)/d(logits), from dlogprobs, d(loss)/d(logprob) of num_targets tokens
 * drawn from this row, and dentropy, d(loss)/d(entropy). */
GRPO_API void grpo_logprob_backward(float *logits, int vocab, float temperature,
                                    const uint32_t *allowed, int num_targets, const int *targets,
                                    const float *dlogprobs, float dentropy);
/* Draw one of the allowed tokens by a uniform number in [0, 1). */
GRPO_API int grpo_sample_token(const float *logits, int vocab, float temperature,
                               const uint32_t *allowed, float uniform);
/* A uniform number in [0, 1), a pure function of its five keys. */
GRPO_API float grpo_uniform(uint64_t seed, uint64_t step, uint64_t prompt, uint64_t completion,
                            uint64_t position);

/* ------------------------------------------------------------------------------------- proof --
 * Finite differences against every operation of the backend, and through the whole graph under
 * every objective. Uses the config's (NULL: grpo_defaults()) backend, allocate, release, user and
 * log, which gets a line per check. Returns the number of failures, or a negative error. */
GRPO_API int grpo_selftest(const grpo_config *config);

/* ------------------------------------------------------------------------------- the backend --
 * The algorithm is written once, over a table of operations; a backend is such a table, const.
 * Backend memory is opaque to everything else. Its kinds: E elements (activations, of a size that
 * the backend chooses; void *), F float (weights as the optimizer sees them, gradients,
 * statistics), I int (tokens, indices). Every output element is reduced in an order fixed by its
 * own length alone, so results do not depend on how the work was split.
 *
 * An operation takes one descriptor, which forward and backward share: an operation reads the
 * fields that its comment names, and the others may be anything. */
typedef struct grpo_segment {       /* consecutive tokens of one sequence                        */
    int row, num_rows;              /* their rows in this pass                                   */
    int prefix, prefix_length;      /* K/V slots of the prompt they share; a prompt has none     */
    int own, start;                 /* row j of the segment attends the whole prefix and then    */
} grpo_segment;                     /*     its own slots [own, own + start + j]                  */

typedef struct grpo_rows {          /* the rows of one pass; arrays in backend memory            */
    int num_rows, num_segments, num_groups;
    const int *tokens, *positions;  /* [num_rows]                                                */
    int num_slots;                  /* rows of k and v, a multiple of 32                         */
    const int *slots;               /* [num_rows] the row of k and v that is this row's          */
    const grpo_segment *segments;   /* [num_segments]                                            */
    const int *groups;              /* [num_groups + 1] first segment of each group: a prompt    */
                                    /*     and (or only) completions that share it, contiguous   */
    const int *done;                /* [num_rows] 1: sequence ended, output ignored; or NULL     */
    int max_keys;                   /* most keys of a row of this pass, all its ticks included   */
} grpo_rows;

/* embed: x[r] = table[tokens[r]];  backward: dtable[tokens[r]] += dx[r], rows in order */
typedef struct grpo_embedding {
    const int *tokens;              /* I [n]                                                     */
    int n, width;
    const float *table;             /* F [vocab, width]                                          */
    void *x;                        /* E [n, width]                                              */
    const void *dx;
    float *dtable;
} grpo_embedding;

/* rmsnorm: y[r] = x[rows[r]] * rstd[r] * gain, rstd[r] = 1 / sqrt(mean x^2 + eps);
 * backward, from dy, x, rstd: dx[rows[r]] += ..., dgain += sum over r, in order */
typedef struct grpo_norm {
    const void *x;                  /* E [.., width]                                             */
    const int *rows;                /* I [n]; NULL: r                                            */
    const float *gain;              /* F [width]                                                 */
    float eps;
    int n, width;
    void *y;                        /* E [n, width]                                              */
    float *rstd;                    /* F [n]                                                     */
    const void *dy;
    void *dx;
    float *dgain;                   /* NULL: not wanted                                          */
} grpo_norm;

typedef struct grpo_matrix {        /* a weight matrix [rows = out, cols = in]                   */
    float *weights;                 /* F [rows, cols], what the optimizer moves; NULL: frozen    */
    void  *operand;                 /* the same numbers in the layout the backend multiplies by  */
    int    rows, cols;
    int    y_stride;                /* elements from one row of y to the next: rows, or more if  */
} grpo_matrix;                      /*     y has more columns, or logits are padded              */

/* matmul: y = x W^T + bias + residual;  matmul_dx: dx = dy W;
 * matmul_dw: dW += dy^T x, dbias += sum of dy, both over rows in order */
typedef struct grpo_product {
    const grpo_matrix *w;           /* [out, in]                                                 */
    int n;
    const void *x;                  /* E [n, in]                                                 */
    void *y;                        /* E [n, out]                                                */
    const float *bias;              /* F [out], or NULL                                          */
    const void *residual;           /* E like y, y itself, or NULL                               */
    const void *dy;
    void *dx;
    float *dw, *dbias;              /* dbias NULL: not wanted                                    */
} grpo_product;

typedef struct grpo_heads {         /* the shape of attention                                    */
    int num_heads, num_kv_heads, head_dim;
} grpo_heads;

/* rotate: qkv -> q, and k, v scattered to their slots (k and v in the backend's own layout, dk and
 *     dv row by row). q and k are normalised per head if there are gains, then rotated by the
 *     angles of their row's position
 * attention: y = softmax(q k^T / sqrt(head_dim)) v over what each row attends, lse = log sum exp of
 *     the scores
 * attention_backward, from dy, y, lse, q, k, v: sets dq, and dk, dv in their slots
 * rotate_backward, from dq, dk, dv, qkv: sets dqkv, accumulates dgain; overwrites dq and dk */
typedef struct grpo_attention {
    const grpo_rows *rows;          /* n of them, in S slots                                     */
    grpo_heads heads;               /* Q = heads * head_dim, KV = kv_heads * head_dim            */
    const void *qkv;                /* E [n, Q + 2 KV]                                           */
    const float *angles;            /* F [positions, {cos, sin}, head_dim / 2]                   */
    const float *q_gain, *k_gain;   /* F [head_dim], or NULL                                     */
    float eps;                      /* of the norm                                               */
    void *q, *k, *v;                /* E [n, Q], [S, KV], [S, KV]                                */
    void *y;                        /* E [n, Q]                                                  */
    float *lse;                     /* F [n, heads]                                              */
    const void *dy;
    void *dq, *dk, *dv, *dqkv;
    float *dq_gain, *dk_gain;       /* NULL: not wanted                                          */
} grpo_attention;

/* swiglu: y = silu(gate) * up;  backward sets dgate_up */
typedef struct grpo_swiglu {
    const void *gate_up;            /* E [n, 2 width]: gate, then up                             */
    int n, width;
    void *y;                        /* E [n, width]                                              */
    const void *dy;
    void *dgate_up;
} grpo_swiglu;

typedef struct grpo_targets {       /* tokens whose log-prob is wanted, by row of logits         */
    int num_rows;
    const int *offsets;             /* I [num_rows + 1] first target of each row                 */
    const int *tokens;              /* I [offsets[num_rows]]                                     */
    uint32_t *allowed;              /* sets of allowed tokens, one bit each; NULL: all           */
    const int *allowed_rows;        /* I [num_rows] index of the row's set                       */
    float temperature;
} grpo_targets;

/* logprobs: logits = hidden W^T -> logprobs, entropies. Need not write logits unless keep_logits
 * sample: filters each row's logits into its set (unless allowed is NULL), then draws a token for
 *     each target, with its log-prob
 * logprobs_backward: logits become their gradient in place, plus more
 * kl: exact KL to ref_logits of each row; kl_backward: ref_logits become the gradient of
 *     sum dkl kl with respect to logits, in place */
typedef struct grpo_head {
    const grpo_matrix *w;           /* [vocab, width]; kl and backward read only its shape       */
    grpo_targets targets;           /* n of them, in R rows                                      */
    const void *hidden;             /* E [R, width]                                              */
    void *logits;                   /* E [R, w->y_stride], of which vocab columns are used       */
    int keep_logits;
    float *logprobs, *entropies;    /* F [n], [R]                                                */
    const grpo_sampling *sampling;  /* sample: the filters,                                      */
    const float *uniforms;          /*     F [n] random numbers,                                 */
    int *drawn;                     /*     I [n] -> tokens                                       */
    const float *dlogprobs, *dentropies;                      /* F [n], [R], or NULL             */
    const void *more;               /* E like logits, or NULL                                    */
    void *ref_logits;               /* E like logits                                             */
    float *kl;                      /* F [R]                                                     */
    const float *dkl;
} grpo_head;

typedef struct grpo_array { char *at; size_t row; } grpo_array;       /* row: bytes of one row   */

/* next: ends a tick without the host. sample has drawn a token for each of n sequences, a row each.
 * - Rows [staged, staged + n) of each array, which every tick writes, are copied to
 *   [stored + tick n, stored + (tick + 1) n).
 * - Line 0 of drawn, logprobs and entropies is copied to line 1 + tick; line 0 of uniforms becomes
 *   that of the next tick.
 * - Each live row advances to the token just drawn; rows of sequences that have ended stay. */
typedef struct grpo_tick {
    int num_rows;                   /* n                                                         */
    int *tick;                      /* I [1] the number of this tick, from 0                     */
    int *tokens, *positions, *slots;                          /* I [n] of the pass, like         */
    grpo_segment *segments;         /* [n]                                                       */
    int *done;                      /* I [n] 1: the sequence has ended                           */
    const int *eos;                 /* I [num_eos] tokens that end one                           */
    int num_eos;
    int *allowed_rows;              /* I [n] of the targets; each tick adds allowed_step         */
    int allowed_step;
    float *uniforms;                /* F [ticks, n]                                              */
    int *drawn;                     /* I [1 + ticks, n], line 0 as sample wrote it               */
    float *logprobs, *entropies;    /* F likewise                                                */
    const grpo_array *arrays;       /* [num_arrays], in backend memory                           */
    int num_arrays, staged, stored;
} grpo_tick;

typedef struct grpo_optimizer {     /* one step of grpo_adamw(), on F arrays [n]                 */
    float *weights, *m, *v;
    const float *gradient;
    size_t n;
    float learning_rate, beta1, beta2, epsilon, weight_decay, scale;
    int64_t step;
} grpo_optimizer;

typedef void grpo_embedding_operation(void *context, const grpo_embedding *o);
typedef void grpo_norm_operation(void *context, const grpo_norm *o);
typedef void grpo_product_operation(void *context, const grpo_product *o);
typedef void grpo_attention_operation(void *context, const grpo_attention *o);
typedef void grpo_swiglu_operation(void *context, const grpo_swiglu *o);
typedef void grpo_head_operation(void *context, const grpo_head *o);

typedef struct grpo_backend {
    const char *name;
    size_t element_size;
    /* preferred block sizes: rows of a pass, logits, and ticks between two polls by the host for
     * sequences that have ended */
    int rows_at_once, logits_at_once, ticks_at_once;
    /* life: open allocates context_size bytes; on failure it fills error[GRPO_ERROR_LENGTH] and
     * returns NULL */
    size_t (*context_size)(const grpo_config *config);
    void *(*open)(const grpo_config *config, char *error);
    void  (*close)(void *context);
    const char *(*error)(void *context);                      /* NULL: none so far               */
    /* memory */
    void *(*allocate)(void *context, size_t size);
    void  (*release)(void *context, void *memory);
    void  (*upload)(void *context, void *to, const void *from, size_t size);
    void  (*download)(void *context, void *to, const void *from, size_t size);
    void  (*zero)(void *context, void *memory, size_t size);
    /* weights: bytes of an operand (zeros at first); refresh it after the weights have changed. A
     * frozen matrix has only an operand: copy its elements [at, at + n) from or to the host's x */
    size_t (*operand_size)(int rows, int cols);
    void   (*prepare)(void *context, const grpo_matrix *w);
    void   (*write_operand)(void *context, const grpo_matrix *w, size_t at, const float *x,
                            size_t n);
    void   (*read_operand)(void *context, float *x, const grpo_matrix *w, size_t at, size_t n);
    /* y[r] = x[rows[r]], n rows of size bytes; E[n] -> F[n], and back */
    void (*gather)(void *context, void *y, const void *x, const int *rows, int n, size_t size);
    void (*to_floats)(void *context, float *to, const void *from, size_t n);
    void (*from_floats)(void *context, void *to, const float *from, size_t n);
    /* the layers: see the descriptors */
    grpo_embedding_operation *embed, *embed_backward;
    grpo_norm_operation *rmsnorm, *rmsnorm_backward;
    grpo_product_operation *matmul, *matmul_dx, *matmul_dw;
    grpo_attention_operation *rotate, *rotate_backward, *attention, *attention_backward;
    grpo_swiglu_operation *swiglu, *swiglu_backward;
    grpo_head_operation *logprobs, *sample, *logprobs_backward, *kl, *kl_backward;
    /* both NULL where ticks_at_once is 1. repeat: calls work(user) `times` times. It makes the same
     * calls of operations each time, and nothing else: a backend may record and replay them */
    void (*next)(void *context, const grpo_tick *o);
    void (*repeat)(void *context, void (*work)(void *user), void *user, int times);
    /* the optimizer, on F arrays. mix: y = a y + b x */
    void   (*adamw)(void *context, const grpo_optimizer *o);
    double (*sum_of_squares)(void *context, const float *x, size_t n);
    void   (*mix)(void *context, float *y, const float *x, float a, float b, size_t n);
} grpo_backend;

GRPO_API const grpo_backend *grpo_cpu(void);
/* In grpo_cuda.cu, for NVIDIA GPUs: bf16 on tensor cores, plain fp32, bf16 on sm_90 alone. */
extern const grpo_backend *grpo_cuda(void);
extern const grpo_backend *grpo_cuda_fp32(void);
extern const grpo_backend *grpo_cuda_hopper(void);

#ifdef __cplusplus
}
#endif
#endif /* GRPO_H */

#if defined(GRPO_IMPLEMENTATION) && !defined(GRPO_IMPLEMENTED)
#define GRPO_IMPLEMENTED
#ifdef __FAST_MATH__
#error "grpo.h: -ffast-math (or -Ofast) breaks NaN detection and the promise of equal bits; drop it"
#endif

#include <errno.h>
#include <float.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#if defined(__unix__) || defined(__APPLE__)
#include <sys/stat.h>
#include <sys/time.h>
#include <unistd.h>
#elif defined(_WIN32)
#include <direct.h>
#include <io.h>
#include <time.h>
#include <windows.h>
#else
#include <time.h>
#endif

/* Threads: Windows' own, or libc's where the C library holds them and the compiler has atomics. */
#if !defined(GRPO_NO_THREADS) && defined(__GNUC__) && (defined(__unix__) || defined(__APPLE__))
#if defined(__GLIBC__) && !defined(_REENTRANT)
#if __GLIBC_PREREQ(2, 34)           /* before 2.34 they need -pthread, which defines _REENTRANT  */
#define GRPO__THREADS
#endif
#else
#define GRPO__THREADS
#endif
#endif
#ifdef GRPO__THREADS
#include <pthread.h>
#elif !defined(GRPO_NO_THREADS) && defined(_WIN32)
#define GRPO__THREADS
#endif

/* Vector instructions: on x86 chosen at run time, so plain `cc -O2` is fast. */
#if !defined(GRPO_NO_SIMD) && defined(__GNUC__) && defined(__x86_64__)
#define GRPO__X86
#include <immintrin.h>
#elif !defined(GRPO_NO_SIMD) && defined(__GNUC__) && defined(__aarch64__)
#define GRPO__NEON
#include <arm_neon.h>
#endif

/* a*b + c must round twice: the compiler could fuse it in the body of a loop and not in its tail.
 * (The other two give up only exception flags and errno, so that sqrtf and choices vectorise.) */
#if defined(__clang__)
#pragma STDC FP_CONTRACT OFF
#elif defined(__GNUC__)
#pragma GCC push_options
#pragma GCC optimize("fp-contract=off", "no-trapping-math", "no-math-errno")
#ifdef __OPTIMIZE__
#pragma GCC optimize("tree-vectorize", "vect-cost-model=dynamic")
#endif
#endif
#ifdef __cplusplus
extern "C" {
#endif
#ifdef __GNUC__
#define GRPO__PRINTF(text, first) __attribute__((format(printf, text, first)))
#else
#define GRPO__PRINTF(text, first)
#endif

/* ---- the stairs: what the algorithm (part III) asks of the machine room (part IV), by chapter */
enum { GRPO__PATH = 1024 };         /* bytes of a file's name                                    */
/* Stages of a batch; ALONE: of functions that a team's process calls for itself, and never mind. */
enum { GRPO__ALONE = -1, GRPO__EMPTY, GRPO__ROLLED, GRPO__SCORED, GRPO__COMPARED };
struct grpo__layer_state; struct grpo__softmax; struct grpo__sums;
struct grpo__draw; struct grpo__pass;
/* >>base: addresses on the backend; a pass's integers; activations stored; its value head; input */
static int *grpo__on_device(const grpo *g, const void *host);
static void *grpo__element(const grpo *g, void *array, size_t i);
static struct grpo__pass grpo__begin_pass(grpo *g, int rows, int segments, int groups,
                                          int targets);
static void grpo__send_pass(grpo *g, struct grpo__pass *p, const grpo_sampling *sampling,
                            uint32_t *sets);
static void *grpo__stream(const grpo *g, const struct grpo__pass *pass, int layer);
static struct grpo__layer_state grpo__from_row(const grpo *g,
                                               const struct grpo__layer_state *layer, int row);
static struct grpo__layer_state grpo__recall(grpo *g, int layer, const struct grpo__pass *pass);
static void grpo__value_forward(grpo *g, const struct grpo__pass *pass);
static void grpo__value_backward(grpo *g, const struct grpo__pass *pass);
static void grpo__weights_changed(grpo *g, int model);
static void grpo__clear_gradient(grpo *g);
static float grpo__lora_scale(const grpo *g);
static int grpo__check_tokens(grpo *g, const char *what, const int *tokens, int n);
static int grpo__read_tokens(grpo *g, const char *what, int i, const grpo_prompt *given, int least,
                             int most, int *tokens);
static void grpo__missing_rewards(const grpo *g, const grpo_reward *reward, int first, int end);
static int grpo__name_culprit(grpo *g);
static int grpo__device_check(grpo *g);
static double grpo__seconds(void);
/* >>life: are the arguments there, is the config legal and the batch as far as needed? */
static int grpo__enter(const grpo *object, const char *what, int arguments, int stage);
static int grpo__check(grpo_config *c);
static int grpo__check_writes(grpo *g);
static int grpo__check_groups(grpo *g);
static int grpo__check_per_token(grpo *g, const char *what, int model, const grpo_per_token *x);
/* >>team: agreement on errors, whose prompts are whose, the batch's arrays, lanes and gradients */
static int grpo__agree(grpo *g, int code);
static int grpo__assign_prompts(grpo *g, int updates);
static int grpo__is_mine(const grpo *g, int prompt);
static int grpo__first_set(const grpo *g, int sequence);
static int grpo__prompts_of(const grpo *g, int lane, int *first, int end);
static int grpo__gather_batch(grpo *g, void *array, size_t size, const int *offsets, int first,
                              int end);
static int grpo__begin_lanes(grpo *g, const char *what);
static void grpo__end_lane(grpo *g, int lane);
static int grpo__total_loss(grpo *g, int code, grpo_loss_stats *total);
static int grpo__reduce_gradient(grpo *g);
static int grpo__gradient_norm(grpo *g, double *norm);
static float *grpo__new_weights(grpo *g);
static int grpo__share_weights(grpo *g);
/* >>metrics, >>files */
static void grpo__measure_batch(const grpo *g, grpo_metrics *m);
static void grpo__measure_sampling(const grpo_sequences *s, int t, double importance,
                                   grpo_loss_stats *sums);
static void grpo__sequence_clipping(grpo_loss_stats *s, int tokens, int low, int high);
static void grpo__add_stats(grpo_loss_stats *all, const grpo_loss_stats *part);
static void grpo__add_update(grpo_metrics *m, const struct grpo__sums *s);
static void grpo__average_updates(grpo_metrics *m);
static int grpo__append_metrics(grpo *g, const grpo_metrics *m);
/* >>ticks: a backend that draws several tokens by itself. >>characters: the built-in tokenizers */
static int grpo__draw_ticks(grpo *g, const struct grpo__draw *d, struct grpo__pass *p, int ticks);
static int grpo__encode_text(const char *vocabulary, const char *text, int *tokens, int capacity);
static int grpo__decode_text(const char *vocabulary, const int *tokens, int num_tokens,
                             char *text, int capacity);
/* >>units, >>softmax: loops over weights, and over a row of logits */
static void grpo__adamw_loop(float *weights, const float *gradient, float *m, float *v, size_t n,
                             float beta1, float beta2, float epsilon, float scale, float rate,
                             float root, float keep);
static void grpo__find_sums(struct grpo__softmax *s);
static void grpo__softmax_backward(float *logits, const struct grpo__softmax *s, float total,
                                   float dentropy, float entropy);
static void grpo__walk(const struct grpo__softmax *s, float uniform, int *token);
static void grpo__allow_most(const struct grpo__softmax *s, uint32_t *allowed, int by_mass,
                             double goal);
static void grpo__allow_likely(const struct grpo__softmax *s, uint32_t *allowed, float min_p);

/* ============================================================================================
 *
 *   III   THE ALGORITHM   in the order in which a batch lives its life
 *
 * ============================================================================================ */

/* ---------------------------------------------------------------------------------- >>tools --
 * errors, memory, random numbers, small arithmetic */

GRPO__PRINTF(3, 4)
static int grpo__fail_config(grpo_config *c, int code, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(c->error, GRPO_ERROR_LENGTH, format, arguments);
    va_end(arguments);
    if (c->log) c->log(c->error, c->user);
    return code;
}
#define grpo__fail(g, ...) grpo__fail_config(&(g)->config, __VA_ARGS__)

const char *grpo_error(const grpo *g) {
    return g ? g->config.error : "there is no object: grpo_new() returned NULL, see config.error";
}

/* Sizes that overflow stick at SIZE_MAX, which no allocator grants. */
static size_t grpo__add(size_t a, size_t b) { return a > SIZE_MAX - b ? SIZE_MAX : a + b; }
static size_t grpo__multiply(size_t a, size_t b) {
    return b && a > SIZE_MAX / b ? SIZE_MAX : a * b;
}
static size_t grpo__size(int a, int b) { return grpo__multiply((size_t)a, (size_t)b); }

static int grpo__min(int a, int b) { return a < b ? a : b; }
static int grpo__max(int a, int b) { return a > b ? a : b; }

/* NaN - NaN and Inf - Inf are NaN; anything else minus itself is 0. */
static int grpo__finite(double x) { return x - x == 0; }

/* x in [least, most]; NaN stays NaN. */
static double grpo__clamp(double x, double least, double most) {
    return x < least ? least : x > most ? most : x;
}

/* Random numbers are counter-based: a hash of their keys, so each can be drawn again by itself. The
 * mixing step is the finaliser of SplitMix64 (Steele, Lea & Flood 2014). */
static uint64_t grpo__mix(uint64_t x) {
    x += UINT64_C(0x9e3779b97f4a7c15);
    x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
    return x ^ (x >> 31);
}

static uint64_t grpo__hash(uint64_t seed, uint64_t a, uint64_t b, uint64_t c, uint64_t d) {
    return grpo__mix(grpo__mix(grpo__mix(grpo__mix(grpo__mix(seed) ^ a) ^ b) ^ c) ^ d);
}

float grpo_uniform(uint64_t seed, uint64_t step, uint64_t prompt, uint64_t completion,
                   uint64_t position) {
    uint64_t h = grpo__hash(seed, step, prompt, completion, position);
    return (float)(h >> 40) * (1.0f / 16777216.0f);           /* 24 bits: exact, below 1         */
}

static int grpo__blocks(int n, int size) { return n / size + (n % size != 0); }

/* ----------------------------------------------------------------------------------- >>text --
 * Text -> tokens -> text: by the caller's tokenizer, or a token for each character. */
int grpo_encode(grpo *g, const char *text, int *tokens, int capacity) {
    int code, n = grpo__enter(g, "grpo_encode", text && tokens && capacity >= 0, GRPO__ALONE);
    if (n) return n;
    if (g->config.encode) n = g->config.encode(g->config.tokenizer, text, tokens, capacity);
    else n = grpo__encode_text(g->config.vocabulary, text, tokens, capacity);
    if (n < 0 && g->config.encode)
        return grpo__fail(g, GRPO_CALLBACK, "your encode returned %d for \"%.60s\"", n, text);
    if (n < 0)
        return grpo__fail(g, GRPO_BAD_INPUT, "\"%.60s\": byte %d begins a character that is not in "
                          "the vocabulary", text, -1 - n);
    if (n > capacity)
        return grpo__fail(g, GRPO_BAD_INPUT, "\"%.60s\" has %d tokens, there is room for %d", text,
                          n, capacity);
    code = grpo__check_tokens(g, "your encode", tokens, n);
    return code ? code : n;
}

int grpo_decode(grpo *g, const int *tokens, int num_tokens, char *text, int capacity) {
    int n = grpo__enter(g, "grpo_decode", tokens && text && num_tokens >= 0 && capacity > 0,
                        GRPO__ALONE);
    if (!n) n = grpo__check_tokens(g, "grpo_decode", tokens, num_tokens);
    if (n) return n;
    if (g->config.decode)
        n = g->config.decode(g->config.tokenizer, tokens, num_tokens, text, capacity - 1);
    else
        n = grpo__decode_text(g->config.vocabulary, tokens, num_tokens, text, capacity - 1);
    if (n < 0) return grpo__fail(g, GRPO_CALLBACK, "your decode returned %d", n);
    if (n > capacity - 1)
        return grpo__fail(g, GRPO_BAD_INPUT, "the text of %d tokens needs %d bytes, there is room "
                          "for %d; raise max_token_bytes", num_tokens, n, capacity - 1);
    text[n] = 0;
    return n;
}

/* ---------------------------------------------------------------------------------- >>model --
 * The model: weights and activations in memory, forward, backward. */

/* ---- the weights are one array: first all matrices (AdamW decays these), then vectors. q, k, v
 * of a layer are one matrix [(heads + 2 kv_heads) head_dim, H], gate and up another [2F, H], so
 * that one product computes them: Hugging Face's separate tensors, stacked by rows, each of which
 * is contiguous and keeps its name in files. */
typedef struct grpo__shape {
    int H, F, V, Q, KV, QKV;        /* widths; Q = heads * head_dim, KV likewise, QKV = Q + 2 KV */
    size_t first_vector, total;     /* numbers in all matrices; in the whole model               */
    int    rank;                    /* of LoRA; 0: none                                          */
    size_t all_a;                   /* numbers in all of LoRA's A                                */
    size_t trained;                 /* numbers that the optimizer moves                          */
} grpo__shape;

typedef struct grpo__adapter {      /* LoRA: columns [column, column + out) of y += (x A^T) B^T  */
    grpo_matrix A, B;               /* A is held transposed, [in, rank], so that x A^T is a      */
    int column;                     /*     matmul_dx and dx += du A a matmul; B [out, rank] is   */
} grpo__adapter;                    /*     held times alpha / rank                               */

typedef struct grpo__linear {       /* y = x W^T                                                 */
    grpo_matrix w;
    int num_adapters;
    grpo__adapter adapters[3];      /* of q, k, v; of gate, up                                   */
} grpo__linear;

typedef struct grpo__layer {        /* vectors: B; NULL where the model has none                 */
    grpo__linear qkv, out, gate_up, down;
    float *norm1, *norm2, *bias, *q_gain, *k_gain;
} grpo__layer;

/* The weights of a policy or reference; or their gradients, NULL where a weight is frozen. */
typedef struct grpo__model {
    float *embedding;               /* B [V, H]                                                  */
    grpo__layer *layers;
    float *norm;                    /* B [H], after the last layer                               */
    grpo_matrix head;               /* [V, H], logits; its weights may be the embedding          */
    grpo_matrix value, value_column;/* [1, H]; the same numbers as [H, 1], for its backward      */
} grpo__model;

/* Which heads a model has. */
static int grpo__has_lm_head(const grpo_model_config *m) { return !m->num_labels; }
static int grpo__has_value_head(const grpo_model_config *m) {
    return m->num_labels || m->value_head;
}

/* ---- activations and all other arrays. B: backend memory. Widths as in grpo__shape; R rows of a
 * pass, S slots of K and V, L tokens of a completion at most. */
typedef struct grpo__layer_state {  /* what backward needs of one layer, each [rows, width]       */
    void *x, *qkv, *q, *y, *mid, *gate_up;                    /* qkv only if q and k are normed  */
    void *lse;                      /* F [rows, heads], attention's log-sum-exp                  */
    void *k, *v;                    /* [S, KV], the KV cache                                     */
} grpo__layer_state;

enum { GRPO__STATES = 7 };          /* of a layer: all but k and v                               */

typedef struct grpo__gradients {    /* of one layer, each [R, width]; dk and dv [S, KV]          */
    void *qkv, *q, *k, *v, *y, *norm, *gate_up, *act;
} grpo__gradients;

struct grpo__machinery {
    const grpo_backend *backend;
    void *context;
    grpo__shape shape;
    grpo_heads heads;
    void *device, *host;            /* the two arenas: B, and the host's memory                  */
    int max_rows;                   /* R, rows of one pass                                       */
    int max_slots;                  /* S, rows of K and V                                        */
    int stored_rows;                /* rows whose activations are stored: a pass's or the batch's */
    int stores_batch;               /* 1: sampling stores them, so that training recalls them    */
    int staged;                     /* first row of the staging area that every repeated tick    */
                                    /*     writes; 0: there is none                              */
    int stored_used;                /* rows stored so far                                        */
    int stored_valid;               /* 1: they are the batch's, under the current weights        */
    int max_sequences;              /* of a batch                                                */
    int max_length;                 /* of a prompt and its completion                            */
    int head_rows;                  /* rows whose logits exist at one time                       */
    int words;                      /* uint32_t in a set of tokens, one bit each                 */

    grpo__model models[2];          /* GRPO_POLICY, GRPO_REFERENCE (the policy, if there is none) */
    grpo__model gradients;          /* of the policy                                             */
    struct grpo__tensor *tensors, *trained_tensors;           /* of the model; of trained numbers */
    int num_tensors, num_trained_tensors;
    float *weights, *reference;     /* B, their numbers; with LoRA, weights are the embedding,   */
                                    /*     all vectors and the trained numbers; reference is     */
                                    /*     NULL with LoRA and without beta                       */
    char  *operands, *reference_operands;                     /* B                               */
    size_t operand_bytes;
    uint64_t frozen;                /* LoRA: hash of the loaded model; 0: none was loaded        */
    char  base[GRPO__PATH];         /* LoRA: the folder that it was loaded from                  */
    float *trained;                 /* B [num_trained] what the optimizer moves: all weights, or */
                                    /*     LoRA's A and B, the B times alpha / rank              */
    float *gradient;                /* B [num_trained], of the lane under way, then of all       */
    float *adam_m, *adam_v;         /* B [share], of trained numbers share_first ...             */
    float *lane_sums;               /* B [levels of a process's tree, num_trained]               */
    float *received;                /* B [a piece] of a peer's gradient                          */
    size_t share, share_first;      /* trained numbers that this process updates                 */
    size_t piece;                   /* trained numbers in each of as many pieces as lanes        */
    size_t lane_levels, received_size;
    float *dembed;                  /* B [V, H] the embedding's gradient, if the head is tied:
                                       kept apart from the head's so that rows sum in order      */
    grpo__layer_state *layers;      /* [num_hidden_layers + 1], stored_rows each; last: x alone  */
    grpo_array *stored_list, *stored_arrays;                  /* their list; on the host, and B  */
    int num_stored_arrays;
    size_t row_bytes[GRPO__STATES]; /* of a layer's arrays, in the order of grpo__states_of()    */
    grpo__layer_state current;      /* [R] of the current layer, where nothing is stored         */
    grpo__gradients d;              /* of the current layer                                      */
    void  *norm, *act;              /* B [R, H], [R, F] cheap: backward computes them again      */
    void  *inner, *dinner;          /* B [R, rank] x A^T of an adapter, and its gradient         */
    void  *dx;                      /* B [R, H] gradient of the residual stream                  */
    void  *hidden, *dhidden;        /* B [R, H] output of the final norm, and its gradient       */
    float *rstd;                    /* B [R] of the current norm                                 */
    void  *logits;                  /* B [head_rows, head.y_stride]                              */
    void  *ref_hidden, *ref_logits; /* B [R, H], like logits: the reference's, for exact KL      */
    float *kl, *dkl;                /* B [R] exact KL and its gradient; or NULL                  */
    float *values;                  /* B [R] of the scalar head, then their gradient             */
    float *angles;                  /* B [max_length, {cos, sin}, head_dim / 2]                  */
    uint32_t *allowed;              /* B [max_own G, L, words] sets of own sequences, or NULL    */
    uint32_t *allowed_scratch;      /* B [R, words] sets that training does not need             */
    float *dlogprobs, *dentropies;  /* B [targets], B [R]                                        */
    float *logprobs, *entropies, *uniforms;                   /* B [drawn], see grpo__max_drawn  */
    int   *drawn;                   /* B [drawn]                                                 */

    int   *lanes, *places;          /* [max_sequences] lane of a prompt; own prompts before it   */
    grpo_loss_stats *lane_stats;    /* [lanes]                                                   */
    double *squares;                /* [lanes] sums of squares of the gradient's pieces          */
    char  *packed;                  /* two halves: what is sent to a peer and received from it   */
    size_t packed_half, staging_size;
    float *staging;                 /* a piece of the gradient, sent, and one received           */
    int    first_lane, num_lanes, first_piece;                /* this process's                  */
    int    max_own;                 /* most prompts of one process                               */
    int    pending;                 /* 1: the gradient holds one that was not yet used           */
    int    shared;                  /* 1: the batch is the team's, 0: this process's alone       */
    int    broken;                  /* 1: an exchange has failed                                 */
    const char *entered;            /* the public function that this process is in               */
    double step_began, step_seconds;          /* of grpo_step(); its time as the team agrees on  */
    uint64_t prompts_hash, weights_hash;      /* of the batch's prompts; of all weights, 0: not  */
                                              /*     known                                       */

    int   *index_host, *index;      /* the integers of one pass, on the host and the backend     */
    int    index_used, index_size;
    int   *target_index;            /* [targets] index of a target in the batch's arrays; while  */
                                    /*     sampling, the sequence that it belongs to             */
    float *exchange;                /* [2 drawn] staging buffer to and from the backend          */
    int   *exchange_tokens;         /* [drawn]                                                   */

    grpo_config initial;            /* the config at grpo_new(), by which memory was sized       */
    int stage;                      /* of the batch: GRPO__EMPTY ... GRPO__COMPARED              */
    int first_prompt, end_prompt;   /* the minibatch                                             */
    int forward_valid;              /* 1: activations of the policy's forward over the whole     */
                                    /*     minibatch are still in memory                         */
    grpo_sampling sampling;         /* the batch's                                               */
    grpo_prompt *prompts;           /* [max_sequences]                                           */
    uint64_t *keys;                 /* [max_sequences] a prompt's key of random numbers          */
    int   *slots;                   /* [max_sequences] first slot of a prompt while sampling     */
    int   *prompt_rows;             /* [max_sequences] first stored row of a prompt              */
    int   *token_rows;              /* [max_sequences, L] stored row of a completion's token     */
    int   *active;                  /* [max_sequences] sequences still being sampled             */
    int   *lengths, *drawn_tokens;  /* [max_sequences]; [max_sequences, L], padded               */
    float *drawn_logprobs, *drawn_entropies;                  /* [max_sequences, L]              */
    float *new_logprobs, *new_entropies, *new_dlogprobs;      /* [max_sequences, L], packed      */
    float *drawn_elsewhere;         /* the same shape: log pi_sampling after grpo_adopt()        */
    float *new_kl, *new_dkl;        /* the same shape: exact KL; or NULL                         */
    int   *step_offsets, *step_ends;                          /* [max_sequences + 1]; [.., L]    */
    float *step_rewards;            /* [max_sequences, L] for process supervision; or NULL       */
    float *penalised, *compared;    /* [max_sequences] rewards minus KL; advantages              */
    unsigned char *dead;            /* [max_sequences] 1: dead group, all rewards equal          */
    unsigned char *idle;            /* [max_sequences] 1: group whose gradient is 0              */
    char  *text, *prompt_text;      /* [max_sequences] of completions; of prompts in tokens      */
    size_t text_stride, prompt_text_stride;
};

/* ---- a pass: some rows through the model. Head rows are those that predict tokens (targets). The
 * integers that describe it are contiguous on the host and uploaded at once. */
enum { GRPO__SCORE,                 /* stores nothing                                            */
       GRPO__SAMPLE,                /* stores K and V, for the tokens to come                    */
       GRPO__STORE,                 /* stores K, V and what backward needs                       */
       GRPO__RECALL };              /* computes nothing: gathers what sampling stored            */

typedef struct grpo__pass {
    int *tokens, *positions, *slots, *groups;                 /* on the host, as in grpo_rows    */
    grpo_segment *segments;
    int *head_rows, *target_offsets, *targets, *set_rows;     /* and grpo_targets                */
    int *stored_rows;               /* where sampling stored each row's activations              */
    int num_targets;
    int mode;                       /* GRPO__SCORE, _SAMPLE, _STORE or _RECALL                   */
    int first_stored;               /* GRPO__STORE: stored row of row 0                          */
    grpo_rows rows;                 /* B                                                         */
    grpo_targets heads;             /* B                                                         */
} grpo__pass;

/* count consecutive tokens of one sequence; the first is number start of those after the prefix. */
static void grpo__add_segment(grpo__pass *p, const int *tokens, int count, int prefix,
                              int prefix_length, int own, int start) {
    grpo_segment *s = &p->segments[p->rows.num_segments++];
    int i, r = p->rows.num_rows;
    s->row = r; s->num_rows = count;
    s->prefix = prefix; s->prefix_length = prefix_length;
    s->own = own; s->start = start;
    for (i = 0; i < count; i++, r++) {
        p->tokens[r] = tokens[i];
        p->positions[r] = prefix_length + start + i;
        p->slots[r] = own + start + i;
    }
    p->rows.num_rows = r;
    p->rows.max_keys = grpo__max(p->rows.max_keys, prefix_length + start + count);
}

/* A row goes through the head; its targets are added next. */
static void grpo__add_head_row(grpo__pass *p, int row, int set_row) {
    p->set_rows[p->heads.num_rows] = set_row;
    p->head_rows[p->heads.num_rows++] = row;
    p->target_offsets[p->heads.num_rows] = p->num_targets;
}

/* Token `index` of the batch is predicted by the newest head row. */
static void grpo__add_target(grpo *g, grpo__pass *p, int token, int index) {
    p->targets[p->num_targets] = token;
    g->machinery->target_index[p->num_targets++] = index;
    p->target_offsets[p->heads.num_rows] = p->num_targets;
}

/* y = x W^T + bias + residual; then for each adapter y += (x A^T) B^T, in its columns of y. */
static void grpo__linear_forward(grpo *g, const grpo__linear *l, void *y, const void *x,
                                 const float *bias, const void *residual, int n) {
    const struct grpo__machinery *m = g->machinery;
    const grpo_product whole = { &l->w, n, x, y, bias, residual, NULL, NULL, NULL, NULL };
    int i;
    m->backend->matmul(m->context, &whole);
    for (i = 0; i < l->num_adapters; i++) {
        const grpo__adapter *a = &l->adapters[i];
        void *columns = grpo__element(g, y, (size_t)a->column);
        const grpo_product A = { &a->A, n, NULL, NULL, NULL, NULL, x, m->inner, NULL, NULL };
        const grpo_product B = { &a->B, n, m->inner, columns, NULL, columns,
                                 NULL, NULL, NULL, NULL };
        m->backend->matmul_dx(m->context, &A);
        m->backend->matmul(m->context, &B);
    }
}

/* dx = dy W, and where W is trained, dW += dy^T x, dbias += dy. For each adapter, with u = x A^T:
 * dB += dy^T u,  du = dy B,  dA += du^T x,  dx += du A. dl has the gradients of l. */
static void grpo__linear_backward(grpo *g, const grpo__linear *l, const grpo__linear *dl, void *dx,
                                  float *dbias, const void *dy, const void *x, int n) {
    const struct grpo__machinery *m = g->machinery;
    const grpo_backend *b = m->backend;
    const grpo_product whole = { &l->w, n, x, NULL, NULL, NULL, dy, dx, dl->w.weights, dbias };
    void *c = m->context;
    int i;
    if (dl->w.weights) b->matmul_dw(c, &whole);
    b->matmul_dx(c, &whole);
    for (i = 0; i < l->num_adapters; i++) {
        const grpo__adapter *a = &l->adapters[i], *da = &dl->adapters[i];
        const void *columns = grpo__element(g, (void *)(uintptr_t)dy, (size_t)a->column);
        const grpo_product A = { &a->A, n, m->dinner, dx, NULL, dx, x, m->inner, da->A.weights,
                                 NULL };
        const grpo_product B = { &a->B, n, m->inner, NULL, NULL, NULL, columns, m->dinner,
                                 da->B.weights, NULL };
        b->matmul_dx(c, &A);
        b->matmul_dw(c, &B);
        b->matmul_dx(c, &B);
        b->matmul_dw(c, &A);
        b->matmul(c, &A);
    }
}

/* The operations of a layer that are no products, with its activations a and, for backward, their
 * gradients d and those of its weights dl. */
typedef struct grpo__layer_operations {
    grpo_norm norm1, norm2;
    grpo_attention attention;
    grpo_swiglu swiglu;
} grpo__layer_operations;

static grpo__layer_operations grpo__operations_of(const grpo *g, const grpo__pass *pass,
                                                  const grpo__layer *l, const grpo__layer *dl,
                                                  const grpo__layer_state *a) {
    const struct grpo__machinery *m = g->machinery;
    const grpo__gradients *d = &m->d;
    float eps = g->config.model.rms_norm_eps;
    int n = pass->rows.num_rows, H = m->shape.H;
    const grpo__layer_operations o = {
        { a->x, NULL, l->norm1, eps, n, H, m->norm, m->rstd, d->norm, m->dx, dl->norm1 },
        { a->mid, NULL, l->norm2, eps, n, H, m->norm, m->rstd, d->norm, m->dx, dl->norm2 },
        { &pass->rows, m->heads, a->qkv, m->angles, l->q_gain, l->k_gain, eps, a->q, a->k, a->v,
          a->y, (float *)a->lse, d->y, d->q, d->k, d->v, d->qkv, dl->q_gain, dl->k_gain },
        { a->gate_up, n, m->shape.F, m->act, d->act, d->gate_up } };
    return o;
}

/* x [R, H] of this layer -> x of the next, in place if nothing is stored. */
static void grpo__layer_forward(grpo *g, const grpo__model *model, int layer,
                                const grpo__pass *pass) {
    const struct grpo__machinery *m = g->machinery;
    const grpo_backend *b = m->backend;
    const grpo__layer *l = &model->layers[layer];
    grpo__layer_state a = m->current;
    grpo__layer_operations o;
    void *next = grpo__stream(g, pass, layer + 1), *c = m->context;
    int n = pass->rows.num_rows;
    if (pass->mode == GRPO__STORE) a = grpo__from_row(g, &m->layers[layer], pass->first_stored);
    if (pass->mode != GRPO__SCORE) { a.k = m->layers[layer].k; a.v = m->layers[layer].v; }
    o = grpo__operations_of(g, pass, l, &m->gradients.layers[layer], &a);
    b->rmsnorm(c, &o.norm1);
    grpo__linear_forward(g, &l->qkv, a.qkv, m->norm, l->bias, NULL, n);
    b->rotate(c, &o.attention);
    b->attention(c, &o.attention);
    grpo__linear_forward(g, &l->out, a.mid, a.y, NULL, a.x, n);
    b->rmsnorm(c, &o.norm2);
    grpo__linear_forward(g, &l->gate_up, a.gate_up, m->norm, NULL, NULL, n);
    b->swiglu(c, &o.swiglu);
    grpo__linear_forward(g, &l->down, next, m->act, NULL, a.mid, n);
}

/* The same nine lines backwards; norm and act, which are not stored, are computed again. dx [R, H]:
 * gradient of the layer's output -> of its input, in place. */
static void grpo__layer_backward(grpo *g, int layer, const grpo__pass *pass) {
    const struct grpo__machinery *m = g->machinery;
    const grpo_backend *b = m->backend;
    const grpo__layer *l = &m->models[GRPO_POLICY].layers[layer], *dl = &m->gradients.layers[layer];
    grpo__layer_state a = grpo__recall(g, layer, pass);
    grpo__layer_operations o = grpo__operations_of(g, pass, l, dl, &a);
    grpo__gradients d = m->d;
    void *c = m->context;
    int n = pass->rows.num_rows;
    /* next = mid + act down^T */
    b->swiglu(c, &o.swiglu);
    grpo__linear_backward(g, &l->down, &dl->down, d.act, NULL, m->dx, m->act, n);
    b->swiglu_backward(c, &o.swiglu);
    b->rmsnorm(c, &o.norm2);
    grpo__linear_backward(g, &l->gate_up, &dl->gate_up, d.norm, NULL, d.gate_up, m->norm, n);
    b->rmsnorm_backward(c, &o.norm2);
    /* mid = x + y out^T */
    grpo__linear_backward(g, &l->out, &dl->out, d.y, NULL, m->dx, a.y, n);
    b->attention_backward(c, &o.attention);
    b->rotate_backward(c, &o.attention);
    b->rmsnorm(c, &o.norm1);
    grpo__linear_backward(g, &l->qkv, &dl->qkv, d.norm, dl->bias, d.qkv, m->norm, n);
    b->rmsnorm_backward(c, &o.norm1);
}

/* x -> hidden [head rows, H], the head rows gathered and normalised. */
static void grpo__final_norm(grpo *g, const grpo__model *model, const grpo__pass *pass,
                             const void *x, void *hidden) {
    const struct grpo__machinery *m = g->machinery;
    const grpo_norm o = { x, grpo__on_device(g, pass->head_rows), model->norm,
                          g->config.model.rms_norm_eps,
                          pass->heads.num_rows, m->shape.H, hidden, m->rstd, NULL, NULL, NULL };
    m->backend->rmsnorm(m->context, &o);
}

/* Tokens -> hidden */
static void grpo__body_forward(grpo *g, const grpo__model *model, const grpo__pass *pass,
                               void *hidden) {
    const struct grpo__machinery *m = g->machinery;
    int layer, layers = g->config.model.num_hidden_layers;
    const grpo_embedding o = { pass->rows.tokens, pass->rows.num_rows, m->shape.H,
                               model->embedding, grpo__stream(g, pass, 0), NULL, NULL };
    m->backend->embed(m->context, &o);
    for (layer = 0; layer < layers; layer++) grpo__layer_forward(g, model, layer, pass);
    grpo__final_norm(g, model, pass, grpo__stream(g, pass, layers), hidden);
}

/* Hidden states of a pass under a model; GRPO__RECALL gathers the last layer's stored output. */
static void grpo__pass_hidden(grpo *g, int model, const grpo__pass *pass) {
    const struct grpo__machinery *m = g->machinery;
    if (pass->mode != GRPO__RECALL) {
        grpo__body_forward(g, &m->models[model], pass, m->hidden);
        return;
    }
    m->backend->gather(m->context, m->current.x, m->layers[g->config.model.num_hidden_layers].x,
                       grpo__on_device(g, pass->stored_rows), pass->rows.num_rows,
                       m->row_bytes[0]);
    grpo__final_norm(g, &m->models[GRPO_POLICY], pass, m->current.x, m->hidden);
}

/* dhidden [head rows, H] -> gradient of every weight below the head. */
static void grpo__body_backward(grpo *g, const grpo__pass *pass) {
    const struct grpo__machinery *m = g->machinery;
    const grpo_backend *b = m->backend;
    int layer, layers = g->config.model.num_hidden_layers, n = pass->rows.num_rows;
    const grpo_norm norm = { pass->mode == GRPO__RECALL ? m->current.x : m->layers[layers].x,
                             grpo__on_device(g, pass->head_rows),
                             m->models[GRPO_POLICY].norm, g->config.model.rms_norm_eps,
                             pass->heads.num_rows, m->shape.H, NULL, m->rstd, m->dhidden, m->dx,
                             m->gradients.norm };
    const grpo_embedding embedding = { pass->rows.tokens, n, m->shape.H, NULL, NULL, m->dx,
                                       m->dembed ? m->dembed : m->gradients.embedding };
    b->zero(m->context, m->dx, grpo__size(n, m->shape.H) * b->element_size);
    b->rmsnorm_backward(m->context, &norm);
    for (layer = layers; layer-- > 0; ) grpo__layer_backward(g, layer, pass);
    if (m->gradients.embedding) b->embed_backward(m->context, &embedding);
}

/* ---- the heads, in blocks of rows: all logits never exist at once. */
typedef struct grpo__block_of_rows {
    int first, n;                   /* head rows [first, first + n)                              */
    grpo_head head;                 /* of these rows; the caller sets what its operation needs   */
    grpo_product product;           /* hidden -> logits, and backward                            */
} grpo__block_of_rows;

/* Moves k to the next block (first and n begin as 0). Returns 0 after the last. */
static int grpo__next_block(const grpo *g, const grpo__model *model, const grpo__pass *pass,
                            grpo__block_of_rows *k) {
    const struct grpo__machinery *m = g->machinery;
    grpo_head *h = &k->head;
    grpo_product *p = &k->product;
    size_t at;
    k->first += k->n;
    k->n = grpo__min(m->head_rows, pass->heads.num_rows - k->first);
    at = grpo__size(k->first, m->shape.H);
    memset(h, 0, sizeof *h);
    memset(p, 0, sizeof *p);
    h->w = p->w = &model->head;
    h->targets = pass->heads;
    h->targets.num_rows = p->n = k->n;
    h->targets.offsets += k->first;
    h->targets.allowed_rows += k->first;
    h->hidden = p->x = grpo__element(g, m->hidden, at);
    h->logits = p->y = m->logits;
    h->logprobs = m->logprobs; h->entropies = m->entropies + k->first;
    p->dy = m->logits; p->dx = grpo__element(g, m->dhidden, at); p->dw = m->gradients.head.weights;
    return k->n > 0;
}

/* Logits of the reference for the rows of a block. */
static void grpo__reference_logits(grpo *g, grpo__block_of_rows *k) {
    const struct grpo__machinery *m = g->machinery;
    grpo_product p = k->product;
    p.w = &m->models[GRPO_REFERENCE].head;
    p.x = grpo__element(g, m->ref_hidden, grpo__size(k->first, m->shape.H));
    p.y = k->head.ref_logits = m->ref_logits;
    m->backend->matmul(m->context, &p);
}

/* Hidden states -> log-probs [targets], entropies [head rows] and, if asked for, exact KL [head
 * rows]. */
static void grpo__head_forward(grpo *g, const grpo__model *model, const grpo__pass *pass,
                               int with_kl) {
    const struct grpo__machinery *m = g->machinery;
    grpo__block_of_rows k;
    for (k.first = k.n = 0; grpo__next_block(g, model, pass, &k); ) {
        k.head.keep_logits = with_kl;
        m->backend->logprobs(m->context, &k.head);
        if (!with_kl) continue;
        grpo__reference_logits(g, &k);
        k.head.kl = m->kl + k.first;
        m->backend->kl(m->context, &k.head);
    }
}

/* d(loss)/d(logprobs) [targets] and, where asked for, d(loss)/d(entropies) and d(loss)/d(kl) [head
 * rows] -> dhidden, and the head's gradient. The logits of a block are computed again, then
 * overwritten with d(loss)/d(logits). */
static void grpo__head_backward(grpo *g, const grpo__pass *pass, int with_entropy, int with_kl) {
    const struct grpo__machinery *m = g->machinery;
    const grpo_backend *b = m->backend;
    grpo__block_of_rows k;
    for (k.first = k.n = 0; grpo__next_block(g, &m->models[GRPO_POLICY], pass, &k); ) {
        b->matmul(m->context, &k.product);
        if (with_kl) {
            grpo__reference_logits(g, &k);
            k.head.dkl = m->dkl + k.first;
            b->kl_backward(m->context, &k.head);
            k.head.more = m->ref_logits;
        }
        k.head.dlogprobs = m->dlogprobs;
        k.head.dentropies = with_entropy ? m->dentropies + k.first : NULL;
        b->logprobs_backward(m->context, &k.head);
        if (k.product.dw) b->matmul_dw(m->context, &k.product);
        b->matmul_dx(m->context, &k.product);
    }
}

/* ------------------------------------------------------------------------------- >>sampling --
 * One row of logits z[vocab] -> filter -> token -> log-prob, and back. With K the allowed tokens, T
 * the temperature and x_v = (z_v - max_K z) / T:
 *
 *     S = sum_K e^x,     p_v = e^x_v / S  for v in K, else 0,     H = -sum_K p log p
 *
 * Sampling and training call this code with the same K, so their log-probs are the same bits. */

/* Can these settings exclude a token? Then training needs the sets of allowed tokens. */
static int grpo__filters(const grpo_sampling *s) {
    return s->temperature == 0 || s->top_k > 0 || s->top_p < 1 || s->min_p > 0;
}

static int grpo__is_allowed(const uint32_t *allowed, int token) {
    return !allowed || (allowed[token >> 5] >> (token & 31) & 1u);
}

typedef struct grpo__softmax {
    const float *z;                 /* [vocab]                                                   */
    int vocab;
    const uint32_t *allowed;        /* K, one bit each; NULL: all                                */
    float top, inverse;             /* max_K z, 1 / T                                            */
    double partition, weighted;     /* S = sum_K e^x, and sum_K e^x x                            */
} grpo__softmax;                    /* grpo__find_sums() fills in top and the sums               */

static float grpo__scaled(const grpo__softmax *s, int v) { return (s->z[v] - s->top) * s->inverse; }

static grpo__softmax grpo__softmax_of(const float *z, int vocab, float temperature,
                                      const uint32_t *allowed) {
    grpo__softmax s = { z, vocab, allowed, 0, temperature > 0 ? 1.0f / temperature : 1.0f, 0, 0 };
    grpo__find_sums(&s);
    return s;
}

/* H = log S - 1/S sum_K e^x x */
static float grpo__entropy(const grpo__softmax *s) {
    return (float)(log(s->partition) - s->weighted / s->partition);
}

static float grpo__logprob(const grpo__softmax *s, int token) {
    return (float)((double)grpo__scaled(s, token) - log(s->partition));
}

float grpo_logprob(const float *logits, int vocab, float temperature, const uint32_t *allowed,
                   int token, float *entropy) {
    grpo__softmax s;
    if (entropy) *entropy = (float)NAN;
    if (!logits || token < 0 || token >= vocab) return (float)NAN;
    s = grpo__softmax_of(logits, vocab, temperature, allowed);
    if (entropy) *entropy = grpo__entropy(&s);
    return grpo__logprob(&s, token);
}

/* dlogp_i / dz_v = ([v = token_i] - p_v) / T     and     dH / dz_v = -p_v (log p_v + H) / T */
void grpo_logprob_backward(float *logits, int vocab, float temperature, const uint32_t *allowed,
                           int num_targets, const int *targets, const float *dlogprobs,
                           float dentropy) {
    grpo__softmax s;
    float total = 0;
    int i;
    if (!logits || vocab < 1 || (num_targets > 0 && (!targets || !dlogprobs))) return;
    for (i = 0; i < num_targets; i++)
        if (targets[i] < 0 || targets[i] >= vocab) return;
    s = grpo__softmax_of(logits, vocab, temperature, allowed);
    for (i = 0; i < num_targets; i++) total += dlogprobs[i];
    grpo__softmax_backward(logits, &s, total, dentropy, grpo__entropy(&s));
    for (i = 0; i < num_targets; i++) logits[targets[i]] += s.inverse * dlogprobs[i];
}

/* KL = sum_K p_v (log p_v - log q_v), and dKL / dz_v = p_v (log p_v - log q_v - KL) / T.
 * gradient may be ref_logits. */
float grpo_full_kl(const float *logits, const float *ref_logits, int vocab, float temperature,
                   const uint32_t *allowed, float *gradient) {
    grpo__softmax p, q;
    double kl = 0, shift;
    int v;
    if (!logits || !ref_logits || vocab < 1) return (float)NAN;
    p = grpo__softmax_of(logits, vocab, temperature, allowed);
    q = grpo__softmax_of(ref_logits, vocab, temperature, allowed);
    shift = log(q.partition) - log(p.partition);
    for (v = 0; v < vocab; v++) {
        double x = (double)grpo__scaled(&p, v), gap = x - (double)grpo__scaled(&q, v) + shift;
        double share = grpo__is_allowed(allowed, v) ? exp(x) / p.partition : 0;
        if (share != 0) kl += share * gap;                    /* 0 log 0 = 0                     */
    }
    for (v = 0; v < vocab && gradient; v++) {
        double x = (double)grpo__scaled(&p, v), gap = x - (double)grpo__scaled(&q, v) + shift;
        double share = grpo__is_allowed(allowed, v) ? (double)p.inverse * exp(x) / p.partition : 0;
        gradient[v] = share != 0 ? (float)(share * (gap - kl)) : 0.0f;
    }
    return (float)kl;
}

int grpo_sample_token(const float *logits, int vocab, float temperature, const uint32_t *allowed,
                      float uniform) {
    grpo__softmax s;
    int token;
    if (!logits || vocab < 1) return GRPO_BAD_INPUT;
    s = grpo__softmax_of(logits, vocab, temperature, allowed);
    grpo__walk(&s, uniform, &token);
    return token;
}

void grpo_filter(const grpo_sampling *s, const float *logits, int vocab, uint32_t *allowed) {
    int v, words, top_k;
    grpo__softmax row;
    if (!s || !logits || vocab < 1 || !allowed) return;
    words = grpo__blocks(vocab, 32);
    top_k = s->temperature == 0 ? 1 : s->top_k;
    row = grpo__softmax_of(logits, vocab, s->temperature, NULL);
    for (v = 0; v < words; v++) allowed[v] = 0xffffffffu;
    if (vocab & 31) allowed[words - 1] = (1u << (vocab & 31)) - 1;
    if (!(row.partition > 0)) return;                         /* NaN: log-probs become NaN too   */
    row.allowed = allowed;
    if (top_k > 0 && top_k < vocab) grpo__allow_most(&row, allowed, 0, top_k);
    if (s->top_p < 1) grpo__allow_most(&row, allowed, 1, (double)s->top_p);
    if (s->min_p > 0) grpo__allow_likely(&row, allowed, s->min_p);
}

/* -------------------------------------------------------------------------------- >>rollout --
 * prompts -> tokens -> G completions of each -> one packed batch. */

/* A prompt's random numbers are keyed by its tokens and the number of equal prompts before it, so
 * they do not depend on its index in the batch. */
static void grpo__key_prompts(grpo *g) {
    const grpo_batch *b = &g->batch;
    uint64_t *keys = g->machinery->keys;
    int i, j, t;
    for (i = 0; i < b->num_prompts; i++) {
        keys[i] = 0;
        for (t = b->prompt_offsets[i]; t < b->prompt_offsets[i + 1]; t++)
            keys[i] = grpo__mix(keys[i] ^ (uint64_t)b->prompt_tokens[t]);
    }
    for (i = b->num_prompts; i-- > 0; ) {
        uint64_t copies = 0;
        for (j = 0; j < i; j++) copies += keys[j] == keys[i];
        keys[i] = grpo__mix(keys[i] + copies);
    }
}

/* Begin a batch of these prompts with group_size completions each, which are still empty, for so
 * many updates (0: it is not the team's). */
static int grpo__begin_batch(grpo *g, const grpo_prompt *prompts, int num_prompts, int group_size,
                             int updates) {
    grpo_batch *b = &g->batch;
    int i, n, most = g->machinery->max_sequences / group_size;
    if (num_prompts < 1 || num_prompts > most)
        return grpo__fail(g, GRPO_BAD_INPUT, "%d prompts; 1 to %d fit with %d completions each: "
                          "num_prompts is %d", num_prompts, most, group_size,
                          g->config.num_prompts);
    g->machinery->stage = GRPO__EMPTY;
    g->machinery->stored_used = g->machinery->stored_valid = g->machinery->forward_valid = 0;
    g->machinery->first_prompt = 0;
    g->machinery->end_prompt = num_prompts;
    b->sampling_logprobs = NULL;
    b->num_prompts = num_prompts;
    b->group_size = group_size;
    b->num_sequences = num_prompts * group_size;
    b->prompt_offsets[0] = 0;
    for (i = 0; i < num_prompts; i++) {
        n = grpo__read_tokens(g, "prompt", i, &prompts[i], 1, g->config.max_prompt_length,
                              b->prompt_tokens + b->prompt_offsets[i]);
        if (n < 0) return n;
        b->prompt_offsets[i + 1] = b->prompt_offsets[i] + n;
        b->resampled[i] = 0;
        g->machinery->prompts[i] = prompts[i];
    }
    grpo__key_prompts(g);
    return grpo__assign_prompts(g, updates);
}

/* ---- sampling: the forward pass on all rows of the prompts (prefill), then, tick by tick, on one
 * new row of each sequence (decode). K and V of a row stay in its slot, so each row is computed
 * once. */
typedef struct grpo__draw {         /* how a batch is sampled                                    */
    uint64_t seed, step, attempt;   /* keys of its random numbers                                */
    grpo_sampling sampling;
    uint32_t *allowed;              /* B sets that the filters write; NULL: no filter            */
    int remember;                   /* 1: allowed is the batch's, 0: scratch                     */
    int mode;                       /* GRPO__SAMPLE or GRPO__STORE                               */
} grpo__draw;

static int grpo__prompt_length(const grpo_batch *b, int prompt) {
    return b->prompt_offsets[prompt + 1] - b->prompt_offsets[prompt];
}

/* First own slot of a sequence while it is sampled. */
static int grpo__own_slot(const grpo *g, int sequence) {
    const grpo_batch *b = &g->batch;
    int p = sequence / b->group_size;
    return g->machinery->slots[p] + grpo__prompt_length(b, p)
         + sequence % b->group_size * g->config.max_completion_length;
}

static int grpo__is_eos(const grpo *g, int token) {
    const grpo_config *c = &g->config;
    int i = 0;
    while (i < c->num_eos && c->eos_token_ids[i] != token) i++;
    return token == c->eos_token_id || i < c->num_eos;
}

static int grpo__has_ended(const grpo *g, int sequence) {
    const struct grpo__machinery *w = g->machinery;
    size_t at = grpo__size(sequence, g->config.max_completion_length);
    int length = w->lengths[sequence];
    return length > 0 && grpo__is_eos(g, w->drawn_tokens[at + (size_t)length - 1]);
}

/* Download lines [first, first + ticks) of the drawn arrays (a line a tick) and append each token
 * to its target's sequence, target_index[target], unless that has ended. */
static int grpo__fetch_drawn(grpo *g, const grpo__pass *pass, int first, int ticks) {
    struct grpo__machinery *w = g->machinery;
    const grpo_backend *b = w->backend;
    const grpo_token_function told = w->shared ? NULL : g->config.on_token;
    const int n = pass->num_targets, rows = pass->heads.num_rows, G = g->batch.group_size;
    int tick, r, i, code;
    size_t all = grpo__size(ticks, n), skip = grpo__size(first, n);
    float *logprobs = w->exchange, *entropies = w->exchange + all;
    b->download(w->context, w->exchange_tokens, w->drawn + skip, all * sizeof(int));
    b->download(w->context, logprobs, w->logprobs + skip, all * sizeof(float));
    b->download(w->context, entropies, w->entropies + grpo__size(first, rows),
                grpo__size(ticks, rows) * sizeof(float));
    code = grpo__device_check(g);
    for (tick = 0; tick < ticks; tick++)
        for (r = 0; r < rows; r++)
            for (i = pass->target_offsets[r]; i < pass->target_offsets[r + 1] && !code; i++) {
                int sequence = w->target_index[i], t = w->lengths[sequence];
                size_t at = grpo__size(sequence, g->config.max_completion_length) + (size_t)t;
                if (grpo__has_ended(g, sequence)) continue;
                w->drawn_tokens[at] = w->exchange_tokens[tick * n + i];
                w->drawn_logprobs[at] = logprobs[tick * n + i];
                w->drawn_entropies[at] = entropies[tick * rows + r];
                w->lengths[sequence]++;
                if (told && told(sequence, w->drawn_tokens + at - t, t + 1, g->config.user))
                    code = grpo__fail(g, GRPO_CALLBACK, "on_token has ended it at token %d", t);
                else if (!grpo__finite((double)w->drawn_logprobs[at]))
                    code = grpo__fail(g, GRPO_NONFINITE, "the log-prob of token %d of completion "
                                      "%d of prompt %d is not finite: the weights are damaged or "
                                      "overflow", t, sequence % G, sequence / G);
            }
    return code;
}

/* Random numbers for the next `ticks` tokens of each target. */
static void grpo__send_uniforms(grpo *g, const grpo__draw *d, const grpo__pass *pass, int ticks) {
    struct grpo__machinery *w = g->machinery;
    int i, n = pass->num_targets, G = g->batch.group_size;
    for (i = 0; i < ticks * n; i++) {
        int sequence = w->target_index[i % n];
        w->exchange[i] = grpo_uniform(d->seed, d->step,
                                      w->keys[sequence / G] + grpo__mix(d->attempt),
                                      (uint64_t)(sequence % G),
                                      (uint64_t)(w->lengths[sequence] + i / n));
    }
    w->backend->upload(w->context, w->uniforms, w->exchange,
                       grpo__size(ticks, n) * sizeof(float));
}

/* Rows -> logits of the head rows -> a token for every target. */
static void grpo__sample_pass(grpo *g, const grpo__draw *d, const grpo__pass *pass) {
    struct grpo__machinery *w = g->machinery;
    const grpo__model *policy = &w->models[GRPO_POLICY];
    grpo__block_of_rows k;
    grpo__body_forward(g, policy, pass, w->hidden);
    for (k.first = k.n = 0; grpo__next_block(g, policy, pass, &k); ) {
        k.head.sampling = &d->sampling;
        k.head.uniforms = w->uniforms;
        k.head.drawn = w->drawn;
        w->backend->sample(w->context, &k.head);
    }
}

static int grpo__draw_tokens(grpo *g, const grpo__draw *d, grpo__pass *pass) {
    struct grpo__machinery *w = g->machinery;
    pass->mode = d->mode;
    grpo__send_pass(g, pass, &d->sampling, d->allowed);
    grpo__send_uniforms(g, d, pass, 1);
    pass->first_stored = w->stored_used;
    grpo__sample_pass(g, d, pass);
    if (d->mode == GRPO__STORE) w->stored_used += pass->rows.num_rows;
    return grpo__fetch_drawn(g, pass, 0, 1);
}

/* Prompts [first, *end): their rows, and the first token of each of their completions. Takes as
 * many prompts as fit in one pass and sets *end accordingly. */
static int grpo__prefill(grpo *g, const grpo__draw *d, int first, int *end) {
    const grpo_batch *b = &g->batch;
    int p, c, rows = 0, last = first, G = b->group_size;
    grpo__pass pass;
    for (; last < *end; last++) {
        int n = grpo__is_mine(g, last) ? grpo__prompt_length(b, last) : 0;
        if (rows + n > g->machinery->max_rows) break;
        rows += n;
    }
    *end = last;
    if (!rows) return GRPO_OK;
    pass = grpo__begin_pass(g, rows, last - first, last - first, (last - first) * G);
    for (p = first; p < last; p++) {
        if (!grpo__is_mine(g, p)) continue;
        g->machinery->prompt_rows[p] = g->machinery->stored_used + pass.rows.num_rows;
        grpo__add_segment(&pass, b->prompt_tokens + b->prompt_offsets[p],
                          grpo__prompt_length(b, p), 0, 0, g->machinery->slots[p], 0);
        pass.groups[++pass.rows.num_groups] = pass.rows.num_segments;
        grpo__add_head_row(&pass, pass.rows.num_rows - 1, d->remember
                           ? grpo__first_set(g, p * G) : pass.heads.num_rows);
        for (c = p * G; c < (p + 1) * G; c++) {
            g->machinery->lengths[c] = 0;
            grpo__add_target(g, &pass, 0, c);
        }
    }
    return grpo__draw_tokens(g, d, &pass);
}

/* One tick: the next token of every active sequence; or several, if the backend can run them
 * without the host. All active sequences have the same length. */
static int grpo__decode(grpo *g, const grpo__draw *d, int num_active) {
    const struct grpo__machinery *w = g->machinery;
    const grpo_batch *b = &g->batch;
    int i, j, L = g->config.max_completion_length;
    int ticks = grpo__min(w->backend->ticks_at_once, L - w->lengths[w->active[0]]);
    grpo__pass pass = grpo__begin_pass(g, num_active, num_active, num_active, num_active);
    for (i = 0; i < num_active; i++) {
        int sequence = w->active[i], p = sequence / b->group_size, t = w->lengths[sequence];
        grpo__add_segment(&pass, w->drawn_tokens + grpo__size(sequence, L) + t - 1, 1, w->slots[p],
                          grpo__prompt_length(b, p), grpo__own_slot(g, sequence), t - 1);
        if (i + 1 == num_active || p != w->active[i + 1] / b->group_size)
            pass.groups[++pass.rows.num_groups] = pass.rows.num_segments;
        for (j = 0; j < ticks; j++)
            w->token_rows[grpo__size(sequence, L) + (size_t)(t - 1 + j)]
                = w->stored_used + j * num_active + i;
        grpo__add_head_row(&pass, i, d->remember ? grpo__first_set(g, sequence) + t : i);
        grpo__add_target(g, &pass, 0, sequence);
    }
    return w->backend->ticks_at_once > 1 ? grpo__draw_ticks(g, d, &pass, ticks)
                                         : grpo__draw_tokens(g, d, &pass);
}

/* Sample all completions of this process's prompts in [first, end), as many prompts together as K
 * and V have room. */
static int grpo__sample(grpo *g, const grpo__draw *d, int first, int end) {
    struct grpo__machinery *w = g->machinery;
    const grpo_batch *b = &g->batch;
    int G = b->group_size, L = g->config.max_completion_length, code = GRPO_OK, last, p, to;
    w->sampling = d->sampling;
    for (; first < end && !code; first = last) {
        int slots = 0, active = 1, sequences = 0, i;
        for (last = first; last < end; last++) {
            int need = grpo__prompt_length(b, last) + G * L;
            if (!grpo__is_mine(g, last)) continue;
            if (slots + need > w->max_slots || sequences + G > w->max_rows) break;
            w->slots[last] = slots;
            slots += need;
            sequences += G;
        }
        for (p = first; p < last && !code; p = to) {
            to = last;
            code = grpo__prefill(g, d, p, &to);
        }
        while (!code && active > 0) {                         /* neither ended nor at the limit  */
            for (active = 0, i = first * G; i < last * G; i++)
                if (grpo__is_mine(g, i / G) && w->lengths[i] < L && !grpo__has_ended(g, i))
                    w->active[active++] = i;
            if (active) code = grpo__decode(g, d, active);
        }
    }
    return code;
}

/* Tokens -> text, for the reward functions. */
static int grpo__make_sample(grpo *g, int i) {
    const struct grpo__machinery *w = g->machinery;
    grpo_batch *b = &g->batch;
    grpo_sample *s = &b->samples[i];
    int p = i / b->group_size, n;
    char *text = w->text + (size_t)i * w->text_stride;
    char *prompt_text = w->prompt_text + (size_t)p * w->prompt_text_stride;
    s->prompt_index = p;
    s->completion_index = i % b->group_size;
    s->prompt_tokens = b->prompt_tokens + b->prompt_offsets[p];
    s->num_prompt_tokens = grpo__prompt_length(b, p);
    s->tokens = b->tokens + b->offsets[i];
    s->num_tokens = b->offsets[i + 1] - b->offsets[i];
    s->truncated = b->truncated[i];
    s->max_completion_length = g->config.max_completion_length;
    s->answer = w->prompts[p].answer;
    s->data = w->prompts[p].data;
    s->completion = text;
    s->prompt = w->prompts[p].text ? w->prompts[p].text : prompt_text;
    n = grpo_decode(g, s->tokens, s->num_tokens - !s->truncated, text, (int)w->text_stride);
    if (n >= 0 && !w->prompts[p].text && s->completion_index == 0)
        n = grpo_decode(g, s->prompt_tokens, s->num_prompt_tokens, prompt_text,
                        (int)w->prompt_text_stride);
    return n < 0 ? n : GRPO_OK;
}

/* Pack the drawn arrays into the batch's (no padding from here on) and decode the text. A team
 * gathers what each process has drawn; code: is all well so far? */
static int grpo__finish_batch(grpo *g, int code) {
    const struct grpo__machinery *w = g->machinery;
    grpo_batch *b = &g->batch;
    int i, n = b->num_prompts, L = g->config.max_completion_length;
    if (w->shared) code = grpo__agree(g, code);
    if (code) return code;
    code = grpo__gather_batch(g, w->lengths, sizeof(int), NULL, 0, n);
    b->offsets[0] = 0;
    for (i = 0; i < b->num_sequences && !code; i++) {
        size_t from = grpo__size(i, L), to = (size_t)b->offsets[i], size = (size_t)w->lengths[i];
        b->offsets[i + 1] = b->offsets[i] + w->lengths[i];
        if (!grpo__is_mine(g, i / b->group_size)) continue;
        memcpy(b->tokens + to, w->drawn_tokens + from, size * sizeof(int));
        memcpy(b->logprobs + to, w->drawn_logprobs + from, size * sizeof(float));
        memcpy(b->entropies + to, w->drawn_entropies + from, size * sizeof(float));
    }
    if (!code) code = grpo__gather_batch(g, b->tokens, sizeof(int), b->offsets, 0, n);
    if (!code) code = grpo__gather_batch(g, b->logprobs, sizeof(float), b->offsets, 0, n);
    if (!code) code = grpo__gather_batch(g, b->entropies, sizeof(float), b->offsets, 0, n);
    for (i = 0; i < b->num_sequences && !code; i++) {
        b->truncated[i] = !grpo__is_eos(g, b->tokens[b->offsets[i + 1] - 1]);
        code = grpo__make_sample(g, i);
    }
    if (w->shared) code = grpo__agree(g, code);
    if (!code) g->machinery->stage = GRPO__ROLLED;
    return code;
}

/* Fill in d. remember 1: training will need the sets of allowed tokens. */
static int grpo__how_to_draw(grpo *g, grpo__draw *d, const grpo_sampling *sampling, int remember) {
    struct grpo__machinery *w = g->machinery;
    grpo_config check = g->config;
    int code = grpo__check_writes(g);
    if (code) return code;
    check.sampling = *sampling;
    check.log = NULL;
    if (grpo__check(&check)) return grpo__fail(g, GRPO_BAD_INPUT, "%s", check.error);
    memset(d, 0, sizeof *d);
    d->sampling = *sampling;
    if (d->sampling.top_p == 0) d->sampling.top_p = 1;        /* zeros: greedy                   */
    d->seed = g->config.seed;
    d->remember = remember && grpo__filters(sampling);
    if (d->remember && !w->allowed)
        return grpo__fail(g, GRPO_BAD_INPUT, "sampling was changed to use a filter, and the sets "
                          "it keeps need memory: set top_k, top_p, min_p before grpo_new()");
    if (grpo__filters(sampling)) d->allowed = remember ? w->allowed : w->allowed_scratch;
    d->mode = GRPO__SAMPLE;
    return GRPO_OK;
}

/* Count the step that this batch begins; before the first one the reference is set. */
static int grpo__count_batch(grpo *g) {
    const grpo_batch *b = &g->batch;
    int p;
    g->state.step++;
    for (p = 0; p < b->num_prompts; p++)
        g->state.num_tokens += (double)grpo__prompt_length(b, p) * b->group_size;
    g->state.num_tokens += (double)b->offsets[b->num_sequences];
    return g->machinery->reference && !g->state.reference_set ? grpo_set_reference(g, 1) : GRPO_OK;
}

int grpo_rollout(grpo *g, const grpo_prompt *prompts, int num_prompts) {
    grpo__draw d;
    int code = grpo__enter(g, "grpo_rollout", prompts != NULL, GRPO__EMPTY);
    if (!code) code = grpo__how_to_draw(g, &d, &g->config.sampling, 1);
    if (!code) code = grpo__begin_batch(g, prompts, num_prompts, g->config.num_generations,
                                        g->config.steps_per_generation);
    if (code) return grpo__agree(g, code);
    d.step = (uint64_t)g->state.step;
    if (g->machinery->stores_batch) d.mode = GRPO__STORE;
    code = grpo__sample(g, &d, 0, num_prompts);
    code = grpo__finish_batch(g, code);
    if (code) return code;
    g->machinery->stored_valid = g->machinery->stores_batch;
    return grpo__count_batch(g);
}

/* --------------------------------------------------------------------------------- >>passes --
 * The batch's rows forward and backward, in passes of as many whole groups as fit. A group is one
 * prompt's rows followed by its completions'; the last token of a completion predicts nothing and
 * has no row. */
static void grpo__add_group(grpo *g, grpo__pass *pass, int p) {
    const struct grpo__machinery *w = g->machinery;
    const grpo_batch *b = &g->batch;
    int P = grpo__prompt_length(b, p), prefix = pass->rows.num_rows, i, t;
    int first = p * b->group_size, last = first + b->group_size;
    int L = g->config.max_completion_length;
    for (t = 0; t < P; t++) pass->stored_rows[prefix + t] = w->prompt_rows[p] + t;
    if (pass->mode == GRPO__RECALL) prefix = w->slots[p];
    grpo__add_segment(pass, b->prompt_tokens + b->prompt_offsets[p], P, 0, 0, prefix, 0);
    grpo__add_head_row(pass, pass->rows.num_rows - 1, grpo__first_set(g, first));
    for (i = first; i < last; i++)
        grpo__add_target(g, pass, b->tokens[b->offsets[i]], b->offsets[i]);
    for (i = first; i < last; i++) {
        int from = b->offsets[i], rows = b->offsets[i + 1] - from - 1, row = pass->rows.num_rows;
        if (rows == 0) continue;
        grpo__add_segment(pass, b->tokens + from, rows, prefix, P,
                          pass->mode == GRPO__RECALL ? grpo__own_slot(g, i) : row, 0);
        for (t = 0; t < rows; t++) {
            pass->stored_rows[row + t] = w->token_rows[grpo__size(i, L) + (size_t)t];
            grpo__add_head_row(pass, row + t, grpo__first_set(g, i) + t + 1);
            grpo__add_target(g, pass, b->tokens[from + t + 1], from + t + 1);
        }
    }
    pass->groups[++pass->rows.num_groups] = pass->rows.num_segments;
}

/* A pass of groups [first, *next), as many as fit, without those with skip 1 (NULL: none). */
static grpo__pass grpo__groups_pass(grpo *g, int first, int end, int *next, int mode,
                                    const unsigned char *skip) {
    const struct grpo__machinery *w = g->machinery;
    const grpo_batch *b = &g->batch;
    grpo__pass pass;
    int p, rows = 0, last;
    for (last = first; last < end; last++) {
        int i = last * b->group_size, G = b->group_size;
        int n = grpo__prompt_length(b, last) + b->offsets[i + G] - b->offsets[i] - G;
        if (skip && skip[last]) continue;
        if (rows + n > w->max_rows) break;
        rows += n;
    }
    pass = grpo__begin_pass(g, rows, (last - first) * (b->group_size + 1), last - first,
                            rows + (last - first) * b->group_size);
    pass.mode = mode;
    for (p = first; p < last; p++)
        if (!skip || !skip[p]) grpo__add_group(g, &pass, p);
    *next = last;
    grpo__send_pass(g, &pass, &w->sampling, grpo__filters(&w->sampling) ? w->allowed : NULL);
    return pass;
}

/* ref_hidden: the reference's hidden states of a pass. */
static void grpo__pass_reference(grpo *g, const grpo__pass *pass) {
    grpo__pass score = *pass;
    score.mode = GRPO__SCORE;
    grpo__body_forward(g, &g->machinery->models[GRPO_REFERENCE], &score,
                       g->machinery->ref_hidden);
}

/* Scatter one value per head row to the tokens that are its targets. */
static void grpo__scatter(grpo *g, const grpo__pass *pass, const float *from, float *to) {
    int r, i;
    g->machinery->backend->download(g->machinery->context, g->machinery->exchange, from,
                                    (size_t)pass->heads.num_rows * sizeof(float));
    for (r = 0; r < pass->heads.num_rows; r++)
        for (i = pass->target_offsets[r]; i < pass->target_offsets[r + 1]; i++)
            to[g->machinery->target_index[i]] = g->machinery->exchange[r];
}

/* Gather: the sum over each head row's targets. */
static void grpo__gather(grpo *g, const grpo__pass *pass, const float *from, float *to) {
    float *sums = g->machinery->exchange;
    int r, i;
    for (r = 0; r < pass->heads.num_rows; r++)
        for (sums[r] = 0, i = pass->target_offsets[r]; i < pass->target_offsets[r + 1]; i++)
            sums[r] += from[g->machinery->target_index[i]];
    g->machinery->backend->upload(g->machinery->context, to, sums,
                                  (size_t)pass->heads.num_rows * sizeof(float));
}

static int grpo__pass_forward(grpo *g, int model, const grpo__pass *pass,
                              const grpo_per_token *to) {
    struct grpo__machinery *w = g->machinery;
    int i;
    if (to->kl) grpo__pass_reference(g, pass);
    grpo__pass_hidden(g, model, pass);
    if (to->logprobs || to->entropies || to->kl)
        grpo__head_forward(g, &w->models[model], pass, to->kl != NULL);
    if (to->logprobs) {
        w->backend->download(w->context, w->exchange, w->logprobs,
                             (size_t)pass->num_targets * sizeof(float));
        for (i = 0; i < pass->num_targets; i++) to->logprobs[w->target_index[i]] = w->exchange[i];
    }
    if (to->entropies) grpo__scatter(g, pass, w->entropies, to->entropies);
    if (to->kl) grpo__scatter(g, pass, w->kl, to->kl);
    if (to->values) {
        grpo__value_forward(g, pass);
        grpo__scatter(g, pass, w->values, to->values);
    }
    return grpo__device_check(g);
}

/* Accumulate the gradient of a pass whose activations are in memory, or stored by sampling. */
static int grpo__pass_backward(grpo *g, const grpo__pass *pass, const grpo_per_token *d) {
    struct grpo__machinery *w = g->machinery;
    int i;
    if (pass->mode == GRPO__RECALL) grpo__pass_hidden(g, GRPO_POLICY, pass);
    if (d->entropies) grpo__gather(g, pass, d->entropies, w->dentropies);
    if (d->kl) grpo__gather(g, pass, d->kl, w->dkl);
    if (grpo__has_lm_head(&g->config.model)) {
        for (i = 0; i < pass->num_targets; i++)
            w->exchange[i] = d->logprobs ? d->logprobs[w->target_index[i]] : 0;
        w->backend->upload(w->context, w->dlogprobs, w->exchange,
                           (size_t)pass->num_targets * sizeof(float));
        grpo__head_backward(g, pass, d->entropies != NULL, d->kl != NULL);
    }
    if (d->values) {
        grpo__gather(g, pass, d->values, w->values);
        grpo__value_backward(g, pass);
    }
    grpo__body_backward(g, pass);
    return grpo__device_check(g);
}

/* Forward over prompts [first, end) of the batch, each in its own process. */
static int grpo__batch_forward(grpo *g, int model, int first, int end, int mode,
                               const grpo_per_token *to) {
    float *const outputs[] = { to->logprobs, to->entropies, to->kl, to->values };
    int p = first, next = first, run, i, code = GRPO_OK;
    for (; (run = grpo__prompts_of(g, -1, &p, end)) > p; p = run)
        for (; p < run && !code; p = next) {
            grpo__pass pass = grpo__groups_pass(g, p, run, &next, mode, NULL);
            code = grpo__pass_forward(g, model, &pass, to);
            if (p == first && next == end && g->config.lanes == 1)
                g->machinery->forward_valid = !code && model == GRPO_POLICY && mode == GRPO__STORE;
        }
    code = grpo__agree(g, code);
    for (i = 0; i < 4 && !code; i++)
        code = grpo__gather_batch(g, outputs[i], sizeof(float), g->batch.offsets, first, end);
    return code;
}

/* logprobs and more in one struct. Returns 0 if nothing is wanted. */
static int grpo__wanted(grpo_per_token *all, const float *logprobs, const grpo_per_token *more) {
    memset(all, 0, sizeof *all);
    if (more) *all = *more;
    if (logprobs) all->logprobs = (float *)(uintptr_t)logprobs;
    return all->logprobs || all->entropies || all->kl || all->values;
}

/* Stores the policy's activations for grpo_backward(), unless those of sampling are stored. */
int grpo_forward(grpo *g, int model, float *logprobs, const grpo_per_token *more) {
    struct grpo__machinery *w;
    grpo_per_token to;
    int known = model == GRPO_POLICY || model == GRPO_REFERENCE;
    int code = grpo__enter(g, "grpo_forward", grpo__wanted(&to, logprobs, more) && known,
                           GRPO__ROLLED);
    if (!code) code = grpo__check_per_token(g, "grpo_forward", model, &to);
    if (code) return grpo__agree(g, code);
    w = g->machinery;
    return grpo__batch_forward(g, model, w->first_prompt, w->end_prompt,
                               model == GRPO_POLICY && !w->stored_valid ? GRPO__STORE : GRPO__SCORE,
                               &to);
}

int grpo_backward(grpo *g, const float *dlogprobs, const grpo_per_token *more) {
    struct grpo__machinery *w;
    grpo_per_token d;
    int p, next, mode, in_memory, lane, run, wanted = grpo__wanted(&d, dlogprobs, more);
    int code = grpo__enter(g, "grpo_backward", wanted, GRPO__ROLLED);
    if (!code) code = grpo__check_per_token(g, "grpo_backward", GRPO_POLICY, &d);
    if (!code) code = grpo__begin_lanes(g, "grpo_backward");
    if (code) return grpo__agree(g, code);
    w = g->machinery;
    mode = w->stored_valid ? GRPO__RECALL : GRPO__STORE;
    /* exact KL: the reference's pass overwrites what grpo_forward() left */
    in_memory = w->stored_valid || (w->forward_valid && !d.kl);
    for (lane = 0; lane < w->num_lanes && !code; grpo__end_lane(g, lane++))
        for (p = w->first_prompt; (run = grpo__prompts_of(g, lane, &p, w->end_prompt)) > p; p = run)
            for (; p < run && !code; p = next) {
                grpo__pass pass = grpo__groups_pass(g, p, run, &next, mode, NULL);
                if (d.kl) grpo__pass_reference(g, &pass);
                if (!in_memory) grpo__pass_hidden(g, GRPO_POLICY, &pass);
                code = grpo__pass_backward(g, &pass, &d);
            }
    code = grpo__agree(g, code);
    if (code) grpo__clear_gradient(g);                        /* half of it would be worse       */
    return code;
}

int grpo_minibatch(grpo *g, int first_prompt, int num_prompts) {
    struct grpo__machinery *w;
    int code = grpo__enter(g, "grpo_minibatch", first_prompt >= 0 && num_prompts > 0, GRPO__ROLLED);
    if (code) return code;
    w = g->machinery;
    if (first_prompt > g->batch.num_prompts - num_prompts)
        return grpo__fail(g, GRPO_BAD_INPUT, "grpo_minibatch: %d prompts from number %d on; the "
                          "batch has %d", num_prompts, first_prompt, g->batch.num_prompts);
    if (first_prompt != w->first_prompt || first_prompt + num_prompts != w->end_prompt)
        w->forward_valid = 0;
    w->first_prompt = first_prompt;
    w->end_prompt = first_prompt + num_prompts;
    return GRPO_OK;
}

/* --------------------------------------------------------------------------------- >>reward --
 * The rubric: reward functions, and their weighted sum. */

/* Does the reward get advantages of its own (GDPO)? */
static int grpo__is_compared(const grpo *g, const grpo_reward *reward) {
    return g->config.objective.combine == GRPO_COMBINE_ADVANTAGES && !reward->steps
        && reward->weight != 0;
}

/* Rewards of steps, packed into step_offsets, step_ends, step_rewards; part: their sum. */
static int grpo__reward_steps(grpo *g, const grpo_reward *reward, int first, int end, float *part) {
    struct grpo__machinery *w = g->machinery;
    int i, j, used = 0;
    if (!w->step_ends)
        return grpo__fail(g, GRPO_BAD_INPUT, "reward \"%s\" rewards steps, which need memory: "
                          "add it before grpo_new()", reward->name);
    for (i = first; i < end; i++) {
        const grpo_sample *s = &g->batch.samples[i];
        int *ends = w->step_ends + used, n;
        float *rewards = w->step_rewards + used;
        n = reward->steps(s, ends, rewards, s->num_tokens, reward->user);
        if (n < 0 || n > s->num_tokens)
            return grpo__fail(g, GRPO_CALLBACK, "reward \"%s\" returned %d steps for a completion "
                              "of %d tokens", reward->name, n, s->num_tokens);
        for (part[i] = 0, j = 0; j < n; part[i] += rewards[j++])
            if (ends[j] >= s->num_tokens || ends[j] < (j ? ends[j - 1] + 1 : 0)
                || !grpo__finite((double)rewards[j]))
                return grpo__fail(g, GRPO_CALLBACK, "reward \"%s\": step %d of %d ends with token "
                                  "%d and has reward %g; ends must grow and rewards be numbers",
                                  reward->name, j, n, ends[j], (double)rewards[j]);
        w->step_offsets[i - first] = used;
        used += n;
    }
    w->step_offsets[end - first] = used;
    return GRPO_OK;
}

/* One line of the rubric: a reward of each completion, or of its steps. */
static int grpo__reward_line(grpo *g, const grpo_reward *reward, int first, int end, float *part) {
    grpo_batch *b = &g->batch;
    int i, code;
    if (reward->steps) {            /* not part of b->rewards: becomes per-token advantages      */
        const struct grpo__machinery *w = g->machinery;
        code = grpo__reward_steps(g, reward, first, end, part);
        if (!code)
            code = grpo_process_advantages(&g->config.objective, (end - first) / b->group_size,
                                           b->group_size, w->step_offsets, w->step_ends,
                                           w->step_rewards, b->offsets + first, b->advantages);
        for (i = b->offsets[first]; i < b->offsets[end] && !code; i++)
            b->process[i] += reward->weight * b->advantages[i];
        return code;
    }
    if (reward->batch && reward->batch(b->samples + first, end - first, part + first, reward->user))
        return grpo__fail(g, GRPO_CALLBACK, "reward \"%s\" reported a failure", reward->name);
    for (i = first; i < end; i++) {
        if (reward->function) part[i] = reward->function(&b->samples[i], reward->user);
        if (grpo__finite((double)part[i]) || g->config.objective.combine == GRPO_COMBINE_REWARDS)
            b->rewards[i] += reward->weight * part[i];
    }
    grpo__missing_rewards(g, reward, first, end);
    return GRPO_OK;
}

/* The rubric on sequences [first, end): reward_parts, process advantages, the weighted sum. */
static int grpo__reward_range(grpo *g, int first, int end) {
    grpo_batch *b = &g->batch;
    int r, i, compared = 0, said = 0, code = GRPO_OK;
    for (i = first; i < end; i++) b->rewards[i] = 0;
    for (i = b->offsets[first]; i < b->offsets[end] && b->process; i++) b->process[i] = 0;
    for (r = 0; r < g->config.num_rewards && !code; r++)
        code = grpo__reward_line(g, &g->config.rewards[r], first, end,
                                 b->reward_parts + grpo__size(r, b->num_sequences));
    for (i = first; i < end && !code; i++, compared = said = 0) {
        for (r = 0; r < g->config.num_rewards; r++)
            if (grpo__is_compared(g, &g->config.rewards[r])) {
                compared = 1;
                said |= grpo__finite((double)b->reward_parts[r * b->num_sequences + i]);
            }
        if (compared && !said) b->rewards[i] = (float)NAN;
    }
    return code;
}

/* The rubric on this process's sequences, and the others' results; again 1: of dead groups only,
 * and of all where the rewards of steps have moved with their tokens. */
static int grpo__reward_batch(grpo *g, int again) {
    grpo_batch *b = &g->batch;
    int p, r, run, n = b->num_prompts, G = b->group_size, code = GRPO_OK;
    for (p = 0; (run = grpo__prompts_of(g, -1, &p, n)) > p; p = again ? p + 1 : run) {
        if (again) run = g->machinery->dead[p] || b->process ? p + 1 : p;
        if (p < run && !code) code = grpo__reward_range(g, p * G, run * G);
    }
    code = grpo__agree(g, code);
    if (!code) code = grpo__gather_batch(g, b->rewards, sizeof(float), NULL, 0, n);
    if (!code) code = grpo__gather_batch(g, b->process, sizeof(float), b->offsets, 0, n);
    for (r = 0; r < g->config.num_rewards && !code; r++)
        code = grpo__gather_batch(g, b->reward_parts + grpo__size(r, b->num_sequences),
                                  sizeof(float), NULL, 0, n);
    return code;
}

/* ------------------------------------------------------------------------------ >>advantage --
 * Rewards -> advantages. What PPO asks a value model, GRPO asks the group (DeepSeekMath, 4.1.2):
 *
 *     A_i = (r_i - mean(r_1 ... r_G)) / (std(r_1 ... r_G) + eps)      for every token of o_i */

/* Are the numbers among x[n] all equal? By exact comparison: the float std of equal numbers need
 * not be 0, and would blow rounding errors up to advantages of order 1. */
static int grpo__all_equal(const float *x, int n) {
    const float *first = NULL;
    for (; n > 0; n--, x++) {
        if (!grpo__finite((double)*x)) continue;
        if (!first) first = x;
        if (*x != *first) return 0;
    }
    return 1;
}

typedef struct grpo__statistics {   /* of the numbers among x[n]                                 */
    int count, equal;
    double mean, std;
    int nonzero, best;              /* variants: how many are not 0; the index of the largest    */
    double lead, by_length;         /* largest - second largest; the mean weighted by length     */
} grpo__statistics;

static grpo__statistics grpo__describe(const float *x, const int *lengths, int n, int ddof) {
    grpo__statistics s = { 0, 0, 0, 0, 0, 0, 0, 0 };
    double squares = 0, weights = 0, first = -HUGE_VAL, second = -HUGE_VAL;
    int i;
    s.equal = grpo__all_equal(x, n);
    for (i = 0; i < n; i++) {
        double r = (double)x[i], length = lengths ? lengths[i] : 1;
        if (!grpo__finite(r)) continue;
        s.count++;
        s.mean += r;
        s.nonzero += r != 0;
        s.by_length += length * r;
        weights += length;
    }
    if (s.count) s.mean /= s.count;
    if (weights > 0) s.by_length /= weights;
    for (i = 0; i < n; i++) {
        double r = (double)x[i];
        if (!grpo__finite(r)) continue;
        squares += (r - s.mean) * (r - s.mean);
        if (r > first) { second = first; first = r; s.best = i; }
        else if (r > second) second = r;
    }
    if (s.count > ddof && !s.equal) s.std = sqrt(squares / (s.count - ddof));
    if (s.count > 1) s.lead = first - second;
    return s;
}

/* A_i of r_i; the paper's line first. */
static double grpo__advantage_of(const grpo_objective *o, double r, int i,
                                 const grpo__statistics *group, const grpo__statistics *batch) {
    double mean = group->mean, std = group->std, eps = (double)o->advantage_eps, n = group->count;
    if (o->advantage == GRPO_ADVANTAGE_RETURN) return r;
    if (group->equal) return 0;
    switch (o->advantage) {
    default:                    return (r - mean) / (std + eps);              /* _ZSCORE         */
    case GRPO_ADVANTAGE_MEAN:   return r - mean;
    case GRPO_ADVANTAGE_BATCH:  return (r - mean) / (batch->std + eps);
    case GRPO_ADVANTAGE_RLOO:   return r - (n * mean - r) / (n - 1);
    case GRPO_ADVANTAGE_OPO:    return r - group->by_length;
    case GRPO_ADVANTAGE_GPG:    return (r - mean) * batch->count / batch->nonzero;
    case GRPO_ADVANTAGE_PASS_K: return i == group->best ? group->lead / (std + eps) : 0;
    case GRPO_ADVANTAGE_MAX_RL: return mean > 0 ? (r - mean) / mean : 0;
    }
}

static int grpo__are_groups(int num_groups, int group_size) {
    return num_groups > 0 && group_size > 0 && num_groups <= INT32_MAX / group_size;
}

/* sum[i] += weight * A_i where r_i is finite; a sum that is NaN (none yet) counts as 0. */
static void grpo__add_advantages(const grpo_objective *o, const float *rewards, float weight,
                                 int num_groups, int group_size, const int *lengths, float *sum,
                                 unsigned char *equal) {
    int p, i, ddof = o->advantage_ddof;
    grpo__statistics batch = grpo__describe(rewards, NULL, num_groups * group_size, ddof);
    for (p = 0; p < num_groups; p++, rewards += group_size, sum += group_size) {
        grpo__statistics group = grpo__describe(rewards, lengths, group_size, ddof);
        if (lengths) lengths += group_size;
        if (equal) equal[p] = (unsigned char)group.equal;
        for (i = 0; i < group_size; i++) {
            double r = (double)rewards[i];
            if (grpo__finite(r))
                sum[i] = (sum[i] == sum[i] ? sum[i] : 0)
                       + weight * (float)grpo__advantage_of(o, r, i, &group, &batch);
        }
    }
}

int grpo_advantages(const grpo_objective *o, const float *rewards, int num_groups, int group_size,
                    const int *lengths, float *advantages, unsigned char *equal) {
    int i;
    if (!o || !rewards || !advantages || !grpo__are_groups(num_groups, group_size))
        return GRPO_BAD_INPUT;
    for (i = 0; i < num_groups * group_size; i++) advantages[i] = 0;
    grpo__add_advantages(o, rewards, 1.0f, num_groups, group_size, lengths, advantages, equal);
    return GRPO_OK;
}

/* ---- variants: several rewards, rewards of steps, returns, whitening. (Below them
 * grpo_advantage() gives each token of a completion its A.) */

int grpo_combine_advantages(const grpo_objective *o, const float *parts, const float *weights,
                            int num_rewards, int num_groups, int group_size, const int *lengths,
                            float *advantages) {
    grpo__statistics batch;
    int i, k, n;
    if (!o || !parts || !weights || num_rewards < 0 || !advantages
        || !grpo__are_groups(num_groups, group_size))
        return GRPO_BAD_INPUT;
    n = num_groups * group_size;
    for (i = 0; i < n; i++) advantages[i] = (float)NAN;       /* stays so if no reward is finite */
    for (k = 0; k < num_rewards; k++)
        if (weights[k] != 0)
            grpo__add_advantages(o, parts + grpo__size(k, n), weights[k], num_groups, group_size,
                                 lengths, advantages, NULL);
    batch = grpo__describe(advantages, NULL, n, o->advantage_ddof);
    for (i = 0; i < n; i++)
        advantages[i] = batch.equal || advantages[i] != advantages[i] ? 0
                      : (float)(((double)advantages[i] - batch.mean)
                                / (batch.std + (double)o->advantage_eps));
    return GRPO_OK;
}

/* A_it = sum over the steps j that end with token t or later of (r_j - mean(r)) / (std(r) + eps) */
int grpo_process_advantages(const grpo_objective *o, int num_groups, int group_size,
                            const int *step_offsets, const int *step_ends,
                            const float *step_rewards, const int *offsets, float *advantages) {
    int p, i, j, t;
    if (!o || !step_offsets || !step_ends || !step_rewards || !offsets || !advantages
        || !grpo__are_groups(num_groups, group_size))
        return GRPO_BAD_INPUT;
    for (p = 0; p < num_groups; p++) {
        int first = p * group_size, steps = step_offsets[first];
        grpo__statistics group = grpo__describe(step_rewards + steps, NULL,
                                                step_offsets[first + group_size] - steps,
                                                o->advantage_ddof);
        for (i = first; i < first + group_size; i++) {
            double A = 0;
            j = step_offsets[i + 1] - 1;
            for (t = offsets[i + 1] - offsets[i]; t-- > 0; advantages[offsets[i] + t] = (float)A)
                for (; j >= step_offsets[i] && step_ends[j] >= t; j--)
                    if (!group.equal) A += ((double)step_rewards[j] - group.mean)
                                           / (group.std + (double)o->advantage_eps);
        }
    }
    return GRPO_OK;
}

/* delta_t = r_t + gamma V_t+1 - V_t,  A_t = delta_t + gamma lam A_t+1,  R_t = A_t + V_t; without V
 * and with lam 1, A_t is the discounted return. */
void grpo_gae(int num_sequences, const int *offsets, const float *rewards, const float *values,
              float gamma, float lam, float *advantages, float *returns) {
    int i, t;
    if (!offsets || !rewards || !advantages) return;
    for (i = 0; i < num_sequences; i++) {
        double A = 0, next = 0;
        for (t = offsets[i + 1]; t-- > offsets[i]; ) {
            double V = values ? (double)values[t] : 0;
            double delta = (double)rewards[t] + (double)gamma * next - V;
            A = delta + (double)gamma * (double)lam * A;
            next = V;
            advantages[t] = (float)A;
            if (returns) returns[t] = (float)(A + V);
        }
    }
}

void grpo_whiten(float *x, const unsigned char *mask, int n) {
    double sum = 0, squares = 0, mean, scale;
    int i, count = 0;
    if (!x) return;
    for (i = 0; i < n; i++)
        if (!mask || mask[i]) { sum += (double)x[i]; count++; }
    mean = count ? sum / count : 0;
    for (i = 0; i < n; i++)
        if (!mask || mask[i]) squares += ((double)x[i] - mean) * ((double)x[i] - mean);
    scale = 1 / sqrt((count > 1 ? squares / (count - 1) : 0) + 1e-8);
    for (i = 0; i < n; i++)
        x[i] = !mask || mask[i] ? (float)(((double)x[i] - mean) * scale) : 0.0f;
}

/* ---- the batch's */

/* beta KL_it of the policy that sampled, if kl_in_reward; else 0. */
static double grpo__penalty(const grpo *g, int t) {
    const grpo_batch *b = &g->batch;
    const grpo_objective *o = &g->config.objective;
    if (!o->kl_in_reward || !b->ref_logprobs) return 0;
    if (o->kl == GRPO_KL_FULL) return b->kl ? (double)(o->beta * b->kl[t]) : 0;
    return (double)o->beta * (double)grpo_kl(o->kl, b->logprobs[t], b->ref_logprobs[t], NULL);
}

/* One A a completion. kl_in_reward 1: A of r_i - beta sum_t KL_it. 2: A of r_i; then the A of each
 * token loses beta times the KL from that token to the end. */
static int grpo__compare_groups(grpo *g) {
    struct grpo__machinery *w = g->machinery;
    grpo_batch *b = &g->batch;
    const grpo_config *c = &g->config;
    const grpo_objective *o = &c->objective;
    float weights[GRPO_MAX_REWARDS];
    int i, t, code;
    for (i = 0; i < b->num_sequences; i++) {
        double r = (double)b->rewards[i];
        for (t = b->offsets[i]; t < b->offsets[i + 1] && o->kl_in_reward == 1; t++)
            r -= grpo__penalty(g, t);
        w->penalised[i] = (float)r;
    }
    for (i = 0; i < c->num_rewards; i++)
        weights[i] = c->rewards[i].steps ? 0 : c->rewards[i].weight;
    code = o->combine == GRPO_COMBINE_ADVANTAGES
         ? grpo_combine_advantages(o, b->reward_parts, weights, c->num_rewards, b->num_prompts,
                                   b->group_size, w->lengths, w->compared)
         : grpo_advantages(o, w->penalised, b->num_prompts, b->group_size, w->lengths, w->compared,
                           NULL);
    for (i = 0; i < b->num_sequences; i++) {
        double A = (double)w->compared[i];
        for (t = b->offsets[i + 1]; t-- > b->offsets[i]; b->advantages[t] = (float)A)
            if (o->kl_in_reward == 2) A -= grpo__penalty(g, t);
    }
    return code;
}

/* One A a token: its return. The last token gets the completion's reward, each its KL penalty. */
static void grpo__take_returns(grpo *g) {
    grpo_batch *b = &g->batch;
    float *r = b->advantages;       /* rewards of tokens, which become their returns in place    */
    int i, t;
    for (i = 0; i < b->num_sequences; i++) {
        for (t = b->offsets[i]; t < b->offsets[i + 1]; t++) r[t] = (float)-grpo__penalty(g, t);
        if (grpo__finite((double)b->rewards[i])) r[t - 1] += b->rewards[i];
    }
    grpo_gae(b->num_sequences, b->offsets, r, NULL, g->config.objective.gamma, 1, r, NULL);
}

static int grpo__compare_floats(const void *a, const void *b) {
    float x = *(const float *)a, y = *(const float *)b;
    return (x > y) - (x < y);
}

/* top_entropy_quantile: tokens of low entropy get no policy loss (Wang et al. 2025,
 * arXiv:2506.01939). The quantile is interpolated as torch.quantile does. */
static void grpo__mask_certain_tokens(grpo *g) {
    grpo_batch *b = &g->batch;
    float *sorted = g->machinery->new_entropies;
    int t, n = 0, all = b->offsets[b->num_sequences], at;
    double place, threshold;
    for (t = 0; t < all; t++)
        if (b->mask[t]) sorted[n++] = b->entropies[t];
    if (!n || g->config.objective.top_entropy_quantile >= 1) return;
    qsort(sorted, (size_t)n, sizeof *sorted, grpo__compare_floats);
    place = (1 - (double)g->config.objective.top_entropy_quantile) * (n - 1);
    at = (int)place;
    threshold = (double)sorted[at];
    if (at + 1 < n) threshold += (place - at) * ((double)sorted[at + 1] - (double)sorted[at]);
    for (t = 0; t < all; t++)
        if (b->mask[t] && (double)b->entropies[t] < threshold) b->mask[t] = 2;
}

int grpo_advantage(grpo *g) {
    int i, t, n, code = grpo__enter(g, "grpo_advantage", 1, GRPO__SCORED);
    grpo_batch *b;
    const grpo_objective *o;
    if (code) return grpo__agree(g, code);
    b = &g->batch;
    o = &g->config.objective;
    n = b->offsets[b->num_sequences];
    for (i = 0; i < b->num_sequences; i++) {
        int dead = g->machinery->dead[i / b->group_size];
        int trains = grpo__finite((double)b->rewards[i])
                  && !(o->mask_truncated_completions && b->truncated[i])
                  && !(o->equal_rewards != GRPO_EQUAL_KEEP && dead);
        memset(b->mask + b->offsets[i], trains, (size_t)(b->offsets[i + 1] - b->offsets[i]));
    }
    if (o->advantage == GRPO_ADVANTAGE_RETURN) grpo__take_returns(g);
    else code = grpo__compare_groups(g);
    for (t = 0; t < n && b->process; t++) b->advantages[t] += b->process[t];
    if (o->whiten) grpo_whiten(b->advantages, b->mask, n);
    grpo__mask_certain_tokens(g);
    code = grpo__agree(g, code);
    if (!code) g->machinery->stage = GRPO__COMPARED;
    return code;
}

/* ---------------------------------------------------------------------------------- >>score --
 * The batch's rewards and the reference's log-probs; groups that teach nothing are sampled anew. */

/* dead[p] = 1 if nothing distinguishes the completions of group p: their rewards are equal, and so
 * is each reward that is compared by itself, and no step has an advantage. Returns how many. */
static int grpo__find_dead_groups(grpo *g) {
    const grpo_batch *b = &g->batch;
    const grpo_config *c = &g->config;
    int p, r, t, count = 0, G = b->group_size;
    for (p = 0; p < b->num_prompts; p++) {
        int dead = grpo__all_equal(b->rewards + p * G, G);
        for (t = b->offsets[p * G]; t < b->offsets[(p + 1) * G] && b->process; t++)
            dead &= b->process[t] == 0;
        for (r = 0; r < c->num_rewards; r++)
            if (grpo__is_compared(g, &c->rewards[r]))
                dead &= grpo__all_equal(b->reward_parts + grpo__size(r, b->num_sequences) + p * G,
                                        G);
        g->machinery->dead[p] = (unsigned char)dead;
        count += dead;
    }
    return count;
}

/* Dynamic sampling (DAPO): dead groups are sampled and rewarded anew. */
static int grpo__resample(grpo *g) {
    struct grpo__machinery *w = g->machinery;
    grpo_batch *b = &g->batch;
    uint64_t most = (uint64_t)g->config.objective.max_resamples;
    grpo__draw d;
    int code = grpo__how_to_draw(g, &d, &w->sampling, 1), p;
    d.step = (uint64_t)(g->state.step - 1);
    for (d.attempt = 1; !code && d.attempt <= most && grpo__find_dead_groups(g); d.attempt++) {
        w->stored_valid = 0;                                  /* K and V are overwritten         */
        for (p = 0; p < b->num_prompts && !code; p++) {
            if (w->dead[p]) code = grpo__sample(g, &d, p, p + 1);
            b->resampled[p] += w->dead[p];
        }
        code = grpo__finish_batch(g, code);
        if (!code) code = grpo__reward_batch(g, 1);
    }
    return code;
}

int grpo_score(grpo *g) {
    grpo_per_token reference = { NULL, NULL, NULL, NULL }, exact = { NULL, NULL, NULL, NULL };
    int n, code = grpo__enter(g, "grpo_score", 1, GRPO__ROLLED);
    if (!code) code = grpo__check_writes(g);
    if (!code && g->config.num_rewards == 0)
        code = grpo__fail(g, GRPO_BAD_INPUT, "there is no reward: call grpo_add_reward() before "
                          "grpo_new()");
    if (code) return grpo__agree(g, code);
    n = g->batch.num_prompts;
    reference.logprobs = g->batch.ref_logprobs;
    exact.kl = g->batch.kl;
    code = grpo__reward_batch(g, 0);
    if (!code && g->config.objective.equal_rewards == GRPO_EQUAL_RESAMPLE
        && !g->batch.sampling_logprobs) code = grpo__resample(g);     /* drawn elsewhere: cannot  */
    if (!code) grpo__find_dead_groups(g);
    if (!code && reference.logprobs)
        code = grpo__batch_forward(g, GRPO_REFERENCE, 0, n, GRPO__SCORE, &reference);
    if (!code && exact.kl)
        code = grpo__batch_forward(g, GRPO_POLICY, 0, n, g->machinery->stored_valid
                                   ? GRPO__RECALL : GRPO__SCORE, &exact);
    g->machinery->stage = code ? GRPO__EMPTY : GRPO__SCORED;
    return code;
}

/* ----------------------------------------------------------------------------------- >>loss --
 * Advantages and log-probs -> loss and d(loss)/d(logprob), computed side by side. */

/* ---- one token, as in the paper */
typedef struct grpo__token {        /* the policy loss's input for one token                     */
    const struct grpo__sequence *sequence;                    /* sums over it, for some variants */
    double logprob, old_logprob, A;
    double x, chain;                /* log r; d(sum of x over the sequence) / d(logprob)         */
} grpo__token;

/* log r = log pi - log pi_old is clamped to +-20 so that r stays finite (veRL). */
static const double grpo__max_log_ratio = 20;

static double grpo__ratio(double log_ratio) {
    return exp(grpo__clamp(log_ratio, -grpo__max_log_ratio, grpo__max_log_ratio));
}

/* -min(r A, clip(r, 1-eps, 1+eps_high) A). Its derivative is -r A where the min is r A (dr/dx = r),
 * and 0 where it is the clipped term, a constant. Off by default: r is capped at delta before r A;
 * for A < 0 the loss is capped at -dual_clip A. The comparisons are written so that a NaN makes
 * both the loss and its derivative NaN. */
static double grpo__clip_loss(const grpo_objective *o, const grpo__token *t, double *d) {
    double r = grpo__ratio(t->x), A = t->A, delta = (double)o->delta, c = (double)o->dual_clip;
    double capped = delta > 0 && r > delta ? delta : r;
    double clipped = grpo__clamp(r, 1 - (double)o->epsilon, 1 + (double)o->epsilon_high);
    double used = capped * A > clipped * A ? clipped : capped, loss = -used * A;
    int held = used < r || used > r || fabs(t->x) > grpo__max_log_ratio;
    *d = (held ? 0 : r) * -A * t->chain;
    if (c > 0 && A < 0 && loss > -c * A) {
        loss = -c * A;
        *d = 0;
    }
    return loss;
}

/* Estimates of KL(pi || ref) from one token, with x = log pi - log ref (Schulman 2020):
 * k1 = x, k2 = x^2 / 2, k3 = e^-x - 1 + x, |x|; and d/dlogp. expm1 keeps k3 from going below 0 by
 * cancellation where x is tiny. */
static double grpo__kl(int kind, double x, double *d) {
    switch (kind) {
    case GRPO_KL_K1:  *d = 1; return x;
    case GRPO_KL_K2:  *d = x; return 0.5 * x * x;
    case GRPO_KL_ABS: *d = x < 0 ? -1 : x > 0; return fabs(x);
    default:          *d = -expm1(-x); return expm1(-x) + x;
    }
}

float grpo_kl(int kind, float logprob, float ref_logprob, float *derivative) {
    double d, kl = grpo__kl(kind, (double)logprob - (double)ref_logprob, &d);
    if (derivative) *derivative = (float)d;
    return (float)kl;
}

float grpo_adaptive_kl(float beta, float kl, float target, float horizon, int num_samples) {
    double error = grpo__clamp((double)kl / (double)target - 1, -0.2, 0.2);
    return (float)((double)beta * (1 + error * num_samples / (double)horizon));
}

/* ---- variants of the policy loss. (Clip and KL meet in grpo__token_loss(), below; the weight of a
 * token, 1/G 1/|o_i| in the paper, is grpo__token_weight().) */

/* Sums over the tokens of a sequence that count. */
typedef struct grpo__sequence {
    int tokens;                     /* how many count                                            */
    double log_ratio;               /* of log pi - log pi_old                                    */
    double clipped;                 /* of grpo__clip_log() of the same (GMPO)                    */
    double drift, sampled;          /* of log pi_sampling - log pi, log pi_old - log pi_sampling */
} grpo__sequence;

/* log r clipped to [-eps, eps_high], but only where that makes r A smaller (GMPO). */
static double grpo__clip_log(const grpo_objective *o, double x, double A) {
    double c = grpo__clamp(x, -(double)o->epsilon, (double)o->epsilon_high);
    return (A > 0 && c < x) || (A < 0 && c > x) ? c : x;
}

/* -weight A log pi, the weight being a constant for the derivative. */
static double grpo__weighted_loss(double weight, const grpo__token *t, double *d) {
    *d = -weight * t->A;
    return *d * t->logprob;
}

/* s = sigmoid(tau (r - 1)):  -4 s A / tau,  d/dx = -4 s (1 - s) r A  (SAPO, eq. 5 as in TRL) */
static double grpo__sapo_loss(const grpo_objective *o, const grpo__token *t, double *d) {
    double tau = (double)(t->A > 0 ? o->sapo_temperature_pos : o->sapo_temperature_neg);
    double r = grpo__ratio(t->x), s = 1 / (1 + exp(-tau * (r - 1)));
    *d = -4 * s * (1 - s) * r * t->A * t->chain;
    if (fabs(t->x) > grpo__max_log_ratio) *d = 0;
    return -4 * s * t->A / tau;
}

/* -A (prod r)^(1/n) over the sequence's clipped ratios; the derivative of a clipped token is 0. */
static double grpo__geometric_loss(const grpo_objective *o, const grpo__token *t, double *d) {
    double x = t->logprob - t->old_logprob, r = exp(t->sequence->clipped / t->sequence->tokens);
    int held = grpo__clip_log(o, x, t->A) != x || fabs(x) > grpo__max_log_ratio;
    *d = (held ? 0 : r) * -t->A;
    return -r * t->A;
}

/* phi = e^l r^k e^(-l r) of the sequence's r, largest near r = 1 (VESPO; k and l are TRL's) */
static double grpo__vespo_weight(const grpo__token *t) {
    double k = t->A < 0 ? 3 : 2, l = t->A < 0 ? 2 : 3;
    double x = grpo__clamp(t->sequence->log_ratio, log(1e-8), grpo__max_log_ratio);
    return exp(l + k * x - l * exp(x));
}

/* DPPO: is pi further than epsilon from pi_old, in the direction in which A pushes it? The distance
 * is p - q (TV), or the KL between the two Bernoulli distributions "this token or another" (1e-8 as
 * in veRL, against log 0). */
static int grpo__dppo_left(const grpo_objective *o, const grpo__token *t) {
    double p = exp(t->logprob), q = exp(t->old_logprob);
    if (o->loss == GRPO_LOSS_DPPO_TV)
        return t->A > 0 ? p - q > (double)o->epsilon_high : p - q < -(double)o->epsilon;
    if (t->A > 0 ? p <= q : p >= q) return 0;
    return q * (t->old_logprob - t->logprob) + (1 - q) * log((1 - q + 1e-8) / (1 - p + 1e-8))
         > (double)(t->A > 0 ? o->epsilon_high : o->epsilon);
}

/* Loss of one token, and its derivative with respect to the token's log-prob. A ratio of sequences
 * has that log-prob in the loss of each of the sequence's tokens: the derivative is that of the sum
 * of these losses, as if all tokens had this one's A and weight (so each learns from its own A:
 * GSPO-token, arXiv:2507.18071, section 4.3). */
static double grpo__policy_loss(const grpo_objective *o, const grpo__token *t, double *d) {
    double r = grpo__ratio(t->x), y = (double)o->dro_beta * t->x;
    double low = 1 - (double)o->epsilon, high = 1 + (double)o->epsilon_high;
    switch (o->loss) {
    case GRPO_LOSS_REINFORCE: return grpo__weighted_loss(1, t, d);
    case GRPO_LOSS_CISPO:     return grpo__weighted_loss(grpo__clamp(r, low, high), t, d);
    case GRPO_LOSS_SAPO:      return grpo__sapo_loss(o, t, d);
    case GRPO_LOSS_GEOMETRIC: return grpo__geometric_loss(o, t, d);
    case GRPO_LOSS_VESPO:     return grpo__weighted_loss(grpo__vespo_weight(t), t, d);
    case GRPO_LOSS_DPPO_TV:
    case GRPO_LOSS_DPPO_KL:   if (grpo__dppo_left(o, t)) return grpo__weighted_loss(0, t, d);
                              return grpo__weighted_loss(grpo__clamp(r, 0, 20), t, d);
    case GRPO_LOSS_DRO:       *d = y * t->chain - t->A; return y * t->x / 2 - t->A * t->logprob;
    default:                  return grpo__clip_loss(o, t, d);
    }
}

/* ---- ratios of sequences: sums over the tokens that count, then the ratio of each token */
static grpo__sequence grpo__sequence_of(const grpo_objective *o, const grpo_sequences *s, int i) {
    grpo__sequence q = { 0, 0, 0, 0, 0 };
    int t;
    for (t = s->offsets[i]; t < s->offsets[i + 1]; t++) {
        double now = (double)s->logprobs[t], old = (double)s->old_logprobs[t];
        double drawn = s->sampling_logprobs ? (double)s->sampling_logprobs[t] : old;
        double x = grpo__clamp(now - old, -grpo__max_log_ratio, grpo__max_log_ratio);
        if (s->mask && !s->mask[t]) continue;
        q.tokens++;
        q.log_ratio += x;
        q.clipped += grpo__clip_log(o, x, (double)s->advantages[t]);
        q.drift += drawn - now;
        q.sampled += old - drawn;
    }
    return q;
}

static grpo__token grpo__token_of(const grpo_objective *o, const grpo_sequences *s,
                                  const grpo__sequence *q, int t) {
    grpo__token k;
    k.sequence = q;
    k.logprob = (double)s->logprobs[t];
    k.old_logprob = (double)s->old_logprobs[t];
    k.A = (double)s->advantages[t];
    k.x = k.logprob - k.old_logprob;
    k.chain = 1;
    if (o->ratio == GRPO_RATIO_TOKEN) return k;
    if (fabs(k.x) > grpo__max_log_ratio) k.chain = 0;         /* clamped in the sum: a constant  */
    k.x = q->log_ratio;
    if (o->ratio == GRPO_RATIO_SEQUENCE) k.x /= q->tokens;    /* chain: n tokens times 1 / n     */
    else k.chain *= q->tokens;
    return k;
}

/* ---- the average, 1/G sum_i 1/|o_i| in the paper. Its denominators are counted over the whole
 * optimizer step, never per micro-batch. */
typedef struct grpo__normalizer { int num_sequences, num_tokens; } grpo__normalizer;

static int grpo__counted(const unsigned char *mask, int from, int to) {
    int t, n = 0;
    if (!mask) return to - from;
    for (t = from; t < to; t++) n += mask[t] != 0;
    return n;
}

static grpo__normalizer grpo__count(int num_sequences, const int *offsets,
                                    const unsigned char *mask) {
    grpo__normalizer n = { 0, 0 };
    int i;
    for (i = 0; i < num_sequences; i++) {
        int tokens = grpo__counted(mask, offsets[i], offsets[i + 1]);
        n.num_sequences += tokens > 0;
        n.num_tokens += tokens;
    }
    return n;
}

/* Weight of each token of a sequence in which `tokens` count: loss = sum of weight * token's loss.
 * A max_completion_length that was never set counts as 1 (TRL also clamps its denominators). */
static double grpo__token_weight(const grpo_objective *o, const grpo__normalizer *n, int tokens) {
    switch (o->average) {
    case GRPO_AVERAGE_TOKEN:        return 1.0 / n->num_tokens;
    case GRPO_AVERAGE_CONSTANT:     return 1.0 / ((double)n->num_sequences
                                                  * grpo__max(o->max_completion_length, 1));
    case GRPO_AVERAGE_SEQUENCE_SUM: return 1.0 / n->num_sequences;
    case GRPO_AVERAGE_SUM:          return 1.0;
    default:                        return 1.0 / ((double)n->num_sequences * tokens);
    }
}

/* ---- the whole loss. grpo_loss_stats holds sums over tokens in order, which grpo__loss_finish()
 * turns into means: the result does not depend on how micro-batches split the sequences. */

/* pi_old / pi_sampling, by which the loss of a token is multiplied. */
static double grpo__importance(const grpo_objective *o, const grpo_sequences *s,
                               const grpo__sequence *q, int t) {
    int whole = o->importance >= GRPO_IMPORTANCE_SEQUENCE;
    int masks = o->importance == GRPO_IMPORTANCE_TOKEN_MASK
             || o->importance == GRPO_IMPORTANCE_SEQUENCE_MASK;
    double cap = (double)o->importance_cap, w;
    if (o->importance == GRPO_IMPORTANCE_NONE || !s->sampling_logprobs) return 1;
    w = grpo__ratio(whole ? q->sampled
                          : (double)s->old_logprobs[t] - (double)s->sampling_logprobs[t]);
    return w > cap ? masks ? 0 : cap : w;
}

/* The KL term of token t, and its derivatives: one with respect to log pi, one to exact KL. */
static double grpo__kl_term(const grpo_objective *o, const grpo_sequences *s, int t, double *d,
                            double *dkl, grpo_loss_stats *sums) {
    double x = (double)s->logprobs[t] - (double)s->ref_logprobs[t], kl = 0, slope = 0;
    double beta = o->kl_in_reward ? 0 : (double)o->beta;
    int kind;
    for (kind = 0; kind < GRPO_KL_ESTIMATORS; kind++) {
        double one, value = grpo__kl(kind, x, &one);
        sums->kl_estimates[kind] += value;
        if (kind == o->kl) { kl = value; slope = one; }
    }
    if (o->kl == GRPO_KL_FULL) { kl = s->kl ? (double)s->kl[t] : 0; *dkl = beta; }
    if (o->kl_straight_through) { slope = x; *dkl = 0; }
    sums->kl += kl;
    if (beta == 0) return 0;
    *d += beta * slope;
    return beta * kl;
}

/* Loss of one token that counts, its derivatives, and what is measured on the way. */
static double grpo__token_loss(const grpo_objective *o, const grpo_sequences *s,
                               const grpo__sequence *q, int t, double *d, double *dkl,
                               grpo_loss_stats *sums, int *low, int *high) {
    grpo__token k = grpo__token_of(o, s, q, t);
    double r = grpo__ratio(k.x), loss = grpo__policy_loss(o, &k, d);
    double w = grpo__importance(o, s, q, t);
    double drift = (double)o->off_policy_mask_threshold;
    if (s->sampling_logprobs) grpo__measure_sampling(s, t, w, sums);
    if (s->mask && s->mask[t] == 2) w = 0;
    if (drift > 0 && k.A < 0 && q->drift / q->tokens > drift) w = 0;
    if (w == 0) loss = *d = 0;      /* even if they are NaN or Inf                               */
    loss *= w;
    *d *= w;
    *low += r < 1 - (double)o->epsilon && k.A < 0;
    *high += r > 1 + (double)o->epsilon_high && k.A > 0;
    sums->ratio_mean += r;
    if (r > sums->ratio_max || r != r) sums->ratio_max = r;   /* a NaN stays                     */
    if (s->entropies) sums->entropy += (double)s->entropies[t];
    sums->num_tokens++;
    return s->ref_logprobs ? loss + grpo__kl_term(o, s, t, d, dkl, sums) : loss;
}

/* Accumulates the loss of sequences [first, end) of s; n has the denominators of the average. */
static void grpo__loss_part(const grpo_objective *o, const grpo__normalizer *n,
                            const grpo_sequences *s, int first, int end, float *dlogprobs,
                            float *dkl, grpo_loss_stats *sums) {
    int i, t;
    for (i = first; i < end; i++) {
        grpo__sequence q = grpo__sequence_of(o, s, i);
        double weight = q.tokens ? grpo__token_weight(o, n, q.tokens) : 0;
        int low = 0, high = 0;
        for (t = s->offsets[i]; t < s->offsets[i + 1]; t++) {
            double d = 0, k = 0;
            if (!s->mask || s->mask[t])
                sums->policy_loss += weight
                                   * grpo__token_loss(o, s, &q, t, &d, &k, sums, &low, &high);
            if (dlogprobs) dlogprobs[t] = (float)(weight * d);
            if (dkl) dkl[t] = (float)(weight * k);
        }
        if (q.tokens) grpo__sequence_clipping(sums, q.tokens, low, high);
    }
}

/* Sums -> means. policy_loss is the loss before the entropy bonus, KL included, as TRL logs it. */
static void grpo__loss_finish(const grpo_objective *o, grpo_loss_stats *s) {
    double *const means[] = { &s->kl, &s->entropy, &s->sampling_difference_mean,
                              &s->importance_mean, &s->ratio_mean, &s->clip_low_mean,
                              &s->clip_high_mean, &s->clip_region_mean };
    double tokens = grpo__max(s->num_tokens, 1);
    size_t i;
    s->clip_region_mean = s->clip_low_mean + s->clip_high_mean;
    for (i = 0; i < sizeof means / sizeof *means; i++) *means[i] /= tokens;
    for (i = 0; i < GRPO_KL_ESTIMATORS; i++) s->kl_estimates[i] /= tokens;
    s->loss = s->policy_loss;
    if (o->entropy_coef != 0) s->loss -= (double)o->entropy_coef * s->entropy;
}

double grpo_loss(const grpo_objective *o, const grpo_sequences *s, float *dlogprobs, float *dkl,
                 grpo_loss_stats *stats) {
    grpo__normalizer n;
    grpo_loss_stats all;
    memset(&all, 0, sizeof all);
    if (stats) *stats = all;
    if (!o || !s || !s->offsets || !s->logprobs || !s->old_logprobs || !s->advantages)
        return (double)NAN;
    n = grpo__count(s->num_sequences, s->offsets, s->mask);
    grpo__loss_part(o, &n, s, 0, s->num_sequences, dlogprobs, dkl, &all);
    grpo__loss_finish(o, &all);
    if (stats) *stats = all;
    return all.loss;
}

/* ---- what GRPO leaves out: the losses of a value model and of a reward model (examples/ppo.h) */

/* Mean of 1/2 max((V - R)^2, (V' - R)^2), V' = V clipped to old +- clip. Where the term of V' is
 * larger, V' is a bound, a constant: its derivative is 0. */
double grpo_value_loss(int num_tokens, const float *values, const float *old_values,
                       const float *returns, const unsigned char *mask, float clip,
                       float *dvalues, double *clipfrac) {
    int t, clips = 0, n = grpo__counted(mask, 0, num_tokens);
    double loss = 0, share = n ? 1.0 / n : 0;
    if (clipfrac) *clipfrac = 0;
    if (!values || !old_values || !returns) return (double)NAN;
    for (t = 0; t < num_tokens; t++) {
        double V = (double)values[t], old = (double)old_values[t], c = (double)clip;
        double error = V - (double)returns[t];
        double bound = c > 0 ? grpo__clamp(V, old - c, old + c) - (double)returns[t] : error;
        int counts = !mask || mask[t], held = counts && bound * bound > error * error;
        double worse = held ? bound : error;
        if (counts) loss += share * (0.5 * worse * worse);
        clips += held;
        if (dvalues) dvalues[t] = counts && !held ? (float)(share * error) : 0.0f;
    }
    if (clipfrac) *clipfrac = clips * share;
    return loss;
}

/* Of a reward model, x = chosen - rejected: -log sigmoid(x) = log(1 + e^-x), whose derivative
 * is -sigmoid(-x) */
double grpo_preference_loss(int num_pairs, const float *scores, float *dscores) {
    double loss = 0;
    int i;
    if (!scores) return (double)NAN;
    for (i = 0; i < num_pairs; i++) {
        double x = (double)scores[2 * i] - (double)scores[2 * i + 1];
        double d = -1 / (1 + exp(x)) / num_pairs;
        loss += (x > 0 ? log1p(exp(-x)) : log1p(exp(x)) - x) / num_pairs;
        if (!dscores) continue;
        dscores[2 * i] = (float)d;
        dscores[2 * i + 1] = (float)-d;
    }
    return loss;
}

/* ------------------------------------------------------------------------------- >>optimize --
 * Gradients -> weights. */

/* m = b1 m + (1-b1) g,  v = b2 v + (1-b2) g^2,
 * w = w (1 - lr decay) - lr m / (1-b1^t) / (sqrt(v / (1-b2^t)) + eps) */
void grpo_adamw(float *weights, const float *gradient, float *m, float *v, size_t n,
                float learning_rate, float beta1, float beta2, float epsilon, float weight_decay,
                float scale, int64_t step) {
    double correct1 = 1 - pow((double)beta1, (double)step);
    double correct2 = 1 - pow((double)beta2, (double)step);
    float rate = (float)((double)learning_rate / correct1);
    float root = (float)(1 / sqrt(correct2)), keep = 1.0f - learning_rate * weight_decay;
    if (!weights || !gradient || !m || !v) return;
    grpo__adamw_loop(weights, gradient, m, v, n, beta1, beta2, epsilon, scale, rate, root, keep);
}

/* Warm-up from 0, then constant, linear or cosine to 0 at max_steps; after that 0 (Hugging Face's
 * cosine rises again). */
float grpo_schedule(int type, int64_t step, int warmup_steps, int max_steps) {
    double span = fmax((double)max_steps - warmup_steps, 1);
    if (step < warmup_steps) return (float)((double)step / warmup_steps);
    if (type == GRPO_SCHEDULE_CONSTANT) return 1.0f;
    if (step >= max_steps) return 0.0f;
    if (type == GRPO_SCHEDULE_LINEAR) return (float)((double)(max_steps - step) / span);
    return (float)(0.5 * (1 + cos(3.141592653589793 * (double)(step - warmup_steps) / span)));
}

/* The trained numbers are two ranges, [0, split) and the rest: matrices, which alone decay, and
 * vectors; or LoRA's A and B. B is stored as s B, s = alpha / rank, so the stored gradient is
 * multiplied by s to be B's, and so is the learning rate. A team's process updates its share,
 * [first, end); alone that is all. */
int grpo_optimize(grpo *g, float learning_rate, double *grad_norm) {
    struct grpo__machinery *w;
    const grpo_config *c;
    size_t split, first, end;
    double norm = 0, limit;
    float scale = 1.0f, s, *weights;
    uint64_t hash;
    int part, code = grpo__agree(g, grpo__enter(g, "grpo_optimize", 1, GRPO__EMPTY));
    if (code) return code;
    w = g->machinery; c = &g->config;
    split = w->shape.rank ? w->shape.all_a : w->shape.first_vector;
    first = w->share_first; end = first + w->share;
    limit = (double)c->max_grad_norm; s = grpo__lora_scale(g);
    code = grpo__reduce_gradient(g);
    if (s != 1 && end > split) {
        size_t at = first > split ? first : split;
        w->backend->mix(w->context, w->gradient + at, w->gradient + at, s, 0, end - at);
    }
    if (!code) code = grpo__gradient_norm(g, &norm);
    if (grad_norm) *grad_norm = norm;
    if (!code && !grpo__finite(norm)) code = grpo__name_culprit(g);
    if (!code && !grpo__finite((double)learning_rate))
        code = grpo__fail(g, GRPO_NONFINITE, "the learning rate is not finite");
    if (limit > 0 && norm > limit) scale = (float)(limit / (norm + 1e-6));    /* as PyTorch does */
    weights = code ? NULL : grpo__new_weights(g);
    for (part = 0; part < 2 && !code; part++) {
        size_t from = part && split > first ? split : first, to = part || split > end ? end : split;
        size_t at = from - first;
        float decay = !part ? c->weight_decay : w->shape.rank ? c->weight_decay / s : 0;
        const grpo_optimizer o = { weights + at, w->adam_m + at, w->adam_v + at,
                                   w->gradient + from, to - from,
                                   part ? learning_rate * s : learning_rate, c->adam_beta1,
                                   c->adam_beta2, c->adam_epsilon, decay, scale,
                                   g->state.adam_step + 1 };
        if (from < to) w->backend->adamw(w->context, &o);
    }
    if (!code) code = grpo__share_weights(g);
    grpo__clear_gradient(g);
    if (code) return code;
    g->state.adam_step++;
    hash = w->weights_hash ? grpo__mix(w->weights_hash) : 0;  /* still the same in all processes */
    grpo__weights_changed(g, GRPO_POLICY);
    w->weights_hash = hash;
    return grpo__device_check(g);
}

int grpo_set_reference(grpo *g, float alpha) {
    struct grpo__machinery *w;
    int code = grpo__enter(g, "grpo_set_reference", alpha >= 0 && alpha <= 1, GRPO__ALONE);
    if (code) return code;
    w = g->machinery;
    if (!w->reference)
        return grpo__fail(g, GRPO_BAD_INPUT, w->shape.rank ? "with lora the reference is the model "
                          "without its adapters: it cannot be set" : "there is no reference policy:"
                          " set objective.beta before grpo_new()");
    if (!g->state.reference_set) alpha = 1;
    w->backend->mix(w->context, w->reference, w->weights, 1.0f - alpha, alpha, g->num_parameters);
    grpo__weights_changed(g, GRPO_REFERENCE);
    g->state.reference_set = 1;
    return grpo__device_check(g);
}

/* ----------------------------------------------------------------------------------- >>step --
 * rollout, score, compare, learn */

/* 1 if no token of the group that counts has a gradient: every A is 0, and there is no entropy
 * bonus, no KL in the loss and no DRO (which pulls log r to 0 whatever A is). */
static int grpo__is_idle(const grpo *g, const grpo_objective *o, int p) {
    const grpo_batch *b = &g->batch;
    int t, end = b->offsets[(p + 1) * b->group_size];
    int pulled = o->entropy_coef != 0 || (o->beta > 0 && !o->kl_in_reward)
              || (o->loss == GRPO_LOSS_DRO && o->dro_beta > 0);
    for (t = b->offsets[p * b->group_size]; t < end; t++)
        if (b->mask[t] && (pulled || b->advantages[t] != 0)) return 0;
    return 1;
}

/* The loss's input: the batch as it was sampled, and log-probs under the policy as it is now. */
grpo_sequences grpo_batch_sequences(const grpo *g, const float *logprobs) {
    const grpo_batch *b;
    grpo_sequences s;
    memset(&s, 0, sizeof s);
    if (!g) return s;
    b = &g->batch;
    s.num_sequences = b->num_sequences;
    s.offsets = b->offsets;
    s.logprobs = logprobs;
    s.old_logprobs = b->logprobs;
    s.advantages = b->advantages;
    s.ref_logprobs = b->ref_logprobs;
    s.kl = b->kl;
    s.sampling_logprobs = b->sampling_logprobs;
    s.mask = b->mask;
    return s;
}

/* What an optimizer step adds up over its micro-batches. */
typedef struct grpo__sums {
    grpo__normalizer n;
    grpo_loss_stats loss;
    double norm;                    /* of the gradient                                           */
} grpo__sums;

/* One micro-batch, prompts [p, *next): forward, loss, backward. Forward is skipped for idle groups,
 * and while the activations of sampling are valid: the sampler's log-probs and entropies, the same
 * bits, are used instead. */
static int grpo__accumulate_part(grpo *g, const grpo_objective *o, const grpo__normalizer *n,
                                 int p, int end, int *next, grpo_loss_stats *stats) {
    struct grpo__machinery *w = g->machinery;
    const grpo_batch *b = &g->batch;
    int exact = w->new_kl && o->kl == GRPO_KL_FULL && o->beta > 0 && !o->kl_in_reward;
    int G = b->group_size, from = b->offsets[p * G], to, t, code = GRPO_OK;
    grpo_per_token now = { w->new_logprobs, w->new_entropies, exact ? w->new_kl : NULL, NULL };
    grpo_per_token d = { w->new_dlogprobs, NULL, exact ? w->new_dkl : NULL, NULL };
    grpo_sequences s = grpo_batch_sequences(g, w->new_logprobs);
    grpo__pass pass = grpo__groups_pass(g, p, end, next, w->stored_valid ? GRPO__RECALL
                                        : GRPO__STORE, w->idle);
    size_t size;
    s.kl = w->new_kl; s.entropies = w->new_entropies;
    to = b->offsets[*next * G];
    size = (size_t)(to - from) * sizeof(float);
    memcpy(w->new_logprobs + from, b->logprobs + from, size);
    memcpy(w->new_entropies + from, b->entropies + from, size);
    if (w->new_kl) memcpy(w->new_kl + from, b->kl + from, size);
    if (pass.num_targets && (!w->stored_valid || exact))
        code = grpo__pass_forward(g, GRPO_POLICY, &pass, &now);
    for (t = from; t < to && !code; t++)
        if (!grpo__finite((double)w->new_logprobs[t]))
            code = grpo__fail(g, GRPO_NONFINITE, "the log-prob of token %d of the batch is not "
                              "finite: the update was skipped, the weights are as before", t);
    if (code) return code;
    grpo__loss_part(o, n, &s, p * G, *next * G, d.logprobs, d.kl, stats);
    if (!pass.num_targets) return GRPO_OK;
    if (o->entropy_coef != 0) d.entropies = w->new_entropies; /* in place: no longer needed      */
    for (t = from; t < to && d.entropies; t++)
        d.entropies[t] = b->mask[t] ? -o->entropy_coef / (float)grpo__max(n->num_tokens, 1)
                                    : 0.0f;
    return grpo__pass_backward(g, &pass, &d);
}

/* The gradient of the loss on prompts [first, end), added up in micro-batches, lane by lane, under
 * one normaliser. */
static int grpo__accumulate(grpo *g, const grpo_objective *o, int first, int end,
                            grpo__sums *sums) {
    grpo_batch *b = &g->batch;
    int G = b->group_size, lanes = g->machinery->num_lanes, lane, p, run, next;
    grpo_loss_stats *stats = g->machinery->lane_stats + g->machinery->first_lane;
    int code = grpo__begin_lanes(g, "an update");
    if (code) return grpo__agree(g, code);
    memset(sums, 0, sizeof *sums);
    sums->n = grpo__count((end - first) * G, b->offsets + first * G, b->mask);
    for (p = first; p < end; p++)
        g->machinery->idle[p] = (unsigned char)grpo__is_idle(g, o, p);
    for (lane = 0; lane < lanes && !code; grpo__end_lane(g, lane++)) {
        memset(&stats[lane], 0, sizeof *stats);
        for (p = first; (run = grpo__prompts_of(g, lane, &p, end)) > p; p = run)
            for (; p < run && !code; p = next)
                code = grpo__accumulate_part(g, o, &sums->n, p, run, &next, &stats[lane]);
    }
    code = grpo__total_loss(g, code, &sums->loss);
    grpo__loss_finish(o, &sums->loss);
    if (!code && !grpo__finite(sums->loss.loss))
        code = grpo__fail(g, GRPO_NONFINITE, "the loss is not finite: the update was skipped, the "
                          "weights are as before (is an advantage or reference log-prob NaN?)");
    if (code) grpo__clear_gradient(g);
    return code;
}

static int grpo__adapts(const grpo_objective *o) {
    return o->kl_target > 0 || o->entropy_target > 0;
}

/* Move beta and entropy_coef so that KL and entropy near their targets. */
static void grpo__adapt(grpo *g, const grpo_metrics *m) {
    grpo_objective *o = &g->config.objective;
    if (o->kl_target > 0)
        o->beta = grpo_adaptive_kl(o->beta, (float)m->kl, o->kl_target, o->kl_horizon,
                                   g->batch.num_sequences);
    if (o->entropy_target > 0) {
        o->entropy_coef += m->entropy < (double)o->entropy_target ? o->entropy_step
                                                                  : -o->entropy_step;
        if (o->entropy_coef < 0) o->entropy_coef = 0;
    }
}

/* One optimizer update on prompts [first, end). */
static int grpo__update_range(grpo *g, int first, int end, grpo_metrics *m) {
    const grpo_config *c = &g->config;
    const grpo_batch *b = &g->batch;
    grpo__sums sums;
    int code, G = b->group_size, p;
    m->learning_rate = (double)(c->learning_rate
        * grpo_schedule(c->lr_scheduler_type, g->state.optimizer_step, c->warmup_steps,
                c->max_steps));
    if (!grpo__counted(b->mask, b->offsets[first * G], b->offsets[end * G])) return GRPO_OK;
    code = grpo__accumulate(g, &c->objective, first, end, &sums);
    if (!code) code = grpo_optimize(g, (float)m->learning_rate, &sums.norm);
    if (code) { m->skipped = 1; return code; }
    g->state.optimizer_step++;
    for (p = first; p < end; p++) m->num_idle += g->machinery->idle[p];
    grpo__add_update(m, &sums);
    return GRPO_OK;
}

int grpo_update(grpo *g, grpo_metrics *metrics) {
    const grpo_config *c;
    grpo_metrics m;
    int pass, i, n, code = grpo__enter(g, "grpo_update", 1, GRPO__COMPARED);
    if (code) return grpo__agree(g, code);
    c = &g->config;
    memset(&m, 0, sizeof m);
    grpo__measure_batch(g, &m);
    n = g->batch.num_prompts;
    for (pass = 0; pass < c->num_iterations && !code; pass++)
        for (i = 0; i < c->steps_per_generation && !code; i++) {
            int first = (int)((int64_t)n * i / c->steps_per_generation);
            int end = (int)((int64_t)n * (i + 1) / c->steps_per_generation);
            if (first < end) code = grpo__update_range(g, first, end, &m);
        }
    grpo__average_updates(&m);
    if (!code && m.num_updates) grpo__adapt(g, &m);           /* else nothing was measured       */
    if (metrics) *metrics = m;
    return code;
}

int grpo_step(grpo *g, const grpo_prompt *prompts, int num_prompts, grpo_metrics *metrics) {
    grpo_metrics m;
    double start = grpo__seconds();
    int every, code = grpo__enter(g, "grpo_step", prompts != NULL, GRPO__EMPTY);
    if (!code) code = grpo__check_groups(g);
    if (code) return grpo__agree(g, code);
    every = g->config.ref_model_sync_steps;
    g->machinery->step_began = start;
    memset(&m, 0, sizeof m);
    code = grpo_rollout(g, prompts, num_prompts);             /* 1. sample G completions of each */
    if (!code) code = grpo_score(g);                          /* 2. reward them                  */
    if (!code) code = grpo_advantage(g);                      /* 3. compare within the group     */
    if (!code) code = grpo_update(g, &m);                     /* 4. learn                        */
    if (!code && every > 0 && g->machinery->reference && g->state.step % every == 0)
        code = grpo_set_reference(g, g->config.ref_model_mixup_alpha);
    m.step_time = g->config.team.size > 1 ? g->machinery->step_seconds : grpo__seconds() - start;
    if (metrics) *metrics = m;
    if (!code && g->config.on_step) g->config.on_step(&m, g->config.user);
    if (!code && g->config.metrics_path && !g->config.team.rank)
        code = grpo__append_metrics(g, &m);
    return code;
}

/* ============================================================================================
 *
 *   IV   THE MACHINE ROOM
 *
 * ============================================================================================ */

/* ----------------------------------------------------------------------------------- >>base --
 * What part III calls first: memory, addresses, a pass's stored activations, checks of input. */
static void *grpo__allocate(const grpo_config *c, size_t size) {
    if (size == SIZE_MAX) return NULL;                        /* a sum or product that overflowed */
    return c->allocate ? c->allocate(size, c->user) : malloc(size);
}

static void grpo__release(const grpo_config *c, void *memory) {
    if (!memory) return;
    if (c->allocate) c->release(memory, c->user);
    else free(memory);
}

/* An arena is laid out twice by the same code: with base NULL to measure, then for addresses. */
typedef struct grpo__arena { char *base; size_t used; } grpo__arena;

static void *grpo__take(grpo__arena *arena, size_t count, size_t size) {
    size_t start = grpo__add(arena->used, 63);
    if (start == SIZE_MAX) { arena->used = SIZE_MAX; return NULL; }
    start &= ~(size_t)63;
    arena->used = grpo__add(start, grpo__multiply(count, size));
    return arena->base ? arena->base + start : NULL;
}

static double grpo__seconds(void) {
#if defined(__unix__) || defined(__APPLE__)
    struct timeval t;
    gettimeofday(&t, NULL);
    return (double)t.tv_sec + 1e-6 * (double)t.tv_usec;
#else
    return (double)clock() / CLOCKS_PER_SEC;
#endif
}

/* A standard normal number (Box-Muller), for the initial weights. */
static float grpo__normal(uint64_t seed, uint64_t index) {
    uint64_t h = grpo__hash(seed, index, 0, 0, 1);
    double u = ((double)(h >> 32) + 0.5) / 4294967296.0;
    double v = ((double)(h & 0xffffffffu) + 0.5) / 4294967296.0;
    return (float)(sqrt(-2.0 * log(u)) * cos(6.283185307179586 * v));
}

static int grpo__has_own_lm_head(const grpo_model_config *m) {
    return grpo__has_lm_head(m) && !m->tie_word_embeddings;
}

/* One tensor as files know it, under Hugging Face's name; LoRA's under PEFT's. */
typedef struct grpo__tensor {
    char name[96];
    int rows, cols;                 /* cols 0: a vector of rows numbers                          */
    size_t offset;                  /* first number in the model's array, or in the trained one  */
    float *at;                      /* B; NULL: frozen, only an operand exists                   */
    const grpo_matrix *operand;     /* LoRA: the matrix that contains it, or NULL                */
    size_t within;                  /*     index of its first element there                      */
    const grpo__adapter *adapter;   /* its adapter, or NULL                                      */
} grpo__tensor;

/* Of numbers [*from, *from + n) those in this process's share: moves *from, returns how many. */
static size_t grpo__own_part(const struct grpo__machinery *w, size_t *from, size_t n) {
    size_t end = *from + n, share_end = w->share_first + w->share;
    if (*from < w->share_first) *from = w->share_first;
    if (end > share_end) end = share_end;
    return *from < end ? end - *from : 0;
}

/* To be called whenever trained weights have changed: refreshes operands, drops activations. */
static void grpo__weights_changed(grpo *g, int model) {
    struct grpo__machinery *w = g->machinery;
    const grpo__model *m = &w->models[model];
    int i, j, k, frozen = w->shape.rank > 0;
    if (model == GRPO_POLICY) w->stored_valid = w->forward_valid = 0;
    w->weights_hash = 0;
    for (i = 0; i < g->config.model.num_hidden_layers; i++) {
        const grpo__layer *l = &m->layers[i];
        const grpo__linear *const all[] = { &l->qkv, &l->out, &l->gate_up, &l->down };
        for (j = 0; j < 4; j++) {
            if (!frozen) w->backend->prepare(w->context, &all[j]->w);
            for (k = 0; k < all[j]->num_adapters; k++) {
                w->backend->prepare(w->context, &all[j]->adapters[k].A);
                w->backend->prepare(w->context, &all[j]->adapters[k].B);
            }
        }
    }
    if (frozen) return;
    if (m->head.rows) w->backend->prepare(w->context, &m->head);
    if (m->value.rows) w->backend->prepare(w->context, &m->value);
    if (m->value.rows) w->backend->prepare(w->context, &m->value_column);
}

/* An error that names the first tensor whose gradient is not finite; of a team each process knows
 * those of its share. */
static int grpo__name_culprit(grpo *g) {
    struct grpo__machinery *w = g->machinery;
    int i, code = GRPO_OK;
    for (i = 0; i < w->num_trained_tensors && !code; i++) {
        const grpo__tensor *t = &w->trained_tensors[i];
        size_t n = grpo__size(t->rows, t->cols ? t->cols : 1), from = t->offset;
        n = grpo__own_part(w, &from, n);
        if (n && !grpo__finite(w->backend->sum_of_squares(w->context, w->gradient + from, n)))
            code = grpo__fail(g, GRPO_NONFINITE, "the gradient of %s is not finite: the update was "
                              "skipped, the weights are as before", t->name);
    }
    code = grpo__agree(g, code);
    return code ? code : grpo__fail(g, GRPO_NONFINITE, "the gradient's norm overflows: the update "
                                    "was skipped, the weights are as before");
}

static int *grpo__on_device(const grpo *g, const void *host) {
    return g->machinery->index + ((const int *)host - g->machinery->index_host);
}

/* Element i of an array in backend memory. */
static void *grpo__element(const grpo *g, void *array, size_t i) {
    return (char *)array + i * g->machinery->backend->element_size;
}

/* The residual stream [R, H] before a layer; with layer == the number of layers, after the last. */
static void *grpo__stream(const grpo *g, const grpo__pass *pass, int layer) {
    const struct grpo__machinery *m = g->machinery;
    if (pass->mode != GRPO__STORE) return m->current.x;
    return grpo__element(g, m->layers[layer].x, grpo__size(pass->first_stored, m->shape.H));
}

/* Addresses of the arrays in a layer's state that backward needs, each with rows of row_bytes[i].
 * Returns how many there are. */
static int grpo__states_of(const grpo_config *c, grpo__layer_state *a,
                           void **at[GRPO__STATES]) {
    at[0] = &a->x; at[1] = &a->q; at[2] = &a->y; at[3] = &a->mid; at[4] = &a->gate_up;
    at[5] = &a->lse; at[6] = &a->qkv;                         /* qkv: only with qk_norm          */
    return c->model.qk_norm ? 7 : 6;
}

/* A layer's stored activations, `row` being the first. */
static grpo__layer_state grpo__from_row(const grpo *g, const grpo__layer_state *layer, int row) {
    grpo__layer_state a = *layer;
    void **at[GRPO__STATES];
    int i, n = grpo__states_of(&g->config, &a, at);
    for (i = 0; i < n; i++) *at[i] = (char *)*at[i] + (size_t)row * g->machinery->row_bytes[i];
    return a;
}

/* A layer's activations, rows in the order of the pass: GRPO__RECALL gathers them. */
static grpo__layer_state grpo__recall(grpo *g, int layer, const grpo__pass *pass) {
    const struct grpo__machinery *m = g->machinery;
    grpo__layer_state from = m->layers[layer], to = m->current;
    void **x[GRPO__STATES], **y[GRPO__STATES];
    int i, n = grpo__states_of(&g->config, &from, x);
    if (pass->mode != GRPO__RECALL) return from;
    to.k = from.k; to.v = from.v;
    grpo__states_of(&g->config, &to, y);
    for (i = 0; i < n; i++)
        m->backend->gather(m->context, *y[i], *x[i], grpo__on_device(g, pass->stored_rows),
                           pass->rows.num_rows, m->row_bytes[i]);
    return to;
}

static int *grpo__index(grpo *g, int count) {
    int *at = g->machinery->index_host + g->machinery->index_used;
    g->machinery->index_used += (count + 15) & ~15;
    return at;
}

/* An empty pass with space for this many rows, segments, groups and targets. */
static grpo__pass grpo__begin_pass(grpo *g, int rows, int segments, int groups, int targets) {
    grpo__pass p;
    memset(&p, 0, sizeof p);
    g->machinery->index_used = g->machinery->forward_valid = 0;
    p.tokens = grpo__index(g, rows);
    p.positions = grpo__index(g, rows);
    p.slots = grpo__index(g, rows);
    p.segments = (grpo_segment *)(void *)grpo__index(g, segments * 6);
    p.groups = grpo__index(g, groups + 1);
    p.head_rows = grpo__index(g, rows);
    p.set_rows = grpo__index(g, rows);
    p.stored_rows = grpo__index(g, rows);
    p.target_offsets = grpo__index(g, rows + 1);
    p.targets = grpo__index(g, targets);
    p.target_offsets[0] = p.groups[0] = 0;
    return p;
}

/* Upload a pass's integers; p->rows and p->heads get their addresses. */
static void grpo__send_pass(grpo *g, grpo__pass *p, const grpo_sampling *sampling,
                            uint32_t *sets) {
    struct grpo__machinery *w = g->machinery;
    w->backend->upload(w->context, w->index, w->index_host, (size_t)w->index_used * sizeof(int));
    p->rows.num_slots = w->max_slots;
    p->rows.tokens = grpo__on_device(g, p->tokens);
    p->rows.positions = grpo__on_device(g, p->positions);
    p->rows.slots = grpo__on_device(g, p->slots);
    p->rows.segments = (grpo_segment *)(void *)grpo__on_device(g, p->segments);
    p->rows.groups = grpo__on_device(g, p->groups);
    p->heads.offsets = grpo__on_device(g, p->target_offsets);
    p->heads.tokens = grpo__on_device(g, p->targets);
    p->heads.allowed = sets;
    p->heads.allowed_rows = grpo__on_device(g, p->set_rows);
    p->heads.temperature = sampling->temperature;
}

static int grpo__check_writes(grpo *g) {
    if (grpo__has_lm_head(&g->config.model)) return GRPO_OK;
    return grpo__fail(g, GRPO_BAD_INPUT, "this model has a scalar head (num_labels is 1): it "
                      "values text, it cannot write any");
}

static void grpo__missing_rewards(const grpo *g, const grpo_reward *reward, int first, int end) {
    const float *part = g->batch.reward_parts
                      + grpo__size((int)(reward - g->config.rewards), g->batch.num_sequences);
    char text[GRPO_ERROR_LENGTH];
    int i, n = 0, at = first;
    for (i = end - 1; i >= first; i--) if (!grpo__finite((double)part[i])) n++, at = i;
    if (!n || !g->config.log) return;
    snprintf(text, sizeof text, "reward \"%s\" is %g for %d of %d completions, one of prompt %d%s",
             reward->name, (double)part[at], n, end - first, at / g->batch.group_size,
             g->config.objective.combine == GRPO_COMBINE_ADVANTAGES ? "" : ": they are left out");
    g->config.log(text, g->config.user);
}

/* Are these tokens of the vocabulary? */
static int grpo__check_tokens(grpo *g, const char *what, const int *tokens, int n) {
    int t, V = g->config.model.vocab_size;
    for (t = 0; t < n; t++)
        if (tokens[t] < 0 || tokens[t] >= V)
            return grpo__fail(g, GRPO_BAD_INPUT, "%s: token %d is %d, not in a vocabulary of %d",
                              what, t, tokens[t], V);
    return GRPO_OK;
}

/* Reads the text or tokens of prompt or completion i (`what`), of `least` to `most` tokens. Returns
 * how many there are. */
static int grpo__read_tokens(grpo *g, const char *what, int i, const grpo_prompt *given, int least,
                             int most, int *tokens) {
    char name[32];
    int n = given->num_tokens, code;
    snprintf(name, sizeof name, "%s %d", what, i);
    if (!given->tokens && !given->text)
        return grpo__fail(g, GRPO_BAD_INPUT, "%s has neither text nor tokens", name);
    if (!given->tokens && (n = grpo_encode(g, given->text, tokens, most)) < 0) return n;
    if (n < least || n > most)
        return grpo__fail(g, GRPO_BAD_INPUT, "%s has %d tokens; it must have %d to %d (max_%s_"
                          "length)", name, n, least, most, what);
    if (!given->tokens) return n;
    code = grpo__check_tokens(g, name, given->tokens, n);
    if (!code) memmove(tokens, given->tokens, (size_t)n * sizeof *tokens);
    return code ? code : n;
}

/* LoRA: B is stored times this; 1 without LoRA. */
static float grpo__lora_scale(const grpo *g) {
    return g->config.lora.rank ? g->config.lora.alpha / (float)g->config.lora.rank : 1.0f;
}

static void grpo__clear_gradient(grpo *g) {
    struct grpo__machinery *w = g->machinery;
    w->pending = 0;
    w->backend->zero(w->context, w->gradient, g->num_trained * sizeof(float));
    if (w->dembed)
        w->backend->zero(w->context, w->dembed, grpo__size(w->shape.V, w->shape.H) * sizeof(float));
}

/* GRPO_DEVICE if the backend has reported an error. */
static int grpo__device_check(grpo *g) {
    const char *error = g->machinery->backend->error(g->machinery->context);
    if (!error) return GRPO_OK;
    return grpo__fail(g, GRPO_DEVICE, "%s: %s", g->machinery->backend->name, error);
}

/* The scalar head: hidden -> values [head rows]. */
static void grpo__value_forward(grpo *g, const grpo__pass *pass) {
    const struct grpo__machinery *m = g->machinery;
    const grpo__model *policy = &m->models[GRPO_POLICY];
    grpo__block_of_rows k;
    for (k.first = k.n = 0; grpo__next_block(g, policy, pass, &k); ) {
        k.product.w = &policy->value;
        m->backend->matmul(m->context, &k.product);
        m->backend->to_floats(m->context, m->values + k.first, m->logits, (size_t)k.n);
    }
}

/* d(loss)/d(values) [head rows] -> the head's gradient, and dhidden, accumulated onto the LM head's
 * if there is one. */
static void grpo__value_backward(grpo *g, const grpo__pass *pass) {
    const struct grpo__machinery *m = g->machinery;
    const grpo_backend *b = m->backend;
    const grpo__model *policy = &m->models[GRPO_POLICY];
    grpo__block_of_rows k;
    for (k.first = k.n = 0; grpo__next_block(g, policy, pass, &k); ) {
        b->from_floats(m->context, m->logits, m->values + k.first, (size_t)k.n);
        k.product.w = &policy->value;
        k.product.dw = m->gradients.value.weights;
        b->matmul_dw(m->context, &k.product);
        k.product.w = &policy->value_column;
        k.product.x = m->logits;
        k.product.y = k.product.dx;
        k.product.residual = policy->head.rows ? k.product.dx : NULL;
        b->matmul(m->context, &k.product);
    }
}

/* ----------------------------------------------------------------------------------- >>more --
 * Completions from elsewhere, supervised steps, generate, evaluate, verifiers. */

/* Copies elements [at, at + n) of a tensor of the policy from the host's `from` or, if it is NULL,
 * to the host's `to`. */
static void grpo__move_weights(const grpo *g, const grpo__tensor *t, size_t at, const float *from,
                               float *to, size_t n) {
    const struct grpo__machinery *w = g->machinery;
    const grpo_backend *b = w->backend;
    if (t->at && from) b->upload(w->context, t->at + at, from, n * sizeof(float));
    if (t->at && !from) b->download(w->context, to, t->at + at, n * sizeof(float));
    if (t->operand && from) b->write_operand(w->context, t->operand, t->within + at, from, n);
    if (t->operand && !from && !t->at)
        b->read_operand(w->context, to, t->operand, t->within + at, n);
}

grpo_prompt grpo_question(const char *text, const char *answer) {
    grpo_prompt p;
    memset(&p, 0, sizeof p);
    p.text = text;
    p.answer = answer;
    return p;
}

/* ---- completions from elsewhere */

/* The tokens of completion i; returns how many. A text gets end-of-text, unless truncated. */
static int grpo__read_completion(grpo *g, int i, const grpo_completion *c, int *tokens) {
    int closed = !c->tokens && !c->truncated, n;
    grpo_prompt given = grpo_question(c->text, NULL);
    given.tokens = c->tokens;
    given.num_tokens = c->num_tokens;
    n = grpo__read_tokens(g, "completion", i, &given, !closed,
                          g->config.max_completion_length - closed, tokens);
    if (n >= 0 && closed) tokens[n++] = g->config.eos_token_id;
    return n;
}

int grpo_adopt(grpo *g, const grpo_prompt *prompts, int num_prompts,
               const grpo_completion *completions) {
    struct grpo__machinery *w;
    grpo_batch *b;
    grpo_per_token now = { NULL, NULL, NULL, NULL };
    const grpo_sampling unfiltered = { 1, 0, 1, 0 };
    int i, L, code = grpo__enter(g, "grpo_adopt", prompts && completions, GRPO__EMPTY);
    if (!code) code = grpo__begin_batch(g, prompts, num_prompts, g->config.num_generations,
                                        g->config.steps_per_generation);
    if (code) return grpo__agree(g, code);
    w = g->machinery;
    b = &g->batch;
    L = g->config.max_completion_length;
    for (i = 0; !code && i < b->num_sequences; i++) {         /* as if they had just been drawn  */
        w->lengths[i] = grpo__read_completion(g, i, &completions[i],
                                              w->drawn_tokens + grpo__size(i, L));
        code = grpo__min(w->lengths[i], 0);
    }
    code = grpo__finish_batch(g, code);
    w->sampling = unfiltered;                                 /* their filters are not known     */
    if (g->config.sampling.temperature > 0)
        w->sampling.temperature = g->config.sampling.temperature;
    now.logprobs = b->logprobs;
    now.entropies = b->entropies;
    if (!code && grpo__has_lm_head(&g->config.model))
        code = grpo_forward(g, GRPO_POLICY, NULL, &now);
    for (i = 0; !code && i < b->num_sequences; i++) {
        size_t from = (size_t)b->offsets[i], to = grpo__size(i, L);
        size_t size = (size_t)w->lengths[i] * sizeof(float);
        const float *elsewhere = completions[i].logprobs;
        memcpy(w->drawn_logprobs + to, b->logprobs + from, size);
        memcpy(w->drawn_entropies + to, b->entropies + from, size);
        memcpy(w->drawn_elsewhere + from, elsewhere ? elsewhere : b->logprobs + from, size);
        if (elsewhere) b->sampling_logprobs = w->drawn_elsewhere;
    }
    if (!code) return grpo__count_batch(g);
    w->stage = GRPO__EMPTY;
    return code;
}

/* ---- weights of another model */
int grpo_copy_weights(grpo *to, const grpo *from) {
    float staging[1024];
    int i, j, code = grpo__enter(to, "grpo_copy_weights", from != NULL, GRPO__ALONE);
    if (!code && (code = grpo__enter(from, "grpo_copy_weights", 1, GRPO__ALONE)) != GRPO_OK)
        grpo__fail(to, code, "the other model: %s", grpo_error(from));
    if (code) return code;
    for (i = 0; i < 2 * to->machinery->num_tensors; i++)      /* all shapes first, then numbers  */
        for (j = 0; j < from->machinery->num_tensors; j++) {
            const grpo__tensor *a = &to->machinery->tensors[i % to->machinery->num_tensors];
            const grpo__tensor *b = &from->machinery->tensors[j];
            size_t n = grpo__size(a->rows, a->cols ? a->cols : 1), at, count;
            if (strcmp(a->name, b->name)) continue;
            if (a->rows != b->rows || a->cols != b->cols)
                return grpo__fail(to, GRPO_BAD_INPUT, "%s has another shape in the other model",
                                  a->name);
            for (at = i < to->machinery->num_tensors ? n : 0; at < n; at += count) {
                count = n - at < 1024 ? n - at : 1024;
                grpo__move_weights(from, b, at, NULL, staging, count);
                grpo__move_weights(to, a, at, staging, NULL, count);
            }
        }
    grpo__weights_changed(to, GRPO_POLICY);
    return grpo__device_check(to);
}

/* ---- supervised warm-up: one "completion" per prompt, its answer; advantage 1, no ratio, no KL */
static int grpo__answers_batch(grpo *g, const grpo_prompt *prompts, int num_prompts) {
    grpo_batch *b = &g->batch;
    grpo_completion answer = { NULL, NULL, 0, NULL, 0 };
    const grpo_sampling unfiltered = { 1, 0, 1, 0 };
    int i, t, code = grpo__check_writes(g);
    if (!code) code = grpo__begin_batch(g, prompts, num_prompts, 1, 1);
    b->offsets[0] = 0;
    for (i = 0; i < num_prompts && !code; i++) {
        answer.text = prompts[i].answer;
        if (!answer.text)
            return grpo__fail(g, GRPO_BAD_INPUT, "grpo_sft: prompt %d has no answer", i);
        t = grpo__read_completion(g, i, &answer, b->tokens + b->offsets[i]);
        b->offsets[i + 1] = b->offsets[i] + t;
        code = grpo__min(t, 0);
    }
    if (code) return code;
    for (t = 0; t < b->offsets[num_prompts]; t++) {
        b->advantages[t] = 1;
        b->logprobs[t] = 0;
        b->mask[t] = 1;
    }
    g->machinery->sampling = unfiltered;
    return GRPO_OK;
}

int grpo_sft(grpo *g, const grpo_prompt *prompts, int num_prompts, float learning_rate,
             double *loss) {
    grpo_objective likelihood;      /* -A log pi, A = 1                                          */
    grpo__sums sums;
    int code = grpo__enter(g, "grpo_sft", prompts != NULL, GRPO__EMPTY);
    if (!code) code = grpo__answers_batch(g, prompts, num_prompts);
    if (code) return grpo__agree(g, code);
    memset(&likelihood, 0, sizeof likelihood);
    likelihood.loss = GRPO_LOSS_REINFORCE;
    likelihood.average = GRPO_AVERAGE_TOKEN;
    code = grpo__accumulate(g, &likelihood, 0, num_prompts, &sums);
    if (!code) code = grpo_optimize(g, learning_rate, NULL);
    if (!code && loss) *loss = sums.loss.loss;
    return code;
}

/* ---- generate and evaluate */
int grpo_generate_all(grpo *g, const grpo_prompt *prompts, int num_prompts,
                      const grpo_sampling *sampling, uint64_t seed) {
    grpo__draw d;
    int code = grpo__enter(g, "grpo_generate", prompts != NULL, GRPO__ALONE);
    if (!code) code = grpo__how_to_draw(g, &d, sampling ? sampling : &g->config.sampling, 0);
    if (code) return code;
    d.seed = seed;
    code = grpo__begin_batch(g, prompts, num_prompts, 1, 0);
    if (!code) code = grpo__sample(g, &d, 0, num_prompts);
    if (!code) code = grpo__finish_batch(g, code);
    g->machinery->stage = GRPO__EMPTY;
    return code;
}

int grpo_generate(grpo *g, const grpo_prompt *prompt, const grpo_sampling *sampling,
                  uint64_t seed, char *text, size_t capacity) {
    const int code = prompt && text ? grpo_generate_all(g, prompt, 1, sampling, seed)
                                    : grpo__enter(g, "grpo_generate", 0, GRPO__ALONE);
    const size_t n = code ? 0 : strlen(g->machinery->text);
    if (code) return code;
    if (n >= capacity)
        return grpo__fail(g, GRPO_BAD_INPUT, "grpo_generate: the text has %.0f bytes, there is "
                          "room for %.0f", (double)n, (double)capacity - 1);
    memcpy(text, g->machinery->text, n + 1);
    return (int)n;
}

/* num_samples completions of each prompt, in batches that fit: adds up pass@1, pass@k (by the first
 * reward), reward and length. */
static int grpo__evaluate_part(grpo *g, const grpo_sampling *sampling, const grpo_prompt *prompts,
                               grpo_evaluation *e) {
    grpo__draw d;
    double at_1 = 0, at_k = 0, reward = 0, length = 0;
    int N = e->num_samples, first, n, i, c;
    int most = g->machinery->max_sequences / N;
    int code = grpo__how_to_draw(g, &d, sampling, 0);
    d.seed = grpo__mix(g->config.seed ^ UINT64_C(0x6576616c75617465));        /* "evaluate"      */
    for (first = 0; first < e->num_prompts && !code; first += n) {
        n = grpo__min(e->num_prompts - first, most);
        code = grpo__begin_batch(g, prompts + first, n, N, 1);
        if (!code) code = grpo__sample(g, &d, 0, n);
        code = grpo__finish_batch(g, code);
        if (!code) code = grpo__reward_batch(g, 0);
        g->machinery->stage = GRPO__EMPTY;
        for (i = 0; i < n && !code; i++) {
            int correct = 0;
            for (c = i * N; c < (i + 1) * N; c++) {
                correct += g->batch.reward_parts[c] >= g->config.success_reward;
                if (grpo__finite((double)g->batch.rewards[c]))
                    reward += (double)g->batch.rewards[c];
                length += g->machinery->lengths[c];
            }
            at_1 += grpo_pass_at_k(N, correct, 1);
            at_k += grpo_pass_at_k(N, correct, e->k);
        }
    }
    e->pass_at_1 = (float)(at_1 / e->num_prompts);
    e->pass_at_k = (float)(at_k / e->num_prompts);
    e->reward = (float)(reward / e->num_prompts / N);
    e->mean_length = (float)(length / e->num_prompts / N);
    return code;
}

int grpo_evaluate(grpo *g, const grpo_prompt *prompts, int num_prompts, int num_samples, int k,
                  grpo_evaluation *evaluation) {
    const grpo_sampling greedily = { 0, 0, 1, 0 };
    grpo_evaluation greedy = { num_prompts, 1, 1, 0, 0, 0, 0, 0 };
    grpo_evaluation sampled = { num_prompts, num_samples, k, 0, 0, 0, 0, 0 };
    const struct grpo__machinery *w;
    int most, code = grpo__enter(g, "grpo_evaluate", prompts && evaluation, GRPO__EMPTY);
    if (code) return grpo__agree(g, code);
    w = g->machinery;
    most = (w->max_slots - g->config.max_prompt_length) / g->config.max_completion_length;
    most = grpo__min(most, grpo__min(w->max_sequences, w->max_rows));
    if (num_prompts < 1 || num_samples < 0 || num_samples > most
        || (num_samples && (k < 1 || k > num_samples)))
        code = grpo__fail(g, GRPO_BAD_INPUT, "grpo_evaluate: at least one prompt, num_samples 0 to "
                          "%d (what fits beside one prompt), k 1 to num_samples", most);
    else if (g->config.num_rewards == 0)
        code = grpo__fail(g, GRPO_BAD_INPUT, "grpo_evaluate: there is no reward to judge by");
    if (code) return grpo__agree(g, code);
    code = grpo__evaluate_part(g, &greedily, prompts, &greedy);
    if (!code && num_samples)
        code = grpo__evaluate_part(g, &g->config.sampling, prompts, &sampled);
    sampled.accuracy = greedy.pass_at_1;
    sampled.reward = greedy.reward;
    sampled.mean_length = greedy.mean_length;
    *evaluation = sampled;
    return code;
}

double grpo_pass_at_k(int num_samples, int num_correct, int k) {
    double all_wrong = 1;           /* C(n-c, k) / C(n, k) as a product of k fractions */
    int i;
    if (num_correct <= 0 || num_samples < 1) return 0;
    if (num_samples - num_correct < k) return 1;
    for (i = 0; i < k; i++)
        all_wrong *= (double)(num_samples - num_correct - i) / (num_samples - i);
    return 1 - all_wrong;
}

/* ---- numbers ---- */

static int grpo__is_digit(char c) { return c >= '0' && c <= '9'; }
static int grpo__is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }
static int grpo__is_blank(char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }
static const char *grpo__skip_blanks(const char *at) { return at + strspn(at, " \t\n\v\f\r"); }

static const char *grpo__read_digits(const char *at, double *value) {
    for (; grpo__is_digit(*at); at++) *value = *value * 10 + (*at - '0');
    return at;
}

/* Skips the first of these words that the text at `at` begins with, if any. Each word ends with
 * NUL, the list with an empty word. */
static const char *grpo__skip_word(const char *at, const char *words) {
    for (; *words; words += strlen(words) + 1)
        if (!strncmp(at, words, strlen(words))) return at + strlen(words);
    return at;
}

/* -, U+2212, U+2010 to U+2013, U+FE63, U+FF0D, U+207B; LaTeX's {-} */
static const char *grpo__skip_minus(const char *at) {
    return grpo__skip_word(at, "-\0\xE2\x88\x92\0\xE2\x80\x90\0\xE2\x80\x91\0\xE2\x80\x92\0{-}\0"
                           "\xE2\x80\x93\0\xEF\xB9\xA3\0\xEF\xBC\x8D\0\xE2\x81\xBB\0");
}

/* $ (LaTeX's \$ and US$ too), U+00A2 to U+00A5, U+20A0 to U+20BF */
static const char *grpo__skip_currency(const char *at) {
    const unsigned char *b = (const unsigned char *)at + strspn(at, "ABCDEFGHIJKLMNOPQRSTUVWXYZ");
    b += b[0] == '\\' && b[1] == '$';
    if (*b == '$') return (const char *)b + 1;
    if (b[0] == 0xC2 && b[1] >= 0xA2 && b[1] <= 0xA5) return (const char *)b + 2;
    return b[0] == 0xE2 && b[1] == 0x82 && b[2] >= 0xA0 ? (const char *)b + 3 : at;
}

/* One more group of a number such as 1,234,567: a comma, an apostrophe, or what typesetters put
 * between thousands, LaTeX's too, then three digits and no fourth. The digits; NULL: none. */
static const char *grpo__find_group(const char *at) {
    const char *d = grpo__skip_word(at, ",\\!\0,\0{,}\\!\0{,}\0{\\,}\0\\,\0\\!\0\\;\0\\:\0\\ \0~\0"
                                    "'\0_\0\xC2\xA0\0\xE2\x80\x89\0\xE2\x80\xAF\0\xE2\x80\x99\0");
    return d > at && grpo__is_digit(d[0]) && grpo__is_digit(d[1]) && grpo__is_digit(d[2])
           && !grpo__is_digit(d[3]) ? d : NULL;
}

/* Digits that are raised: U+00B9, U+00B2, U+00B3, U+2070, U+2074 to U+2079. */
static const char *grpo__read_raised(const char *at, double *value) {
    static const char last[] = "\xB9\xB2\xB3\xB0\xB4\xB5\xB6\xB7\xB8\xB9";
    int wide;
    while ((wide = !strncmp(at, "\xE2\x81", 2)) != 0 || *at == '\xC2') {
        const char *d = at + 1 + wide;
        if (!memchr(last + 3 * wide, *d, wide ? 7 : 3)) break;
        *value = *value * 10 + (wide || *d != last[0] ? *d & 15 : 1);
        at = d + 1;
    }
    return at;
}

/* A power of ten after a number, "e-05", " \times 10^{-5}" or its digits raised; after a bare 10,
 * one less than "^5" or "**5"; none in 1e5f. Returns its end; *places decimals are so many less. */
static const char *grpo__read_power(const char *at, int bare, double *places) {
    const char *ten = grpo__skip_blanks(at), *digits, *end, *from = grpo__skip_word(ten,
        "\\times\0\\cdot\0x\0*\0\xC3\x97\0\xC2\xB7\0\xE2\x8B\x85\0\\,\\times\\,\0\\,\\cdot\\,\0");
    int letter = *at == 'e' || *at == 'E', closing, raised;
    double power = 0;
    if (from > ten && !strncmp(from = grpo__skip_blanks(from), "10", 2)) ten = from + 2, bare = 0;
    else if (!bare && !letter) return at;
    ten = grpo__skip_blanks(ten);
    from = letter ? at + 1 : grpo__skip_word(ten, "^ \0^\0**\0");
    raised = from == ten;
    closing = *from == '{' ? '}' : *from == '(' ? ')' : 0;
    if (closing) from = grpo__skip_blanks(from + 1);
    digits = grpo__skip_minus(from);
    if (digits == from && *from == '+') from = ++digits;
    end = raised ? grpo__read_raised(digits, &power) : grpo__read_digits(digits, &power);
    if (end == digits || (letter && grpo__is_letter(*end))
        || (closing && *(end = grpo__skip_blanks(end)) != closing)) return at;
    *places += (bare && !letter) + (digits > from ? power : -power);
    return end + (closing != 0);
}

/* "12", "3.14", ".5", "3." and, in prose, "1,234.5", "1e-05". Returns its end; NULL: no number is
 * there. Up to 15 digits and 22 powers of ten the value is rounded once, so it is the double
 * nearest to the text; fraction digits beyond that are dropped. Infinity if it is too large. */
static const char *grpo__read_number(const char *at, int prose, double *value) {
    const char *start = at;
    double places = 0;
    if (!grpo__is_digit(at[0]) && !(at[0] == '.' && grpo__is_digit(at[1]))) return NULL;
    *value = 0;
    at = grpo__read_digits(at, value);
    if (prose && at - start >= 1 && at - start <= 3)
        while ((start = grpo__find_group(at)) != NULL) at = grpo__read_digits(start, value);
    if (*at == '.')
        for (at++; grpo__is_digit(*at); at++)
            if (*value < 9e14) {                              /* so that 10 value + 9 is exact    */
                *value = *value * 10 + (*at - '0');
                places++;
            }
    if (prose) at = grpo__read_power(at, *value == 10 && places == 0, &places);
    if (*value > 0) *value = places > 0 ? *value / pow(10, places) : *value * pow(10, -places);
    return at;
}

/* -?(0|[1-9][0-9]*)(.[0-9]+)?([eE][+-]?[0-9]+)?  Good for any float printed with nine digits, and
 * exact for whole numbers up to 2^53; strtod would depend on the locale. */
static const char *grpo__json_number(const char *at, double *value) {
    double power = 0;
    int negative = *at == '-', below = 0;
    const char *start = at + negative;
    at = grpo__read_number(start, 0, value);
    if (!at || *start == '.' || at[-1] == '.' || (*start == '0' && grpo__is_digit(start[1])))
        return NULL;
    if (*at == 'e' || *at == 'E') {
        below = at[1] == '-';
        at += 1 + (below || at[1] == '+');
        if (!grpo__is_digit(*at)) return NULL;
        at = grpo__read_digits(at, &power);
    }
    if (*value > 0) *value = below ? *value / pow(10, power) : *value * pow(10, power);
    if (negative) *value = -*value;
    return at;
}

/* Is the minus or point at `at` joined to the text before it, and so not part of the number after?
 * "5-3", "end.5", "5%-10%", "$5-$10", "$5$-$10$" */
static int grpo__is_joined(const char *text, const char *at) {
    char c = ' ';
    int n, money = 0;
    for (n = 1; n <= 3 && n <= at - text; n++)
        if (!grpo__is_letter(at[-n]) && grpo__skip_currency(at - n) == at) money = n;
    if (at - money > text) c = at[-money - 1];
    return grpo__is_digit(c) || (!money && grpo__is_letter(c)) || (c && strchr(")]}%", c));
}

/* "72", "-3", "-$1,234.50", "$-3", ".5" at `at`, in a text that begins at `text`. Its end, or NULL.
 * Blanks after a minus only where it cannot be a list's or a difference: "= - 3", "(- 3)". */
static const char *grpo__read_signed(const char *text, const char *at, double *value) {
    const char *start = at, *before = at;
    int negative = (at = grpo__skip_minus(at)) > start;
    if ((negative || *at == '.') && grpo__is_joined(text, start)) return NULL;
    if (*start == '.' && start > text && start[-1] == '.') return NULL;
    if (negative) {
        while (before > text && grpo__is_blank(before[-1])) before--;
        if (before > text && strchr("=#({[", before[-1])) at = grpo__skip_blanks(at);
        at = grpo__skip_currency(grpo__skip_word(at, "\\,\0\\!\0"));
    }
    at = grpo__read_number(at, 1, value);
    if (at && negative) *value = -*value;
    return at;
}

/* Read from the left, so that each digit belongs to one number only:
 *     "is 72." 72     "#### 1,234" 1234     "1,2" 2     "1,2345" 2345     "x = -3" -3     "5-3" 3
 *     "$-.50" -.5     "10%" 10              "1/2" 2     "v1.2.3" 3        "1e-05" .00001  "(5)" 5
 * A list without blanks is taken for thousands where it looks so: "100,200" is 100200. */
int grpo_last_number(const char *text, double *value) {
    const char *at = text, *end;
    double number = 0;              /* untouched where there is none                              */
    int found = 0;
    for (; at && *at; at = end ? end : at + 1)
        if ((end = grpo__read_signed(text, at, &number)) != NULL) found = 1;
    if (found && value) *value = number;
    return found;
}

/* Whole numbers are compared exactly, from 2^53 on up to their last bits, others to 9 digits. */
float grpo_reward_last_number(const grpo_sample *s, void *user) {
    double answer = 0, number = 0, slack = 1e-9;
    (void)user;
    if (!s || !grpo_last_number(s->answer, &answer) || !grpo__finite(answer)) return (float)NAN;
    if (!grpo_last_number(s->completion, &number) || !grpo__finite(number)) return 0;
    if (floor(number) == number && floor(answer) == answer)
        slack = fabs(answer) < 9007199254740992.0 ? 0 : 1e-15;
    return (float)(fabs(number - answer) <= slack * fmax(fabs(number), fabs(answer)));
}

/* ---- expressions ----
 *     sum     = product { ("+" | "-") product }
 *     product = factor { ("*" | "/") factor }
 *     factor  = "-" factor | "(" sum ")" | number          blanks may stand between any two parts
 * by recursive descent. Nesting is bounded, so no text exhausts the stack. */

enum { GRPO__MAX_NESTING = 64, GRPO__MAX_OPERANDS = 64 };

typedef struct grpo__parser {
    const char *at;
    int depth, failed;
    double *numbers;                /* the first `capacity` operands; may be NULL                 */
    int capacity, count;
} grpo__parser;

static double grpo__parse_chain(grpo__parser *p, const char *signs);

static double grpo__parse_factor(grpo__parser *p) {
    double value = 0;
    char first = *(p->at = grpo__skip_blanks(p->at));
    if (first == '-' || first == '(') {
        if ((p->failed |= ++p->depth > GRPO__MAX_NESTING) != 0) return 0;
        p->at++;
        value = first == '-' ? -grpo__parse_factor(p) : grpo__parse_chain(p, "+-");
        if (first == '(' && *p->at == ')') p->at++;
        else if (first == '(') p->failed = 1;
        p->depth--;
    } else {
        const char *end = grpo__read_number(p->at, 0, &value);
        if ((p->failed |= !end || !grpo__finite(value)) != 0) return 0;
        if (p->numbers && p->count < p->capacity) p->numbers[p->count] = value;
        p->count++;
        p->at = end;
    }
    p->at = grpo__skip_blanks(p->at);
    return value;
}

/* A sum ("+-"), whose links are products, or a product, whose links are factors. */
static double grpo__parse_chain(grpo__parser *p, const char *signs) {
    int is_sum = *signs == '+';
    double right, value = is_sum ? grpo__parse_chain(p, "*/") : grpo__parse_factor(p);
    while (!p->failed && (*p->at == signs[0] || *p->at == signs[1])) {
        char sign = *p->at++;
        right = is_sum ? grpo__parse_chain(p, "*/") : grpo__parse_factor(p);
        if (sign == '/' && right == 0) p->failed = 1;
        else if (sign == '/') value /= right;
        else if (sign == '*') value *= right;
        else value += sign == '-' ? -right : right;
        if (!grpo__finite(value)) p->failed = 1;
    }
    return value;
}

/* The expression that text begins with. Returns where it ends, blanks after it included, or NULL
 * if there is none, it divides by zero, overflows, or nests deeper than GRPO__MAX_NESTING. */
static const char *grpo__evaluate(const char *text, double *value, double *numbers, int capacity,
                                  int *count) {
    grpo__parser p = { text, 0, 0, numbers, capacity, 0 };
    if (!text) return NULL;
    *value = grpo__parse_chain(&p, "+-");
    *count = p.count;
    return p.failed ? NULL : p.at;
}

int grpo_evaluate_expression(const char *text, double *value, double *numbers, int capacity,
                             int *count) {
    double result = 0;
    int operands = 0;
    const char *end = grpo__evaluate(text, &result, numbers, capacity, &operands);
    if (!end || *end) return 0;
    if (value) *value = result;
    if (count) *count = operands;
    return 1;
}

/* "target: a b c": a number, a colon, 1 to GRPO__MAX_OPERANDS numbers without sign, blanks between
 * them. Returns how many, 0 if the text is not like that. */
static int grpo__read_countdown(const char *text, double *target, double *given) {
    const char *at = text ? grpo__skip_blanks(text) : "", *end = grpo__read_signed(at, at, target);
    int n = 0;
    if (!end || *(end = grpo__skip_blanks(end)) != ':') return 0;
    for (at = grpo__skip_blanks(end + 1); *at; at = grpo__skip_blanks(end)) {
        if (n == GRPO__MAX_OPERANDS) return 0;
        end = grpo__read_number(at, 0, &given[n++]);
        if (!end || (*end && !grpo__is_blank(*end))) return 0;
    }
    return n;
}

/* Are a and b the same numbers in some order? Each a[i] takes its partner from the rest of b. */
static int grpo__same_numbers(const double *a, double *b, int n) {
    int i, j;
    for (i = 0; i < n; i++) {
        for (j = i; j < n && b[j] != a[i]; ) j++;
        if (j == n) return 0;
        b[j] = b[i];
        b[i] = a[i];
    }
    return 1;
}

/* 1 if the completion, blanks aside, is "expression" or "expression = expression" (in practice
 * "4 * 6 * 1 * 1 = 24"), each side is within 1e-6 of the target, and the operands of the left side
 * are the given numbers, each exactly as often as it was given. A unary minus is no operand: in
 * "6 - -4" they are 6 and 4. Any other text, a second "=" too, gives 0; an answer that is not
 * "target: a b c" NaN. */
float grpo_reward_countdown(const grpo_sample *s, void *user) {
    double given[GRPO__MAX_OPERANDS], used[GRPO__MAX_OPERANDS], target = 0, value = 0;
    int count, num_used = 0, num_given = s ? grpo__read_countdown(s->answer, &target, given) : 0;
    const char *end;
    (void)user;
    if (num_given == 0) return (float)NAN;
    end = grpo__evaluate(s->completion, &value, used, GRPO__MAX_OPERANDS, &num_used);
    if (!end || fabs(value - target) > 1e-6 || num_used != num_given) return 0;
    if (*end == '=') {
        end = grpo__evaluate(end + 1, &value, NULL, 0, &count);
        if (!end || fabs(value - target) > 1e-6) return 0;
    }
    return (float)(*end == '\0' && grpo__same_numbers(given, used, num_given));
}

/* ---- text and length ---- */

/* Drops the blanks at both ends: moves *text, returns the length of what remains. */
static size_t grpo__trim(const char **text) {
    size_t length = strlen(*text = grpo__skip_blanks(*text ? *text : ""));
    while (length > 0 && grpo__is_blank((*text)[length - 1])) length--;
    return length;
}

/* Without an answer: NaN. */
float grpo_reward_exact_match(const grpo_sample *s, void *user) {
    const char *completion = s ? s->completion : NULL, *answer = s ? s->answer : NULL;
    size_t n = grpo__trim(&completion);
    (void)user;
    if (!answer) return (float)NAN;
    return (float)(grpo__trim(&answer) == n && memcmp(completion, answer, n) == 0);
}

/* Byte for byte, blanks too; prefix and suffix may not overlap. Without a format: NaN. */
float grpo_reward_format(const grpo_sample *s, void *user) {
    const grpo_format *format = (const grpo_format *)user;
    const char *text = s && s->completion ? s->completion : "";
    const char *prefix = format && format->prefix ? format->prefix : "";
    const char *suffix = format && format->suffix ? format->suffix : "";
    size_t length = strlen(text), head = strlen(prefix), tail = strlen(suffix);
    if (!s || !format) return (float)NAN;
    return (float)(length >= head && length - head >= tail && memcmp(text, prefix, head) == 0 &&
                   memcmp(text + length - tail, suffix, tail) == 0);
}

/* DAPO (arXiv:2503.14476) eq. 13, with |y| = num_tokens, Lmax = max_completion_length:
 *     0  if |y| <= Lmax - Lc      ((Lmax - Lc) - |y|) / Lc  up to Lmax      -1  beyond
 * A completion cut off at Lmax gets -1. Lc <= 0: no soft part. Without Lc (user NULL): NaN. */
float grpo_reward_overlong(const grpo_sample *s, void *user) {
    const int *Lc = (const int *)user;
    double cache, free_length, y;
    if (!s || !Lc) return (float)NAN;
    y = s->num_tokens;
    cache = *Lc > 0 ? *Lc : 0;
    free_length = s->max_completion_length - cache;
    if (y <= free_length) return 0;
    if (y > s->max_completion_length) return -1;
    return (float)((free_length - y) / cache);
}

/* Fewer than 3 tokens: 0. Compares every 3-gram with those before it, O(num_tokens^2): some
 * milliseconds for the few thousand tokens of a long completion, and no memory. */
float grpo_reward_repetition(const grpo_sample *s, void *user) {
    const int *t;
    int i, j, total, repeated = 0;
    (void)user;
    if (!s) return (float)NAN;
    t = s->tokens; total = s->num_tokens - 2;
    if (!t || s->num_tokens < 3) return 0;
    for (i = 1; i < total; i++) {
        for (j = 0; j < i; j++)
            if (t[i] == t[j] && t[i + 1] == t[j + 1] && t[i + 2] == t[j + 2]) break;
        repeated += j < i;
    }
    return (float)(-(double)repeated / total + 0.0);          /* + 0.0: not -0                    */
}

/* -------------------------------------------------------------------------------- >>metrics --
 * One row each, in the order of the JSON: TRL's name (kl/k1 to entropy_coef, ratio/mean and those
 * after it are ours), how updates are combined, its offset in grpo_metrics, and the offset in
 * grpo__sums of what one update adds. */
enum { GRPO__ONCE, GRPO__WHOLE,     /* measured once a step: a double, an int                    */
       GRPO__MEAN, GRPO__LEAST, GRPO__MOST };                 /* over the updates                */
typedef struct grpo__metric { const char *name; int how; size_t at, share; } grpo__metric;
#define GRPO__BATCH(name, how, field) { name, GRPO__##how, offsetof(grpo_metrics, field), 0 }
#define GRPO__LOSS(name, how, field, share) \
    { name, GRPO__##how, offsetof(grpo_metrics, field), offsetof(grpo__sums, loss.share) }
static const grpo__metric grpo__metrics[] = {
    GRPO__LOSS("loss", MEAN, loss, loss),
    GRPO__LOSS("policy_loss", MEAN, policy_loss, policy_loss),
    { "grad_norm", GRPO__MEAN, offsetof(grpo_metrics, grad_norm), offsetof(grpo__sums, norm) },
    GRPO__BATCH("learning_rate", ONCE, learning_rate),
    GRPO__BATCH("step_time", ONCE, step_time),
    GRPO__BATCH("reward", ONCE, reward),
    GRPO__BATCH("reward_std", ONCE, reward_std),
    GRPO__BATCH("frac_reward_zero_std", ONCE, frac_reward_zero_std),
    GRPO__LOSS("entropy", MEAN, entropy, entropy),
    GRPO__LOSS("kl", MEAN, kl, kl),
    GRPO__LOSS("clip_ratio/low_mean", MEAN, clip_ratio_low_mean, clip_low_mean),
    GRPO__LOSS("clip_ratio/high_mean", MEAN, clip_ratio_high_mean, clip_high_mean),
    GRPO__LOSS("clip_ratio/region_mean", MEAN, clip_ratio_region_mean, clip_region_mean),
    GRPO__LOSS("clip_ratio/low_min", MEAN, clip_ratio_low_min, clip_low_min),
    GRPO__LOSS("clip_ratio/high_max", MEAN, clip_ratio_high_max, clip_high_max),
    GRPO__BATCH("completions/mean_length", ONCE, completions_mean_length),
    GRPO__BATCH("completions/min_length", ONCE, completions_min_length),
    GRPO__BATCH("completions/max_length", ONCE, completions_max_length),
    GRPO__BATCH("completions/mean_terminated_length", ONCE, completions_mean_terminated_length),
    GRPO__BATCH("completions/min_terminated_length", ONCE, completions_min_terminated_length),
    GRPO__BATCH("completions/max_terminated_length", ONCE, completions_max_terminated_length),
    GRPO__BATCH("completions/clipped_ratio", ONCE, completions_clipped_ratio),
    GRPO__LOSS("kl/k1", MEAN, kl_estimates[GRPO_KL_K1], kl_estimates[GRPO_KL_K1]),
    GRPO__LOSS("kl/k2", MEAN, kl_estimates[GRPO_KL_K2], kl_estimates[GRPO_KL_K2]),
    GRPO__LOSS("kl/k3", MEAN, kl_estimates[GRPO_KL_K3], kl_estimates[GRPO_KL_K3]),
    GRPO__LOSS("kl/abs", MEAN, kl_estimates[GRPO_KL_ABS], kl_estimates[GRPO_KL_ABS]),
    GRPO__BATCH("beta", ONCE, beta),
    GRPO__BATCH("entropy_coef", ONCE, entropy_coef),
    GRPO__LOSS("sampling/sampling_logp_difference/mean", MEAN, sampling_difference_mean,
               sampling_difference_mean),
    GRPO__LOSS("sampling/sampling_logp_difference/max", MOST, sampling_difference_max,
               sampling_difference_max),
    GRPO__LOSS("sampling/importance_sampling_ratio/min", LEAST, importance_min, importance_min),
    GRPO__LOSS("sampling/importance_sampling_ratio/mean", MEAN, importance_mean, importance_mean),
    GRPO__LOSS("sampling/importance_sampling_ratio/max", MOST, importance_max, importance_max),
    GRPO__LOSS("ratio/mean", MEAN, ratio_mean, ratio_mean),
    GRPO__LOSS("ratio/max", MOST, ratio_max, ratio_max),
    GRPO__BATCH("num_left_out", WHOLE, num_left_out),
    GRPO__BATCH("num_resampled", WHOLE, num_resampled),
    GRPO__BATCH("num_idle", WHOLE, num_idle),
    GRPO__BATCH("num_updates", WHOLE, num_updates),
    GRPO__BATCH("skipped", WHOLE, skipped)
};
#undef GRPO__BATCH
#undef GRPO__LOSS
enum { GRPO__METRICS = (int)(sizeof grpo__metrics / sizeof *grpo__metrics) };

/* Accumulate an update into the step's metrics; means are sums until grpo__average_updates(). */
static void grpo__add_update(grpo_metrics *m, const grpo__sums *s) {
    const grpo__metric *k = grpo__metrics;
    for (; k < grpo__metrics + GRPO__METRICS; k++) {
        double *all, one;
        if (k->how < GRPO__MEAN) continue;
        all = (double *)(void *)((char *)m + k->at);
        one = *(const double *)(const void *)((const char *)s + k->share);
        if (k->how == GRPO__MEAN) *all += one;
        else if (k->how == GRPO__MOST ? one > *all : !m->num_updates || one < *all) *all = one;
    }
    m->num_updates++;
}

/* Sums over updates -> means. */
static void grpo__average_updates(grpo_metrics *m) {
    const grpo__metric *k = grpo__metrics;
    for (; k < grpo__metrics + GRPO__METRICS; k++)
        if (k->how == GRPO__MEAN)
            *(double *)(void *)((char *)m + k->at) /= grpo__max(m->num_updates, 1);
}

/* The metrics of the batch: rewards and lengths. */
static void grpo__measure_batch(const grpo *g, grpo_metrics *m) {
    const grpo_batch *b = &g->batch;
    grpo__statistics rewards;
    int r, p, i, ended = 0;
    m->step = (int)g->state.step;
    m->num_tokens = g->state.num_tokens;
    m->beta = (double)g->config.objective.beta;
    m->entropy_coef = (double)g->config.objective.entropy_coef;
    rewards = grpo__describe(b->rewards, NULL, b->num_sequences, 1);
    m->reward = rewards.mean;
    m->reward_std = rewards.std;
    m->num_left_out = b->num_sequences - rewards.count;
    m->num_rewards = g->config.num_rewards;
    for (r = 0; r < m->num_rewards; r++) {
        memcpy(m->reward_names[r], g->config.rewards[r].name, GRPO_NAME_LENGTH);
        rewards = grpo__describe(b->reward_parts + grpo__size(r, b->num_sequences), NULL,
                                 b->num_sequences, 1);
        m->reward_means[r] = rewards.mean;
        m->reward_stds[r] = rewards.std;
    }
    for (p = 0; p < b->num_prompts; p++) {
        m->frac_reward_zero_std += (double)g->machinery->dead[p] / b->num_prompts;
        m->num_resampled += b->resampled[p];
    }
    for (i = 0; i < b->num_sequences; i++) {
        double n = b->offsets[i + 1] - b->offsets[i];
        m->completions_mean_length += n / b->num_sequences;
        if (i == 0 || n < m->completions_min_length) m->completions_min_length = n;
        if (n > m->completions_max_length) m->completions_max_length = n;
        m->completions_clipped_ratio += (double)b->truncated[i] / b->num_sequences;
        if (b->truncated[i]) continue;
        if (!ended++ || n < m->completions_min_terminated_length)
            m->completions_min_terminated_length = n;
        if (n > m->completions_max_terminated_length) m->completions_max_terminated_length = n;
        m->completions_mean_terminated_length += n;
    }
    if (ended) m->completions_mean_terminated_length /= ended;
}

/* How far pi_sampling is from pi_old. */
static void grpo__measure_sampling(const grpo_sequences *s, int t, double importance,
                                   grpo_loss_stats *sums) {
    double difference = fabs((double)s->old_logprobs[t] - (double)s->sampling_logprobs[t]);
    sums->sampling_difference_mean += difference;
    if (difference > sums->sampling_difference_max) sums->sampling_difference_max = difference;
    sums->importance_mean += importance;
    if (!sums->num_tokens || importance < sums->importance_min) sums->importance_min = importance;
    if (importance > sums->importance_max) sums->importance_max = importance;
}

/* The extremes over sequences of the share of their tokens that is clipped. */
static void grpo__sequence_clipping(grpo_loss_stats *s, int tokens, int low, int high) {
    double low_share = (double)low / tokens, high_share = (double)high / tokens;
    if (!s->num_sequences++ || low_share < s->clip_low_min) s->clip_low_min = low_share;
    if (high_share > s->clip_high_max) s->clip_high_max = high_share;
    s->clip_low_mean += low;
    s->clip_high_mean += high;
}

static double grpo__most(double a, double b) { return a > b || a != a ? a : b; }      /* or NaN  */

/* Adds the sums of another lane of an update. */
static void grpo__add_stats(grpo_loss_stats *all, const grpo_loss_stats *lane) {
    const size_t doubles = offsetof(grpo_loss_stats, num_tokens) / sizeof(double);
    const double *sums = (const double *)(const void *)lane;
    grpo_loss_stats both = *all;
    size_t i;
    if (!lane->num_sequences) return;
    for (i = 0; i < doubles; i++) ((double *)(void *)&both)[i] += sums[i];
    both.num_tokens += lane->num_tokens;
    both.num_sequences += lane->num_sequences;
    both.sampling_difference_max = grpo__most(all->sampling_difference_max,
                                              lane->sampling_difference_max);
    both.importance_max = grpo__most(all->importance_max, lane->importance_max);
    both.ratio_max = grpo__most(all->ratio_max, lane->ratio_max);
    both.clip_high_max = grpo__most(all->clip_high_max, lane->clip_high_max);
    both.importance_min = -grpo__most(-all->importance_min, -lane->importance_min);
    both.clip_low_min = -grpo__most(-all->clip_low_min, -lane->clip_low_min);
    *all = all->num_sequences ? both : *lane;
}

/* ---------------------------------------------------------------------------------- >>ticks --
 * Sampling on a backend that runs several ticks without the host, which polls only now and then.
 * Each tick is computed in the same staging rows, from which it is copied to its stored rows. */
typedef struct grpo__ticking {
    grpo *g;
    const grpo__draw *how;
    const grpo__pass *pass;
    grpo_tick tick;
} grpo__ticking;

/* One tick, as repeat() calls it. */
static void grpo__tick(void *user) {
    const grpo__ticking *t = (const grpo__ticking *)user;
    struct grpo__machinery *w = t->g->machinery;
    grpo__sample_pass(t->g, t->how, t->pass);
    w->backend->next(w->context, &t->tick);
}

/* The list of stored activations' arrays, by which the backend copies rows. */
static void grpo__list_stored_arrays(grpo *g) {
    struct grpo__machinery *w = g->machinery;
    int i, k, n, layers = g->config.model.num_hidden_layers;
    void **at[GRPO__STATES];
    for (i = 0; i <= layers; i++) {
        n = grpo__states_of(&g->config, &w->layers[i], at);
        for (k = 0; k < (i < layers ? n : 1); k++) {          /* after the last layer: x alone   */
            grpo_array *a = &w->stored_list[w->num_stored_arrays++];
            a->at = (char *)*at[k];
            a->row = w->row_bytes[k];
        }
    }
    w->backend->upload(w->context, w->stored_arrays, w->stored_list,
                       (size_t)w->num_stored_arrays * sizeof *w->stored_list);
}

/* Draws `ticks` tokens for each target of a pass of one row a sequence, then downloads them. */
static int grpo__draw_ticks(grpo *g, const grpo__draw *d, grpo__pass *pass, int ticks) {
    struct grpo__machinery *w = g->machinery;
    const grpo_config *c = &g->config;
    int n = pass->rows.num_rows, *tick = grpo__index(g, 1), *done = grpo__index(g, n);
    int *eos = grpo__index(g, c->num_eos + 1);
    grpo__ticking t;
    memset(&t, 0, sizeof t);
    memset(done, 0, (size_t)n * sizeof *done);
    *tick = 0;
    memcpy(eos, c->eos_token_ids, (size_t)c->num_eos * sizeof *eos);
    eos[c->num_eos] = c->eos_token_id;
    t.g = g; t.how = d; t.pass = pass;
    t.tick.num_rows = n; t.tick.num_eos = c->num_eos + 1;
    t.tick.tick = grpo__on_device(g, tick);
    t.tick.tokens = grpo__on_device(g, pass->tokens);
    t.tick.positions = grpo__on_device(g, pass->positions);
    t.tick.slots = grpo__on_device(g, pass->slots);
    t.tick.segments = (grpo_segment *)(void *)grpo__on_device(g, pass->segments);
    t.tick.done = grpo__on_device(g, done);
    t.tick.eos = grpo__on_device(g, eos);
    t.tick.allowed_rows = grpo__on_device(g, pass->set_rows);
    t.tick.allowed_step = d->remember;
    t.tick.uniforms = w->uniforms;
    t.tick.drawn = w->drawn; t.tick.logprobs = w->logprobs; t.tick.entropies = w->entropies;
    t.tick.arrays = w->stored_arrays;
    t.tick.num_arrays = d->mode == GRPO__STORE ? w->num_stored_arrays : 0;
    t.tick.staged = w->staged; t.tick.stored = w->stored_used;
    pass->rows.done = t.tick.done;
    pass->rows.max_keys += ticks - 1;
    pass->first_stored = w->staged;
    pass->mode = d->mode;
    grpo__send_pass(g, pass, &d->sampling, d->allowed);
    grpo__send_uniforms(g, d, pass, ticks);
    w->backend->repeat(w->context, grpo__tick, &t, ticks);
    if (d->mode == GRPO__STORE) w->stored_used += ticks * n;
    return grpo__fetch_drawn(g, pass, 1, ticks);
}

/* ----------------------------------------------------------------------------- >>characters --
 * The built-in tokenizers: one token a character of config.vocabulary, or one a byte. The
 * end-of-text token comes after the last of them and has no text. Pure functions of the vocabulary
 * string, searched from its start each time: meant for at most a few hundred characters. */

/* The bytes of the UTF-8 character at text, 1 (NUL too) to 4; 0 if it is invalid: a byte missing or
 * misplaced, an overlong form, a surrogate, beyond U+10FFFF. */
static int grpo__utf8_length(const char *text) {
    const unsigned char *s = (const unsigned char *)text;
    int i, a = s[0];
    int length = a < 0x80 ? 1 : a < 0xC2 || a > 0xF4 ? 0 : a < 0xE0 ? 2 : a < 0xF0 ? 3 : 4;
    for (i = 1; i < length; i++)
        if ((s[i] & 0xC0) != 0x80) return 0;
    if ((a == 0xE0 && s[1] < 0xA0) || (a == 0xF0 && s[1] < 0x90)) return 0;
    if ((a == 0xED && s[1] >= 0xA0) || (a == 0xF4 && s[1] >= 0x90)) return 0;
    return length;
}

static int grpo__saturate(size_t n) { return n > (size_t)INT32_MAX ? INT32_MAX : (int)n; }

/* The index in the vocabulary of a character of `bytes` bytes; -1 if it is not in it. */
static int grpo__find_character(const char *vocabulary, const char *character, int bytes) {
    int index, length;
    for (index = 0; *vocabulary; index++, vocabulary += length) {
        length = grpo__utf8_length(vocabulary);
        if (length == 0) return -1;
        if (length == bytes && memcmp(vocabulary, character, (size_t)bytes) == 0) return index;
    }
    return -1;
}

/* Characters + 1 for end-of-text; 257 for raw bytes (NULL). -(1 + byte position) at the first
 * invalid or repeated character; -1 if the vocabulary is empty. */
static int grpo__vocabulary_size(const char *vocabulary) {
    const char *at = vocabulary;
    int count, bytes;
    if (!vocabulary) return 257;
    for (count = 0; *at; at += bytes, count++) {
        bytes = grpo__utf8_length(at);
        if (bytes == 0 || grpo__find_character(vocabulary, at, bytes) != count)
            return -1 - grpo__saturate((size_t)(at - vocabulary));
    }
    return count > 0 ? count + 1 : -1;
}

/* Returns the number of tokens of text, of which at most capacity are written, or
 * -(1 + byte position) at the first character that is not in the vocabulary. */
static int grpo__encode_text(const char *vocabulary, const char *text, int *tokens, int capacity) {
    const char *at = text;
    size_t count;
    int bytes = 1;
    for (count = 0; *at; at += bytes, count++) {
        int token = (unsigned char)*at;
        if (vocabulary) {
            bytes = grpo__utf8_length(at);
            token = bytes ? grpo__find_character(vocabulary, at, bytes) : -1;
            if (token < 0) return -1 - grpo__saturate((size_t)(at - text));
        }
        if (capacity > 0 && count < (size_t)capacity) tokens[count] = token;
    }
    return grpo__saturate(count);
}

/* Returns the bytes that the tokens need, of which the first capacity are written; no NUL. A token
 * has no text if it is end-of-text, none at all, or byte 0, which would end a C string early and
 * hide what follows from a verifier. */
static int grpo__decode_text(const char *vocabulary, const int *tokens, int num_tokens,
                             char *text, int capacity) {
    size_t length = 0;
    int i, j;
    for (i = 0; i < num_tokens; i++) {
        const char byte = (char)tokens[i], *at = vocabulary ? vocabulary : &byte;
        int token = tokens[i], n = token > 0 && token < 256;
        if (vocabulary) {
            for (; *at && token > 0 && (n = grpo__utf8_length(at)) > 0; token--) at += n;
            n = *at && token == 0 ? grpo__utf8_length(at) : 0;
        }
        for (j = 0; j < n; j++, length++)
            if (capacity > 0 && length < (size_t)capacity) text[length] = at[j];
    }
    return grpo__saturate(length);
}

/* ---------------------------------------------------------------------------------- >>words --
 * The fields of a config by name, and the presets of the objective. */

/* Of each field its default, least and most (1e-38: above 0; 3e38: any finite number; both 0: any
 * value), the paper's symbol and a line of help; of an enum its default, most and words. Bounds
 * that depend on other fields are in grpo__check(). Defaults are TRL's and, of the model, Llama's,
 * but for a toy's size and learning rate (TRL: 1e-6); of the objective DeepSeekMath's, and where
 * that paper does not say (eps, ddof, the clip range) TRL's. */
#define GRPO__INT(field, initial, least, most, symbol, help) \
    GRPO__FIELD(GRPO_FIELD_INT, NULL, field, initial, least, most, symbol, help)
#define GRPO__FLOAT(field, initial, least, most, symbol, help) \
    GRPO__FIELD(GRPO_FIELD_FLOAT, NULL, field, initial, least, most, symbol, help)
#define GRPO__WORDS(field, initial, most, words, symbol, help) \
    GRPO__FIELD(GRPO_FIELD_INT, words, field, initial, 0, most, symbol, help)
#define GRPO__ROW(name, fixed, type, words, field, initial, least, most, symbol, help) \
    { name, symbol, help, words, type, fixed, offsetof(grpo_config, field), initial, least, most }
static const grpo_field grpo__table[] = {
/* fields that determine the memory plan: fixed after grpo_new() */
#define GRPO__FIELD(type, words, field, initial, least, most, symbol, help) \
    GRPO__ROW(#field, 1, type, words, field, initial, least, most, symbol, help)
    GRPO__INT(model.vocab_size, 0, 2, 1 << 24, "V", "tokens; 0: those of the vocabulary"),
    GRPO__INT(model.hidden_size, 64, 1, 1 << 20, "H", "numbers of a row"),
    GRPO__INT(model.intermediate_size, 192, 1, 1 << 22, "F", "width of SwiGLU"),
    GRPO__INT(model.num_hidden_layers, 2, 1, 4096, "", "layers"),
    GRPO__INT(model.num_attention_heads, 4, 1, 4096, "", "heads that ask"),
    GRPO__INT(model.num_key_value_heads, 0, 1, 4096, "", "heads of K and V; 0: as many"),
    GRPO__INT(model.head_dim, 0, 2, 4096, "", "numbers of a head; 0: hidden / heads"),
    GRPO__INT(model.max_position_embeddings, 1024, 2, 1 << 24, "", "most prompt + completion"),
    GRPO__FLOAT(model.rope_theta, 10000, 1e-38, 3e38, "", "base of the rotary positions"),
    GRPO__WORDS(model.rope_scaling.rope_type, 0, 2, "default linear llama3", "",
                "how positions are scaled:"),
    GRPO__FLOAT(model.rope_scaling.factor, 0, 0, 3e38, "", "by how much"),
    GRPO__FLOAT(model.rope_scaling.low_freq_factor, 0, 0, 3e38, "", "of llama3"),
    GRPO__FLOAT(model.rope_scaling.high_freq_factor, 0, 0, 3e38, "", "of llama3"),
    GRPO__INT(model.rope_scaling.original_max_position_embeddings, 0, 0, 1 << 28, "", "of llama3"),
    GRPO__FLOAT(model.rms_norm_eps, 1e-6, 0, 3e38, "", "added to the mean square"),
    GRPO__WORDS(model.tie_word_embeddings, 1, 1, "0 1", "", "1: the LM head is the embedding"),
    GRPO__WORDS(model.attention_bias, 0, 1, "0 1", "", "1: q, k and v have a bias"),
    GRPO__WORDS(model.qk_norm, 0, 1, "0 1", "", "1: q and k are normalised"),
    GRPO__INT(model.num_labels, 0, 0, 1, "", "1: a scalar head, not an LM head"),
    GRPO__INT(model.value_head, 0, 0, 1, "", "1: a scalar head beside it"),
    GRPO__INT(lora.rank, 0, 0, 1 << 16, "r",
              "train adapters of this rank beside frozen weights; 0: all weights"),
    GRPO__FLOAT(lora.alpha, 32, 1e-38, 3e38, "alpha", "their factor is alpha / r"),
    GRPO__INT(lora.targets, GRPO_LORA_ALL, 1, GRPO_LORA_ALL, "", "the sum of GRPO_LORA_*"),
    GRPO__INT(max_token_bytes, 8, 1, 1 << 16, "", "of a token's text"),
    GRPO__INT(num_prompts, 8, 1, 1 << 20, "", "questions in a step"),
    GRPO__INT(num_generations, 8, 1, 1 << 20, "G", "completions of each question: the group"),
    GRPO__INT(max_prompt_length, 64, 1, 1 << 24, "", "tokens; longer questions are left out"),
    GRPO__INT(max_completion_length, 64, 1, 1 << 24, "", "tokens"),
    GRPO__INT(lanes, 1, 1, 1024, "",
              "parts of an update, shared by up to so many processes; a power of 2"),
#undef GRPO__FIELD
/* of these only memory and speed, not results: processes of a team may differ in them */
#define GRPO__FIELD(type, words, field, initial, least, most, symbol, help) \
    GRPO__ROW(#field, 2, type, words, field, initial, least, most, symbol, help)
    GRPO__INT(rollout_batch_prompts, 0, 0, 1 << 20, "", "questions sampled together; 0: all"),
    GRPO__INT(micro_batch_prompts, 0, 0, 1 << 20, "",
              "questions trained together; memory, not results"),
    GRPO__FIELD(GRPO_FIELD_SIZE, NULL, memory_budget, 0, 0, 1.9e19, "",
                "bytes; 0: any. Speed, not results"),
    GRPO__INT(threads, 0, 0, 1 << 20, "", "0: one per core. Speed, not results"),
#undef GRPO__FIELD
/* fields that may change between two calls */
#define GRPO__FIELD(type, words, field, initial, least, most, symbol, help) \
    GRPO__ROW(#field, 0, type, words, field, initial, least, most, symbol, help)
    GRPO__FLOAT(model.initializer_range, 0.02, 0, 3e38, "", "std of the first weights"),
    GRPO__INT(eos_token_id, -1, 0, 1 << 24, "", "end-of-text; -1: the vocabulary's"),
    GRPO__INT(num_eos, 0, 0, GRPO_MAX_EOS, "", "how many eos_token_ids there are"),
    GRPO__INT(num_iterations, 1, 1, 1 << 20, "mu", "passes over each rollout"),
    GRPO__INT(steps_per_generation, 1, 1, 1 << 20, "", "optimizer steps in each pass"),
    GRPO__FLOAT(sampling.temperature, 1, 0, 3e38, "T", "of sampling; 0: greedy"),
    GRPO__INT(sampling.top_k, 0, 0, INT32_MAX, "", "sample from the k most probable; 0: all"),
    GRPO__FLOAT(sampling.top_p, 1, 1e-38, 1, "",
                "sample from the fewest tokens with this mass; 1: all"),
    GRPO__FLOAT(sampling.min_p, 0, 0, 1, "",
                "leave out what is less probable than this share of the best"),
    GRPO__INT(num_rewards, 0, 0, GRPO_MAX_REWARDS, "", "how many rewards there are"),
    GRPO__FLOAT(success_reward, 1, 0, 0, "",
                "a completion is right if the first reward gives this"),
    GRPO__FLOAT(learning_rate, 1e-3, 0, 3e38, "", "of AdamW"),
    GRPO__FLOAT(adam_beta1, 0.9, 0, 1 - 1e-9, "beta1", "decay of the gradients' mean"),
    GRPO__FLOAT(adam_beta2, 0.999, 0, 1 - 1e-9, "beta2", "decay of their squares' mean"),
    GRPO__FLOAT(adam_epsilon, 1e-8, 1e-20, 3e38, "", "added to the root of that"),
    GRPO__FLOAT(weight_decay, 0, 0, 3e38, "", "on matrices"),
    GRPO__FLOAT(max_grad_norm, 1, 0, 3e38, "", "clip the gradient to this norm; 0: do not"),
    GRPO__WORDS(lr_scheduler_type, 0, 2, "constant linear cosine", "", "over all steps:"),
    GRPO__INT(warmup_steps, 0, 0, 1 << 30, "", "optimizer steps in which the rate rises"),
    GRPO__INT(max_steps, 0, 0, 1 << 30, "", "optimizer steps in which it falls to 0"),
    GRPO__INT(ref_model_sync_steps, 0, 0, 1 << 30, "",
              "move the reference every so many steps; 0: never"),
    GRPO__FLOAT(ref_model_mixup_alpha, 0.6, 0, 1, "", "how far it moves; 1: it becomes the policy"),
    GRPO__FIELD(GRPO_FIELD_UINT64, NULL, seed, 1, 0, 1.9e19, "", "of everything sampled"),
#undef GRPO__FIELD
/* the objective's, which may change too */
#define GRPO__FIELD(type, words, field, initial, least, most, symbol, help) \
    GRPO__ROW("objective." #field, 0, type, words, objective.field, initial, least, most, symbol, \
              help)
    GRPO__WORDS(advantage, GRPO_ADVANTAGE_ZSCORE, 8,
                "zscore mean batch rloo opo gpg pass_k max_rl return", "A",
                "how a completion's A comes of its group's rewards:"),
    GRPO__FLOAT(advantage_eps, 1e-4, 0, 3e38, "", "added to the rewards' std"),
    GRPO__WORDS(advantage_ddof, 1, 1, "0 1", "", "std of the rewards: 1: of a sample, 0: of all"),
    GRPO__WORDS(combine, GRPO_COMBINE_REWARDS, 1, "rewards advantages", "",
                "several rewards: what is added up"),
    GRPO__WORDS(whiten, 0, 1, "0 1", "", "1: over all tokens A gets mean 0 and std 1"),
    GRPO__FLOAT(gamma, 1, 0, 1, "gamma", "discount of what comes later, of advantage return"),
    GRPO__WORDS(equal_rewards, GRPO_EQUAL_KEEP, 2, "keep skip resample", "",
                "groups whose rewards are all equal:"),
    GRPO__INT(max_resamples, 0, 0, 1 << 20, "", "with equal_rewards resample: at most so often"),
    GRPO__WORDS(mask_truncated_completions, 0, 1, "0 1", "",
                "1: completions that were cut off do not train"),
    GRPO__WORDS(loss, GRPO_LOSS_CLIP, 8,
                "clip reinforce cispo sapo geometric vespo dppo_tv dppo_kl dro", "J",
                "loss of a token:"),
    GRPO__WORDS(ratio, GRPO_RATIO_TOKEN, 2, "token sequence sum", "r_it",
                "pi / pi_old is that of a:"),
    GRPO__WORDS(average, GRPO_AVERAGE_SEQUENCE, 4, "sequence token constant sequence_sum sum",
                "1/|o|", "the tokens' losses are averaged over each:"),
    GRPO__INT(max_completion_length, 0, 0, 1 << 24, "", "of average constant"),
    GRPO__FLOAT(epsilon, 0.2, 0, 3e38, "eps", "clip range below 1"),
    GRPO__FLOAT(epsilon_high, 0.2, 0, 3e38, "eps", "clip range above 1"),
    GRPO__FLOAT(delta, 0, 0, 3e38, "delta", "r is at most this, also where A < 0; 0: anything"),
    GRPO__FLOAT(dual_clip, 0, 0, 3e38, "c", "where A < 0 the loss is at most -c A; 0: anything"),
    GRPO__FLOAT(sapo_temperature_pos, 1, 1e-38, 3e38, "tau", "of loss sapo where A > 0"),
    GRPO__FLOAT(sapo_temperature_neg, 1.05, 1e-38, 3e38, "tau", "of loss sapo elsewhere"),
    GRPO__FLOAT(dro_beta, 0.1, 0, 3e38, "", "beta of loss dro"),
    GRPO__FLOAT(top_entropy_quantile, 1, 0, 1, "rho",
                "train this share of tokens, the most uncertain"),
    GRPO__FLOAT(off_policy_mask_threshold, 0, 0, 3e38, "delta",
                "where A < 0: none further from pi_old; 0: all"),
    GRPO__WORDS(importance, GRPO_IMPORTANCE_NONE, 4, "none token token_mask sequence sequence_mask",
                "", "correction where another policy drew the tokens:"),
    GRPO__FLOAT(importance_cap, 3, 1e-38, 3e38, "C", "largest factor of importance"),
    GRPO__FLOAT(beta, 0.04, 0, 3e38, "beta",
                "weight of the KL term; 0: no reference policy in memory"),
    GRPO__WORDS(kl, GRPO_KL_K3, 4, "k1 k2 k3 abs full", "D_KL", "how the KL is estimated:"),
    GRPO__WORDS(kl_straight_through, 0, 1, "0 1", "", "1: the KL with the gradient of k2"),
    GRPO__WORDS(kl_in_reward, 0, 2, "0 1 2", "", "1: KL is taken from the reward; 2: from A"),
    GRPO__FLOAT(kl_target, 0, 0, 3e38, "", "beta moves so that KL nears this; 0: it stays"),
    GRPO__FLOAT(kl_horizon, 10000, 1e-38, 3e38, "",
                "how slowly kl_target moves beta, in completions"),
    GRPO__FLOAT(entropy_coef, 0, -3e38, 3e38, "", "weight of an entropy bonus"),
    GRPO__FLOAT(entropy_target, 0, 0, 3e38, "",
                "entropy_coef moves so that the entropy nears this; 0: it stays"),
    GRPO__FLOAT(entropy_step, 0.005, 0, 3e38, "", "by how much entropy_target moves it a step")
#undef GRPO__FIELD
};
#undef GRPO__ROW
#undef GRPO__INT
#undef GRPO__FLOAT
#undef GRPO__WORDS
enum { GRPO__ROWS = (int)(sizeof grpo__table / sizeof *grpo__table) };

const grpo_field *grpo_field_at(int i) {
    return i >= 0 && i < GRPO__ROWS ? &grpo__table[i] : NULL;
}

static double grpo__get_field(const grpo_config *c, const grpo_field *f) {
    const void *at = (const char *)c + f->at;
    return f->type == GRPO_FIELD_INT ? (double)*(const int *)at
         : f->type == GRPO_FIELD_FLOAT ? (double)*(const float *)at
         : f->type == GRPO_FIELD_SIZE ? (double)*(const size_t *)at
         : (double)*(const uint64_t *)at;
}

static void grpo__put_field(grpo_config *c, const grpo_field *f, double value) {
    void *at = (char *)c + f->at;
    if (f->type == GRPO_FIELD_INT) *(int *)at = (int)value;
    else if (f->type == GRPO_FIELD_FLOAT) *(float *)at = (float)value;
    else if (f->type == GRPO_FIELD_SIZE)
        *(size_t *)at = value < (double)SIZE_MAX ? (size_t)value : SIZE_MAX;
    else *(uint64_t *)at = value < (double)UINT64_MAX ? (uint64_t)value : UINT64_MAX;
}

/* Set the fields whose names begin with `beginning` to their defaults. */
static void grpo__put_defaults(grpo_config *c, const char *beginning) {
    const grpo_field *f = grpo__table;
    for (; f < grpo__table + GRPO__ROWS; f++)
        if (!strncmp(f->name, beginning, strlen(beginning))) grpo__put_field(c, f, f->initial);
}

grpo_config grpo_defaults(void) {
    grpo_config c;
    memset(&c, 0, sizeof c);
    grpo__put_defaults(&c, "");
    return c;
}

/* One row a preset: changes to the preset that it names first, else to the defaults. Sources: T =
 * TRL f2cd577, V = veRL 1dda039, O = OpenRLHF 3c3be62, else the paper. */
typedef struct grpo__preset { const char *name, *settings, *source; } grpo__preset;
static const grpo__preset grpo__presets[] = {
    { "deepseekmath", "", "DeepSeekMath, arXiv:2402.03300, eq. 3-4 and section 4.2" },
    { "deepseek_r1", "deepseekmath epsilon=10 epsilon_high=10 beta=0.001",
      "DeepSeek-R1, arXiv:2501.12948 (with ref_model_sync_steps 400)" },
    { "trl", "deepseekmath average=token beta=0", "T grpo_config.py: loss_type dapo" },
    { "trl_grpo", "trl average=sequence", "T loss_type grpo" },
    { "verl", "trl advantage_eps=1e-6 dual_clip=3", "V core_algos.py 267, 1285" },
    { "openrlhf", "trl advantage_eps=1e-9 beta=0.01 kl=k1 kl_in_reward=2", "O group_norm" },
    { "dapo", "verl dual_clip=0 epsilon_high=0.28 equal_rewards=resample max_resamples=4 "
      "mask_truncated_completions=1", "DAPO, arXiv:2503.14476, table 1" },
    { "dr_grpo", "trl advantage=mean advantage_eps=0 average=constant",
      "Dr. GRPO, arXiv:2503.20783: no std, no length" },
    { "gspo", "trl_grpo ratio=sequence epsilon=3e-4 epsilon_high=4e-4", "GSPO, arXiv:2507.18071" },
    { "cispo", "trl loss=cispo epsilon=1 epsilon_high=4",
      "CISPO, arXiv:2506.13585, as in T: r at most 5, no lower bound" },
    { "cispo_verl", "verl loss=cispo dual_clip=0", "V 2046: r clipped on both sides" },
    { "sapo", "trl_grpo loss=sapo", "SAPO, arXiv:2511.20347" },
    { "gmpo", "verl loss=geometric average=sequence dual_clip=0 epsilon=0.4 epsilon_high=0.4",
      "GMPO, arXiv:2507.20673, as in V 1927" },
    { "vespo", "trl loss=vespo", "T 2943" },
    { "luspo", "trl ratio=sequence average=sequence_sum", "T loss_type luspo" },
    { "dppo_tv", "verl loss=dppo_tv dual_clip=0", "V 1379" },
    { "dppo_kl", "verl loss=dppo_kl dual_clip=0 epsilon=0.05 epsilon_high=0.05", "V 1460" },
    { "dro", "verl loss=dro dual_clip=0", "V 2013" },
    { "gpg", "verl advantage=gpg loss=reinforce dual_clip=0",
      "GPG, arXiv:2504.02546, as in V 770" },
    { "opo", "verl advantage=opo", "OPO, arXiv:2505.23585, as in V 639" },
    { "pass_k", "verl advantage=pass_k", "V 471" },
    { "max_rl", "trl advantage=max_rl", "MaxRL, as in prime-rl" },
    { "gdpo", "trl combine=advantages", "GDPO, arXiv:2601.05242, as in T 2710" },
    { "rloo", "trl_grpo advantage=rloo ratio=sum beta=0.05 kl=k1 kl_in_reward=1",
      "RLOO, arXiv:2402.14740, as in T RLOOTrainer" },
    { "reinforce_pp", "openrlhf advantage=return whiten=1",
      "REINFORCE++, arXiv:2501.03262, as in V 693" },
    { "reinforce_pp_baseline", "openrlhf advantage=mean whiten=1 kl=k2 kl_in_reward=0",
      "REINFORCE++, as in V 533" },
    { "reinforce", "trl advantage=return loss=reinforce", "Williams 1992" },
    { "nanochat", "trl advantage=mean advantage_eps=0 loss=reinforce", "nanochat, chat_rl.py" },
    { "tiny_grpo", "trl_grpo advantage_eps=1e-8 beta=0.01", "tiny-grpo" },
    { "simple_grpo", "deepseekmath equal_rewards=skip", "simple_GRPO" },
    { "grpo_zero", "nanochat advantage=zscore advantage_eps=1e-4 advantage_ddof=0", "GRPO-Zero" },
    { "nano_aha", "grpo_zero beta=0.001", "nano-aha-moment" }
};
enum { GRPO__PRESETS = (int)(sizeof grpo__presets / sizeof *grpo__presets) };

/* Words are separated by blanks. */
static size_t grpo__word_length(const char *at) { return strcspn(at, " \t\n"); }
static int grpo__is_word(const char *name, const char *word, size_t length) {
    return strlen(name) == length && !memcmp(name, word, length);
}

/* The index of a word in a list of words; -1: it is not in it. */
static int grpo__word_index(const char *words, const char *word, size_t length) {
    int i = 0;
    for (;; i++, words += grpo__word_length(words) + 1) {
        size_t n = grpo__word_length(words);
        if (n == length && !strncmp(words, word, n)) return i;
        if (!words[n]) return -1;
    }
}

/* The field named `within` ("objective." or "") followed by the word; NULL: there is none. */
static const grpo_field *grpo__find_field(const char *within, const char *word, size_t length) {
    const grpo_field *f = grpo__table;
    size_t n = strlen(within);
    for (; f < grpo__table + GRPO__ROWS; f++)
        if (!strncmp(f->name, within, n) && grpo__is_word(f->name + n, word, length)) return f;
    return NULL;
}

/* Carries out field=value; an error is written to wrong[GRPO_ERROR_LENGTH]. */
static void grpo__set_word(grpo_config *c, const char *within, const char *word, size_t length,
                           char *wrong) {
    const char *text = strchr(word, '=') + 1;
    const grpo_field *f = grpo__find_field(within, word, (size_t)(text - word) - 1);
    double value = 0;
    if (!f) {
        snprintf(wrong, GRPO_ERROR_LENGTH, ": %s has no such field",
                 *within ? "an objective" : "a config");
    } else if (f->words) {
        value = grpo__word_index(f->words, text, grpo__word_length(text));
        if (value < 0)
            snprintf(wrong, GRPO_ERROR_LENGTH, ": the field has no such value; it has %s",
                     f->words);
    } else if (grpo__json_number(text, &value) != word + length) {
        strcpy(wrong, " is not a number");
    } else if (f->least < f->most && !(value >= f->least && value <= f->most)
               && value != f->initial) {                      /* 0 or -1: grpo_new() fills it in */
        snprintf(wrong, GRPO_ERROR_LENGTH, " is out of range: it must be from %.7g to %.7g",
                 f->least, f->most);
    } else if (f->type != GRPO_FIELD_FLOAT && floor(value) != value) {
        strcpy(wrong, " is not a whole number");
    }
    if (*wrong) return;
    grpo__put_field(c, f, value);
    if (f->type == GRPO_FIELD_UINT64 && text + strspn(text, "0123456789") == word + length) {
        errno = 0;
        *(uint64_t *)(void *)((char *)c + f->at) = strtoull(text, NULL, 10);  /* beyond 2^53     */
        if (errno == ERANGE) strcpy(wrong, " is out of range: it must be below 2^64");
    }
}

static int grpo__set_words(grpo_config *c, const char *within, const char *settings, char *error) {
    const char *at = settings ? settings + strspn(settings, " \t\n") : "";
    char wrong[GRPO_ERROR_LENGTH] = "";
    grpo_config changed;
    size_t length;
    int i, there = c && settings;
    if (error) strcpy(error, there ? "" : "there is nothing to set, or no settings: NULL");
    if (!there) return GRPO_BAD_INPUT;
    for (changed = *c; *at && !*wrong; at += length, at += strspn(at, " \t\n")) {
        length = grpo__word_length(at);
        if (strcspn(at, "=") < length) {
            grpo__set_word(&changed, within, at, length, wrong);
        } else {
            for (i = 0; i < GRPO__PRESETS; i++)
                if (grpo__is_word(grpo__presets[i].name, at, length)) break;
            if (i == 0) grpo__put_defaults(&changed, "objective.");
            else if (i == GRPO__PRESETS)
                strcpy(wrong, grpo__is_word("ppo", at, length)
                              ? " needs a value model: examples/ppo.h trains with one"
                              : " is not a preset");
            else grpo__set_words(&changed, "objective.", grpo__presets[i].settings, NULL);
        }
        if (*wrong && error)
            snprintf(error, GRPO_ERROR_LENGTH, "\"%.*s\"%.128s", (int)length, at, wrong);
    }
    if (*wrong) return GRPO_BAD_INPUT;
    *c = changed;
    return GRPO_OK;
}

double grpo_config_get(const grpo_config *config, const char *name) {
    const grpo_field *f = config && name ? grpo__find_field("", name, strlen(name)) : NULL;
    return f ? grpo__get_field(config, f) : (double)NAN;
}

int grpo_config_set(grpo_config *config, const char *settings, char *error) {
    return grpo__set_words(config, "", settings, error);
}

int grpo_objective_set(grpo_objective *o, const char *settings, char *error) {
    grpo_config c = grpo_defaults();
    int code;
    if (o) c.objective = *o;
    code = grpo__set_words(o ? &c : NULL, "objective.", settings, error);
    if (o) *o = c.objective;
    return code;
}

int grpo_objective_name(int i, const char **name, const char **source) {
    if (i < 0 || i >= GRPO__PRESETS) return 0;
    if (name) *name = grpo__presets[i].name;
    if (source) *source = grpo__presets[i].source;
    return 1;
}

grpo_objective grpo_objective_preset(const char *name, int *found) {
    grpo_objective o = grpo_defaults().objective;
    int one = name && *name && !strpbrk(name, " \t\n=") && !grpo_objective_set(&o, name, NULL);
    if (found) *found = one;
    return o;
}

/* ----------------------------------------------------------------------------------- >>team --
 * Processes that train one model together. Each has all weights and, after each phase, the whole
 * batch, so that whatever is computed of a batch (advantages, averages, metrics) is computed by
 * each, alike. Of a batch it samples, rewards and differentiates the prompts of its lanes:
 * lanes / size of them, in order. Of the trained numbers it updates a share, and holds the moments
 * of that alone. An update with n trained numbers on P processes:
 *
 *     lanes      each lane's gradient is summed as without a team; the sums of a process's lanes
 *                are added as the leaves of a binary tree
 *     halving    in step k = 1, 2, 4 ... < P process r sends half of what it still adds up to
 *                process r ^ k, and adds what that sends: the upper levels of the same tree. It
 *                ends with 1 / P of the sum, the share; sent: (1 - 1 / P) 4 n bytes
 *     update     the norm from one sum of squares a piece, in order; AdamW on the share
 *     doubling   the same steps backward gather the new weights: (1 - 1 / P) 4 n bytes
 *
 * Elements and sums of squares are added in an order that lanes alone fix. New weights are gathered
 * where the gradient was, and become the weights when all processes have them. */
enum { GRPO__PIECE = 1 << 18 };     /* numbers that are exchanged at one time                    */

static int grpo__is_team(const grpo *g) { return g && g->config.team.size > 1; }

static int grpo__exchange(grpo *g, int peer, const void *send, void *receive, size_t bytes) {
    const grpo_team *t = &g->config.team;
    struct grpo__machinery *w = g->machinery;
    if (w->broken) return GRPO_CALLBACK;                      /* that was said already           */
    if (!bytes || !t->exchange(t->user, peer, send, receive, bytes)) return GRPO_OK;
    w->broken = 1;
    return grpo__fail(g, GRPO_CALLBACK, "%s: the exchange with process %d of %d failed, and the "
                      "team cannot go on: resume from what was saved", w->entered, peer, t->size);
}

/* ---- agreement: what must be alike in all processes, and the first error of any */
enum { GRPO__OF_CONFIG, GRPO__OF_REWARDS, GRPO__OF_STATE, GRPO__OF_PROMPTS, GRPO__OF_WEIGHTS,
       GRPO__ALIKE };
static const char *const grpo__alike[GRPO__ALIKE] = {
    "the config", "the rewards (number, names, weights, kinds), the vocabulary or the backend",
    "the seed or a counter of the state", "the prompts", "the weights" };

typedef struct grpo__notice {
    int code, process;              /* the first process with an error; -1: two differ           */
    int wish;
    double seconds;                 /* since process 0 began the step                            */
    uint64_t hashes[GRPO__ALIKE];
    char entered[24], text[GRPO_ERROR_LENGTH];
} grpo__notice;

static uint64_t grpo__hash_bytes(uint64_t h, const void *bytes, size_t n) {
    const unsigned char *b = (const unsigned char *)bytes;
    while (n--) h = (h ^ *b++) * UINT64_C(0x100000001b3);
    return grpo__mix(h);
}

/* x [n] in backend memory */
static uint64_t grpo__hash_numbers(const grpo *g, uint64_t h, const float *x, size_t n) {
    const struct grpo__machinery *w = g->machinery;
    const size_t most = w->packed_half / sizeof(uint32_t);
    uint32_t *bits = (uint32_t *)(void *)w->packed;
    size_t at, count, i;
    for (at = 0; x && at < n; at += count) {
        count = n - at < most ? n - at : most;
        w->backend->download(w->context, bits, x + at, count * sizeof *bits);
        for (i = 0; i < count; i++) h = (h ^ bits[i]) * UINT64_C(0x100000001b3);
    }
    return grpo__mix(h);
}

/* The values of the fields that must be alike, in the order of the table. */
static void grpo__field_values(const grpo *g, double values[GRPO__ROWS]) {
    int i;
    for (i = 0; i < GRPO__ROWS; i++)
        values[i] = grpo__table[i].fixed == 2 ? 0 : grpo__get_field(&g->config, &grpo__table[i]);
}

static void grpo__hash_all(grpo *g, uint64_t hashes[GRPO__ALIKE]) {
    struct grpo__machinery *w = g->machinery;
    const grpo_config *c = &g->config;
    const int64_t counters[] = { (int64_t)c->seed, g->state.step, g->state.optimizer_step,
                                 g->state.adam_step, g->state.reference_set };
    double values[GRPO__ROWS];
    uint64_t h;
    int i;
    grpo__field_values(g, values);
    hashes[GRPO__OF_CONFIG] = grpo__hash_bytes(1, values, sizeof values);
    h = grpo__hash_bytes(1, w->backend->name, strlen(w->backend->name));
    if (c->vocabulary) h = grpo__hash_bytes(h, c->vocabulary, strlen(c->vocabulary));
    h = grpo__hash_bytes(h, c->eos_token_ids, (size_t)c->num_eos * sizeof(int));
    for (i = 0; i < c->num_rewards; i++) {
        const grpo_reward *r = &c->rewards[i];
        int kind = r->steps ? 2 : r->batch != NULL;
        h = grpo__hash_bytes(h ^ (uint64_t)kind, r->name, strlen(r->name));
        h = grpo__hash_bytes(h, &r->weight, sizeof r->weight);
    }
    hashes[GRPO__OF_REWARDS] = h;
    hashes[GRPO__OF_STATE] = grpo__hash_bytes(1, counters, sizeof counters);
    hashes[GRPO__OF_PROMPTS] = w->prompts_hash;
    if (!w->weights_hash) {
        h = grpo__hash_numbers(g, w->frozen, w->trained, g->num_trained);
        w->weights_hash = grpo__hash_numbers(g, h, w->reference, g->num_trained) | 1;
    }
    hashes[GRPO__OF_WEIGHTS] = w->weights_hash;
}

/* Says what differs between this process and a peer; both call it. */
static int grpo__tell_difference(grpo *g, int peer, grpo__notice *mine,
                                 const grpo__notice *theirs) {
    double here[GRPO__ROWS], there[GRPO__ROWS];
    int rank = g->config.team.rank, first = rank < peer, k = 0, i = 0;
    mine->code = GRPO_BAD_INPUT;
    mine->process = -1;
    while (k < GRPO__ALIKE && mine->hashes[k] == theirs->hashes[k]) k++;
    if (k == GRPO__OF_CONFIG) {
        grpo__field_values(g, here);
        if (grpo__exchange(g, peer, here, there, sizeof here)) return GRPO_CALLBACK;
        while (i < GRPO__ROWS - 1 && here[i] == there[i]) i++;
        snprintf(mine->text, sizeof mine->text, "config.%s is %g in process %d and %g in process "
                 "%d: it must be the same in the whole team", grpo__table[i].name,
                 first ? here[i] : there[i], grpo__min(rank, peer), first ? there[i] : here[i],
                 grpo__max(rank, peer));
    } else if (strcmp(mine->entered, theirs->entered)) {
        snprintf(mine->text, sizeof mine->text, "process %d calls %s() and process %d %s(): all of "
                 "a team must call the same", grpo__min(rank, peer), first ? mine->entered
                 : theirs->entered, grpo__max(rank, peer), first ? theirs->entered : mine->entered);
    } else {
        snprintf(mine->text, sizeof mine->text, "%s: in processes %d and %d %s differ, and must be "
                 "the same in the whole team", mine->entered, grpo__min(rank, peer),
                 grpo__max(rank, peer), grpo__alike[k < GRPO__ALIKE ? k : 0]);
    }
    return GRPO_OK;
}

/* Every process calls this with its own code and gets the first error of any, with its sentence,
 * or, without one, 1 if any code is: a wish. Alone: code. A process that returns to its caller with
 * an error has told the others by this. */
static int grpo__agree(grpo *g, int code) {
    grpo__notice mine, theirs;
    const grpo_team *t;
    int k;
    if (!grpo__is_team(g)) return code;
    t = &g->config.team;
    memset(&mine, 0, sizeof mine);
    mine.wish = code > 0;
    mine.code = code = grpo__min(code, 0);
    mine.process = code ? t->rank : t->size;
    mine.seconds = t->rank ? 0 : grpo__seconds() - g->machinery->step_began;
    snprintf(mine.entered, sizeof mine.entered, "%s", g->machinery->entered);
    if (code) snprintf(mine.text, sizeof mine.text, "%s", g->config.error);
    else grpo__hash_all(g, mine.hashes);
    for (k = 1; k < t->size; k *= 2) {
        int peer = t->rank ^ k;
        if (grpo__exchange(g, peer, &mine, &theirs, sizeof mine)) return GRPO_CALLBACK;
        mine.wish |= theirs.wish;
        if (theirs.seconds > mine.seconds) mine.seconds = theirs.seconds;
        if (!mine.code && !theirs.code
            && (memcmp(mine.hashes, theirs.hashes, sizeof mine.hashes)
                || strcmp(mine.entered, theirs.entered))) {
            if (grpo__tell_difference(g, peer, &mine, &theirs)) return GRPO_CALLBACK;
        } else if (theirs.code && theirs.process < mine.process) {
            mine.code = theirs.code;
            mine.process = theirs.process;
            memcpy(mine.text, theirs.text, sizeof mine.text);
        }
    }
    g->machinery->step_seconds = mine.seconds;
    if (mine.process < 0) grpo__fail(g, mine.code, "%s", mine.text);
    else if (mine.code && mine.process != t->rank)
        grpo__fail(g, mine.code, "process %d: %.235s", mine.process, mine.text);
    return mine.code ? mine.code : mine.wish;
}

int grpo_team_any(grpo *g, int wish) {
    int code = grpo__enter(g, "grpo_team_any", 1, GRPO__EMPTY);
    return grpo__agree(g, code ? code : wish != 0);
}

/* ---- whose prompts are whose */

/* Most prompts of one process in a batch: in each update the lanes divide them evenly. */
static int grpo__most_own(const grpo_config *c) {
    int updates = grpo__min(c->steps_per_generation, c->num_prompts);
    int own = grpo__blocks(grpo__blocks(c->num_prompts, updates), grpo__max(c->team.size, 1));
    return own <= c->num_prompts / updates ? own * updates : c->num_prompts;
}

/* The lane of each prompt of the batch, which is for so many updates: of m prompts of an update,
 * lane l has [m l / lanes, m (l + 1) / lanes). updates 0: all are this process's. */
static int grpo__assign_prompts(grpo *g, int updates) {
    struct grpo__machinery *w = g->machinery;
    const grpo_batch *b = &g->batch;
    int64_t n = b->num_prompts, lanes = g->config.lanes, U = updates, p, own = 0;
    w->shared = updates > 0;
    for (p = 0; p < n && w->lanes; p++) {
        w->lanes[p] = w->first_lane;
        if (updates) {
            int64_t i = ((p + 1) * U - 1) / n, first = n * i / U, m = n * (i + 1) / U - first;
            w->lanes[p] = (int)(((p - first + 1) * lanes - 1) / m);
        }
        w->places[p] = (int)own;
        own += grpo__is_mine(g, (int)p);
    }
    if (w->shared) w->prompts_hash = grpo__hash_bytes((uint64_t)b->group_size, w->keys,
                                                      (size_t)n * sizeof *w->keys);
    if (own > w->max_own && updates && b->group_size == g->config.num_generations)
        return grpo__fail(g, GRPO_BAD_INPUT, "process %d has %d prompts and memory for %d: set "
                          "steps_per_generation before grpo_new()", g->config.team.rank, (int)own,
                          w->max_own);
    return GRPO_OK;
}

static int grpo__is_mine(const grpo *g, int prompt) {
    const struct grpo__machinery *w = g->machinery;
    return !w->lanes || (w->lanes[prompt] >= w->first_lane
                         && w->lanes[prompt] < w->first_lane + w->num_lanes);
}

/* The set of allowed tokens of an own sequence's first token. */
static int grpo__first_set(const grpo *g, int sequence) {
    const struct grpo__machinery *w = g->machinery;
    int G = g->batch.group_size, p = sequence / G;
    return g->config.max_completion_length
           * ((w->lanes ? w->places[p] : p) * G + sequence % G);
}

/* Moves *first to the next prompt of this process's lane number `lane` (-1: of any of its lanes) in
 * [*first, end) and returns the end of the run of such prompts that begins there. */
static int grpo__prompts_of(const grpo *g, int lane, int *first, int end) {
    const struct grpo__machinery *w = g->machinery;
    int p, inside = 0, mine;
    for (p = *first; p < end; p++, inside |= mine) {
        mine = lane < 0 || !w->lanes ? grpo__is_mine(g, p) : w->lanes[p] == w->first_lane + lane;
        if (mine < inside) return p;
        if (!mine) *first = p + 1;
    }
    return p;
}

/* Copies elements of the prompts of lanes [first_lane, first_lane + lanes) to `packed`, or (unpack
 * 1) from there; packed NULL: only counts. Returns bytes. */
static size_t grpo__pack_lanes(const grpo *g, char *array, size_t size, const int *offsets,
                               int first, int end, int first_lane, int lanes, char *packed,
                               int unpack) {
    int G = g->batch.group_size, p;
    size_t used = 0;
    for (p = first; p < end; p++) {
        int from = offsets ? offsets[p * G] : p * G;
        int to = offsets ? offsets[(p + 1) * G] : (p + 1) * G;
        char *at = array + (size_t)from * size;
        size_t bytes = (size_t)(to - from) * size;
        int lane = g->machinery->lanes[p] - first_lane;
        if (lane < 0 || lane >= lanes) continue;
        if (packed) memcpy(unpack ? at : packed + used, unpack ? packed + used : at, bytes);
        used += bytes;
    }
    return used;
}

/* Every process gets the others' elements of an array of the batch (NULL: there is none) for
 * prompts [first, end): sequence i has elements offsets[i] to offsets[i + 1] - 1 or, if that is
 * NULL, element i. By doubling: log2 P messages. */
static int grpo__gather_batch(grpo *g, void *array, size_t size, const int *offsets, int first,
                              int end) {
    struct grpo__machinery *w = g->machinery;
    const grpo_team *t = &g->config.team;
    char *x = (char *)array, *received = w->packed + w->packed_half;
    int k, code = GRPO_OK;
    if (!grpo__is_team(g) || !w->shared || !array) return code;
    for (k = 1; k < t->size && !code; k *= 2) {
        int n = k * w->num_lanes, mine = t->rank / k * n, theirs = (t->rank / k ^ 1) * n;
        size_t sent = grpo__pack_lanes(g, x, size, offsets, first, end, mine, n, w->packed, 0);
        size_t bytes = grpo__pack_lanes(g, x, size, offsets, first, end, theirs, n, NULL, 0);
        code = grpo__exchange(g, t->rank ^ k, w->packed, received, sent > bytes ? sent : bytes);
        if (!code) grpo__pack_lanes(g, x, size, offsets, first, end, theirs, n, received, 1);
    }
    return code;
}

/* ---- lanes: gradients as the leaves of a binary tree */
static int grpo__begin_lanes(grpo *g, const char *what) {
    struct grpo__machinery *w = g->machinery;
    if (w->pending && g->config.lanes > 1)
        return grpo__fail(g, GRPO_BAD_INPUT, "%s: a gradient waits for grpo_optimize(); with lanes "
                          "above 1 no other can be added to it", what);
    w->pending = 1;
    return GRPO_OK;
}

/* The gradient is lane number j's of this process. Adds the sums of the trees that it completes:
 * as many as j has ones at its end. Unless it is the last, it waits on the lowest free level. */
static void grpo__end_lane(grpo *g, int j) {
    struct grpo__machinery *w = g->machinery;
    const grpo_backend *b = w->backend;
    size_t n = grpo__multiply(w->piece, (size_t)g->config.lanes), V_H;
    float *level = w->lane_sums;
    int k;
    if (g->config.lanes == 1) return;
    V_H = grpo__size(w->shape.V, w->shape.H);
    if (w->dembed) {
        b->mix(w->context, w->gradient, w->dembed, 1, 1, V_H);
        b->zero(w->context, w->dembed, V_H * sizeof(float));
    }
    for (k = j; k & 1; k >>= 1, level += n) b->mix(w->context, w->gradient, level, 1, 1, n);
    if (j + 1 == w->num_lanes) return;
    b->mix(w->context, level, w->gradient, 0, 1, n);
    b->zero(w->context, w->gradient, n * sizeof(float));
}

/* The sums of the loss over all lanes, from each process's. */
static int grpo__total_loss(grpo *g, int code, grpo_loss_stats *total) {
    struct grpo__machinery *w = g->machinery;
    const grpo_team *t = &g->config.team;
    int k, lane;
    code = grpo__agree(g, code);
    for (k = 1; k < t->size && !code; k *= 2) {
        int n = k * w->num_lanes, mine = t->rank / k * n, theirs = (t->rank / k ^ 1) * n;
        code = grpo__exchange(g, t->rank ^ k, w->lane_stats + mine, w->lane_stats + theirs,
                              (size_t)n * sizeof *w->lane_stats);
    }
    memset(total, 0, sizeof *total);
    for (lane = 0; lane < g->config.lanes; lane++) grpo__add_stats(total, &w->lane_stats[lane]);
    return code;
}

/* ---- the gradient, in as many pieces as lanes */

/* Sends n numbers of the gradient, from number `from` on, to a peer, and receives as many for
 * number `to` on: they are added there or (add 0) replace what is there. */
static int grpo__trade(grpo *g, int peer, size_t from, size_t to, size_t n, int add) {
    struct grpo__machinery *w = g->machinery;
    const grpo_backend *b = w->backend;
    size_t at, count, size;
    int code = GRPO_OK;
    for (at = 0; at < n && !code; at += count) {
        float *x = w->gradient + from + at, *y = w->gradient + to + at, *in = add ? w->received : y;
        count = n - at < w->received_size ? n - at : w->received_size;
        size = count * sizeof(float);
        if (w->staging) b->download(w->context, w->staging, x, size);
        code = grpo__device_check(g);
        if (code) w->broken = 1;                              /* the peer must not wait for more */
        else if (!w->staging) code = grpo__exchange(g, peer, x, in, size);
        else code = grpo__exchange(g, peer, w->staging, w->staging + w->received_size, size);
        if (code) return code;
        if (w->staging) b->upload(w->context, in, w->staging + w->received_size, size);
        if (add) b->mix(w->context, y, in, 1, 1, count);
    }
    return code;
}

/* Halving: this process's share of the gradient becomes the team's sum. */
static int grpo__reduce_gradient(grpo *g) {
    struct grpo__machinery *w = g->machinery;
    const grpo_team *t = &g->config.team;
    size_t n = grpo__multiply(w->piece, (size_t)g->config.lanes), first = 0;
    int k, code = GRPO_OK;
    if (w->dembed && g->config.lanes == 1)
        w->backend->mix(w->context, w->gradient, w->dembed, 1, 1,
                        grpo__size(w->shape.V, w->shape.H));
    for (k = 1; k < t->size && !code; k *= 2) {
        size_t upper = first + (n /= 2), kept = t->rank & k ? upper : first;
        code = grpo__trade(g, t->rank ^ k, first + upper - kept, kept, n, 1);
        first = kept;
    }
    return code;
}

/* Doubling: every process gets the others' pieces of the gradient's array or, if it is not NULL, of
 * squares. */
static int grpo__gather_pieces(grpo *g, double *squares) {
    struct grpo__machinery *w = g->machinery;
    const grpo_team *t = &g->config.team;
    int first = w->first_piece, n = w->num_lanes, k, code = GRPO_OK;
    for (k = t->size / 2; k >= 1 && !code; k /= 2, n *= 2) {
        int theirs = first ^ n, peer = t->rank ^ k;
        if (squares) code = grpo__exchange(g, peer, squares + first, squares + theirs,
                                           (size_t)n * sizeof *squares);
        else code = grpo__trade(g, peer, (size_t)first * w->piece, (size_t)theirs * w->piece,
                                (size_t)n * w->piece, 0);
        first &= ~n;
    }
    return code;
}

static int grpo__gradient_norm(grpo *g, double *norm) {
    struct grpo__machinery *w = g->machinery;
    double sum = 0;
    int i, code;
    for (i = w->first_piece; i < w->first_piece + w->num_lanes; i++) {
        size_t from = (size_t)i * w->piece, n = grpo__own_part(w, &from, w->piece);
        w->squares[i] = n ? w->backend->sum_of_squares(w->context, w->gradient + from, n) : 0;
    }
    code = grpo__gather_pieces(g, w->squares);
    for (i = 0; i < g->config.lanes; i++) sum += w->squares[i];
    *norm = sqrt(sum);
    return code;
}

/* A neighbour's share of the gradient's array, no longer needed once the gradient is added up. */
static float *grpo__spare(const struct grpo__machinery *w) {
    return w->gradient + (size_t)(w->first_piece ^ w->num_lanes) * w->piece;
}

/* Where AdamW finds the weights of this process's share and leaves the new ones: alone, in place;
 * in a team, apart from the weights, which stay until all agree. */
static float *grpo__new_weights(grpo *g) {
    struct grpo__machinery *w = g->machinery;
    if (!grpo__is_team(g)) return w->trained;
    w->backend->mix(w->context, grpo__spare(w), w->trained + w->share_first, 0, 1, w->share);
    return grpo__spare(w);
}

/* All shares of new weights, m or v, x being this process's, where the gradient is. */
static int grpo__gather_shares(grpo *g, const float *x) {
    struct grpo__machinery *w = g->machinery;
    if (!grpo__is_team(g)) return GRPO_OK;
    w->backend->mix(w->context, w->gradient + w->share_first, x, 0, 1, w->share);
    return grpo__gather_pieces(g, NULL);
}

/* The new weights of all shares become the weights, in all processes or (as far as these can know
 * of each other) in none. */
static int grpo__share_weights(grpo *g) {
    struct grpo__machinery *w = g->machinery;
    int code;
    if (!grpo__is_team(g)) return GRPO_OK;
    code = grpo__agree(g, grpo__gather_shares(g, grpo__spare(w)));
    if (!code) w->backend->mix(w->context, w->trained, w->gradient, 0, 1, g->num_trained);
    return code;
}

/* This process's part of a team, and the memory that it needs for that. */
static void grpo__measure_team(const grpo_config *c, struct grpo__machinery *w) {
    int size = grpo__max(c->team.size, 1), k, n = c->lanes, direct;
    size_t all, trained = w->shape.trained, rest;
    w->num_lanes = c->lanes / size;
    w->first_lane = c->team.rank * w->num_lanes;
    for (k = 1, w->first_piece = 0; k < size; k *= 2)
        if (n /= 2, c->team.rank & k) w->first_piece += n;
    w->piece = c->lanes == 1 ? trained : (trained / (size_t)c->lanes + 64) & ~(size_t)63;
    w->share_first = grpo__multiply((size_t)w->first_piece, w->piece);
    if (w->share_first > trained) w->share_first = trained;
    rest = trained - w->share_first;
    all = grpo__multiply((size_t)w->num_lanes, w->piece);
    w->share = all < rest ? all : rest;
    for (k = w->num_lanes, w->lane_levels = 0; k > 1; k /= 2) w->lane_levels++;
    all = grpo__multiply((size_t)c->lanes / 2, w->piece);
    direct = c->team.device_memory || w->backend == grpo_cpu();
    w->received_size = size == 1 ? 0 : all < GRPO__PIECE ? all : (size_t)GRPO__PIECE;
    w->staging_size = direct ? 0 : 2 * w->received_size;
    w->packed_half = size == 1 ? 0 : grpo__multiply(sizeof(float),
                                                    grpo__size(w->max_sequences,
                                                               c->max_completion_length));
}

/* ----------------------------------------------------------------------------------- >>life --
 * Checks, memory, grpo_new() and grpo_free(). */

/* Is every field in its range, and are they consistent? */
static int grpo__check(grpo_config *c) {
    const grpo_model_config *m = &c->model;
    const grpo_objective *o = &c->objective;
    const grpo_rope_scaling *rope = &m->rope_scaling;
    const double llama3 = rope->rope_type == GRPO_ROPE_LLAMA3;
    const double positions = m->max_position_embeddings;
    const double beyond = 0.2000001 * c->num_prompts * c->num_generations;    /* as a float > .2n */
    const int add_up = o->kl_in_reward == 1 || o->advantage >= GRPO_ADVANTAGE_RETURN;
    const char *const fits = ": prompt and completion together have model.max_position_embeddings";
    const struct { const void *field; double least, most; const char *why; } depends[] = {
        { &rope->factor, rope->rope_type ? 1e-38 : 0, 3e38, "" },             /* on other fields */
        { &rope->high_freq_factor, llama3 * (1.001 * (double)rope->low_freq_factor + 1e-38), 3e38,
          "" },
        { &rope->original_max_position_embeddings, llama3, 1 << 28, "" },
        { &c->eos_token_id, 0, m->vocab_size - 1.0, "" },
        { &c->max_prompt_length, 1, positions - 1, fits },
        { &c->max_completion_length, 1, positions - c->max_prompt_length, fits },
        { &c->sampling.top_p, c->sampling.temperature == 0 ? 0 : 1e-38, 1, "" },
        { &c->max_steps, c->lr_scheduler_type ? c->warmup_steps + 1.0 : 0, 1 << 30, "" },
        { &c->lora.rank, 0, grpo__has_value_head(m) ? 0.0 : 1 << 16,
          ": it is for policies, a scalar head (num_labels, value_head) would not be trained" },
        { &c->ref_model_sync_steps, 0, c->lora.rank ? 0.0 : 1 << 30,
          ": with lora the reference is the model without its adapters and cannot move" },
        { &o->max_completion_length, o->average == GRPO_AVERAGE_CONSTANT ? 1.0 : 0, 1 << 24, "" },
        { &o->dual_clip, o->dual_clip == 0 ? 0.0 : 1, 3e38, ", or 0 (off)" },
        { &o->beta, o->kl_target > 0 ? 1e-38 : 0, 3e38,
          ": to reach kl_target it is multiplied, so it must begin above 0" },
        { &o->kl_horizon, o->kl_target > 0 ? beyond : 1e-38, 3e38,
          ": more than a fifth of a step's completions, or beta could fall to 0 in one" },
        { &o->combine, 0, add_up ? 0.0 : 1,
          ": rewards compared one by one leave none for kl_in_reward 1, or for returns" } };
    const grpo_field *f = grpo__table;
    size_t k;
    int i;
    for (; f < grpo__table + GRPO__ROWS; f++) {
        double value = grpo__get_field(c, f), least = f->least, most = f->most;
        const char *why = "";
        for (k = 0; k < sizeof depends / sizeof *depends; k++)
            if (depends[k].field == (const char *)c + f->at) {
                least = depends[k].least;
                most = depends[k].most;
                why = depends[k].why;
            }
        if (f->least < f->most && !(value >= least && value <= most))
            return grpo__fail_config(c, GRPO_BAD_INPUT, "%s is %.7g; it must be from %.7g to "
                                     "%.7g%s", f->name, value, least, most, why);
    }
    if (m->head_dim % 2 || m->num_attention_heads % m->num_key_value_heads)
        return grpo__fail_config(c, GRPO_BAD_INPUT, "model: head_dim %d must be even (rotary "
                                 "positions turn pairs), and num_attention_heads %d a multiple of "
                                 "num_key_value_heads %d", m->head_dim, m->num_attention_heads,
                                 m->num_key_value_heads);
    for (i = 0; i < c->num_eos; i++)
        if (c->eos_token_ids[i] < 0 || c->eos_token_ids[i] >= m->vocab_size)
            return grpo__fail_config(c, GRPO_BAD_INPUT, "eos_token_ids[%d] is %d, not a token", i,
                                     c->eos_token_ids[i]);
    for (i = 0; i < c->num_rewards; i++)
        if (!!c->rewards[i].function + !!c->rewards[i].batch + !!c->rewards[i].steps != 1
            || !grpo__finite((double)c->rewards[i].weight))
            return grpo__fail_config(c, GRPO_BAD_INPUT, "reward %d (\"%.31s\"): set one of "
                                     "function, batch and steps, and a finite weight", i,
                                     c->rewards[i].name);
    if (c->lanes & (c->lanes - 1))
        return grpo__fail_config(c, GRPO_BAD_INPUT, "lanes is %d; it must be a power of two",
                                 c->lanes);
    if (c->team.size < 0 || c->team.size & (c->team.size - 1) || c->team.size > c->lanes)
        return grpo__fail_config(c, GRPO_BAD_INPUT, "a team has %d processes; it must be a power "
                                 "of two, at most lanes, %d", c->team.size, c->lanes);
    if (c->team.rank < 0 || c->team.rank >= grpo__max(c->team.size, 1))
        return grpo__fail_config(c, GRPO_BAD_INPUT, "team.rank is %d; it must be from 0 to %d",
                                 c->team.rank, grpo__max(c->team.size, 1) - 1);
    if (!c->encode != !c->decode || !c->allocate != !c->release)
        return grpo__fail_config(c, GRPO_BAD_INPUT, "hooks come in pairs: set both encode and "
                                 "decode, both allocate and release, or neither");
    return GRPO_OK;
}

/* Replaces the values that mean "by default" (0 or -1) by actual ones, before any other use. */
static int grpo__prepare_config(grpo_config *c) {
    grpo_model_config *m = &c->model;
    c->error[0] = 0;
    if (!c->encode && !c->decode) {
        int size = grpo__vocabulary_size(c->vocabulary);
        if (size < 0)
            return grpo__fail_config(c, GRPO_BAD_INPUT, "the vocabulary must be UTF-8, not empty, "
                                     "and hold no character twice");
        if (!m->vocab_size) m->vocab_size = size;
        if (m->vocab_size < size)
            return grpo__fail_config(c, GRPO_BAD_INPUT, "model.vocab_size %d is smaller than the "
                                     "vocabulary with end-of-text, %d", m->vocab_size, size);
        if (c->eos_token_id == -1) c->eos_token_id = size - 1;
    }
    if (!m->num_key_value_heads) m->num_key_value_heads = m->num_attention_heads;
    if (!m->head_dim && m->num_attention_heads > 0) {
        m->head_dim = m->hidden_size / m->num_attention_heads;
        if (m->hidden_size % m->num_attention_heads)
            return grpo__fail_config(c, GRPO_BAD_INPUT, "model.hidden_size %d is no multiple of "
                                     "model.num_attention_heads %d: change one of them, or set "
                                     "model.head_dim", m->hidden_size, m->num_attention_heads);
    }
    if (!c->objective.max_completion_length)
        c->objective.max_completion_length = c->max_completion_length;
#ifdef GRPO_CUDA
    if (!c->backend) c->backend = grpo_cuda();
#endif
    if (!c->backend) c->backend = grpo_cpu();
    return grpo__check(c);
}

enum { GRPO__MOST_STEPS = INT32_MAX - 1 };

/* Every public function of an object begins here: are its arguments valid, would grpo_new() accept
 * the config, are the fixed fields unchanged since, has the batch reached the stage? */
static int grpo__enter(const grpo *object, const char *what, int arguments, int stage) {
    grpo *g = (grpo *)(uintptr_t)object;                      /* to store the error text         */
    const grpo_config *c, *made;
    const grpo_objective *o;
    const grpo_field *f = grpo__table;
    const char *changed = NULL;
    int code;
    if (!g) return GRPO_BAD_INPUT;
    if (stage > GRPO__ALONE) g->machinery->entered = what;
    if (!arguments)
        return grpo__fail(g, GRPO_BAD_INPUT, "%s: an argument is NULL or out of its range", what);
    c = &g->config;
    o = &c->objective;
    made = &g->machinery->initial;
    for (; f < grpo__table + GRPO__ROWS; f++)
        if (f->fixed && grpo__get_field(c, f) != grpo__get_field(made, f)) changed = f->name;
    if (c->vocabulary != made->vocabulary) changed = "vocabulary";
    if (c->backend != made->backend) changed = "backend";
    if (c->allocate != made->allocate) changed = "allocate";
    if (c->release != made->release) changed = "release";
    if (c->team.rank != made->team.rank || c->team.size != made->team.size
        || c->team.exchange != made->team.exchange || c->team.user != made->team.user
        || c->team.device_memory != made->team.device_memory) changed = "team";
    if (changed)
        return grpo__fail(g, GRPO_BAD_INPUT, "%s: config.%s has changed since grpo_new(), and "
                          "memory was laid out by it: put it back, or make a new object", what,
                          changed);
    if ((code = grpo__check(&g->config)) != GRPO_OK) return code;
    if (o->beta > 0 && !g->batch.ref_logprobs)
        return grpo__fail(g, GRPO_BAD_INPUT, "objective.beta was 0 at grpo_new(), so there is no "
                          "reference policy: set it before");
    if (o->beta > 0 && o->kl == GRPO_KL_FULL && !g->batch.kl)
        return grpo__fail(g, GRPO_BAD_INPUT, "exact KL needs memory: set objective.kl before "
                          "grpo_new()");
    if (g->state.step < 0 || g->state.step > GRPO__MOST_STEPS || g->state.optimizer_step < 0
        || g->state.optimizer_step > GRPO__MOST_STEPS || g->state.adam_step < 0
        || g->state.adam_step > GRPO__MOST_STEPS
        || !(g->state.num_tokens >= 0 && g->state.num_tokens <= 9007199254740992.0))
        return grpo__fail(g, GRPO_BAD_INPUT, "%s: a counter of the state is out of its range, 0 to "
                          "%d (num_tokens: 2^53)", what, (int)GRPO__MOST_STEPS);
    if (g->machinery->stage < stage)
        return grpo__fail(g, GRPO_BAD_INPUT, "%s: call grpo_rollout(), grpo_score(), "
                          "grpo_advantage() first, in this order", what);
    return GRPO_OK;
}

/* Does one of the rewards reward steps? */
static int grpo__has_steps(const grpo_config *c) {
    int r = 0;
    while (r < c->num_rewards && !c->rewards[r].steps) r++;
    return r < c->num_rewards;
}

/* Can completions of a group differ, and can they be compared? */
static int grpo__check_groups(grpo *g) {
    const grpo_config *c = &g->config;
    if (c->sampling.temperature == 0)
        return grpo__fail(g, GRPO_BAD_INPUT, "grpo_step: sampling.temperature is 0: a group's "
                          "completions would all be the same, and nothing could be learned");
    if (c->num_generations == 1 && c->objective.advantage != GRPO_ADVANTAGE_RETURN
        && !grpo__has_steps(c))
        return grpo__fail(g, GRPO_BAD_INPUT, "grpo_step: num_generations is 1: a completion is "
                          "compared with its group, and alone its advantage would always be 0");
    return GRPO_OK;
}

/* Can the model compute the per-token outputs x? */
static int grpo__check_per_token(grpo *g, const char *what, int model, const grpo_per_token *x) {
    const grpo_model_config *m = &g->config.model;
    if (model == GRPO_REFERENCE && !g->batch.ref_logprobs)
        return grpo__fail(g, GRPO_BAD_INPUT, "%s: there is no reference: beta was 0", what);
    if (model == GRPO_REFERENCE && (x->kl || x->values))
        return grpo__fail(g, GRPO_BAD_INPUT, "%s: kl and values are the policy's", what);
    if ((x->logprobs || x->entropies || x->kl) && !grpo__has_lm_head(m))
        return grpo__fail(g, GRPO_BAD_INPUT, "%s: there is no LM head (model.num_labels is 1), "
                          "only values", what);
    if (x->kl && !g->machinery->ref_hidden)
        return grpo__fail(g, GRPO_BAD_INPUT, "%s: exact KL needs memory: set objective.kl full, "
                          "and beta above 0, before grpo_new()", what);
    if (x->values && !grpo__has_value_head(m))
        return grpo__fail(g, GRPO_BAD_INPUT, "%s: there is no scalar head: set model.value_head or "
                          "num_labels to 1 before grpo_new()", what);
    return GRPO_OK;
}

int grpo_add_reward(grpo_config *config, const char *name, grpo_reward_function function,
                    float weight, void *user) {
    grpo_reward *line;
    size_t length;
    if (!config) return GRPO_BAD_INPUT;
    if (config->num_rewards < 0 || config->num_rewards >= GRPO_MAX_REWARDS)
        return grpo__fail_config(config, GRPO_BAD_INPUT, "there is room for %d rewards, not more",
                                 (int)GRPO_MAX_REWARDS);
    if (!name || !*name)
        return grpo__fail_config(config, GRPO_BAD_INPUT, "a reward needs a name");
    length = strlen(name);                                    /* cut between two characters       */
    while (length >= GRPO_NAME_LENGTH || (length && (name[length] & 0xC0) == 0x80)) length--;
    line = &config->rewards[config->num_rewards++];
    memset(line, 0, sizeof *line);
    memcpy(line->name, name, length);
    line->weight = weight;
    line->function = function;                                /* NULL: set line->batch next       */
    line->user = user;
    return GRPO_OK;
}

/* ---- addresses of the weights: one walk through the model, in the order of tensors in files. It
 * counts elements, lists the tensors, and sets the pointers of a policy, a reference or a
 * gradient. */
typedef struct grpo__cursor { float *at; size_t offset; } grpo__cursor;       /* at NULL: counts */

typedef struct grpo__listing {      /* at NULL: tensors are only counted                         */
    grpo__tensor *at;
    int count;
} grpo__listing;

typedef struct grpo__placing {
    const grpo_config *config;
    const grpo__shape *shape;
    const grpo_backend *backend;
    grpo__cursor matrix, vector, a, b;        /* next element of matrices, vectors, A, B         */
    char *operands;                           /* next operand; NULL: without operands            */
    size_t operand_bytes;
    grpo__listing tensors, trained;           /* of the model; of LoRA's A and B                 */
    grpo__tensor unlisted;
    char prefix[32];                          /* of the names of a layer's tensors               */
} grpo__placing;

/* The next tensor, at the cursor; cols 0: a vector of `rows` elements. */
static grpo__tensor *grpo__place_tensor(grpo__placing *p, grpo__cursor *from, int rows, int cols,
                                        const char *name, const char *ending) {
    int lora = from == &p->a || from == &p->b;
    grpo__listing *list = lora ? &p->trained : &p->tensors;
    grpo__tensor *t = list->at ? &list->at[list->count] : &p->unlisted;
    size_t n = grpo__size(rows, cols ? cols : 1);
    list->count++;
    snprintf(t->name, sizeof t->name, "%s%s%s%s", lora ? "base_model.model." : "", p->prefix, name,
             ending);
    t->rows = rows; t->cols = cols;
    t->at = from->at; t->offset = from->offset;
    if (from->at) from->at += n;
    from->offset = grpo__add(from->offset, n);
    return t;
}

static float *grpo__place_vector(grpo__placing *p, int n, const char *name) {
    return grpo__place_tensor(p, &p->vector, n, 0, name, "")->at;
}

/* Elements from one row of logits to the next: where they are of 2 bytes, a multiple of 16 bytes,
 * which tensor cores need. */
static int grpo__logits_stride(const grpo_backend *b, int vocab) {
    return b->element_size == 2 ? 8 * grpo__blocks(vocab, 8) : vocab;
}

/* A matrix of these weights and the next operand. */
static grpo_matrix grpo__place_matrix(grpo__placing *p, float *weights, int rows, int cols) {
    grpo_matrix m;
    m.weights = weights;
    m.operand = p->operands ? p->operands + p->operand_bytes : NULL;
    m.rows = m.y_stride = rows;
    m.cols = cols;
    p->operand_bytes = grpo__add(p->operand_bytes,
                                 grpo__add(p->backend->operand_size(rows, cols), 63));
    if (p->operand_bytes != SIZE_MAX) p->operand_bytes &= ~(size_t)63;
    return m;
}

static const char *const grpo__module_names[GRPO_LORA_TARGETS] = {
    "self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj", "self_attn.o_proj",
    "mlp.gate_proj", "mlp.up_proj", "mlp.down_proj" };

/* The next matrix: `modules` matrices [out0 or out, in] stacked by rows, and their adapters. */
static void grpo__place_linear(grpo__placing *p, grpo__linear *y, int module, int modules,
                               int out0, int out, int in) {
    int i, rank = p->shape->rank, column = 0;
    y->w = grpo__place_matrix(p, p->matrix.at, out0 + (modules - 1) * out, in);
    y->num_adapters = 0;
    for (i = 0; i < modules; i++, module++, column += out0, out0 = out) {
        const char *name = grpo__module_names[module];
        grpo__tensor *t = grpo__place_tensor(p, &p->matrix, out0, in, name, ".weight");
        if (rank) { t->operand = &y->w; t->within = grpo__size(column, in); }
        if (rank && p->config->lora.targets >> module & 1) {
            grpo__adapter *a = &y->adapters[y->num_adapters++];
            t->adapter = a;
            t = grpo__place_tensor(p, &p->a, rank, in, name, ".lora_A.weight");
            a->A = grpo__place_matrix(p, t->at, in, rank);
            t = grpo__place_tensor(p, &p->b, out0, rank, name, ".lora_B.weight");
            a->B = grpo__place_matrix(p, t->at, out0, rank);
            a->B.y_stride = y->w.rows;
            a->column = column;
        }
    }
    if (!p->a.at) y->num_adapters = 0;        /* LoRA's reference: the policy without them       */
}

static void grpo__place_model(grpo__placing *p, grpo__model *m) {
    const grpo_model_config *c = &p->config->model;
    const grpo__shape *s = p->shape;
    grpo__layer measured;
    grpo__tensor *t;
    float *head;
    int i;
    t = grpo__place_tensor(p, &p->matrix, s->V, s->H, "model.embed_tokens", ".weight");
    m->embedding = head = t->at;
    if (s->rank) p->matrix.at = NULL;         /* frozen: only an operand exists                  */
    for (i = 0; i < c->num_hidden_layers; i++) {
        grpo__layer *l = m->layers ? &m->layers[i] : &measured;
        snprintf(p->prefix, sizeof p->prefix, "model.layers.%d.", i);
        grpo__place_linear(p, &l->qkv, 0, 3, s->Q, s->KV, s->H);
        grpo__place_linear(p, &l->out, 3, 1, s->H, 0, s->Q);
        grpo__place_linear(p, &l->gate_up, 4, 2, s->F, s->F, s->H);
        grpo__place_linear(p, &l->down, 6, 1, s->H, 0, s->F);
        l->norm1 = grpo__place_vector(p, s->H, "input_layernorm.weight");
        l->norm2 = grpo__place_vector(p, s->H, "post_attention_layernorm.weight");
        if (c->attention_bias) {
            l->bias = grpo__place_vector(p, s->Q, "self_attn.q_proj.bias");
            grpo__place_vector(p, s->KV, "self_attn.k_proj.bias");
            grpo__place_vector(p, s->KV, "self_attn.v_proj.bias");
        }
        if (!c->qk_norm) continue;
        l->q_gain = grpo__place_vector(p, c->head_dim, "self_attn.q_norm.weight");
        l->k_gain = grpo__place_vector(p, c->head_dim, "self_attn.k_norm.weight");
    }
    p->prefix[0] = 0;
    m->norm = grpo__place_vector(p, s->H, "model.norm.weight");
    if (grpo__has_own_lm_head(c)) {
        t = grpo__place_tensor(p, &p->matrix, s->V, s->H, "lm_head", ".weight");
        head = t->at;
    }
    if (s->rank) t->operand = &m->head;       /* tied: the embedding, and as an operand the head */
    if (grpo__has_lm_head(c)) {
        m->head = grpo__place_matrix(p, head, s->V, s->H);
        m->head.y_stride = grpo__logits_stride(p->backend, s->V);
    }
    if (!grpo__has_value_head(c)) return;
    t = grpo__place_tensor(p, &p->matrix, 1, s->H, "score", ".weight");
    m->value = grpo__place_matrix(p, t->at, 1, s->H);
    m->value_column = grpo__place_matrix(p, t->at, s->H, 1);
}

/* Walks through a model whose elements are at `weights` (with LoRA: the frozen ones), LoRA's A and
 * B at `adapters`, operands at `operands`; NULL: not allocated. */
static grpo__placing grpo__place_weights(const grpo_config *c, const struct grpo__machinery *w,
                                         grpo__model *m, float *weights, float *adapters,
                                         char *operands, int list) {
    const grpo__shape *s = &w->shape;
    grpo__placing p;
    memset(&p, 0, sizeof p);
    p.config = c; p.shape = s; p.backend = w->backend;
    p.matrix.at = p.vector.at = weights;
    if (weights) p.vector.at += s->rank ? grpo__size(s->V, s->H) : s->first_vector;
    p.vector.offset = s->first_vector;
    p.a.at = p.b.at = adapters;
    if (adapters) p.b.at += s->all_a;
    p.b.offset = s->all_a;
    p.operands = operands;
    if (list) { p.tensors.at = w->tensors; p.trained.at = w->trained_tensors; }
    grpo__place_model(&p, m);
    return p;
}

/* Widths of a model, and how many elements, operand bytes and tensors it has. */
static void grpo__measure_model(const grpo_config *c, struct grpo__machinery *w) {
    const grpo_model_config *m = &c->model;
    grpo__shape *s = &w->shape;
    grpo__model model;
    grpo__placing p;
    memset(s, 0, sizeof *s);
    memset(&model, 0, sizeof model);
    s->H = m->hidden_size; s->F = m->intermediate_size; s->V = m->vocab_size;
    s->Q = m->num_attention_heads * m->head_dim;
    s->KV = m->num_key_value_heads * m->head_dim;
    s->QKV = s->Q + 2 * s->KV;
    s->rank = c->lora.rank;
    p = grpo__place_weights(c, w, &model, NULL, NULL, NULL, 0);
    s->first_vector = p.matrix.offset;
    s->total = s->trained = grpo__add(p.matrix.offset, p.vector.offset);
    s->all_a = p.a.offset;
    if (s->rank) s->trained = grpo__add(p.a.offset, p.b.offset);
    w->operand_bytes = p.operand_bytes;
    w->num_tensors = p.tensors.count;
    w->num_trained_tensors = s->rank ? p.trained.count : p.tensors.count;
}

/* The policy, the reference (the policy's weights, if it has none of its own) and the gradient. */
static void grpo__place_models(grpo *g) {
    struct grpo__machinery *w = g->machinery;
    const grpo_config *c = &g->config;
    int apart = w->reference != NULL;
    grpo__place_weights(c, w, &w->models[GRPO_POLICY], w->weights, w->trained, w->operands, 1);
    grpo__place_weights(c, w, &w->models[GRPO_REFERENCE], apart ? w->reference : w->weights, NULL,
                        apart ? w->reference_operands : w->operands, 0);
    grpo__place_weights(c, w, &w->gradients, w->shape.rank ? NULL : w->gradient, w->gradient, NULL,
                        0);
}

/* ---- sizes. A pass has at most R rows: micro_batch_prompts whole groups, or every sequence
 * that is sampled at one time; K and V have S slots: rollout_batch_prompts groups of full
 * length. */

static int grpo__limits(grpo_config *c, struct grpo__machinery *w, int64_t micro,
                        int64_t together, int keep) {
    int64_t L = c->max_completion_length, P = c->max_prompt_length, G = c->num_generations;
    int64_t new_rows = L - 1;       /* the last token of a completion predicts nothing           */
    const grpo_model_config *m = &c->model;
    const grpo_heads heads = { m->num_attention_heads, m->num_key_value_heads, m->head_dim };
    int64_t rows, slots, head;
    int i, vocab = grpo__has_lm_head(m) ? m->vocab_size : 1;
    if ((double)c->num_prompts * (double)(G * (P + L)) > INT32_MAX / 16 - 64)
        return grpo__fail_config(c, GRPO_BAD_INPUT, "num_prompts * num_generations * (max_prompt_"
                                 "length + max_completion_length) must stay below 2^27");
    rows = micro * (P + G * new_rows);
    if (rows < together * G) rows = together * G;
    slots = together * (P + G * L);
    if (slots < rows) slots = rows;
    head = w->backend->logits_at_once / vocab;
    if (head < 64) head = 64;
    if (head > 128) head -= head % 128;                       /* whole tiles of a GPU            */
    w->max_rows = (int)rows;
    w->max_slots = (int)((slots + 31) / 32 * 32);
    w->stores_batch = keep && together == w->max_own;
    w->stored_rows = w->stores_batch ? (int)(together * (P + G * new_rows)) : w->max_rows;
    w->staged = w->stores_batch && w->backend->ticks_at_once > 1 ? w->stored_rows : 0;
    if (w->staged) w->stored_rows += (int)(together * G);
    if (w->stored_rows < w->max_rows) w->stored_rows = w->max_rows;
    w->max_sequences = (int)(c->num_prompts * G);
    w->max_length = (int)(P + L);
    w->head_rows = (int)(head < rows ? head : rows);
    w->words = grpo__blocks(m->vocab_size, 32);
    grpo__measure_model(c, w);
    grpo__measure_team(c, w);
    for (i = 0; i < GRPO__STATES; i++) {                      /* as in grpo__states_of()         */
        const int widths[GRPO__STATES] = { w->shape.H, w->shape.Q, w->shape.Q, w->shape.H,
                                           2 * w->shape.F, heads.num_heads, w->shape.QKV };
        w->row_bytes[i] = grpo__multiply((size_t)widths[i], i == 5 ? sizeof(float)
                                                                   : w->backend->element_size);
    }
    w->heads = heads;
    /* a pass: seven integers a row and one where it has ended, one a target, six a segment */
    w->index_size = 16 * w->max_rows + 16 * w->max_sequences + 1024;
    w->text_stride = (size_t)grpo__saturate(grpo__add(1, grpo__size(c->max_completion_length,
                                                                    c->max_token_bytes)));
    w->prompt_text_stride = (size_t)grpo__saturate(grpo__add(1, grpo__size(c->max_prompt_length,
                                                                           c->max_token_bytes)));
    return GRPO_OK;
}

/* Targets of one pass: a row has one, but the last row of a prompt has as many as completions. */
static size_t grpo__max_targets(const struct grpo__machinery *w) {
    return grpo__add((size_t)w->max_rows, (size_t)w->max_sequences);
}

/* Elements of the drawn arrays: the targets of one pass; or a line for each tick between two polls
 * by the host and, first, the line of the current tick. */
static size_t grpo__max_drawn(const struct grpo__machinery *w) {
    size_t ticks = grpo__multiply((size_t)w->backend->ticks_at_once + 1, (size_t)w->max_sequences);
    return ticks > grpo__max_targets(w) ? ticks : grpo__max_targets(w);
}

static int grpo__uses_exact_kl(const grpo_config *c) {
    return c->objective.kl == GRPO_KL_FULL && c->objective.beta > 0;
}

/* Takes a list of arrays [n] of elements of `size` bytes from an arena and stores their addresses
 * at `at`; n 0: NULL. Returns the bytes taken. */
typedef struct grpo__room { void *at; size_t n, size; } grpo__room;

static size_t grpo__take_all(grpo__arena *a, const grpo__room *rooms, size_t count) {
    size_t i, start = a->used;
    for (i = 0; i < count; i++) {
        void *at = rooms[i].n ? grpo__take(a, rooms[i].n, rooms[i].size) : NULL;
        memcpy(rooms[i].at, &at, sizeof at);
    }
    return a->used - start;
}
#define GRPO__TAKE(arena, rooms) grpo__take_all((arena), (rooms), sizeof (rooms) / sizeof *(rooms))

/* The activations of one layer, each [rows, width]. Backward needs qkv only to differentiate
 * qk_norm. */
static void grpo__lay_out_layer(const grpo_config *c, const struct grpo__machinery *w,
                                grpo__arena *a, size_t rows, grpo__layer_state *s) {
    void **at[GRPO__STATES];
    int i, n = grpo__states_of(c, s, at);
    for (i = 0; i < n; i++) *at[i] = grpo__take(a, rows, w->row_bytes[i]);
    if (n < GRPO__STATES) s->qkv = w->current.qkv;
}

/* Everything in backend memory. Called with a->base NULL to measure, then again to assign. */
static void grpo__lay_out_device(const grpo_config *c, struct grpo__machinery *w, grpo__arena *a,
                                 grpo_memory *memory) {
    const grpo__shape *s = &w->shape;
    const size_t *row = w->row_bytes, f = sizeof(float), R = (size_t)w->max_rows;
    const size_t S = (size_t)w->max_slots, K = (size_t)w->stored_rows;
    const size_t e = w->backend->element_size, H = row[0], Q = row[1], gate_up = row[4];
    const size_t F = gate_up / 2, KV = grpo__multiply((size_t)s->KV, e), QKV = row[6];
    const size_t set = grpo__size(w->words, 4), targets = grpo__max_targets(w);
    const size_t drawn = grpo__max_drawn(w), exact = grpo__uses_exact_kl(c) ? R : 0;
    const size_t adapters = s->rank ? R : 0, rank = grpo__multiply((size_t)s->rank, e);
    const size_t lora = grpo__add(grpo__size(s->V, s->H), s->total - s->first_vector);
    const size_t n = s->trained, frozen = s->rank ? lora : 0;
    const size_t reference = c->objective.beta > 0 && !s->rank;
    const int writes = grpo__has_lm_head(&c->model), layers = c->model.num_hidden_layers;
    const int tied = c->model.tie_word_embeddings && writes && !s->rank;
    const size_t V = grpo__size(writes ? grpo__logits_stride(w->backend, s->V) : 1, (int)e);
    const size_t head = (size_t)w->head_rows;
    const size_t remembered = grpo__filters(&c->sampling)
                            ? grpo__size(w->max_own * c->num_generations, c->max_completion_length)
                            : 0;
    const grpo__room weights[] = { { &w->weights, grpo__add(frozen, n), f },
                                   { &w->operands, w->operand_bytes, 1 } };
    const grpo__room reference_arrays[] = { { &w->reference, reference * n, f },
                                      { &w->reference_operands, reference * w->operand_bytes, 1 } };
    const size_t padded = grpo__multiply(w->piece, (size_t)c->lanes);
    const grpo__room gradients[] = { { &w->gradient, padded, f },
                                     { &w->dembed, tied ? grpo__size(s->V, s->H) : 0, f },
                                     { &w->lane_sums, grpo__multiply(w->lane_levels, padded), f },
                                     { &w->received, w->received_size, f } };
    const size_t share = w->share ? w->share : 1;             /* a slot of files has an address  */
    const grpo__room moments[] = { { &w->adam_m, share, f }, { &w->adam_v, share, f } };
    const grpo__room activations[] = {
        { &w->d.qkv, R, QKV }, { &w->d.q, R, Q }, { &w->d.k, S, KV }, { &w->d.v, S, KV },
        { &w->d.y, R, Q }, { &w->d.norm, R, H }, { &w->d.gate_up, R, gate_up }, { &w->d.act, R, F },
        { &w->norm, R, H }, { &w->act, R, F }, { &w->inner, adapters, rank },
        { &w->dinner, adapters, rank }, { &w->dx, R, H }, { &w->hidden, R, H },
        { &w->dhidden, R, H }, { &w->ref_hidden, exact, H }, { &w->kl, exact, f },
        { &w->dkl, exact, f }, { &w->values, grpo__has_value_head(&c->model) ? R : 0, f },
        { &w->rstd, R, f }, { &w->entropies, drawn, f }, { &w->dentropies, R, f },
        { &w->logprobs, drawn, f }, { &w->dlogprobs, targets, f }, { &w->uniforms, drawn, f },
        { &w->drawn, drawn, sizeof(int) }, { &w->index, (size_t)w->index_size, sizeof(int) },
        { &w->stored_arrays, 7 * (size_t)layers + 1, sizeof(grpo_array) },
        { &w->angles, grpo__size(w->max_length, c->model.head_dim), f },
        { &w->allowed_scratch, R, set }, { &w->allowed, remembered, set },
        { &w->current.qkv, c->model.qk_norm ? 0 : R, QKV } };
    const grpo__room logits[] = { { &w->logits, head, V },
                                  { &w->ref_logits, exact ? head : 0, V } };
    grpo__layer_state unused;
    size_t start;
    int layer;
    memory->weights = GRPO__TAKE(a, weights);
    w->trained = w->weights ? w->weights + frozen : NULL;     /* NULL while it is measured       */
    memory->reference = GRPO__TAKE(a, reference_arrays);
    memory->gradients = GRPO__TAKE(a, gradients);
    memory->optimizer = GRPO__TAKE(a, moments);
    memory->activations = GRPO__TAKE(a, activations);
    start = a->used;
    grpo__lay_out_layer(c, w, a, R, &w->current);
    w->current.k = w->d.k;          /* shared: forward and backward never run together           */
    w->current.v = w->d.v;
    for (layer = 0; layer <= layers; layer++) {
        grpo__layer_state *l = w->layers ? &w->layers[layer] : &unused;
        if (layer < layers) grpo__lay_out_layer(c, w, a, K, l);
        else l->x = grpo__take(a, K, H);                      /* output of the last layer        */
    }
    memory->activations += a->used - start;
    start = a->used;
    for (layer = 0; layer < layers; layer++) {
        grpo__layer_state *l = w->layers ? &w->layers[layer] : &unused;
        l->k = grpo__take(a, S, KV);
        l->v = grpo__take(a, S, KV);
    }
    memory->cache = a->used - start;
    memory->logits = GRPO__TAKE(a, logits);
}

/* Everything in host memory, the batch too. */
static void grpo__lay_out_host(const grpo_config *c, struct grpo__machinery *w, grpo__arena *a,
                               grpo_batch *b) {
    const size_t f = sizeof(float), i = sizeof(int), n = (size_t)w->max_sequences;
    const size_t all = grpo__multiply(n, (size_t)c->max_completion_length);
    const size_t layers = (size_t)c->model.num_hidden_layers, drawn = grpo__max_drawn(w);
    const size_t exact = grpo__uses_exact_kl(c) ? all : 0, steps = grpo__has_steps(c) ? all : 0;
    const size_t lora = c->lora.rank ? (size_t)w->num_trained_tensors : 0;
    const grpo__room rooms[] = {
        { &w->tensors, (size_t)w->num_tensors + lora, sizeof(grpo__tensor) },
        { &w->models[0].layers, layers, sizeof(grpo__layer) },
        { &w->models[1].layers, layers, sizeof(grpo__layer) },
        { &w->gradients.layers, layers, sizeof(grpo__layer) },
        { &w->layers, layers + 1, sizeof(grpo__layer_state) },
        { &w->stored_list, 7 * layers + 1, sizeof(grpo_array) },
        { &w->index_host, (size_t)w->index_size, i }, { &w->target_index, grpo__max_targets(w), i },
        { &w->exchange, grpo__multiply(2, drawn), f }, { &w->exchange_tokens, drawn, i },
        { &w->lanes, c->lanes > 1 ? n : 0, i }, { &w->places, c->lanes > 1 ? n : 0, i },
        { &w->lane_stats, (size_t)c->lanes, sizeof(grpo_loss_stats) },
        { &w->squares, (size_t)c->lanes, sizeof(double) },
        { &w->packed, grpo__multiply(2, w->packed_half), 1 }, { &w->staging, w->staging_size, f },
        { &w->prompts, n, sizeof(grpo_prompt) }, { &w->keys, n, sizeof(uint64_t) },
        { &w->slots, n, i }, { &w->prompt_rows, n, i }, { &w->token_rows, all, i },
        { &w->active, n, i }, { &w->lengths, n, i }, { &w->drawn_tokens, all, i },
        { &w->drawn_logprobs, all, f }, { &w->drawn_entropies, all, f },
        { &w->new_logprobs, all, f }, { &w->new_entropies, all, f }, { &w->new_dlogprobs, all, f },
        { &w->drawn_elsewhere, all, f }, { &w->new_kl, exact, f }, { &w->new_dkl, exact, f },
        { &w->step_offsets, steps ? n + 1 : 0, i }, { &w->step_ends, steps, i },
        { &w->step_rewards, steps, f }, { &w->penalised, n, f }, { &w->compared, n, f },
        { &w->dead, n, 1 }, { &w->idle, n, 1 }, { &w->text, n, w->text_stride },
        { &w->prompt_text, n, w->prompt_text_stride },
        { &b->prompt_offsets, n + 1, i }, { &b->offsets, n + 1, i }, { &b->tokens, all, i },
        { &b->prompt_tokens, grpo__multiply(n, (size_t)c->max_prompt_length), i },
        { &b->logprobs, all, f }, { &b->entropies, all, f }, { &b->kl, exact, f },
        { &b->ref_logprobs, c->objective.beta > 0 ? all : 0, f }, { &b->process, steps, f },
        { &b->advantages, all, f }, { &b->mask, all, 1 }, { &b->truncated, n, 1 },
        { &b->rewards, n, f }, { &b->reward_parts, grpo__multiply(n, GRPO_MAX_REWARDS), f },
        { &b->samples, n, sizeof(grpo_sample) }, { &b->resampled, n, i } };
    GRPO__TAKE(a, rooms);
    w->trained_tensors = w->tensors && lora ? w->tensors + w->num_tensors : w->tensors;
}

/* Limits that fit memory_budget. Given up in this order, until it fits: storing the batch's
 * activations, passes of several groups, sampling of several prompts together. */
static int grpo__fit(grpo_config *c, struct grpo__machinery *w, grpo_memory *memory,
                     size_t *device) {
    int64_t group = c->max_prompt_length + (int64_t)c->num_generations
                  * (c->max_completion_length - 1);
    int64_t micro = c->micro_batch_prompts, together = c->rollout_batch_prompts;
    int keep = 1, all = grpo__most_own(c), code;
    w->max_own = all;
    if (!micro) micro = 1 + w->backend->rows_at_once / group;
    if (micro > all) micro = all;
    if (!together || together > all) together = all;
    while ((code = grpo__limits(c, w, micro, together, keep)) == GRPO_OK) {
        grpo__arena host = { NULL, 64 }, on_backend = { NULL, 64 };           /* 64: to align it */
        grpo_batch batch;
        memset(memory, 0, sizeof *memory);
        grpo__lay_out_host(c, w, &host, &batch);
        grpo__lay_out_device(c, w, &on_backend, memory);
        *device = on_backend.used;
        memory->host = host.used;
        memory->total = grpo__add(sizeof(grpo) + sizeof(struct grpo__machinery),
                                  c->backend->context_size(c));
        memory->total = grpo__add(memory->total, grpo__add(host.used, on_backend.used));
        if (!c->memory_budget || memory->total <= c->memory_budget) return GRPO_OK;
        if (w->stores_batch) keep = 0;
        else if (micro > 1) micro /= 2;
        else if (together > 1) together /= 2;
        else return grpo__fail_config(c, GRPO_NO_MEMORY, "%.3f MB are needed at least, memory_"
                                      "budget is %.3f MB; lower num_prompts, num_generations or "
                                      "the lengths", (double)memory->total / 1e6,
                                      (double)c->memory_budget / 1e6);
    }
    return code;
}

int grpo_memory_needed(grpo_config *config, grpo_memory *needed) {
    struct grpo__machinery w;
    grpo_config c;
    size_t device;
    int code;
    if (!config) return GRPO_BAD_INPUT;
    if (!needed) return grpo__fail_config(config, GRPO_BAD_INPUT, "no grpo_memory to fill");
    c = *config;
    code = grpo__prepare_config(&c);
    memset(&w, 0, sizeof w);
    w.backend = c.backend;
    if (!code) code = grpo__fit(&c, &w, needed, &device);
    if (!code) needed->num_parameters = w.shape.total;
    memcpy(config->error, c.error, sizeof c.error);
    return code;
}

/* Weights from the seed: matrices N(0, initializer_range), with the two that write into the
 * residual stream scaled by 1/sqrt(2 layers) (GPT-2, Radford et al. 2019); gains 1, biases 0. LoRA
 * begins with the model as it is: B = 0, and A uniform within +-1 / sqrt(in), as in PEFT. */
static void grpo__initialize(grpo *g, int first) {            /* tensors first ..., LoRA's last  */
    struct grpo__machinery *w = g->machinery;
    const grpo_config *c = &g->config;
    const grpo__tensor *t = w->tensors + first;
    int n = w->num_tensors + (c->lora.rank ? w->num_trained_tensors : 0);
    float staging[1024];
    for (; t < w->tensors + n; t++) {
        size_t all = grpo__size(t->rows, t->cols ? t->cols : 1), at, count, i;
        float range = c->model.initializer_range, constant = !t->cols && !strstr(t->name, "bias");
        int uniform = strstr(t->name, "lora_A") != NULL;
        int is_constant = !t->cols || range == 0 || strstr(t->name, "lora_B");
        if (strstr(t->name, "o_proj") || strstr(t->name, "down_proj"))
            range /= sqrtf(2.0f * (float)c->model.num_hidden_layers);
        for (at = 0; at < all; at += count) {
            count = all - at < 1024 ? all - at : 1024;
            for (i = 0; i < count; i++)
                staging[i] = uniform ? (2 * grpo_uniform(c->seed, UINT64_MAX, 0, 0,
                                                         t->offset + at + i) - 1)
                                       / sqrtf((float)t->cols)
                           : is_constant ? constant
                           : range * grpo__normal(c->seed, t->offset + at + i);
            grpo__move_weights(g, t, at, staging, NULL, count);
        }
    }
    grpo__weights_changed(g, GRPO_POLICY);
}

/* The angle by which pair i is rotated per position: theta^(-2 i / head_dim). linear divides it by
 * factor. llama3 (transformers' modeling_rope_utils): unchanged for pairs of high_freq_factor or
 * more full rotations in the original context, divided for low_freq_factor or fewer, blended
 * between. */
static double grpo__rope_angle(const grpo_model_config *m, int i) {
    const grpo_rope_scaling *s = &m->rope_scaling;
    double angle = pow((double)m->rope_theta, -2.0 * i / m->head_dim), unscaled = 0;
    if (s->rope_type == GRPO_ROPE_DEFAULT) return angle;
    if (s->rope_type == GRPO_ROPE_LLAMA3) {
        double times = s->original_max_position_embeddings * angle / 6.283185307179586;
        unscaled = (times - (double)s->low_freq_factor)
             / ((double)s->high_freq_factor - (double)s->low_freq_factor);
        unscaled = unscaled < 0 ? 0 : unscaled > 1 ? 1 : unscaled;
    }
    return angle * (unscaled + (1 - unscaled) / (double)s->factor);
}

/* angles[position] = cosines and sines of position times the angles */
static void grpo__initialize_angles(grpo *g) {
    struct grpo__machinery *w = g->machinery;
    int d = g->config.model.head_dim, position, i;
    float part[512];                /* of a position's d numbers                                 */
    for (position = 0; position < w->max_length; position++)
        for (i = 0; i < d; i++) {
            double angle = position * grpo__rope_angle(&g->config.model, i % (d / 2));
            int at = i % 512;
            part[at] = (float)(i < d / 2 ? cos(angle) : sin(angle));
            if (at == 511 || i == d - 1)
                w->backend->upload(w->context, w->angles + grpo__size(position, d) + (i - at), part,
                                   (size_t)(at + 1) * sizeof(float));
        }
}

/* The state at grpo_new(): random weights, their copy as reference (not yet set), counters 0. */
static void grpo__begin(grpo *g) {
    struct grpo__machinery *w = g->machinery;
    w->frozen = 0;
    w->backend->zero(w->context, w->adam_m, w->share * sizeof(float));
    w->backend->zero(w->context, w->adam_v, w->share * sizeof(float));
    grpo__initialize(g, 0);
    if (w->reference) grpo_set_reference(g, 1.0f);
    memset(&g->state, 0, sizeof g->state);
}

/* An arena in this memory, from its first aligned byte on. */
static grpo__arena grpo__arena_in(void *memory) {
    grpo__arena a = { (char *)memory, 0 };
    a.base += (64 - ((uintptr_t)memory & 63)) & 63;
    return a;
}

static int grpo__start(grpo *g) {
    struct grpo__machinery *w = g->machinery;
    grpo__arena host, device;
    grpo_memory m;
    size_t size;
    int code;
    w->backend = g->config.backend;
    if ((code = grpo__fit(&g->config, w, &m, &size)) < 0) return code;
    w->context = w->backend->open(&g->config, g->config.error);
    if (!w->context) return GRPO_DEVICE;
    w->host = grpo__allocate(&g->config, m.host);
    if (w->host) w->device = w->backend->allocate(w->context, size);
    if (!w->device)
        return grpo__fail(g, GRPO_NO_MEMORY, "out of memory: %.1f MB are needed (%.1f for weights, "
                          "gradients and AdamW, %.1f for activations); lower micro_batch_prompts, "
                          "rollout_batch_prompts or the lengths", (double)m.total / 1e6,
                          (double)(m.weights + m.reference + m.gradients + m.optimizer) / 1e6,
                          (double)(m.activations + m.cache) / 1e6);
    host = grpo__arena_in(w->host);
    device = grpo__arena_in(w->device);
    memset(host.base, 0, m.host - 64);
    w->backend->zero(w->context, device.base, size - 64);
    grpo__lay_out_host(&g->config, w, &host, &g->batch);
    grpo__lay_out_device(&g->config, w, &device, &m);
    grpo__place_models(g);
    g->num_parameters = w->shape.total;
    g->num_trained = w->shape.trained;
    grpo__initialize_angles(g);
    if (w->staged) grpo__list_stored_arrays(g);
    grpo__begin(g);
    return grpo__device_check(g);
}

grpo *grpo_new(grpo_config *config) {
    grpo_config c;
    grpo *g = NULL;
    struct grpo__machinery *w = NULL;
    int code;
    if (!config) return NULL;
    c = *config;
    code = grpo__prepare_config(&c);
    if (!code && c.team.size > 1 && !c.team.exchange)
        code = grpo__fail_config(&c, GRPO_BAD_INPUT, "team.exchange is NULL: %d processes need it",
                                 c.team.size);
    if (!code) g = (grpo *)grpo__allocate(&c, sizeof *g);
    if (g) w = (struct grpo__machinery *)grpo__allocate(&c, sizeof *w);
    if (w) {
        memset(g, 0, sizeof *g);
        memset(w, 0, sizeof *w);
        g->config = w->initial = c;
        g->machinery = w;
        code = grpo__start(g);
        w->entered = "grpo_new";
        code = grpo__agree(g, code);
        memcpy(c.error, g->config.error, sizeof c.error);
    } else if (!code) {
        code = grpo__fail_config(&c, GRPO_NO_MEMORY, "out of memory");
    }
    memcpy(config->error, c.error, sizeof c.error);
    if (!code) return g;
    if (w) grpo_free(g);
    else grpo__release(&c, g);
    return NULL;
}

void grpo_free(grpo *g) {
    struct grpo__machinery *w;
    grpo_config c;
    if (!g) return;
    w = g->machinery;
    c = g->config;
    if (w->device) w->backend->release(w->context, w->device);
    if (w->context) w->backend->close(w->context);
    grpo__release(&c, w->host);
    grpo__release(&c, w);
    grpo__release(&c, g);
}

/* ---------------------------------------------------------------------------------- >>units --
 * Arithmetic that compilers can vectorise. */
/* A loop written once, compiled for each vector unit, chosen at run time: name(...) runs
 * name_plain(...) as the compiler sees it for that unit. No instruction fuses or reorders anything,
 * so the bits are the same on all of them. */
#if defined(__GNUC__)
#define GRPO__INLINE static inline __attribute__((always_inline))
#else
#define GRPO__INLINE static
#endif
#ifdef GRPO__X86
#define GRPO__FOR_EACH_UNIT(name, parameters, arguments)                                        \
    __attribute__((target("avx512f,avx512dq")))                                                 \
    static void name##_avx512 parameters { name##_plain arguments; }                            \
    __attribute__((target("avx2")))                                                             \
    static void name##_avx2 parameters { name##_plain arguments; }                              \
    static void name##_sse2 parameters { name##_plain arguments; }                              \
    static void name parameters {                                                               \
        if (__builtin_cpu_supports("avx512dq")) name##_avx512 arguments;                        \
        else if (__builtin_cpu_supports("avx2")) name##_avx2 arguments;                         \
        else name##_sse2 arguments;                                                             \
    }
#else
#define GRPO__FOR_EACH_UNIT(name, parameters, arguments)                                        \
    static void name parameters { name##_plain arguments; }
#endif

/* e^x to 2 units in the last place, as e^x = 2^n e^r with |r| <= ln(2)/2 and a polynomial for e^r
 * (Taylor's, to r^7 / 7!). No branches, so loops over it can use vector instructions. From -88 down
 * it is exactly 0 (n is -127, its exponent bits 0), above 88 it stays at e^88; NaN stays NaN. */
GRPO__INLINE float grpo__exp(float x) {
#ifdef GRPO_NO_SIMD
    return x <= -88.0f ? 0.0f : expf(x > 88.0f ? 88.0f : x);
#else
    float t = x > -88.0f ? x : -88.0f, n, r, p;
    union { uint32_t bits; float value; } power;
    int exponent;
    t = t < 88.0f ? t : 88.0f;
    n = t * 1.44269504f + 12582912.0f;                        /* 1.5 * 2^23: rounds to a whole   */
    power.value = n;                                          /*     number, in the low bits     */
    exponent = (int)(power.bits & 0x7fffffu) - 0x400000;
    n -= 12582912.0f;
    r = (t - n * 0.693359375f) + n * 2.12194440e-4f;          /* ln 2 in two parts               */
    p = 1.0f / 5040;
    p = p * r + 1.0f / 720;  p = p * r + 1.0f / 120;  p = p * r + 1.0f / 24;
    p = p * r + 1.0f / 6;    p = p * r + 0.5f;        p = p * r + 1.0f;       p = p * r + 1.0f;
    power.bits = (uint32_t)(exponent + 127) << 23;
    return x == x ? p * power.value : x;
#endif
}

/* The square root to 1 unit in the last place, by Newton's method. (Compilers take sqrtf one by
 * one, in case a number is negative and errno must be set.) */
GRPO__INLINE float grpo__root(float x) {
#ifdef GRPO_NO_SIMD
    return sqrtf(x);
#else
    union { uint32_t bits; float value; } r;
    float y, half = 0.5f * x;
    r.value = x;
    r.bits = 0x5f375a86u - (r.bits >> 1);                     /* 1 / sqrt(x), to 4 %             */
    y = r.value;
    y *= 1.5f - half * y * y;
    y *= 1.5f - half * y * y;
    y *= 1.5f - half * y * y;
    x *= y;
    return x + (half - 0.5f * x * x) * y;
#endif
}

GRPO__INLINE void grpo__adamw_loop_plain(float *weights, const float *gradient, float *m, float *v,
                                         size_t n, float beta1, float beta2, float epsilon,
                                         float scale, float rate, float root, float keep) {
    size_t i;
    for (i = 0; i < n; i++) {
        float g = scale * gradient[i];
        m[i] = beta1 * m[i] + (1.0f - beta1) * g;
        v[i] = beta2 * v[i] + (1.0f - beta2) * g * g;
        weights[i] = keep * weights[i] - rate * m[i] / (grpo__root(v[i]) * root + epsilon);
    }
}
GRPO__FOR_EACH_UNIT(grpo__adamw_loop, (float *weights, const float *gradient, float *m, float *v,
                    size_t n, float beta1, float beta2, float epsilon, float scale, float rate,
                    float root, float keep), (weights, gradient, m, v, n, beta1, beta2, epsilon,
                    scale, rate, root, keep))

/* -------------------------------------------------------------------------------- >>softmax --
 * A row of logits at a time: its sums, its gradient, the draw, the filters. */
GRPO__INLINE float grpo__add_eight(const float *s) {
    return ((s[0] + s[4]) + (s[2] + s[6])) + ((s[1] + s[5]) + (s[3] + s[7]));
}

enum { GRPO__LANE = 16 };           /* sums over the vocabulary run in this many partial sums    */

/* Logits [v, v + 16); -inf where not allowed or past the end. */
GRPO__INLINE void grpo__load_lane(float *z, const grpo__softmax *s, int v) {
    const float least = (float)-HUGE_VAL;
    uint32_t bits = s->allowed ? s->allowed[v >> 5] >> (v & 31) : 0xffffu;
    int j, left = s->vocab - v;
    if (left < GRPO__LANE) {
        for (j = 0; j < GRPO__LANE; j++) z[j] = j < left && (bits >> j & 1u) ? s->z[v + j] : least;
        return;
    }
    for (j = 0; j < GRPO__LANE; j++) z[j] = s->z[v + j];
    if ((bits & 0xffffu) == 0xffffu) return;
    for (j = 0; j < GRPO__LANE; j++) z[j] = bits >> j & 1u ? z[j] : least;
}

/* e[j] = e^x of tokens [v, v + 16), 0 where not allowed or past the end; and x. */
GRPO__INLINE void grpo__exp_lane(float *e, float *x, const grpo__softmax *s, int v) {
    float top = s->top, inverse = s->inverse;
    int j;
    grpo__load_lane(x, s, v);
    for (j = 0; j < GRPO__LANE; j++) {
        x[j] = (x[j] - top) * inverse;
        e[j] = grpo__exp(x[j]);
    }
}

/* max_K z, ignoring NaN, which shows in the sums. */
GRPO__INLINE void grpo__find_top_plain(grpo__softmax *s) {
    float most[GRPO__LANE], z[GRPO__LANE];
    int v, j;
    for (j = 0; j < GRPO__LANE; j++) most[j] = -FLT_MAX;
    for (v = 0; v < s->vocab; v += GRPO__LANE) {
        grpo__load_lane(z, s, v);
        for (j = 0; j < GRPO__LANE; j++) most[j] = z[j] > most[j] ? z[j] : most[j];
    }
    for (s->top = most[0], j = 1; j < GRPO__LANE; j++) s->top = most[j] > s->top ? most[j] : s->top;
}

/* ... and both sums, in double: added to the largest's e^0 = 1, small e^x would be rounded off.
 * Where e^x is 0, so is e^x x. */
GRPO__INLINE void grpo__find_sums_plain(grpo__softmax *s) {
    double sums[GRPO__LANE], weighted[GRPO__LANE];
    float e[GRPO__LANE], x[GRPO__LANE];
    int v, j;
    grpo__find_top_plain(s);
    for (j = 0; j < GRPO__LANE; j++) sums[j] = weighted[j] = 0;
    for (v = 0; v < s->vocab; v += GRPO__LANE) {
        grpo__exp_lane(e, x, s, v);
        for (j = 0; j < GRPO__LANE; j++) sums[j] += (double)e[j];
        for (j = 0; j < GRPO__LANE; j++) weighted[j] += e[j] != 0.0f ? (double)(e[j] * x[j]) : 0.0;
    }
    s->partition = s->weighted = 0;
    for (j = 0; j < GRPO__LANE; j++) s->partition += sums[j];
    for (j = 0; j < GRPO__LANE; j++) s->weighted += weighted[j];
}
GRPO__FOR_EACH_UNIT(grpo__find_sums, (grpo__softmax *s), (s))

/* z_v = -(p_v / T) (total + dentropy (log p_v + H)): the gradient without the term of the targets,
 * total being the sum of their dlogprobs */
GRPO__INLINE void grpo__softmax_backward_plain(float *logits, const grpo__softmax *s, float total,
                                               float dentropy, float entropy) {
    float e[GRPO__LANE], x[GRPO__LANE], share = (float)(1.0 / s->partition), inverse = s->inverse;
    float log_partition = (float)log(s->partition);
    int v, j;
    for (v = 0; v < s->vocab; v += GRPO__LANE) {
        int n = grpo__min(GRPO__LANE, s->vocab - v);
        grpo__exp_lane(e, x, s, v);
        for (j = 0; j < GRPO__LANE; j++) {
            float weight = total;
            if (dentropy != 0) weight += dentropy * (x[j] - log_partition + entropy);
            e[j] = e[j] != 0.0f ? -inverse * (e[j] * share) * weight : 0.0f;
        }
        if (n == GRPO__LANE) memcpy(logits + v, e, sizeof e);
        else memcpy(logits + v, e, (size_t)n * sizeof *e);
    }
}
GRPO__FOR_EACH_UNIT(grpo__softmax_backward, (float *logits, const struct grpo__softmax *s,
                    float total, float dentropy, float entropy),
                    (logits, s, total, dentropy, entropy))

/* The first token at which the running sum of e^x exceeds uniform * S: 16 tokens at a time, then
 * one by one. */
GRPO__INLINE void grpo__walk_plain(const grpo__softmax *s, float uniform, int *token) {
    double left = (double)uniform * s->partition;
    float e[GRPO__LANE], x[GRPO__LANE];
    int v, j;
    *token = 0;
    for (v = 0; v < s->vocab; v += GRPO__LANE) {
        float sum;
        grpo__exp_lane(e, x, s, v);
        sum = grpo__add_eight(e) + grpo__add_eight(e + 8);
        if (!(sum > 0)) continue;
        for (j = GRPO__LANE - 1; !(e[j] > 0); j--) { }
        *token = v + j;             /* if rounding leaves a rest: the last allowed token         */
        if (left >= (double)sum) { left -= (double)sum; continue; }
        for (j = 0; j < GRPO__LANE; j++) {
            if (!(e[j] > 0)) continue;
            *token = v + j;
            left -= (double)e[j];
            if (left < 0) return;
        }
        left = 0;
    }
}
GRPO__FOR_EACH_UNIT(grpo__walk, (const grpo__softmax *s, float uniform, int *token),
                    (s, uniform, token))

static void grpo__drop(uint32_t *set, int token) { set[token >> 5] &= ~(1u << (token & 31)); }

/* ---- filters. Each allows the largest logits until their measure (a count, or a probability mass)
 * reaches a goal. The logit where that happens is found without sorting: spread the candidates
 * over 256 bins, walk down from the top bin to the one in which the goal is reached, and spread
 * that bin again, until only equal logits are left. */
typedef struct grpo__cut {
    const grpo__softmax *s;
    int by_mass;                    /* measure: e^x, or else 1                                   */
    float low, high;                /* the candidates' logits                                    */
    double above;                   /* measure of what is larger than high                       */
} grpo__cut;

static double grpo__measure(const grpo__cut *c, int v) {
    return c->by_mass ? (double)grpo__exp(grpo__scaled(c->s, v)) : 1.0;
}

/* The token's bin; -1: it is no candidate. */
static int grpo__bin(const grpo__cut *c, int v) {
    double z = (double)c->s->z[v], low = (double)c->low, high = (double)c->high;
    if (!grpo__is_allowed(c->s->allowed, v) || !(z >= low && z <= high)) return -1;
    return (int)(255.0 * ((z - low) / (high - low)));
}

static void grpo__narrow(grpo__cut *c, double goal) {
    double bins[256] = { 0 };
    float low = FLT_MAX, high = -FLT_MAX;
    int v, b;
    for (v = 0; v < c->s->vocab; v++)
        if ((b = grpo__bin(c, v)) >= 0) bins[b] += grpo__measure(c, v);
    for (b = 255; b > 0 && c->above + bins[b] < goal; b--) c->above += bins[b];
    for (v = 0; v < c->s->vocab; v++)
        if (grpo__bin(c, v) == b) {
            if (c->s->z[v] < low) low = c->s->z[v];
            if (c->s->z[v] > high) high = c->s->z[v];
        }
    c->low = low;
    c->high = high;
}

/* Reduces the set to its fewest tokens (never those of logit -inf, at least one, of equal logits
 * the first) that number `goal` or, by_mass, have that share of its mass. The whole is summed in
 * the order of its parts, and low is one of its logits, so the goal lies in a bin that is not
 * empty. */
static void grpo__allow_most(const grpo__softmax *s, uint32_t *allowed, int by_mass, double goal) {
    grpo__cut c = { s, by_mass, s->top, s->top, 0 };
    double whole = 0;
    int v;
    for (v = 0; v < s->vocab; v++)
        if (grpo__is_allowed(allowed, v) && s->z[v] >= -FLT_MAX) {
            whole += grpo__measure(&c, v);
            if (s->z[v] < c.low) c.low = s->z[v];
        }
    goal = grpo__clamp(by_mass ? goal * whole : goal, DBL_MIN, whole);
    while (c.low < c.high) grpo__narrow(&c, goal);
    for (v = 0; v < s->vocab; v++) {
        int allow = grpo__is_allowed(allowed, v)
                && (s->z[v] > c.low || (s->z[v] == c.low && c.above < goal));
        if (allow && s->z[v] == c.low) c.above += grpo__measure(&c, v);
        if (!allow) grpo__drop(allowed, v);
    }
}

/* Reduces the set to tokens with p >= min_p times the largest p. */
static void grpo__allow_likely(const grpo__softmax *s, uint32_t *allowed, float min_p) {
    int v;
    for (v = 0; v < s->vocab; v++)
        if (s->z[v] < s->top && !(grpo__exp(grpo__scaled(s, v)) >= min_p)) grpo__drop(allowed, v);
}

/* -------------------------------------------------------------------------------- >>threads --
 * A pool of threads, and how the CPU's operations are divided into its tasks.
 *
 * Every thread has a share of the tasks, always the same part of them, so that rows stay in the
 * cache of the core that wrote them; when its own is done it takes from the others'. A thread takes
 * a task by decrementing the count of tasks left in a share, and reads the job only after that,
 * when the job cannot end before its task does. So a worker that slept through a whole job does no
 * harm, and nobody waits for it. */
typedef void (*grpo__task)(void *job, int task, int thread);

enum { GRPO__MAX_THREADS = 64 };

#ifdef GRPO__THREADS
enum { GRPO__SPINS = 2000 };        /* some 50 microseconds before a waiting thread blocks       */

#ifdef _WIN32
typedef volatile LONG grpo__atomic;
typedef SRWLOCK grpo__lock;
typedef CONDITION_VARIABLE grpo__wake;
typedef HANDLE grpo__thread;
#define GRPO__READ(p)       ((int)InterlockedCompareExchange((p), 0, 0))
#define GRPO__WRITE(p, v)   ((void)InterlockedExchange((p), (v)))
#define GRPO__ADD(p, v)     ((int)InterlockedExchangeAdd((p), (v)))   /* returns the old value   */
#define GRPO__PAUSE()       YieldProcessor()
#define GRPO__YIELD()       SwitchToThread()
#define GRPO__BEGIN(p)      InitializeSRWLock(&(p)->lock), InitializeConditionVariable(&(p)->wake)
#define GRPO__END(p)        ((void)(p))
#define GRPO__LOCK(p)       AcquireSRWLockExclusive(&(p)->lock)
#define GRPO__UNLOCK(p)     ReleaseSRWLockExclusive(&(p)->lock)
#define GRPO__WAIT(p)       SleepConditionVariableSRW(&(p)->wake, &(p)->lock, INFINITE, 0)
#define GRPO__WAKE(p)       WakeAllConditionVariable(&(p)->wake)
#define GRPO__MAIN(name)    DWORD WINAPI name(LPVOID argument)
#define GRPO__START(w, main) (((w)->handle = CreateThread(NULL, 0, main, (w), 0, NULL)) != NULL)
#define GRPO__JOIN(w)       WaitForSingleObject((w)->handle, INFINITE), CloseHandle((w)->handle)
#else
typedef int grpo__atomic;
typedef pthread_mutex_t grpo__lock;
typedef pthread_cond_t grpo__wake;
typedef pthread_t grpo__thread;
#define GRPO__READ(p)       __atomic_load_n((p), __ATOMIC_SEQ_CST)
#define GRPO__WRITE(p, v)   __atomic_store_n((p), (v), __ATOMIC_SEQ_CST)
#define GRPO__ADD(p, v)     __atomic_fetch_add((p), (v), __ATOMIC_SEQ_CST)
#if defined(__x86_64__) || defined(__i386__)
#define GRPO__PAUSE()       __builtin_ia32_pause()            /* frees the core's other thread   */
#else
#define GRPO__PAUSE()       ((void)0)
#endif
#define GRPO__YIELD()       sched_yield()
#define GRPO__BEGIN(p)      pthread_mutex_init(&(p)->lock, 0), pthread_cond_init(&(p)->wake, 0)
#define GRPO__END(p)        pthread_cond_destroy(&(p)->wake), pthread_mutex_destroy(&(p)->lock)
#define GRPO__LOCK(p)       pthread_mutex_lock(&(p)->lock)
#define GRPO__UNLOCK(p)     pthread_mutex_unlock(&(p)->lock)
#define GRPO__WAIT(p)       pthread_cond_wait(&(p)->wake, &(p)->lock)
#define GRPO__WAKE(p)       pthread_cond_broadcast(&(p)->wake)
#define GRPO__MAIN(name)    void *name(void *argument)
#define GRPO__START(w, main) (pthread_create(&(w)->handle, NULL, main, (w)) == 0)
#define GRPO__JOIN(w)       pthread_join((w)->handle, NULL)
#endif

struct grpo__pool;
typedef struct grpo__worker {       /* padded: no two workers share a cache line                 */
    grpo__atomic left;              /* tasks of its share that are not taken yet                 */
    struct grpo__pool *pool;
    grpo__thread handle;
    char unused[128];
} grpo__worker;

typedef struct grpo__pool {
    int num_threads;                /* the caller's thread included                              */
    grpo__atomic generation;        /* number of the job; -1: the threads end                    */
    grpo__atomic pending, sleepers; /* tasks that are not done; threads that are blocked         */
    grpo__task run;
    void *job;
    int num_tasks;
    grpo__lock lock;
    grpo__wake wake;
    grpo__worker workers[GRPO__MAX_THREADS];
} grpo__pool;

/* The first task of a thread's share; for thread num_threads, the number of tasks. */
static int grpo__first_task(const grpo__pool *p, int thread) {
    return (int)((int64_t)p->num_tasks * thread / p->num_threads);
}

/* Work on a job until no task is left: first on the thread's own share, then on the others'. */
static void grpo__pool_do(grpo__pool *p, int thread) {
    int i, left, n = p->num_threads, done = 0;
    for (i = thread; i < thread + n; i++) {
        grpo__atomic *share = &p->workers[i % n].left;
        while (GRPO__READ(share) > 0 && (left = GRPO__ADD(share, -1)) > 0) {
            p->run(p->job, grpo__first_task(p, i % n + 1) - left, thread);
            done++;
        }
    }
    if (done) GRPO__ADD(&p->pending, -done);
}

static GRPO__MAIN(grpo__pool_work) {
    grpo__worker *w = (grpo__worker *)argument;
    grpo__pool *p = w->pool;
    int seen = 0, spins = 0, now;
    while ((now = GRPO__READ(&p->generation)) >= 0) {
        if (now != seen) {
            grpo__pool_do(p, (int)(w - p->workers));
            seen = now;
            spins = 0;
        } else if (++spins < GRPO__SPINS) {
            GRPO__PAUSE();
        } else {
            GRPO__LOCK(p);
            GRPO__ADD(&p->sleepers, 1);
            while (GRPO__READ(&p->generation) == seen) GRPO__WAIT(p);
            GRPO__ADD(&p->sleepers, -1);
            GRPO__UNLOCK(p);
        }
    }
    return 0;
}

static void grpo__pool_announce(grpo__pool *p, int generation) {
    GRPO__WRITE(&p->generation, generation);
    if (!GRPO__READ(&p->sleepers)) return;
    GRPO__LOCK(p);
    GRPO__WAKE(p);
    GRPO__UNLOCK(p);
}

/* How many threads a config asks for; 0 means one per core. */
static int grpo__num_threads(int asked) {
    if (asked == 0) {
#ifdef _WIN32
        SYSTEM_INFO info;
        GetSystemInfo(&info);
        asked = (int)info.dwNumberOfProcessors;
#else
        asked = (int)sysconf(_SC_NPROCESSORS_ONLN);
#endif
    }
    return grpo__min(grpo__max(asked, 1), GRPO__MAX_THREADS);
}

/* Fewer threads than asked for is no error: the results are the same. */
static void grpo__pool_start(grpo__pool *p, int num_threads) {
    memset(p, 0, sizeof *p);
    GRPO__BEGIN(p);
    for (p->num_threads = 1; p->num_threads < num_threads; p->num_threads++) {
        grpo__worker *w = &p->workers[p->num_threads];
        w->pool = p;
        if (!GRPO__START(w, grpo__pool_work)) break;
    }
}

static void grpo__pool_stop(grpo__pool *p) {
    int i;
    grpo__pool_announce(p, -1);
    for (i = 1; i < p->num_threads; i++) GRPO__JOIN(&p->workers[i]);
    GRPO__END(p);
}

static void grpo__pool_run(grpo__pool *p, int num_tasks, grpo__task run, void *job) {
    int spins = 0, i;
    p->run = run;
    p->job = job;
    p->num_tasks = num_tasks;
    GRPO__WRITE(&p->pending, num_tasks);
    for (i = 0; i < p->num_threads; i++)
        GRPO__WRITE(&p->workers[i].left, grpo__first_task(p, i + 1) - grpo__first_task(p, i));
    grpo__pool_announce(p, (GRPO__READ(&p->generation) + 1) & INT32_MAX);
    grpo__pool_do(p, 0);
    while (GRPO__READ(&p->pending))
        if (++spins < GRPO__SPINS) GRPO__PAUSE();
        else GRPO__YIELD();
}
#else
typedef struct grpo__pool { int num_threads; } grpo__pool;
static int grpo__num_threads(int asked) { (void)asked; return 1; }
static void grpo__pool_start(grpo__pool *p, int num_threads) { p->num_threads = num_threads; }
static void grpo__pool_stop(grpo__pool *p) { (void)p; }
static void grpo__pool_run(grpo__pool *p, int num_tasks, grpo__task run, void *job) {
    int i;
    (void)p;
    for (i = 0; i < num_tasks; i++) run(job, i, 0);
}
#endif

/* The CPU backend: its memory is the host's, its elements are floats. */
typedef void (*grpo__tile_function)(int k, const float *a, size_t a_row, size_t a_depth,
                                    const float *b, size_t b_depth, const float *from,
                                    int apart, float *c, size_t c_row);

typedef struct grpo__kernel {       /* a vector unit's functions that multiply one tile          */
    int columns;                    /* of a wide tile; a narrow one has half                     */
    int rows[5];                    /* heights of the tiles, from the largest down to 1          */
    grpo__tile_function tile[5][2]; /* narrow, wide                                              */
} grpo__kernel;

typedef struct grpo__cpu {
    grpo_config memory;             /* for its allocator                                         */
    grpo__kernel kernel;
    float *scratch;                 /* [threads][scratch_floats]                                 */
    float *panels;                  /* [BLOCK_DEPTH, SHARED_COLUMNS] B of the current product    */
    size_t scratch_floats;
    grpo__pool pool;
} grpo__cpu;

/* A task of an operation: its items [begin, end). Most operations are about rows. */
typedef struct grpo__part {
    grpo__cpu *cpu;
    const void *of;                 /* the operation's descriptor                                */
    int begin, end;
    float *scratch;                 /* of the thread                                             */
} grpo__part;

typedef struct grpo__job {
    grpo__part all;
    int block;                      /* items of a task                                           */
    void (*work)(const grpo__part *part);
} grpo__job;

static void grpo__do_part(void *job, int task, int thread) {
    const grpo__job *j = (const grpo__job *)job;
    grpo__part part = j->all;
    part.begin = task * j->block;
    part.end = grpo__min(j->all.end, part.begin + j->block);
    part.scratch += (size_t)thread * part.cpu->scratch_floats;
    j->work(&part);
}

enum { GRPO__SMALL_WORK = 100000 }; /* operations in the time that waking a thread takes         */

/* Items [0, n) in tasks of `block` of them, in any order, on any thread. cost: of all, in
 * arithmetic operations, roughly. */
static void grpo__share_out(void *context, const void *of, int n, int block, double cost,
                            void (*work)(const grpo__part *part)) {
    grpo__cpu *cpu = (grpo__cpu *)context;
    grpo__job job = { { cpu, of, 0, n, cpu->scratch }, block, work };
    int i, tasks = grpo__blocks(n, block);
    if (cpu->pool.num_threads > 1 && tasks > 1 && cost > (double)GRPO__SMALL_WORK)
        grpo__pool_run(&cpu->pool, tasks, grpo__do_part, &job);
    else
        for (i = 0; i < tasks; i++) grpo__do_part(&job, i, 0);
}

/* Rows in few, large tasks: neighbouring rows may share cache lines of K, and each task has an
 * overhead. */
static void grpo__each_row(void *context, const void *of, int n, double cost,
                           void (*work)(const grpo__part *part)) {
    int block = grpo__blocks(n, 8 * ((grpo__cpu *)context)->pool.num_threads);
    grpo__share_out(context, of, n, grpo__max(block, 8), cost, work);
}

/* Sums over rows, in order: tasks are blocks of columns. */
static void grpo__each_column(void *context, const void *of, int n, int width,
                              void (*work)(const grpo__part *part)) {
    grpo__share_out(context, of, width, 64, (double)n * width, work);
}

/* --------------------------------------------------------------------------------- >>matmul --
 * C[m, n] = init + A[m, k] B[k, n], any strides. The definition of y = x W and dx = dy W^T is
 *
 *     for i < m, j < n:   c = init[i][j];
 *         for each block of 256 p:   s = 0;   for p in it:   s = fma(A[i][p], B[p][j], s);   c += s
 *
 * The blocks are for accuracy: in one chain from init, here a residual, each of k products would be
 * rounded at the size of the whole sum. dW += dy^T x is one chain, c = fma(A[i][p], B[p][j], c):
 * its k are rows of a batch, which may be cut into micro-batches anywhere.
 *
 * The implementation computes tiles of C in registers, from A in place and from B copied to panels
 * [k][columns of a tile], which the inner loop reads contiguously. A tile adds its products in the
 * order of p, at most a block of them: so every element is rounded as in the definition, however
 * the work is split. (Without a fused instruction: s + A B with two roundings.)
 *
 * What it costs: a tile of 14 rows does 14 * 32 products for 14 + 32 numbers read, so that the
 * multipliers and not the caches are the limit. A block of depth 256 keeps A's 14 rows and one of
 * B's panels in 48 KB of L1; 512 columns of it stay in L2. */
enum { GRPO__WIDEST = 32,
       GRPO__BLOCK_ROWS = 168, GRPO__BLOCK_COLUMNS = 512, GRPO__BLOCK_DEPTH = 256,
       GRPO__SHARED_COLUMNS = 2048 };         /* of B, packed at a time for all threads           */

/* Tiles: c[i][j] = from[i][j] + sum_p a[i * a_row + p * a_depth] b[p * b_depth + j]; from is laid
 * out like c, NULL: zero. apart 1: the products are summed from zero, then from is added; 0: they
 * are added to from one by one. A tile is one or two vectors wide; vector v of its row i is in
 * register ci_v. mm is the unit's prefix. B is prefetched one panel of a block ahead. */
enum { GRPO__AHEAD = 32 * GRPO__BLOCK_DEPTH };
#define GRPO__BOTH(unit, rows) { grpo__tile_##unit##_##rows##_1, grpo__tile_##unit##_##rows##_2 }
#if defined(GRPO__X86) || defined(GRPO__NEON)
#define GRPO__TILE_ZERO(i, v, mm)  vector c##i##_##v = mm##_setzero_ps();
#define GRPO__TILE_LOAD(i, v, mm)  c##i##_##v = mm##_loadu_ps(from + i * c_row + v * lanes);
#define GRPO__TILE_SUM(i, v, mm)   c##i##_##v = mm##_add_ps(                                     \
                                       mm##_loadu_ps(from + i * c_row + v * lanes), c##i##_##v);
#define GRPO__TILE_B(i, v, mm)     vector b_##v = mm##_loadu_ps(b + v * lanes);
#define GRPO__TILE_FMA(i, v, mm)   c##i##_##v = mm##_fmadd_ps(                                   \
                                       mm##_set1_ps(a[i * a_row]), b_##v, c##i##_##v);
#define GRPO__TILE_STORE(i, v, mm) mm##_storeu_ps(c + i * c_row + v * lanes, c##i##_##v);
#define GRPO__ROW_1(X, i, mm) X(i, 0, mm)
#define GRPO__ROW_2(X, i, mm) X(i, 0, mm) X(i, 1, mm)
#define GRPO__ROWS_1(R, X, mm)  R(X, 0, mm)
#define GRPO__ROWS_2(R, X, mm)  R(X, 0, mm) R(X, 1, mm)
#define GRPO__ROWS_3(R, X, mm)  GRPO__ROWS_2(R, X, mm) R(X, 2, mm)
#define GRPO__ROWS_4(R, X, mm)  GRPO__ROWS_3(R, X, mm) R(X, 3, mm)
#define GRPO__ROWS_6(R, X, mm)  GRPO__ROWS_4(R, X, mm) R(X, 4, mm) R(X, 5, mm)
#define GRPO__ROWS_8(R, X, mm)  GRPO__ROWS_6(R, X, mm) R(X, 6, mm) R(X, 7, mm)
#define GRPO__ROWS_12(R, X, mm) GRPO__ROWS_8(R, X, mm) R(X, 8, mm) R(X, 9, mm) R(X, 10, mm)     \
                                R(X, 11, mm)
#define GRPO__ROWS_14(R, X, mm) GRPO__ROWS_12(R, X, mm) R(X, 12, mm) R(X, 13, mm)
#define GRPO__TILE(unit, target, type, mm, rows, wide)                                          \
    target                                                                                      \
    static void grpo__tile_##unit##_##rows##_##wide(int k, const float *a, size_t a_row,        \
            size_t a_depth, const float *b, size_t b_depth, const float *from, int apart,       \
            float *c, size_t c_row) {                                                           \
        typedef type vector;                                                                    \
        enum { lanes = sizeof(vector) / sizeof(float) };                                        \
        int p;                                                                                  \
        GRPO__ROWS_##rows(GRPO__ROW_##wide, GRPO__TILE_ZERO, mm)                                \
        if (from && !apart) { GRPO__ROWS_##rows(GRPO__ROW_##wide, GRPO__TILE_LOAD, mm) }        \
        for (p = 0; p < k; p++, a += a_depth, b += b_depth) {                                   \
            GRPO__ROW_##wide(GRPO__TILE_B, 0, mm)                                               \
            if (wide == 2) {                                                                    \
                __builtin_prefetch(b + GRPO__AHEAD, 0, 2);                                      \
                __builtin_prefetch(b + GRPO__AHEAD + lanes, 0, 2);                              \
            }                                                                                   \
            GRPO__ROWS_##rows(GRPO__ROW_##wide, GRPO__TILE_FMA, mm)                             \
        }                                                                                       \
        if (from && apart) { GRPO__ROWS_##rows(GRPO__ROW_##wide, GRPO__TILE_SUM, mm) }          \
        GRPO__ROWS_##rows(GRPO__ROW_##wide, GRPO__TILE_STORE, mm)                               \
    }
#define GRPO__TILES(unit, target, type, mm, rows)                                               \
    GRPO__TILE(unit, target, type, mm, rows, 1)                                                 \
    GRPO__TILE(unit, target, type, mm, rows, 2)
/* A unit's tiles, of a, b, c, d and e rows, and their table. */
#define GRPO__KERNEL(unit, target, type, mm, a, b, c, d, e)                                     \
    GRPO__TILES(unit, target, type, mm, a)                                                      \
    GRPO__TILES(unit, target, type, mm, b)                                                      \
    GRPO__TILES(unit, target, type, mm, c)                                                      \
    GRPO__TILES(unit, target, type, mm, d)                                                      \
    GRPO__TILES(unit, target, type, mm, e)                                                      \
    static const grpo__kernel grpo__kernel_##unit = {                                           \
        (int)(2 * sizeof(type) / sizeof(float)), { a, b, c, d, e },                             \
        { GRPO__BOTH(unit, a), GRPO__BOTH(unit, b), GRPO__BOTH(unit, c), GRPO__BOTH(unit, d),   \
          GRPO__BOTH(unit, e) } };
#endif
#ifdef GRPO__X86
#define GRPO__AVX512 __attribute__((target("avx512f")))
#define GRPO__AVX2 __attribute__((target("avx2,fma")))
GRPO__KERNEL(avx512, GRPO__AVX512, __m512, _mm512, 14, 8, 4, 2, 1)
GRPO__KERNEL(avx2, GRPO__AVX2, __m256, _mm256, 6, 4, 3, 2, 1)
#elif defined(GRPO__NEON)
#define grpo__neon_loadu_ps(p) vld1q_f32(p)
#define grpo__neon_storeu_ps(p, x) vst1q_f32(p, x)
#define grpo__neon_set1_ps(x) vdupq_n_f32(x)
#define grpo__neon_setzero_ps() vdupq_n_f32(0)
#define grpo__neon_add_ps(x, y) vaddq_f32(x, y)
#define grpo__neon_fmadd_ps(x, y, z) vfmaq_f32(z, x, y)
GRPO__KERNEL(neon, , float32x4_t, grpo__neon, 12, 8, 4, 2, 1)
#endif

#ifndef GRPO__NEON
#define GRPO__TILE_PLAIN(rows, wide)                                                            \
    static void grpo__tile_plain_##rows##_##wide(int k, const float *a, size_t a_row,           \
            size_t a_depth, const float *b, size_t b_depth, const float *from, int apart,       \
            float *c, size_t c_row) {                                                           \
        float s[rows][4 * wide];                                                                \
        int p;                                                                                  \
        size_t i, j;                                                                            \
        for (i = 0; i < rows; i++)                                                              \
            for (j = 0; j < 4 * wide; j++) s[i][j] = from && !apart ? from[i * c_row + j] : 0;  \
        for (p = 0; p < k; p++, a += a_depth, b += b_depth)                                     \
            for (i = 0; i < rows; i++)                                                          \
                for (j = 0; j < 4 * wide; j++) s[i][j] += a[i * a_row] * b[j];                  \
        for (i = 0; i < rows; i++)                                                              \
            for (j = 0; j < 4 * wide; j++)                                                      \
                c[i * c_row + j] = (from && apart ? from[i * c_row + j] : 0) + s[i][j];         \
    }
GRPO__TILE_PLAIN(4, 1)
GRPO__TILE_PLAIN(4, 2)
GRPO__TILE_PLAIN(1, 1)
GRPO__TILE_PLAIN(1, 2)
static const grpo__kernel grpo__kernel_plain = {
    8, { 4, 1, 0, 0, 0 }, { GRPO__BOTH(plain, 4), GRPO__BOTH(plain, 1) } };
#endif

/* The kernel of the best vector unit that this processor has, with tiles of at most `widest`
 * columns. */
static grpo__kernel grpo__choose_kernel(int widest) {
#ifdef GRPO__X86
    if (widest >= 32 && __builtin_cpu_supports("avx512f")) return grpo__kernel_avx512;
    if (widest >= 16 && __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
        return grpo__kernel_avx2;
#endif
    (void)widest;
#ifdef GRPO__NEON
    return grpo__kernel_neon;
#else
    return grpo__kernel_plain;
#endif
}

/* A matrix by its strides: element (i, j) is at[i * down + j * across]. */
typedef struct grpo__view { const float *at; size_t down, across; } grpo__view;

static grpo__view grpo__view_of(const void *x, int down, int across) {
    grpo__view v = { (const float *)x, (size_t)down, (size_t)across };
    return v;
}

static grpo__view grpo__part_of(grpo__view v, int i, int j) {
    v.at += (size_t)i * v.down + (size_t)j * v.across;
    return v;
}

/* panel[p][i] = x[i][p] for i < rows (zero from there to width), p < depth. */
static void grpo__pack(float *panel, grpo__view x, int rows, int width, int depth) {
    size_t i, p, n = (size_t)rows, w = (size_t)width, d = (size_t)depth;
    for (p = 0; p < d && n < w; p++) memset(panel + p * w + n, 0, (w - n) * sizeof *panel);
    if (x.down == 1) {
        for (p = 0; p < d; p++) memcpy(panel + p * w, x.at + p * x.across, n * sizeof *panel);
        return;
    }
    i = 0;
#ifdef GRPO__X86
    for (; x.across == 1 && i + 4 <= n; i += 4)               /* four by four, in registers      */
        for (p = 0; p + 4 <= d; p += 4) {
            const float *from = x.at + i * x.down + p;
            float *to = panel + p * w + i;
            __m128 a = _mm_loadu_ps(from), b = _mm_loadu_ps(from + x.down);
            __m128 c = _mm_loadu_ps(from + 2 * x.down), e = _mm_loadu_ps(from + 3 * x.down);
            _MM_TRANSPOSE4_PS(a, b, c, e);
            _mm_storeu_ps(to, a);
            _mm_storeu_ps(to + w, b);
            _mm_storeu_ps(to + 2 * w, c);
            _mm_storeu_ps(to + 3 * w, e);
        }
    for (p = d & ~(size_t)3; p < d; p++) {
        size_t j;
        for (j = 0; j < i; j++) panel[p * w + j] = x.at[j * x.down + p];
    }
#endif
    for (; i < n; i++)
        for (p = 0; p < d; p++) panel[p * w + i] = x.at[i * x.down + p * x.across];
}

/* c[rows][columns] = from + a b, columns at most those of a tile. from: laid out like c, NULL: 0;
 * apart as in a tile. b is read over the whole width; a tile that exceeds C is computed in a
 * copy. */
static void grpo__strip(const grpo__kernel *kernel, grpo__view a, const float *b, size_t b_depth,
                        int k, const float *from, int apart, float *c, size_t c_row, int rows,
                        int columns) {
    float copy[14 * 32];
    int which = 0, done, i, wide = columns > kernel->columns / 2;
    int width = wide ? kernel->columns : kernel->columns / 2;
    size_t size = (size_t)columns * sizeof *c;
    if (rows > kernel->rows[0] && rows <= 2 * kernel->rows[1]) which = 1;     /* 16 = 8 + 8       */
    for (; rows > 0; rows -= done) {
        grpo__tile_function tile;
        while (kernel->rows[which] > rows) which++;
        done = kernel->rows[which];
        tile = kernel->tile[which][wide];
        if (columns == width) {
            tile(k, a.at, a.down, a.across, b, b_depth, from, apart, c, c_row);
        } else {
            memset(copy, 0, sizeof copy);
            for (i = 0; from && i < done; i++)
                memcpy(copy + i * width, from + (size_t)i * c_row, size);
            tile(k, a.at, a.down, a.across, b, b_depth, copy, apart, copy, (size_t)width);
            for (i = 0; i < done; i++) memcpy(c + (size_t)i * c_row, copy + i * width, size);
        }
        a.at += (size_t)done * a.down;
        c += (size_t)done * c_row;
        if (from) from += (size_t)done * c_row;
    }
}

typedef struct grpo__gemm {
    grpo__cpu *cpu;
    int m, n, k;
    grpo__view a;                   /* A[i][p]                                                   */
    grpo__view b;                   /* where p is a multiple of a tile's width, B[p + q][j] is   */
                                    /*     at [p * n + j * down + q * across], q < that width    */
    const float *panels;            /* B in panels [n / columns][panel_depth][columns], of which */
    size_t panel_depth;             /*     the first begins at (p0, j0)                          */
    float *c;                       /* [m, n]                                                    */
    size_t c_row;                   /* elements from one row of c to the next                    */
    const float *bias;              /* [n], or NULL                                              */
    const float *init;              /* laid out like c; NULL: zero; c itself: accumulate         */
    int apart;                      /* 1: each block of depth is summed from zero (y, dx)        */
    int rows, columns;              /* of C for one task                                         */
    int j0, j1, p0, p1;             /* the current columns [j0, j1) and depth [p0, p1)           */
} grpo__gemm;

/* Rows [i0, i1) of A times the panels of columns [j0, j1), at depth [p0, p1). */
static void grpo__gemm_rows(const grpo__gemm *g, int i0, int i1, int j0, int j1, int p0, int p1,
                            float *scratch) {
    const grpo__kernel *kernel = &g->cpu->kernel;
    int width = kernel->columns, most = kernel->rows[0], rows, i, j;
    const float *from = p0 || g->bias ? g->c : g->init;
    const float *b = g->panels + (size_t)(j0 - g->j0) * g->panel_depth
                   + (size_t)(p0 - g->p0) * (size_t)width;
    for (i = i0; i < i1; i += rows) {
        grpo__view a = grpo__part_of(g->a, i, p0);
        rows = grpo__min(i1 - i, most);
        if (i1 - i > most && i1 - i <= 2 * kernel->rows[1]) rows = i1 - i;
        if (a.across != 1 && rows <= 8) {
            /* few rows with a stride along depth are copied: each step would use only a part of a
             * cache line, and strides of a power of two collide in the same cache sets */
            grpo__pack(scratch, a, rows, rows, p1 - p0);
            a = grpo__view_of(scratch, 1, rows);
        }
        for (j = j0; j < j1; j += width) {
            size_t at = (size_t)i * g->c_row + (size_t)j;
            grpo__strip(kernel, a, b + (size_t)(j - j0) * g->panel_depth, (size_t)width, p1 - p0,
                        from ? from + at : NULL, g->apart, g->c + at, g->c_row, rows,
                        grpo__min(j1 - j, width));
        }
    }
}

static void grpo__gemm_block(const grpo__part *part) {
    const grpo__gemm *g = (const grpo__gemm *)part->of;
    const grpo__kernel *kernel = &g->cpu->kernel;
    int blocks = grpo__blocks(g->j1 - g->j0, g->columns), i, p, j, step;
    int i0 = part->begin / blocks * g->rows, j0 = g->j0 + part->begin % blocks * g->columns;
    int i1 = grpo__min(g->m, i0 + g->rows), j1 = grpo__min(g->j1, j0 + g->columns);
    for (i = i0; i < i1 && g->p0 == 0 && g->bias; i++)        /* C = init + bias before products */
        for (j = j0; j < j1; j++) {
            size_t at = (size_t)i * g->c_row + (size_t)j;
            g->c[at] = (g->init ? g->init[at] : 0.0f) + g->bias[j];
        }
    /* few rows: the time is that of reading B, so it is read in the order of memory */
    step = i1 - i0 <= 2 * kernel->rows[0] ? kernel->columns : j1 - j0;
    for (j = j0; j < j1; j += step)
        for (p = g->p0; p < g->p1; p += GRPO__BLOCK_DEPTH)
            grpo__gemm_rows(g, i0, i1, j, grpo__min(j1, j + step), p,
                            grpo__min(g->p1, p + GRPO__BLOCK_DEPTH), part->scratch);
}

/* Packs columns [j, j + width) of B as a panel, square by square. */
static void grpo__gemm_pack(const grpo__part *part) {
    const grpo__gemm *g = (const grpo__gemm *)part->of;
    int width = g->cpu->kernel.columns, j = g->j0 + part->begin * width, depth = g->p1 - g->p0, p;
    float *to = g->cpu->panels + grpo__size(part->begin * width, depth);
    for (p = 0; p < depth; p += width) {
        grpo__view square = { g->b.at + grpo__size(g->p0 + p, g->n) + (size_t)j * g->b.down,
                              g->b.down, g->b.across };
        grpo__pack(to + grpo__size(p, width), square, grpo__min(width, g->j1 - j), width,
                   grpo__min(width, depth - p));
    }
}

/* The size of `pieces` equal pieces of total, rounded up to whole units, at most `most`. */
static int grpo__piece(int total, int pieces, int unit, int most) {
    int size = grpo__blocks(grpo__blocks(total, pieces), unit) * unit;
    return grpo__min(size, most);
}

static void grpo__gemm_columns(grpo__gemm *g) {
    int n = g->j1 - g->j0, tasks = 6 * g->cpu->pool.num_threads, row_blocks;
    g->rows = grpo__piece(g->m, tasks, 2 * g->cpu->kernel.rows[0], GRPO__BLOCK_ROWS);
    row_blocks = grpo__blocks(g->m, g->rows);
    g->columns = grpo__piece(n, grpo__blocks(tasks, row_blocks), 2 * g->cpu->kernel.columns,
                             GRPO__BLOCK_COLUMNS);
    grpo__share_out(g->cpu, g, row_blocks * grpo__blocks(n, g->columns), 1,
                    0.1 * g->m * n * (g->p1 - g->p0), grpo__gemm_block);
}

/* C = init + bias + A B. B is in panels already, or is packed into shared scratch, in blocks of
 * depth that fit. */
static void grpo__gemm_run(grpo__gemm *g) {
    int width = g->cpu->kernel.columns, packed = g->panels != NULL, columns, depth;
    for (g->j0 = 0; g->j0 < g->n; g->j0 = g->j1) {
        g->j1 = packed ? g->n : grpo__min(g->n, g->j0 + GRPO__SHARED_COLUMNS);
        columns = grpo__blocks(g->j1 - g->j0, width) * width;
        depth = packed ? g->k : GRPO__SHARED_COLUMNS / columns * GRPO__BLOCK_DEPTH;
        for (g->p0 = 0; g->p0 < g->k; g->p0 = g->p1) {
            g->p1 = grpo__min(g->k, g->p0 + depth);
            if (!packed) {
                g->panels = g->cpu->panels;
                grpo__share_out(g->cpu, g, columns / width, 1,
                                0.5 * (g->j1 - g->j0) * (g->p1 - g->p0), grpo__gemm_pack);
            }
            g->panel_depth = (size_t)(g->p1 - g->p0);
            grpo__gemm_columns(g);
        }
    }
}

static grpo__gemm grpo__new_gemm(void *context, int m, int n, int k, grpo__view a, void *c,
                                 int apart) {
    grpo__gemm g;
    memset(&g, 0, sizeof g);
    g.cpu = (grpo__cpu *)context;
    g.apart = apart;
    g.m = m; g.n = n; g.k = k; g.a = a; g.c = (float *)c; g.c_row = (size_t)n;
    return g;
}

/* The operand of a matrix is its panels, [out / columns][in][columns]. */
static size_t grpo__cpu_operand_size(int rows, int cols) {
    int width = grpo__choose_kernel(GRPO__WIDEST).columns;
    return grpo__multiply(grpo__size(grpo__blocks(rows, width), width),
                          grpo__multiply((size_t)cols, sizeof(float)));
}

static void grpo__prepare_panel(const grpo__part *part) {
    const grpo_matrix *w = (const grpo_matrix *)part->of;
    int width = part->cpu->kernel.columns, first = part->begin * width;
    grpo__pack((float *)w->operand + grpo__size(first, w->cols),
               grpo__view_of(w->weights + grpo__size(first, w->cols), w->cols, 1),
               grpo__min(width, w->rows - first), width, w->cols);
}

static void grpo__cpu_prepare(void *context, const grpo_matrix *w) {
    int width = ((grpo__cpu *)context)->kernel.columns;
    grpo__share_out(context, w, grpo__blocks(w->rows, width), 1, (double)w->rows * w->cols,
                    grpo__prepare_panel);
}

/* Where element `at` of a matrix is in its panels. */
static float *grpo__in_panels(void *context, const grpo_matrix *w, size_t at) {
    size_t width = (size_t)((grpo__cpu *)context)->kernel.columns, cols = (size_t)w->cols;
    size_t r = at / cols;
    return (float *)w->operand + (r / width * cols + at % cols) * width + r % width;
}

static void grpo__cpu_write_operand(void *context, const grpo_matrix *w, size_t at, const float *x,
                                    size_t n) {
    size_t i;
    for (i = 0; i < n; i++) *grpo__in_panels(context, w, at + i) = x[i];
}

static void grpo__cpu_read_operand(void *context, float *x, const grpo_matrix *w, size_t at,
                                   size_t n) {
    size_t i;
    for (i = 0; i < n; i++) x[i] = *grpo__in_panels(context, w, at + i);
}

/* y[n, out] = x[n, in] W^T + bias + residual */
static void grpo__cpu_matmul(void *context, const grpo_product *o) {
    grpo__view x = grpo__view_of(o->x, o->w->cols, 1);
    grpo__gemm g = grpo__new_gemm(context, o->n, o->w->rows, o->w->cols, x, o->y, 1);
    g.panels = (const float *)o->w->operand;
    g.c_row = (size_t)o->w->y_stride;
    g.bias = o->bias; g.init = (const float *)o->residual;
    grpo__gemm_run(&g);
}

/* dx[n, in] = dy[n, out] W */
static void grpo__cpu_matmul_dx(void *context, const grpo_product *o) {
    grpo__view dy = grpo__view_of(o->dy, o->w->y_stride, 1);
    grpo__gemm g = grpo__new_gemm(context, o->n, o->w->cols, o->w->rows, dy, o->dx, 1);
    g.b = grpo__view_of(o->w->operand, g.cpu->kernel.columns, 1);  /* panels of its transpose    */
    grpo__gemm_run(&g);
}

/* dtable[tokens ? tokens[r] : 0] += dx[r], rows in order: the gradient of a table, or of a bias. */
GRPO__INLINE void grpo__add_rows_plain(const grpo__part *p) {
    const grpo_embedding *o = (const grpo_embedding *)p->of;
    int r, j;
    for (r = 0; r < o->n; r++) {
        const float *dx = (const float *)o->dx + grpo__size(r, o->width);
        float *to = o->dtable + (o->tokens ? grpo__size(o->tokens[r], o->width) : 0);
        for (j = p->begin; j < p->end; j++) to[j] += dx[j];
    }
}
GRPO__FOR_EACH_UNIT(grpo__add_rows, (const grpo__part *p), (p))

/* dW[out, in] += dy^T x,  dbias[out] += sum of dy, rows in order */
static void grpo__cpu_matmul_dw(void *context, const grpo_product *o) {
    grpo__view dy = grpo__view_of(o->dy, 1, o->w->y_stride);
    grpo__gemm g = grpo__new_gemm(context, o->w->rows, o->w->cols, o->n, dy, o->dw, 0);
    const grpo_embedding bias = { NULL, o->n, o->w->rows, NULL, NULL, o->dy, o->dbias };
    g.b = grpo__view_of(o->x, 1, o->w->cols);
    g.init = o->dw;
    grpo__gemm_run(&g);
    if (o->dbias) grpo__each_column(context, &bias, o->n, o->w->rows, grpo__add_rows);
}

/* ----------------------------------------------------------------------------------- >>rows --
 * A layer's operations on single rows, each followed by its derivative; then the rows of logits,
 * and the optimizer. First the sums they share: the order of each depends on n alone. */

/* Sum of a[i] c[i] b[i] (c NULL: 1): eight partial sums, then their sum. */
GRPO__INLINE float grpo__dot(const float *a, const float *b, const float *c, int n) {
    float s[8] = { 0, 0, 0, 0, 0, 0, 0, 0 };
    int i, j;
    for (i = 0; i + 8 <= n; i += 8)
        for (j = 0; j < 8; j++) s[j] += c ? a[i + j] * c[i + j] * b[i + j] : a[i + j] * b[i + j];
    for (j = 0; i < n; i++, j++) s[j] += c ? a[i] * c[i] * b[i] : a[i] * b[i];
    return grpo__add_eight(s);
}

/* Eight partial sums of x^2 */
GRPO__INLINE void grpo__squares(double s[8], const float *x, size_t n) {
    size_t i, j;
    for (j = 0; j < 8; j++) s[j] = 0;
    for (i = 0; i + 8 <= n; i += 8)
        for (j = 0; j < 8; j++) s[j] += (double)x[i + j] * (double)x[i + j];
    for (j = 0; i < n; i++, j++) s[j] += (double)x[i] * (double)x[i];
}

/* ---- gather, y[r] = x[rows[r]]; the embedding: x[r] = table[tokens[r]] */
typedef struct grpo__copy { char *y; const char *x; const int *rows; size_t size; } grpo__copy;

static void grpo__copy_rows(const grpo__part *p) {
    const grpo__copy *o = (const grpo__copy *)p->of;
    int r;
    for (r = p->begin; r < p->end; r++)
        memcpy(o->y + (size_t)r * o->size, o->x + (size_t)o->rows[r] * o->size, o->size);
}

static void grpo__cpu_gather(void *context, void *y, const void *x, const int *rows, int n,
                             size_t size) {
    const grpo__copy o = { (char *)y, (const char *)x, rows, size };
    grpo__each_row(context, &o, n, 0.25 * n * (double)size, grpo__copy_rows);
}

static void grpo__cpu_embed(void *context, const grpo_embedding *o) {
    grpo__cpu_gather(context, o->x, o->table, o->tokens, o->n, grpo__size(o->width, sizeof(float)));
}

static void grpo__cpu_embed_backward(void *context, const grpo_embedding *o) {
    grpo__each_column(context, o, o->n, o->width, grpo__add_rows);
}

/* ---- RMSNorm (Zhang & Sennrich 2019): y = x * rstd * gain, rstd = 1 / sqrt(mean(x^2) + eps) */
GRPO__INLINE float grpo__rstd(const float *x, int n, float eps) {
    return 1.0f / sqrtf(grpo__dot(x, x, NULL, n) / (float)n + eps);
}

GRPO__INLINE void grpo__norm_rows_plain(const grpo__part *p) {
    const grpo_norm *o = (const grpo_norm *)p->of;
    const float *gain = o->gain;
    int r, i, n = o->width;
    for (r = p->begin; r < p->end; r++) {
        const float *x = (const float *)o->x + grpo__size(o->rows ? o->rows[r] : r, n);
        float *y = (float *)o->y + grpo__size(r, n), rstd = grpo__rstd(x, n, o->eps);
        for (i = 0; i < n; i++) y[i] = x[i] * rstd * gain[i];
        o->rstd[r] = rstd;
    }
}
GRPO__FOR_EACH_UNIT(grpo__norm_rows, (const grpo__part *p), (p))

static void grpo__cpu_rmsnorm(void *context, const grpo_norm *o) {
    grpo__each_row(context, o, o->n, (double)o->n * o->width, grpo__norm_rows);
}

/* With g = dy * gain:   dx += rstd * (g - x * rstd^2 * mean(g x)) */
GRPO__INLINE void grpo__norm_dx(float *dx, const float *dy, const float *x, const float *gain,
                                float rstd, int n) {
    float mean = grpo__dot(dy, x, gain, n) / (float)n * (rstd * rstd);
    int i;
    for (i = 0; i < n; i++) dx[i] += rstd * (dy[i] * gain[i] - x[i] * mean);
}

/* dgain += dy * x * rstd */
GRPO__INLINE void grpo__norm_dgain(float *dgain, const float *dy, const float *x, float rstd,
                                   int n) {
    int i;
    for (i = 0; i < n; i++) dgain[i] += dy[i] * x[i] * rstd;
}

GRPO__INLINE void grpo__norm_rows_backward_plain(const grpo__part *p) {
    const grpo_norm *o = (const grpo_norm *)p->of;
    int r, n = o->width;
    for (r = p->begin; r < p->end; r++) {
        size_t at = grpo__size(o->rows ? o->rows[r] : r, n);
        grpo__norm_dx((float *)o->dx + at, (const float *)o->dy + grpo__size(r, n),
                      (const float *)o->x + at, o->gain, o->rstd[r], n);
    }
}
GRPO__FOR_EACH_UNIT(grpo__norm_rows_backward, (const grpo__part *p), (p))

GRPO__INLINE void grpo__norm_columns_plain(const grpo__part *p) {
    const grpo_norm *o = (const grpo_norm *)p->of;
    int r, n = o->width, first = p->begin;
    for (r = 0; r < o->n; r++)
        grpo__norm_dgain(o->dgain + first, (const float *)o->dy + grpo__size(r, n) + first,
                         (const float *)o->x + grpo__size(o->rows ? o->rows[r] : r, n) + first,
                         o->rstd[r], p->end - first);
}
GRPO__FOR_EACH_UNIT(grpo__norm_columns, (const grpo__part *p), (p))

static void grpo__cpu_rmsnorm_backward(void *context, const grpo_norm *o) {
    grpo__each_row(context, o, o->n, 2.0 * o->n * o->width, grpo__norm_rows_backward);
    if (o->dgain) grpo__each_column(context, o, o->n, o->width, grpo__norm_columns);
}

/* ---- SwiGLU (Shazeer 2020): y = silu(gate) * up, silu(x) = x sigmoid(x) */
GRPO__INLINE void grpo__swiglu_rows_plain(const grpo__part *p) {
    const grpo_swiglu *o = (const grpo_swiglu *)p->of;
    int r, i, n = o->width;
    for (r = p->begin; r < p->end; r++) {
        const float *gate = (const float *)o->gate_up + 2 * grpo__size(r, n), *up = gate + n;
        float *y = (float *)o->y + grpo__size(r, n);
        for (i = 0; i < n; i++) y[i] = gate[i] / (1.0f + grpo__exp(-gate[i])) * up[i];
    }
}
GRPO__FOR_EACH_UNIT(grpo__swiglu_rows, (const grpo__part *p), (p))

static void grpo__cpu_swiglu(void *context, const grpo_swiglu *o) {
    grpo__each_row(context, o, o->n, 8.0 * o->n * o->width, grpo__swiglu_rows);
}

/* silu'(x) = s (1 + x (1 - s)), s = sigmoid(x) */
GRPO__INLINE void grpo__swiglu_rows_backward_plain(const grpo__part *p) {
    const grpo_swiglu *o = (const grpo_swiglu *)p->of;
    int r, i, n = o->width;
    for (r = p->begin; r < p->end; r++) {
        size_t at = grpo__size(r, n);
        const float *gate = (const float *)o->gate_up + 2 * at, *up = gate + n;
        const float *dy = (const float *)o->dy + at;
        float *dgate = (float *)o->dgate_up + 2 * at, *dup = dgate + n;
        for (i = 0; i < n; i++) {
            float s = 1.0f / (1.0f + grpo__exp(-gate[i]));
            dup[i] = dy[i] * gate[i] * s;
            dgate[i] = dy[i] * up[i] * s * (1.0f + gate[i] * (1.0f - s));
        }
    }
}
GRPO__FOR_EACH_UNIT(grpo__swiglu_rows_backward, (const grpo__part *p), (p))

static void grpo__cpu_swiglu_backward(void *context, const grpo_swiglu *o) {
    grpo__each_row(context, o, o->n, 12.0 * o->n * o->width, grpo__swiglu_rows_backward);
}

/* ---- the head: rows of logits, by >>sampling's functions */
static uint32_t *grpo__allowed_of(const grpo_head *o, int r) {
    size_t words = (size_t)grpo__blocks(o->w->rows, 32);
    return o->targets.allowed ? o->targets.allowed + (size_t)o->targets.allowed_rows[r] * words
                              : NULL;
}

static void grpo__each_logits_row(void *context, const grpo_head *o,
                                  void (*work)(const grpo__part *part)) {
    int n = o->targets.num_rows, tasks = 8 * ((grpo__cpu *)context)->pool.num_threads;
    if (n) grpo__share_out(context, o, n, grpo__blocks(n, tasks), 20.0 * n * o->w->rows, work);
}

static void grpo__logprob_rows(const grpo__part *p) {
    const grpo_head *o = (const grpo_head *)p->of;
    const grpo_targets *t = &o->targets;
    int r, i, vocab = o->w->rows;
    for (r = p->begin; r < p->end; r++) {
        float *z = (float *)o->logits + grpo__size(r, o->w->y_stride);
        uint32_t *allowed = grpo__allowed_of(o, r);
        grpo__softmax s;
        if (o->drawn && allowed) grpo_filter(o->sampling, z, vocab, allowed);
        s = grpo__softmax_of(z, vocab, t->temperature, allowed);
        o->entropies[r] = grpo__entropy(&s);
        for (i = t->offsets[r]; i < t->offsets[r + 1]; i++) {
            if (o->drawn) grpo__walk(&s, o->uniforms[i], &o->drawn[i]);
            o->logprobs[i] = grpo__logprob(&s, o->drawn ? o->drawn[i] : t->tokens[i]);
        }
    }
}

static void grpo__cpu_sample(void *context, const grpo_head *o) {
    grpo_product p;
    memset(&p, 0, sizeof p);
    p.w = o->w; p.x = o->hidden; p.y = o->logits; p.n = o->targets.num_rows;
    grpo__cpu_matmul(context, &p);
    grpo__each_logits_row(context, o, grpo__logprob_rows);
}

static void grpo__cpu_logprobs(void *context, const grpo_head *o) {
    grpo_head given = *o;
    given.drawn = NULL;
    grpo__cpu_sample(context, &given);
}

static void grpo__logprob_rows_backward(const grpo__part *p) {
    const grpo_head *o = (const grpo_head *)p->of;
    const grpo_targets *t = &o->targets;
    int r, v, vocab = o->w->rows;
    for (r = p->begin; r < p->end; r++) {
        float *z = (float *)o->logits + grpo__size(r, o->w->y_stride);
        const float *more = o->more ? (const float *)o->more + grpo__size(r, o->w->y_stride) : NULL;
        int first = t->offsets[r];
        grpo_logprob_backward(z, vocab, t->temperature, grpo__allowed_of(o, r),
                              t->offsets[r + 1] - first, t->tokens + first, o->dlogprobs + first,
                              o->dentropies ? o->dentropies[r] : 0.0f);
        for (v = 0; v < vocab && more; v++) z[v] += more[v];
    }
}

static void grpo__cpu_logprobs_backward(void *context, const grpo_head *o) {
    grpo__each_logits_row(context, o, grpo__logprob_rows_backward);
}

static void grpo__kl_rows(const grpo__part *p) {
    const grpo_head *o = (const grpo_head *)p->of;
    int r, v, vocab = o->w->rows;
    for (r = p->begin; r < p->end; r++) {
        size_t at = grpo__size(r, o->w->y_stride);
        float *ref = (float *)o->ref_logits + at;
        float kl = grpo_full_kl((const float *)o->logits + at, ref, vocab, o->targets.temperature,
                                grpo__allowed_of(o, r), o->dkl ? ref : NULL);
        if (!o->dkl) o->kl[r] = kl;
        for (v = 0; v < vocab && o->dkl; v++) ref[v] *= o->dkl[r];
    }
}

static void grpo__cpu_kl_backward(void *context, const grpo_head *o) {
    grpo__each_logits_row(context, o, grpo__kl_rows);
}

static void grpo__cpu_kl(void *context, const grpo_head *o) {
    grpo_head forward = *o;
    forward.dkl = NULL;
    grpo__each_logits_row(context, &forward, grpo__kl_rows);
}

/* ---- the optimizer, in blocks of fixed size: the same sums for any number of threads */
enum { GRPO__FLAT_BLOCK = 16384 };

typedef struct grpo__flat {
    float *y;
    const float *x;
    float a, b;
    double *sums;
    size_t n;
} grpo__flat;

static int grpo__flat_blocks(size_t n) {
    return (int)(n / GRPO__FLAT_BLOCK + (n % GRPO__FLAT_BLOCK != 0));
}

/* A block's first element; *count: how many of n elements it has. */
static size_t grpo__flat_block(const grpo__part *p, size_t n, size_t *count) {
    size_t at = (size_t)p->begin * GRPO__FLAT_BLOCK;
    *count = n - at < GRPO__FLAT_BLOCK ? n - at : (size_t)GRPO__FLAT_BLOCK;
    return at;
}

static void grpo__adamw_block(const grpo__part *p) {
    const grpo_optimizer *o = (const grpo_optimizer *)p->of;
    size_t n, at = grpo__flat_block(p, o->n, &n);
    grpo_adamw(o->weights + at, o->gradient + at, o->m + at, o->v + at, n, o->learning_rate,
               o->beta1, o->beta2, o->epsilon, o->weight_decay, o->scale, o->step);
}

static void grpo__cpu_adamw(void *context, const grpo_optimizer *o) {
    grpo__share_out(context, o, grpo__flat_blocks(o->n), 1, 10.0 * (double)o->n, grpo__adamw_block);
}

GRPO__INLINE void grpo__mix_block_plain(const grpo__part *p) {
    const grpo__flat *o = (const grpo__flat *)p->of;
    size_t i, n, at = grpo__flat_block(p, o->n, &n);
    float *y = o->y + at, a = o->a, b = o->b;
    const float *x = o->x + at;
    for (i = 0; i < n; i++) y[i] = a == 0 ? b * x[i] : a * y[i] + b * x[i];
}
GRPO__FOR_EACH_UNIT(grpo__mix_block, (const grpo__part *p), (p))

static void grpo__cpu_mix(void *context, float *y, const float *x, float a, float b, size_t n) {
    const grpo__flat o = { y, x, a, b, NULL, n };
    grpo__share_out(context, &o, grpo__flat_blocks(n), 1, (double)n, grpo__mix_block);
}

GRPO__INLINE void grpo__squares_block_plain(const grpo__part *p) {
    const grpo__flat *o = (const grpo__flat *)p->of;
    size_t n, at = grpo__flat_block(p, o->n, &n);
    double s[8];
    grpo__squares(s, o->x + at, n);
    o->sums[p->begin] = ((s[0] + s[4]) + (s[2] + s[6])) + ((s[1] + s[5]) + (s[3] + s[7]));
}
GRPO__FOR_EACH_UNIT(grpo__squares_block, (const grpo__part *p), (p))

static double grpo__cpu_sum_of_squares(void *context, const float *x, size_t n) {
    enum { CHUNK = 256 };           /* block sums held at a time                                 */
    double sums[CHUNK], sum = 0;
    size_t at, most = (size_t)CHUNK * GRPO__FLAT_BLOCK;
    int i, blocks;
    for (at = 0; at < n; at += most) {
        const grpo__flat o = { NULL, x + at, 0, 0, sums, n - at < most ? n - at : most };
        blocks = grpo__flat_blocks(o.n);
        grpo__share_out(context, &o, blocks, 1, (double)o.n, grpo__squares_block);
        for (i = 0; i < blocks; i++) sum += sums[i];
    }
    return sum;
}

/* ------------------------------------------------------------------------------ >>attention --
 * Rotary positions, attention, and both backwards.
 *
 * K is stored as [kv_heads][slots / 32][head_dim][32], panels of the columns of q k^T, and V as
 * [kv_heads][slots][head_dim]: what one head reads of a sequence is contiguous. */
enum { GRPO__PANEL = 32 };

/* ---- rotary positions (Su et al. 2021, in Hugging Face's half-split order): the pair (x[i],
 * x[i + d/2]) is rotated by the angle position * theta^(-2i / d). angles: d/2 cosines, d/2 sines.
 * Norm and rotation are computed in double and rounded once: large scores amplify any further
 * rounding of q and k. */
GRPO__INLINE void grpo__rotate_pairs(float *y, const float *x, int normed, double rstd,
                                     const float *gain, const float *angles, int d) {
    int i, half = d / 2;
    for (i = 0; i < half; i++) {
        double a = (double)x[i], b = (double)x[half + i];
        double c = (double)angles[i], s = (double)angles[half + i];
        if (normed) { a *= rstd * (double)gain[i]; b *= rstd * (double)gain[half + i]; }
        y[i] = (float)(a * c - b * s);
        y[half + i] = (float)(b * c + a * s);
    }
}

/* One head of q or k: y = rotate(norm(x)). gain NULL: no norm. */
GRPO__INLINE void grpo__rotate_head(float *y, const float *x, const float *gain,
                                    const float *angles, float eps, int d) {
    double s[8];
    int j;
    if (!gain) { grpo__rotate_pairs(y, x, 0, 1, gain, angles, d); return; }
    grpo__squares(s, x, (size_t)d);
    for (j = 1; j < 8; j++) s[0] += s[j];
    grpo__rotate_pairs(y, x, 1, 1 / sqrt(s[0] / d + (double)eps), gain, angles, d);
}

GRPO__INLINE void grpo__rotate_rows_plain(const grpo__part *p) {
    const grpo_attention *o = (const grpo_attention *)p->of;
    int d = o->heads.head_dim, heads = o->heads.num_heads, kv_heads = o->heads.num_kv_heads;
    size_t kv = grpo__size(kv_heads, d), next = grpo__size(o->rows->num_slots, d);
    int r, h, i;
    for (r = p->begin; r < p->end; r++) {
        size_t slot = (size_t)o->rows->slots[r], in = slot % GRPO__PANEL;
        const float *angles = o->angles + grpo__size(o->rows->positions[r], d);
        const float *x = (const float *)o->qkv + grpo__size(r, (heads + 2 * kv_heads) * d);
        float *q = (float *)o->q + grpo__size(r, heads * d);
        float *k = (float *)o->k + (slot - in) * (size_t)d + in;
        float *v = (float *)o->v + slot * (size_t)d;
        for (h = 0; h < heads; h++, x += d, q += d)
            grpo__rotate_head(q, x, o->q_gain, angles, o->eps, d);
        for (h = 0; h < kv_heads; h++, x += d, k += next, v += next) {
            grpo__rotate_head(v, x, o->k_gain, angles, o->eps, d);          /* staged in v       */
            for (i = 0; i < d; i++) k[i * GRPO__PANEL] = v[i];
            memcpy(v, x + kv, (size_t)d * sizeof *x);
        }
    }
}
GRPO__FOR_EACH_UNIT(grpo__rotate_rows, (const grpo__part *p), (p))

/* Backward of some heads: dy is rotated back in place (the transpose, and so the derivative), which
 * makes it the gradient of the norm's output; then dx. */
GRPO__INLINE void grpo__rotate_back(float *dx, float *dy, const float *x, int heads,
                                    const float *gain, const float *angles, float eps, int d) {
    int i, half = d / 2;
    for (; heads > 0; heads--, x += d, dx += d, dy += d) {
        for (i = 0; i < half; i++) {
            float a = dy[i], b = dy[half + i];
            dy[i] = a * angles[i] + b * angles[half + i];
            dy[half + i] = b * angles[i] - a * angles[half + i];
        }
        if (!gain) { memcpy(dx, dy, (size_t)d * sizeof *dx); continue; }
        memset(dx, 0, (size_t)d * sizeof *dx);
        grpo__norm_dx(dx, dy, x, gain, grpo__rstd(x, d, eps), d);
    }
}

GRPO__INLINE void grpo__rotate_rows_backward_plain(const grpo__part *p) {
    const grpo_attention *o = (const grpo_attention *)p->of;
    int d = o->heads.head_dim, heads = o->heads.num_heads, kv_heads = o->heads.num_kv_heads, r;
    size_t q = grpo__size(heads, d), kv = grpo__size(kv_heads, d);
    for (r = p->begin; r < p->end; r++) {
        size_t slot = (size_t)o->rows->slots[r] * kv, at = (size_t)r * (q + 2 * kv);
        const float *angles = o->angles + grpo__size(o->rows->positions[r], d);
        const float *x = (const float *)o->qkv + at;
        float *dx = (float *)o->dqkv + at;
        grpo__rotate_back(dx, (float *)o->dq + (size_t)r * q, x, heads, o->q_gain, angles, o->eps,
                          d);
        grpo__rotate_back(dx + q, (float *)o->dk + slot, x + q, kv_heads, o->k_gain, angles,
                          o->eps, d);
        memcpy(dx + q + kv, (const float *)o->dv + slot, kv * sizeof *dx);
    }
}
GRPO__FOR_EACH_UNIT(grpo__rotate_rows_backward, (const grpo__part *p), (p))

/* Gradient of the gain of q (item 0) or k (1), over rows and heads in order, after the rows'. */
GRPO__INLINE void grpo__rotate_gain_plain(const grpo__part *p) {
    const grpo_attention *o = (const grpo_attention *)p->of;
    int d = o->heads.head_dim, q = o->heads.num_heads, kv = o->heads.num_kv_heads, of_k = p->begin;
    int r, h;
    for (r = 0; r < o->rows->num_rows; r++) {
        const float *x = (const float *)o->qkv + grpo__size(r, (q + 2 * kv) * d);
        const float *dy = of_k ? (const float *)o->dk + grpo__size(o->rows->slots[r], kv * d)
                               : (const float *)o->dq + grpo__size(r, q * d);
        if (of_k) x += grpo__size(q, d);
        for (h = 0; h < (of_k ? kv : q); h++, x += d, dy += d)
            grpo__norm_dgain(of_k ? o->dk_gain : o->dq_gain, dy, x, grpo__rstd(x, d, o->eps), d);
    }
}
GRPO__FOR_EACH_UNIT(grpo__rotate_gain, (const grpo__part *p), (p))

/* Elements of q */
static double grpo__q_size(const grpo_attention *o) {
    return (double)o->rows->num_rows * o->heads.num_heads * o->heads.head_dim;
}

static void grpo__cpu_rotate(void *context, const grpo_attention *o) {
    grpo__each_row(context, o, o->rows->num_rows, 4 * grpo__q_size(o), grpo__rotate_rows);
}

static void grpo__cpu_rotate_backward(void *context, const grpo_attention *o) {
    grpo__each_row(context, o, o->rows->num_rows, 4 * grpo__q_size(o), grpo__rotate_rows_backward);
    if (o->dq_gain) grpo__share_out(context, o, 2, 1, 4 * grpo__q_size(o), grpo__rotate_gain);
}

/* ---- attention. Query row r of head h attends keys j = 0, 1, ...: the prefix, then its own:
 *     s_j = q k_j / sqrt(d),  p_j = exp(s_j - lse),  y = sum_j p_j v_j,  lse = log sum_j e^s_j
 *
 * Rows that share a prefix are taken in blocks, so that all products are of matrices, in the tiles
 * of >>matmul. Scores of a block are in scratch S[row][column]: first the prefix, then the own keys
 * of each row's segment, each range aligned as its slots are in the panels of K. Every sum over
 * keys runs in the order of the keys, so a row's result does not depend on the other rows. */
typedef struct grpo__keys {         /* consecutive slots, and their first column of S            */
    int slot, count, column;
} grpo__keys;

typedef struct grpo__block {        /* rows of a pass that share a prefix, and one query head    */
    const grpo_attention *o;
    const grpo__kernel *kernel;
    const grpo_segment *segments;   /* the block begins at row `skip` of the first of them       */
    int skip, rows, d;
    size_t at, row;                 /* offset of its head in [rows, heads, d], stride of rows    */
    size_t kv_at, kv_row;           /* the same in dk and dv, [slots, kv_heads, d]               */
    const float *k, *v;             /* its head's K and V                                        */
    grpo__keys prefix;
    int own, stride;                /* S: first column of own keys; stride of rows               */
    float *S;
} grpo__block;

enum { GRPO__QUERY_BLOCK = 28 };    /* rows: two tiles                                           */

/* Columns of S for this many keys, which may begin anywhere in a panel; loops run to a multiple of
 * 16. */
static int grpo__columns_for(int keys) {
    return grpo__blocks(keys, GRPO__PANEL) * GRPO__PANEL + 2 * GRPO__PANEL;
}

/* The part of a block that belongs to one segment. */
typedef struct grpo__run {
    const grpo_segment *s;
    int first, rows, keys;
    grpo__keys own;
} grpo__run;

/* Moves to the next run (s is NULL at first); 0 after the last. Row `first + i` attends own keys
 * [0, keys + i]. */
static int grpo__next_run(const grpo__block *b, grpo__run *run) {
    int from = run->s ? 0 : b->skip;
    run->first = run->s ? run->first + run->rows : 0;
    run->s = run->s ? run->s + 1 : b->segments;
    if (run->first >= b->rows) { run->s = NULL; return 0; }
    run->rows = grpo__min(run->s->num_rows - from, b->rows - run->first);
    run->keys = run->s->start + from;
    run->own.slot = run->s->own;
    run->own.count = run->keys + run->rows;
    run->own.column = b->own + run->s->own % GRPO__PANEL;
    return 1;
}

static grpo__block grpo__block_of(const grpo__part *p, const grpo_segment *segments, int skip,
                                  int rows, int head) {
    const grpo_attention *o = (const grpo_attention *)p->of;
    const grpo_heads *heads = &o->heads;
    size_t d = (size_t)heads->head_dim, row = (size_t)(segments->row + skip);
    size_t kv_head = (size_t)(head / (heads->num_heads / heads->num_kv_heads));
    grpo__block b;
    grpo__run run;
    b.o = o; b.kernel = &p->cpu->kernel; b.S = p->scratch;
    b.segments = segments; b.skip = skip; b.rows = rows; b.d = (int)d;
    b.row = (size_t)heads->num_heads * d;
    b.at = row * b.row + (size_t)head * d;
    b.kv_row = (size_t)heads->num_kv_heads * d;
    b.kv_at = kv_head * d;
    b.k = (const float *)o->k + kv_head * (size_t)o->rows->num_slots * d;
    b.v = (const float *)o->v + kv_head * (size_t)o->rows->num_slots * d;
    b.prefix.slot = segments->prefix;
    b.prefix.count = segments->prefix_length;
    b.prefix.column = segments->prefix % GRPO__PANEL;
    b.own = b.prefix.count ? grpo__columns_for(b.prefix.count) : 0;
    /* an odd number of cache lines, so that the rows of a tile are in different sets of L1 */
    for (b.stride = 0, run.s = NULL; grpo__next_run(&b, &run); )
        b.stride = grpo__max(b.stride, (b.own + grpo__columns_for(run.own.count)) | 16);
    return b;
}

/* S[i][column + j] = a[i] . column j of panels, for the given keys. panels: [.. / 32][d][32],
 * beginning with the one that holds the first key. */
static void grpo__scores(const grpo__block *b, grpo__view a, int rows, const float *panels,
                         grpo__keys keys, float *S) {
    int wide = b->kernel->columns, narrow = wide / 2, lead = keys.slot % GRPO__PANEL, c, width;
    for (c = lead - lead % narrow; c < lead + keys.count; c += width) {
        width = c % wide || lead + keys.count - c <= narrow ? narrow : wide;
        grpo__strip(b->kernel, a, panels + grpo__size(c - c % GRPO__PANEL, b->d) + c % GRPO__PANEL,
                    GRPO__PANEL, b->d, NULL, 0, S + keys.column - lead + c, (size_t)b->stride,
                    rows, width);
    }
}

/* c[rows][d] = from + a x, x [k][d]. For any d: columns of x beyond it are not read */
static void grpo__row_product(const grpo__block *b, grpo__view a, int rows, const float *x,
                              size_t x_row, int k, const float *from, float *c, size_t c_row) {
    float copy[32 * 32];
    int j, p, n, columns, width = b->kernel->columns, narrow = width / 2;
    for (j = 0; j < b->d; j += width) {
        columns = grpo__min(b->d - j, width);
        if (columns % narrow == 0) {
            grpo__strip(b->kernel, a, x + j, x_row, k, from ? from + j : NULL, 0, c + j, c_row,
                        rows, columns);
            continue;
        }
        for (p = 0; p < k; p += n) {                          /* less than a tile: zero-padded   */
            n = grpo__min(k - p, 32);
            grpo__pack(copy, grpo__part_of(grpo__view_of(x + j, 1, (int)x_row), 0, p), columns,
                       width, n);
            grpo__strip(b->kernel, grpo__part_of(a, 0, p), copy, (size_t)width, n,
                        p ? c + j : from ? from + j : NULL, 0, c + j, c_row, rows, columns);
        }
    }
}

/* The panel of K that holds a slot. */
static const float *grpo__key_panel(const grpo__block *b, int slot) {
    return b->k + grpo__size(slot - slot % GRPO__PANEL, b->d);
}

/* Rows of x, [rows, heads, d], from row i of the block on. */
static grpo__view grpo__block_rows(const grpo__block *b, const void *x, int i) {
    return grpo__view_of((const float *)x + b->at + (size_t)i * b->row, (int)b->row, 1);
}

/* S = q k^T over all keys of the block's rows (and a few more, which are masked later) */
static void grpo__query_scores(const grpo__block *b) {
    grpo__run run;
    if (b->prefix.count)
        grpo__scores(b, grpo__block_rows(b, b->o->q, 0), b->rows,
                     grpo__key_panel(b, b->prefix.slot), b->prefix, b->S);
    for (run.s = NULL; grpo__next_run(b, &run); )
        grpo__scores(b, grpo__block_rows(b, b->o->q, run.first), run.rows,
                     grpo__key_panel(b, run.own.slot), run.own,
                     b->S + grpo__size(run.first, b->stride));
}

/* x[0, n) = e^(scale x - shift), added to 16 partial sums; x[n, end) = 0. */
GRPO__INLINE void grpo__exp_keys(float *x, int n, int end, float scale, float shift, float *sums) {
    int i, j;
    for (i = 0; i < n; i += 16) {
        if (n - i < 16) for (j = n - i; j < 16; j++) x[i + j] = 0;
        for (j = 0; j < 16; j++) x[i + j] = grpo__exp(scale * x[i + j] - shift);
        if (n - i < 16) for (j = n - i; j < 16; j++) x[i + j] = 0;
        for (j = 0; j < 16; j++) sums[j] += x[i + j];
    }
    for (; i < end; i++) x[i] = 0;
}

GRPO__INLINE void grpo__most_of_keys(const float *x, int n, float *most) {
    int i, j;
    for (i = 0; i + 16 <= n; i += 16)
        for (j = 0; j < 16; j++) most[j] = x[i + j] > most[j] ? x[i + j] : most[j];
    for (j = 0; i < n; i++, j++) most[j] = x[i] > most[j] ? x[i] : most[j];
}

/* Row i of a block within one segment: scores -> e^(score - the largest) in place; their sum, and
 * lse = log sum e^score. */
GRPO__INLINE void grpo__softmax_keys_plain(const grpo__block *b, const grpo__run *run, int i,
                                           float scale, float *sum) {
    float most[16], sums[16], top, *row = b->S + grpo__size(i, b->stride);
    float *prefix = row + b->prefix.column, *own = row + run->own.column;
    int j, count = run->keys + i - run->first + 1;
    for (j = 0; j < 16; j++) { most[j] = -FLT_MAX; sums[j] = 0; }
    grpo__most_of_keys(prefix, b->prefix.count, most);
    grpo__most_of_keys(own, count, most);
    for (top = most[0], j = 1; j < 16; j++) top = most[j] > top ? most[j] : top;
    top *= scale;
    grpo__exp_keys(prefix, b->prefix.count, 0, scale, top, sums);
    grpo__exp_keys(own, count, run->own.count, scale, top, sums);
    *sum = grpo__add_eight(sums) + grpo__add_eight(sums + 8);
    b->o->lse[(b->at + (size_t)i * b->row) / (size_t)b->d] = top + logf(*sum);
}
GRPO__FOR_EACH_UNIT(grpo__softmax_keys, (const grpo__block *b, const grpo__run *run, int i,
                    float scale, float *sum), (b, run, i, scale, sum))

/* y[rows] = p v over the prefix, then += p v over own keys; p is S from the given row on */
static void grpo__add_values(const grpo__block *b, int row, int rows, grpo__keys keys) {
    const float *p = b->S + grpo__size(row, b->stride) + keys.column;
    float *y = (float *)b->o->y + b->at + (size_t)row * b->row;
    grpo__row_product(b, grpo__view_of(p, b->stride, 1), rows, b->v + grpo__size(keys.slot, b->d),
                      (size_t)b->d, keys.count,
                      b->prefix.count && keys.slot != b->prefix.slot ? y : NULL, y, b->row);
}

GRPO__INLINE void grpo__scale_plain(float *y, float s, int n) {
    int i;
    for (i = 0; i < n; i++) y[i] *= s;
}
GRPO__FOR_EACH_UNIT(grpo__scale, (float *y, float s, int n), (y, s, n))

/* One group, one query head: y = p v, for the prompt's rows, then for all completions' rows
 * stacked. */
static void grpo__attention_task(const grpo__part *p) {
    const grpo_attention *o = (const grpo_attention *)p->of;
    const int *group = o->rows->groups + p->begin / o->heads.num_heads;
    const grpo_segment *s = o->rows->segments + group[0], *e;
    const grpo_segment *end = o->rows->segments + group[1];
    float scale = 1.0f / sqrtf((float)o->heads.head_dim), sums[GRPO__QUERY_BLOCK];
    int skip = 0, rows, i;
    while (s < end) {
        grpo__block b;
        grpo__run run;
        for (rows = s->num_rows - skip, e = s + 1; rows < GRPO__QUERY_BLOCK && e < end
             && e->prefix_length && e->prefix_length == s->prefix_length; e++) rows += e->num_rows;
        rows = grpo__min(rows, GRPO__QUERY_BLOCK);
        b = grpo__block_of(p, s, skip, rows, p->begin % o->heads.num_heads);
        grpo__query_scores(&b);
        for (run.s = NULL; grpo__next_run(&b, &run); )
            for (i = run.first; i < run.first + run.rows; i++)
                grpo__softmax_keys(&b, &run, i, scale, &sums[i]);
        if (b.prefix.count) grpo__add_values(&b, 0, rows, b.prefix);
        for (run.s = NULL; grpo__next_run(&b, &run); )
            grpo__add_values(&b, run.first, run.rows, run.own);
        for (i = 0; i < rows; i++)
            grpo__scale((float *)o->y + b.at + (size_t)i * b.row, 1.0f / sums[i], b.d);
        for (skip += rows; s < end && skip >= s->num_rows; s++) skip -= s->num_rows;
    }
}

static void grpo__cpu_attention(void *context, const grpo_attention *o) {
    grpo__share_out(context, o, o->rows->num_groups * o->heads.num_heads, 1, 64 * grpo__q_size(o),
                    grpo__attention_task);
}

/* ---- backward. For the rows of a block, with D = dy . y:
 *     dp_j = dy . v_j,   ds_j = p_j (dp_j - D),   dq = scale sum_j ds_j k_j,
 *     dk_j += scale ds_j q,   dv_j += p_j dy
 * which needs K by rows, [keys][d], and V by columns, [keys / 32][d][32]: each transposed. */
typedef struct grpo__transposed { float *k, *v; } grpo__transposed;

static void grpo__transpose_keys(const grpo__block *b, int slot, int count, grpo__transposed to) {
    size_t d = (size_t)b->d;
    int j, n;
    for (j = 0; j < count; j += n) {
        int in = (slot + j) % GRPO__PANEL, c = slot % GRPO__PANEL + j;
        n = grpo__min(count - j, GRPO__PANEL - in);
        grpo__pack(to.k + (size_t)j * d,
                   grpo__view_of(grpo__key_panel(b, slot + j) + in, GRPO__PANEL, 1), b->d, b->d, n);
        grpo__pack(to.v + (size_t)(c / GRPO__PANEL) * d * GRPO__PANEL + in,
                   grpo__view_of(b->v + (size_t)(slot + j) * d, b->d, 1), n, GRPO__PANEL, b->d);
    }
}

/* In place for n keys, scores -> p and dp -> scale ds; 0 in [n, end). */
GRPO__INLINE void grpo__keys_softmax_backward(float *p, float *dp, int n, int end, float scale,
                                              float lse, float D) {
    float unused[16] = { 0 };
    int i, j;
    grpo__exp_keys(p, n, end, scale, lse, unused);
    for (i = 0; i < n; i += 16)
        for (j = 0; j < 16; j++) dp[i + j] = scale * p[i + j] * (dp[i + j] - D);
    for (i = n; i < end; i++) dp[i] = 0;
}

/* Row i of a block within one segment, D = dy . y */
GRPO__INLINE void grpo__softmax_keys_backward_plain(const grpo__block *b, const grpo__run *run,
                                                    float *dS, int i) {
    const grpo_attention *o = b->o;
    size_t at = b->at + (size_t)i * b->row, row = grpo__size(i, b->stride);
    float D = grpo__dot((const float *)o->dy + at, (const float *)o->y + at, NULL, b->d);
    float lse = o->lse[at / (size_t)b->d], scale = 1.0f / sqrtf((float)b->d);
    float *p = b->S + row, *dp = dS + row;
    grpo__keys_softmax_backward(p + b->prefix.column, dp + b->prefix.column, b->prefix.count,
                                b->prefix.count, scale, lse, D);
    grpo__keys_softmax_backward(p + run->own.column, dp + run->own.column, run->keys + i + 1,
                                run->own.count, scale, lse, D);
}
GRPO__FOR_EACH_UNIT(grpo__softmax_keys_backward, (const grpo__block *b, const grpo__run *run,
                    float *dS, int i), (b, run, dS, i))

/* dq, dk, dv of all the block's rows from p and ds of the given keys. */
static void grpo__keys_backward(const grpo__block *b, const float *dS, grpo__keys keys,
                                const float *transposed_k) {
    const grpo_attention *o = b->o;
    const float *p = b->S + keys.column, *ds = dS + keys.column;
    const float *q = (const float *)o->q + b->at, *dy = (const float *)o->dy + b->at;
    size_t slot = b->kv_at + (size_t)keys.slot * b->kv_row;
    float *dq = (float *)o->dq + b->at, *dk = (float *)o->dk + slot, *dv = (float *)o->dv + slot;
    grpo__row_product(b, grpo__view_of(ds, b->stride, 1), b->rows, transposed_k, (size_t)b->d,
                      keys.count, b->prefix.count && keys.slot != b->prefix.slot ? dq : NULL, dq,
                      b->row);
    grpo__row_product(b, grpo__view_of(ds, 1, b->stride), keys.count, q, b->row, b->rows, dk, dk,
                      b->kv_row);
    grpo__row_product(b, grpo__view_of(p, 1, b->stride), keys.count, dy, b->row, b->rows, dv, dv,
                      b->kv_row);
}

/* A block within one segment. */
static void grpo__attend_backward(const grpo__block *b, float *dS, grpo__transposed prefix,
                                  grpo__transposed own) {
    grpo__run run;
    grpo__view dy = grpo__block_rows(b, b->o->dy, 0);
    int i;
    grpo__query_scores(b);
    run.s = NULL;
    grpo__next_run(b, &run);
    if (b->prefix.count) grpo__scores(b, dy, b->rows, prefix.v, b->prefix, dS);
    grpo__scores(b, dy, b->rows, own.v, run.own, dS);
    for (i = 0; i < b->rows; i++) grpo__softmax_keys_backward(b, &run, dS, i);
    if (b->prefix.count) grpo__keys_backward(b, dS, b->prefix, prefix.k);
    grpo__keys_backward(b, dS, run.own, own.k);
}

/* A thread's scratch: S and dS, then K and V transposed, of a prefix and of own keys. */
typedef struct grpo__scratch { size_t prefix, own, scores, all; } grpo__scratch; /* keys; floats */

static grpo__scratch grpo__scratch_of(const grpo_config *c) {
    grpo__scratch s;
    s.prefix = (size_t)grpo__columns_for(c->max_prompt_length);
    s.own = (size_t)grpo__columns_for(grpo__max(c->max_prompt_length, c->max_completion_length));
    s.scores = GRPO__QUERY_BLOCK * (s.prefix + s.own + 16);
    s.all = 2 * (s.scores + (s.prefix + s.own) * (size_t)c->model.head_dim);
    return s;
}

/* One group (its segments share a prefix, and so accumulate into one dk, dv), one head of K, V. */
static void grpo__attention_task_backward(const grpo__part *p) {
    const grpo_attention *o = (const grpo_attention *)p->of;
    grpo__scratch scratch = grpo__scratch_of(&p->cpu->memory);
    int kv_heads = o->heads.num_kv_heads, shared = o->heads.num_heads / kv_heads;
    int first = p->begin % kv_heads * shared, d = o->heads.head_dim, has_prefix = 0, i, h;
    const int *group = o->rows->groups + p->begin / kv_heads;
    const grpo_segment *s = o->rows->segments + group[0];
    const grpo_segment *end = o->rows->segments + group[1];
    float *dS = p->scratch + scratch.scores;
    grpo__transposed prefix, own;
    prefix.k = dS + scratch.scores;
    prefix.v = prefix.k + scratch.prefix * (size_t)d;
    own.k = prefix.v + scratch.prefix * (size_t)d;
    own.v = own.k + scratch.own * (size_t)d;
    for (; s < end; s++) {
        grpo__block b = grpo__block_of(p, s, 0, s->num_rows, first);
        for (i = 0; i < s->num_rows; i++) {
            size_t slot = b.kv_at + (size_t)(s->own + s->start + i) * b.kv_row;
            memset((float *)o->dk + slot, 0, (size_t)d * sizeof(float));
            memset((float *)o->dv + slot, 0, (size_t)d * sizeof(float));
        }
        if (b.prefix.count && !has_prefix)
            grpo__transpose_keys(&b, b.prefix.slot, b.prefix.count, prefix);
        has_prefix = b.prefix.count > 0;
        grpo__transpose_keys(&b, s->own, s->start + s->num_rows, own);
        for (i = 0; i < s->num_rows; i += GRPO__QUERY_BLOCK)
            for (h = first; h < first + shared; h++) {
                b = grpo__block_of(p, s, i, grpo__min(GRPO__QUERY_BLOCK, s->num_rows - i), h);
                grpo__attend_backward(&b, dS, prefix, own);
            }
    }
}

static void grpo__cpu_attention_backward(void *context, const grpo_attention *o) {
    grpo__share_out(context, o, o->rows->num_groups * o->heads.num_kv_heads, 1,
                    64 * grpo__q_size(o), grpo__attention_task_backward);
}

/* ---- the CPU's life, memory and table */
static size_t grpo__cpu_context_size(const grpo_config *c) {
    size_t each = grpo__multiply((size_t)grpo__num_threads(c->threads), grpo__scratch_of(c).all);
    size_t shared = (size_t)GRPO__BLOCK_DEPTH * GRPO__SHARED_COLUMNS + 32;    /* 16: to align it */
    return grpo__add(sizeof(grpo__cpu), grpo__multiply(grpo__add(each, shared), sizeof(float)));
}

static void *grpo__cpu_open(const grpo_config *config, char *error) {
    grpo__cpu *cpu = (grpo__cpu *)grpo__allocate(config, grpo__cpu_context_size(config));
    int threads = grpo__num_threads(config->threads);
    if (!cpu) {
        snprintf(error, GRPO_ERROR_LENGTH, "out of memory for the CPU's scratch space");
        return NULL;
    }
    memset(cpu, 0, sizeof *cpu);
    cpu->memory = *config;
    cpu->kernel = grpo__choose_kernel(GRPO__WIDEST);
    cpu->scratch_floats = grpo__scratch_of(config).all;
    cpu->scratch = (float *)(void *)(cpu + 1);
    cpu->scratch += (64 - ((uintptr_t)cpu->scratch & 63)) % 64 / sizeof(float);
    cpu->panels = cpu->scratch + (size_t)threads * cpu->scratch_floats;
    grpo__pool_start(&cpu->pool, threads);
    return cpu;
}

static void grpo__cpu_close(void *context) {
    grpo__cpu *cpu = (grpo__cpu *)context;
    grpo_config memory = cpu->memory;
    grpo__pool_stop(&cpu->pool);
    grpo__release(&memory, cpu);
}

static const char *grpo__cpu_error(void *context) { (void)context; return NULL; }
static void *grpo__cpu_allocate(void *context, size_t size) {
    return grpo__allocate(&((grpo__cpu *)context)->memory, size);
}
static void grpo__cpu_release(void *context, void *memory) {
    grpo__release(&((grpo__cpu *)context)->memory, memory);
}
static void grpo__cpu_copy(void *context, void *to, const void *from, size_t size) {
    (void)context;
    if (size) memcpy(to, from, size);
}
static void grpo__cpu_zero(void *context, void *memory, size_t size) {
    (void)context;
    if (size) memset(memory, 0, size);
}
static void grpo__cpu_to_floats(void *context, float *to, const void *from, size_t n) {
    grpo__cpu_copy(context, to, from, n * sizeof *to);
}
static void grpo__cpu_from_floats(void *context, void *to, const float *from, size_t n) {
    grpo__cpu_copy(context, to, from, n * sizeof *from);
}

const grpo_backend *grpo_cpu(void) {
    static const grpo_backend table = {
        "cpu", sizeof(float), 2048, 1 << 23, 1,
        grpo__cpu_context_size, grpo__cpu_open, grpo__cpu_close, grpo__cpu_error,
        grpo__cpu_allocate, grpo__cpu_release, grpo__cpu_copy, grpo__cpu_copy, grpo__cpu_zero,
        grpo__cpu_operand_size, grpo__cpu_prepare, grpo__cpu_write_operand,
        grpo__cpu_read_operand,
        grpo__cpu_gather, grpo__cpu_to_floats, grpo__cpu_from_floats,
        grpo__cpu_embed, grpo__cpu_embed_backward,
        grpo__cpu_rmsnorm, grpo__cpu_rmsnorm_backward,
        grpo__cpu_matmul, grpo__cpu_matmul_dx, grpo__cpu_matmul_dw,
        grpo__cpu_rotate, grpo__cpu_rotate_backward,
        grpo__cpu_attention, grpo__cpu_attention_backward,
        grpo__cpu_swiglu, grpo__cpu_swiglu_backward,
        grpo__cpu_logprobs, grpo__cpu_sample, grpo__cpu_logprobs_backward,
        grpo__cpu_kl, grpo__cpu_kl_backward, NULL, NULL,      /* the host runs each tick         */
        grpo__cpu_adamw, grpo__cpu_sum_of_squares, grpo__cpu_mix
    };
    return &table;
}

/* ---------------------------------------------------------------------------------- >>files --
 * Metrics, JSON, config.json, safetensors, checkpoints. A file is written whole or not at all: to
 * NAME.tmp, synced to disk, then renamed to NAME. It is read and checked to its last byte before
 * the first weight changes, and then read again: a model may fill the memory, so there is no second
 * copy of it. A failure sets f->code, after which all functions here do nothing. */

/* Files beyond ISO C: make a folder, sync to disk, rename over a file. 0 on success. */

#ifndef _WIN32
#define grpo__fopen fopen
#define grpo__remove remove
#endif
#if defined(__unix__) || defined(__APPLE__)
#if defined(__STRICT_ANSI__) && !defined(__cplusplus)
#ifndef fsync                       /* hidden by -std=c99 */
int fsync(int descriptor);
#endif
#ifndef fileno
int fileno(FILE *file);
#endif
#endif
static int grpo__is_other(const char *path) {                 /* a pipe, a device, a folder      */
    struct stat found;
    return !stat(path, &found) && !S_ISREG(found.st_mode);
}
static void grpo__make_folder(const char *path) { mkdir(path, 0777); }
static int grpo__sync(FILE *file) { return fsync(fileno(file)); }
static int grpo__replace(const char *from, const char *to) { return rename(from, to); }
static int grpo__sync_folder(const char *path) {              /* so that renames survive too     */
    FILE *folder = fopen(path, "rb");
    int bad = !folder || (grpo__sync(folder) && errno != EINVAL);     /* EINVAL: not supported   */
    if (folder) fclose(folder);
    return bad;
}
#else
static int grpo__is_other(const char *path) { (void)path; return 0; }
static int grpo__sync_folder(const char *path) { (void)path; return 0; }
#ifdef _WIN32
/* Paths are UTF-8; Windows takes UTF-16. An invalid path becomes "". */
static const wchar_t *grpo__wide(const char *path, wchar_t *wide) {
    if (!MultiByteToWideChar(CP_UTF8, MB_ERR_INVALID_CHARS, path, -1, wide, GRPO__PATH)) *wide = 0;
    return wide;
}
static FILE *grpo__fopen(const char *path, const char *mode) {
    wchar_t wide[GRPO__PATH], how[] = { (wchar_t)mode[0], 'b', 0 };
    return _wfopen(grpo__wide(path, wide), how);
}
static int grpo__remove(const char *path) {
    wchar_t wide[GRPO__PATH];
    return _wremove(grpo__wide(path, wide));
}
static void grpo__make_folder(const char *path) {
    wchar_t wide[GRPO__PATH];
    _wmkdir(grpo__wide(path, wide));
}
static int grpo__sync(FILE *file) { return _commit(_fileno(file)); }
static int grpo__replace(const char *from, const char *to) {
    wchar_t wide[2][GRPO__PATH];
    if (MoveFileExW(grpo__wide(from, wide[0]), grpo__wide(to, wide[1]),
                    MOVEFILE_REPLACE_EXISTING | MOVEFILE_WRITE_THROUGH)) return 0;
    errno = EACCES;                 /* for the message: Windows has error codes of its own       */
    return -1;
}
#else
static void grpo__make_folder(const char *path) { (void)path; }
static int grpo__sync(FILE *file) { (void)file; return 0; }
static int grpo__replace(const char *from, const char *to) { remove(to); return rename(from, to); }
#endif
#endif

enum { GRPO__NAME = 160 };

/* ---- text out: like snprintf, length also counts bytes that do not fit */
typedef struct grpo__text { char *bytes; size_t capacity, length; } grpo__text;

GRPO__PRINTF(2, 3)
static void grpo__append(grpo__text *t, const char *format, ...) {
    size_t room = t->length < t->capacity ? t->capacity - t->length : 0;
    va_list arguments;
    int n;
    va_start(arguments, format);
    n = vsnprintf(room ? t->bytes + t->length : NULL, room, format, arguments);
    va_end(arguments);
    if (n > 0) t->length += (size_t)n;
}

/* A number, with a decimal point in any locale; null if not finite. is_float 1: the fewest digits
 * that read back as the same float, and 1.0 instead of 1, which Python would read as an int. */
static void grpo__append_number(grpo__text *t, double x, int digits, int is_float) {
    char number[48];
    size_t from, to = 0;
    int n = is_float ? 6 : digits;
    do snprintf(number, sizeof number, "%.*g", n, x);
    while (n++ < digits && (float)strtod(number, NULL) != (float)x);
    for (from = 0; number[from]; from++)
        if (strchr("0123456789+-e", number[from])) number[to++] = number[from];
        else if (to == 0 || number[to - 1] != '.') number[to++] = '.';
    number[to] = 0;
    grpo__append(t, "%s%s", grpo__finite(x) ? number : "null",
                 is_float && !strpbrk(number, ".e") ? ".0" : "");
}

static void grpo__append_escaped(grpo__text *t, const char *s, int most) {
    int bytes;
    for (; most > 0 && *s; most -= bytes, s += bytes) {
        bytes = grpo__utf8_length(s);
        if (bytes == 0 || bytes > most) { grpo__append(t, "?"); bytes = 1; }
        else if (*s == '"' || *s == '\\') grpo__append(t, "\\%c", *s);
        else if ((unsigned char)*s < 0x20) grpo__append(t, "\\u%04x", (unsigned)*s);
        else grpo__append(t, "%.*s", bytes, s);
    }
}

/* ---- metrics: one object a line */
int grpo_metrics_json(const grpo_metrics *m, char *text, size_t capacity) {
    const grpo__metric *k = grpo__metrics;
    grpo__text t = { text, capacity, 0 };
    int i;
    if (!m || (!text && capacity)) return GRPO_BAD_INPUT;
    grpo__append(&t, "{\"step\":%d,\"num_tokens\":", m->step);
    grpo__append_number(&t, m->num_tokens, 17, 0);            /* a count: all its digits         */
    for (; k < grpo__metrics + GRPO__METRICS; k++) {
        const void *at = (const char *)m + k->at;
        grpo__append(&t, ",\"%s\":", k->name);
        grpo__append_number(&t, k->how == GRPO__WHOLE ? *(const int *)at : *(const double *)at, 9,
                            0);
    }
    for (i = 0; i / 2 < grpo__min(m->num_rewards, GRPO_MAX_REWARDS); i++) {
        grpo__append(&t, ",\"rewards/");
        grpo__append_escaped(&t, m->reward_names[i / 2], GRPO_NAME_LENGTH);
        grpo__append(&t, i % 2 ? "/std\":" : "/mean\":");
        grpo__append_number(&t, i % 2 ? m->reward_stds[i / 2] : m->reward_means[i / 2], 9, 0);
    }
    grpo__append(&t, "}");
    return (int)t.length;
}

static int grpo__append_metrics(grpo *g, const grpo_metrics *m) {
    char line[6144];                /* the longest, all names escaped, is under 6000             */
    size_t n = (size_t)grpo_metrics_json(m, line, sizeof line - 1);
    FILE *file;
    int done, why;
    line[n++] = '\n';
    errno = 0;
    file = grpo__fopen(g->config.metrics_path, "ab");
    done = file && fwrite(line, 1, n, file) == n;
    why = errno;
    if (file && fclose(file) && done) { done = 0; why = errno; }
    if (done) return GRPO_OK;
    return grpo__fail(g, GRPO_IO, "metrics_path %.90s cannot be appended to (%s): the step is done "
                      "but not logged", g->config.metrics_path, strerror(why));
}

/* ---- one file of a folder after another, for reading or for writing */
enum { GRPO__READ, GRPO__TRY, GRPO__WRITE };                  /* TRY: there may be none          */

typedef struct grpo__file {
    grpo_config *c;
    const char *folder;
    FILE *file;
    int code;                       /* of the first failure                                      */
    int mode;                       /* GRPO__READ ...                                            */
    int number;                     /* of the file, from 1                                       */
    int kind;                       /* GRPO__MODEL ...                                           */
    float *staging;                 /* GRPO__CHUNK floats, their bytes, an adapter's A^T and B   */
    int indexed;                    /* 1: an index names the file of each tensor                 */
    int placing;                    /* 1: weights are read to memory, 0: only checked            */
    size_t start;                   /* byte at which the tensors' data begin                     */
    char path[GRPO__PATH], name[GRPO__NAME];
    grpo__text text;                /* its JSON: the whole file, or the header                   */
    uint64_t tied;                  /* hash of the tied embeddings minus that of an LM head      */
    struct grpo__slot *slots;       /* [num_slots] the tensors of a model, in all its files      */
    int num_slots;
} grpo__file;

/* Reports the first failure: the path (its end, if it is long), what, why. */
static void grpo__fault(grpo__file *f, int code, const char *what, const char *why) {
    size_t length = strlen(f->path);
    const char *path = f->path + (length > 90 ? length - 90 : 0);
    if (!f->code) f->code = grpo__fail_config(f->c, code, "%s: %.70s %s", path, what, why);
}

static void grpo__bad(grpo__file *f, const char *what, const char *why) {
    grpo__fault(f, GRPO_BAD_FILE, what, why);
}

static void grpo__io(grpo__file *f, const char *what) {
    grpo__fault(f, GRPO_IO, what, strerror(errno));
}

static void *grpo__file_memory(grpo__file *f, size_t size) {
    void *memory = f->code ? NULL : grpo__allocate(f->c, size);
    if (!memory) grpo__fault(f, GRPO_NO_MEMORY, "cannot be handled:", "out of memory");
    return memory;
}

/* Allocates the text; after a failure there is none, and what is appended is only counted. */
static void grpo__begin_text(grpo__file *f, size_t capacity) {
    f->text.bytes = (char *)grpo__file_memory(f, capacity);
    f->text.capacity = f->text.bytes ? capacity : 0;
}

/* Closes a file. Its data must reach the disk before the rename does, or a power cut would leave it
 * empty. */
static void grpo__end_file(grpo__file *f) {
    int written = f->mode == GRPO__WRITE;
    grpo__release(f->c, f->text.bytes);
    memset(&f->text, 0, sizeof f->text);
    if (!f->file) return;
    if (written && !f->code && (fflush(f->file) || grpo__sync(f->file)))
        grpo__io(f, "cannot be written, is the disk full?");
    if (fclose(f->file) && written) grpo__io(f, "cannot be closed:");
    f->file = NULL;
    if (written && f->code) grpo__remove(f->path);
}

static void grpo__end_slots(grpo__file *f) {
    grpo__release(f->c, f->slots);
    grpo__release(f->c, f->staging);
    f->slots = NULL;
    f->staging = NULL;
    f->num_slots = 0;
}

static int grpo__close(grpo__file *f) {
    grpo__end_file(f);
    grpo__end_slots(f);
    return f->code;
}

static grpo__file grpo__files_of(grpo_config *c, const char *folder) {
    grpo__file f;
    memset(&f, 0, sizeof f);
    f.c = c;
    f.folder = folder;
    return f;
}

/* Opens a file of the folder, for writing NAME.tmp. Returns 0 if it cannot be opened. */
static int grpo__open(grpo__file *f, const char *name, int mode) {
    int n;
    grpo__end_file(f);
    f->mode = mode;
    snprintf(f->name, sizeof f->name, "%s", name);
    n = snprintf(f->path, GRPO__PATH, "%s/%s%s", f->folder, name,
                 mode == GRPO__WRITE ? ".tmp" : "");
    if (!*f->folder || n < 0 || n >= GRPO__PATH)
        grpo__fault(f, GRPO_BAD_INPUT, "the name of the folder", "is empty or too long");
    if (!f->code && grpo__is_other(f->path))                  /* a pipe could block for ever     */
        grpo__bad(f, "", "is no regular file");
    if (!f->code) f->file = grpo__fopen(f->path, mode == GRPO__WRITE ? "wb" : "rb");
    if (!f->file && !f->code && (mode != GRPO__TRY || errno != ENOENT))
        grpo__io(f, "cannot be opened, does the folder exist?");
    return f->file != NULL;
}

/* Reads up to `most` bytes and returns how many there were; fewer than `least` are a failure. */
static size_t grpo__read(grpo__file *f, void *bytes, size_t least, size_t most) {
    size_t n = f->code ? 0 : fread(bytes, 1, most, f->file);
    if (!f->code && ferror(f->file)) grpo__io(f, "cannot be read:");
    if (n < least) grpo__bad(f, "the file", "ends too early: it was not copied completely");
    return n;
}

static void grpo__write(grpo__file *f, const void *bytes, size_t size) {
    if (!f->code && fwrite(bytes, 1, size, f->file) != size)
        grpo__io(f, "cannot be written, is the disk full?");
}

/* ---- JSON in. A value is a pointer to its first character; NULL: none. The text ends with
 * a NUL. grpo__json_skip() validates it; the other functions assume valid JSON. */
enum { GRPO__JSON_DEPTH = 32 };

static const char *grpo__blank(const char *at) { return at + strspn(at, " \t\n\r"); }

static const char *grpo__json_hex(const char *at, uint32_t *code) {
    char hex[5] = "";
    if (*at != 'u' || strspn(at + 1, "0123456789abcdefABCDEF") < 4) return NULL;
    memcpy(hex, at + 1, 4);
    *code = (uint32_t)strtoul(hex, NULL, 16);
    return at + 5;
}

/* The next character of a string, as UTF-8. Returns its bytes; 0: end of string; -1: not JSON. An
 * escaped 0 and half of a surrogate pair become '?'. */
static int grpo__json_char(const char **at, char text[4]) {
    static const char names[] = "\"\\/bfnrt", meant[] = "\"\\/\b\f\n\r\t";
    const char *name, *next;
    uint32_t code = 0, low = 0;
    int bytes = grpo__utf8_length(*at), i;
    if (**at == '"') return 0;
    if (bytes == 0 || (unsigned char)**at < 0x20) return -1;
    memcpy(text, *at, (size_t)bytes);
    *at += bytes;
    if (*text != '\\') return bytes;
    name = **at ? strchr(names, **at) : NULL;
    if (name) code = (unsigned char)meant[name - names];
    *at = name ? *at + 1 : grpo__json_hex(*at, &code);
    if (!*at) return -1;
    if (code >> 10 == 0x36 && **at == '\\' && (next = grpo__json_hex(*at + 1, &low)) != NULL
        && low >> 10 == 0x37) {
        code = 0x10000 + ((code & 0x3ff) << 10 | (low & 0x3ff));
        *at = next;
    }
    if (!code || code >> 11 == 0x1b) code = '?';
    bytes = code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
    for (i = bytes - 1; i > 0; i--, code >>= 6) text[i] = (char)(0x80 | (code & 0x3f));
    text[0] = (char)(bytes == 1 ? code : (0xf0u << (4 - bytes) & 0xff) | code);
    return bytes;
}

/* Copies the string at `at` to text[size], cut if longer. Returns its end; NULL: no string. */
static const char *grpo__json_string(const char *at, char *text, size_t size) {
    size_t used = 0;
    char c[4];
    int bytes, i;
    if (*at++ != '"') return NULL;
    while ((bytes = grpo__json_char(&at, c)) > 0)
        for (i = 0; i < bytes && used + 1 < size; i++) text[used++] = c[i];
    if (size) text[used] = 0;
    return bytes ? NULL : at + 1;
}

static int grpo__json_is(const char *value, const char *text) {
    char c[4];
    int bytes;
    if (!value || *value++ != '"') return 0;
    while ((bytes = grpo__json_char(&value, c)) > 0 && !strncmp(c, text, (size_t)bytes))
        text += bytes;
    return bytes == 0 && !*text;
}

/* The end of the value at `at`; NULL if it is not JSON or nested too deeply: then *wrong points to
 * the error. */
static const char *grpo__json_skip(const char *at, int depth, const char **wrong) {
    char close = *at == '{' ? '}' : ']';
    double number;
    *wrong = at;
    if (*at == '"') return grpo__json_string(at, NULL, 0);
    if (!strncmp(at, "true", 4) || !strncmp(at, "null", 4)) return at + 4;
    if (!strncmp(at, "false", 5)) return at + 5;
    if (*at != '{' && *at != '[') return grpo__json_number(at, &number);
    if (depth == GRPO__JSON_DEPTH) return NULL;
    at = grpo__blank(at + 1);
    if (*at == close) return at + 1;
    for (;; at = grpo__blank(at + 1)) {
        if (close == '}') {
            *wrong = at;
            at = grpo__json_string(at, NULL, 0);
            if (!at || *(*wrong = at = grpo__blank(at)) != ':') return NULL;
            at = grpo__blank(at + 1);
        }
        at = grpo__json_skip(at, depth + 1, wrong);
        if (!at) return NULL;
        *wrong = at = grpo__blank(at);
        if (*at == close) return at + 1;
        if (*at != ',') return NULL;
    }
}

/* The next value of an object, with its name, or (name NULL) of a list; NULL after the last. *at
 * begins at the opening bracket and moves past each value. A value that is no object has no
 * entries; one that is no list counts as a list of one. */
static const char *grpo__json_next(const char **at, char *name, size_t size) {
    const char *value = *at, *wrong;
    if (!value || !strchr(name ? "{,}" : "[,]", *value)) {
        *at = NULL;
        return name ? NULL : value;
    }
    if (*value != '}' && *value != ']') *at = value = grpo__blank(value + 1);
    if (*value == '}' || *value == ']') return NULL;
    if (name) value = grpo__blank(grpo__blank(grpo__json_string(value, name, size)) + 1);
    *at = grpo__blank(grpo__json_skip(value, 0, &wrong));
    return value;
}

/* Reads a JSON object of `least` to `most` bytes from the file; NULL: there is no file, or a
 * failure. */
static const char *grpo__read_json(grpo__file *f, size_t least, size_t most) {
    const char *text, *object, *end = NULL, *at;
    char where[64];
    int line = 1, column = 1;
    size_t n;
    if (!f->file) return NULL;
    grpo__begin_text(f, most + 1);
    n = grpo__read(f, f->text.bytes, least, most);
    if (f->code) return NULL;
    f->text.bytes[n] = 0;
    text = f->text.bytes;
    at = object = grpo__blank(text);
    if (*object == '{') end = grpo__json_skip(object, 0, &at);
    if (end) at = grpo__blank(end);
    if (end && at == text + n) return object;
    for (; at > text && at[-1] != '\n'; at--) column++;
    for (; at > text; at--) line += at[-1] == '\n';
    snprintf(where, sizeof where, "line %d, column %d:", line, column);
    grpo__bad(f, where, "the JSON is damaged or not complete");
    return NULL;
}

/* The value of a name in an object; NULL if it is missing, and for grpo__field() also if null. */
static const char *grpo__entry(grpo__file *f, const char *object, const char *name) {
    const char *value, *found = NULL;
    char other[GRPO__NAME] = "";
    while ((value = grpo__json_next(&object, other, sizeof other)) != NULL)
        if (!strcmp(other, name)) {
            if (found) grpo__bad(f, name, "is there twice: remove one");
            found = value;
        }
    return found;
}

static const char *grpo__field(grpo__file *f, const char *object, const char *name) {
    const char *value = grpo__entry(f, object, name);
    return value && *value != 'n' ? value : NULL;
}

/* ---- config.json: tables of the names that are read, refused and written */
enum { GRPO__COUNT, GRPO__NUMBER, GRPO__FLAG, GRPO__TOKEN, GRPO__MUST, GRPO__NEEDED = 8 };
typedef struct grpo__row {
    int kind;                       /* GRPO__COUNT ...; | GRPO__NEEDED: missing is an error      */
    const char *name;
    size_t offset;                  /* of the int or float in the struct to fill                 */
    const char *must;               /* GRPO__MUST: the only value, as JSON                       */
} grpo__row;
#define GRPO__FIELD(kind, name) { kind, #name, offsetof(grpo_model_config, name), NULL }
#define GRPO__SIZE(name) GRPO__FIELD(GRPO__COUNT | GRPO__NEEDED, name)
#define GRPO__ROPE(kind, name) \
    { kind | GRPO__NEEDED, #name, offsetof(grpo_model_config, rope_scaling.name), NULL }

/* The fields of a model. The first GRPO__WRITTEN are written too. */
enum { GRPO__WRITTEN = 15, GRPO__FIELDS = 19 };
static const grpo__row grpo__fields[GRPO__FIELDS] = {
    GRPO__SIZE(vocab_size), GRPO__SIZE(hidden_size), GRPO__SIZE(intermediate_size),
    GRPO__SIZE(num_hidden_layers), GRPO__SIZE(num_attention_heads),
    GRPO__FIELD(GRPO__COUNT, num_key_value_heads), GRPO__FIELD(GRPO__COUNT, head_dim),
    GRPO__FIELD(GRPO__COUNT, max_position_embeddings), GRPO__FIELD(GRPO__NUMBER, rope_theta),
    GRPO__FIELD(GRPO__NUMBER, rms_norm_eps), GRPO__FIELD(GRPO__NUMBER, initializer_range),
    GRPO__FIELD(GRPO__FLAG, attention_bias), GRPO__FIELD(GRPO__FLAG, tie_word_embeddings),
    { GRPO__MUST, "mlp_bias", 0, "false" }, { GRPO__MUST, "use_sliding_window", 0, "false" },
    { GRPO__MUST, "hidden_act", 0, "\"silu\"" }, { GRPO__MUST, "partial_rotary_factor", 0, "1" },
    { GRPO__MUST, "is_causal", 0, "true" }, { GRPO__MUST, "quantization_config", 0, "null" } };

/* Names that do not change the numbers, or are read elsewhere. */
static const char grpo__harmless[] =
    "architectures model_type vocabulary torch_dtype dtype transformers_version use_cache "
    "rope_parameters rope_scaling layer_types sliding_window max_window_layers pretraining_tp "
    "attention_dropout hidden_dropout resid_dropout classifier_dropout bos_token_id eos_token_id "
    "pad_token_id sep_token_id unk_token_id decoder_start_token_id forced_bos_token_id "
    "forced_eos_token_id bos_token eos_token pad_token id2label label2id num_labels problem_type "
    "finetuning_task task_specific_params tokenizer_class prefix model_max_length "
    "max_sequence_length seq_length max_length min_length do_sample early_stopping num_beams "
    "num_beam_groups diversity_penalty temperature top_k top_p typical_p repetition_penalty "
    "length_penalty no_repeat_ngram_size encoder_no_repeat_ngram_size bad_words_ids "
    "num_return_sequences exponential_decay_length_penalty suppress_tokens begin_suppress_tokens "
    "chunk_size_feed_forward return_dict output_attentions output_hidden_states "
    "remove_invalid_values neftune_noise_alpha is_llama_config unsloth_version unsloth_fixed "
    "transformers.js_config";

/* Rotary positions: each type needs rope_theta and the num_fields fields after it. */
enum { GRPO__ROPE_TYPES = 3 };
static const struct { const char *name; int num_fields; } grpo__rope_types[GRPO__ROPE_TYPES] = {
    { "default", 0 }, { "linear", 1 }, { "llama3", 4 } };
static const grpo__row grpo__rope_fields[] = {
    GRPO__FIELD(GRPO__NUMBER, rope_theta), GRPO__ROPE(GRPO__NUMBER, factor),
    GRPO__ROPE(GRPO__NUMBER, low_freq_factor), GRPO__ROPE(GRPO__NUMBER, high_freq_factor),
    GRPO__ROPE(GRPO__COUNT, original_max_position_embeddings) };

enum { GRPO__LLAMA, GRPO__QWEN2, GRPO__QWEN3, GRPO__MISTRAL, GRPO__FAMILIES };
static const struct {               /* architectures: with an LM head, with a scalar one         */
    const char *type, *architectures[2];
    int num_key_value_heads, head_dim, max_position_embeddings;       /* defaults                */
} grpo__families[GRPO__FAMILIES] = {
    { "llama", { "LlamaForCausalLM", "LlamaForSequenceClassification" }, 0, 0, 2048 },
    { "qwen2", { "Qwen2ForCausalLM", "Qwen2ForSequenceClassification" }, 32, 0, 32768 },
    { "qwen3", { "Qwen3ForCausalLM", "Qwen3ForSequenceClassification" }, 32, 128, 32768 },
    { "mistral", { "MistralForCausalLM", "MistralForSequenceClassification" }, 8, 0, 131072 } };

/* model_type decides; architectures, if present, must not contradict it. */
static int grpo__read_family(grpo__file *f, const char *json, int *num_labels) {
    const char *type = grpo__field(f, json, "model_type");
    const char *list = grpo__field(f, json, "architectures");
    const char *first = grpo__json_next(&list, NULL, 0);
    char names[2][40] = { "", "" }, what[128];
    int i;
    for (i = 0; i < 2 * GRPO__FAMILIES; i++) {
        *num_labels = i % 2;
        if (grpo__json_is(type, grpo__families[i / 2].type)
            && (!first || grpo__json_is(first, grpo__families[i / 2].architectures[i % 2])))
            return i / 2;
    }
    if (first) grpo__json_string(first, names[0], sizeof names[0]);
    if (type) grpo__json_string(type, names[1], sizeof names[1]);
    snprintf(what, sizeof what, "architectures %.30s, model_type %.12s:", names[0], names[1]);
    grpo__bad(f, what, "must be LlamaForCausalLM and llama, or likewise Qwen2, Qwen3, Mistral");
    return 0;
}

/* Stores a value in the int or float of a struct that its row names. */
static void grpo__read_value(grpo__file *f, const char *value, const grpo__row *row, void *to) {
    static const struct { double least, most; const char *why; } kinds[] = {
        { 1, 1 << 28, "must be a whole number from 1 to 2^28" },
        { 0, 3e38, "must be a number, and not negative" }, { 0, 1, "must be true or false" },
        { 0, 1 << 28, "must be whole numbers from 0 to 2^28" } };
    char why[32], text[16];
    double x = *value == 't', y;
    int kind = row->kind & ~GRPO__NEEDED, good;
    if (kind == GRPO__MUST) {
        if (grpo__json_string(row->must, text, sizeof text)) good = grpo__json_is(value, text);
        else if (!grpo__json_number(row->must, &y)) good = *value == *row->must;
        else good = grpo__json_number(value, &x) && x == y;
        snprintf(why, sizeof why, "must be %s", row->must);
        if (!good) grpo__bad(f, row->name, why);
        return;
    }
    if (kind == GRPO__FLAG) good = *value == 't' || *value == 'f';
    else good = grpo__json_number(value, &x) && (kind == GRPO__NUMBER || floor(x) == x);
    if (!good || !(x >= kinds[kind].least && x <= kinds[kind].most))
        grpo__bad(f, row->name, kinds[kind].why);
    else if (kind == GRPO__NUMBER) *(float *)(void *)((char *)to + row->offset) = (float)x;
    else *(int *)(void *)((char *)to + row->offset) = (int)x;
}

/* Stores the fields of a table in a struct; missing ones are left as they are. Any other name that
 * is not harmless must begin with _ or have a value that means nothing (null, false, empty); a name
 * that appears twice is an error. */
static void grpo__read_fields(grpo__file *f, const char *json, const grpo__row *rows, int n,
                              void *to, const char *harmless) {
    const char *at = json, *value;
    char name[GRPO__NAME] = "";
    int i, count = 0;
    for (i = 0; i < n; i++) {
        value = grpo__field(f, json, rows[i].name);
        if (value) grpo__read_value(f, value, &rows[i], to);
        else if (rows[i].kind & GRPO__NEEDED) grpo__bad(f, rows[i].name, "is missing");
    }
    while (!f->code && (value = grpo__json_next(&at, name, sizeof name)) != NULL) {
        int nothing = *name == '_' || strchr("nf", *value)    /* _name_or_path ...               */
                   || (strchr("[{", *value) && strchr("]}", *grpo__blank(value + 1)));
        if (++count > 1000) grpo__bad(f, "an object", "has more than 1000 names");
        else grpo__entry(f, json, name);
        for (i = 0; i < n && strcmp(name, rows[i].name); ) i++;
        if (i == n && !nothing && grpo__word_index(harmless, name, strlen(name)) < 0)
            grpo__bad(f, name, "is not supported, for it may change the numbers: remove it if it "
                      "does not");
    }
}

/* rope_parameters, or rope_scaling, its older name. Returns 0 if it is missing. Values that
 * versions of transformers read from different places must be equal. */
static int grpo__read_rope(grpo__file *f, const char *json, const char *field,
                           grpo_model_config *m) {
    const char *rope = grpo__field(f, json, field), *type, *old;
    float theta = m->rope_theta;
    int i = 0;
    if (rope && *rope != '{') grpo__bad(f, field, "must be an object");
    if (f->code || !rope || *grpo__blank(rope + 1) == '}') return 0;
    type = grpo__field(f, rope, "rope_type");
    old = grpo__field(f, rope, "type");
    while (i < GRPO__ROPE_TYPES && ((type && !grpo__json_is(type, grpo__rope_types[i].name))
                                    || (old && !grpo__json_is(old, grpo__rope_types[i].name)))) i++;
    if (i == GRPO__ROPE_TYPES)
        grpo__bad(f, field, "has a type other than default, linear, llama3, or two types");
    if (f->code) return 0;
    memset(&m->rope_scaling, 0, sizeof m->rope_scaling);
    m->rope_scaling.rope_type = i;
    grpo__read_fields(f, rope, grpo__rope_fields, 1 + grpo__rope_types[i].num_fields, m,
                      "rope_type type");
    if (m->rope_theta != theta && grpo__field(f, json, "rope_theta"))
        grpo__bad(f, "rope_theta", "has two values, here and within: remove one");
    return 1;
}

/* Missing fields get transformers' defaults. */
static grpo_model_config grpo__read_model(grpo__file *f, const char *json) {
    const char *layers = grpo__field(f, json, "layer_types"), *value;
    const char *window = grpo__entry(f, json, "sliding_window");
    grpo_model_config m, other;
    double x = 0;
    int labels = 0, family = grpo__read_family(f, json, &labels), there;
    memset(&m, 0, sizeof m);
    m.num_key_value_heads = grpo__families[family].num_key_value_heads;
    m.head_dim = grpo__families[family].head_dim;
    m.max_position_embeddings = grpo__families[family].max_position_embeddings;
    m.rope_theta = 10000.0f;
    m.rms_norm_eps = 1e-6f;
    m.initializer_range = 0.02f;
    m.qk_norm = family == GRPO__QWEN3;
    m.num_labels = labels;
    grpo__read_fields(f, json, grpo__fields, GRPO__FIELDS, &m, grpo__harmless);
    other = m;
    there = grpo__read_rope(f, json, "rope_parameters", &m);
    if (grpo__read_rope(f, json, "rope_scaling", &other)) {
        if (there && memcmp(&m, &other, sizeof m))
            grpo__bad(f, "rope_parameters", "and rope_scaling contradict each other: remove one");
        m = other;
    }
    while ((value = grpo__json_next(&layers, NULL, 0)) != NULL)
        if (!grpo__json_is(value, "full_attention"))
            grpo__bad(f, "layer_types", "must all be \"full_attention\"");
    if (family == GRPO__MISTRAL
        && !(window && (*window == 'n' || (grpo__json_number(window, &x)
                                           && x >= m.max_position_embeddings))))
        grpo__bad(f, "sliding_window", "is not supported: null, or at least "
                  "max_position_embeddings");
    if ((family == GRPO__LLAMA || family == GRPO__MISTRAL) && m.attention_bias)
        grpo__bad(f, "attention_bias", "is not supported: Llama's is on o_proj too");
    if (family == GRPO__QWEN2) m.attention_bias = 1;
    if (f->code) return m;
    if (!m.num_key_value_heads) m.num_key_value_heads = m.num_attention_heads;
    if (!m.head_dim) m.head_dim = grpo__max(1, m.hidden_size / m.num_attention_heads);
    return m;
}

/* eos_token_id is a number, a list of them, or null: then nothing changes. */
static void grpo__read_eos(grpo__file *f, const char *json, grpo_config *c) {
    static const grpo__row row = { GRPO__TOKEN, "eos_token_id", 0, NULL };
    const char *list = grpo__field(f, json, row.name), *value;
    int n = 0;
    while (!f->code && (value = grpo__json_next(&list, NULL, 0)) != NULL) {
        if (n == GRPO_MAX_EOS) grpo__bad(f, row.name, "has too many entries: 8 at most");
        else grpo__read_value(f, value, &row, &c->eos_token_ids[n++]);
        c->num_eos = n;
        c->eos_token_id = c->eos_token_ids[0];
    }
}

/* A token is an index into the vocabulary, which so must be the one saved. */
static void grpo__check_vocabulary(grpo__file *f, const char *object, const grpo_config *c) {
    const char *value = grpo__field(f, object, "vocabulary");
    if (value && !c->encode && c->vocabulary && !grpo__json_is(value, c->vocabulary))
        grpo__bad(f, "vocabulary", "is not config.vocabulary: set that to the same characters in "
                  "the same order");
}

/* adapter_config.json, as PEFT writes it. Options that would change the numbers are refused, as are
 * initialisations that change the model's own weights too (pissa, olora, loftq, corda ...): such
 * adapters fit another model. */
static void grpo__read_lora(grpo__file *f, grpo_lora *lora) {
    static const grpo__row rows[] = {
        { GRPO__MUST | GRPO__NEEDED, "peft_type", 0, "\"LORA\"" },
        { GRPO__COUNT | GRPO__NEEDED, "r", offsetof(grpo_lora, rank), NULL },
        { GRPO__NUMBER | GRPO__NEEDED, "lora_alpha", offsetof(grpo_lora, alpha), NULL },
        { GRPO__MUST, "bias", 0, "\"none\"" } };
    const char *json = grpo__read_json(f, 0, 1 << 20), *value;
    const char *first = grpo__field(f, json, "init_lora_weights");
    const char *list = grpo__field(f, json, "target_modules");
    int i;
    grpo__read_fields(f, json, rows, 4, lora, "task_type auto_mapping peft_version revision "
                      "base_model_name_or_path inference_mode target_modules lora_dropout "
                      "init_lora_weights megatron_core qalora_group_size");
    if (first && !strchr("tf", *first) && !grpo__json_is(first, "gaussian")
        && !grpo__json_is(first, "orthogonal") && !grpo__json_is(first, "eva"))
        grpo__bad(f, "init_lora_weights", "must be true, false, gaussian, orthogonal or eva");
    lora->targets = 0;
    if (grpo__json_is(list, "all-linear")) { lora->targets = GRPO_LORA_ALL; list = NULL; }
    while ((value = grpo__json_next(&list, NULL, 0)) != NULL) {
        for (i = 0; i < GRPO_LORA_TARGETS; i++)               /* without their path: q_proj      */
            if (grpo__json_is(value, strchr(grpo__module_names[i], '.') + 1)) break;
        if (i < GRPO_LORA_TARGETS) lora->targets |= 1 << i;
        else grpo__bad(f, "target_modules", "must be of q_proj, k_proj, v_proj, o_proj, gate_proj, "
                       "up_proj, down_proj");
    }
    if (!lora->targets) grpo__bad(f, "target_modules", "is missing, or names none");
}

/* Fills a config from the folder of a model or, then *lora is 1, of adapters. */
static int grpo__read_configs(grpo_config *config, const char *folder, int *lora) {
    grpo__file f = grpo__files_of(config, folder);
    grpo_config c = *config;
    const char *json;
    *lora = grpo__open(&f, "adapter_config.json", GRPO__TRY);
    if (*lora) {
        grpo__read_lora(&f, &c.lora);
    } else {
        grpo__open(&f, "config.json", GRPO__READ);
        json = grpo__read_json(&f, 0, 1 << 20);
        c.model = grpo__read_model(&f, json);
        grpo__check_vocabulary(&f, json, &c);
        if (c.encode) grpo__read_eos(&f, json, &c);
        if (c.encode && grpo__open(&f, "generation_config.json", GRPO__TRY))
            grpo__read_eos(&f, grpo__read_json(&f, 0, 1 << 20), &c);
    }
    if (grpo__close(&f)) return f.code;
    memcpy(c.error, config->error, sizeof c.error);
    *config = c;
    return GRPO_OK;
}

int grpo_load_config(grpo_config *config, const char *folder) {
    int lora;
    if (!config) return GRPO_BAD_INPUT;
    if (!folder) return grpo__fail_config(config, GRPO_BAD_INPUT, "grpo_load_config: no folder");
    return grpo__read_configs(config, folder, &lora);
}

static void grpo__append_fields(grpo__text *t, const grpo__row *rows, int n, const void *from) {
    for (; n-- > 0; rows++) {
        const void *value = (const char *)from + rows->offset;
        int kind = rows->kind & ~GRPO__NEEDED;
        grpo__append(t, ",\n  \"%s\": ", rows->name);
        if (kind == GRPO__NUMBER) grpo__append_number(t, (double)*(const float *)value, 9, 1);
        else if (kind == GRPO__COUNT) grpo__append(t, "%d", *(const int *)value);
        else grpo__append(t, "%s", kind == GRPO__MUST ? rows->must
                          : *(const int *)value ? "true" : "false");
    }
}

static void grpo__append_vocabulary(grpo__text *t, const char *before, const grpo_config *c) {
    if (c->encode || !c->vocabulary) return;
    grpo__append(t, "%s\"vocabulary\": \"", before);
    grpo__append_escaped(t, c->vocabulary, INT32_MAX);
    grpo__append(t, "\"");
}

static void grpo__write_config(grpo__file *f, const char *dtype) {
    const grpo_config *c = f->c;
    const grpo_model_config *m = &c->model;
    int i, family = m->qk_norm ? GRPO__QWEN3 : m->attention_bias ? GRPO__QWEN2 : GRPO__LLAMA;
    grpo__text *t = &f->text;
    grpo__open(f, "config.json", GRPO__WRITE);
    grpo__begin_text(f, 4096 + (c->vocabulary ? 6 * strlen(c->vocabulary) : 0));
    grpo__append(t, "{\n  \"architectures\": [\"%s\"],\n  \"model_type\": \"%s\"",
                 grpo__families[family].architectures[m->num_labels], grpo__families[family].type);
    if (m->num_labels) grpo__append(t, ",\n  \"id2label\": {\"0\": \"LABEL_0\"},\n  \"label2id\": "
                                    "{\"LABEL_0\": 0}");
    grpo__append_fields(t, grpo__fields, GRPO__WRITTEN, m);
    i = m->rope_scaling.rope_type;
    grpo__append(t, ",\n  \"rope_scaling\": ");
    if (i) grpo__append(t, "{ \"rope_type\": \"%s\"", grpo__rope_types[i].name);
    grpo__append_fields(t, grpo__rope_fields + 1, grpo__rope_types[i].num_fields, m);
    grpo__append(t, i ? " }" : "null");
    grpo__append_vocabulary(t, ",\n  ", c);
    grpo__append(t, ",\n  \"hidden_act\": \"silu\",\n  \"torch_dtype\": \"%s\",\n  "
                 "\"bos_token_id\": null,\n  \"eos_token_id\": %s%d", dtype,
                 c->num_eos ? "[" : "", c->eos_token_id);
    for (i = 0; i < c->num_eos; i++)
        if (c->eos_token_ids[i] != c->eos_token_id)
            grpo__append(t, ", %d", c->eos_token_ids[i]);
    grpo__append(t, "%s\n}\n", c->num_eos ? "]" : "");
    grpo__write(f, t->bytes, t->length);
}

static void grpo__write_lora(grpo__file *f, const char *base) {
    const grpo_lora *l = &f->c->lora;
    grpo__text *t = &f->text;
    int i, more = 0;
    grpo__open(f, "adapter_config.json", GRPO__WRITE);
    grpo__begin_text(f, 8192);                                /* 1,024 escaped bytes are 6,144   */
    grpo__append(t, "{\n  \"peft_type\": \"LORA\",\n  \"task_type\": \"CAUSAL_LM\",\n"
                 "  \"base_model_name_or_path\": %s", *base ? "\"" : "null");
    grpo__append_escaped(t, base, GRPO__PATH);
    grpo__append(t, "%s,\n  \"r\": %d,\n  \"lora_alpha\": ", *base ? "\"" : "", l->rank);
    grpo__append_number(t, (double)l->alpha, 9, 0);
    grpo__append(t, ",\n  \"target_modules\": [");
    for (i = 0; i < GRPO_LORA_TARGETS; i++)
        if (l->targets >> i & 1)
            grpo__append(t, "%s\"%s\"", more++ ? ", " : "",
                         strchr(grpo__module_names[i], '.') + 1);
    grpo__append(t, "],\n  \"lora_dropout\": 0.0,\n  \"bias\": \"none\",\n"
                 "  \"fan_in_fan_out\": false,\n  \"inference_mode\": true\n}\n");
    grpo__write(f, t->bytes, t->length);
}

/* ---- safetensors: 8 bytes n, little-endian | n bytes of JSON, name -> dtype, shape, data_offsets
 * | the data. A table of slots lists the tensors that files must or may have, and their addresses
 * in memory. A large model is split into files, with an index: {"weight_map": {name: file}}. */
enum { GRPO__MODEL, GRPO__STATE, GRPO__ADAPTERS };            /* what a file holds               */
static const char *const grpo__archives[] = { "model.safetensors", "trainer_state.safetensors",
                                              "adapter_model.safetensors" };
enum { GRPO__F32, GRPO__BF16, GRPO__F16, GRPO__DTYPES };
static const struct { const char *name, *torch; size_t size; } grpo__dtypes[GRPO__DTYPES] = {
    { "F32", "float32", 4 }, { "BF16", "bfloat16", 2 }, { "F16", "float16", 2 } };
enum { GRPO__CHUNK = 8192 };        /* floats that are staged at one time                        */

typedef struct grpo__slot {
    char   name[GRPO__NAME];
    char   file[GRPO__NAME];        /* the file that has or may have it; "": none                */
    int    rows, cols;              /* cols 0: a vector                                          */
    size_t count;                   /* elements                                                  */
    const grpo__tensor *tensor;     /* of the model, or NULL: it is at                           */
    float *at;                      /* B [count]; both NULL: optional, written as zeros          */
    int    zero;                    /* 1: must be zeros                                          */
    int    transposed;              /* 1: memory holds the transpose                             */
    float  scale;                   /* memory = file x scale                                     */
    int    tied;                    /* 1: tied embeddings, -1: an LM head that must equal them   */
    const grpo__adapter *adapter;   /* merged in when written, or NULL                           */
    float *moments;                 /* a team's m or v: read to the share that is here; written  */
    size_t offset;                  /*     from `at`, where all shares are gathered              */
    int    found;                   /* number of the file that has it; 0: none yet               */
    int    dtype;                   /* in the file                                               */
    double begin, end;              /* bytes of the file's data                                  */
} grpo__slot;

static grpo__slot *grpo__add_slot(grpo__file *f, const char *prefix, const char *name, int rows,
                                  int cols) {
    grpo__slot *s = &f->slots[f->num_slots++];
    memset(s, 0, sizeof *s);
    snprintf(s->name, sizeof s->name, "%s%s", prefix, name);
    snprintf(s->file, sizeof s->file, "%s", f->name);
    s->rows = rows;
    s->cols = cols;
    s->count = grpo__size(rows, cols ? cols : 1);
    s->scale = 1;
    return s;
}

/* The slots of a kind of file. A model: its weights, written with the adapters merged in, and
 * tensors that only some files have. (With attention_bias, transformers' Qwen3 also has a bias on
 * o_proj: it is 0 here. Older checkpoints have the rotary frequencies, and some tied ones an LM
 * head: if that differs from the embeddings, transformers 5 uses it and 4 drops it, so it is
 * refused.) A state: trained weights, AdamW's m and v, the reference. Adapters: trained weights; in
 * the file A is transposed and B is without the factor alpha / rank. */
static void grpo__add_slots(grpo__file *f, const grpo *g, int kind) {
    static const char *const prefix[] = { "weights.", "exp_avg.", "exp_avg_sq.", "reference." };
    const struct grpo__machinery *w = g->machinery;
    const grpo_model_config *m = &g->config.model;
    float *const arrays[4] = { w->trained, w->adam_m, w->adam_v, w->reference };
    int shared = g->config.team.size > 1;
    size_t n = (size_t)grpo__max(w->num_tensors, w->num_trained_tensors);
    size_t most = 4 * n + 2 * (size_t)m->num_hidden_layers + 1;
    size_t width = (size_t)w->shape.H + (size_t)grpo__max(w->shape.F, w->shape.Q);
    int i, k, state = kind == GRPO__STATE, reading = f->mode != GRPO__WRITE;
    char layer[64];
    grpo__end_slots(f);
    f->kind = kind;
    f->slots = (grpo__slot *)grpo__file_memory(f, grpo__multiply(most, sizeof *f->slots));
    width = grpo__add(2 * GRPO__CHUNK, grpo__multiply(width, (size_t)w->shape.rank));
    f->staging = (float *)grpo__file_memory(f, grpo__multiply(width, sizeof(float)));
    if (f->code) return;
    for (i = 0; kind == GRPO__MODEL && i < w->num_tensors; i++) {
        grpo__slot *s = grpo__add_slot(f, "", w->tensors[i].name, w->tensors[i].rows,
                                       w->tensors[i].cols);
        s->tensor = &w->tensors[i];
        if (!reading) s->adapter = w->tensors[i].adapter;
    }
    for (i = 0; kind == GRPO__MODEL && i < m->num_hidden_layers; i++) {
        snprintf(layer, sizeof layer, "model.layers.%d.self_attn.", i);
        if (m->qk_norm && m->attention_bias)
            grpo__add_slot(f, layer, "o_proj.bias", m->hidden_size, 0)->zero = 1;
        if (reading) grpo__add_slot(f, layer, "rotary_emb.inv_freq", m->head_dim / 2, 0);
    }
    if (kind == GRPO__MODEL && reading && !grpo__has_own_lm_head(m)) {
        grpo__slot *head = grpo__add_slot(f, "", "lm_head.weight", m->vocab_size, m->hidden_size);
        f->slots[0].tied = grpo__has_lm_head(m);
        head->tied = -grpo__has_lm_head(m);
    }
    for (k = 0; kind != GRPO__MODEL && k < (state ? 4 : 1) && (arrays[k] || reading); k++)
        for (i = 0; i < w->num_trained_tensors; i++) {
            const grpo__tensor *t = &w->trained_tensors[i];
            grpo__slot *s = grpo__add_slot(f, state ? prefix[k] : "", t->name, t->rows, t->cols);
            s->at = arrays[k] ? arrays[k] + t->offset : NULL;
            if (shared && (k == 1 || k == 2)) {
                s->at = w->gradient + t->offset;
                s->moments = arrays[k];
                s->offset = t->offset;
            }
            s->transposed = w->shape.rank && i % 2 == 0;
            if (!state && i % 2) s->scale = grpo__lora_scale(g);
        }
}

/* ---- numbers to bytes and back, little-endian on any machine */
static uint32_t grpo__bits(float x) {
    uint32_t bits = 0;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}

static float grpo__float_of(uint32_t bits) {
    float x = 0;
    memcpy(&x, &bits, sizeof bits);
    return x;
}

/* Every BF16 (the upper half of a float) and F16 (1 sign, 5 exponent, 10 fraction bits) is a float
 * exactly. A float's exponent is 112 more than F16's, subnormal or not; F16's exponent 31 means Inf
 * or NaN. Returns 0 if one of the n is not finite. */
static int grpo__decode_floats(float *x, const unsigned char *b, size_t n, int dtype) {
    const uint32_t exponent = dtype == GRPO__F16 ? 0x7c00 : 0x7f800000;
    int odd = 0;
    size_t i;
    for (i = 0; i < n; i++) {
        uint32_t low = b[0] | (uint32_t)b[1] << 8, bits = low;
        if (dtype == GRPO__F32) bits = low | (uint32_t)b[2] << 16 | (uint32_t)b[3] << 24;
        if (dtype == GRPO__BF16) bits = low << 16;
        odd |= (bits & exponent) == exponent;
        b += dtype == GRPO__F32 ? 4 : 2;
        if (dtype != GRPO__F16) x[i] = grpo__float_of(bits);
        else x[i] = grpo__float_of((bits & 0x8000) << 16 | (bits & 0x7fff) << 13)
                  * 5192296858534827628530496329220096.0f;    /* 2^112                           */
    }
    return !odd;
}

/* F32, or BF16 or F16 rounded to nearest, ties to even. Below 2^-14 F16's spacing is 2^-24, the
 * spacing of floats near 0.5: so 0.5 + x rounds as F16. Returns an error text, or NULL. */
static const char *grpo__encode_float(unsigned char *b, float x, int dtype) {
    uint32_t bits = grpo__bits(x), half = bits & 0x7fffffff;
    size_t i;
    if (!grpo__finite((double)x)) return "holds a number that is not finite";
    if (dtype == GRPO__BF16) bits = (bits + 0x7fff + (bits >> 16 & 1)) >> 16;
    if (dtype == GRPO__F16) {
        if (half < 0x38800000) half = grpo__bits(fabsf(x) + 0.5f) - 0x3f000000;
        else half = ((half + 0xfff + (half >> 13 & 1)) >> 13) - (112 << 10);
        if (half >= 0x7c00) return "holds a number beyond F16's range, 65504: save it in BF16";
        bits = (bits >> 16 & 0x8000) | half;
    }
    for (i = 0; i < grpo__dtypes[dtype].size; i++) b[i] = (unsigned char)(bits >> 8 * i);
    return dtype == GRPO__BF16 && (bits & 0x7f80) == 0x7f80 ? "is not finite in BF16" : NULL;
}

/* A team's process keeps only its share of AdamW's moments. */
static void grpo__upload_slot(struct grpo__machinery *w, const grpo__slot *s, size_t at,
                              const float *x, size_t n) {
    size_t first = s->offset + at, from = first;
    if (!s->moments) w->backend->upload(w->context, s->at + at, x, n * sizeof(float));
    else if ((n = grpo__own_part(w, &from, n)) > 0)
        w->backend->upload(w->context, s->moments + (from - w->share_first), x + (from - first),
                           n * sizeof(float));
}

/* Numbers [at, at + n) of a slot, from memory to x if the file is written, else from x to memory:
 * the weights of a model are the reference's too. A transpose is staged whole, as is an
 * adapter, A^T [in, rank] and B [out, rank], where W + B A is written. */
static void grpo__move_slot(grpo__file *f, const grpo *g, const grpo__slot *s, size_t at, float *x,
                            size_t n) {
    struct grpo__machinery *w = g->machinery;
    const grpo_backend *b = w->backend;
    size_t in = (size_t)s->cols, rank = (size_t)w->shape.rank, size = n * sizeof(float), i;
    float *a = f->staging + 2 * GRPO__CHUNK;
    int writing = f->mode == GRPO__WRITE;
    if (s->tensor) {
        size_t offset = s->tensor->offset + at;
        grpo__move_weights(g, s->tensor, at, writing ? NULL : x, x, n);
        if (w->reference && !writing) b->upload(w->context, w->reference + offset, x, size);
        for (i = 0; rank && !writing && i < n; i++)           /* a sum: in any order of tensors  */
            w->frozen += grpo__mix(grpo__bits(x[i]) ^ grpo__mix(offset + i));
    } else if (s->transposed) {
        if (writing && at == 0) b->download(w->context, a, s->at, s->count * sizeof(float));
        for (i = 0; i < n; i++) {
            float *y = &a[(at + i) % in * rank + (at + i) / in];
            if (writing) x[i] = *y;
            else *y = x[i];
        }
        if (s->at && !writing && at + n == s->count) grpo__upload_slot(w, s, 0, a, s->count);
    } else if (s->at) {
        if (writing) b->download(w->context, x, s->at + at, size);
        else grpo__upload_slot(w, s, at, x, n);
    } else if (writing) {
        memset(x, 0, size);
    }
    if (!s->adapter) return;
    if (at == 0) {
        b->download(w->context, a, s->adapter->A.weights, in * rank * sizeof(float));
        b->download(w->context, a + in * rank, s->adapter->B.weights,
                    grpo__size(s->rows, w->shape.rank) * sizeof(float));
    }
    for (i = 0; i < n; i++)
        x[i] += grpo__dot(a + (at + i) % in * rank, a + (in + (at + i) / in) * rank, NULL,
                          w->shape.rank);
}

/* Writes a slot's elements, or reads and checks them and, if f->placing, moves them to memory. */
static void grpo__pass_slot(grpo__file *f, const grpo *g, const grpo__slot *s) {
    float *x = f->staging;
    unsigned char *bytes = (unsigned char *)(x + GRPO__CHUNK);
    const grpo__slot *head = &f->slots[f->num_slots - 1];
    int compare = s->tied && !f->placing && (f->indexed ? *head->file != 0 : head->found);
    size_t size = grpo__dtypes[s->dtype].size, at, n, i;
    for (at = 0; at < s->count && !f->code; at += n) {
        n = s->count - at < GRPO__CHUNK ? s->count - at : (size_t)GRPO__CHUNK;
        if (f->mode == GRPO__WRITE) {
            grpo__move_slot(f, g, s, at, x, n);
            for (i = 0; i < n; i++) {
                const char *why = grpo__encode_float(bytes + i * size, x[i] / s->scale, s->dtype);
                if (why) grpo__fault(f, GRPO_NONFINITE, s->name, why);
            }
            grpo__write(f, bytes, n * size);
            continue;
        }
        grpo__read(f, bytes, n * size, n * size);
        if (!f->code && !grpo__decode_floats(x, bytes, n, s->dtype))
            grpo__bad(f, s->name, "holds a number that is not finite");
        for (i = 0; s->scale != 1 && i < n && !f->code; i++)
            if (!grpo__finite((double)(x[i] *= s->scale)))
                grpo__bad(f, s->name, "times alpha / rank is beyond the range of a float");
        for (i = 0; compare && i < n; i++)
            f->tied += (uint64_t)s->tied * grpo__mix(grpo__bits(x[i]) ^ grpo__mix(at + i));
        for (i = 0; s->zero && i < n && !f->code; i++)
            if (x[i] != 0) grpo__bad(f, s->name, "is not zero, which is not supported");
        if (f->placing && !f->code) grpo__move_slot(f, g, s, at, x, n);
    }
}

/* ---- what a state holds besides tensors */

/* The settings of a model that the shapes of its weights do not determine, as text. */
static void grpo__model_text(const grpo_config *c, int with_lora, char *text, size_t size) {
    const grpo_model_config *m = &c->model;
    const grpo_rope_scaling *r = &m->rope_scaling;
    const float x[] = { m->rope_theta, m->rms_norm_eps, r->factor, r->low_freq_factor,
                        r->high_freq_factor };
    static const char *const before[] = { ", rope_theta ", ", rms_norm_eps ", ", ", " ", " " };
    grpo__text t = { text, size, 0 };
    int i;
    grpo__append(&t, "%d/%d heads%s", m->num_attention_heads, m->num_key_value_heads,
                 m->tie_word_embeddings ? ", tied" : "");
    for (i = 0; i < (r->rope_type ? 5 : 2); i++) {
        grpo__append(&t, "%s", before[i]);
        grpo__append_number(&t, (double)x[i], 9, 1);
    }
    if (r->rope_type) grpo__append(&t, " %d %s", r->original_max_position_embeddings,
                                   grpo__rope_types[r->rope_type].name);
    if (!with_lora || !c->lora.rank) return;
    grpo__append(&t, ", LoRA rank %d targets %d alpha ", c->lora.rank, c->lora.targets);
    grpo__append_number(&t, (double)c->lora.alpha, 9, 0);
}

static int grpo__compare(grpo_config *c, int with_lora, const char *file, const char *theirs) {
    char ours[GRPO__NAME];
    grpo__model_text(c, with_lora, ours, sizeof ours);
    if (!strcmp(ours, theirs)) return GRPO_OK;
    return grpo__fail_config(c, GRPO_BAD_FILE, "%.25s is of a model with %.85s; this one has %.85s:"
                             " grpo_load_config() before grpo_new()", file, theirs, ours);
}

/* Writes a counter to __metadata__ or (metadata not NULL) reads it: a string of digits, in the form
 * in which they are written. */
static uint64_t grpo__counter(grpo__file *f, const char *metadata, const char *name, uint64_t value,
                              uint64_t most) {
    const char *found = grpo__field(f, metadata, name);
    char text[32] = "", again[32];
    unsigned long long x = value;
    if (f->mode == GRPO__WRITE) {
        grpo__append(&f->text, ",\"%s\":\"%llu\"", name, x);
        return value;
    }
    if (found) grpo__json_string(found, text, sizeof text);
    x = strtoull(text, NULL, 10);
    snprintf(again, sizeof again, "%llu", x);
    if (strcmp(text, again) || x > most)
        grpo__bad(f, name, "is not in __metadata__ as grpo_save() writes it");
    return x;
}

/* Writes all counters of g, or reads them into it; with the bits of coefficients that adapt. */
static void grpo__pass_counters(grpo__file *f, const char *metadata, grpo *g) {
    const struct grpo__machinery *w = g->machinery;
    grpo_state *s = &g->state;
    grpo_objective *o = &g->config.objective;
    int never = f->mode == GRPO__WRITE ? w->reference && !s->reference_set
              : grpo__field(f, metadata, "reference_set") != NULL;
    s->step = (int64_t)grpo__counter(f, metadata, "step", (uint64_t)s->step, GRPO__MOST_STEPS);
    s->optimizer_step = (int64_t)grpo__counter(f, metadata, "optimizer_step",
                                               (uint64_t)s->optimizer_step, GRPO__MOST_STEPS);
    s->adam_step = (int64_t)grpo__counter(f, metadata, "adam_step", (uint64_t)s->adam_step,
                                          GRPO__MOST_STEPS);
    s->num_tokens = (double)grpo__counter(f, metadata, "num_tokens", (uint64_t)s->num_tokens,
                                          UINT64_C(1) << 53);
    g->config.seed = grpo__counter(f, metadata, "seed", g->config.seed, UINT64_MAX);
    s->reference_set = !never || grpo__counter(f, metadata, "reference_set", 0, 0);
    if (w->shape.rank && grpo__counter(f, metadata, "base", w->frozen, UINT64_MAX) != w->frozen)
        grpo__bad(f, "the adapters", "are of another model: grpo_load() that first");
    if (!grpo__adapts(o)) return;
    o->beta = grpo__float_of((uint32_t)grpo__counter(f, metadata, "beta", grpo__bits(o->beta),
                                                     UINT32_MAX));
    o->entropy_coef = grpo__float_of((uint32_t)grpo__counter(f, metadata, "entropy_coef",
                                                             grpo__bits(o->entropy_coef),
                                                             UINT32_MAX));
}

/* ---- writing */
static void grpo__write_archive(grpo__file *f, grpo *g, int kind, int dtype) {
    unsigned long long at = 0;
    unsigned char size[8];
    char model[GRPO__NAME];
    grpo counted = *g;
    grpo__text *t = &f->text;
    int i, gathered = 0, code;
    grpo__open(f, grpo__archives[kind], GRPO__WRITE);
    grpo__add_slots(f, g, kind);
    grpo__begin_text(f, 512 * ((size_t)f->num_slots + 1)      /* no entry is as long as that     */
                     + (g->config.vocabulary ? 6 * strlen(g->config.vocabulary) : 0));
    if (kind == GRPO__STATE) {
        grpo__model_text(&g->config, 1, model, sizeof model);
        grpo__append(t, "{\"__metadata__\":{\"grpo_format_version\":\"1\",\"model\":\"%s\"", model);
        grpo__pass_counters(f, NULL, &counted);
        grpo__append_vocabulary(t, ",", &g->config);
    } else {
        grpo__append(t, "{\"__metadata__\":{\"format\":\"pt\"");      /* transformers asks for it */
    }
    grpo__append(t, "}");
    for (i = 0; i < f->num_slots; i++) {
        grpo__slot *s = &f->slots[i];
        s->dtype = dtype;
        grpo__append(t, ",\"%s\":{\"dtype\":\"%s\",\"shape\":[%d", s->name,
                     grpo__dtypes[dtype].name, s->rows);
        if (s->cols) grpo__append(t, ",%d", s->cols);
        grpo__append(t, "],\"data_offsets\":[%llu,", at);
        at += (unsigned long long)s->count * grpo__dtypes[dtype].size;
        grpo__append(t, "%llu]}", at);
    }
    grpo__append(t, "}");
    while (t->length % 8) grpo__append(t, " ");
    for (i = 0; i < 8; i++) size[i] = (unsigned char)((uint64_t)t->length >> 8 * i);
    grpo__write(f, size, 8);
    grpo__write(f, t->bytes, t->length);
    for (i = 0; i < f->num_slots; i++) {
        float *moments = f->slots[i].moments;
        if (moments && moments != f->slots[i - 1].moments) {  /* the first tensor of m, of v     */
            if ((code = grpo__gather_shares(g, moments)) != GRPO_OK) f->code = code;
            gathered++;
        }
        grpo__pass_slot(f, g, &f->slots[i]);
    }
    for (; kind == GRPO__STATE && gathered < 2; gathered++)   /* after an error, for the others  */
        grpo__gather_shares(g, g->machinery->adam_m);
    if (!f->code) f->code = grpo__device_check(g);            /* did each download succeed?      */
}

/* ---- reading */
/* Is this a list of exactly `count` numbers? */
static int grpo__json_numbers(const char *list, double *numbers, int count) {
    const char *value;
    int i = 0;
    if (*list != '[') return 0;
    while ((value = grpo__json_next(&list, NULL, 0)) != NULL)
        if (i == count || !grpo__json_number(value, &numbers[i++])) return 0;
    return i == count;
}

/* The slot of a name. The search begins at the last one found. */
static grpo__slot *grpo__find_slot(grpo__file *f, const char *name, int *last) {
    int i;
    for (i = 0; i < f->num_slots; i++, *last = (*last + 1) % f->num_slots)
        if (!strcmp(name, f->slots[*last].name)) return &f->slots[*last];
    grpo__bad(f, name, "is not part of this model (grpo_load_config() reads a folder's config)");
    return NULL;
}

/* What the model needs must be in `file`; "": in whichever file the index names. */
static void grpo__check_complete(grpo__file *f, const char *file) {
    int i;
    for (i = 0; i < f->num_slots; i++) {
        const grpo__slot *s = &f->slots[i];
        if (!s->found && (s->tensor || s->at) && !strcmp(s->file, file)
            && strcmp(s->name, "score.weight"))
            grpo__bad(f, s->name, *file && f->indexed
                      ? "is not in this file, though the index says so"
                      : strncmp(s->name, "reference.", 10)
                      ? "is missing (grpo_load_config() reads a folder's config)"
                      : "is missing: it was saved with objective.beta 0, so set that here too");
    }
}

/* {name: {"dtype": ..., "shape": [...], "data_offsets": [begin, end]}, ...} into the slots. The
 * shape must be the model's, so no size is computed from numbers in the file. */
static void grpo__read_entries(grpo__file *f, const char *header) {
    const char *entry;
    char name[GRPO__NAME] = "";
    int last = 0;
    while (!f->code && (entry = grpo__json_next(&header, name, sizeof name)) != NULL) {
        double shape[2] = { 0, 0 }, offsets[2] = { 0, 0 };
        const char *dtype = grpo__field(f, entry, "dtype"), *why = NULL, *at = entry, *value;
        const char *list = grpo__field(f, entry, "shape");
        const char *place = grpo__field(f, entry, "data_offsets");
        grpo__slot *s;
        if (!strcmp(name, "__metadata__")) {
            if (*entry != '{') grpo__bad(f, name, "is malformed");
            while ((value = grpo__json_next(&at, name, sizeof name)) != NULL)
                if (*value != '"') grpo__bad(f, "__metadata__", "may hold nothing but strings");
            continue;
        }
        if (!(s = grpo__find_slot(f, name, &last))) return;
        for (s->dtype = 0; s->dtype < GRPO__DTYPES; s->dtype++)
            if (grpo__json_is(dtype, grpo__dtypes[s->dtype].name)) break;
        if (s->found) why = "is there twice";
        else if (strcmp(s->file, f->name)) why = "is in another file than the index says";
        else if (!dtype || !list || !place) why = "needs one dtype, shape and data_offsets";
        else if (s->dtype == GRPO__DTYPES)
            why = "has a dtype other than F32, BF16 and F16: convert it";
        else if (!grpo__json_numbers(list, shape, s->cols ? 2 : 1) || shape[0] != s->rows
                 || shape[1] != s->cols)
            why = "has another shape than the config says (grpo_load_config() reads a folder's)";
        else if (!grpo__json_numbers(place, offsets, 2)
                 || offsets[1] - offsets[0]
                    != (double)s->count * (double)grpo__dtypes[s->dtype].size)
            why = "has data_offsets that do not fit its shape and dtype";
        if (why) grpo__bad(f, s->name, why);
        s->found = f->number;
        s->begin = (double)f->start + offsets[0];
        s->end = (double)f->start + offsets[1];
    }
    grpo__check_complete(f, f->name);
}

/* model.safetensors.index.json: which slot is in which file. */
static void grpo__read_index(grpo__file *f) {
    const char *at = grpo__field(f, grpo__read_json(f, 0, 1 << 24), "weight_map"), *value;
    char name[GRPO__NAME] = "";
    int i, last = 0;
    f->indexed = 1;
    for (i = 0; i < f->num_slots; i++) f->slots[i].file[0] = 0;
    if (!at || *at != '{') grpo__bad(f, "weight_map", "is missing, or is no object");
    while (!f->code && (value = grpo__json_next(&at, name, sizeof name)) != NULL) {
        grpo__slot *s = grpo__find_slot(f, name, &last);
        if (!s) return;
        if (s->file[0]) grpo__bad(f, name, "is there twice");
        if (!grpo__json_string(value, s->file, sizeof s->file) || !s->file[0]
            || strpbrk(s->file, "/\\:?") || strstr(s->file, ".."))
            grpo__bad(f, name, "must be in a file of this folder: no slashes, no ..");
    }
    grpo__check_complete(f, "");
}

/* One file: its header into the slots, a state's counters into a copy of the object (in the first
 * reading: the second allocates nothing, and so cannot run out of memory); then its tensors, each
 * beginning where the one before it ends: no overlaps, no gaps. */
static void grpo__read_archive(grpo__file *f, const grpo *g, grpo *copy) {
    unsigned char bytes[8] = { 0 };
    char theirs[GRPO__NAME] = "";
    const char *header = NULL, *metadata, *model;
    uint64_t size = 0;
    double at;
    int i, left = 0, last = 0;
    grpo__read(f, bytes, 8, 8);
    for (i = 0; i < 8; i++) size |= (uint64_t)bytes[i] << 8 * i;
    if (size < 2 || size > 100000000)                         /* upstream's limit                */
        grpo__bad(f, "the header", "cannot be that long: no safetensors file");
    if (f->code) return;
    f->start = (size_t)size + 8;
    if (!f->placing) header = grpo__read_json(f, (size_t)size, (size_t)size);
    else if (fseek(f->file, (long)f->start, SEEK_SET)) grpo__io(f, "cannot be read:");
    if (header && header != f->text.bytes) grpo__bad(f, "the header", "does not begin with {");
    metadata = grpo__field(f, header, "__metadata__");
    if (header && f->kind == GRPO__STATE) {
        model = grpo__field(f, metadata, "model");
        if (model) grpo__json_string(model, theirs, sizeof theirs);
        if (model && !f->code) f->code = grpo__compare(f->c, 1, f->name, theirs);
        grpo__check_vocabulary(f, metadata, &copy->config);
        if (!grpo__json_is(grpo__field(f, metadata, "grpo_format_version"), "1"))
            grpo__bad(f, "grpo_format_version", "is not 1");
        grpo__pass_counters(f, metadata, copy);
    }
    if (header) grpo__read_entries(f, header);
    for (i = 0; i < f->num_slots; i++) left += f->slots[i].found == f->number;
    for (at = (double)f->start; left > 0 && !f->code; left--, at = f->slots[last].end) {
        for (i = 0; i < f->num_slots; i++, last = (last + 1) % f->num_slots)
            if (f->slots[last].found == f->number && f->slots[last].begin == at) break;
        if (i < f->num_slots) grpo__pass_slot(f, g, &f->slots[last]);
        else grpo__bad(f, f->slots[last].name, "is followed by an overlap or a hole");
    }
    if (grpo__read(f, bytes, 0, 1))
        grpo__bad(f, "the file", "goes on after its last tensor: it is damaged");
}

/* All files of a model, or the one of the state. */
static void grpo__read_archives(grpo__file *f, const grpo *g, grpo *copy) {
    const grpo__slot *s = f->slots;
    int i, k;
    f->number = 0;
    for (i = 0; i < f->num_slots && !f->code; i++) {
        for (k = 0; strcmp(s[k].file, s[i].file); ) k++;
        if (k < i || !s[i].file[0]) continue;                 /* not the first tensor of a file  */
        f->number++;
        if (f->indexed) grpo__open(f, s[i].file, GRPO__READ);
        else rewind(f->file);
        grpo__read_archive(f, g, copy);
    }
    if (f->placing || f->code || !f->num_slots) return;
    s += f->num_slots - 1;
    if (s->tied && s->found && f->tied)
        grpo__bad(f, "lm_head.weight", "differs from the embeddings, though config.json says "
                  "tie_word_embeddings: set that to false");
}

/* ---- checkpoints */
static int grpo__load(grpo *g, const char *folder, int kind) {
    struct grpo__machinery *w = g->machinery;
    const char *name = grpo__archives[kind];
    grpo read = *g;                                           /* for the counters                */
    grpo__file f = grpo__files_of(&g->config, folder);
    grpo__open(&f, name, kind == GRPO__MODEL ? GRPO__TRY : GRPO__READ);
    grpo__add_slots(&f, g, kind);
    if (!f.file && grpo__open(&f, "model.safetensors.index.json", GRPO__TRY))
        grpo__read_index(&f);
    else if (!f.file) grpo__open(&f, name, GRPO__READ);  /* says why                        */
    grpo__read_archives(&f, g, &read);
    f.code = grpo__agree(g, f.code);
    f.placing = !f.code;
    if (f.placing) {
        w->stage = GRPO__EMPTY;                               /* the batch is the old weights'   */
        if (kind == GRPO__MODEL) w->frozen = 0;
        if (kind == GRPO__MODEL && w->shape.rank) grpo__initialize(g, w->num_tensors);
        grpo__read_archives(&f, g, &read);
        f.code = grpo__agree(g, f.code);
        if (f.code) grpo__begin(g);                           /* no mixture of the old and new   */
    }
    if (grpo__close(&f)) return f.code;
    grpo__weights_changed(g, GRPO_POLICY);
    if (w->reference) grpo__weights_changed(g, GRPO_REFERENCE);
    g->state = read.state;
    if (kind == GRPO__MODEL) g->state.reference_set = 1;
    g->config.objective = read.config.objective;
    g->config.seed = read.config.seed;
    return grpo__device_check(g);
}

/* config.json must agree with settings that the shapes of the weights do not determine. */
int grpo_load(grpo *g, const char *folder) {
    char theirs[GRPO__NAME];
    const grpo_lora *ours;
    grpo_config c;
    int lora, code = grpo__enter(g, "grpo_load", folder != NULL, GRPO__EMPTY);
    if (code) return grpo__agree(g, code);
    ours = &g->config.lora;
    c = g->config;
    if (c.encode) c.vocabulary = NULL;
    c.encode = NULL;                                          /* no eos_token_ids are wanted     */
    code = grpo__read_configs(&c, folder, &lora);
    memcpy(g->config.error, c.error, sizeof c.error);
    grpo__model_text(&c, 0, theirs, sizeof theirs);
    if (!code && lora && (c.lora.rank != ours->rank || c.lora.targets != ours->targets
                          || c.lora.alpha != ours->alpha))
        code = grpo__fail(g, GRPO_BAD_FILE, "%.90s holds LoRA's adapters, of rank %d and alpha %g, "
                          "and not for these settings: grpo_load_config() before grpo_new()",
                          folder, c.lora.rank, (double)c.lora.alpha);
    if (!code && !lora) code = grpo__compare(&g->config, 0, "config.json", theirs);
    if (code) return grpo__agree(g, code);
    code = grpo__load(g, folder, lora ? GRPO__ADAPTERS : GRPO__MODEL);
    if (!code && !lora) snprintf(g->machinery->base, sizeof g->machinery->base, "%s", folder);
    return code;
}

int grpo_resume(grpo *g, const char *folder) {
    int code = grpo__enter(g, "grpo_resume", folder != NULL, GRPO__EMPTY);
    return code ? grpo__agree(g, code) : grpo__load(g, folder, GRPO__STATE);
}

/* All files are first written as NAME.tmp: if one fails, the old ones are unchanged. A kill between
 * two renames leaves each file whole, the old or the new: a state is complete by itself, and
 * config.json comes last, so a new folder that has one is complete. (A folder holds one model, for
 * which the text of config.json is always the same.) */
static int grpo__write_folder(grpo *g, const char *folder, int state, int kind, int dtype) {
    int adapters = kind == GRPO__ADAPTERS, i, code;
    const char *const names[] = { grpo__archives[GRPO__STATE], grpo__archives[kind],
                                  adapters ? "adapter_config.json" : "config.json" };
    char from[GRPO__PATH], to[GRPO__PATH];
    grpo__file f;
    grpo__make_folder(folder);
    f = grpo__files_of(&g->config, folder);
    if (state) grpo__write_archive(&f, g, GRPO__STATE, GRPO__F32);
    grpo__write_archive(&f, g, kind, dtype);
    if (adapters) grpo__write_lora(&f, g->machinery->base);
    else grpo__write_config(&f, grpo__dtypes[dtype].torch);
    code = grpo__close(&f);
    for (i = !state; i < 3; i++) {
        snprintf(to, sizeof to, "%s/%s", folder, names[i]);
        snprintf(from, sizeof from, "%s/%s.tmp", folder, names[i]);
        if (!code && grpo__replace(from, to))
            code = grpo__fail(g, GRPO_IO, "%.90s/%s cannot be replaced: %s", folder, names[i],
                              strerror(errno));
        if (code) grpo__remove(from);
    }
    if (!code && grpo__sync_folder(folder))
        code = grpo__fail(g, GRPO_IO, "%.90s is saved, but may not survive a power cut: %s", folder,
                          strerror(errno));
    return code;
}

int grpo_save(grpo *g, const char *folder, int flags) {
    int dtype = flags & GRPO_SAVE_BF16 ? GRPO__BF16 : flags & GRPO_SAVE_F16 ? GRPO__F16 : GRPO__F32;
    int adapters = g && g->config.lora.rank && !(flags & GRPO_SAVE_MERGED);
    int kind = adapters ? GRPO__ADAPTERS : GRPO__MODEL;
    int state = (flags & GRPO_SAVE_STATE) != 0, code;
    code = grpo__enter(g, "grpo_save", folder != NULL, GRPO__EMPTY);
    if (!code && (!*folder || strlen(folder) > GRPO__PATH - 32))
        code = grpo__fail(g, GRPO_BAD_INPUT, "the name of the folder is empty or too long");
    if (!code && flags & GRPO_SAVE_BF16 && flags & GRPO_SAVE_F16)
        code = grpo__fail(g, GRPO_BAD_INPUT, "GRPO_SAVE_BF16 and GRPO_SAVE_F16: choose one");
    if (!code && state && g->config.team.size > 1 && g->machinery->pending)
        code = grpo__fail(g, GRPO_BAD_INPUT, "grpo_save: a gradient waits for grpo_optimize(), and "
                          "a team gathers its state where that is");
    if ((code = grpo__agree(g, code)) != GRPO_OK) return code;
    if (g->config.team.rank > 0) {  /* process 0 writes; it needs the others' moments            */
        if (state) code = grpo__gather_shares(g, g->machinery->adam_m);
        if (state && !code) code = grpo__gather_shares(g, g->machinery->adam_v);
    } else code = grpo__write_folder(g, folder, state, kind, dtype);
    if (state && g->config.team.size > 1) grpo__clear_gradient(g);
    return grpo__agree(g, code);
}

/* ------------------------------------------------------------------------------- >>selftest --
 * Finite differences: (L(x + h) - L(x - h)) / 2h against backward, where L is the outputs' sum
 * weighted by fixed random numbers. First each operation alone, then the whole graph. */
enum { GRPO__T_FLOATS = 8192 };     /* capacity of inputs and weights                            */

/* The shapes all trials share: prompts of 3 and 2 tokens, with completions of 2, 1 and 3 rows. */
enum { GRPO__T_ROWS = 11, GRPO__T_WIDTH = 12, GRPO__T_HEAD = 4, GRPO__T_VOCAB = 37,
       GRPO__T_CELLS = GRPO__T_ROWS * GRPO__T_WIDTH,
       GRPO__T_LOGITS = GRPO__T_ROWS * GRPO__T_VOCAB };

/* Offsets of the inputs after the first, x [rows, width] or qkv [rows, (4 + 2 * 2) head]. */
enum { GRPO__T_W = GRPO__T_CELLS, GRPO__T_BIAS = GRPO__T_W + GRPO__T_VOCAB * GRPO__T_WIDTH,
       GRPO__T_RESIDUAL = GRPO__T_BIAS + GRPO__T_VOCAB,
       GRPO__T_Q = GRPO__T_ROWS * 4 * GRPO__T_HEAD, GRPO__T_GAIN = 2 * GRPO__T_Q };

enum { GRPO__TRIALS = 7 };
static const struct { const char *name; int num_in, num_out; } grpo__trials[GRPO__TRIALS] = {
    { "embedding", 7 * GRPO__T_WIDTH, GRPO__T_CELLS },
    { "RMSNorm", GRPO__T_CELLS + GRPO__T_WIDTH, GRPO__T_CELLS },
    { "matrix product, bias, residual", GRPO__T_RESIDUAL + (int)GRPO__T_LOGITS,
      GRPO__T_LOGITS },
    { "q/k norm, rotary positions, attention", GRPO__T_GAIN + 2 * GRPO__T_HEAD, GRPO__T_Q },
    { "SwiGLU", 2 * GRPO__T_CELLS, GRPO__T_CELLS },
    { "head, log-probs and entropy of allowed sets", GRPO__T_BIAS, 2 * GRPO__T_ROWS + 1 },
    { "exact KL over allowed sets", GRPO__T_LOGITS, GRPO__T_ROWS } };

typedef struct grpo__trial_ints {   /* of grpo_rows and grpo_targets                             */
    int tokens[GRPO__T_ROWS], positions[GRPO__T_ROWS], slots[GRPO__T_ROWS];
    grpo_segment segments[5];
    int groups[3], offsets[GRPO__T_ROWS + 1], targets[GRPO__T_ROWS + 1];
    uint32_t allowed[2 * GRPO__T_ROWS];
    int allowed_rows[GRPO__T_ROWS];
} grpo__trial_ints;

typedef struct grpo__trial {
    const grpo_backend *b;
    void *context;
    grpo_config config, variant;    /* the caller's backend, allocator and log; of one trial     */
    int failures;
    double tolerance, step;         /* one float has 24 bits; a build in double has 53           */
    float x[GRPO__T_FLOATS], dx[GRPO__T_FLOATS], weigh[2048]; /* dL/dx; dL/dout                  */
    float moved[GRPO__T_FLOATS], direction[GRPO__T_FLOATS];
    float *in, *din, *out, *dout, *rstd, *scratch, *angles;   /* B                               */
    grpo__trial_ints *ints;         /* B                                                         */
} grpo__trial;

/* Operation i forward, in -> out, and backward, dout -> din (zeroed before). Intermediate arrays
 * are in scratch: q, k, v and their gradients; W's operand, and after it the logits. */
static void grpo__run_operation(grpo__trial *t, int i) {
    const grpo_backend *b = t->b;
    void *c = t->context;
    float *x = t->in, *dx = t->din, *y = t->out, *dy = t->dout, *s = t->scratch;
    float *logits = s + GRPO__T_FLOATS / 2;
    grpo__trial_ints *at = t->ints;
    const grpo_rows rows = { GRPO__T_ROWS, 5, 2, at->tokens, at->positions, 64, at->slots,
                             at->segments, at->groups, NULL, GRPO__T_ROWS };
    const grpo_heads heads = { 4, 2, GRPO__T_HEAD };
    const grpo_targets targets = { GRPO__T_ROWS, at->offsets, at->targets, at->allowed,
                                   at->allowed_rows, 0.7f };
    const grpo_matrix w = { x + GRPO__T_W, s, GRPO__T_VOCAB, GRPO__T_WIDTH, GRPO__T_VOCAB };
    const grpo_embedding embedding = { at->tokens, GRPO__T_ROWS, GRPO__T_WIDTH, x, y, dy, dx };
    const grpo_norm norm = { x, at->allowed_rows, x + GRPO__T_CELLS, 1e-5f, GRPO__T_ROWS,
                             GRPO__T_WIDTH, y, t->rstd, dy, dx, dx + GRPO__T_CELLS };
    grpo_product product = { &w, GRPO__T_ROWS, x, y, x + GRPO__T_BIAS, x + GRPO__T_RESIDUAL, dy,
                             dx, dx + GRPO__T_W, dx + GRPO__T_BIAS };
    const grpo_attention attention = {
        &rows, heads, x, t->angles, x + GRPO__T_GAIN, x + GRPO__T_GAIN + GRPO__T_HEAD, 1e-5f,
        s, s + 1024, s + 2048, y, t->rstd, dy, s + 3072, s + 4096, s + 5120, dx,
        dx + GRPO__T_GAIN, dx + GRPO__T_GAIN + GRPO__T_HEAD };
    const grpo_swiglu swiglu = { x, GRPO__T_ROWS, GRPO__T_WIDTH, y, dy, dx };
    grpo_head head;
    memset(&head, 0, sizeof head);
    head.w = &w; head.targets = targets; head.hidden = x;
    switch (i) {
    case 0: b->embed(c, &embedding); b->embed_backward(c, &embedding); break;
    case 1: b->rmsnorm(c, &norm); b->rmsnorm_backward(c, &norm); break;
    case 2:
        b->prepare(c, &w);
        b->matmul(c, &product); b->matmul_dx(c, &product); b->matmul_dw(c, &product);
        b->mix(c, dx + GRPO__T_RESIDUAL, dy, 0, 1, GRPO__T_LOGITS);
        break;
    case 3:
        b->rotate(c, &attention); b->attention(c, &attention);
        b->attention_backward(c, &attention); b->rotate_backward(c, &attention);
        break;
    case 4: b->swiglu(c, &swiglu); b->swiglu_backward(c, &swiglu); break;
    case 5:                         /* log-probs [rows + 1], for row 0 has two; entropies [rows] */
        head.logits = logits; head.keep_logits = 1;
        head.logprobs = y; head.entropies = y + GRPO__T_ROWS + 1;
        head.dlogprobs = dy; head.dentropies = dy + GRPO__T_ROWS + 1;
        product.dy = logits; product.dbias = NULL;
        b->prepare(c, &w);
        b->logprobs(c, &head); b->logprobs_backward(c, &head);
        b->matmul_dx(c, &product); b->matmul_dw(c, &product);
        break;
    default:                        /* of logits x to fixed ones                                 */
        head.logits = x; head.ref_logits = s; head.kl = y; head.dkl = dy;
        b->kl(c, &head);
        b->mix(c, dx, s, 0, 1, GRPO__T_LOGITS);
        head.ref_logits = dx;
        b->kl_backward(c, &head);
    }
}

static void grpo__report(grpo__trial *t, const char *what, double error) {
    int ok = error <= t->tolerance;
    t->failures += !ok;
    grpo__fail(t, GRPO_OK, "%s %-44s worst relative error %.1e", ok ? "ok  " : "FAIL", what, error);
}

static double grpo__trial_dot(const float *x, const float *y, size_t n) {
    double sum = 0;
    size_t i;
    for (i = 0; i < n; i++) sum += (double)x[i] * (double)y[i];
    return sum;
}

static void grpo__try_operation(grpo__trial *t, int which) {
    int num_in = grpo__trials[which].num_in, num_out = grpo__trials[which].num_out, i, side;
    double worst = 0, scale = 0;
    for (i = 0; i < num_in; i++) t->x[i] = grpo__normal(1, (uint64_t)i);
    for (i = 0; i < num_out; i++) t->weigh[i] = grpo__normal(2, (uint64_t)i);
    t->b->upload(t->context, t->in, t->x, (size_t)num_in * sizeof(float));
    t->b->upload(t->context, t->dout, t->weigh, (size_t)num_out * sizeof(float));
    t->b->zero(t->context, t->din, (size_t)num_in * sizeof(float));
    grpo__run_operation(t, which);
    t->b->download(t->context, t->dx, t->din, (size_t)num_in * sizeof(float));
    for (i = 0; i < num_in; i++) {  /* no fmax(): GCC 12 for aarch64 breaks off at its reduction */
        double size = fabs((double)t->dx[i]);
        if (size > scale) scale = size;
    }
    for (i = 0; i < num_in; i++) {
        float x[3] = { t->x[i] + (float)t->step, t->x[i] - (float)t->step, t->x[i] };
        double loss[2], error;
        for (side = 0; side < 2; side++) {
            t->b->upload(t->context, t->in + i, &x[side], sizeof(float));
            grpo__run_operation(t, which);
            t->b->download(t->context, t->moved, t->out, (size_t)num_out * sizeof(float));
            loss[side] = grpo__trial_dot(t->moved, t->weigh, (size_t)num_out);
        }
        t->b->upload(t->context, t->in + i, &x[2], sizeof(float));
        error = (loss[0] - loss[1]) / ((double)x[0] - (double)x[1]) - (double)t->dx[i];
        if (!(fabs(error) / scale <= worst)) worst = fabs(error) / scale;
    }
    grpo__report(t, grpo__trials[which].name, worst);
}

/* Two groups in eleven rows (see GRPO__T_ROWS), and the targets of the head. Slots begin at 25, so
 * that a group crosses a multiple of 32. Every third token is not allowed; all targets are. */
static int grpo__try_operations(grpo__trial *t) {
    enum { S = 25, A = 0x6db6db6d, B = 0x1b };
    static const grpo__trial_ints ints = {
        { 0, 5, 3, 1, 6, 4, 2, 0, 5, 3, 1 }, { 0, 1, 2, 3, 4, 3, 0, 1, 2, 3, 4 },
        { S, S + 1, S + 2, S + 3, S + 4, S + 5, S + 6, S + 7, S + 8, S + 9, S + 10 },
        { { 0, 3, 0, 0, S, 0 }, { 3, 2, S, 3, S + 3, 0 }, { 5, 1, S, 3, S + 5, 0 },
          { 6, 2, 0, 0, S + 6, 0 }, { 8, 3, S + 6, 2, S + 8, 0 } }, { 0, 3, 5 },
        { 0, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12 }, { 2, 5, 8, 11, 14, 17, 20, 23, 26, 29, 32, 35 },
        { A, B, A, B, A, B, A, B, A, B, A, B, A, B, A, B, A, B, A, B, A, B },
        { 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0 } };
    float **const places[7] = { &t->in, &t->din, &t->out, &t->dout, &t->rstd, &t->scratch,
                                &t->angles };
    float angles[GRPO__T_ROWS * GRPO__T_HEAD];
    size_t part = GRPO__T_FLOATS;
    float *memory = (float *)t->b->allocate(t->context, 8 * part * sizeof(float));
    int i;
    if (!memory) return GRPO_NO_MEMORY;
    t->b->zero(t->context, memory, 8 * part * sizeof(float));
    for (i = 0; i < 7; i++) *places[i] = memory + (size_t)i * part;
    t->ints = (grpo__trial_ints *)(void *)(memory + 7 * part);
    for (i = 0; i < GRPO__T_ROWS * GRPO__T_HEAD; i++)
        angles[i] = (float)(i % 2 ? sin(0.3 * (i / 2)) : cos(0.3 * (i / 2)));
    t->b->upload(t->context, t->angles, angles, sizeof angles);
    t->b->upload(t->context, t->ints, &ints, sizeof ints);
    for (i = 0; i < GRPO__TRIALS; i++) grpo__try_operation(t, i);
    t->b->release(t->context, memory);
    return GRPO_OK;
}

/* ---- the whole graph: every tensor of a small policy moved along two directions, its own gradient
 * and a random one, under an objective. The policy is first changed, so that it differs from the
 * one that sampled (ratios are not 1) and from the reference. */
static float grpo__try_reward(const grpo_sample *s, void *user) {
    (void)user;
    return (float)(s->num_tokens * 7 % 5) + 0.1f * (float)s->completion_index;
}

enum { GRPO__T_VARIANTS = 11 };
static const struct { const char *objective, *config; } grpo__variants[GRPO__T_VARIANTS] = {
    { "deepseekmath beta=0.1 kl=k1", "" }, { "dr_grpo beta=0.1 kl=k2 entropy_coef=0.05", "" },
    { "dapo equal_rewards=keep mask_truncated_completions=0 beta=0.1 kl=k3", "" },
    { "deepseekmath beta=0.1 kl=k1 entropy_coef=0.05 dual_clip=1.2 delta=1.3", "" },
    { "dr_grpo beta=0.1 kl=k2 loss=reinforce", "" },
    { "dapo equal_rewards=keep mask_truncated_completions=0 beta=0.1 kl=k3 entropy_coef=0.05", "" },
    { "deepseekmath beta=0.1 kl=full ratio=sequence", "" },
    { "dr_grpo beta=0.1 kl=k2 entropy_coef=0.05 loss=sapo ratio=sum", "" },
    { "trl beta=0.05 kl=full", "model.value_head=1" },
    { "deepseekmath beta=0.1 kl=k1 entropy_coef=0.05", "lora.rank=3 lora.alpha=5" },
    { "dr_grpo beta=0.1 kl=full", "lora.rank=2 lora.targets=34" } };          /* k_proj, up_proj */

static grpo_config *grpo__trial_config(grpo__trial *t, int variant) {
    grpo_config *c = &t->variant;
    *c = t->config;
    c->log = NULL;
    c->vocabulary = "0123456789";
    grpo_config_set(c, "model.hidden_size=16 model.intermediate_size=24 sampling.temperature=0.8 "
                    "model.num_key_value_heads=2 model.initializer_range=0.3 num_prompts=2 "
                    "num_generations=3 max_prompt_length=4 max_completion_length=5", NULL);
    grpo_config_set(c, variant % 2 ? "model.head_dim=6 model.attention_bias=1 sampling.top_k=7 "
                    "micro_batch_prompts=2" : "model.head_dim=4 model.tie_word_embeddings=0 "
                    "micro_batch_prompts=1", NULL);
    c->model.qk_norm = variant % 3 == 0;
    grpo_config_set(c, grpo__variants[variant].config, NULL);
    grpo_objective_set(&c->objective, grpo__variants[variant].objective, NULL);
    grpo_add_reward(c, "trial", grpo__try_reward, 1.0f, NULL);
    return c;
}

/* The loss, and (backward 1) its gradient. Of a value head: 1/2 (V - R)^2 where R is noise. */
static int grpo__graph_loss(grpo *g, int backward, double *loss) {
    float values[30], dvalues[30], returns[30];               /* as many tokens as there can be  */
    const struct grpo__machinery *w = g->machinery;
    const grpo_objective *o = &g->config.objective;
    grpo_sequences s = grpo_batch_sequences(g, w->new_logprobs);
    grpo_per_token now = { NULL, NULL, NULL, NULL }, d = { NULL, NULL, NULL, NULL };
    grpo__sums sums;
    int t, code = backward ? grpo__accumulate(g, o, 0, 2, &sums) : GRPO_OK;
    now.logprobs = w->new_logprobs; now.entropies = w->new_entropies; now.kl = w->new_kl;
    if (g->config.model.value_head) now.values = values;
    if (!code) code = grpo_forward(g, GRPO_POLICY, NULL, &now);
    if (code) return code;
    s.kl = now.kl; s.entropies = now.entropies;
    *loss = grpo_loss(o, &s, NULL, NULL, NULL);
    if (!now.values) return GRPO_OK;
    for (t = 0; t < 30; t++) returns[t] = grpo__normal(8, (uint64_t)t);
    *loss += grpo_value_loss(g->batch.offsets[6], values, returns, returns, NULL, 0, dvalues, NULL);
    d.values = dvalues;
    return backward ? grpo_backward(g, NULL, &d) : GRPO_OK;
}

/* trained[begin ... begin + n] = x + s * direction */
static void grpo__graph_move(grpo__trial *t, grpo *g, size_t begin, size_t n, double s) {
    struct grpo__machinery *w = g->machinery;
    size_t i;
    for (i = 0; i < n; i++)
        t->moved[i] = (float)((double)t->x[begin + i] + s * (double)t->direction[i]);
    w->backend->upload(w->context, w->trained + begin, t->moved, n * sizeof(float));
    grpo__weights_changed(g, GRPO_POLICY);
}

/* |finite difference - gradient . direction| / |gradient| of one tensor, the larger of two
 * directions. */
static double grpo__graph_tensor(grpo__trial *t, grpo *g, size_t begin, size_t n) {
    const float *dx = t->dx + begin;
    double worst = 0, norm = sqrt(grpo__trial_dot(dx, dx, n));
    size_t i;
    int which;
    for (which = 0; which < 2; which++) {
        double length, above = NAN, below = NAN, error;
        for (i = 0; i < n; i++) t->direction[i] = which ? grpo__normal(9, i) : dx[i];
        length = sqrt(grpo__trial_dot(t->direction, t->direction, n)) + 1e-30;
        grpo__graph_move(t, g, begin, n, t->step / length);
        grpo__graph_loss(g, 0, &above);
        grpo__graph_move(t, g, begin, n, -t->step / length);
        grpo__graph_loss(g, 0, &below);
        error = (above - below) / (2 * t->step) - grpo__trial_dot(t->direction, dx, n) / length;
        error = fabs(error) / (norm + 1e-3);
        if (!(error <= worst)) worst = error;
    }
    grpo__graph_move(t, g, begin, n, 0);
    return worst;
}

static int grpo__try_graph(grpo__trial *t, int variant) {
    grpo_prompt prompts[2];
    struct grpo__machinery *w;
    char what[64];
    double worst = 0, loss;
    grpo *g = grpo_new(grpo__trial_config(t, variant));
    size_t size, j;
    int i, code;
    if (!g) return GRPO_NO_MEMORY;
    w = g->machinery;
    size = g->num_trained * sizeof(float);
    prompts[0] = grpo_question("12", NULL);
    prompts[1] = grpo_question("345", NULL);
    code = grpo_rollout(g, prompts, 2);
    if (!code) code = grpo_score(g);
    if (!code) code = grpo_advantage(g);
    w->backend->download(w->context, t->x, w->trained, size);
    for (j = 0; j < GRPO__T_FLOATS; j++) t->direction[j] = grpo__normal(7, j);
    grpo__graph_move(t, g, 0, g->num_trained, 0.02);
    if (!code) code = grpo__graph_loss(g, 1, &loss);
    if (!code && w->dembed)
        t->b->mix(w->context, w->gradient, w->dembed, 1, 1, grpo__size(w->shape.V, w->shape.H));
    w->backend->download(w->context, t->x, w->trained, size);
    w->backend->download(w->context, t->dx, w->gradient, size);
    for (i = 0; i < w->num_trained_tensors && !code; i++) {
        const grpo__tensor *s = &w->trained_tensors[i];
        double error = grpo__graph_tensor(t, g, s->offset,
                                          grpo__size(s->rows, s->cols ? s->cols : 1));
        if (!(error <= worst)) worst = error;
    }
    snprintf(what, sizeof what, "whole graph, variant %d", variant);
    if (!code) grpo__report(t, what, worst);
    grpo_free(g);
    return code;
}

int grpo_selftest(const grpo_config *config) {
    int ours = !config || !config->allocate, i, code;
    grpo__trial *t;
    if (config && !config->allocate != !config->release) return GRPO_BAD_INPUT;
    t = (grpo__trial *)(ours ? malloc(sizeof *t) : config->allocate(sizeof *t, config->user));
    if (!t) return GRPO_NO_MEMORY;
    memset(t, 0, sizeof *t);
    t->config = grpo_defaults();
    if (config) {
        t->config.backend = config->backend; t->config.log = config->log;
        t->config.allocate = config->allocate; t->config.release = config->release;
        t->config.user = config->user;
    }
    if (!t->config.backend) t->config.backend = grpo_cpu();
    t->config.threads = 1;
    t->b = t->config.backend;
    t->step = sizeof(float) > 4 ? 1e-5 : 1e-3;
    t->tolerance = sizeof(float) > 4 ? 1e-6 : 1e-2;
    t->context = t->b->open(&t->config, t->config.error);
    code = t->context ? grpo__try_operations(t) : GRPO_DEVICE;
    if (t->context) t->b->close(t->context);
    for (i = 0; i < GRPO__T_VARIANTS && !code; i++) code = grpo__try_graph(t, i);
    i = t->failures;
    grpo__release(&t->config, t);
    return code ? code : i;
}

#ifdef __cplusplus
}
#endif
#if defined(__clang__)
#pragma STDC FP_CONTRACT DEFAULT
#elif defined(__GNUC__)
#pragma GCC pop_options
#endif
#endif /* GRPO_IMPLEMENTATION */

/* ============================================================================================
 *
 *   V   LICENCE
 *
 * ============================================================================================
 *
 * grpo.h and all files that come with it are available under two licences. Choose whichever you
 * prefer.
 *
 * ------------------------------------------------------------------------------------------------
 * ALTERNATIVE A - MIT License
 *
 * Copyright (c) 2026 the grpo.h authors
 *
 * Permission is hereby granted, free of charge, to any person obtaining a copy of this software and
 * associated documentation files (the "Software"), to deal in the Software without restriction,
 * including without limitation the rights to use, copy, modify, merge, publish, distribute,
 * sublicense, and/or sell copies of the Software, and to permit persons to whom the Software is
 * furnished to do so, subject to the following conditions:
 *
 * The above copyright notice and this permission notice shall be included in all copies or
 * substantial portions of the Software.
 *
 * THE SOFTWARE IS PROVIDED "AS IS", WITHOUT WARRANTY OF ANY KIND, EXPRESS OR IMPLIED, INCLUDING BUT
 * NOT LIMITED TO THE WARRANTIES OF MERCHANTABILITY, FITNESS FOR A PARTICULAR PURPOSE AND
 * NONINFRINGEMENT. IN NO EVENT SHALL THE AUTHORS OR COPYRIGHT HOLDERS BE LIABLE FOR ANY CLAIM,
 * DAMAGES OR OTHER LIABILITY, WHETHER IN AN ACTION OF CONTRACT, TORT OR OTHERWISE, ARISING FROM,
 * OUT OF OR IN CONNECTION WITH THE SOFTWARE OR THE USE OR OTHER DEALINGS IN THE SOFTWARE.
 *
 * ------------------------------------------------------------------------------------------------
 * ALTERNATIVE B - Public Domain (www.unlicense.org)
 *
 * This is free and unencumbered software released into the public domain.
 *
 * Anyone is free to copy, modify, publish, use, compile, sell, or distribute this software, either
 * in source code form or as a compiled binary, for any purpose, commercial or non-commercial, and
 * by any means.
 *
 * In jurisdictions that recognize copyright laws, the author or authors of this software dedicate
 * any and all copyright interest in the software to the public domain. We make this dedication for
 * the benefit of the public at large and to the detriment of our heirs and successors. We intend
 * this dedication to be an overt act of relinquishment in perpetuity of all present and future
 * rights to this software under copyright law.
 *
 * THE SOFTWARE IS PROVIDED "AS IS", WITHOUT WARRANTY OF ANY KIND, EXPRESS OR IMPLIED, INCLUDING BUT
 * NOT LIMITED TO THE WARRANTIES OF MERCHANTABILITY, FITNESS FOR A PARTICULAR PURPOSE AND
 * NONINFRINGEMENT. IN NO EVENT SHALL THE AUTHORS BE LIABLE FOR ANY CLAIM, DAMAGES OR OTHER
 * LIABILITY, WHETHER IN AN ACTION OF CONTRACT, TORT OR OTHERWISE, ARISING FROM, OUT OF OR IN
 * CONNECTION WITH THE SOFTWARE OR THE USE OR OTHER DEALINGS IN THE SOFTWARE.
 */
