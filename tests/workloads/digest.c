// Digests and big numbers of OpenSSL 3: hand-written assembly, and call frame information with
// expressions. With "cipher", an authenticated cipher instead. Declares the little it calls, so that no
// headers are needed. Usage: digest SECONDS [cipher]
#include <string.h>

#include "spin.h"

typedef struct evp_md_st EVP_MD;
typedef struct evp_cipher_st EVP_CIPHER;
typedef struct evp_cipher_ctx_st EVP_CIPHER_CTX;
typedef struct bignum_st BIGNUM;
typedef struct bignum_ctx BN_CTX;

const EVP_MD *EVP_sha1(void);
const EVP_MD *EVP_sha256(void);
const EVP_MD *EVP_sha512(void);
int EVP_Digest(const void *, size_t, unsigned char *, unsigned int *, const EVP_MD *, void *);
const EVP_CIPHER *EVP_aes_256_gcm(void);
EVP_CIPHER_CTX *EVP_CIPHER_CTX_new(void);
int EVP_EncryptInit_ex(EVP_CIPHER_CTX *, const EVP_CIPHER *, void *, const unsigned char *, const unsigned char *);
int EVP_EncryptUpdate(EVP_CIPHER_CTX *, unsigned char *, int *, const unsigned char *, int);
BIGNUM *BN_new(void);
BN_CTX *BN_CTX_new(void);
int BN_rand(BIGNUM *, int, int, int);
int BN_mod_exp(BIGNUM *, const BIGNUM *, const BIGNUM *, const BIGNUM *, BN_CTX *);

#define BLOCK_SIZE_BYTES (64 * 1024)
static unsigned char block[BLOCK_SIZE_BYTES];
static unsigned char sealed[BLOCK_SIZE_BYTES];

APART void digests(void)
{
	unsigned char digest[64];
	unsigned int size_bytes;
	EVP_Digest(block, sizeof block, digest, &size_bytes, EVP_sha1(), NULL);
	EVP_Digest(block, sizeof block, digest, &size_bytes, EVP_sha256(), NULL);
	EVP_Digest(block, sizeof block, digest, &size_bytes, EVP_sha512(), NULL);
	NOT_A_TAIL_CALL();
}

APART void cipher(EVP_CIPHER_CTX *context)
{
	int size_bytes;
	EVP_EncryptInit_ex(context, EVP_aes_256_gcm(), NULL, block, block);
	EVP_EncryptUpdate(context, sealed, &size_bytes, block, sizeof block);
	NOT_A_TAIL_CALL();
}

APART void power(BIGNUM *result, BIGNUM *const number[3], BN_CTX *context)
{
	BN_mod_exp(result, number[0], number[1], number[2], context);
	NOT_A_TAIL_CALL();
}

int main(int argc, char **argv)
{
	uint64_t end = end_ns(argc, argv);
	EVP_CIPHER_CTX *cipher_context = EVP_CIPHER_CTX_new();
	BN_CTX *number_context = BN_CTX_new();
	BIGNUM *result = BN_new();
	BIGNUM *number[3];
	for (int index = 0; index < 3; index++) {
		number[index] = BN_new();
		// Top two bits set, and odd, as a modulus has to be.
		BN_rand(number[index], 1024, 1, 1);
	}
	ready();
	int only_cipher = argc > 2 && strcmp(argv[2], "cipher") == 0;
	while (now_ns() < end) {
		if (only_cipher) {
			cipher(cipher_context);
		} else {
			digests();
			power(result, number, number_context);
		}
	}
	return 0;
}
