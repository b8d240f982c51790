/* The title that `ps` shows, from proc-title-template. */
#pragma once

#include <stdbool.h>

#include "common/buf.h"
#include "server/options.h"

/* Expands {title} {listen-addr} {server-mode} {port} {tls-port} {unixsocket} {config-file}. */
void title_expand(const struct options *, const char *config_file, struct buf *ret_title);
