/* Servers that end and come back, and what their clients see meanwhile. */
#include "support/clock.h"
#include "support/pair.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

/* Processes follow one another, kinds alternate where the variant says so. */
static struct remote *next_process(struct remote *before)
{
    static unsigned count;
    if (before)
        contract_end_remote(before);
    bool is_plain = contract_variant() == CONTRACT_PLAIN && count++ % 2 == 0;
    return contract_another_remote(is_plain ? REMOTE_PLAIN : REMOTE_FORK);
}

/* As servers do: removes the path and binds it. */
static struct end serve_at(struct remote *remote, const struct address *address)
{
    struct end end = end_new(remote, 0);
    unlink(address_text(address));
    assert_result(end_bind(&end, address), 0);
    return end;
}

static void clients_that_use_sendto_carry_on_with_the_new_server(void **state)
{
    (void)state;
    struct address address = address_path("server");
    struct remote *process = NULL;
    struct end client = {.fd = -1};
    for (int i = 0; i < 5; i++) {
        process = next_process(process);
        struct end server = serve_at(process, &address);
        if (i == 0)
            client = end_bound(NULL, 0);
        warm_up(&client, &server);
    }
}

static void between_two_servers_sendto_is_econnrefused_and_then_enoent(void **state)
{
    (void)state;
    struct address address = address_path("server");
    struct remote *process = next_process(NULL);
    struct end server = serve_at(process, &address), client = end_bound(NULL, 0);
    warm_up(&client, &server);
    contract_end_remote(process);
    for (int i = 0; i < 5; i++)
        assert_result(end_say(&client, &address, "anybody?"), -ECONNREFUSED);
    assert_int_equal(unlink(address_text(&address)), 0);
    assert_result(end_say(&client, &address, "anybody?"), -ENOENT);
    process = next_process(NULL);
    server = serve_at(process, &address);
    warm_up(&client, &server);
}

static void connected_clients_get_econnrefused_until_they_reconnect(void **state)
{
    (void)state;
    struct address address = address_path("server");
    struct remote *process = next_process(NULL);
    struct end server = serve_at(process, &address), client = end_bound(NULL, 0);
    assert_result(end_connect(&client, &address), 0);
    warm_up(&client, &server);
    for (int i = 0; i < 4; i++) {
        process = next_process(process);
        server = serve_at(process, &address);
        assert_error(send(client.fd, "lost", 4, 0), ECONNREFUSED);
        assert_error(send(client.fd, "lost", 4, 0), ENOTCONN);
        assert_result(end_revents(&server, POLLIN), 0);
        assert_result(end_connect(&client, &address), 0);
        warm_up(&client, &server);
    }
}

static void what_a_server_left_unread_is_lost_and_not_given_to_the_next(void **state)
{
    (void)state;
    struct address address = address_path("server");
    struct remote *process = next_process(NULL);
    struct end server = serve_at(process, &address), client = end_bound(NULL, 0);
    warm_up(&client, &server);
    for (int i = 0; i < 5; i++)
        end_tell(&client, &server, "never read");
    process = next_process(process);
    server = serve_at(process, &address);
    assert_result(end_revents(&server, POLLIN), 0);
    end_tell(&client, &server, "first to the new one");
    end_hears(&server, "first to the new one");
}

/* Nothing but the socket itself tells such a server from the next one. */
static void what_a_server_of_an_abstract_name_left_unread_is_lost(void **state)
{
    (void)state;
    struct address address = address_abstract("server");
    struct remote *process = next_process(NULL);
    struct end server = end_new(process, 0), client = end_bound(NULL, 0);
    assert_result(end_bind(&server, &address), 0);
    warm_up(&client, &server);
    for (int i = 0; i < 5; i++)
        end_tell(&client, &server, "never read");
    process = next_process(process);
    server = end_new(process, 0);
    assert_result(end_bind(&server, &address), 0);
    assert_result(end_revents(&server, POLLIN), 0);
    end_tell(&client, &server, "first to the new one");
    end_hears(&server, "first to the new one");
    assert_result(end_revents(&server, POLLIN), 0);
}

/* ---- Mount namespaces ---------------------------------------------------------------------------------------------- */

/* A folder of its own over the one that is named in data. */
static long hide_folder(struct job *job)
{
    const char *folder = (const char *)job->data;
    if (unshare(CLONE_NEWNS) != 0 || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0 ||
        mount("none", folder, "tmpfs", 0, NULL) != 0)
        return -errno;
    return 0;
}
JOB_FUNCTION(hide_folder)

static void an_answer_goes_where_the_path_leads_here(void **state)
{
    (void)state;
    struct end other = end_new(contract_another_remote(REMOTE_PLAIN), 0), server = end_bound(NULL, 0);
    struct remote *elsewhere = contract_another_remote(REMOTE_FORK);
    struct address address = address_path("hidden/client");
    char folder[PATH_MAX], data[16];
    snprintf(folder, sizeof(folder), "%s/hidden", contract_folder());
    assert_int_equal(mkdir(folder, 0777), 0);
    struct job *job = job_new(elsewhere);
    snprintf((char *)job->data, sizeof(job->data), "%s", folder);
    if (job_run(elsewhere, hide_folder, job) != 0)
        skip(); /* it takes rights */
    assert_result(end_bind(&other, &address), 0);
    struct end client = end_new(elsewhere, 0), friend = end_bound(elsewhere, 0);
    assert_result(end_bind(&client, &address), 0);
    int64_t began = clock_ms();
    for (int i = 0; i < 30 || clock_ms() - began < 60; i++) {
        end_tell(&client, &server, "question");
        end_hears(&server, "question");
        end_tell(&friend, &client, "keep looking");
        end_hears(&client, "keep looking");
        assert_result(end_say(&server, &address, "answer"), 6);
        end_hears(&other, "answer");
        assert_result(end_receive(&client, data, sizeof(data), MSG_DONTWAIT), -EAGAIN);
    }
}

static void a_client_that_comes_back_under_its_name_is_answered(void **state)
{
    (void)state;
    struct address address = address_path("client");
    struct remote *process = NULL;
    struct end server = {.fd = -1};
    for (int i = 0; i < 5; i++) {
        process = next_process(process);
        struct end client = serve_at(process, &address);
        if (i == 0)
            server = end_bound(NULL, 0);
        warm_up(&client, &server);
    }
}

static void a_server_that_binds_anew_in_the_same_process_is_the_new_one(void **state)
{
    (void)state;
    struct pair pair = pair_new(PAIR_PLAIN);
    struct end server = pair.far;
    for (int i = 0; i < 5; i++) {
        assert_result(end_close(&server), 0);
        struct end next = serve_at(pair.far.at, &pair.far.address);
        warm_up(&pair.near, &next);
        server = next;
    }
}

static void a_new_server_beside_the_old_one_gets_what_is_sent_from_then_on(void **state)
{
    (void)state;
    struct address address = address_path("server");
    struct remote *old_process = next_process(NULL), *new_process = next_process(NULL);
    struct end old_server = serve_at(old_process, &address), client = end_bound(NULL, 0);
    warm_up(&client, &old_server);
    end_tell(&client, &old_server, "to the old one");
    struct end new_server = serve_at(new_process, &address);
    contract_let_names_settle();
    for (int i = 0; i < 10; i++) {
        end_tell(&client, &new_server, "to the new one");
        end_hears(&new_server, "to the new one");
    }
    end_hears(&old_server, "to the old one");
    assert_result(end_revents(&old_server, POLLIN), 0);
}

static const struct CMUnitTest tests[] = {
    ELSEWHERE(clients_that_use_sendto_carry_on_with_the_new_server),
    ELSEWHERE(between_two_servers_sendto_is_econnrefused_and_then_enoent),
    ELSEWHERE(connected_clients_get_econnrefused_until_they_reconnect),
    ELSEWHERE(what_a_server_left_unread_is_lost_and_not_given_to_the_next),
    ELSEWHERE(what_a_server_of_an_abstract_name_left_unread_is_lost),
    ELSEWHERE(a_client_that_comes_back_under_its_name_is_answered),
    EVERY(a_server_that_binds_anew_in_the_same_process_is_the_new_one),
    AWAY(an_answer_goes_where_the_path_leads_here),
    ELSEWHERE(a_new_server_beside_the_old_one_gets_what_is_sent_from_then_on),
};

CONTRACT_SUITE(processes_restart, tests);
