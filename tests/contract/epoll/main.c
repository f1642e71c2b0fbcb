/* Readiness by epoll. */
#include "support/contract.h"

extern const struct contract_suite epoll_changed, epoll_edge, epoll_events, epoll_level, epoll_members, epoll_sets;

int main(int argc, char **argv)
{
    const struct contract_suite *const suites[] = {
        &epoll_changed, &epoll_edge, &epoll_events, &epoll_level, &epoll_members, &epoll_sets,
    };
    return contract_run(suites, sizeof(suites) / sizeof(suites[0]), argc, argv);
}
