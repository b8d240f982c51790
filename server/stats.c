/* Counters of the node (see stats.h). */
#include "server/stats.h"

#include "common/alloc.h"

enum { SAMPLES = 16, CODES_MAX = 128, CODE_BYTES = 64 };

struct error_codes {
    int n;
    struct {
        char code[CODE_BYTES];
        uint64_t count;
    } list[CODES_MAX];
};

struct stats *stats_new(void)
{
    struct stats *s = mem_zalloc(sizeof(*s));
    s->error_codes = mem_zalloc(sizeof(struct error_codes));
    return s;
}

void stats_free(struct stats *s)
{
    if (!s)
        return;
    mem_free(s->error_codes);
    mem_free(s);
}

void stats_reset(struct stats *s)
{
    struct error_codes *codes = s->error_codes;
    uint64_t startup = s->startup_memory;
    codes->n = 0;
    *s = (struct stats){ .error_codes = codes, .startup_memory = startup };
}

/* The first word of an error; "ERR" for texts without a code. */
static struct bytes code_of(struct bytes text)
{
    const char *space = memchr(text.p, ' ', text.n);
    size_t n = space ? (size_t)(space - text.p) : text.n;
    for (size_t i = 0; i < n; i++)
        if (text.p[i] == '\r' || text.p[i] == '\n')
            n = i;
    return bytes_of(text.p, n);
}

void stats_error(struct stats *s, struct bytes text)
{
    struct error_codes *codes = s->error_codes;
    struct bytes code = code_of(text);
    s->errors++;
    if (code.n == 0 || code.n >= CODE_BYTES)
        return;
    for (int i = 0; i < codes->n; i++) {
        if (!bytes_eq(code, bytes_of_str(codes->list[i].code)))
            continue;
        codes->list[i].count++;
        return;
    }
    if (codes->n == CODES_MAX) /* scripts can invent codes: the number of kinds is bounded */
        return;
    memcpy(codes->list[codes->n].code, code.p, code.n);
    codes->list[codes->n].code[code.n] = '\0';
    codes->list[codes->n++].count = 1;
}

void stats_each_error(const struct stats *s, void (*visit)(void *ctx, struct bytes code, uint64_t count), void *ctx)
{
    const struct error_codes *codes = s->error_codes;
    for (int i = 0; i < codes->n; i++)
        visit(ctx, bytes_of_str(codes->list[i].code), codes->list[i].count);
}

void stats_sample(struct stats *s, enum stats_rate which, uint64_t value, msec_t now)
{
    msec_t elapsed = now - s->rate[which].last_at;
    if (s->rate[which].last_at && elapsed > 0) {
        uint64_t last = s->rate[which].last_value;
        uint64_t delta = value > last ? value - last : 0; /* a reset takes counters back */
        s->rate[which].samples[s->rate[which].next] = delta * 1000 / (uint64_t)elapsed;
        s->rate[which].next = (s->rate[which].next + 1) % SAMPLES;
    }
    s->rate[which].last_at = now;
    s->rate[which].last_value = value;
}

uint64_t stats_per_second(const struct stats *s, enum stats_rate which)
{
    uint64_t sum = 0;
    for (int i = 0; i < SAMPLES; i++)
        sum += s->rate[which].samples[i];
    return sum / SAMPLES;
}
