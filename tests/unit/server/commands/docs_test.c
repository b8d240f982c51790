/* The facts in docs.json, the rows of the command tables, and the keys that are found with them,
 * held against each other. What is expected of a request's keys was seen from servers. */
#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "server/commands/command_docs.h"

/* An entry as the registry would make it, whether a family implements the command or not. */
struct known {
    struct command row;
    struct command_entry entry;
};

static struct command_entry *entry_of(struct known *k, const char *full_name)
{
    const struct command_docs *d = command_docs_find(full_name);
    cr_assert(d, "%s is not in docs.json", full_name);
    *k = (struct known){
        .row = { .name = d->name, .arity = d->arity, .flags = d->flags, .keys = d->keys }
    };
    k->entry = (struct command_entry){ .row = &k->row, .full_name = d->name, .id = UINT16_MAX };
    return &k->entry;
}

/* ---- rows ---- */

static void check_row(const struct command_entry *e, unsigned printed)
{
    const struct command_docs *d = command_docs(e);
    cr_assert(d, "'%s' is not in docs.json", e->full_name);
    cr_expect_str_eq(d->name, e->full_name);
    cr_expect_eq(e->row->arity, d->arity, "%s: arity %d, docs.json says %d", e->full_name,
                 e->row->arity, d->arity);
    for (const struct flag_name *f = command_flag_names; f->name; f++)
        cr_expect_eq(e->row->flags & f->flag, d->flags & f->flag, "%s: flag %s is %s the row",
                     e->full_name, f->name, e->row->flags & f->flag ? "only in" : "missing in");
    cr_expect_eq(d->flags & ~printed, 0);
    cr_expect(e->row->keys.first == d->keys.first && e->row->keys.last == d->keys.last &&
                  e->row->keys.step == d->keys.step,
              "%s: keys %d %d %d, docs.json says %d %d %d", e->full_name, e->row->keys.first,
              e->row->keys.last, e->row->keys.step, d->keys.first, d->keys.last, d->keys.step);
    cr_expect_eq((e->row->flags & CMD_CONTAINER) != 0, e->subs_n > 0, "%s: container flag",
                 e->full_name);
    bool runs = e->subs_n == 0 || d->arity == -1; /* or is only a container */
    cr_expect(e->row->handler || !runs, "%s has no handler", e->full_name);
}

Test(docs, every_row_agrees_with_docs_json)
{
    command_table_init();
    unsigned printed = command_flags_printed();
    cr_assert_gt(command_ids(), 20);
    for (int id = 0; id < command_ids(); id++)
        check_row(command_by_id(id), printed);
}

Test(docs, a_command_is_found_by_its_full_name_and_remembered)
{
    command_table_init();
    const char *const names[] = { "get", "command", "command|docs", "config|set" };
    for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
        struct command_entry *e = command_find(bytes_of_str(names[i]));
        cr_assert(e, "%s", names[i]);
        const struct command_docs *d = command_docs(e);
        cr_assert(d);
        cr_expect_str_eq(d->name, names[i]);
        cr_expect_eq(command_docs(e), d);
    }
    cr_expect_null(command_docs_find("nosuch"));
    cr_expect_null(command_docs_find(""));
    cr_expect_null(command_docs_find("GET"), "names are in lower case");
}

/* ---- docs.json by itself ---- */

static int check_args(const struct command_docs *d, const struct command_arg *args, int n)
{
    int keys = 0;
    for (int i = 0; i < n; i++) {
        const struct command_arg *a = &args[i];
        bool nested = a->type == ARG_ONEOF || a->type == ARG_BLOCK;
        cr_expect(a->name && a->name[0], "%s", d->name);
        cr_expect_eq(nested, a->args_n > 0, "%s %s", d->name, a->name);
        cr_expect_eq(nested, a->display_text == NULL, "%s %s", d->name, a->name);
        bool sentinel = d->modes == MODE_SENTINEL; /* there Redis leaves tokens out */
        cr_expect(a->type != ARG_PURE_TOKEN || a->token || sentinel, "%s %s has no token", d->name,
                  a->name);
        cr_expect(!(a->flags & ARG_MULTIPLE_TOKEN) || (a->flags & ARG_MULTIPLE), "%s %s", d->name,
                  a->name);
        cr_expect_lt(a->key_spec, d->specs_n, "%s %s", d->name, a->name);
        keys += a->type == ARG_KEY;
        keys += check_args(d, a->args, a->args_n);
    }
    return keys;
}

static bool is_version(const char *text)
{
    int major, minor, patch, end = 0;
    return sscanf(text, "%d.%d.%d%n", &major, &minor, &patch, &end) == 3 && text[end] == '\0';
}

static void check_words(const struct command_docs *d)
{
    size_t n = strlen(d->summary);
    cr_expect(n > 10 && n < 120, "%s: summary of %zu bytes", d->name, n);
    cr_expect_eq(d->summary[n - 1], '.', "%s: %s", d->name, d->summary);
    cr_expect(is_version(d->since), "%s", d->name);
    cr_expect(d->group[0]);
    cr_expect_eq(d->deprecated_since != NULL, (d->doc_flags & DOC_DEPRECATED) != 0, "%s", d->name);
    cr_expect_eq(d->deprecated_since != NULL, d->replaced_by != NULL, "%s", d->name);
    for (int i = 0; i < d->history_n; i++)
        cr_expect(is_version(d->history[i].version) && d->history[i].text[0], "%s", d->name);
}

static void check_keys(const struct command_docs *d)
{
    cr_expect_eq(d->keys.first != 0, d->keys.step != 0, "%s", d->name);
    cr_expect(d->keys.first == 0 || d->specs_n > 0, "%s", d->name);
    for (int i = 0; i < d->specs_n; i++) {
        const struct key_spec *s = &d->specs[i];
        cr_expect(s->find == KEY_FIND_UNKNOWN || s->step > 0, "%s", d->name);
        cr_expect_eq(s->begin == KEY_BEGIN_KEYWORD, s->keyword != NULL, "%s", d->name);
        int access = __builtin_popcount(s->flags & (KEY_RO | KEY_RW | KEY_OW | KEY_RM));
        cr_expect_eq(access, s->flags & KEY_NOT_KEY ? 0 : 1, "%s: one kind of access", d->name);
    }
    if (d->keys.first && !(d->flags & CMD_MOVABLE_KEYS))
        cr_expect_eq(d->specs[0].begin, KEY_BEGIN_INDEX, "%s", d->name);
}

Test(docs, docs_json_is_whole_and_sorted)
{
    /* of 7.2; CLUSTER EXPLAIN and SLOT-STATS; REPLICATION with its two */
    cr_assert_eq(command_docs_n, 392 + 2 + 3);
    for (int i = 0; i < command_docs_n; i++) {
        const struct command_docs *d = &command_docs_table[i];
        cr_expect(i == 0 || strcmp(command_docs_table[i - 1].name, d->name) < 0, "%s", d->name);
        cr_expect_eq(command_docs_find(d->name), d);
        const char *bar = strchr(d->name, '|');
        if (bar) {
            char container[32] = "";
            memcpy(container, d->name, (size_t)(bar - d->name));
            cr_expect(command_docs_find(container), "%s has no container", d->name);
        }
        check_words(d);
        check_keys(d);
        int keys = check_args(d, d->args, d->args_n);
        cr_expect_neq(d->arity, 0, "%s", d->name);
        cr_expect(keys > 0 || d->keys.first == 0 || d->doc_flags & DOC_SYSCMD ||
                      d->specs[0].flags & KEY_NOT_KEY,
                  "%s: keys but no argument that is one", d->name);
        cr_expect_eq(!!(d->acl & 1u << ACL_CAT_FAST) + !!(d->acl & 1u << ACL_CAT_SLOW), 1, "%s",
                     d->name);
        cr_expect_eq(!!(d->acl & 1u << ACL_CAT_FAST), !!(d->flags & CMD_FAST), "%s", d->name);
        cr_expect_eq(!!(d->acl & 1u << ACL_CAT_WRITE), !!(d->flags & CMD_WRITE), "%s", d->name);
    }
}

Test(docs, categories_are_found_in_any_case)
{
    for (int i = 0; i < ACL_CATEGORIES; i++)
        cr_expect_eq(acl_category_find(bytes_of_str(acl_category_names[i])), i);
    cr_expect_eq(acl_category_find(BYTES("SortedSet")), ACL_CAT_SORTEDSET);
    cr_expect_eq(acl_category_find(BYTES("@read")), -1);
    cr_expect_eq(acl_category_find(BYTES("")), -1);
}

/* ---- keys of requests ---- */

enum { ARGS_MAX = 64 };

/* Words by blanks; '' is an empty argument. */
static int split(char *text, struct bytes argv[static ARGS_MAX])
{
    int n = 0;
    for (char *save, *w = strtok_r(text, " ", &save); w; w = strtok_r(NULL, " ", &save)) {
        cr_assert_lt(n, ARGS_MAX);
        argv[n++] = strcmp(w, "''") == 0 ? BYTES("") : bytes_of_str(w);
    }
    return n;
}

/* "3:RO,access 4:OW,update" of what command_keys finds, "" for nothing, "EINVAL". */
static void describe(const char *request, char *out, size_t room)
{
    char text[512], name[64];
    struct bytes argv[ARGS_MAX];
    cr_assert_lt(strlen(request), sizeof(text));
    strcpy(text, request);
    int argc = split(text, argv);
    snprintf(name, sizeof(name), "%.*s|%.*s", (int)argv[0].n, argv[0].p, (int)argv[1].n, argv[1].p);
    if (!command_docs_find(name))
        snprintf(name, sizeof(name), "%.*s", (int)argv[0].n, argv[0].p);
    struct known k;
    struct key_refs keys;
    int r = command_keys(entry_of(&k, name), argv, argc, &keys);
    out[0] = '\0';
    if (r < 0) {
        cr_expect_eq(r, -EINVAL);
        snprintf(out, room, "EINVAL");
        return;
    }
    size_t n = 0;
    for (int i = 0; i < keys.n; i++) {
        n += (size_t)snprintf(out + n, room - n, "%s%d:", i ? " " : "", keys.refs[i].index);
        const char *comma = "";
        for (const struct flag_name *f = key_flag_names; f->name; f++) {
            if (!(keys.refs[i].flags & f->flag))
                continue;
            n += (size_t)snprintf(out + n, room - n, "%s%s", comma, f->name);
            comma = ",";
        }
    }
    key_refs_done(&keys);
}

struct keys_case {
    const char *request, *keys;
};

static void check_cases(const struct keys_case *cases, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        char found[1024];
        describe(cases[i].request, found, sizeof(found));
        cr_expect_str_eq(found, cases[i].keys, "%s: found '%s', not '%s'", cases[i].request, found,
                         cases[i].keys);
    }
}
#define CHECK_CASES(cases) check_cases(cases, sizeof(cases) / sizeof(*(cases)))

Test(keys, a_range_begins_at_an_argument)
{
    static const struct keys_case cases[] = {
        { "get a", "1:RO,access" },
        { "ping a", "" },
        { "config set a b", "" },
        { "pfcount a b", "1:RW,access 2:RW,access" },
        { "mset a 1 b 2", "1:OW,update 3:OW,update" },
        { "mset a 1 b", "1:OW,update 3:OW,update" },
        { "blpop a b 0", "1:RW,access,delete 2:RW,access,delete" },
        { "blpop a", "EINVAL" },
        { "rename a b", "1:RW,access,delete 2:OW,update" },
        { "bitop and d a b", "2:OW,update 3:RO,access 4:RO,access" },
        { "lcs a b", "1:RO,access 2:RO,access" },
        { "object freq a", "2:RO" },
        { "object freq", "EINVAL" },
        { "memory usage a samples 1", "2:RO" },
        { "xgroup create k g $", "2:RW,insert" },
        { "zrangestore a b 0 -1", "1:OW,update 2:RO,access" },
        { "del a b c", "1:RM,delete 2:RM,delete 3:RM,delete" },
    };
    CHECK_CASES(cases);
}

Test(keys, a_count_says_how_many_keys_there_are)
{
    static const struct keys_case cases[] = {
        { "zunionstore d 2 a b", "1:OW,update 3:RO,access 4:RO,access" },
        { "zunionstore d 1 a weights 1", "1:OW,update 3:RO,access" },
        { "zunionstore d 3 a b", "EINVAL" },
        { "zunionstore d 0 a b", "EINVAL" },
        { "zunionstore d -1 a b", "EINVAL" },
        { "zunionstore d x a b", "EINVAL" },
        { "zunionstore d 2147483648 a b", "EINVAL" },
        { "zunionstore d 9223372036854775807 a b", "EINVAL" },
        { "zunionstore d", "EINVAL" },
        { "zdiff 1 a withscores", "2:RO,access" },
        { "lmpop 2 a b left", "2:RW,access,delete 3:RW,access,delete" },
        { "blmpop 0 2 a b left", "3:RW,access,delete 4:RW,access,delete" },
        { "eval s 2 a b c", "3:RW,access,update 4:RW,access,update" },
        { "evalsha_ro s 1 a", "3:RO,access" },
        { "fcall f 0 a", "" },
    };
    CHECK_CASES(cases);
}

Test(keys, a_senseless_count_is_left_to_commands_that_need_no_keys)
{
    static const struct keys_case cases[] = {
        { "eval s 2 x", "" }, { "eval s x x", "" },  { "eval s -1 x", "" },
        { "eval s", "" },     { "fcall f 3 a", "" },
    };
    CHECK_CASES(cases);
}

Test(keys, a_keyword_announces_keys)
{
    static const struct keys_case cases[] = {
        { "georadius k 1 1 1 km", "1:RO,access" },
        { "georadius k 1 1 1 km STORE d", "1:RO,access 7:OW,update" },
        { "georadius k 1 1 1 km count 1 any asc store d", "1:RO,access 11:OW,update" },
        { "georadius k 1 1 1 km storedist d store e", "1:RO,access 9:OW,update 7:OW,update" },
        { "georadius k 1 1 1 km store d store e", "1:RO,access 7:OW,update" },
        { "georadius k 1 1 1 km store", "1:RO,access" },
        { "georadius k 1 1 1 store d", "1:RO,access" },
        { "georadiusbymember k m 1 km store d", "1:RO,access 6:OW,update" },
        { "xread streams a b 0 0", "2:RO,access 3:RO,access" },
        { "xread streams a b 0", "2:RO,access" },
        { "xread count 2 block 0 streams a 0", "6:RO,access" },
        { "xread count streams streams a 0", "3:RO,access" },
        { "xread block 0 streams", "EINVAL" },
        { "xread a b streams c", "EINVAL" },
        { "xread a b c", "EINVAL" },
        { "xreadgroup group streams streams streams k 0", "5:RO,access" },
        { "xreadgroup group g c count 1 streams k j 0 0", "7:RO,access 8:RO,access" },
    };
    CHECK_CASES(cases);
}

Test(keys, sort_stores_where_its_last_store_says)
{
    static const struct keys_case cases[] = {
        { "sort a", "1:RO,access" },
        { "sort a by w_* get o_* store d", "1:RO,access 7:OW,update" },
        { "sort a store d STORE e", "1:RO,access 5:OW,update" },
        { "sort a store", "1:RO,access" },
        { "sort a limit store 1 store z", "1:RO,access 6:OW,update" },
        { "sort a limit 0 store x", "1:RO,access" },
        { "sort a get store b", "1:RO,access" },
        { "sort a by store store q", "1:RO,access 5:OW,update" },
        { "sort a limit", "1:RO,access" },
        { "sort_ro a store x", "1:RO,access" },
    };
    CHECK_CASES(cases);
}

Test(keys, migrate_takes_one_key_or_a_list)
{
    static const struct keys_case cases[] = {
        { "migrate h 1 k 0 10", "3:RW,access,delete" },
        { "migrate h 1 '' 0 10", "3:RW,access,delete" },
        { "migrate h 1 '' 0 10 keys a b", "7:RW,access,delete 8:RW,access,delete" },
        { "migrate h 1 '' 0 10 copy replace KEYS a", "9:RW,access,delete" },
        { "migrate h 1 '' 0 10 auth keys keys a", "9:RW,access,delete" },
        { "migrate h 1 '' 0 10 auth2 u keys keys a", "10:RW,access,delete" },
        { "migrate h 1 '' 0 10 auth2 keys keys a", "3:RW,access,delete" },
        { "migrate h 1 '' 0 10 keys", "3:RW,access,delete" },
        { "migrate h 1 k 0 10 keys a", "EINVAL" },
        { "migrate h 1 k 0 10 keys", "3:RW,access,delete" },
        { "migrate h 1 k 0 10 auth keys a", "3:RW,access,delete" },
        { "migrate h 1", "EINVAL" },
    };
    CHECK_CASES(cases);
}

Test(keys, access_depends_on_options)
{
    static const struct keys_case cases[] = {
        { "set a b", "1:OW,update" },
        { "set a get", "1:OW,update" },
        { "set a b nx GET", "1:RW,access,update" },
        { "bitfield a", "1:RO,access" },
        { "bitfield a get u8 0 overflow fail get u8 0", "1:RO,access" },
        { "bitfield a get set 0", "1:RO,access" },
        { "bitfield a set u8 0 1", "1:RW,access,update" },
        { "bitfield a get u8 0 incrby u8 0 1", "1:RW,access,update" },
        { "bitfield a get u8", "1:RW,access,update" },
        { "bitfield a overflow", "1:RW,access,update" },
    };
    CHECK_CASES(cases);
}

Test(keys, shard_channels_are_marked_as_no_keys)
{
    static const struct keys_case cases[] = {
        { "spublish c m", "1:not_key" },
        { "ssubscribe c d", "1:not_key 2:not_key" },
        { "publish c m", "" },
    };
    CHECK_CASES(cases);
    cr_expect_not(command_docs_has_keys(command_docs_find("spublish")));
    cr_expect(command_docs_has_keys(command_docs_find("get")));
    cr_expect(command_docs_has_keys(command_docs_find("eval")));
}

Test(keys, any_number_of_keys_is_found)
{
    enum { N = 1000 };
    struct bytes *argv = malloc(sizeof(*argv) * (1 + 2 * N));
    for (int i = 0; i < 1 + 2 * N; i++)
        argv[i] = BYTES("x");
    argv[2] = BYTES("999");
    static const struct {
        const char *name;
        int argc, keys;
    } cases[] = { { "mget", 17, 16 },
                  { "mget", 18, 17 },
                  { "mset", 2 * N + 1, N },
                  { "zunionstore", N + 2, 1000 } };
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        struct known k;
        struct key_refs keys;
        cr_assert_eq(command_keys(entry_of(&k, cases[i].name), argv, cases[i].argc, &keys), 0, "%s",
                     cases[i].name);
        cr_expect_eq(keys.n, cases[i].keys);
        cr_expect_eq(keys.refs == keys.small, cases[i].keys <= 16,
                     "%s allocates only for many keys", cases[i].name);
        for (int j = 1; j < keys.n; j++)
            cr_expect_gt(keys.refs[j].index, keys.refs[j - 1].index);
        key_refs_done(&keys);
        cr_expect_eq(keys.n, 0);
    }
    free(argv);
}

Test(keys, a_command_without_docs_has_the_keys_of_its_row)
{
    static const struct command row = { .name = "other", .arity = -3, .keys = { 2, -1, 2 } };
    static const struct command_entry e = { .row = &row, .full_name = "other", .id = UINT16_MAX };
    struct bytes argv[6] = { BYTES("other"), BYTES("x"), BYTES("a"),
                             BYTES("y"),     BYTES("b"), BYTES("z") };
    struct key_refs keys;
    cr_assert_eq(command_keys(&e, argv, 6, &keys), 0);
    cr_assert_eq(keys.n, 2);
    cr_expect_eq(keys.refs[0].index, 2);
    cr_expect_eq(keys.refs[1].index, 4);
    cr_expect_eq(keys.refs[0].flags, KEY_RW | KEY_ACCESS | KEY_UPDATE);
    key_refs_done(&keys);
    cr_expect_eq(command_keys(&e, argv, 2, &keys), -EINVAL);
}

/* Whatever the words, nothing but arguments is referred to. */
Test(keys, random_requests_give_arguments_only)
{
    static const struct bytes words[] = {
        BYTES("store"),   BYTES("keys"), BYTES("1"),          BYTES("2"),     BYTES("-1"),
        BYTES("streams"), BYTES(""),     BYTES("get"),        BYTES("auth"),  BYTES("auth2"),
        BYTES("by"),      BYTES("99"),   BYTES("2147483647"), BYTES("limit"),
    };
    unsigned seed = 42;
    for (int i = 0; i < command_docs_n; i++) {
        struct known k;
        struct command_entry *e = entry_of(&k, command_docs_table[i].name);
        for (int round = 0; round < 200; round++) {
            struct bytes argv[12];
            int argc = 1 + rand_r(&seed) % 12;
            for (int j = 0; j < argc; j++)
                argv[j] = words[(size_t)rand_r(&seed) % (sizeof(words) / sizeof(*words))];
            struct key_refs keys;
            if (command_keys(e, argv, argc, &keys) < 0)
                continue;
            for (int j = 0; j < keys.n; j++)
                cr_assert(keys.refs[j].index > 0 && keys.refs[j].index < argc, "%s", e->full_name);
            key_refs_done(&keys);
        }
    }
}
