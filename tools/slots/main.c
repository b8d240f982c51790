/* ouro-slots: see options.c for what it does. */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "commands.h"
#include "common/hash.h"

int complain(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    fprintf(stderr, "ouro-slots: ");
    vfprintf(stderr, format, args);
    fputc('\n', stderr);
    va_end(args);
    return 1;
}

FILE *open_for_writing(const char *path)
{
    FILE *f = fopen(path, "w");
    if (!f)
        (void)complain("%s: %s", path, strerror(errno));
    return f;
}

int main(int argc, char **argv)
{
    struct options o;
    int code = 0;
    if (options_parse(argc, argv, &o, &code) < 0)
        return code;
    hash_seed(1, 2); /* the same input gives the same output */
    if (strcmp(o.command, "plan") == 0)
        return cmd_plan(&o);
    if (strcmp(o.command, "run") == 0)
        return cmd_run(&o);
    if (strcmp(o.command, "create") == 0)
        return cmd_create(&o);
    return cmd_analyse(&o);
}
