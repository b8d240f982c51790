/* Handlers of CLIENT that live in files of their own. */
#pragma once

#include "server/call.h"

void cmd_client_kill(struct call *);         /* client_kill.c */
void cmd_client_list(struct call *);
void cmd_client_caching(struct call *);      /* client_tracking.c */
void cmd_client_getredir(struct call *);
void cmd_client_tracking(struct call *);
void cmd_client_trackinginfo(struct call *);
