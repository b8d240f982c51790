/* The sockets the node listens on, as `bind`, `port` and `unixsocket` say. */
#pragma once

struct listeners;
struct node;

/* Listens on every address; those with a leading '-' may fail. Logs what fails; 0 or -errno. */
int listeners_new(struct node *, struct listeners **ret_listeners);
void listeners_close(struct listeners *);
/* After bind or port changed: listens anew, or keeps the old ones and gives the reason. */
int listeners_renew(struct listeners *, const char **ret_error);
int listeners_count(const struct listeners *);
/* Text of INFO's listenerN line: "name=tcp,bind=127.0.0.1,port=6379". */
struct buf;
void listeners_describe(const struct listeners *, int i, struct buf *);
