/* The picture: latency by percentile above, the distribution below; both axes of time are
 * logarithmic, and the percentiles are spread by how rare what lies beyond them is (1 - p,
 * logarithmic), as in HdrHistogram's plots. */
#include <errno.h>
#include <math.h>

#include "tools/bench/report.h"

#define WIDTH 860
#define LEFT 80
#define RIGHT 830
#define TOP 70
#define MIDDLE 360 /* lower edge of the upper panel */
#define BELOW 420
#define BOTTOM 600
#define DENSITY_STEPS 150
#define NINES_MAX 5.0 /* the upper panel's right edge is 99.999 % */

struct scale {
    double low, high; /* ns, powers of ten */
};

static const char *const colours[] = { "#1f77b4", "#d62728", "#2ca02c", "#9467bd",
                                       "#ff7f0e", "#17becf", "#8c564b" };

static const char *colour(uint32_t i)
{
    return colours[i % (sizeof colours / sizeof colours[0])];
}

/* 0..1 on the logarithmic axis of time. */
static double place(const struct scale *s, double nsec)
{
    double v = log10((nsec > s->low ? nsec : s->low) / s->low) / log10(s->high / s->low);
    return v < 1 ? v : 1;
}

static void text(FILE *f, double x, double y, const char *anchor, int size, const char *s)
{
    fprintf(f, "<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"%s\" font-size=\"%d\">", x, y, anchor,
            size);
    for (; *s; s++) {
        unsigned char c = (unsigned char)*s;
        if (c == '&' || c == '<' || c == '>' || c == '"')
            fprintf(f, "&#%d;", c);
        else
            fputc(c >= 0x20 && c < 0x7f ? c : '?', f);
    }
    fputs("</text>\n", f);
}

static void line(FILE *f, double x1, double y1, double x2, double y2)
{
    fprintf(f, "<line x1=\"%.1f\" y1=\"%.1f\" x2=\"%.1f\" y2=\"%.1f\" stroke=\"#ccc\"/>\n", x1, y1,
            x2, y2);
}

static double x_of_nines(double nines)
{
    return LEFT + nines / NINES_MAX * (RIGHT - LEFT);
}

static void upper_axes(FILE *f, const struct scale *s)
{
    static const char *const labels[] = { "0 %", "90 %", "99 %", "99.9 %", "99.99 %", "99.999 %" };
    char t[REPORT_TIME_MAX];
    for (int i = 0; i <= (int)NINES_MAX; i++) {
        line(f, x_of_nines(i), TOP, x_of_nines(i), MIDDLE);
        text(f, x_of_nines(i), MIDDLE + 18, "middle", 12, labels[i]);
    }
    for (double v = s->low; v <= s->high * 1.01; v *= 10) {
        double y = MIDDLE - place(s, v) * (MIDDLE - TOP);
        line(f, LEFT, y, RIGHT, y);
        text(f, LEFT - 8, y + 4, "end", 12, report_time(t, v));
    }
}

static void curve(FILE *f, const struct scale *s, const struct histogram *h, const char *stroke)
{
    fprintf(f, "<polyline fill=\"none\" stroke=\"%s\" stroke-width=\"2\" points=\"", stroke);
    double nines_max =
        h->count ? log10((double)h->count) : 0; /* rarer than one request says nothing */
    for (double nines = 0; nines <= NINES_MAX && nines <= nines_max + 0.025; nines += 0.025) {
        double v = (double)histogram_percentile(h, 100 * (1 - pow(10, -nines)));
        fprintf(f, "%.1f,%.1f ", x_of_nines(nines), MIDDLE - place(s, v) * (MIDDLE - TOP));
    }
    fputs("\"/>\n", f);
}

static void lower_axes(FILE *f, const struct scale *s)
{
    char t[REPORT_TIME_MAX];
    for (double v = s->low; v <= s->high * 1.01; v *= 10) {
        double x = LEFT + place(s, v) * (RIGHT - LEFT);
        line(f, x, BELOW, x, BOTTOM);
        text(f, x, BOTTOM + 18, "middle", 12, report_time(t, v));
    }
    line(f, LEFT, BOTTOM, RIGHT, BOTTOM);
    text(f, LEFT - 8, BELOW + 12, "end", 12, "share");
}

static void density(FILE *f, const struct scale *s, const struct histogram *h, const char *stroke)
{
    uint64_t counts[DENSITY_STEPS], most = 1;
    double ratio = pow(s->high / s->low, 1.0 / DENSITY_STEPS);
    for (int i = 0; i < DENSITY_STEPS; i++) {
        counts[i] = histogram_between(h, i ? (uint64_t)(s->low * pow(ratio, i)) : 0,
                                      (uint64_t)(s->low * pow(ratio, i + 1)));
        most = counts[i] > most ? counts[i] : most;
    }
    double step = (double)(RIGHT - LEFT) / DENSITY_STEPS;
    fprintf(f, "<polyline fill=\"%s\" fill-opacity=\"0.25\" stroke=\"%s\" points=\"%d,%d ", stroke,
            stroke, LEFT, BOTTOM);
    for (int i = 0; i < DENSITY_STEPS; i++)
        fprintf(f, "%.1f,%.1f ", LEFT + (i + 0.5) * step,
                BOTTOM - (double)counts[i] / (double)most * (BOTTOM - BELOW));
    fprintf(f, "%d,%d\"/>\n", RIGHT, BOTTOM);
}

static void titles(FILE *f, const struct options *o, const struct run_result *r)
{
    char title[400], what[256];
    report_workload(what, sizeof what, o, r);
    (void)snprintf(title, sizeof title, "%s: %s, %u connections, pipeline %u", r->target.version,
                   what, o->connections, o->pipeline);
    text(f, LEFT, 26, "start", 17, title);
    if (o->rate > 0)
        (void)snprintf(title, sizeof title,
                       "%.0f requests a second answered of %.0f, latency from the due time",
                       report_rate(r), o->rate);
    else
        (void)snprintf(title, sizeof title, "%.0f requests a second", report_rate(r));
    text(f, LEFT, 48, "start", 13, title);
    for (uint32_t i = 0; r->commands_n > 1 && i < r->commands_n; i++) {
        fprintf(f, "<rect x=\"%d\" y=\"%u\" width=\"12\" height=\"12\" fill=\"%s\"/>\n", LEFT + 12,
                TOP + 10 + 18 * i, colour(i));
        text(f, LEFT + 30, TOP + 20 + 18 * i, "start", 12, r->commands[i].name);
    }
}

int report_svg(const char *path, const struct options *o, const struct run_result *r)
{
    FILE *f = fopen(path, "w");
    if (!f)
        return -errno;
    const struct histogram *h = &r->latency;
    struct scale s = { 1000, 1e6 };
    if (h->count) {
        s.low = pow(10, floor(log10(h->min ? (double)h->min : 1)));
        s.high = pow(10, ceil(log10((double)h->max + 1)));
    }
    fprintf(f,
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" height=\"%d\" "
            "font-family=\"sans-serif\">\n"
            "<rect width=\"100%%\" height=\"100%%\" fill=\"white\"/>\n",
            WIDTH, BOTTOM + 40);
    titles(f, o, r);
    upper_axes(f, &s);
    lower_axes(f, &s);
    for (uint32_t i = 0; i < r->commands_n; i++) {
        const struct histogram *each = r->commands_n > 1 ? &r->commands[i].latency : h;
        curve(f, &s, each, colour(i));
        density(f, &s, each, colour(i));
    }
    fputs("</svg>\n", f);
    bool bad = ferror(f);
    return fclose(f) != 0 || bad ? -EIO : 0;
}
