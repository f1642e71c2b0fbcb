/* Which socket a path leads to: looked up by the call, then and there. */
#include "support/pair.h"

#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static struct address relative(const char *path)
{
    return address_bytes(path, strlen(path) + 1);
}

static const char *file_name(const struct address *address)
{
    return strrchr(address_text(address), '/') + 1;
}

static void a_relative_name_is_looked_up_in_the_directory_of_the_call(void **state)
{
    (void)state;
    struct pair pair = pair_new(PAIR_PLAIN);
    struct address name = relative(file_name(&pair.far.address));
    assert_int_equal(mkdir(scratch_path("elsewhere"), 0700), 0);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(chdir(scratch_path("elsewhere")), 0);
        assert_result(end_say(&pair.near, &name, "elsewhere"), -ENOENT);
        assert_int_equal(chdir(contract_folder()), 0);
        assert_result(end_say(&pair.near, &name, "here"), 4);
        end_hears(&pair.far, "here");
    }
}

static void the_same_relative_name_leads_to_different_sockets_from_different_directories(void **state)
{
    (void)state;
    struct address name = relative("socket");
    struct end sender = end_bound(NULL, 0), ends[2];
    for (int i = 0; i < 2; i++) {
        const char *folder = scratch_path(i ? "one" : "zero");
        assert_int_equal(mkdir(folder, 0700), 0);
        assert_int_equal(chdir(folder), 0);
        ends[i] = end_new(NULL, 0);
        assert_result(end_bind(&ends[i], &name), 0);
    }
    for (int i = 0; i < 40; i++) {
        assert_int_equal(chdir(scratch_path(i % 2 ? "one" : "zero")), 0);
        assert_result(end_say(&sender, &name, i % 2 ? "one" : "zero"), i % 2 ? 3 : 4);
        end_hears(&ends[i % 2], i % 2 ? "one" : "zero");
    }
}

static void a_socket_bound_to_a_relative_name_says_just_that_name(void **state)
{
    (void)state;
    struct address name = relative("socket");
    struct end end = end_new(NULL, 0);
    assert_int_equal(chdir(contract_folder()), 0);
    assert_result(end_bind(&end, &name), 0);
    assert_int_equal(chdir("/"), 0);
    struct address got = address_own(end.fd);
    assert_address(&got, &name);
    assert_int_equal(access(scratch_path("socket"), F_OK), 0);
}

static void a_symbolic_link_leads_to_the_socket(void **state)
{
    (void)state;
    struct pair pair = pair_new(PAIR_PLAIN);
    struct address link = address_path("link");
    assert_int_equal(symlink(address_text(&pair.far.address), address_text(&link)), 0);
    end_tell(&pair.near, &pair.far, "straight");
    assert_result(end_say(&pair.near, &link, "by the link"), 11);
    end_hears(&pair.far, "straight");
    end_hears(&pair.far, "by the link");
}

static void a_hard_link_leads_to_the_socket(void **state)
{
    (void)state;
    struct pair pair = pair_new(PAIR_PLAIN);
    struct address other = address_path("other");
    assert_int_equal(link(address_text(&pair.far.address), address_text(&other)), 0);
    assert_result(end_say(&pair.near, &other, "by the other name"), 17);
    end_hears(&pair.far, "by the other name");
}

static void a_renamed_socket_is_reached_by_its_new_path_only(void **state)
{
    (void)state;
    struct pair pair = pair_new(PAIR_PLAIN);
    struct address moved = address_path("moved");
    assert_int_equal(rename(address_text(&pair.far.address), address_text(&moved)), 0);
    contract_let_names_settle();
    assert_result(end_say(&pair.near, &pair.far.address, "old"), -ENOENT);
    assert_result(end_say(&pair.near, &moved, "new"), 3);
    end_hears(&pair.far, "new");
}

static void a_connection_outlives_the_path(void **state)
{
    (void)state;
    struct pair pair = pair_new(NEAR_CONNECTS);
    assert_int_equal(unlink(address_text(&pair.far.address)), 0);
    for (int i = 0; i < 20; i++) {
        end_tell(&pair.near, &pair.far, "still connected");
        end_hears(&pair.far, "still connected");
    }
}

static void an_unlinked_path_is_enoent_for_sendto(void **state)
{
    (void)state;
    struct pair pair = pair_new(PAIR_PLAIN);
    assert_int_equal(unlink(address_text(&pair.far.address)), 0);
    contract_let_names_settle();
    assert_result(end_say(&pair.near, &pair.far.address, "nobody"), -ENOENT);
    assert_result(end_revents(&pair.far, POLLIN), 0);
}

/* root may write everywhere, so another user tries. */
static long become_nobody(struct job *job)
{
    (void)job;
    return geteuid() == 0 && seteuid(65534) != 0 ? -errno : 0;
}

JOB_FUNCTION(become_nobody)

static void a_path_that_may_not_be_written_is_eacces(void **state)
{
    (void)state;
    struct remote *remote = contract_remote();
    struct end receiver = end_bound(NULL, 0), sender = end_new(remote, 0);
    const char *path = address_text(&receiver.address);
    assert_int_equal(chmod(contract_folder(), 0711), 0);
    assert_result(job_run(remote, become_nobody, job_new(remote)), 0);
    assert_int_equal(chmod(path, 0222), 0);
    warm_up(&sender, &receiver);
    assert_int_equal(chmod(path, 0), 0);
    assert_result(end_say(&sender, &receiver.address, "no"), -EACCES);
    assert_result(end_connect(&sender, &receiver.address), -EACCES);
    assert_int_equal(chmod(path, 0222), 0);
    end_tell(&sender, &receiver, "yes");
    end_hears(&receiver, "yes");
}

static const struct CMUnitTest tests[] = {
    EVERY(a_relative_name_is_looked_up_in_the_directory_of_the_call),
    ALONE(the_same_relative_name_leads_to_different_sockets_from_different_directories),
    ALONE(a_socket_bound_to_a_relative_name_says_just_that_name),
    BOTH(a_symbolic_link_leads_to_the_socket),
    BOTH(a_hard_link_leads_to_the_socket),
    EVERY(a_renamed_socket_is_reached_by_its_new_path_only),
    EVERY(a_connection_outlives_the_path),
    EVERY(an_unlinked_path_is_enoent_for_sendto),
    ALONE(a_path_that_may_not_be_written_is_eacces),
};

CONTRACT_SUITE(addresses_paths, tests);
