/* Finding the generated facts about a command (command_docs.h), and words for their bits. */
#include "server/commands/command_docs.h"

const char *const acl_category_names[ACL_CATEGORIES] = {
    [ACL_CAT_KEYSPACE] = "keyspace",
    [ACL_CAT_READ] = "read",
    [ACL_CAT_WRITE] = "write",
    [ACL_CAT_SET] = "set",
    [ACL_CAT_SORTEDSET] = "sortedset",
    [ACL_CAT_LIST] = "list",
    [ACL_CAT_HASH] = "hash",
    [ACL_CAT_STRING] = "string",
    [ACL_CAT_BITMAP] = "bitmap",
    [ACL_CAT_HYPERLOGLOG] = "hyperloglog",
    [ACL_CAT_GEO] = "geo",
    [ACL_CAT_STREAM] = "stream",
    [ACL_CAT_PUBSUB] = "pubsub",
    [ACL_CAT_ADMIN] = "admin",
    [ACL_CAT_FAST] = "fast",
    [ACL_CAT_SLOW] = "slow",
    [ACL_CAT_BLOCKING] = "blocking",
    [ACL_CAT_DANGEROUS] = "dangerous",
    [ACL_CAT_CONNECTION] = "connection",
    [ACL_CAT_TRANSACTION] = "transaction",
    [ACL_CAT_SCRIPTING] = "scripting",
};

const struct flag_name command_flag_names[] = {
    { CMD_WRITE, "write" },
    { CMD_READ, "readonly" },
    { CMD_DENY_OOM, "denyoom" },
    { CMD_ADMIN, "admin" },
    { CMD_PUBSUB, "pubsub" },
    { CMD_NOSCRIPT, "noscript" },
    { CMD_BLOCKING, "blocking" },
    { CMD_LOADING, "loading" },
    { CMD_STALE, "stale" },
    { CMD_SKIP_MONITOR, "skip_monitor" },
    { CMD_SKIP_SLOWLOG, "skip_slowlog" },
    { CMD_ASKING, "asking" },
    { CMD_FAST, "fast" },
    { CMD_NO_ASYNC_LOADING, "no_async_loading" },
    { CMD_NO_AUTH, "no_auth" },
    { CMD_NO_MULTI, "no_multi" },
    { CMD_NO_MANDATORY_KEYS, "no_mandatory_keys" },
    { CMD_MOVABLE_KEYS, "movablekeys" },
    { CMD_ALLOW_BUSY, "allow_busy" },
    { 0, NULL },
};

const struct flag_name key_flag_names[] = {
    { KEY_RO, "RO" },
    { KEY_RW, "RW" },
    { KEY_OW, "OW" },
    { KEY_RM, "RM" },
    { KEY_ACCESS, "access" },
    { KEY_UPDATE, "update" },
    { KEY_INSERT, "insert" },
    { KEY_DELETE, "delete" },
    { KEY_NOT_KEY, "not_key" },
    { KEY_INCOMPLETE, "incomplete" },
    { KEY_VARIABLE_FLAGS, "variable_flags" },
    { 0, NULL },
};

int acl_category_find(struct bytes name)
{
    for (int i = 0; i < ACL_CATEGORIES; i++)
        if (bytes_is(name, acl_category_names[i]))
            return i;
    return -1;
}

unsigned command_flags_printed(void)
{
    unsigned all = 0;
    for (const struct flag_name *f = command_flag_names; f->name; f++)
        all |= f->flag;
    return all;
}

const struct command_docs *command_docs_find(const char *full_name)
{
    int low = 0, high = command_docs_n;
    while (low < high) {
        int mid = low + (high - low) / 2;
        int order = strcmp(full_name, command_docs_table[mid].name);
        if (order == 0)
            return &command_docs_table[mid];
        if (order < 0)
            high = mid;
        else
            low = mid + 1;
    }
    return NULL;
}

/* Ids are dense and rows are constant: what was found once for a row stays right. */
const struct command_docs *command_docs(const struct command_entry *e)
{
    static struct {
        const struct command *row;
        const struct command_docs *docs;
    } known[512];
    if (e->id >= sizeof(known) / sizeof(*known))
        return command_docs_find(e->full_name);
    if (__builtin_expect(known[e->id].row != e->row, 0)) {
        known[e->id].docs = command_docs_find(e->full_name);
        known[e->id].row = e->row;
    }
    return known[e->id].docs;
}

bool command_docs_has_keys(const struct command_docs *d)
{
    for (int i = 0; i < d->specs_n; i++)
        if (!(d->specs[i].flags & KEY_NOT_KEY))
            return true;
    return false;
}
