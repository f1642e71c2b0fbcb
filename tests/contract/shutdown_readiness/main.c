/* What is ready, by every call that says so, and what a shutdown does to it. */
#include "support/contract.h"

extern const struct contract_suite shutdown_readiness_poll, shutdown_readiness_queues, shutdown_readiness_select,
    shutdown_readiness_shutdown, shutdown_readiness_sigio, shutdown_readiness_signals;

int main(int argc, char **argv)
{
    const struct contract_suite *const suites[] = {
        &shutdown_readiness_poll,     &shutdown_readiness_queues, &shutdown_readiness_select,
        &shutdown_readiness_shutdown, &shutdown_readiness_sigio,  &shutdown_readiness_signals,
    };
    return contract_run(suites, sizeof(suites) / sizeof(suites[0]), argc, argv);
}
