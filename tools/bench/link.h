/* Connecting, and talking to the server in a blocking way: hand-shakes and questions before and
 * after the run. Every wait is bounded by LINK_TIMEOUT_S. Errors are negative errno; -EPROTO comes
 * with the server's words. */
#pragma once

#include "common/buf.h"
#include "tools/bench/options.h"

#define LINK_TIMEOUT_S 10

/* A connected blocking socket, TCP_NODELAY. */
int link_open(const struct options *, int *ret_fd);

/* Sends HELLO/AUTH/SELECT as needed and PING; link_settle reads the replies. They are apart so that
 * many connections can be greeted at once. */
int link_greet(int fd, const struct options *);
int link_settle(int fd, const struct options *, struct buf *ret_error);

/* One command without arguments but the words given; its bulk reply's text lands in *ret_text. */
int link_ask(int fd, const char *const *words, size_t n, struct buf *ret_text);
