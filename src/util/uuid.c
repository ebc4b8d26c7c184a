/* SPDX-License-Identifier: Apache-2.0 */
#include "util/uuid.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "util/crc64.h"

/* Up to 256 bytes: the kernel gives them whole, or has no getrandom. */
static void random_bytes(void *out, size_t len)
{
	ssize_t n;

	do
		n = getrandom(out, len, 0);
	while (n < 0 && errno == EINTR);
	if (n != (ssize_t)len)
		abort(); /* ids that may repeat are worse */
}

static const char *format(unsigned char b[16], int version, char out[UUID_LEN])
{
	b[6] = (unsigned char)((b[6] & 0x0f) | version << 4);
	b[8] = (unsigned char)((b[8] & 0x3f) | 0x80); /* RFC 9562's variant */
	snprintf(out, UUID_LEN,
		 "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-"
		 "%02x%02x%02x%02x%02x%02x",
		 b[0], b[1], b[2], b[3], b[4], b[5], b[6], b[7], b[8], b[9],
		 b[10], b[11], b[12], b[13], b[14], b[15]);
	return out;
}

const char *uuid_make(char out[UUID_LEN])
{
	unsigned char b[16] = {0};

	random_bytes(b, sizeof(b));
	return format(b, 4, out);
}

const char *uuid_derive(const char *id, const char *name, char out[UUID_LEN])
{
	/* The id is random enough for both; the NULs keep them apart. */
	uint64_t one = crc64_update(0, id, strlen(id) + 1);
	uint64_t two = crc64_update(0, name, strlen(name) + 1);
	unsigned char b[16];

	one = crc64_update(one, name, strlen(name) + 1);
	two = crc64_update(two, id, strlen(id) + 1);
	memcpy(b, &one, sizeof(one));
	memcpy(b + sizeof(one), &two, sizeof(two));
	return format(b, 8, out);
}

uint64_t random_below(uint64_t n)
{
	uint64_t value = 0;
	uint64_t skip;

	if (n == 0)
		return 0;
	/* 2^64 mod n values at the low end would be too many. */
	skip = (0 - n) % n;
	do
		random_bytes(&value, sizeof(value));
	while (value < skip);
	return value % n;
}
