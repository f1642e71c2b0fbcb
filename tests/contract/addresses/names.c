/* Names as bytes with a length: paths, abstract names, autobind, and what getsockname() says of them. */
#include "support/end.h"

#include <ctype.h>
#include <string.h>
#include <unistd.h>

#define PATH_AT offsetof(struct sockaddr_un, sun_path)
#define PATH_MAX_BYTES sizeof(((struct sockaddr_un *)NULL)->sun_path)

/* A bound socket, that says it has the name reported, and that a datagram to the name used reaches. */
static void check_name(const struct address *bound, const struct address *reported, const struct address *used)
{
    struct end receiver = end_new(NULL, 0), sender = end_new(NULL, 0);
    struct address name = *bound;
    assert_result(end_bind(&receiver, &name), 0);
    struct address got = address_own(receiver.fd);
    assert_address(&got, reported);
    assert_result(end_say(&sender, used, "to a name"), 9);
    assert_receives(receiver.fd, "to a name");
}

static void a_path_ends_at_its_first_nul(void **state)
{
    (void)state;
    struct address path = address_path("socket"), longer = path;
    memcpy((char *)&longer.name + path.length, "junk", 5);
    longer.length = path.length + 5;
    check_name(&longer, &path, &path);
    assert_int_equal(access(address_text(&path), F_OK), 0);
}

static void a_path_needs_no_nul(void **state)
{
    (void)state;
    struct address path = address_path("socket"), shorter = path;
    shorter.length--;
    check_name(&shorter, &path, &shorter);
}

static void a_path_may_fill_all_its_108_bytes(void **state)
{
    (void)state;
    char bytes[PATH_MAX_BYTES + 1];
    size_t length = strlen(scratch_path(""));
    memset(bytes, 'x', sizeof(bytes));
    memcpy(bytes, scratch_path(""), length);
    bytes[PATH_MAX_BYTES] = '\0';
    struct address full = address_bytes(bytes, PATH_MAX_BYTES), reported = address_bytes(bytes, PATH_MAX_BYTES + 1);
    check_name(&full, &reported, &full);
    assert_int_equal(access(bytes, F_OK), 0);
}

static void nuls_of_an_abstract_name_are_significant(void **state)
{
    (void)state;
    struct address one = address_abstract("label"), two = one, three = one;
    two.length += 1; /* and a NUL */
    memcpy((char *)&three.name + one.length, "\0x", 2);
    three.length += 2;
    struct end ends[3] = {end_new(NULL, 0), end_new(NULL, 0), end_new(NULL, 0)}, sender = end_new(NULL, 0);
    assert_result(end_bind(&ends[0], &one), 0);
    assert_result(end_bind(&ends[1], &two), 0);
    assert_result(end_bind(&ends[2], &three), 0);
    assert_result(end_say(&sender, &three, "three"), 5);
    assert_result(end_say(&sender, &two, "two"), 3);
    assert_result(end_say(&sender, &one, "one"), 3);
    assert_receives(ends[0].fd, "one");
    assert_receives(ends[1].fd, "two");
    assert_receives(ends[2].fd, "three");
}

static void an_abstract_name_has_its_exact_length(void **state)
{
    (void)state;
    struct address name = address_abstract("label");
    check_name(&name, &name, &name);
}

/* The name is everybody's: whoever has it just now, in another run of this test, gives it back soon. */
static void an_abstract_name_of_107_zero_bytes_is_legal(void **state)
{
    (void)state;
    static const char zeros[107];
    struct address name = address_bytes(zeros, sizeof(zeros));
    struct end receiver = end_new(NULL, 0), sender = end_new(NULL, 0);
    long result;
    while ((result = end_bind(&receiver, &name)) == -EADDRINUSE)
        usleep(1000);
    assert_result(result, 0);
    struct address got = address_own(receiver.fd);
    assert_address(&got, &name);
    assert_result(end_say(&sender, &name, "to zeros"), 8);
    assert_receives(receiver.fd, "to zeros");
}

static struct address autobind(int fd)
{
    const sa_family_t family = AF_UNIX;
    assert_result(bind(fd, (const struct sockaddr *)(const void *)&family, sizeof(family)), 0);
    return address_own(fd);
}

static void autobind_gives_an_abstract_name_of_five_hexadecimal_digits(void **state)
{
    (void)state;
    struct end receiver = end_new(NULL, 0), sender = end_new(NULL, 0);
    struct address name = autobind(receiver.fd);
    const char *bytes = address_text(&name);
    assert_int_equal(name.length, PATH_AT + 6);
    assert_int_equal(bytes[0], '\0');
    for (int i = 1; i < 6; i++)
        assert_true(isxdigit((unsigned char)bytes[i]) && !isupper((unsigned char)bytes[i]));
    assert_result(end_say(&sender, &name, "to a number"), 11);
    assert_receives(receiver.fd, "to a number");
}

static void two_autobound_sockets_have_different_names(void **state)
{
    (void)state;
    struct end one = end_new(NULL, 0), two = end_new(NULL, 0);
    struct address names[2] = {autobind(one.fd), autobind(two.fd)};
    assert_memory_not_equal(&names[0].name, &names[1].name, names[0].length);
}

static void autobind_of_a_bound_socket_changes_nothing(void **state)
{
    (void)state;
    struct end end = end_bound(NULL, 0);
    struct address got = autobind(end.fd);
    assert_address(&got, &end.address);
}

static void an_unbound_socket_has_a_name_of_only_a_family(void **state)
{
    (void)state;
    struct end end = end_new(NULL, 0);
    struct address got = address_own(end.fd);
    assert_int_equal(got.length, sizeof(sa_family_t));
    assert_int_equal(got.name.ss_family, AF_UNIX);
}

static void a_name_longer_than_the_buffer_is_cut_and_its_full_length_told(void **state)
{
    (void)state;
    struct end end = end_bound(NULL, 0);
    unsigned char buffer[sizeof(struct sockaddr_storage)];
    memset(buffer, 0xee, sizeof(buffer));
    socklen_t length = 10;
    assert_result(getsockname(end.fd, (struct sockaddr *)(void *)buffer, &length), 0);
    assert_int_equal(length, end.address.length);
    assert_memory_equal(buffer, &end.address.name, 10);
    assert_int_equal(buffer[10], 0xee);
}

static void a_negative_room_for_a_name_is_einval(void **state)
{
    (void)state;
    struct end end = end_bound(NULL, 0);
    struct sockaddr_storage name;
    socklen_t length = (socklen_t)-1;
    assert_error(getsockname(end.fd, (struct sockaddr *)&name, &length), EINVAL);
}

static void the_peer_has_the_name_it_is_bound_to(void **state)
{
    (void)state;
    struct end ends[2] = {end_bound(NULL, 0), end_bound_abstract(NULL, 0)}, client = end_new(NULL, 0);
    for (int i = 0; i < 2; i++) {
        assert_result(end_connect(&client, &ends[i].address), 0);
        struct address got = address_peer(client.fd);
        assert_address(&got, &ends[i].address);
    }
}

static const struct CMUnitTest tests[] = {
    ALONE(a_path_ends_at_its_first_nul),
    ALONE(a_path_needs_no_nul),
    ALONE(a_path_may_fill_all_its_108_bytes),
    ALONE(nuls_of_an_abstract_name_are_significant),
    ALONE(an_abstract_name_has_its_exact_length),
    ALONE(an_abstract_name_of_107_zero_bytes_is_legal),
    ALONE(autobind_gives_an_abstract_name_of_five_hexadecimal_digits),
    ALONE(two_autobound_sockets_have_different_names),
    ALONE(autobind_of_a_bound_socket_changes_nothing),
    ALONE(an_unbound_socket_has_a_name_of_only_a_family),
    ALONE(a_name_longer_than_the_buffer_is_cut_and_its_full_length_told),
    ALONE(a_negative_room_for_a_name_is_einval),
    ALONE(the_peer_has_the_name_it_is_bound_to),
};

CONTRACT_SUITE(addresses_names, tests);
