/* What is received, and how it is waited for. */
#include "support/contract.h"

extern const struct contract_suite receive_acceleration, receive_bad_memory, receive_batches, receive_blocking,
    receive_datagrams, receive_empty, receive_peek, receive_unseen;

int main(int argc, char **argv)
{
    const struct contract_suite *const suites[] = {
        &receive_acceleration, &receive_bad_memory, &receive_batches, &receive_blocking,
        &receive_datagrams,    &receive_empty,      &receive_peek,    &receive_unseen,
    };
    return contract_run(suites, sizeof(suites) / sizeof(suites[0]), argc, argv);
}
