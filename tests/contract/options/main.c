/* Socket options. */
#include "support/contract.h"

extern const struct contract_suite options_values;

int main(int argc, char **argv)
{
    const struct contract_suite *const suites[] = {
        &options_values,
    };
    return contract_run(suites, sizeof(suites) / sizeof(suites[0]), argc, argv);
}
