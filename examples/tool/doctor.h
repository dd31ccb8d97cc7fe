/* doctor.h: what is wrong with a run, in a sentence, and what to try.
 *
 *     const char *line = doctor_says(points, n);         the last steps, oldest first; NULL: well
 *
 * Every rule asks for several steps in a row, so that one odd batch raises no alarm. The thresholds
 * are ours, from the runs of these examples; what they look for is in the questions of grpo.h. What
 * a step had nothing to measure by is NaN, which is beyond no limit. */
#ifndef DOCTOR_H
#define DOCTOR_H

#include <math.h>
#include <stddef.h>

enum { DOCTOR_STEPS = 8, DOCTOR_SOON = 3 };     /* that a rule looks at; where there is no chance */

typedef struct doctor_point {       /* one step                                                  */
    double reward, dead, clipped, kl, entropy, length, clip_region, skipped;
    double unjudged, masked;        /* 1: no reward was a number; no token counts in the loss    */
} doctor_point;

/* The means of what was none. */
static inline void doctor_forget(doctor_point *p) {
    if (p->unjudged > 0) p->reward = p->dead = (double)NAN;
    if (p->masked > 0) p->kl = p->entropy = p->clip_region = (double)NAN;
}

/* Is the least (sign 1) or most (sign -1) of a field over the points at or beyond a limit? */
static inline int doctor_all(const doctor_point *p, int n, size_t field, double limit, int sign) {
    int i;
    for (i = 0; i < n; i++) {
        double x = *(const double *)(const void *)((const char *)&p[i] + field);
        if (!(sign * x >= sign * limit)) return 0;
    }
    return 1;
}

#define DOCTOR_ALL(field, limit, sign) \
    doctor_all(p, DOCTOR_STEPS, offsetof(doctor_point, field), limit, sign)

static inline const char *doctor_says(const doctor_point *p, int n) {
    if (n >= DOCTOR_SOON) {
        const doctor_point *last = p + n - DOCTOR_SOON;
        if (doctor_all(last, DOCTOR_SOON, offsetof(doctor_point, unjudged), 1, 1))
            return "no completion has got a reward that is a number, so nothing can be learned: "
                   "can the rewards judge by these answers?";
        if (doctor_all(last, DOCTOR_SOON, offsetof(doctor_point, masked), 1, 1)
            && doctor_all(last, DOCTOR_SOON, offsetof(doctor_point, clipped), 1 - 1e-9, 1))
            return "every completion was cut off and left out of the loss, so nothing is learned: "
                   "raise max-completion-length, or set mask-truncated-completions to 0";
    }
    if (n < DOCTOR_STEPS) return NULL;
    p += n - DOCTOR_STEPS;
    if (DOCTOR_ALL(skipped, 1, 1))
        return "every update is skipped: the gradient is not finite. Lower the learning rate, and "
               "look whether a reward is huge";
    if (DOCTOR_ALL(dead, 0.95, 1) && DOCTOR_ALL(reward, 1e-6, -1))
        return "no completion earns anything, so nothing can be learned: is the prompt the one "
               "that the model knows, is the answer's form too strict, are the questions too hard? "
               "Try easier ones, partial rewards, larger groups";
    if (DOCTOR_ALL(dead, 0.95, 1))
        return "all rewards of each group are equal, so nothing can be learned: the questions are "
               "too easy or too hard, the reward tells nothing apart, or sampling is not random "
               "enough";
    if (DOCTOR_ALL(clipped, 0.95, 1))
        return "hardly a completion ends by itself: is end-of-text the right token? Raise "
               "max-completion-length, or reward brevity";
    if (DOCTOR_ALL(entropy, 0.02, -1))
        return "the entropy is gone: the policy says one thing and explores no more. Lower the "
               "learning rate, raise beta or entropy-coef, or stop here";
    if (DOCTOR_ALL(kl, 10, 1))
        return "the policy has left its reference (KL above 10): lower the learning rate or raise "
               "beta";
    if (DOCTOR_ALL(clip_region, 0.4, 1))
        return "four tokens of ten are clipped: the policy moves too far in one rollout. Lower the "
               "learning rate or num-iterations";
    if (p[0].length > 8 && p[DOCTOR_STEPS - 1].length > 3 * p[0].length)
        return "completions grow threefold within a few steps: is the reward paid for length?";
    return NULL;
}
#undef DOCTOR_ALL

#endif
