/* The commands of ouro-slots; each returns the exit code. */
#pragma once

#include "options.h"

int cmd_analyse(const struct options *);
int cmd_plan(const struct options *);
int cmd_run(const struct options *);
int cmd_create(const struct options *);
/* "ouro-slots: text" on stderr; returns 1. */
int complain(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* Opens the file of --svg or --out; complains. */
#include <stdio.h>
FILE *open_for_writing(const char *path);
