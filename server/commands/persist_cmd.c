/* SAVE BGSAVE LASTSAVE SHUTDOWN. */
#include <errno.h>

#include "server/call.h"
#include "server/ending.h"
#include "server/node.h"
#include "server/saving.h"

static const char in_progress[] = "ERR Background save already in progress";
static const char failed[] = "ERR"; /* as Redis: the log tells why */

static void cmd_save(struct call *c)
{
    int r = saving_now(node_saving(c->node));
    if (r == 0)
        reply_ok(c);
    else
        reply_error(c, r == -EBUSY ? in_progress : failed);
}

/* A child is there already, or it may not be made now. */
static void bgsave_later(struct call *c, bool schedule)
{
    struct saving *s = node_saving(c->node);
    struct snapshots *images = saving_snapshots(s);
    if (snapshot_running(images) && snapshot_purpose(images) != SNAPSHOT_AOF) {
        reply_error(c, in_progress);
    } else if (schedule || (c->flags & CALL_IN_EXEC)) {
        saving_schedule(s);
        resp_simple_str(c->w, "Background saving scheduled");
    } else {
        reply_error(c, "ERR Another child process is active (AOF?): can't BGSAVE right now. Use BGSAVE SCHEDULE in "
                       "order to schedule a BGSAVE whenever possible.");
    }
}

static void cmd_bgsave(struct call *c)
{
    struct saving *s = node_saving(c->node);
    if (c->argc > 2 || (c->argc == 2 && !arg_is(c, 1, "schedule"))) {
        reply_syntax_error(c);
        return;
    }
    /* In a transaction the image would have a part of it. */
    if (snapshot_running(saving_snapshots(s)) || (c->flags & CALL_IN_EXEC)) {
        bgsave_later(c, c->argc == 2);
        return;
    }
    if (saving_background(s, SNAPSHOT_SAVE, 0, NULL, NULL) == 0)
        resp_simple_str(c->w, "Background saving started");
    else
        reply_error(c, failed);
}

static void cmd_lastsave(struct call *c)
{
    struct saving_figures f;
    saving_figures(node_saving(c->node), &f);
    reply_int(c, f.last_save_ms / 1000);
}

/* ---- SHUTDOWN ---- */

/* False: the words contradict each other, or are none. */
static bool shutdown_words(const struct call *c, unsigned *ret_flags, bool *ret_abort)
{
    static const struct {
        const char *word;
        unsigned flag;
    } words[] = {
        { "nosave", SHUTDOWN_NOSAVE }, { "save", SHUTDOWN_SAVE }, { "now", SHUTDOWN_NOW }, { "force", SHUTDOWN_FORCE },
    };
    unsigned flags = 0;
    bool stop = false;
    for (int i = 1; i < c->argc; i++) {
        unsigned flag = 0;
        for (size_t k = 0; k < sizeof(words) / sizeof(*words); k++)
            if (arg_is(c, i, words[k].word))
                flag = words[k].flag;
        if (!flag && !arg_is(c, i, "abort"))
            return false;
        flags |= flag;
        stop |= !flag;
    }
    *ret_flags = flags;
    *ret_abort = stop;
    return (flags & (SHUTDOWN_SAVE | SHUTDOWN_NOSAVE)) != (SHUTDOWN_SAVE | SHUTDOWN_NOSAVE) && !(stop && flags);
}

static void cmd_shutdown(struct call *c)
{
    unsigned flags;
    bool stop;
    if (!shutdown_words(c, &flags, &stop)) {
        reply_syntax_error(c);
        return;
    }
    if (stop) {
        if (node_shutdown_abort(c->node))
            reply_ok(c);
        else
            reply_error(c, "ERR No shutdown in progress.");
        return;
    }
    int r = node_shutdown(c->node, flags);
    if (r < 0)
        reply_error(c, "ERR Errors trying to SHUTDOWN. Check logs.");
    else if (r > 0)
        ending_hold(node_ending(c->node), c->client); /* it waits for replicas */
    else
        client_close(c->client); /* no reply: the connection ends with the process */
}

const struct command persist_commands[] = {
    { "save", cmd_save, 1, CMD_ADMIN | CMD_NOSCRIPT | CMD_NO_ASYNC_LOADING | CMD_NO_MULTI, NO_KEYS, NULL },
    { "bgsave", cmd_bgsave, -1, CMD_ADMIN | CMD_NOSCRIPT | CMD_NO_ASYNC_LOADING, NO_KEYS, NULL },
    { "lastsave", cmd_lastsave, 1, CMD_LOADING | CMD_STALE | CMD_FAST, NO_KEYS, NULL },
    { "shutdown", cmd_shutdown, -1, CMD_ADMIN | CMD_NOSCRIPT | CMD_LOADING | CMD_STALE | CMD_NO_MULTI | CMD_ALLOW_BUSY,
      NO_KEYS, NULL },
    COMMANDS_END,
};
