/* Descriptors: how they are used, copied, handed on and closed. */
#include "support/contract.h"

extern const struct contract_suite descriptors_calls, descriptors_closing, descriptors_duplicates, descriptors_fetched,
    descriptors_inherited, descriptors_socketpair, descriptors_spawn, descriptors_threads;

int main(int argc, char **argv)
{
    const struct contract_suite *const suites[] = {
        &descriptors_calls,     &descriptors_closing,    &descriptors_duplicates, &descriptors_fetched,
        &descriptors_inherited, &descriptors_socketpair, &descriptors_spawn,      &descriptors_threads,
    };
    return contract_run(suites, sizeof(suites) / sizeof(suites[0]), argc, argv);
}
