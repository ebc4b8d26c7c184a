/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * Width, height and format of PNG, JPEG and GIF, for ${imageInfo.*}.
 *
 * Layer  emulator.
 */
#ifndef ACKFS_EMULATOR_IMAGE_H
#define ACKFS_EMULATOR_IMAGE_H

#include "emulator/object.h"

struct image_info {
	unsigned width;
	unsigned height;
	const char *format; /* "PNG", "JPG", "GIF" */
};

/**
 * @return 0; -ENOENT: not one of these; -EINVAL: it begins like one and
 *         cannot be read
 */
int image_read(const struct body *b, struct image_info *out);

#endif
