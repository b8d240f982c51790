/* The table of directives: rows of the parts over their structs, found by name; CONFIG GET and
 * CONFIG SET (see config.h).
 *
 * There are some 250 names, asked for by people: a walk over the rows is quick enough and needs
 * nothing built. */
#include "server/config.h"

#include <errno.h>

#include "common/alloc.h"
#include "common/assert.h"
#include "common/glob.h"
#include "server/config_private.h"

struct config *config_new(void)
{
    struct config *c = mem_zalloc(sizeof(*c));
    arena_init(&c->arena);
    return c;
}

void config_free(struct config *c)
{
    if (!c)
        return;
    for (int i = 0; i < c->n; i++) {
        struct config_entry *e = &c->entries[i];
        if (e->row->type == CONFIG_STRING || e->row->type == CONFIG_STRING_OR_NULL) {
            char **at = (char **)((char *)e->base + e->row->offset);
            mem_free(*at);
            *at = NULL;
        }
        mem_free(e->default_text);
        mem_free(e->loaded_text);
    }
    mem_free(c->entries);
    mem_free(c->lines);
    mem_free(c->file);
    arena_done(&c->arena);
    mem_free(c);
}

static void set_default(struct config_entry *e)
{
    if (!e->row->def && e->row->type == CONFIG_SPECIAL)
        return; /* it is what it is: dir */
    config_entry_restore(e, bytes_of_str(e->row->def ? e->row->def : ""));
    struct buf b = BUF_INIT(BUF_UNLIMITED);
    config_entry_text(e, &b);
    e->default_text = mem_strdup(buf_cstr(&b));
    buf_done(&b);
}

void config_attach(struct config *c, const struct config_row *rows, void *base, void *owner)
{
    for (; rows->name; rows++) {
        ASSERT(!config_find(c, bytes_of_str(rows->name)));
        if (c->n == c->cap) {
            c->cap = c->cap ? c->cap * 2 : 256;
            c->entries = mem_realloc(c->entries, (size_t)c->cap * sizeof(*c->entries));
        }
        struct config_entry *e = &c->entries[c->n++];
        *e = (struct config_entry){ .row = rows, .base = base, .owner = owner };
        set_default(e);
    }
}

void config_attach_lines(struct config *c, const struct config_line_rule *rules, void *owner)
{
    ASSERT(c->n_rules < (int)(sizeof(c->rules) / sizeof(c->rules[0])));
    c->rules[c->n_rules++] = (struct config_rules){ rules, owner };
}

void config_set_owner(struct config *c, void *owner)
{
    for (int i = 0; i < c->n; i++)
        c->entries[i].owner = owner;
    for (int i = 0; i < c->n_rules; i++)
        c->rules[i].owner = owner;
}

void config_allow_sentinel(struct config *c)
{
    c->sentinel = true;
}

struct config_entry *config_entry_find(const struct config *c, struct bytes name,
                                       bool *ret_by_alias)
{
    for (int i = 0; i < c->n; i++) {
        const struct config_row *r = c->entries[i].row;
        bool by_alias = r->alias && bytes_is(name, r->alias);
        if (!by_alias && !bytes_is(name, r->name))
            continue;
        if (ret_by_alias)
            *ret_by_alias = by_alias;
        return &c->entries[i];
    }
    return NULL;
}

const struct config_row *config_find(const struct config *c, struct bytes name)
{
    const struct config_entry *e = config_entry_find(c, name, NULL);
    return e ? e->row : NULL;
}

int config_count(const struct config *c)
{
    return c->n;
}

const struct config_row *config_row_at(const struct config *c, int i)
{
    ASSERT(i >= 0 && i < c->n);
    return c->entries[i].row;
}

const char *config_file(const struct config *c)
{
    return c->file;
}

int config_line_count(const struct config *c)
{
    return c->n_lines;
}

const struct config_line *config_line_at(const struct config *c, int i)
{
    ASSERT(i >= 0 && i < c->n_lines);
    return &c->lines[i];
}

void config_value(const struct config *c, const struct config_row *row, struct buf *b)
{
    for (int i = 0; i < c->n; i++)
        if (c->entries[i].row == row) {
            config_entry_text(&c->entries[i], b);
            return;
        }
    PANIC("directive %s is not attached", row->name);
}

/* ---- CONFIG GET ---- */

/* What to call a directive in the reply: names[2 i] for row i, names[2 i + 1] for its alias; NULL =
 * not asked for. */
static void match_pattern(const struct config *c, struct bytes pattern, struct bytes *names)
{
    if (glob_is_literal(pattern)) {
        bool by_alias;
        const struct config_entry *e = config_entry_find(c, pattern, &by_alias);
        if (!e)
            return;
        struct bytes *name = &names[2 * (e - c->entries) + by_alias];
        if (!name->p)
            *name = pattern;
        return;
    }
    for (int i = 0; i < c->n; i++) {
        const struct config_row *r = c->entries[i].row;
        if (r->flags & CONFIG_HIDDEN)
            continue;
        if (!names[2 * i].p && glob_match_nocase(pattern, bytes_of_str(r->name)))
            names[2 * i] = bytes_of_str(r->name);
        if (r->alias && !names[2 * i + 1].p && glob_match_nocase(pattern, bytes_of_str(r->alias)))
            names[2 * i + 1] = bytes_of_str(r->alias);
    }
}

void config_get(struct config *c, int n, const struct bytes *patterns,
                void (*emit)(void *ctx, struct bytes name, struct bytes value), void *ctx)
{
    struct bytes *names = mem_zalloc(2 * (size_t)c->n * sizeof(*names) + 1);
    for (int i = 0; i < n; i++)
        match_pattern(c, patterns[i], names);
    struct buf value = BUF_INIT(BUF_UNLIMITED);
    for (int i = 0; i < 2 * c->n; i++) {
        if (!names[i].p)
            continue;
        buf_clear(&value);
        config_entry_text(&c->entries[i / 2], &value);
        emit(ctx, names[i], buf_bytes(&value));
    }
    buf_done(&value);
    mem_free(names);
}

/* ---- CONFIG SET ---- */

struct setting {
    struct config_entry *e;
    const char *name; /* the row's name or alias */
    struct bytes value;
    struct buf old; /* text of the value before */
    bool set, changed;
};

static int fail_setting(struct buf *error, struct bytes name, const char *text)
{
    (void)buf_printf(error, "ERR CONFIG SET failed (possibly related to argument '%.*s') - %s",
                     (int)(name.n < 128 ? name.n : 128), name.p, text);
    return -EINVAL;
}

/* Finds the directives of all pairs and refuses what may not be set. `taken` has a place per name
 * and alias. */
static int find_settings(struct config *c, int n, const struct bytes *pairs, bool may_set_protected,
                         struct setting *settings, bool *taken, struct buf *error)
{
    for (int i = 0; i < n; i++) {
        struct bytes name = pairs[2 * i];
        bool by_alias;
        struct config_entry *e = config_entry_find(c, name, &by_alias);
        if (!e) {
            (void)buf_printf(error,
                             "ERR Unknown option or number of arguments for CONFIG SET - '%.*s'",
                             (int)(name.n < 128 ? name.n : 128), name.p);
            return -EINVAL;
        }
        if (e->row->flags & CONFIG_IMMUTABLE)
            return fail_setting(error, name, "can't set immutable config");
        if ((e->row->flags & CONFIG_PROTECTED) && !may_set_protected)
            return fail_setting(error, name, "can't set protected config");
        bool *place = &taken[2 * (e - c->entries) + by_alias];
        if (*place)
            return fail_setting(error, name, "duplicate parameter");
        *place = true;
        settings[i] = (struct setting){ .e = e,
                                        .name = by_alias ? e->row->alias : e->row->name,
                                        .value = pairs[2 * i + 1],
                                        .old = BUF_INIT(BUF_UNLIMITED) };
    }
    return 0;
}

static int store_settings(int n, struct setting *settings, struct buf *error)
{
    struct buf now = BUF_INIT(BUF_UNLIMITED);
    int r = 0;
    for (int i = 0; i < n && r == 0; i++) {
        struct setting *s = &settings[i];
        const char *text = NULL;
        config_entry_text(s->e, &s->old);
        s->set = true;
        r = config_entry_set(s->e, 1, &s->value, false, &text);
        if (r < 0) {
            (void)fail_setting(error, bytes_of_str(s->name), text);
            break;
        }
        buf_clear(&now);
        config_entry_text(s->e, &now);
        s->changed = bytes_cmp(buf_bytes(&now), buf_bytes(&s->old)) != 0;
    }
    buf_done(&now);
    return r;
}

/* Settings share apply functions (a limit's two numbers): each runs once. */
static bool applied_before(const struct setting *settings, int i)
{
    for (int k = 0; k < i; k++)
        if (settings[k].changed && settings[k].e->row->apply == settings[i].e->row->apply)
            return true;
    return false;
}

/* Calls the apply functions of what changed; *ret_done: how many settings were gone through, the
 * failed one included. */
static int apply_settings(int n, const struct setting *settings, int *ret_done, struct buf *error)
{
    for (int i = 0; i < n; i++) {
        const struct setting *s = &settings[i];
        *ret_done = i + 1;
        if (!s->changed || !s->e->row->apply || applied_before(settings, i))
            continue;
        const char *text = "it could not be applied";
        int r = s->e->row->apply(s->e->owner, &text);
        if (r < 0) {
            (void)fail_setting(error, bytes_of_str(s->name), text);
            return r;
        }
    }
    return 0;
}

static void roll_back(int n, struct setting *settings, int n_applied)
{
    for (int i = n - 1; i >= 0; i--) /* the last first: a name and its alias may both be there */
        if (settings[i].set)
            config_entry_restore(settings[i].e, buf_bytes(&settings[i].old));
    for (int i = 0; i < n_applied; i++) {
        const char *text;
        if (settings[i].changed && settings[i].e->row->apply && !applied_before(settings, i))
            (void)settings[i].e->row->apply(settings[i].e->owner,
                                            &text); /* it was so a moment ago */
    }
}

int config_set(struct config *c, int argc, const struct bytes *pairs, bool may_set_protected,
               struct buf *error)
{
    ASSERT(argc > 0 && argc % 2 == 0);
    int n = argc / 2;
    int n_most = n <= 2 * c->n ? n : 2 * c->n + 1; /* beyond that one is a duplicate or unknown */
    struct setting *settings = mem_zalloc((size_t)n_most * sizeof(*settings));
    bool *taken = mem_zalloc(2 * (size_t)c->n + 1);
    int n_applied = 0;
    int r = find_settings(c, n_most, pairs, may_set_protected, settings, taken, error);
    if (r == 0) {
        ASSERT(n_most == n);
        r = store_settings(n, settings, error);
        if (r == 0)
            r = apply_settings(n, settings, &n_applied, error);
        if (r < 0)
            roll_back(n, settings, n_applied);
    }
    for (int i = 0; i < n_most; i++)
        buf_done(&settings[i].old);
    mem_free(taken);
    mem_free(settings);
    return r < 0 ? -EINVAL : 0;
}
