/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Give each file named on the command line to the fuzz target that this is
 * linked with.
 */
#include <errno.h>

#include "fuzz.h"
#include "util/buf.h"
#include "util/fileio.h"

#define INPUT_MAX ((size_t)16 << 20)

int main(int argc, char **argv)
{
	for (int i = 1; i < argc; i++) {
		AUTO(buf_release) struct buf b = BUF_INIT;
		int rc = file_read(argv[i], INPUT_MAX, &b);

		if (rc < 0) {
			fprintf(stderr, "%s: %s\n", argv[i], strerror(-rc));
			return 1;
		}
		LLVMFuzzerTestOneInput((const uint8_t *)buf_str(&b), b.len);
	}
	printf("%d inputs\n", argc - 1);
	return argc > 1 ? 0 : 1;
}
