/* Peers that make the kernel's calls. */
#include "support/contract.h"

extern const struct contract_suite plain_peers_peers;

int main(int argc, char **argv)
{
    const struct contract_suite *const suites[] = {
        &plain_peers_peers,
    };
    return contract_run(suites, sizeof(suites) / sizeof(suites[0]), argc, argv);
}
