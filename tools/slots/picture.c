/* Pictures of the slots (see picture.h). */
#include "picture.h"

#include <math.h>

#include "common/alloc.h"

enum { COLUMNS = 64, CELL = 16, CELLS = SLOTS / CELL, COLOURS = 12 };

/* Told apart by most eyes, also side by side. Terminal's 256 and SVG's. */
static const int ansi[COLOURS] = { 33, 208, 35, 160, 141, 94, 205, 246, 178, 44, 27, 113 };
static const char *const rgb[COLOURS] = { "#1f77b4", "#ff7f0e", "#2ca02c", "#d62728", "#9467bd", "#8c564b",
                                          "#e377c2", "#7f7f7f", "#bcbd22", "#17becf", "#3366ff", "#88c057" };

static char letter(int owner)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
    return owner < 0 ? '.' : letters[owner % (int)(sizeof(letters) - 1)];
}

static double cell_load(const struct slot_map *m, int cell, enum metric by)
{
    double sum = 0;
    for (int s = cell * CELL; s < (cell + 1) * CELL; s++)
        sum += m->loads[s].of[by];
    return sum;
}

/* Who has most slots of the cell. */
static int cell_owner(const int16_t owner[SLOTS], int cell)
{
    int best = owner[cell * CELL], best_n = 0;
    for (int i = cell * CELL; i < (cell + 1) * CELL; i++) {
        int n = 0;
        for (int k = cell * CELL; k < (cell + 1) * CELL; k++)
            n += owner[k] == owner[i];
        if (n > best_n) {
            best_n = n;
            best = owner[i];
        }
    }
    return best;
}

static const char *shade(double load, double mean)
{
    double r = mean > 0 ? load / mean : 0;
    return r <= 0 ? " " : r < 0.5 ? "░" : r < 1.5 ? "▒" : r < 4 ? "▓" : "█";
}

static void rows(FILE *to, const struct slot_map *m, const int16_t owner[SLOTS], enum metric by, bool colour,
                 bool letters)
{
    double mean = 0;
    for (int c = 0; c < CELLS; c++)
        mean += cell_load(m, c, by) / CELLS;
    for (int row = 0; row < CELLS / COLUMNS; row++) {
        fprintf(to, "%6d ", row * COLUMNS * CELL);
        for (int c = row * COLUMNS; c < (row + 1) * COLUMNS; c++) {
            int o = cell_owner(owner, c);
            if (letters) {
                fputc(letter(o), to);
                continue;
            }
            if (colour && o >= 0)
                fprintf(to, "\033[38;5;%dm", ansi[o % COLOURS]);
            fputs(shade(cell_load(m, c, by), mean), to);
            if (colour && o >= 0)
                fputs("\033[0m", to);
        }
        fputc('\n', to);
    }
}

void picture_text(FILE *to, const struct slot_map *m, const int16_t owner[SLOTS], enum metric by, bool colour)
{
    fprintf(to, "16384 slots by %s, 16 a character: ░ below half of the mean, ▒ about, ▓ over 1.5, █ over 4 times\n",
            metric_names[by]);
    rows(to, m, owner, by, colour, false);
    if (colour || m->masters_n < 2)
        return;
    fputs("owners\n", to);
    rows(to, m, owner, by, false, true);
}

void picture_bars(FILE *to, const struct slot_map *m, const int16_t owner[SLOTS], enum metric by)
{
    enum { WIDTH = 40 };
    double *loads = mem_alloc((size_t)(m->masters_n + 1) * sizeof(*loads)), max = 0;
    double mean = loads_by_master(m, owner, by, loads) / (m->masters_n ? m->masters_n : 1);
    for (int i = 0; i < m->masters_n; i++)
        max = loads[i] > max ? loads[i] : max;
    for (int i = 0; i < m->masters_n; i++) {
        int slots = 0, n = max > 0 ? (int)lround(loads[i] / max * WIDTH) : 0;
        for (int s = 0; s < SLOTS; s++)
            slots += owner[s] == i;
        fprintf(to, "  %c %.8s %21s%c%-5d %5d slots %14.0f %5.2fx ", letter(i), m->masters[i].id, m->masters[i].host,
                m->masters[i].port ? ':' : ' ', m->masters[i].port, slots, loads[i], mean > 0 ? loads[i] / mean : 0);
        for (int k = 0; k < n; k++)
            fputs("█", to);
        fputc('\n', to);
    }
    mem_free(loads);
}

/* ---- SVG ---- */

enum { SIDE = 128, PIXEL = 4, MAP = SIDE * PIXEL, TOP = 46, GAP = 24, BARS = 210, LEVELS = 8 };

/* How dark, on a logarithmic scale. */
static int level(const struct slot_map *m, int slot, enum metric by, double heaviest)
{
    double r = heaviest > 0 ? log1p(m->loads[slot].of[by]) / log1p(heaviest) : 0;
    return (int)lround(r * r * LEVELS);
}

/* The slots of one colour and darkness: one path of the runs that they are. */
static void svg_shade(FILE *to, const struct slot_map *m, const int16_t *owner, enum metric by, double heaviest, int x,
                      int colour, int dark)
{
    bool any = false;
    for (int s = 0, next; s < SLOTS; s = next) {
        next = s + 1;
        if (owner[s] < 0 || owner[s] % COLOURS != colour || level(m, s, by, heaviest) != dark)
            continue;
        while (next % SIDE && owner[next] == owner[s] && level(m, next, by, heaviest) == dark)
            next++;
        if (!any)
            fprintf(to, "<path fill=\"%s\" fill-opacity=\"%.2f\" d=\"", rgb[colour], 0.12 + 0.88 * dark / LEVELS);
        any = true;
        fprintf(to, "M%d %dh%dv%dh-%dz", x + s % SIDE * PIXEL, TOP + s / SIDE * PIXEL, (next - s) * PIXEL, PIXEL,
                (next - s) * PIXEL);
    }
    if (any)
        fprintf(to, "\"/>\n");
}

static void svg_map(FILE *to, const struct slot_map *m, const int16_t *owner, const int16_t *before, enum metric by,
                    double heaviest, int x)
{
    fprintf(to, "<rect x=\"%d\" y=\"%d\" width=\"%d\" height=\"%d\" fill=\"#f4f4f4\"/>\n", x, TOP, MAP, MAP);
    for (int colour = 0; colour < COLOURS && colour < m->masters_n; colour++)
        for (int dark = 0; dark <= LEVELS; dark++)
            svg_shade(to, m, owner, by, heaviest, x, colour, dark);
    if (!before)
        return;
    fprintf(to, "<path fill=\"none\" stroke=\"#000\" d=\"");
    for (int s = 0; s < SLOTS; s++)
        if (owner[s] != before[s])
            fprintf(to, "M%d.5 %d.5h3v3h-3z", x + s % SIDE * PIXEL, TOP + s / SIDE * PIXEL);
    fprintf(to, "\"/>\n");
}

static void svg_bars(FILE *to, const struct slot_map *m, const int16_t *owner, enum metric by, int x)
{
    double *loads = mem_alloc((size_t)(m->masters_n + 1) * sizeof(*loads)), max = 0;
    double mean = loads_by_master(m, owner, by, loads) / (m->masters_n ? m->masters_n : 1);
    for (int i = 0; i < m->masters_n; i++)
        max = loads[i] > max ? loads[i] : max;
    int step = m->masters_n > 12 ? MAP / m->masters_n : 40;
    for (int i = 0; i < m->masters_n && max > 0; i++) {
        double w = loads[i] / max * (BARS - 70);
        fprintf(to, "<rect x=\"%d\" y=\"%d\" width=\"%.1f\" height=\"%d\" fill=\"%s\"/>", x, TOP + i * step, w,
                step > 6 ? step - 6 : step, rgb[i % COLOURS]);
        if (step >= 12)
            fprintf(to, "<text x=\"%.1f\" y=\"%d\">%.2fx</text>\n", x + w + 4, TOP + i * step + step / 2,
                    loads[i] / mean);
    }
    double at = max > 0 ? mean / max * (BARS - 70) : 0;
    fprintf(to, "<line x1=\"%.1f\" y1=\"%d\" x2=\"%.1f\" y2=\"%d\" stroke=\"#444\" stroke-dasharray=\"4\"/>\n", x + at,
            TOP - 4, x + at, TOP + m->masters_n * step);
    double worst = max_over_mean(loads, m->masters_n);
    fprintf(to, "<text x=\"%d\" y=\"%d\">max / mean %.2f</text>\n", x, TOP + MAP - 4, worst);
    mem_free(loads);
}

static void svg_escaped(FILE *to, const char *text)
{
    for (; *text; text++) {
        if (*text == '<' || *text == '>' || *text == '&')
            fprintf(to, "&#%d;", *text);
        else
            fputc(*text, to);
    }
}

void picture_svg(FILE *to, const struct slot_map *m, const int16_t *after, enum metric by, const char *title)
{
    int panel = MAP + GAP + BARS, panels = after ? 2 : 1;
    double heaviest = 0;
    for (int s = 0; s < SLOTS; s++)
        heaviest = m->loads[s].of[by] > heaviest ? m->loads[s].of[by] : heaviest;
    fprintf(to, "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" height=\"%d\" font-family=\"sans-serif\" "
                "font-size=\"12\" shape-rendering=\"crispEdges\">\n"
                "<rect width=\"100%%\" height=\"100%%\" fill=\"#fff\"/>\n",
            panels * panel + GAP, TOP + MAP + GAP);
    fprintf(to, "<text x=\"%d\" y=\"18\" font-size=\"15\">", GAP / 2);
    svg_escaped(to, title);
    fprintf(to, "</text>\n");
    for (int i = 0; i < panels; i++) {
        int x = GAP / 2 + i * panel;
        const int16_t *owner = i ? after : m->owner;
        fprintf(to, "<text x=\"%d\" y=\"%d\">%s: slot 0 top left, 128 a row; colour: owner, darker: more %s%s</text>\n",
                x, TOP - 8, !after ? "now" : i ? "after" : "before", metric_names[by], i ? ", framed: moved" : "");
        svg_map(to, m, owner, i ? m->owner : NULL, by, heaviest, x);
        svg_bars(to, m, owner, by, x + MAP + GAP / 2);
    }
    fprintf(to, "</svg>\n");
}
