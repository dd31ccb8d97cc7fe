/* seeds.h: what a comparison over random seeds says, and what it does not.
 *
 * x[i] is the result of seed i. A mean is printed with half of its 95 % confidence interval, by
 * Student's t over the seeds: "0.80 +- 0.04". Where two methods ran with the same seeds, the mean
 * of their differences, seed by seed, is the better test: what a seed made easy or hard for both
 * falls out. A star marks a difference whose interval does not contain 0. Of twenty comparisons
 * without any difference, one has a star. */
#ifndef SEEDS_H
#define SEEDS_H

#include <math.h>
#include <stdio.h>

enum { SEEDS_MOST = 50 };

static inline double seeds_mean(const double *x, int n) {
    double sum = 0;
    int i;
    for (i = 0; i < n; i++) sum += x[i];
    return sum / n;
}

/* Half of the 95 % interval of the mean of 2 to SEEDS_MOST numbers; 0 for one alone. */
static inline double seeds_interval(const double *x, int n) {
    static const double t[SEEDS_MOST] = {    /* quantile .975, n - 1 degrees of freedom  */
        0, 12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179,
        2.160, 2.145, 2.131, 2.120, 2.110, 2.101, 2.093, 2.086, 2.080, 2.074, 2.069, 2.064, 2.060,
        2.056, 2.052, 2.048, 2.045, 2.042, 2.040, 2.037, 2.035, 2.032, 2.030, 2.028, 2.026, 2.024,
        2.023, 2.021, 2.020, 2.018, 2.017, 2.015, 2.014, 2.013, 2.012, 2.011, 2.010 };
    double mean = seeds_mean(x, n), squares = 0;
    int i;
    for (i = 0; i < n; i++) squares += (x[i] - mean) * (x[i] - mean);
    return n > 1 ? t[n - 1] * sqrt(squares / (n - 1) / n) : 0;
}

/* Mean and half-width of a - b, seed by seed; 1 if the interval does not contain 0. */
static inline int seeds_difference(const double *a, const double *b, int n, double *mean,
                                   double *half) {
    double d[SEEDS_MOST];
    int i;
    for (i = 0; i < n; i++) d[i] = a[i] - b[i];
    *mean = seeds_mean(d, n);
    *half = seeds_interval(d, n);
    return n > 1 && fabs(*mean) > *half;
}

/* A cell of a table, "| 0.80 +- 0.04 ". */
static inline void seeds_print(const double *x, int n) {
    printf("| %.3f +- %.3f ", seeds_mean(x, n), seeds_interval(x, n));
}

/* "| +0.05 +- 0.03 * " */
static inline void seeds_print_difference(const double *a, const double *b, int n) {
    double mean, half;
    int significant = seeds_difference(a, b, n, &mean, &half);
    printf("| %+.3f +- %.3f%s ", mean, half, significant ? " *" : "");
}

#endif
