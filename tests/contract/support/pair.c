#include "support/pair.h"

#include <stdio.h>

#include "support/clock.h"

static struct end new_end(struct remote *at, bool is_nameless, bool is_abstract)
{
    if (is_nameless)
        return end_new(at, 0);
    return is_abstract ? end_bound_abstract(at, 0) : end_bound(at, 0);
}

struct pair pair_new(unsigned options)
{
    struct remote *there = contract_far();
    struct pair pair = {
        .near = new_end(NULL, options & NEAR_NAMELESS, options & PAIR_ABSTRACT),
        .far = new_end(there, options & FAR_NAMELESS, options & PAIR_ABSTRACT),
    };
    if (options & NEAR_CONNECTS)
        assert_result(end_connect(&pair.near, &pair.far.address), 0);
    if (options & FAR_CONNECTS)
        assert_result(end_connect(&pair.far, &pair.near.address), 0);
    if (contract_variant() != CONTRACT_FRESH)
        warm_up(&pair.near, &pair.far);
    return pair;
}

/* Links are offered, looked for and opened by time, about a millisecond for each step. */
#define LINKS_MS 20

void warm_up(const struct end *one, const struct end *other)
{
    char text[32];
    int64_t until = clock_ms() + (contract_may_have_links() ? LINKS_MS : 0);
    for (int i = 0; i < 16 || clock_ms() < until; i++) {
        snprintf(text, sizeof(text), "warm-up %d", i);
        if (other->address.length > 0) {
            end_tell(one, other, text);
            end_hears(other, text);
        }
        if (one->address.length > 0) {
            end_tell(other, one, text);
            end_hears(one, text);
        }
    }
}
