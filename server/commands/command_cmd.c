/* COMMAND: what the server can do, told to clients and tools. A view of the registry (command.h)
 * and of the facts in docs.json (command_docs.h); only registered commands are shown.
 *
 * Shapes follow Redis 7.2: lists of words are sets in RESP3, records are maps, names of flags are
 * status replies. */
#include "common/glob.h"
#include "server/call.h"
#include "server/commands/command_docs.h"

/* ---- parts of replies ---- */

static void reply_flag_names(struct writer *w, const struct flag_name *names, unsigned flags)
{
    int n = 0;
    for (const struct flag_name *f = names; f->name; f++)
        n += (flags & f->flag) != 0;
    resp_set(w, n);
    for (const struct flag_name *f = names; f->name; f++)
        if (flags & f->flag)
            resp_simple_str(w, f->name);
}

static void reply_categories(struct writer *w, unsigned acl)
{
    resp_set(w, __builtin_popcount(acl));
    for (int i = 0; i < ACL_CATEGORIES; i++) {
        if (!(acl & 1u << i))
            continue;
        char name[32] = "@";
        strncat(name, acl_category_names[i], sizeof(name) - 2);
        resp_simple_str(w, name);
    }
}

static void reply_pair(struct writer *w, const char *name, const char *value)
{
    resp_bulk_str(w, name);
    resp_bulk_str(w, value);
}

static void reply_number(struct writer *w, const char *name, int64_t value)
{
    resp_bulk_str(w, name);
    resp_int(w, value);
}

/* ---- COMMAND INFO ---- */

static void reply_spec_begin(struct writer *w, const struct key_spec *s)
{
    resp_bulk_str(w, "begin_search");
    resp_map(w, 2);
    switch ((enum key_begin)s->begin) {
    case KEY_BEGIN_UNKNOWN:
        reply_pair(w, "type", "unknown");
        resp_bulk_str(w, "spec");
        resp_map(w, 0);
        break;
    case KEY_BEGIN_INDEX:
        reply_pair(w, "type", "index");
        resp_bulk_str(w, "spec");
        resp_map(w, 1);
        reply_number(w, "index", s->start);
        break;
    case KEY_BEGIN_KEYWORD:
        reply_pair(w, "type", "keyword");
        resp_bulk_str(w, "spec");
        resp_map(w, 2);
        reply_pair(w, "keyword", s->keyword);
        reply_number(w, "startfrom", s->start);
        break;
    }
}

static void reply_spec_find(struct writer *w, const struct key_spec *s)
{
    resp_bulk_str(w, "find_keys");
    resp_map(w, 2);
    switch ((enum key_find)s->find) {
    case KEY_FIND_UNKNOWN:
        reply_pair(w, "type", "unknown");
        resp_bulk_str(w, "spec");
        resp_map(w, 0);
        break;
    case KEY_FIND_RANGE:
        reply_pair(w, "type", "range");
        resp_bulk_str(w, "spec");
        resp_map(w, 3);
        reply_number(w, "lastkey", s->last);
        reply_number(w, "keystep", s->step);
        reply_number(w, "limit", s->limit);
        break;
    case KEY_FIND_KEYNUM:
        reply_pair(w, "type", "keynum");
        resp_bulk_str(w, "spec");
        resp_map(w, 3);
        reply_number(w, "keynumidx", s->count_at);
        reply_number(w, "firstkey", s->first);
        reply_number(w, "keystep", s->step);
        break;
    }
}

static void reply_specs(struct writer *w, const struct command_docs *d)
{
    resp_set(w, d->specs_n);
    for (int i = 0; i < d->specs_n; i++) {
        const struct key_spec *s = &d->specs[i];
        resp_map(w, s->notes ? 4 : 3);
        if (s->notes)
            reply_pair(w, "notes", s->notes);
        resp_bulk_str(w, "flags");
        reply_flag_names(w, key_flag_names, s->flags);
        reply_spec_begin(w, s);
        reply_spec_find(w, s);
    }
}

/* The first nine of the ten fields. The row is what dispatch goes by, so it is what is told. */
static void reply_info_fields(struct writer *w, const struct command_entry *e)
{
    static const struct command_docs nothing_known;
    const struct command_docs *d = command_docs(e);
    if (!d)
        d = &nothing_known;
    resp_bulk_str(w, e->full_name);
    resp_int(w, e->row->arity);
    reply_flag_names(w, command_flag_names, e->row->flags);
    resp_int(w, e->row->keys.first);
    resp_int(w, e->row->keys.last);
    resp_int(w, e->row->keys.step);
    reply_categories(w, d->acl);
    resp_set(w, d->tips_n);
    for (int i = 0; i < d->tips_n; i++)
        resp_bulk_str(w, d->tips[i]);
    reply_specs(w, d);
}

/* Subcommands have none of their own. Without any the last field is an empty set, with some an
 * array: so does Redis. */
static void reply_info(struct writer *w, const struct command_entry *e)
{
    resp_array(w, 10);
    reply_info_fields(w, e);
    if (e->subs_n == 0) {
        resp_set(w, 0);
        return;
    }
    resp_array(w, e->subs_n);
    for (int i = 0; i < e->subs_n; i++) {
        resp_array(w, 10);
        reply_info_fields(w, &e->subs[i]);
        resp_set(w, 0);
    }
}

static void reply_info_all(struct writer *w)
{
    int n = command_count();
    resp_array(w, n);
    for (int i = 0; i < n; i++)
        reply_info(w, command_at(i));
}

static void cmd_command(struct call *c)
{
    reply_info_all(c->w);
}

static void cmd_command_info(struct call *c)
{
    if (c->argc == 2) {
        reply_info_all(c->w);
        return;
    }
    reply_array(c, c->argc - 2);
    for (int i = 2; i < c->argc; i++) {
        const struct command_entry *e = command_find(c->argv[i]);
        if (e)
            reply_info(c->w, e);
        else
            reply_null(c);
    }
}

static void cmd_command_count(struct call *c)
{
    reply_int(c, command_count());
}

/* ---- COMMAND DOCS ---- */

static const char *const arg_type_names[] = {
    [ARG_STRING] = "string",         [ARG_INTEGER] = "integer",
    [ARG_DOUBLE] = "double",         [ARG_KEY] = "key",
    [ARG_PATTERN] = "pattern",       [ARG_UNIX_TIME] = "unix-time",
    [ARG_PURE_TOKEN] = "pure-token", [ARG_ONEOF] = "oneof",
    [ARG_BLOCK] = "block",
};
static const struct flag_name arg_flag_names[] = {
    { ARG_OPTIONAL, "optional" },
    { ARG_MULTIPLE, "multiple" },
    { ARG_MULTIPLE_TOKEN, "multiple_token" },
    { 0, NULL },
};
static const struct flag_name doc_flag_names[] = {
    { DOC_DEPRECATED, "deprecated" },
    { DOC_SYSCMD, "syscmd" },
    { 0, NULL },
};

static void reply_pair_if(struct writer *w, const char *name, const char *value)
{
    if (value)
        reply_pair(w, name, value);
}

/* Recursion as deep as the grammar in docs.json, which is a constant. */
static void reply_args(struct writer *w, const struct command_arg *args, int n)
{
    resp_array(w, n);
    for (int i = 0; i < n; i++) {
        const struct command_arg *a = &args[i];
        resp_map(w, 2 + (a->display_text != NULL) + (a->key_spec >= 0) + (a->token != NULL) +
                        (a->since != NULL) + (a->deprecated_since != NULL) + (a->flags != 0) +
                        (a->args_n > 0));
        reply_pair(w, "name", a->name);
        reply_pair(w, "type", arg_type_names[a->type]);
        reply_pair_if(w, "display_text", a->display_text);
        if (a->key_spec >= 0)
            reply_number(w, "key_spec_index", a->key_spec);
        reply_pair_if(w, "token", a->token);
        reply_pair_if(w, "since", a->since);
        reply_pair_if(w, "deprecated_since", a->deprecated_since);
        if (a->flags) {
            resp_bulk_str(w, "flags");
            reply_flag_names(w, arg_flag_names, a->flags);
        }
        if (a->args_n) {
            resp_bulk_str(w, "arguments");
            reply_args(w, a->args, a->args_n);
        }
    }
}

static void reply_history(struct writer *w, const struct command_docs *d)
{
    resp_bulk_str(w, "history");
    resp_set(w, d->history_n);
    for (int i = 0; i < d->history_n; i++) {
        resp_array(w, 2);
        resp_bulk_str(w, d->history[i].version);
        resp_bulk_str(w, d->history[i].text);
    }
}

/* The fields of one command, as the start of a map that has `more` further fields. */
static void reply_docs_fields(struct writer *w, const struct command_docs *d, int more)
{
    resp_map(w, more + 3 + (d->complexity != NULL) + (d->doc_flags != 0) +
                    (d->deprecated_since != NULL) + (d->replaced_by != NULL) + (d->history_n > 0) +
                    (d->args_n > 0));
    reply_pair(w, "summary", d->summary);
    reply_pair(w, "since", d->since);
    reply_pair(w, "group", d->group);
    reply_pair_if(w, "complexity", d->complexity);
    if (d->doc_flags) {
        resp_bulk_str(w, "doc_flags");
        reply_flag_names(w, doc_flag_names, d->doc_flags);
    }
    reply_pair_if(w, "deprecated_since", d->deprecated_since);
    reply_pair_if(w, "replaced_by", d->replaced_by);
    if (d->history_n)
        reply_history(w, d);
    if (d->args_n) {
        resp_bulk_str(w, "arguments");
        reply_args(w, d->args, d->args_n);
    }
}

static const struct command_docs *docs_or_blank(const struct command_entry *e)
{
    static const struct command_docs blank = { .summary = "", .since = "", .group = "generic" };
    const struct command_docs *d = command_docs(e);
    return d ? d : &blank;
}

/* A name and its map. Subcommands come inside their container's. */
static void reply_docs(struct writer *w, const struct command_entry *e)
{
    resp_bulk_str(w, e->full_name);
    reply_docs_fields(w, docs_or_blank(e), e->subs_n > 0);
    if (e->subs_n == 0)
        return;
    resp_bulk_str(w, "subcommands");
    resp_map(w, e->subs_n);
    for (int i = 0; i < e->subs_n; i++) {
        resp_bulk_str(w, e->subs[i].full_name);
        reply_docs_fields(w, docs_or_blank(&e->subs[i]), 0);
    }
}

static void cmd_command_docs(struct call *c)
{
    if (c->argc == 2) {
        int n = command_count();
        resp_map(c->w, n);
        for (int i = 0; i < n; i++)
            reply_docs(c->w, command_at(i));
        return;
    }
    struct writer_mark mark = resp_later(c->w);
    int n = 0;
    for (int i = 2; i < c->argc; i++) {
        const struct command_entry *e = command_find(c->argv[i]);
        if (!e)
            continue;
        reply_docs(c->w, e);
        n++;
    }
    resp_later_map(c->w, mark, n);
}

/* ---- COMMAND LIST ---- */

enum list_filter { LIST_ALL, LIST_MODULE, LIST_CATEGORY, LIST_PATTERN };

static bool list_takes(const struct command_entry *e, enum list_filter filter, int category,
                       struct bytes pattern)
{
    switch (filter) {
    case LIST_ALL:
        return true;
    case LIST_MODULE:
        return false; /* no command comes from a module */
    case LIST_CATEGORY: {
        const struct command_docs *d = command_docs(e);
        return d && category >= 0 && (d->acl & 1u << category);
    }
    case LIST_PATTERN:
        return glob_match_nocase(pattern, bytes_of_str(e->full_name));
    }
    return false;
}

static bool list_filter_parse(const struct call *c, enum list_filter *ret_filter)
{
    if (c->argc == 2)
        *ret_filter = LIST_ALL;
    else if (c->argc != 5 || !arg_is(c, 2, "filterby"))
        return false;
    else if (arg_is(c, 3, "module"))
        *ret_filter = LIST_MODULE;
    else if (arg_is(c, 3, "aclcat"))
        *ret_filter = LIST_CATEGORY;
    else if (arg_is(c, 3, "pattern"))
        *ret_filter = LIST_PATTERN;
    else
        return false;
    return true;
}

static void cmd_command_list(struct call *c)
{
    enum list_filter filter;
    if (!list_filter_parse(c, &filter)) {
        reply_syntax_error(c);
        return;
    }
    struct bytes operand = filter == LIST_ALL ? BYTES("") : c->argv[4];
    int category = filter == LIST_CATEGORY ? acl_category_find(operand) : -1;
    struct writer_mark mark = resp_later(c->w);
    int64_t n = 0;
    for (int i = 0; i < command_count(); i++) {
        const struct command_entry *e = command_at(i);
        for (int s = -1; s < e->subs_n; s++) {
            const struct command_entry *one = s < 0 ? e : &e->subs[s];
            if (!list_takes(one, filter, category, operand))
                continue;
            resp_bulk_str(c->w, one->full_name);
            n++;
        }
    }
    resp_later_array(c->w, mark, n);
}

/* ---- COMMAND GETKEYS ---- */

/* Finds the keys of the command in argv[2...], or replies with what is wrong. A true result is
 * followed by key_refs_done. */
static bool getkeys(struct call *c, struct key_refs *ret_keys)
{
    const struct bytes *argv = c->argv + 2;
    int argc = c->argc - 2;
    const struct command_entry *e = command_resolve(argv, argc);
    if (!e || (e->subs_n > 0 && argc > 1)) {
        reply_error(c, "ERR Invalid command specified");
        return false;
    }
    const struct command_docs *d = command_docs(e);
    if (d ? !command_docs_has_keys(d) : e->row->keys.first == 0) {
        reply_error(c, "ERR The command has no key arguments");
        return false;
    }
    if (!command_arity_ok(e->row, argc)) {
        reply_error(c, "ERR Invalid number of arguments specified for command");
        return false;
    }
    if (command_keys(e, argv, argc, ret_keys) < 0) {
        reply_error(c, "ERR Invalid arguments specified for command");
        return false;
    }
    return true;
}

static void cmd_command_getkeys(struct call *c)
{
    struct key_refs keys;
    if (!getkeys(c, &keys))
        return;
    reply_array(c, keys.n);
    for (int i = 0; i < keys.n; i++)
        reply_bulk(c, c->argv[2 + keys.refs[i].index]);
    key_refs_done(&keys);
}

static void cmd_command_getkeysandflags(struct call *c)
{
    struct key_refs keys;
    if (!getkeys(c, &keys))
        return;
    reply_array(c, keys.n);
    for (int i = 0; i < keys.n; i++) {
        reply_array(c, 2);
        reply_bulk(c, c->argv[2 + keys.refs[i].index]);
        reply_flag_names(c->w, key_flag_names, keys.refs[i].flags);
    }
    key_refs_done(&keys);
}

static void cmd_command_help(struct call *c)
{
    static const char *const lines[] = {
        "(no subcommand)",
        "    Return details about all Redis commands.",
        "COUNT",
        "    Return the total number of commands in this Redis server.",
        "LIST",
        "    Return a list of all commands in this Redis server.",
        "INFO [<command-name> ...]",
        "    Return details about multiple Redis commands.",
        "    If no command names are given, documentation details for all",
        "    commands are returned.",
        "DOCS [<command-name> ...]",
        "    Return documentation details about multiple Redis commands.",
        "    If no command names are given, documentation details for all",
        "    commands are returned.",
        "GETKEYS <full-command>",
        "    Return the keys from a full Redis command.",
        "GETKEYSANDFLAGS <full-command>",
        "    Return the keys and the access flags from a full Redis command.",
        NULL,
    };
    reply_help(c, lines);
}

#define ANYTIME (CMD_LOADING | CMD_STALE)

static const struct command command_subs[] = {
    { "count", cmd_command_count, 2, ANYTIME, NO_KEYS, NULL },
    { "docs", cmd_command_docs, -2, ANYTIME, NO_KEYS, NULL },
    { "getkeys", cmd_command_getkeys, -3, ANYTIME, NO_KEYS, NULL },
    { "getkeysandflags", cmd_command_getkeysandflags, -3, ANYTIME, NO_KEYS, NULL },
    { "help", cmd_command_help, 2, ANYTIME, NO_KEYS, NULL },
    { "info", cmd_command_info, -2, ANYTIME, NO_KEYS, NULL },
    { "list", cmd_command_list, -2, ANYTIME, NO_KEYS, NULL },
    COMMANDS_END,
};

const struct command command_commands[] = {
    { "command", cmd_command, -1, ANYTIME | CMD_CONTAINER, NO_KEYS, command_subs },
    COMMANDS_END,
};
