/* Building templates from words with placeholders, and rendering requests from them.
 *
 * All the work is done once, in workload_init: an argument's length must be known to write its
 * "$<n>", so a key is a prefix and as many digits as fill the key size, and a value is cut from a
 * fixed noise. */
#include "tools/bench/workload.h"

#include "common/alloc.h"
#include "common/num.h"
#include "common/text.h"

#define FORMS_BYTES_MAX                                                                            \
    ((size_t)64 << 20) /* of all forms of one command; fewer sizes are used beyond */
#define FIELD_PREFIX "f:"
#define NOISE_ALPHABET "abcdefghijklmnopqrstuvwxyz0123456789"

/* What it takes to expand one command. */
struct builder {
    const struct options *options;
    const char *prefix; /* of __key__ */
    struct buf *error;
    struct buf request; /* under construction */
    struct patch *patches;
    uint32_t patches_n, patches_cap;
    uint32_t value_size; /* of this form */
};

static unsigned digits_for(uint64_t n)
{
    return num_digits10(n - 1);
}

static bool fail(struct builder *b, const char *why, const char *what)
{
    (void)buf_printf(b->error, "%s%s", why, what);
    return false;
}

static void add_patch(struct builder *b, enum patch_source source, unsigned digits,
                      size_t argument_at)
{
    if (b->patches_n == b->patches_cap) {
        b->patches_cap = b->patches_cap ? b->patches_cap * 2 : 8;
        b->patches = mem_realloc(b->patches, b->patches_cap * sizeof *b->patches);
    }
    b->patches[b->patches_n++] = (struct patch){ .offset = (uint32_t)argument_at,
                                                 .digits = (uint8_t)digits,
                                                 .source = source };
}

/* Prefix and zero digits, `size` bytes in all. */
static bool expand_name(struct builder *b, struct buf *argument, const char *prefix,
                        enum patch_source source)
{
    uint64_t n = source == PATCH_KEY ? b->options->keyspace : b->options->fields;
    size_t prefix_n = strlen(prefix), size = b->options->key_size;
    if (size < prefix_n + digits_for(n))
        return fail(b, "--key-size is too small for the key space behind the prefix ", prefix);
    size_t digits = size - prefix_n;
    if (digits > NUM_I64_MAX - 1) /* more than any number needs: the rest are zeros of the prefix */
        digits = NUM_I64_MAX - 1;
    (void)buf_append_str(argument, prefix);
    for (size_t i = prefix_n; i < size - digits; i++)
        (void)buf_append_char(argument, '0');
    add_patch(b, source, (unsigned)digits, argument->n);
    for (size_t i = 0; i < digits; i++)
        (void)buf_append_char(argument, '0');
    return true;
}

static void expand_score(struct builder *b, struct buf *argument)
{
    unsigned digits = digits_for(b->options->fields);
    add_patch(b, PATCH_SCORE, digits, argument->n);
    for (unsigned i = 0; i < digits; i++)
        (void)buf_append_char(argument, '0');
}

/* Letters and digits that do not repeat early, and begin with a letter so that no value is a
 * number. */
static void expand_value(struct builder *b, struct buf *argument)
{
    struct prng noise;
    prng_init(&noise, b->value_size);
    for (uint32_t i = 0; i < b->value_size; i++)
        (void)buf_append_char(argument, NOISE_ALPHABET[prng_below(&noise, i ? 36 : 26)]);
}

static bool take(struct bytes *text, const char *placeholder)
{
    size_t n = strlen(placeholder);
    if (text->n < n || memcmp(text->p, placeholder, n) != 0)
        return false;
    *text = bytes_of(text->p + n, text->n - n);
    return true;
}

static bool expand_word(struct builder *b, struct bytes word, struct buf *argument)
{
    while (word.n) {
        if (take(&word, "__key__")) {
            if (!expand_name(b, argument, b->prefix, PATCH_KEY))
                return false;
        } else if (take(&word, "__field__")) {
            if (!expand_name(b, argument, FIELD_PREFIX, PATCH_FIELD))
                return false;
        } else if (take(&word, "__score__")) {
            expand_score(b, argument);
        } else if (take(&word, "__value__")) {
            expand_value(b, argument);
        } else {
            (void)buf_append_char(argument, *word.p);
            word = bytes_of(word.p + 1, word.n - 1);
        }
    }
    return true;
}

static bool add_argument(struct builder *b, struct bytes word)
{
    struct buf argument = BUF_INIT(BUF_UNLIMITED);
    uint32_t first = b->patches_n;
    bool ok = expand_word(b, word, &argument);
    if (ok) {
        (void)buf_printf(&b->request, "$%zu\r\n", argument.n);
        for (uint32_t i = first; i < b->patches_n; i++)
            b->patches[i].offset += (uint32_t)b->request.n; /* it was relative to the argument */
        ok = buf_append(&b->request, buf_bytes(&argument)) == 0 &&
             buf_append_str(&b->request, "\r\n") == 0;
        if (!ok)
            (void)fail(b, "a request would be larger than 1 GB", "");
    }
    buf_done(&argument);
    return ok;
}

static bool build_form(struct builder *b, const struct bytes *argv, size_t argc,
                       struct form *ret_form)
{
    b->request = BUF_INIT((size_t)1 << 30);
    b->patches = NULL;
    b->patches_n = b->patches_cap = 0;
    (void)buf_printf(&b->request, "*%zu\r\n", argc);
    for (size_t i = 0; i < argc; i++) {
        if (!add_argument(b, argv[i])) {
            buf_done(&b->request);
            mem_free(b->patches);
            return false;
        }
    }
    *ret_form = (struct form){ b->request.p, b->request.n, b->patches, b->patches_n };
    return true;
}

static bool has_value(const struct bytes *argv, size_t argc)
{
    for (size_t i = 0; i < argc; i++)
        if (memmem(argv[i].p, argv[i].n, "__value__", 9))
            return true;
    return false;
}

/* How many sizes stand for the range of values. */
static uint32_t forms_for(const struct options *o, const struct bytes *argv, size_t argc)
{
    if (!has_value(argv, argc))
        return 1;
    size_t sizes = (size_t)o->value_max - o->value_min + 1;
    size_t fit = FORMS_BYTES_MAX / ((size_t)o->value_max * argc + 64) + 1;
    size_t n = sizes < VALUE_FORMS_MAX ? sizes : VALUE_FORMS_MAX;
    return (uint32_t)(n < fit ? n : fit);
}

static uint32_t size_of_form(const struct options *o, uint32_t i, uint32_t n)
{
    if (n == 1)
        return o->value_max;
    return o->value_min + (uint32_t)((uint64_t)(o->value_max - o->value_min) * i / (n - 1));
}

static void name_command(struct workload_command *c, struct bytes word)
{
    size_t n = word.n < sizeof c->name - 1 ? word.n : sizeof c->name - 1;
    for (size_t i = 0; i < n; i++)
        c->name[i] = (char)(word.p[i] >= 'a' && word.p[i] <= 'z' ? word.p[i] - 32 : word.p[i]);
    c->name[n] = '\0';
}

static bool add_command(struct workload *w, struct builder *b, struct bytes text, double weight)
{
    if (w->commands_n == OPTIONS_COMMANDS_MAX)
        return fail(b, "too many commands in the mix", "");
    struct arena arena;
    arena_init(&arena);
    struct bytes *argv;
    size_t argc;
    bool ok = text_split(text, &arena, &argv, &argc) && argc > 0;
    if (!ok)
        (void)fail(b, "an empty command, or unbalanced quotes in it", "");
    struct workload_command *c = &w->commands[w->commands_n];
    if (ok) {
        uint32_t n = forms_for(b->options, argv, argc);
        *c = (struct workload_command){ .weight = weight,
                                        .forms = mem_zalloc(n * sizeof *c->forms) };
        w->commands_n++;
        name_command(c, argv[0]);
        for (uint32_t i = 0; i < n && ok; i++) {
            b->value_size = size_of_form(b->options, i, n);
            ok = build_form(b, argv, argc, &c->forms[i]);
            c->forms_n += ok;
        }
    }
    arena_done(&arena);
    for (uint32_t i = 0; ok && i < c->forms[0].patches_n; i++)
        c->keys_n += c->forms[0].patches[i].source == PATCH_KEY;
    return ok;
}

static bool add_builtin(struct workload *w, struct builder *b, struct bytes name, double weight)
{
    const struct builtin *f = builtin_find(name);
    if (!f) {
        (void)buf_append_str(b->error, "--mix has no command ");
        (void)buf_append(b->error, name);
        return false;
    }
    struct buf text = BUF_INIT(BUF_UNLIMITED);
    (void)buf_append_str(&text, f->text);
    if (b->options->ttl_seconds && bytes_is(name, "SET"))
        (void)buf_printf(&text, " EX %llu", (unsigned long long)b->options->ttl_seconds);
    b->prefix = f->prefix ? f->prefix : b->options->key_prefix;
    bool ok = add_command(w, b, buf_bytes(&text), weight);
    buf_done(&text);
    return ok;
}

/* "get:90,set:10": a weight is 1 when it is not there. */
static bool add_mix(struct workload *w, struct builder *b, const char *mix)
{
    for (const char *p = mix; *p;) {
        size_t n = strcspn(p, ",");
        size_t name_n = strcspn(p, ":,");
        double weight = 1;
        if (name_n < n && (!num_parse_double(bytes_of(p + name_n + 1, n - name_n - 1), &weight) ||
                           !(weight > 0) || weight > 1e9))
            return fail(b, "--mix takes NAME:WEIGHT,... with weights above 0, not ", mix);
        if (!add_builtin(w, b, bytes_of(p, name_n), weight))
            return false;
        p += n + (p[n] == ',');
    }
    return true;
}

/* Every command gets its share of the table; the order does not matter, entries are drawn at
 * random. */
static void fill_picks(struct workload *w)
{
    double total = 0, sum = 0;
    for (uint32_t i = 0; i < w->commands_n; i++)
        total += w->commands[i].weight;
    uint32_t at = 0;
    for (uint32_t i = 0; i < w->commands_n; i++) {
        sum += w->commands[i].weight;
        for (; at < PICKS && at < sum / total * PICKS; at++)
            w->picks[at] = (uint8_t)i;
    }
}

bool workload_init(struct workload *w, const struct options *o, struct buf *ret_error)
{
    *w = (struct workload){ 0 };
    keys_init(&w->keys, o->dist, o->keyspace, o->zipf_exponent, o->seed);
    keys_init(&w->fields, o->dist, o->fields, o->zipf_exponent, o->seed + 1);
    prng_init(&w->random, o->seed + 2);
    w->scores_n = o->fields;

    struct builder b = { .options = o, .error = ret_error };
    const char *mix = o->mix ? o->mix : o->commands_n ? "" : o->load ? "set" : "get";
    if (!add_mix(w, &b, mix))
        return false;
    b.prefix = o->key_prefix;
    for (uint32_t i = 0; i < o->commands_n; i++)
        if (!add_command(w, &b, bytes_of_str(o->commands[i]), 1))
            return false;
    if (w->commands_n == 0)
        return fail(&b, "--mix is empty", "");

    for (uint32_t i = 0; i < w->commands_n; i++)
        for (uint32_t j = 0; j < w->commands[i].forms_n; j++)
            if (w->commands[i].forms[j].n > w->request_max)
                w->request_max = w->commands[i].forms[j].n;
    w->fixed = w->commands_n == 1 && w->commands[0].forms_n == 1;
    fill_picks(w);
    return true;
}

void workload_done(struct workload *w)
{
    for (uint32_t i = 0; i < w->commands_n; i++) {
        struct workload_command *c = &w->commands[i];
        for (uint32_t j = 0; j < c->forms_n; j++) {
            mem_free(c->forms[j].bytes);
            mem_free(c->forms[j].patches);
        }
        mem_free(c->forms);
    }
    w->commands_n = 0;
}

uint64_t workload_fill(const struct workload *w)
{
    uint64_t per_request = 1;
    for (uint32_t i = 0; i < w->commands_n; i++)
        if (w->commands[i].keys_n > per_request)
            per_request = w->commands[i].keys_n;
    uint64_t n = w->commands[0].keys_n ? w->keys.n : w->fields.n;
    return (n + per_request - 1) / per_request;
}

/* Digits from the right, two at a time. The template's own digits are overwritten whole. */
static inline void put_digits(char *dst, uint64_t v, unsigned digits)
{
    static const char pairs[] =
        "00010203040506070809101112131415161718192021222324252627282930313233343536373839"
        "40414243444546474849505152535455565758596061626364656667686970717273747576777879"
        "8081828384858687888990919293949596979899";
    while (digits >= 2) {
        digits -= 2;
        memcpy(dst + digits, pairs + v % 100 * 2, 2);
        v /= 100;
    }
    if (digits)
        *dst = (char)('0' + v % 10);
}

static inline void patch_form(struct workload *w, const struct form *f, char *dst)
{
    for (uint32_t i = 0; i < f->patches_n; i++) {
        const struct patch *p = &f->patches[i];
        uint64_t v = p->source == PATCH_KEY     ? keys_next(&w->keys)
                     : p->source == PATCH_FIELD ? keys_next(&w->fields)
                                                : prng_below(&w->random, w->scores_n);
        put_digits(dst + p->offset, v, p->digits);
    }
}

size_t workload_render(struct workload *w, char *dst, uint8_t *ret_command)
{
    uint8_t pick = w->commands_n > 1 ? w->picks[prng_u64(&w->random) & (PICKS - 1)] : 0;
    const struct workload_command *c = &w->commands[pick];
    const struct form *f = &c->forms[c->forms_n > 1 ? prng_below(&w->random, c->forms_n) : 0];
    memcpy(dst, f->bytes, f->n);
    patch_form(w, f, dst);
    *ret_command = pick;
    return f->n;
}

void workload_patch(struct workload *w, char *dst)
{
    patch_form(w, &w->commands[0].forms[0], dst);
}
