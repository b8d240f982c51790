/* Locked files, for the loop itself; the face is in server/io.h. */
#pragma once

#include "server/io.h"

void locks_child_close(void); /* in a forked child */
