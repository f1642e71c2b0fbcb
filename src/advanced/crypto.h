/*
 * Encryption of one link: keys from a secret that both ends were given, then records, each of which either opens as it
 * was sealed or does not open at all. What makes up a record and what is agreed on beforehand is for the caller.
 *
 * Keys: each end makes an X25519 key pair for this link alone and sends the public half. Each direction's key is a
 * keyed BLAKE2b (the key is the pre-shared one) of the session key that both pairs give (crypto_kx, the primary as
 * client), of both public keys, and of all that was negotiated. So ends with different secrets, or between which a word
 * was changed, get different keys and no record opens; and what was recorded stays secret when the pre-shared key leaks.
 * Records: ChaCha20-Poly1305 (RFC 8439), the nonce is the number of the record in its direction.
 *
 * Relies on libsodium. Without it every function but hqq_crypto_is_available() fails or does nothing. Of one object, one
 * thread may seal while another opens.
 */
#ifndef HQQ_ADVANCED_CRYPTO_H
#define HQQ_ADVANCED_CRYPTO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HQQ_CRYPTO_TAG 16      /* bytes that sealing adds */
#define HQQ_CRYPTO_KEY_WORDS 4 /* of a public key */
#define HQQ_CRYPTO_HEADER_WORDS 8

struct hqq_crypto;

/* Whether this build has it. */
bool hqq_crypto_is_available(void);

/*
 * Makes the key pair of one end. key is the pre-shared one, 32 bytes, copied; largest is the most bytes that a record
 * to seal will have, tag not included. A talloc child of parent; freeing it wipes every key. INVALID_OP if not built
 * in, -ENOMEM, -EIO if libsodium can't start.
 */
int hqq_crypto_new(void *parent, const unsigned char *key, bool is_primary, size_t largest,
                   struct hqq_crypto **ret_crypto);

/* What to send to the peer; changes nothing. */
void hqq_crypto_public_key(const struct hqq_crypto *crypto, uint64_t ret_words[HQQ_CRYPTO_KEY_WORDS]);

/*
 * Makes the keys of both directions. transcript is what was negotiated, the same words in the same order at both ends.
 * One attempt: the secret half of the pair and the pre-shared key are wiped, whatever comes of it. AUTH for a public
 * key that no honest peer makes (of low order), and then nothing can be sealed or opened; INVALID_OP the second time.
 */
int hqq_crypto_agree(struct hqq_crypto *crypto, const uint64_t peer_words[HQQ_CRYPTO_KEY_WORDS],
                     const uint64_t *transcript, size_t count);

/*
 * Seals one record, after hqq_crypto_agree(): writes length + HQQ_CRYPTO_TAG bytes to sealed. header is not sealed, but
 * the record opens only with the same one. number counts the records of this direction: the caller never uses one twice,
 * for whoever sees two records of one number can read and forge. plain is private memory; sealed may be shared with a
 * peer that writes to it meanwhile, as it is only written.
 */
void hqq_crypto_seal(struct hqq_crypto *crypto, uint64_t number, const uint64_t header[HQQ_CRYPTO_HEADER_WORDS],
                     const void *plain, size_t length, void *sealed);

/*
 * Opens one record of length bytes, the tag included: writes length - HQQ_CRYPTO_TAG bytes to plain. sealed is private
 * memory: in shared memory the peer could change it between the check and the decryption. It may be plain itself. AUTH
 * if it is not what the peer sealed under this number with this header; nothing is written to plain then. INVALID_OP
 * before the keys are made.
 */
int hqq_crypto_open(const struct hqq_crypto *crypto, uint64_t number, const uint64_t header[HQQ_CRYPTO_HEADER_WORDS],
                    const void *sealed, size_t length, void *plain);

#endif
