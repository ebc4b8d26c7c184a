/* SPDX-License-Identifier: Apache-2.0 */
#include "util/codec.h"

#include <errno.h>
#include <stdint.h>
#include <string.h>

static const char base64_alphabet[] =
	"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

void base64_encode(struct buf *out, const void *data, size_t len)
{
	const unsigned char *p = data;

	for (; len > 0; p += 3) {
		size_t n = len < 3 ? len : 3;
		uint32_t v = (uint32_t)p[0] << 16;
		char quad[4];

		if (n > 1)
			v |= (uint32_t)p[1] << 8;
		if (n > 2)
			v |= p[2];
		for (unsigned i = 0; i < 4; i++)
			quad[i] = base64_alphabet[v >> (18 - 6 * i) & 63];
		memset(quad + n + 1, '=', 3 - n);
		buf_add(out, quad, 4);
		len -= n;
	}
}

static int base64_value(char c)
{
	const char *at = c ? strchr(base64_alphabet, c) : NULL;

	return at ? (int)(at - base64_alphabet) : -1;
}

/* Four characters, the last `pad` of them '=', to 3 - pad bytes. */
static int base64_quad(const char *quad, size_t pad, unsigned char out[3])
{
	uint32_t v = 0;

	for (size_t i = 0; i < 4; i++) {
		int six = i < 4 - pad ? base64_value(quad[i]) : 0;

		if (six < 0)
			return -EINVAL;
		v = v << 6 | (uint32_t)six;
	}
	/* One text for each value: the unused bits are zero. */
	if (pad > 0 && (v & ((1U << (8 * pad)) - 1)) != 0)
		return -EINVAL;
	out[0] = (unsigned char)(v >> 16);
	out[1] = (unsigned char)(v >> 8);
	out[2] = (unsigned char)v;
	return 0;
}

int base64_decode(struct buf *out, const char *text, size_t len)
{
	size_t before = out->len;

	if (len % 4 != 0)
		return -EINVAL;
	for (size_t i = 0; i < len; i += 4) {
		unsigned char bytes[3];
		size_t pad = 0;

		if (i + 4 == len && text[i + 3] == '=')
			pad = text[i + 2] == '=' ? 2 : 1;
		if (base64_quad(text + i, pad, bytes) < 0) {
			buf_truncate(out, before);
			return -EINVAL;
		}
		buf_add(out, bytes, 3 - pad);
	}
	return buf_error(out);
}

static void to_hex(const char digits[17], const void *data, size_t len,
		   char *out)
{
	const unsigned char *p = data;

	for (size_t i = 0; i < len; i++) {
		*out++ = digits[p[i] >> 4];
		*out++ = digits[p[i] & 15];
	}
}

void hex_encode(struct buf *out, const void *data, size_t len)
{
	char *to = buf_reserve(out, 2 * len);

	if (!to)
		return;
	to_hex("0123456789abcdef", data, len, to);
	buf_commit(out, 2 * len);
}

void hex_upper(char *out, const void *data, size_t len)
{
	to_hex("0123456789ABCDEF", data, len, out);
	out[2 * len] = '\0';
}

static int hex_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

/* Two digits to a byte; -1 when one is none. */
static int hex_byte(const char *text)
{
	int high = hex_value(text[0]);
	int low = high < 0 ? -1 : hex_value(text[1]);

	return low < 0 ? -1 : high * 16 + low;
}

int hex_decode(struct buf *out, const char *text, size_t len)
{
	size_t before = out->len;

	if (len % 2 != 0)
		return -EINVAL;
	for (size_t i = 0; i < len; i += 2) {
		int byte = hex_byte(text + i);

		if (byte < 0) {
			buf_truncate(out, before);
			return -EINVAL;
		}
		buf_addc(out, (char)byte);
	}
	return buf_error(out);
}

static bool is_unreserved(char c)
{
	return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
	       (c >= '0' && c <= '9') || c == '-' || c == '.' || c == '_' ||
	       c == '~';
}

void percent_encode(struct buf *out, const char *data, size_t len,
		    enum percent_set set)
{
	static const char digits[] = "0123456789ABCDEF";

	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)data[i];
		char coded[3] = {'%', digits[c >> 4], digits[c & 15]};

		if (is_unreserved(data[i]) || (set == PERCENT_PATH && c == '/'))
			buf_addc(out, data[i]);
		else
			buf_add(out, coded, sizeof(coded));
	}
}

int percent_decode(struct buf *out, const char *text, size_t len,
		   bool plus_is_space)
{
	size_t before = out->len;

	for (size_t i = 0; i < len; i++) {
		char c = text[i];

		if (c == '%') {
			int byte = len - i > 2 ? hex_byte(text + i + 1) : -1;

			if (byte < 0) {
				buf_truncate(out, before);
				return -EINVAL;
			}
			c = (char)byte;
			i += 2;
		} else if (c == '+' && plus_is_space) {
			c = ' ';
		}
		buf_addc(out, c);
	}
	return buf_error(out);
}

/* How many bytes a sequence with this first byte has, and the smallest and
 * largest second byte (RFC 3629 section 4); 0 for no first byte. */
static size_t utf8_shape(unsigned char first, unsigned char *min2,
			 unsigned char *max2)
{
	*min2 = 0x80;
	*max2 = 0xbf;
	if (first < 0x80)
		return 1;
	if (first >= 0xc2 && first <= 0xdf)
		return 2;
	if (first >= 0xe0 && first <= 0xef) {
		if (first == 0xe0)
			*min2 = 0xa0; /* overlong */
		else if (first == 0xed)
			*max2 = 0x9f; /* surrogates */
		return 3;
	}
	if (first >= 0xf0 && first <= 0xf4) {
		if (first == 0xf0)
			*min2 = 0x90; /* overlong */
		else if (first == 0xf4)
			*max2 = 0x8f; /* past U+10FFFF */
		return 4;
	}
	return 0;
}

size_t utf8_next(const char *data, size_t len, uint32_t *code)
{
	static const unsigned char first_mask[5] = {0, 0x7f, 0x1f, 0x0f, 0x07};
	const unsigned char *p = (const unsigned char *)data;
	unsigned char min, max;
	uint32_t v;
	size_t n;

	if (len == 0)
		return 0;
	n = utf8_shape(p[0], &min, &max);
	if (n == 0 || n > len)
		return 0;
	v = p[0] & first_mask[n];
	for (size_t i = 1; i < n; i++) {
		if (p[i] < min || p[i] > max)
			return 0;
		v = v << 6 | (p[i] & 0x3fU);
		min = 0x80;
		max = 0xbf;
	}
	*code = v;
	return n;
}

bool utf8_is_valid(const char *data, size_t len)
{
	while (len > 0) {
		uint32_t code;
		size_t n = utf8_next(data, len, &code);

		if (n == 0)
			return false;
		data += n;
		len -= n;
	}
	return true;
}
