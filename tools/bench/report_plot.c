/* The latency distribution in the terminal. Steps are equal ratios, for latencies spread over
 * orders of magnitude; the marks at the right say in which step a percentile lies. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "tools/bench/report.h"

#define STEPS_MAX 20
#define STEP_RATIO_MIN 1.08
#define BAR_COLUMNS 48

/* Eighths of a block where the terminal speaks UTF-8, else '#'. */
static bool speaks_utf8(void)
{
    const char *names[] = { "LC_ALL", "LC_CTYPE", "LANG" };
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        const char *v = getenv(names[i]);
        if (v && *v)
            return strcasestr(v, "utf-8") || strcasestr(v, "utf8");
    }
    return false;
}

static void bar(FILE *f, double share, bool utf8)
{
    static const char *const eighths[] = { " ", "▏", "▎", "▍", "▌", "▋", "▊", "▉" };
    int units = (int)(share * BAR_COLUMNS * 8 + 0.5), columns = 0;
    if (share > 0 && units == 0)
        units = 1;
    for (; units >= 8; units -= 8, columns++)
        fputs(utf8 ? "█" : "#", f);
    if (units && columns < BAR_COLUMNS) {
        fputs(utf8 ? eighths[units] : units >= 4 ? "#" : ".", f);
        columns++;
    }
    fprintf(f, "%*s", BAR_COLUMNS - columns, "");
}

/* The percentiles that lie in [from, to). */
static void marks(FILE *f, const struct histogram *h, double from, double to, bool last)
{
    for (size_t i = 0; i < QUANTILES; i++) {
        double v = (double)histogram_percentile(h, quantiles[i].percent);
        if (v >= from && (v < to || last))
            fprintf(f, " %s", quantiles[i].name);
    }
}

void report_plot(FILE *f, const struct run_result *r)
{
    const struct histogram *h = &r->latency;
    if (h->count == 0)
        return;
    double low = (double)(h->min ? h->min : 1) * 0.999, high = (double)h->max * 1.001 + 1;
    int steps = (int)(log(high / low) / log(STEP_RATIO_MIN)) + 1;
    if (steps > STEPS_MAX)
        steps = STEPS_MAX;
    double ratio = pow(high / low, 1.0 / steps);
    uint64_t counts[STEPS_MAX], most = 1;
    for (int i = 0; i < steps; i++) {
        double from = i ? low * pow(ratio, i) : 0; /* a bucket may begin below the smallest value */
        counts[i] = histogram_between(h, (uint64_t)from, (uint64_t)(low * pow(ratio, i + 1)));
        most = counts[i] > most ? counts[i] : most;
    }
    bool utf8 = speaks_utf8();
    fputc('\n', f);
    for (int i = 0; i < steps; i++) {
        char t[REPORT_TIME_MAX];
        double from = low * pow(ratio, i);
        fprintf(f, "%10s  ", report_time(t, from));
        bar(f, (double)counts[i] / (double)most, utf8);
        fprintf(f, "%9.4f %%", 100.0 * (double)counts[i] / (double)h->count);
        marks(f, h, i ? from : 0, low * pow(ratio, i + 1), i + 1 == steps);
        fputc('\n', f);
    }
}
