/* Processes that restart, and that are killed. */
#include "support/contract.h"

extern const struct contract_suite processes_kill, processes_restart;

int main(int argc, char **argv)
{
    const struct contract_suite *const suites[] = {
        &processes_kill,
        &processes_restart,
    };
    return contract_run(suites, sizeof(suites) / sizeof(suites[0]), argc, argv);
}
