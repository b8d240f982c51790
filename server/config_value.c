/* Values of directives by type: text into the owner's struct and back.
 *
 * Every type is one case of parse() and one of config_entry_text(); what needs more than a word or
 * more than one member is CONFIG_SPECIAL and brings its own functions. A text that
 * config_entry_text gives is taken back by config_entry_set: that is how CONFIG SET rolls back, and
 * how CONFIG REWRITE tells a default. */
#include "server/config_private.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

#include "common/alloc.h"
#include "common/assert.h"
#include "common/num.h"
#include "common/text.h"

const char *config_error(const char *format, ...)
{
    static char text[512];
    va_list ap;
    va_start(ap, format);
    (void)vsnprintf(text, sizeof(text), format, ap);
    va_end(ap);
    return text;
}

static void *value_at(const struct config_entry *e)
{
    return (char *)e->base + e->row->offset;
}

static int fail(const char **ret_error, const char *text)
{
    *ret_error = text;
    return -EINVAL;
}

static int parse_bool(struct bytes word, bool *ret, const char **ret_error)
{
    if (!bytes_is(word, "yes") && !bytes_is(word, "no"))
        return fail(ret_error, "argument must be 'yes' or 'no'");
    *ret = word.n == 3;
    return 0;
}

static int parse_integer(const struct config_row *r, struct bytes word, int64_t *ret,
                         const char **ret_error)
{
    int64_t v;
    if (!num_parse_i64(word, &v))
        return fail(ret_error, "argument couldn't be parsed into an integer");
    if (v < r->min || v > r->max)
        return fail(ret_error,
                    config_error("argument must be between %" PRId64 " and %" PRId64 " inclusive",
                                 r->min, r->max));
    *ret = v;
    return 0;
}

static int parse_unsigned(struct bytes word, uint64_t *ret, const char **ret_error)
{
    return num_parse_u64(word, ret)
               ? 0
               : fail(ret_error, "argument couldn't be parsed into an integer");
}

/* Rows without a range (min = max = 0) take any 64-bit number of bytes. */
static int parse_memory(const struct config_row *r, struct bytes word, uint64_t *ret,
                        const char **ret_error)
{
    uint64_t v;
    if (!text_parse_memory(word, &v))
        return fail(ret_error, "argument must be a memory value");
    if (r->max && (v < (uint64_t)r->min || v > (uint64_t)r->max))
        return fail(ret_error,
                    config_error("argument must be between %" PRId64 " and %" PRId64 " inclusive",
                                 r->min, r->max));
    *ret = v;
    return 0;
}

static int parse_memory_signed(struct bytes word, int64_t *ret, const char **ret_error)
{
    static const char neither[] = "argument must be a memory or percent value";
    if (word.n && word.p[word.n - 1] == '%') {
        int64_t percent;
        if (!num_parse_i64(bytes_of(word.p, word.n - 1), &percent) || percent < 0)
            return fail(ret_error, neither);
        if (percent > 100)
            return fail(ret_error, "percentage argument must be less or equal to 100");
        *ret = -percent;
        return 0;
    }
    uint64_t v;
    if (!text_parse_memory(word, &v) || v > INT64_MAX)
        return fail(ret_error, neither);
    *ret = (int64_t)v;
    return 0;
}

static int parse_octal(const struct config_row *r, struct bytes word, unsigned *ret,
                       const char **ret_error)
{
    static const char not_octal[] = "argument couldn't be parsed as an octal number";
    if (!word.n || word.n > 8)
        return fail(ret_error, not_octal);
    unsigned v = 0;
    for (size_t i = 0; i < word.n; i++) {
        if (word.p[i] < '0' || word.p[i] > '7')
            return fail(ret_error, not_octal);
        v = v * 8 + (unsigned)(word.p[i] - '0');
    }
    if (v < (unsigned)r->min || v > (unsigned)r->max)
        return fail(ret_error, config_error("argument must be between %o and %o inclusive",
                                            (unsigned)r->min, (unsigned)r->max));
    *ret = v;
    return 0;
}

static const struct config_word *find_word(const struct config_word *words, struct bytes word)
{
    for (; words->word; words++)
        if (bytes_is(word, words->word))
            return words;
    return NULL;
}

static int fail_words(const struct config_word *words, const char **ret_error)
{
    char list[256];
    size_t n = 0;
    for (const struct config_word *w = words; w->word && n < sizeof(list); w++)
        n += (size_t)snprintf(list + n, sizeof(list) - n, "%s%s", w == words ? "" : ", ", w->word);
    return fail(ret_error, config_error("argument(s) must be one of the following: %s", list));
}

static int parse_flags(const struct config_row *r, int argc, const struct bytes *argv,
                       unsigned *ret, const char **ret_error)
{
    unsigned flags = 0;
    for (int i = 0; i < argc; i++) {
        const struct config_word *w = find_word(r->values, argv[i]);
        if (!w)
            return fail_words(r->values, ret_error);
        flags |= (unsigned)w->value;
    }
    if (!argc)
        return fail_words(r->values, ret_error);
    *ret = flags;
    return 0;
}

static char *copy_text(struct bytes b)
{
    char *s = mem_alloc(b.n + 1);
    if (b.n)
        memcpy(s, b.p, b.n);
    s[b.n] = '\0';
    return s;
}

static void set_string(char **at, char *take)
{
    mem_free(*at);
    *at = take;
}

/* One word into a scalar. */
static int parse_word(const struct config_row *r, void *at, struct bytes word,
                      const char **ret_error)
{
    int64_t v;
    int ret;
    switch (r->type) {
    case CONFIG_BOOL:
        return parse_bool(word, at, ret_error);
    case CONFIG_INT:
        ret = parse_integer(r, word, &v, ret_error);
        if (ret == 0)
            *(int *)at = (int)v;
        return ret;
    case CONFIG_I64:
        return parse_integer(r, word, at, ret_error);
    case CONFIG_U64:
        return parse_unsigned(word, at, ret_error);
    case CONFIG_MEMORY:
        return parse_memory(r, word, at, ret_error);
    case CONFIG_MEMORY_SIGNED:
        return parse_memory_signed(word, at, ret_error);
    case CONFIG_OCTAL:
        return parse_octal(r, word, at, ret_error);
    case CONFIG_ENUM: {
        const struct config_word *w = find_word(r->values, word);
        if (!w)
            return fail_words(r->values, ret_error);
        *(int *)at = w->value;
        return 0;
    }
    case CONFIG_STRING:
        set_string(at, copy_text(word));
        return 0;
    case CONFIG_STRING_OR_NULL:
        set_string(at, word.n ? copy_text(word) : NULL);
        return 0;
    case CONFIG_FLAGS:
    case CONFIG_SPECIAL:
        break;
    }
    PANIC("directive %s: no such type %d", r->name, (int)r->type);
}

/* Values end up in C strings: what comes behind a NUL byte would be lost, a password be shorter
 * than its owner thinks. */
static bool has_nul(int argc, const struct bytes *argv)
{
    for (int i = 0; i < argc; i++)
        if (argv[i].n && memchr(argv[i].p, '\0', argv[i].n))
            return true;
    return false;
}

static int store(struct config_entry *e, int argc, const struct bytes *argv, bool adds,
                 const char **ret_error)
{
    const struct config_row *r = e->row;
    if (!config_row_has_words(r) && argc != 1)
        return fail(ret_error, "wrong number of arguments");
    if (r->type == CONFIG_FLAGS)
        return parse_flags(r, argc, argv, value_at(e), ret_error);
    if (r->type == CONFIG_SPECIAL)
        return r->special->set(e->base, r, argc, argv, adds, ret_error);
    return parse_word(r, value_at(e), argv[0], ret_error);
}

int config_entry_set(struct config_entry *e, int argc, const struct bytes *argv, bool adds,
                     const char **ret_error)
{
    struct arena scratch;
    arena_init(&scratch);
    struct bytes *words;
    size_t n;
    /* "normal 0 0 0" as one word is four; a text with unbalanced quotes is left to the directive to
     * refuse. */
    if (config_row_has_words(e->row) && argc == 1 && text_split(argv[0], &scratch, &words, &n)) {
        argc = (int)n;
        argv = words;
    }
    int r = has_nul(argc, argv) ? fail(ret_error, "argument must not contain a NUL byte")
                                : store(e, argc, argv, adds, ret_error);
    arena_done(&scratch);
    if (r < 0)
        return r;
    const char *text = e->row->check ? e->row->check(e->base) : NULL;
    if (text)
        return fail(ret_error, text);
    if ((e->row->flags & CONFIG_DEFAULT_ONLY) && !config_entry_is_default(e))
        return fail(ret_error, config_error("any value of %s but \"%s\" is not supported yet",
                                            e->row->name, e->default_text));
    return 0;
}

/* ---- and back ---- */

static void append_flags(const struct config_row *r, unsigned flags, struct buf *b)
{
    bool first = true;
    for (const struct config_word *w = r->values; w->word; w++) {
        bool is = w->value ? (flags & (unsigned)w->value) == (unsigned)w->value : flags == 0;
        if (!is)
            continue;
        if (!first)
            (void)buf_append_char(b, ' ');
        (void)buf_append_str(b, w->word);
        first = false;
    }
}

static const char *word_of(const struct config_row *r, int value)
{
    for (const struct config_word *w = r->values; w->word; w++)
        if (w->value == value)
            return w->word;
    PANIC("directive %s: no word for %d", r->name, value);
}

/* (Appending fails only beyond the buffer's maximum; callers give one that no value reaches.) */
void config_entry_text(const struct config_entry *e, struct buf *b)
{
    const struct config_row *r = e->row;
    const void *at = value_at(e);
    switch (r->type) {
    case CONFIG_BOOL:
        (void)buf_append_str(b, *(const bool *)at ? "yes" : "no");
        return;
    case CONFIG_INT:
        (void)buf_printf(b, "%d", *(const int *)at);
        return;
    case CONFIG_I64:
        (void)buf_printf(b, "%" PRId64, *(const int64_t *)at);
        return;
    case CONFIG_U64:
    case CONFIG_MEMORY:
        (void)buf_printf(b, "%" PRIu64, *(const uint64_t *)at);
        return;
    case CONFIG_MEMORY_SIGNED: {
        int64_t v = *(const int64_t *)at;
        (void)buf_printf(b, v < 0 ? "%" PRId64 "%%" : "%" PRId64, v < 0 ? -v : v);
        return;
    }
    case CONFIG_OCTAL:
        (void)buf_printf(b, "%o", *(const unsigned *)at);
        return;
    case CONFIG_ENUM:
        (void)buf_append_str(b, word_of(r, *(const int *)at));
        return;
    case CONFIG_FLAGS:
        append_flags(r, *(const unsigned *)at, b);
        return;
    case CONFIG_STRING:
    case CONFIG_STRING_OR_NULL:
        if (*(char *const *)at)
            (void)buf_append_str(b, *(char *const *)at);
        return;
    case CONFIG_SPECIAL:
        r->special->get(e->base, r, b);
        return;
    }
}

void config_entry_restore(struct config_entry *e, struct bytes text)
{
    const char *error = NULL;
    /* Not config_entry_set: what was there passed the check, or came before it. */
    struct arena scratch;
    arena_init(&scratch);
    struct bytes *words = &text;
    size_t n = 1;
    if (config_row_has_words(e->row) && !text_split(text, &scratch, &words, &n)) {
        words = &text;
        n = 1;
    }
    int r = store(e, (int)n, words, false, &error);
    arena_done(&scratch);
    if (r < 0 &&
        e->default_text) /* a folder that is gone is the world's doing; all else is a bug */
        PANIC("directive %s: its own value is not taken back: %s", e->row->name, error);
}

bool config_entry_is_default(const struct config_entry *e)
{
    if (!e->default_text)
        return false;
    struct buf b = BUF_INIT(BUF_UNLIMITED);
    config_entry_text(e, &b);
    bool same = bytes_cmp(buf_bytes(&b), bytes_of_str(e->default_text)) == 0;
    buf_done(&b);
    return same;
}
