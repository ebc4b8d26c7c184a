/* SPDX-License-Identifier: Apache-2.0 */
#include "callback/temporary.h"

#include <errno.h>
#include <string.h>

#include "util/base.h"
#include "util/glob.h"

/* A name stands here when its program renames it once the content is whole, or
 * removes it.  What is kept under such a name loses its callback, so nothing
 * here may be a final name: hence .git in front of *.lock. */
static const char builtin[] =
	/* rsync: .NAME.XXXXXX, --partial-dir and --delay-updates */
	".*.?????? .rsync-partial/** **/.rsync-partial/** "
	".~tmp~/** **/.~tmp~/** "
	/* downloads: browsers, WinSCP, rclone, aria2, yt-dlp, curl's users */
	"*.part *.partial *.filepart *.crdownload *.download *.opdownload "
	"*.aria2 *.ytdl *.tmp *.temp *.TMP "
	/* FTP: proftpd's HiddenStores, lftp, pure-ftpd */
	".in.*. .in.* .pureftpd-upload.* "
	/* editors and desktops: vim (swap files, its probe of a folder),
	   Emacs, GLib, Kate, LibreOffice, Office */
	"*~ .*.sw? 4913 #*# .#* .goutputstream-* .*.kate-swp .~lock.*# ~$* "
	/* files that were unlinked while open */
	".fuse_hidden* .nfs* .smbdelete* "
	/* git */
	"**/*.git/**/*.lock tmp_obj_?????? tmp_pack_?????? tmp_idx_?????? "
	"**/tmp_objdir-*/**";

const char *temporary_builtin(void)
{
	return builtin;
}

static int refuse_none(struct buf *why)
{
	buf_adds(
		why,
		"none stands alone; write none, or builtin and globs with blanks between");
	return -EINVAL;
}

static bool is_word(const char *text, size_t len, const char *word)
{
	return strlen(word) == len && strncmp(text, word, len) == 0;
}

int temporary_parse(const char *text, char **globs, struct buf *why)
{
	AUTO(buf_release) struct buf out = BUF_INIT;
	const char *wrong = NULL, *p = text;
	char *list;

	if (strcmp(text, "none") == 0) {
		list = str_dup("");
		if (list)
			*globs = list;
		return list ? 0 : -ENOMEM;
	}
	while (*p) {
		size_t len = strcspn(p, " \t");

		if (is_word(p, len, "none"))
			return refuse_none(why);
		if (out.len > 0 && len > 0)
			buf_addc(&out, ' ');
		if (is_word(p, len, "builtin"))
			buf_adds(&out, builtin);
		else
			buf_add(&out, p, len);
		p += len + strspn(p + len, " \t");
	}
	if (glob_list_check(buf_str(&out), &wrong) < 0) {
		buf_addf(
			why,
			"%s; write builtin, none, or globs with blanks between",
			wrong);
		return -EINVAL;
	}
	list = buf_detach(&out);
	if (list)
		*globs = list;
	return list ? 0 : -ENOMEM;
}
