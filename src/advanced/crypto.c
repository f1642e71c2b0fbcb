/*
 * Key agreement and records, by libsodium's own constructions. Keys stand in two places only, the object and the stack
 * of hqq_crypto_agree(), and are wiped from both. All words are little-endian where they are hashed or authenticated, so
 * they are the bytes that the packets have.
 */
#include "advanced/crypto.h"

#include <hqq/error.h>

#ifdef HQQ_HAVE_SODIUM

#include <assert.h>
#include <endian.h>
#include <errno.h>
#include <sodium.h>
#include <string.h>
#include <talloc.h>

#define KEY_BYTES 32

_Static_assert(crypto_aead_chacha20poly1305_ietf_ABYTES == HQQ_CRYPTO_TAG, "tag");
_Static_assert(crypto_aead_chacha20poly1305_ietf_KEYBYTES == KEY_BYTES, "record key");
_Static_assert(crypto_kx_SESSIONKEYBYTES == KEY_BYTES, "session key");
_Static_assert(crypto_kx_PUBLICKEYBYTES == 8 * HQQ_CRYPTO_KEY_WORDS, "public key");
_Static_assert(crypto_generichash_KEYBYTES == KEY_BYTES && crypto_generichash_BYTES == KEY_BYTES, "hash");

struct hqq_crypto {
    bool is_primary;
    bool is_agreed;                                 /* sending and receiving are set */
    bool is_spent;                                  /* the next two are wiped */
    unsigned char shared[KEY_BYTES];                /* the pre-shared key */
    unsigned char secret[crypto_kx_SECRETKEYBYTES]; /* of this link's pair */
    unsigned char public[crypto_kx_PUBLICKEYBYTES]; /* the other half */
    unsigned char sending[KEY_BYTES], receiving[KEY_BYTES];
    size_t largest;
    unsigned char scratch[]; /* largest + HQQ_CRYPTO_TAG bytes: a record while it is sealed */
};

bool hqq_crypto_is_available(void)
{
    return true;
}

/* ---- The pair -------------------------------------------------------------------------------------------------- */

static int wipe(struct hqq_crypto *crypto)
{
    sodium_memzero(crypto, sizeof(*crypto));
    return 0;
}

int hqq_crypto_new(void *parent, const unsigned char *key, bool is_primary, size_t largest,
                   struct hqq_crypto **ret_crypto)
{
    if (sodium_init() < 0) /* does nothing but the first time; threads may meet in it */
        return -EIO;
    if (largest > SIZE_MAX / 2)
        return -ENOMEM;
    struct hqq_crypto *crypto = talloc_zero_size(parent, sizeof(*crypto) + largest + HQQ_CRYPTO_TAG);
    if (!crypto)
        return -ENOMEM;
    talloc_set_name_const(crypto, "struct hqq_crypto");
    talloc_set_destructor(crypto, wipe);
    crypto->is_primary = is_primary;
    crypto->largest = largest;
    memcpy(crypto->shared, key, KEY_BYTES);
    crypto_kx_keypair(crypto->public, crypto->secret);
    *ret_crypto = crypto;
    return 0;
}

void hqq_crypto_public_key(const struct hqq_crypto *crypto, uint64_t ret_words[HQQ_CRYPTO_KEY_WORDS])
{
    memcpy(ret_words, crypto->public, sizeof(crypto->public));
    for (int i = 0; i < HQQ_CRYPTO_KEY_WORDS; i++)
        ret_words[i] = le64toh(ret_words[i]);
}

/* ---- Agreement ------------------------------------------------------------------------------------------------- */

/* Both ends hash the same: what differs between the directions is the session key. */
static void bind_key(const unsigned char *shared, const unsigned char *session, const unsigned char *primary,
                     const unsigned char *secondary, const uint64_t *transcript, size_t count, unsigned char *ret_key)
{
    static const unsigned char purpose[] = "HQQ advanced record key";
    crypto_generichash_state hash;
    (void)crypto_generichash_init(&hash, shared, KEY_BYTES, KEY_BYTES);
    (void)crypto_generichash_update(&hash, purpose, sizeof(purpose));
    (void)crypto_generichash_update(&hash, session, KEY_BYTES);
    (void)crypto_generichash_update(&hash, primary, crypto_kx_PUBLICKEYBYTES);
    (void)crypto_generichash_update(&hash, secondary, crypto_kx_PUBLICKEYBYTES);
    for (size_t i = 0; i < count; i++) {
        uint64_t word = htole64(transcript[i]);
        (void)crypto_generichash_update(&hash, (const unsigned char *)&word, sizeof(word));
    }
    (void)crypto_generichash_final(&hash, ret_key, KEY_BYTES);
    sodium_memzero(&hash, sizeof(hash));
}

int hqq_crypto_agree(struct hqq_crypto *crypto, const uint64_t peer_words[HQQ_CRYPTO_KEY_WORDS],
                     const uint64_t *transcript, size_t count)
{
    if (crypto->is_spent)
        return HQQ_ERROR_INVALID_OP;
    uint64_t words[HQQ_CRYPTO_KEY_WORDS];
    for (int i = 0; i < HQQ_CRYPTO_KEY_WORDS; i++)
        words[i] = htole64(peer_words[i]);
    unsigned char peer[crypto_kx_PUBLICKEYBYTES];
    memcpy(peer, words, sizeof(peer));

    unsigned char sending[KEY_BYTES], receiving[KEY_BYTES];
    int result = crypto->is_primary
                     ? crypto_kx_client_session_keys(receiving, sending, crypto->public, crypto->secret, peer)
                     : crypto_kx_server_session_keys(receiving, sending, crypto->public, crypto->secret, peer);
    if (result == 0) {
        const unsigned char *primary = crypto->is_primary ? crypto->public : peer;
        const unsigned char *secondary = crypto->is_primary ? peer : crypto->public;
        bind_key(crypto->shared, sending, primary, secondary, transcript, count, crypto->sending);
        bind_key(crypto->shared, receiving, primary, secondary, transcript, count, crypto->receiving);
    }
    sodium_memzero(sending, sizeof(sending));
    sodium_memzero(receiving, sizeof(receiving));
    sodium_memzero(crypto->secret, sizeof(crypto->secret));
    sodium_memzero(crypto->shared, sizeof(crypto->shared));
    crypto->is_spent = true;
    crypto->is_agreed = result == 0;
    return result == 0 ? 0 : HQQ_ERROR_AUTH;
}

/* ---- Records --------------------------------------------------------------------------------------------------- */

/* What a record is bound to, as bytes. */
struct binding {
    uint64_t header[HQQ_CRYPTO_HEADER_WORDS];
    unsigned char nonce[crypto_aead_chacha20poly1305_ietf_NPUBBYTES];
};

static struct binding bind_record(uint64_t number, const uint64_t header[HQQ_CRYPTO_HEADER_WORDS])
{
    struct binding binding = {.nonce = {0}};
    for (int i = 0; i < HQQ_CRYPTO_HEADER_WORDS; i++)
        binding.header[i] = htole64(header[i]);
    uint64_t little = htole64(number);
    memcpy(binding.nonce + sizeof(binding.nonce) - sizeof(little), &little, sizeof(little));
    return binding;
}

/* libsodium encrypts first and then makes the tag of what it reads back. From shared memory that would be what someone
 * else has put there meanwhile, with a tag that says it was ours: hence the scratch. */
void hqq_crypto_seal(struct hqq_crypto *crypto, uint64_t number, const uint64_t header[HQQ_CRYPTO_HEADER_WORDS],
                     const void *plain, size_t length, void *sealed)
{
    assert(crypto->is_agreed && length <= crypto->largest);
    struct binding binding = bind_record(number, header);
    (void)crypto_aead_chacha20poly1305_ietf_encrypt(crypto->scratch, NULL, plain, length,
                                                    (const unsigned char *)binding.header, sizeof(binding.header), NULL,
                                                    binding.nonce, crypto->sending);
    memcpy(sealed, crypto->scratch, length + HQQ_CRYPTO_TAG);
}

/* In two steps, as libsodium's one would zero plain where the check fails. With NULL it only checks; the key stream of a
 * record begins at block 1 (RFC 8439, 2.8). */
int hqq_crypto_open(const struct hqq_crypto *crypto, uint64_t number, const uint64_t header[HQQ_CRYPTO_HEADER_WORDS],
                    const void *sealed, size_t length, void *plain)
{
    if (!crypto->is_agreed)
        return HQQ_ERROR_INVALID_OP;
    if (length < HQQ_CRYPTO_TAG)
        return HQQ_ERROR_AUTH;
    size_t size = length - HQQ_CRYPTO_TAG;
    const unsigned char *bytes = sealed;
    struct binding binding = bind_record(number, header);
    if (crypto_aead_chacha20poly1305_ietf_decrypt_detached(
            NULL, NULL, bytes, size, bytes + size, (const unsigned char *)binding.header, sizeof(binding.header),
            binding.nonce, crypto->receiving) != 0)
        return HQQ_ERROR_AUTH;
    if (size > 0)
        (void)crypto_stream_chacha20_ietf_xor_ic(plain, bytes, size, binding.nonce, 1, crypto->receiving);
    return 0;
}

#else /* not built in: there is no object, so nothing but the first two is ever called */

bool hqq_crypto_is_available(void)
{
    return false;
}

int hqq_crypto_new(void *parent, const unsigned char *key, bool is_primary, size_t largest,
                   struct hqq_crypto **ret_crypto)
{
    (void)parent;
    (void)key;
    (void)is_primary;
    (void)largest;
    (void)ret_crypto;
    return HQQ_ERROR_INVALID_OP;
}

void hqq_crypto_public_key(const struct hqq_crypto *crypto, uint64_t ret_words[HQQ_CRYPTO_KEY_WORDS])
{
    (void)crypto;
    (void)ret_words;
}

int hqq_crypto_agree(struct hqq_crypto *crypto, const uint64_t peer_words[HQQ_CRYPTO_KEY_WORDS],
                     const uint64_t *transcript, size_t count)
{
    (void)crypto;
    (void)peer_words;
    (void)transcript;
    (void)count;
    return HQQ_ERROR_INVALID_OP;
}

void hqq_crypto_seal(struct hqq_crypto *crypto, uint64_t number, const uint64_t header[HQQ_CRYPTO_HEADER_WORDS],
                     const void *plain, size_t length, void *sealed)
{
    (void)crypto;
    (void)number;
    (void)header;
    (void)plain;
    (void)length;
    (void)sealed;
}

int hqq_crypto_open(const struct hqq_crypto *crypto, uint64_t number, const uint64_t header[HQQ_CRYPTO_HEADER_WORDS],
                    const void *sealed, size_t length, void *plain)
{
    (void)crypto;
    (void)number;
    (void)header;
    (void)sealed;
    (void)length;
    (void)plain;
    return HQQ_ERROR_INVALID_OP;
}

#endif
