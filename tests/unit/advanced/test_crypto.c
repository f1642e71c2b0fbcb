/* Keys of a link, and records that open as they were sealed or not at all. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <string.h>
#include <talloc.h>
#ifdef HQQ_HAVE_SODIUM
#include <sodium.h>
#define HAVE_SODIUM true
#else
#define HAVE_SODIUM false
#endif

#include <hqq/error.h>

#include "advanced/crypto.h"
#include "support/pattern.h"

#define LARGEST 4096
#define LENGTH 40
#define NUMBER 7

static const unsigned char key[32] = "what both ends of the link know";
static const uint64_t transcript[] = {0x0100, 3, UINT64_MAX, 0x1234567890abcdef};
#define WORDS (sizeof(transcript) / sizeof(transcript[0]))

static const uint64_t header[HQQ_CRYPTO_HEADER_WORDS] = {11, 22, 33, 44, 55, 66, 77, UINT64_C(88) << 56};

static void *context;
static struct hqq_crypto *primary, *secondary;
static unsigned char plain[LARGEST], sealed[LARGEST + HQQ_CRYPTO_TAG], opened[LARGEST];

static int set_up(void **state)
{
    (void)state;
    context = talloc_new(NULL);
    pattern(plain, sizeof(plain), 1);
    return hqq_crypto_new(context, key, true, LARGEST, &primary) != 0 ||
           hqq_crypto_new(context, key, false, LARGEST, &secondary) != 0;
}

static int tear_down(void **state)
{
    (void)state;
    talloc_free(context);
    return 0;
}

static void agree(struct hqq_crypto *one, struct hqq_crypto *other, const uint64_t *words, size_t count)
{
    uint64_t peer[HQQ_CRYPTO_KEY_WORDS];
    hqq_crypto_public_key(other, peer);
    assert_int_equal(hqq_crypto_agree(one, peer, words, count), 0);
}

static void agree_both(void)
{
    agree(primary, secondary, transcript, WORDS);
    agree(secondary, primary, transcript, WORDS);
}

static int open_record(const struct hqq_crypto *crypto, size_t length)
{
    return hqq_crypto_open(crypto, NUMBER, header, sealed, length + HQQ_CRYPTO_TAG, opened);
}

/* Nothing that one end seals is opened by the other, either way. */
static void assert_strangers(struct hqq_crypto *one, struct hqq_crypto *other)
{
    hqq_crypto_seal(one, NUMBER, header, plain, LENGTH, sealed);
    assert_int_equal(open_record(other, LENGTH), HQQ_ERROR_AUTH);
    hqq_crypto_seal(other, NUMBER, header, plain, LENGTH, sealed);
    assert_int_equal(open_record(one, LENGTH), HQQ_ERROR_AUTH);
}

/* ---- Records ----------------------------------------------------------------------------------------------------- */

static void a_record_opens_as_it_was_sealed_in_either_direction(void **state)
{
    (void)state;
    agree_both();
    struct hqq_crypto *const ends[] = {primary, secondary};
    for (int from = 0; from < 2; from++) {
        memset(opened, 0, sizeof(opened));
        hqq_crypto_seal(ends[from], NUMBER, header, plain, LENGTH, sealed);
        assert_int_equal(open_record(ends[1 - from], LENGTH), 0);
        assert_memory_equal(opened, plain, LENGTH);
    }
}

static void records_of_every_length_open_and_nothing_beyond_them_is_written(void **state)
{
    (void)state;
    agree_both();
    for (size_t length = 0; length <= LARGEST; length += length < 200 ? 1 : 433) {
        memset(sealed, 0xee, sizeof(sealed));
        memset(opened, 0xee, sizeof(opened));
        hqq_crypto_seal(primary, NUMBER, header, plain, length, sealed);
        assert_int_equal(open_record(secondary, length), 0);
        assert_memory_equal(opened, plain, length);
        for (size_t i = length; i < LARGEST; i++)
            assert_int_equal(opened[i], 0xee);
        for (size_t i = length + HQQ_CRYPTO_TAG; i < sizeof(sealed); i++)
            assert_int_equal(sealed[i], 0xee);
    }
    hqq_crypto_seal(primary, NUMBER, header, plain, LARGEST, sealed);
    assert_int_equal(open_record(secondary, LARGEST), 0);
    assert_memory_equal(opened, plain, LARGEST);
}

static void a_record_opens_in_its_own_memory(void **state)
{
    (void)state;
    agree_both();
    hqq_crypto_seal(primary, NUMBER, header, plain, LENGTH, sealed);
    assert_int_equal(hqq_crypto_open(secondary, NUMBER, header, sealed, LENGTH + HQQ_CRYPTO_TAG, sealed), 0);
    assert_memory_equal(sealed, plain, LENGTH);
}

static void a_sealed_record_shows_nothing_of_what_it_has(void **state)
{
    (void)state;
    agree_both();
    unsigned char other[LENGTH + HQQ_CRYPTO_TAG];
    hqq_crypto_seal(primary, NUMBER, header, plain, LENGTH, sealed);
    for (size_t i = 0; i + 8 <= LENGTH; i++)
        assert_memory_not_equal(sealed + i, plain + i, 8);
    hqq_crypto_seal(primary, NUMBER + 1, header, plain, LENGTH, other);
    for (size_t i = 0; i + 8 <= sizeof(other); i++)
        assert_memory_not_equal(sealed + i, other + i, 8);
}

static void a_record_with_any_bit_flipped_does_not_open_and_nothing_is_written(void **state)
{
    (void)state;
    agree_both();
    unsigned char untouched[LENGTH];
    memset(untouched, 0xee, sizeof(untouched));
    memset(opened, 0xee, sizeof(opened));
    hqq_crypto_seal(primary, NUMBER, header, plain, LENGTH, sealed);
    for (size_t bit = 0; bit < 8 * (LENGTH + HQQ_CRYPTO_TAG); bit++) {
        sealed[bit / 8] ^= (unsigned char)(1U << bit % 8);
        assert_int_equal(open_record(secondary, LENGTH), HQQ_ERROR_AUTH);
        assert_memory_equal(opened, untouched, LENGTH);
        sealed[bit / 8] ^= (unsigned char)(1U << bit % 8);
    }
    assert_int_equal(open_record(secondary, LENGTH), 0);
}

static void a_record_that_is_shorter_or_longer_does_not_open(void **state)
{
    (void)state;
    agree_both();
    memset(sealed, 0, sizeof(sealed));
    hqq_crypto_seal(primary, NUMBER, header, plain, LENGTH, sealed);
    for (size_t length = 0; length <= LENGTH + 2 * HQQ_CRYPTO_TAG; length++) {
        int expected = length == LENGTH + HQQ_CRYPTO_TAG ? 0 : HQQ_ERROR_AUTH;
        assert_int_equal(hqq_crypto_open(secondary, NUMBER, header, sealed, length, opened), expected);
    }
}

static void a_record_opens_under_its_own_number_only(void **state)
{
    (void)state;
    agree_both();
    hqq_crypto_seal(primary, NUMBER, header, plain, LENGTH, sealed);
    for (unsigned bit = 0; bit < 64; bit++) {
        uint64_t number = NUMBER ^ UINT64_C(1) << bit;
        assert_int_equal(hqq_crypto_open(secondary, number, header, sealed, LENGTH + HQQ_CRYPTO_TAG, opened),
                         HQQ_ERROR_AUTH);
    }
}

static void a_record_opens_with_its_own_header_only(void **state)
{
    (void)state;
    agree_both();
    hqq_crypto_seal(primary, NUMBER, header, plain, LENGTH, sealed);
    for (unsigned bit = 0; bit < 64 * HQQ_CRYPTO_HEADER_WORDS; bit++) {
        uint64_t other[HQQ_CRYPTO_HEADER_WORDS];
        memcpy(other, header, sizeof(other));
        other[bit / 64] ^= UINT64_C(1) << bit % 64;
        assert_int_equal(hqq_crypto_open(secondary, NUMBER, other, sealed, LENGTH + HQQ_CRYPTO_TAG, opened),
                         HQQ_ERROR_AUTH);
    }
    uint64_t swapped[HQQ_CRYPTO_HEADER_WORDS];
    memcpy(swapped, header, sizeof(swapped));
    swapped[0] = header[1];
    swapped[1] = header[0];
    assert_int_equal(hqq_crypto_open(secondary, NUMBER, swapped, sealed, LENGTH + HQQ_CRYPTO_TAG, opened),
                     HQQ_ERROR_AUTH);
}

struct sealing {
    unsigned char records[64][LENGTH + HQQ_CRYPTO_TAG];
};

static void *seal_all(void *argument)
{
    struct sealing *sealing = argument;
    for (uint64_t number = 0; number < 64; number++)
        hqq_crypto_seal(primary, number, header, plain, LENGTH, sealing->records[number]);
    return NULL;
}

/* Of one object. That neither touches what is the other's is for ThreadSanitizer to say as well. */
static void one_thread_seals_while_another_opens(void **state)
{
    (void)state;
    agree_both();
    static struct sealing sealing;
    pthread_t thread;
    hqq_crypto_seal(secondary, NUMBER, header, plain, LENGTH, sealed);
    assert_int_equal(pthread_create(&thread, NULL, seal_all, &sealing), 0);
    int failures = 0;
    for (int i = 0; i < 64; i++)
        failures += open_record(primary, LENGTH) != 0 || memcmp(opened, plain, LENGTH) != 0;
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_int_equal(failures, 0);
    for (uint64_t number = 0; number < 64; number++) {
        assert_int_equal(hqq_crypto_open(secondary, number, header, sealing.records[number],
                                         sizeof(sealing.records[number]), opened),
                         0);
        assert_memory_equal(opened, plain, LENGTH);
    }
}

/* ---- Keys -------------------------------------------------------------------------------------------------------- */

static void the_two_directions_have_different_keys(void **state)
{
    (void)state;
    agree_both();
    unsigned char other[LENGTH + HQQ_CRYPTO_TAG];
    hqq_crypto_seal(primary, NUMBER, header, plain, LENGTH, sealed);
    hqq_crypto_seal(secondary, NUMBER, header, plain, LENGTH, other);
    for (size_t i = 0; i + 8 <= sizeof(other); i++)
        assert_memory_not_equal(sealed + i, other + i, 8);
    assert_int_equal(open_record(primary, LENGTH), HQQ_ERROR_AUTH); /* its own, sent back to it */
}

static void ends_with_different_keys_are_strangers(void **state)
{
    (void)state;
    for (unsigned bit = 0; bit < 8 * sizeof(key); bit += 17) {
        unsigned char other[sizeof(key)];
        memcpy(other, key, sizeof(other));
        other[bit / 8] ^= (unsigned char)(1U << bit % 8);
        struct hqq_crypto *one, *two;
        assert_int_equal(hqq_crypto_new(context, key, true, LARGEST, &one), 0);
        assert_int_equal(hqq_crypto_new(context, other, false, LARGEST, &two), 0);
        agree(one, two, transcript, WORDS);
        agree(two, one, transcript, WORDS);
        assert_strangers(one, two);
    }
}

static void ends_that_negotiated_different_words_are_strangers(void **state)
{
    (void)state;
    for (unsigned bit = 0; bit < 64 * WORDS; bit++) {
        uint64_t other[WORDS];
        memcpy(other, transcript, sizeof(other));
        other[bit / 64] ^= UINT64_C(1) << bit % 64;
        struct hqq_crypto *one, *two;
        assert_int_equal(hqq_crypto_new(context, key, true, LARGEST, &one), 0);
        assert_int_equal(hqq_crypto_new(context, key, false, LARGEST, &two), 0);
        agree(one, two, transcript, WORDS);
        agree(two, one, other, WORDS);
        assert_strangers(one, two);
    }
}

static void ends_that_negotiated_a_word_more_are_strangers(void **state)
{
    (void)state;
    agree(primary, secondary, transcript, WORDS);
    agree(secondary, primary, transcript, WORDS - 1);
    assert_strangers(primary, secondary);
}

/* Any bit but the highest, which X25519 leaves out: that one must make strangers of them as well, by the hash. */
static void a_public_key_that_was_changed_on_its_way_makes_strangers(void **state)
{
    (void)state;
    for (unsigned bit = 0; bit < 64 * HQQ_CRYPTO_KEY_WORDS; bit += bit < 240 ? 37 : 1) {
        struct hqq_crypto *one, *two;
        uint64_t peer[HQQ_CRYPTO_KEY_WORDS];
        assert_int_equal(hqq_crypto_new(context, key, true, LARGEST, &one), 0);
        assert_int_equal(hqq_crypto_new(context, key, false, LARGEST, &two), 0);
        hqq_crypto_public_key(two, peer);
        peer[bit / 64] ^= UINT64_C(1) << bit % 64;
        assert_int_equal(hqq_crypto_agree(one, peer, transcript, WORDS), 0);
        agree(two, one, transcript, WORDS);
        assert_strangers(one, two);
    }
}

static void two_ends_of_the_same_role_are_strangers(void **state)
{
    (void)state;
    struct hqq_crypto *other;
    assert_int_equal(hqq_crypto_new(context, key, true, LARGEST, &other), 0);
    agree(primary, other, transcript, WORDS);
    agree(other, primary, transcript, WORDS);
    assert_strangers(primary, other);
}

static void an_end_that_is_sent_its_own_public_key_opens_nothing_of_its_own(void **state)
{
    (void)state;
    agree(primary, primary, transcript, WORDS);
    hqq_crypto_seal(primary, NUMBER, header, plain, LENGTH, sealed);
    assert_int_equal(open_record(primary, LENGTH), HQQ_ERROR_AUTH);
}

static void every_link_has_a_public_key_of_its_own(void **state)
{
    (void)state;
    uint64_t one[HQQ_CRYPTO_KEY_WORDS], again[HQQ_CRYPTO_KEY_WORDS], other[HQQ_CRYPTO_KEY_WORDS];
    hqq_crypto_public_key(primary, one);
    hqq_crypto_public_key(primary, again);
    hqq_crypto_public_key(secondary, other);
    assert_memory_equal(one, again, sizeof(one));
    assert_memory_not_equal(one, other, sizeof(one));
}

/* The points of order 1, 2, 4 and 8, and others that are the same modulo the prime, 2^255 - 19. */
static const uint64_t low_order[][HQQ_CRYPTO_KEY_WORDS] = {
    {0, 0, 0, 0},
    {1, 0, 0, 0},
    {0xaeb8413b7c7aebe0, 0x6ac49ff1fae35616, 0xfdb1329ceb8d09da, 0x00b8495f16056286},
    {0x248c50a3bc959c5f, 0x5bef839c55b1d0b1, 0x868e1c58c45c4404, 0x57119fd0dd4e22d8},
    {0xffffffffffffffec, UINT64_MAX, UINT64_MAX, INT64_MAX},
    {0xffffffffffffffed, UINT64_MAX, UINT64_MAX, INT64_MAX},
    {0xffffffffffffffee, UINT64_MAX, UINT64_MAX, INT64_MAX},
};

static void a_public_key_of_low_order_is_refused_by_either_end(void **state)
{
    (void)state;
    for (size_t i = 0; i < 2 * sizeof(low_order) / sizeof(low_order[0]); i++) {
        struct hqq_crypto *crypto;
        assert_int_equal(hqq_crypto_new(context, key, i % 2 == 0, LARGEST, &crypto), 0);
        assert_int_equal(hqq_crypto_agree(crypto, low_order[i / 2], transcript, WORDS), HQQ_ERROR_AUTH);
        assert_int_equal(open_record(crypto, LENGTH), HQQ_ERROR_INVALID_OP);
    }
}

static void keys_are_agreed_on_once(void **state)
{
    (void)state;
    uint64_t peer[HQQ_CRYPTO_KEY_WORDS];
    hqq_crypto_public_key(secondary, peer);
    assert_int_equal(hqq_crypto_agree(primary, low_order[0], transcript, WORDS), HQQ_ERROR_AUTH);
    assert_int_equal(hqq_crypto_agree(primary, peer, transcript, WORDS), HQQ_ERROR_INVALID_OP);
    hqq_crypto_public_key(primary, peer);
    assert_int_equal(hqq_crypto_agree(secondary, peer, transcript, WORDS), 0);
    assert_int_equal(hqq_crypto_agree(secondary, peer, transcript, WORDS), HQQ_ERROR_INVALID_OP);
}

static void nothing_opens_before_keys_are_agreed_on(void **state)
{
    (void)state;
    assert_int_equal(open_record(primary, LENGTH), HQQ_ERROR_INVALID_OP);
}

static void an_impossible_size_is_for_want_of_memory(void **state)
{
    (void)state;
    struct hqq_crypto *untouched = primary;
    assert_int_equal(hqq_crypto_new(context, key, true, SIZE_MAX, &primary), -ENOMEM);
    assert_int_equal(hqq_crypto_new(context, key, true, SIZE_MAX / 2, &primary), -ENOMEM);
    assert_ptr_equal(primary, untouched);
}

/* ---- The construction -------------------------------------------------------------------------------------------- */

#ifdef HQQ_HAVE_SODIUM

/* A secondary by the book, written out with libsodium alone: another implementation must be able to be the peer. */
static void keys_and_records_are_those_of_the_documents(void **state)
{
    (void)state;
    unsigned char public[32], secret[32], theirs[32], receiving[32], sending[32], record_key[32];
    uint64_t words[HQQ_CRYPTO_KEY_WORDS];
    crypto_kx_keypair(public, secret);
    hqq_crypto_public_key(primary, words);
    for (int i = 0; i < 32; i++)
        theirs[i] = (unsigned char)(words[i / 8] >> 8 * (i % 8));
    memset(words, 0, sizeof(words));
    for (int i = 0; i < 32; i++)
        words[i / 8] |= (uint64_t) public[i] << 8 * (i % 8);
    assert_int_equal(hqq_crypto_agree(primary, words, transcript, WORDS), 0);
    assert_int_equal(crypto_kx_server_session_keys(receiving, sending, public, secret, theirs), 0);

    unsigned char hashed[24 + 32 + 32 + 32 + 8 * WORDS] = "HQQ advanced record key";
    memcpy(hashed + 24, receiving, 32);
    memcpy(hashed + 56, theirs, 32);
    memcpy(hashed + 88, public, 32);
    for (size_t i = 0; i < 8 * WORDS; i++)
        hashed[120 + i] = (unsigned char)(transcript[i / 8] >> 8 * (i % 8));
    assert_int_equal(crypto_generichash(record_key, 32, hashed, sizeof(hashed), key, 32), 0);

    uint64_t number = 0x0123456789abcdef;
    unsigned char bound[8 * HQQ_CRYPTO_HEADER_WORDS], nonce[12] = {0};
    unsigned long long length;
    for (size_t i = 0; i < sizeof(bound); i++)
        bound[i] = (unsigned char)(header[i / 8] >> 8 * (i % 8));
    for (int i = 0; i < 8; i++)
        nonce[4 + i] = (unsigned char)(number >> 8 * i);
    hqq_crypto_seal(primary, number, header, plain, LENGTH, sealed);
    assert_int_equal(crypto_aead_chacha20poly1305_ietf_decrypt(opened, &length, NULL, sealed, LENGTH + HQQ_CRYPTO_TAG,
                                                               bound, sizeof(bound), nonce, record_key),
                     0);
    assert_int_equal(length, LENGTH);
    assert_memory_equal(opened, plain, LENGTH);
}

/* The secret half of a pair, wherever it lies in an object. */
static bool has_secret(const struct hqq_crypto *crypto, size_t size, const unsigned char *public)
{
    unsigned char made[32];
    const unsigned char *bytes = (const unsigned char *)crypto;
    for (size_t at = 0; at + 32 <= size; at++) {
        if (crypto_scalarmult_base(made, bytes + at) == 0 && memcmp(made, public, sizeof(made)) == 0)
            return true;
    }
    return false;
}

static void the_secret_of_the_pair_is_wiped_by_agreement(void **state)
{
    (void)state;
    struct hqq_crypto *crypto;
    uint64_t words[HQQ_CRYPTO_KEY_WORDS];
    unsigned char public[32];
    assert_int_equal(hqq_crypto_new(context, key, true, 0, &crypto), 0);
    size_t size = talloc_get_size(crypto);
    hqq_crypto_public_key(crypto, words);
    for (int i = 0; i < 32; i++)
    public[i] = (unsigned char)(words[i / 8] >> 8 * (i % 8));
    assert_true(has_secret(crypto, size, public));
    agree(crypto, secondary, transcript, WORDS);
    assert_false(has_secret(crypto, size, public));
}

#endif

/* ---- Secrets ----------------------------------------------------------------------------------------------------- */

static bool contains(const unsigned char *bytes, size_t size, const unsigned char *wanted, size_t length)
{
    for (size_t at = 0; at + length <= size; at++) {
        if (memcmp(bytes + at, wanted, length) == 0)
            return true;
    }
    return false;
}

/* The object lies in a pool, whose memory stays when it is freed. */
static void the_given_key_is_wiped_by_agreement_and_the_rest_by_freeing(void **state)
{
    (void)state;
    void *pool = talloc_pool(context, 64 * 1024);
    struct hqq_crypto *crypto;
    assert_int_equal(hqq_crypto_new(pool, key, true, 0, &crypto), 0);
    const unsigned char *bytes = (const unsigned char *)crypto;
    size_t size = talloc_get_size(crypto);
    assert_true(contains(bytes, size, key, sizeof(key)));
    agree(crypto, secondary, transcript, WORDS);
    assert_false(contains(bytes, size, key, sizeof(key)));

    talloc_free(crypto);
    for (size_t i = 0; i < size; i++)
        assert_int_equal(bytes[i], 0);
}

/* ---- Without libsodium ------------------------------------------------------------------------------------------- */

static void a_build_without_it_says_so(void **state)
{
    (void)state;
    struct hqq_crypto *crypto = NULL;
    assert_false(hqq_crypto_is_available());
    assert_int_equal(hqq_crypto_new(NULL, key, true, LARGEST, &crypto), HQQ_ERROR_INVALID_OP);
    assert_null(crypto);
}

static void a_build_with_it_says_so(void **state)
{
    (void)state;
    assert_true(hqq_crypto_is_available());
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest absent[] = {
        cmocka_unit_test(a_build_without_it_says_so),
    };
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_build_with_it_says_so),
        TEST(a_record_opens_as_it_was_sealed_in_either_direction),
        TEST(records_of_every_length_open_and_nothing_beyond_them_is_written),
        TEST(a_record_opens_in_its_own_memory),
        TEST(a_sealed_record_shows_nothing_of_what_it_has),
        TEST(a_record_with_any_bit_flipped_does_not_open_and_nothing_is_written),
        TEST(a_record_that_is_shorter_or_longer_does_not_open),
        TEST(a_record_opens_under_its_own_number_only),
        TEST(a_record_opens_with_its_own_header_only),
        TEST(one_thread_seals_while_another_opens),
        TEST(the_two_directions_have_different_keys),
        TEST(ends_with_different_keys_are_strangers),
        TEST(ends_that_negotiated_different_words_are_strangers),
        TEST(ends_that_negotiated_a_word_more_are_strangers),
        TEST(a_public_key_that_was_changed_on_its_way_makes_strangers),
        TEST(two_ends_of_the_same_role_are_strangers),
        TEST(an_end_that_is_sent_its_own_public_key_opens_nothing_of_its_own),
        TEST(every_link_has_a_public_key_of_its_own),
        TEST(a_public_key_of_low_order_is_refused_by_either_end),
        TEST(keys_are_agreed_on_once),
        TEST(nothing_opens_before_keys_are_agreed_on),
        TEST(an_impossible_size_is_for_want_of_memory),
#ifdef HQQ_HAVE_SODIUM
        TEST(keys_and_records_are_those_of_the_documents),
        TEST(the_secret_of_the_pair_is_wiped_by_agreement),
#endif
        TEST(the_given_key_is_wiped_by_agreement_and_the_rest_by_freeing),
    };
    if (!HAVE_SODIUM)
        return cmocka_run_group_tests(absent, NULL, NULL);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
