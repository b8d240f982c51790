/* MONITOR: clients that see every command. */
#pragma once

#include "server/client.h"

struct monitors;
struct monitors *monitors_new(void);
void monitors_free(struct monitors *);
bool monitors_any(const struct monitors *);
uint64_t monitors_count(const struct monitors *);
void monitors_add(struct monitors *, struct client *);
void monitors_forget(struct monitors *, struct client *);
/* Before a command runs. */
void monitors_feed(struct monitors *, struct client *, int argc, const struct bytes *argv, usec_t wall_us);
