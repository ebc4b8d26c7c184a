/* SPDX-License-Identifier: Apache-2.0 */
#include "util/crc64.h"

#include <lzma.h>

/* ECMA-182, bit-reflected: the coefficient of x^0 is the highest bit. */
static const uint64_t poly = 0xc96c5795d7870f42;
static const uint64_t one = (uint64_t)1 << 63;    /* x^0 */
static const uint64_t x_to_8 = (uint64_t)1 << 55; /* one byte of zeros */

uint64_t crc64_update(uint64_t crc, const void *data, size_t len)
{
	return lzma_crc64(data, len, crc);
}

/* a * b modulo the polynomial. */
static uint64_t multiply(uint64_t a, uint64_t b)
{
	uint64_t product = 0;

	for (uint64_t bit = one; bit; bit >>= 1) {
		if (a & bit)
			product ^= b;
		b = b & 1 ? b >> 1 ^ poly : b >> 1;
	}
	return product;
}

uint64_t crc64_combine(uint64_t crc_a, uint64_t crc_b, uint64_t len_b)
{
	uint64_t power = x_to_8;
	uint64_t shift = one;

	if (!crc_a)
		return crc_b; /* 0 times any power */
	/* shift = x^(8 * len_b), by squaring. */
	for (; len_b; len_b >>= 1) {
		if (len_b & 1)
			shift = multiply(shift, power);
		power = multiply(power, power);
	}
	return multiply(shift, crc_a) ^ crc_b;
}
