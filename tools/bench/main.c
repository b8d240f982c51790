/* ouro-bench: a load generator for servers that speak RESP, so cheap that the server is the limit.
 *
 *     options -> workload (requests rendered) -> run (connections, engine, histogram) -> report
 */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/alloc.h"
#include "tools/bench/options.h"
#include "tools/bench/report.h"
#include "tools/bench/run.h"
#include "tools/bench/workload.h"

static int complain(const char *what, const char *why)
{
    fprintf(stderr, "ouro-bench: %s%s\n", what, why);
    return 1;
}

static int report(const struct options *o, const struct run_result *r)
{
    if (o->json) {
        report_json(stdout, o, r);
    } else {
        report_text(stdout, o, r);
        if (!o->idle && (o->plot > 0 || (o->plot < 0 && isatty(STDOUT_FILENO))))
            report_plot(stdout, r);
    }
    if (o->svg) {
        int e = report_svg(o->svg, o, r);
        if (e < 0)
            return complain("cannot write the picture: ", strerror(-e));
    }
    if (fflush(stdout) != 0)
        return complain("cannot write the report", "");
    if (r->errors || r->lost_connections)
        return 2;
    return r->complete ? 0 : 3;
}

int main(int argc, char **argv)
{
    struct options options;
    int status = options_parse(&options, argc, argv);
    if (status >= 0)
        return status;

    struct buf error = BUF_INIT(4096);
    struct workload *workload = mem_alloc(sizeof *workload);
    struct run_result *result = mem_zalloc(sizeof *result);
    if (!workload_init(workload, &options, &error)) {
        status = complain(buf_cstr(&error), "");
    } else if (run(&options, workload, result, &error) < 0) {
        status = complain(error.n ? buf_cstr(&error) : "failed", "");
    } else {
        status = report(&options, result);
        run_result_done(result);
    }
    workload_done(workload);
    mem_free(workload);
    mem_free(result);
    buf_done(&error);
    return status;
}
