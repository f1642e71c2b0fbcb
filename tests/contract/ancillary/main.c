/* What may come with a datagram. */
#include "support/contract.h"

extern const struct contract_suite ancillary_credentials, ancillary_late, ancillary_rights;

int main(int argc, char **argv)
{
    const struct contract_suite *const suites[] = {
        &ancillary_credentials,
        &ancillary_late,
        &ancillary_rights,
    };
    return contract_run(suites, sizeof(suites) / sizeof(suites[0]), argc, argv);
}
