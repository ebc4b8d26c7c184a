/* SPDX-License-Identifier: Apache-2.0 */
#include "emulator/image.h"

#include <errno.h>
#include <string.h>

static unsigned big16(const unsigned char *p)
{
	return (unsigned)p[0] << 8 | p[1];
}

static unsigned big32(const unsigned char *p)
{
	return big16(p) << 16 | big16(p + 2);
}

static unsigned little16(const unsigned char *p)
{
	return (unsigned)p[1] << 8 | p[0];
}

/* Signature, then the IHDR chunk: width, height. */
static int read_png(const unsigned char *head, size_t len,
		    struct image_info *out)
{
	if (len < 24 || memcmp(head + 12, "IHDR", 4) != 0)
		return -EINVAL;
	*out = (struct image_info){big32(head + 16), big32(head + 20), "PNG"};
	return 0;
}

static int read_gif(const unsigned char *head, size_t len,
		    struct image_info *out)
{
	if (len < 10)
		return -EINVAL;
	*out = (struct image_info){little16(head + 6), little16(head + 8),
				   "GIF"};
	return 0;
}

/* A start-of-frame marker: C0 to CF but DHT, JPG and DAC. */
static bool is_frame(unsigned char marker)
{
	return marker >= 0xC0 && marker <= 0xCF && marker != 0xC4 &&
	       marker != 0xC8 && marker != 0xCC;
}

static bool has_no_length(unsigned char marker)
{
	return marker == 0x01 || (marker >= 0xD0 && marker <= 0xD8);
}

/* From marker to marker until a frame; each carries its length. */
static int read_jpeg(const struct body *b, struct image_info *out)
{
	uint64_t pos = 2;

	while (pos + 4 <= b->size) {
		unsigned char s[9];
		ssize_t n = body_pread(b, s, sizeof(s), pos);

		if (n < 4 || s[0] != 0xFF)
			return -EINVAL;
		if (s[1] == 0xFF) { /* fill byte */
			pos++;
			continue;
		}
		if (is_frame(s[1])) {
			if (n < 9)
				return -EINVAL;
			*out = (struct image_info){big16(s + 7), big16(s + 5),
						   "JPG"};
			return 0;
		}
		pos += has_no_length(s[1]) ? 2 : 2 + (uint64_t)big16(s + 2);
	}
	return -EINVAL;
}

int image_read(const struct body *b, struct image_info *out)
{
	static const unsigned char png[] = {0x89, 'P',  'N',  'G',
					    0x0D, 0x0A, 0x1A, 0x0A};
	unsigned char head[24];
	ssize_t n = body_pread(b, head, sizeof(head), 0);

	if (n < 0)
		return (int)n;
	if (n >= 8 && memcmp(head, png, sizeof(png)) == 0)
		return read_png(head, (size_t)n, out);
	if (n >= 6 &&
	    (memcmp(head, "GIF87a", 6) == 0 || memcmp(head, "GIF89a", 6) == 0))
		return read_gif(head, (size_t)n, out);
	if (n >= 3 && head[0] == 0xFF && head[1] == 0xD8 && head[2] == 0xFF)
		return read_jpeg(b, out);
	return -ENOENT;
}
