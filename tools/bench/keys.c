/* Zipfian draws by rejection-inversion (W. Hörmann, G. Derflinger: Rejection-inversion to generate
 * variates from monotone discrete distributions, 1996): exact for any number of keys, without a
 * table, a little more than one try.
 *
 * h(x) = x^-s is the density; H its integral, written so that it is precise near s = 1. */
#include "tools/bench/keys.h"

static double log1p_over_x(double x)
{
    return fabs(x) > 1e-8 ? log1p(x) / x : 1 - x * (0.5 - x * (1.0 / 3));
}

static double expm1_over_x(double x)
{
    return fabs(x) > 1e-8 ? expm1(x) / x : 1 + x * 0.5 * (1 + x * (1.0 / 3));
}

static double h(const struct keys *k, double x)
{
    return exp(-k->exponent * log(x));
}

static double h_integral(const struct keys *k, double x)
{
    double l = log(x);
    return expm1_over_x((1 - k->exponent) * l) * l;
}

static double h_inverse(const struct keys *k, double x)
{
    double t = x * (1 - k->exponent);
    if (t < -1)
        t = -1; /* rounding */
    return exp(log1p_over_x(t) * x);
}

void keys_init(struct keys *k, enum distribution dist, uint64_t n, double exponent, uint64_t seed)
{
    *k = (struct keys){ .dist = dist, .n = n, .exponent = exponent };
    prng_init(&k->random, seed);
    if (dist != DIST_ZIPF)
        return;
    k->h_first = h_integral(k, 1.5) - 1;
    k->h_last = h_integral(k, (double)n + 0.5);
    k->squeeze = 2 - h_inverse(k, h_integral(k, 2.5) - h(k, 2));
}

uint64_t keys_next_zipf(struct keys *k)
{
    for (;;) {
        double u = k->h_last + prng_double(&k->random) * (k->h_first - k->h_last);
        double x = h_inverse(k, u);
        double rank = floor(x + 0.5);
        if (rank < 1)
            rank = 1;
        else if (rank > (double)k->n)
            rank = (double)k->n;
        if (rank - x <= k->squeeze || u >= h_integral(k, rank + 0.5) - h(k, rank))
            return (uint64_t)rank - 1;
    }
}
