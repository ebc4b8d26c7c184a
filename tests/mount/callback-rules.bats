#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# Which callback a path gets, and what ackfs fills into it.
# shellcheck disable=SC2016 # ${...} and %{...} are not the shell's

load lib/common

before_mount() {
	export ACKFS_TEST_SITE='杭州 "3"'
	body='{"id":${x:ackfs_id},"object":${object},"size":${size},"rule":${x:rule},"v":${x:v}}'
	conf_add callback.vars 'rule = default' 'v ='
	sed -i "/^body = /c\\body = $body" "$W/ackfs.conf"
	conf_add 'callback "no"' 'match = **/*.log **/quiet/** !**/quiet/loud.*' 'enabled = false'
	conf_add 'callback "small"' 'match = **/sized/**' 'max_size = 10' \
		'content_type = application/x-small'
	conf_add 'callback.vars "small"' 'rule = small'
	conf_add 'callback "large"' 'match = **/sized/**' 'min_size = 100K'
	conf_add 'callback.vars "large"' 'rule = large'
	conf_add 'callback "customers"' 'match = */customers/{customer}/{day}/**' \
		"url = $RCV/for/%{customer}?day=%{day}&f=%{name}" 'host = %{customer}.example.com'
	conf_add 'callback.vars "customers"' 'rule = customers' 'v = %{customer}|%{day}'
	conf_add 'callback "mine"' 'match = **/mine/**' 'temporary = *.arriving'
	conf_add 'callback.vars "mine"' 'rule = mine' \
		'v = %{path}|%{dir}|%{name}|%{stem}|%{ext}|%{segment:1}|%{uid}|%{gid}|%{mode}|%{user}|%{process}|%{host}|%{mount}|%{mtime}|%{delivery_id}|%{env:ACKFS_TEST_SITE}|%{xattr:user.oss.meta.colour}|100 %%'
}

rule_of() { callbacks_of "$1" .fields.rule; } # PATH

@test "the first rule that matches decides; ! excludes; the rest is the default's" {
	mkdir -p "$D/quiet/deep"
	for f in a.dat a.log quiet/a quiet/deep/a quiet/loud.txt; do echo x >"$D/$f"; done
	wait_is default rule_of "$D/a.dat"
	wait_is default rule_of "$D/quiet/loud.txt"
	for f in a.log quiet/a quiet/deep/a; do
		settled "$D/$f"
		is "$(attr callback.state "$D/$f")" none "$f"
		is "$(count_callbacks "$D/$f")" 0
	done
	"$BIN/ackctl" explain "$D/quiet/deep/a" | grep -q 'enabled = false'
}

@test "by size, and with a Content-Type of its own" {
	mkdir "$D/sized"
	echo x >"$D/sized/small.txt"
	head -c 5000 /dev/zero >"$D/sized/middle.txt"
	head -c 200000 /dev/zero >"$D/sized/large.txt"
	for size in small:small middle:default large:large; do
		wait_is "${size#*:}" rule_of "$D/sized/${size%:*}.txt"
	done
	is "$(oss_header "$(key_of "$D/sized/small.txt")" Content-Type)" application/x-small
	is "$(oss_header "$(key_of "$D/sized/large.txt")" Content-Type)" text/plain
}

@test "named globs, in variables, url and host" {
	mkdir -p "$D/customers/acme/2026-11-28/sub"
	f="$D/customers/acme/2026-11-28/sub/a b&c.pdf"
	echo x >"$f"
	wait_is customers rule_of "$f"
	is "$(callbacks_of "$f" .fields.v)" 'acme|2026-11-28'
	is "$(callbacks_of "$f" .headers.Host)" acme.example.com
	is "$(callbacks_of "$f" .path)" '/for/acme?day=2026-11-28&f=a%20b%26c.pdf'
	is "$(callbacks_of "$f" .verified)" true
	is "$(attr callback.url "$f")" "$RCV/for/acme?day=2026-11-28&f=a%20b%26c.pdf"
	"$BIN/ackctl" explain "$f" >out
	grep -q customers out
	grep -qF '"v":"acme|2026-11-28"' out
	grep -q 'JSON *valid' out
}

@test "a host that a path breaks: stored, and the error names it" {
	log_allow 'callback: |host: not a host'
	mkdir -p "$D/customers/Müller & Söhne/today"
	f="$D/customers/Müller & Söhne/today/x"
	echo x >"$f"
	settled "$f"
	is "$(attr callback.state "$f")" failed
	attr callback.error "$f" | grep -q '^host: '
	is "$(count_callbacks "$f")" 0
}

@test "everything that %{...} knows" {
	mkdir -p "$D/mine/a"
	python3 - "$D/mine/a/b.tar.gz" <<-'PY'
		import os, sys
		with open(sys.argv[1], 'w') as f:
		    f.write('x\n')
		    f.flush()
		    os.fchmod(f.fileno(), 0o640)
		    os.setxattr(f.fileno(), 'user.oss.meta.colour', b'blue')
	PY
	f=$D/mine/a/b.tar.gz
	wait_is mine rule_of "$f"
	p=$(key_of "$f")
	v=$(callbacks_of "$f" .fields.v)
	IFS='|' read -r path dir name stem ext segment uid gid mode user process host mount mtime id env colour rest <<<"$v"
	is "$path" "$p"
	is "$dir" "${p%/*}"
	is "$name" b.tar.gz
	is "$name" "$stem.$ext"
	is "$segment" "${p%%/*}"
	is "$uid $gid $user" "$(id -u) $(id -g) $(id -un)"
	[[ $mode = *640 ]] || fail "mode $mode"
	[[ $process = python3* ]] || fail "process $process"
	is "$host" "$(hostname)"
	is "$mount" "$MNT"
	[[ $mtime = *[0-9]* ]]
	is "$id" "$(attr callback.delivery_id "$f")"
	is "$env" '杭州 "3"'
	is "$colour" blue
	is "$rest" '100 %'
}

@test "temporary names of one's own, for one rule" {
	mkdir "$D/mine"
	echo x >"$D/mine/f.arriving"
	is "$(attr callback.state "$D/mine/f.arriving")" held
	mv "$D/mine/f.arriving" "$D/mine/f"
	wait_is mine rule_of "$D/mine/f"
	echo y >"$D/mine/g.part" # no temporary name here
	wait_is mine rule_of "$D/mine/g.part"
}
