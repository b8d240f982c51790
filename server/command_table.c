/* The registry of commands: rows of all families, found by name without regard to case (see command.h).
 *
 * Names of up to 8 bytes, nearly all of them, are compared as one folded 64-bit word. */
#include "server/command.h"

#include <errno.h>
#include <stdio.h>

#include "common/alloc.h"
#include "common/assert.h"
#include "common/histogram.h"

#define FAMILY(name) extern const struct command name##_commands[]
#include "server/families.h"
#undef FAMILY

#define FAMILY(name) name##_commands
static const struct family {
    const struct command *rows;
    bool on_objects;
} families[] = {
#define FAMILY_LIST
#include "server/families.h"
#undef FAMILY_LIST
};
#undef FAMILY

enum { SLOTS = 1024 }; /* open addressing; half of them are enough for all commands */

struct slot {
    uint64_t head; /* first 8 bytes of the name, folded to lower case, zero-padded */
    const char *name;
    uint32_t n;
    bool owned; /* the name is ours to free: it came from rename-command */
    struct command_entry *entry;
};

static struct table {
    struct slot slots[SLOTS];
    struct command_entry *entries; /* top level, order of registration */
    int count;
    int used; /* slots that have or had a name */
    struct command_entry **by_id;
    int ids;
} T;

static inline char fold(char ch)
{
    return ch >= 'A' && ch <= 'Z' ? (char)(ch | 0x20) : ch;
}

/* The first 8 bytes as one word, ASCII letters in lower case. */
static inline uint64_t name_head(struct bytes name)
{
    uint64_t v = 0;
    memcpy(&v, name.p, name.n < 8 ? name.n : 8);
    /* Sets bit 5 of every byte in 'A'..'Z': the high bit of each lane tells the range, no lane overflows. */
    uint64_t low = v & 0x7f7f7f7f7f7f7f7full;
    uint64_t ge_a = low + 0x3f3f3f3f3f3f3f3full;
    uint64_t gt_z = low + 0x2525252525252525ull;
    uint64_t upper = ge_a & ~gt_z & ~v & 0x8080808080808080ull;
    return v | (upper >> 2);
}

static inline unsigned slot_of(uint64_t head, size_t n)
{
    return (unsigned)((head * 0x9e3779b97f4a7c15ull + n * 0x632be59bd9b4e019ull) >> 54);
}

static bool same_tail(const char *stored, struct bytes name)
{
    for (size_t i = 8; i < name.n; i++)
        if (fold(name.p[i]) != stored[i])
            return false;
    return true;
}

static struct slot *find_slot(struct bytes name)
{
    uint64_t head = name_head(name);
    for (unsigned i = slot_of(head, name.n);; i = (i + 1) % SLOTS) {
        struct slot *s = &T.slots[i];
        if (!s->name)
            return NULL;
        if (s->head == head && s->n == name.n && (name.n <= 8 || same_tail(s->name, name)))
            return s;
    }
}

static void add_slot(const char *name, bool owned, struct command_entry *e)
{
    struct bytes b = bytes_of_str(name);
    ASSERT(b.n > 0);
    uint64_t head = name_head(b);
    unsigned i = slot_of(head, b.n);
    while (T.slots[i].name && T.slots[i].entry)
        i = (i + 1) % SLOTS;
    T.used += !T.slots[i].name;
    if (T.slots[i].owned)
        mem_free((char *)T.slots[i].name);
    T.slots[i] = (struct slot){ head, name, (uint32_t)b.n, owned, e };
}

static int count_rows(const struct command *rows)
{
    int n = 0;
    while (rows && rows[n].name)
        n++;
    return n;
}

static void init_entry(struct command_entry *e, const struct command *row, const struct command_entry *parent)
{
    *e = (struct command_entry){ .row = row, .parent = parent, .full_name = row->name, .id = (uint16_t)T.ids };
    e->stats = mem_zalloc(sizeof(*e->stats));
    T.by_id[T.ids++] = e;
    if (parent) {
        char name[80];
        snprintf(name, sizeof(name), "%s|%s", parent->row->name, row->name);
        e->full_name = mem_strdup(name);
    }
}

static void add_command(const struct command *row, bool on_objects)
{
    struct command_entry *e = &T.entries[T.count++];
    init_entry(e, row, NULL);
    e->on_objects = on_objects;
    add_slot(row->name, false, e);
    int n = count_rows(row->subs);
    if (n == 0)
        return;
    ASSERT(row->flags & CMD_CONTAINER);
    e->subs = mem_zalloc((size_t)n * sizeof(*e->subs));
    e->subs_n = (uint16_t)n;
    for (int i = 0; i < n; i++)
        init_entry(&e->subs[i], &row->subs[i], e);
}

void command_table_init(void)
{
    if (T.entries)
        return;
    int top = 0, all = 0;
    for (size_t f = 0; f < sizeof(families) / sizeof(*families); f++)
        for (const struct command *row = families[f].rows; row->name; row++) {
            top++;
            all += 1 + count_rows(row->subs);
        }
    ASSERT(top < SLOTS / 2);
    T.entries = mem_zalloc((size_t)top * sizeof(*T.entries));
    T.by_id = mem_zalloc((size_t)all * sizeof(*T.by_id));
    for (size_t f = 0; f < sizeof(families) / sizeof(*families); f++)
        for (const struct command *row = families[f].rows; row->name; row++)
            add_command(row, families[f].on_objects);
}

void command_table_done(void)
{
    for (int i = 0; i < T.ids; i++) {
        if (T.by_id[i]->parent)
            mem_free((char *)T.by_id[i]->full_name);
        histogram_free(T.by_id[i]->stats->latency);
        mem_free(T.by_id[i]->stats);
    }
    for (int i = 0; i < SLOTS; i++)
        if (T.slots[i].owned)
            mem_free((char *)T.slots[i].name);
    for (int i = 0; i < T.count; i++)
        mem_free(T.entries[i].subs);
    mem_free(T.entries);
    mem_free(T.by_id);
    T = (struct table){ .count = 0 };
}

struct command_entry *command_find_sub(struct command_entry *e, struct bytes name)
{
    for (int i = 0; i < e->subs_n; i++)
        if (bytes_is(name, e->subs[i].row->name))
            return &e->subs[i];
    return NULL;
}

struct command_entry *command_find(struct bytes name)
{
    if (name.n == 0)
        return NULL;
    struct slot *s = find_slot(name);
    if (s)
        return s->entry;
    const char *bar = memchr(name.p, '|', name.n);
    if (!bar || bar == name.p)
        return NULL;
    size_t n = (size_t)(bar - name.p);
    s = find_slot(bytes_of(name.p, n));
    return s && s->entry ? command_find_sub(s->entry, bytes_of(bar + 1, name.n - n - 1)) : NULL;
}

struct command_entry *command_resolve(const struct bytes *argv, int argc)
{
    if (argv[0].n == 0)
        return NULL;
    struct slot *s = find_slot(argv[0]);
    struct command_entry *e = s ? s->entry : NULL;
    if (!e || e->subs_n == 0 || argc < 2)
        return e;
    struct command_entry *sub = command_find_sub(e, argv[1]);
    return sub ? sub : e;
}

int command_rename(struct bytes old_name, struct bytes new_name)
{
    struct slot *s = find_slot(old_name);
    if (!s || !s->entry)
        return -ENOENT;
    if (new_name.n && command_find(new_name))
        return -EEXIST;
    if (new_name.n && T.used >= SLOTS * 3 / 4) /* each name that was ever there takes a slot */
        return -ENOSPC;
    struct command_entry *e = s->entry;
    s->entry = NULL; /* the slot stays, so that probing past it still works */
    if (new_name.n == 0)
        return 0;
    char *name = mem_alloc(new_name.n + 1);
    for (size_t i = 0; i < new_name.n; i++)
        name[i] = fold(new_name.p[i]);
    name[new_name.n] = '\0';
    add_slot(name, true, e);
    return 0;
}

int command_count(void)
{
    return T.count;
}

struct command_entry *command_at(int i)
{
    ASSERT(i >= 0 && i < T.count);
    return &T.entries[i];
}

int command_ids(void)
{
    return T.ids;
}

struct command_entry *command_by_id(int id)
{
    ASSERT(id >= 0 && id < T.ids);
    return T.by_id[id];
}

bool command_arity_ok(const struct command *row, int argc)
{
    return row->arity >= 0 ? argc == row->arity : argc >= -row->arity;
}
