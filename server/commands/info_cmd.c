/* INFO. The sections are server/info*.c. */
#include "server/call.h"
#include "server/info.h"

static void cmd_info(struct call *c)
{
    struct buf text = BUF_INIT(BUF_UNLIMITED);
    info_build(c->node, c->argc - 1, c->argv + 1, &text);
    resp_verbatim(c->w, "txt", text.n ? buf_bytes(&text) : BYTES(""));
    buf_done(&text);
}

const struct command info_commands[] = {
    { "info", cmd_info, -1, CMD_LOADING | CMD_STALE, NO_KEYS, NULL },
    COMMANDS_END,
};
