/* Connections, and what is sent. */
#include "support/contract.h"

extern const struct contract_suite connect_send_batches, connect_send_connections, connect_send_errors,
    connect_send_full, connect_send_sizes;

int main(int argc, char **argv)
{
    const struct contract_suite *const suites[] = {
        &connect_send_batches, &connect_send_connections, &connect_send_errors, &connect_send_full, &connect_send_sizes,
    };
    return contract_run(suites, sizeof(suites) / sizeof(suites[0]), argc, argv);
}
