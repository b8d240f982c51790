/* proc-title-template (see title.h). */
#include "server/title.h"

#include <stdio.h>
#include <string.h>

#include "server/loop/process.h"

static void expand_one(const char *name, size_t n, const struct options *o, const char *config_file, struct buf *b)
{
    char port[16];
    snprintf(port, sizeof(port), "%d", o->net.port);
    const char *addr = o->net.bind_n ? o->net.bind[0] : "*";
    addr += addr[0] == '-';
    char listen[256];
    if (o->net.port)
        snprintf(listen, sizeof(listen), "%s:%s", addr, port);
    else
        snprintf(listen, sizeof(listen), "%s", o->net.unixsocket ? o->net.unixsocket : "");
    const struct {
        const char *name, *value;
    } vars[] = {
        { "title", process_executable() },
        { "listen-addr", listen },
        { "server-mode", "" },
        { "port", port },
        { "tls-port", "0" },
        { "unixsocket", o->net.unixsocket ? o->net.unixsocket : "" },
        { "config-file", config_file ? config_file : "" },
    };
    for (size_t i = 0; i < sizeof(vars) / sizeof(*vars); i++)
        if (strlen(vars[i].name) == n && memcmp(vars[i].name, name, n) == 0)
            buf_append_str(b, vars[i].value);
}

void title_expand(const struct options *o, const char *config_file, struct buf *b)
{
    for (const char *s = o->process.proc_title_template; *s;) {
        const char *end = *s == '{' ? strchr(s, '}') : NULL;
        if (!end) {
            buf_append_char(b, *s++);
            continue;
        }
        expand_one(s + 1, (size_t)(end - s - 1), o, config_file, b);
        s = end + 1;
    }
    while (b->n && b->p[b->n - 1] == ' ')
        b->n--;
}
