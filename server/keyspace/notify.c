/* Keyspace events: the letters of notify-keyspace-events, and the filter before the node hears of
 * one. */
#include <errno.h>

#include "server/keyspace/inner.h"

static const struct {
    char letter;
    unsigned flag;
} letters[] = {
    /* in the order in which CONFIG GET prints them */
    { 'g', NOTIFY_GENERIC },  { '$', NOTIFY_STRING },   { 'l', NOTIFY_LIST },
    { 's', NOTIFY_SET },      { 'h', NOTIFY_HASH },     { 'z', NOTIFY_ZSET },
    { 'x', NOTIFY_EXPIRED },  { 'e', NOTIFY_EVICTED },  { 't', NOTIFY_STREAM },
    { 'd', NOTIFY_MODULE },   { 'n', NOTIFY_NEW },      { 'K', NOTIFY_KEYSPACE },
    { 'E', NOTIFY_KEYEVENT }, { 'm', NOTIFY_KEY_MISS },
};
#define LETTERS_N (sizeof letters / sizeof letters[0])

int notify_parse(struct bytes text, unsigned *ret_flags)
{
    unsigned flags = 0;
    for (size_t i = 0; i < text.n; i++) {
        unsigned flag = text.p[i] == 'A' ? NOTIFY_ALL : 0;
        for (size_t j = 0; j < LETTERS_N; j++) {
            if (letters[j].letter == text.p[i])
                flag = letters[j].flag;
        }
        if (!flag)
            return -EINVAL;
        flags |= flag;
    }
    *ret_flags = flags;
    return 0;
}

void notify_format(unsigned flags, char text[static 32])
{
    char *p = text;
    bool all = (flags & NOTIFY_ALL) == NOTIFY_ALL;
    if (all)
        *p++ = 'A';
    for (size_t j = 0; j < LETTERS_N; j++) {
        unsigned flag = letters[j].flag;
        bool in_all = flag & (NOTIFY_ALL | NOTIFY_NEW); /* Redis prints no 'n' after 'A' */
        if (flags & flag && !(all && in_all))
            *p++ = letters[j].letter;
    }
    *p = '\0';
}

void ks_notify(struct db *db, struct bytes key, enum notify_class class, const char *event)
{
    struct keyspace *ks = db->ks;
    if (ks->config->notify_flags & class && ks->hooks.notify)
        ks->hooks.notify(ks->hooks.ctx, db->id, class, event, key);
}

void ks_touched(struct db *db, struct bytes key)
{
    struct keyspace *ks = db->ks;
    if (ks->hooks.touched)
        ks->hooks.touched(ks->hooks.ctx, db, key);
}

void ks_changed(struct db *db, struct bytes key, enum notify_class class, const char *event)
{
    ks_touched(db, key);
    ks_notify(db, key, class, event);
    db->ks->stats.dirty++;
}
