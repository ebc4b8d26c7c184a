#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# Variables that files and folders bring along (user.oss.callback.var.NAME):
# they arrive byte for byte, or are refused by name; and what is not everybody's.
# bats file_tags=asan
# shellcheck disable=SC2016 # ${...} is OSS's, not the shell's

load lib/common

before_mount() {
	conf_add callback.vars 'site = hangzhou-3' 'customer = nobody'
	conf_add 'callback "form"' 'match = **/form/**' \
		'body_type = application/x-www-form-urlencoded' \
		'allow_override = customer' \
		'body = object=${object}&size=${size}&id=${x:ackfs_id}&v=${x:v}&site=${x:site}&customer=${x:customer}'
	conf_add 'callback "json"' 'match = **/json/**' \
		'allow_override = customer' \
		'body = {"object":${object},"size":${size},"id":${x:ackfs_id},"v":${x:v},"site":${x:site},"customer":${x:customer}}'
}

teardown() {
	test_teardown
	[ -z "${OPEN:-}" ] || rm -rf "$OPEN"
}

# setfattr has a notation of its own: the bytes as they are.
set_var() { # NAME PATH <VALUE
	python3 -c 'import os, sys
os.setxattr(sys.argv[2], "user.oss.callback.var." + sys.argv[1],
            sys.stdin.buffer.read())' "$1" "$2"
}

# A new file with a variable, as a program that knows of it writes one.
write_with() { # NAME PATH TEXT <VALUE
	python3 -c 'import os, sys
with open(sys.argv[2], "w") as f:
    f.write(sys.argv[3] + "\n")
    f.flush()
    os.setxattr(f.fileno(), "user.oss.callback.var." + sys.argv[1],
                sys.stdin.buffer.read())' "$@"
}

# The variable of the last callback.
var_of() { callbacks_of "$2" ".fields.$1" | tail -n 1; } # NAME PATH

odd_values() {
	cat <<-'EOF'
		"中文，客户：王"
		"say \"cheese\" and 'quotes'"
		"a&b=c&d;e"
		"100 % of %41%20%zz %{name} %%"
		"back\\slash \\n \\u0041 ${object} ${x:site} $(id)"
		"two\nlines\r\nand\ttabs"
		" blanks + pluses "
		"\u0001\u001f\u007f"
		"🦊 é é <tag>/?#"
		""
	EOF
}

@test "odd values arrive byte for byte, in both body types" {
	local n=0 body f line
	mkdir "$D/form" "$D/json"
	while IFS= read -r line; do
		n=$((n + 1))
		jq -j . <<<"$line" >want
		for body in form json; do
			f=$D/$body/$n
			write_with v "$f" x <want
			attr callback.var.v "$f" >got || [ ! -s want ]
			same got want
			callback_lines "$f" >lines
			is "$(wc -l <lines)" 1
			jq -j .fields.v lines >got
			same got want
			is "$(jq .verified lines)" true
		done
	done < <(odd_values)
	is "$n" 10
}

@test "a folder's apply to all below it, the nearer one first, a file's own win" {
	mkdir -p "$D/json/a/b"
	setfattr -n user.oss.callback.var.v -v 'of json' "$D/json"
	echo x >"$D/json/1"
	echo x >"$D/json/a/b/2"
	setfattr -n user.oss.callback.var.v -v 'of b' "$D/json/a/b"
	echo x >"$D/json/a/b/3"
	printf 'my own' | write_with v "$D/json/a/b/4" x
	setfattr -x user.oss.callback.var.v "$D/json/a/b"
	echo x >"$D/json/a/b/5"
	for f in 1 a/b/2 a/b/3 a/b/4 a/b/5; do
		wait_is 1 count_callbacks "$D/json/$f"
		var_of v "$D/json/$f"
	done >saw
	is "$(cat saw)" $'of json\nof json\nof b\nmy own\nof json'
	remount
	echo y >"$D/json/6"
	uploaded 1 "$D/json/6" <<<y
	is "$(var_of v "$D/json/6")" 'of json'
	is "$(attr callback.var.v "$D/json")" 'of json'
	mv "$D/json/a" "$D/json/moved"
	is "$(attr callback.var.v "$D/json/moved/b/4")" 'my own'
}

@test "cp --preserve=xattr and rsync -X carry them in, before the one upload" {
	mkdir "$D/json"
	echo text >source
	setfattr -n user.oss.callback.var.v -v carried source ||
		skip "no user attributes in $PWD"
	cp --preserve=xattr source "$D/json/by-cp"
	uploaded 1 "$D/json/by-cp" source
	is "$(var_of v "$D/json/by-cp")" carried
	setfattr -n user.unrelated -v x source # is not carried, and does no harm
	cp -a source "$D/json/by-cp-a"
	uploaded 1 "$D/json/by-cp-a" source
	is "$(var_of v "$D/json/by-cp-a")" carried
	setfattr -x user.unrelated source
	rsync -aX source "$D/json/by-rsync"
	uploaded 1 "$D/json/by-rsync" source
	is "$(var_of v "$D/json/by-rsync")" carried
	rsync -aX source "$D/json/by-rsync" # what ackfs shows is no change
	uploaded 1 "$D/json/by-rsync" source
	rsync -aX "$D/json/by-cp" "$D/json/again" # with all that ackfs shows
	uploaded 1 "$D/json/again" source
	is "$(var_of v "$D/json/again")" carried
}

# refused ERRNO COMMAND...
refused() {
	local text=$1
	shift
	fails "$@" 2>err
	grep -q "$text" err || fail "want $text: $(cat err)"
}

@test "an administrator's variable is nobody else's, unless allow_override names it" {
	mkdir "$D/json" "$D/other"
	echo x >"$D/json/f"
	refused 'not permitted' setfattr -n user.oss.callback.var.site -v mine "$D/json/f"
	refused 'not permitted' setfattr -n user.oss.callback.var.site -v mine "$D/json"
	refused 'not permitted' setfattr -n user.oss.callback.var.ackfs_id -v mine "$D/json/f"
	refused 'not permitted' setfattr -n user.oss.callback.var.customer -v mine "$D/other"
	for name in x:site Site 'a b'; do
		refused 'Invalid argument' setfattr -n "user.oss.callback.var.$name" -v mine "$D/json/f"
	done
	setfattr -n user.oss.callback.var.customer -v acme "$D/json"
	echo y >"$D/json/f"
	uploaded 2 "$D/json/f" <<<y
	is "$(var_of site "$D/json/f") $(var_of customer "$D/json/f")" 'hangzhou-3 acme'
	is "$(callbacks_of "$D/json/f" .fields.customer | head -n 1)" nobody
	# Moved to where it is the administrator's, it does not count.
	mv "$D/json" "$D/away"
	echo z >"$D/away/g"
	uploaded 1 "$D/away/g" <<<z
	is "$(attr callback.vars "$D/away/g" | jq -r '."x:customer"')" nobody
}

@test "past 5 KB: refused at setfattr; where only the sum is too large, at close, by name" {
	mkdir "$D/json"
	head -c 4000 /dev/zero | tr '\0' a >of-4000
	head -c 2000 /dev/zero | tr '\0' b >of-2000
	for name in v w; do
		refused 'too long' set_var "$name" "$D/json" <of-4000
		fails attr "callback.var.$name" "$D/json" 2>/dev/null
		set_var "$name" "$D/json" <of-2000
	done
	log_allow 'x:[vw]: the variables are 5[0-9]* bytes of base64'
	log_allow 'callback: '
	echo x >"$D/json/f"
	settled "$D/json/f"
	is "$(attr callback.state "$D/json/f")" failed
	attr callback.error "$D/json/f" | grep -qE 'x:[vw]: the variables are [0-9]+ bytes of base64, OSS takes 5120'
	is "$(count_callbacks "$D/json/f")" 0
	oss_get "$(key_of "$D/json/f")" got
	is "$(cat got)" x
	# Shortened, and written again: it is told.
	set_var w "$D/json" <<<short
	echo y >"$D/json/f"
	wait_is 1 count_callbacks "$D/json/f"
	is "$(var_of v "$D/json/f")" "$(cat of-2000)"
}

@test "values that are no text are refused" {
	echo x >"$D/f"
	refused 'Invalid' set_var v "$D/f" < <(printf '\xff\xfe')
	refused 'Invalid' set_var v "$D/f" < <(printf 'a\0b')
}

# All that a stranger can get out of the mount and its programs.
what_is_seen() { # PATH
	local f
	for f in "$1" "$MNT"; do
		"${stranger[@]}" getfattr --absolute-names -d -m - "$f"
	done
	for f in url host body vars error history retry var.v; do
		"${stranger[@]}" getfattr --absolute-names -n "user.oss.callback.$f" "$1"
	done
	for f in status config state_dir; do
		"${stranger[@]}" getfattr --absolute-names -n "user.oss.mount.$f" "$MNT"
	done
	for f in status 'status --json' log 'log --json' metrics reconcile incomplete; do
		# shellcheck disable=SC2086
		"${stranger[@]}" "$BIN/ackctl" $f "$MNT"
	done
	"${stranger[@]}" "$BIN/ackctl" explain "$1"
	"${stranger[@]}" cat "$W/ackfs.conf" "$W/log.json" "$W/state"/*/*
	tr '\0' ' ' <"/proc/$(pid_of ackfs)/cmdline"
}

@test "a stranger sets no variable of the administrator's, and learns no address" {
	[ "$(id -u)" = 0 ] || skip "not root"
	command -v setpriv >/dev/null || skip "no setpriv"
	OPEN=$(mktemp -d /tmp/ackfs-test.XXXXXX)
	chmod 755 "$OPEN"
	world_start "$OPEN/world"
	before_mount
	log_allow 'callback.vars.[a-z]*: the body has no'
	mount_start -o allow_other -o "log.callbacks=$W/log.json"
	stranger=(setpriv --reuid 65534 --regid 65534 --clear-groups)
	"${stranger[@]}" test -x "$BIN/ackctl" || skip "the programs are private"
	mkdir "$MNT/json"
	chmod 777 "$MNT/json"
	log_allow 'callback: '
	echo x >"$MNT/json/f"
	chmod 666 "$MNT/json/f"
	fault Callback 'json/late' timeout
	echo x >"$MNT/json/late"
	attr callback.error "$MNT/json/late" | grep -q "127.0.0.1:${RCV##*:}"
	"${stranger[@]}" cat "$MNT/json/f" >/dev/null
	for f in f late ''; do
		refused 'not permitted\|denied' "${stranger[@]}" setfattr \
			-n user.oss.callback.var.site -v mine "$MNT/json/$f"
	done
	refused 'denied' "${stranger[@]}" setfattr -n user.oss.callback.var.v -v mine "$MNT"
	refused 'not permitted' "${stranger[@]}" setfattr -n user.oss.callback.retry -v 1 "$MNT/json/f"
	for f in f late; do
		what_is_seen "$MNT/json/$f" >seen 2>&1 || true
		grep -q 'callback.state=' seen
		fails grep -nE "${RCV##*:}|app\.example\.com|hangzhou-3" seen
	done
	is "$("${stranger[@]}" getfattr --absolute-names --only-values \
		-n user.oss.callback.response "$MNT/json/f")" \
		"$(attr callback.response "$MNT/json/f")"
	# What is his is his: he may add variables, and sees what was sent of his.
	"${stranger[@]}" sh -c "echo y >'$MNT/json/his'"
	"${stranger[@]}" setfattr -n user.oss.callback.var.v -v his "$MNT/json/his"
	"${stranger[@]}" sh -c "echo z >'$MNT/json/his'"
	is "$(var_of v "$MNT/json/his")" his
	is "$(var_of site "$MNT/json/his")" hangzhou-3
}
