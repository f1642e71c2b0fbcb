/* Names of sockets. */
#include "support/contract.h"

extern const struct contract_suite addresses_bind, addresses_names, addresses_paths, addresses_senders;

int main(int argc, char **argv)
{
    const struct contract_suite *const suites[] = {
        &addresses_bind,
        &addresses_names,
        &addresses_paths,
        &addresses_senders,
    };
    return contract_run(suites, sizeof(suites) / sizeof(suites[0]), argc, argv);
}
