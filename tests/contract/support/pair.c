#include "support/pair.h"

#include <stdio.h>

#include "support/clock.h"

static struct end new_end(struct remote *at, bool is_nameless, bool is_abstract)
{
    if (is_nameless)
        return end_new(at, 0);
    return is_abstract ? end_bound_abstract(at, 0) : end_bound(at, 0);
}

static void make_as_wanted(const struct end *near, const struct end *far)
{
    if (contract_variant() != CONTRACT_FRESH)
        warm_up(near, far);
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
    make_as_wanted(&pair.near, &pair.far);
    return pair;
}

struct pair pair_unbound(void)
{
    struct remote *there = contract_far();
    return (struct pair){.near = end_new(NULL, 0), .far = end_bound(there, 0)};
}

void pair_bind(struct pair *pair)
{
    struct address address = address_path("late");
    assert_result(end_bind(&pair->near, &address), 0);
    make_as_wanted(&pair->near, &pair->far);
}

struct end pair_another(const struct pair *pair)
{
    struct end other = end_bound(NULL, 0);
    make_as_wanted(&other, &pair->far);
    return other;
}

/* Links are offered, looked for and opened by time, about a millisecond for each step; and by calls, so that time without any
 * does not count. */
#define LINKS_MS 20

void warm_up(const struct end *one, const struct end *other)
{
    char text[32];
    int64_t last = clock_ms();
    int moments = contract_may_have_links() ? LINKS_MS : 0;
    for (int i = 0; i < 16 || moments > 0; i++) {
        snprintf(text, sizeof(text), "warm-up %d", i);
        if (other->address.length > 0) {
            end_tell(one, other, text);
            end_hears(other, text);
        }
        if (one->address.length > 0) {
            end_tell(other, one, text);
            end_hears(one, text);
        }
        int64_t now = clock_ms();
        moments -= now != last;
        last = now;
    }
}
