# SPDX-License-Identifier: Apache-2.0
"""Emulator, receiver and daemon of one round, in a folder of their own."""
import contextlib
import ctypes
import http.client
import json
import os
import signal
import subprocess
import time
import urllib.parse
import xml.etree.ElementTree

BUCKET = 'bucket'
DEADLINE = 90  # seconds; ample for a loaded machine under sanitizers
STUCK_AFTER = 5

CONF = '''\
[oss]
endpoint = http://127.0.0.1:{emulator}
region = cn-hangzhou
bucket = bucket
[credentials]
access_key_id = emulator-key
access_key_secret = emulator-secret
[callback]
url = http://127.0.0.1:{receiver}/uploaded
body_type = application/json
body = {{"id":${{x:ackfs_id}},"object":${{object}},"size":${{size}}}}
[state]
dir = {state}
name = world
staging_min_free = 16M
[upload]
close_returns = {mode}
multipart_threshold = 256K
part_size = 100K
empty_hold = {empty_hold}
temporary_hold = {temporary_hold}
[log]
level = info
'''


class Failure(Exception):
    """What a round found wrong; its arguments are lines."""


def die_with_parent():
    """No daemon outlives a harness that was killed."""
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG


def wait_until(what, true, deadline=DEADLINE):
    end = time.monotonic() + deadline
    while not true():
        if time.monotonic() > end:
            raise Failure('waited in vain for: ' + what)
        time.sleep(0.01)


class World:
    def __init__(self, folder, bin_dir, mode, **settings):
        self.folder = folder
        self.bin = bin_dir
        self.mount = folder + '/mnt'
        self.daemon = None
        self.zombie_since = None
        self.processes = []
        for name in ('/mnt', '/state'):
            os.makedirs(folder + name)
        self.emulator = self.serve(
            'emulator', '--dir', folder + '/oss', '--bucket', BUCKET, '--anonymous',
            '--log', folder + '/requests.jsonl')
        self.receiver = self.serve(
            'receiver', '--log', folder + '/callbacks.jsonl', '--admin',
            '--trust-key-url', 'http://127.0.0.1:%d/' % self.emulator)
        conf = CONF.format(emulator=self.emulator, receiver=self.receiver, mode=mode,
                           state=folder + '/state', **settings)
        with open(os.open(folder + '/ackfs.conf', os.O_WRONLY | os.O_CREAT, 0o600),
                  'w') as f:
            f.write(conf)

    # -- processes ---------------------------------------------------------------

    def spawn(self, name, *args, **env):
        with open('%s/%s.log' % (self.folder, name), 'a') as log:
            process = subprocess.Popen(
                [self.bin + '/' + args[0], *args[1:]], stdin=subprocess.DEVNULL,
                stdout=log, stderr=log, preexec_fn=die_with_parent,
                env=dict(os.environ, **env))
        self.processes.append(process)
        return process

    def serve(self, name, *args):
        """Start one of the two servers; its port."""
        port_file = '%s/%s.port' % (self.folder, name)
        process = self.spawn(name, 'ackfs-' + name, '--port', '0', '--port-file',
                             port_file, *args)
        wait_until(name + ' to listen', lambda: process.poll() is not None or
                   os.path.exists(port_file) and os.path.getsize(port_file))
        if process.poll() is not None:
            raise Failure(name + ' did not start', *self.log_tail(name))
        with open(port_file) as f:
            return int(f.read())

    def log_tail(self, name='ackfs', lines=15):
        with open('%s/%s.log' % (self.folder, name), errors='replace') as f:
            return f.read().splitlines()[-lines:]

    def is_mounted(self):
        with open('/proc/self/mounts') as f:
            return ' %s fuse.ackfs ' % self.mount in f.read()

    def is_dead(self):
        if self.daemon.poll() is not None:
            return True
        # It was killed while it told the kernel of a name.  That waits for the
        # folder's lock, whose holder waits for the daemon's answer.
        with open('/proc/%d/stat' % self.daemon.pid) as f:
            is_zombie = f.read().rpartition(')')[2].split()[0] == 'Z'
        if not is_zombie:
            self.zombie_since = None
        elif self.zombie_since is None:
            self.zombie_since = time.monotonic()
        elif time.monotonic() - self.zombie_since > STUCK_AFTER:
            subprocess.run(['umount', '-f', self.mount], check=False,
                           stderr=subprocess.DEVNULL)
        return False

    def start(self, failpoint=None):
        """Mount.  False: it died of the failpoint on the way."""
        self.clear_mount()
        env = {'ACKFS_FAILPOINT': failpoint} if failpoint else {}
        self.daemon = self.spawn('ackfs', 'ackfs', BUCKET, self.mount, '-f',
                                 '-o', 'config=%s/ackfs.conf' % self.folder, **env)
        wait_until('the mount', lambda: self.is_dead() or self.is_mounted())
        if not self.is_dead():
            with contextlib.suppress(OSError):
                os.stat(self.mount)
        if not self.is_dead():
            return True
        if failpoint and self.daemon.returncode == -signal.SIGKILL:
            return False
        raise Failure('ackfs did not mount: status %d' % self.daemon.returncode,
                      *self.log_tail())

    def clear_mount(self):
        """Take a dead mount out of the way."""
        if self.is_mounted():
            subprocess.run(['fusermount3', '-u', '-z', self.mount], check=True)

    def kill(self):
        """The dead mount stays, so that programs do not see what is below."""
        if not self.is_dead():
            self.daemon.kill()
        while not self.is_dead():
            time.sleep(0.002)
        if self.daemon.returncode != -signal.SIGKILL:
            raise Failure('ackfs ended by itself: status %d' % self.daemon.returncode,
                          *self.log_tail())

    def stop(self):
        """Unmount; the daemon must end well, and nothing may be left."""
        subprocess.run(['fusermount3', '-u', self.mount], check=True)
        try:
            self.daemon.wait(DEADLINE)
        except subprocess.TimeoutExpired:
            raise Failure('ackfs did not end after the unmount', *self.log_tail()) \
                from None
        if self.daemon.returncode != 0:
            raise Failure('ackfs ended with %d' % self.daemon.returncode,
                          *self.log_tail())

    def close(self):
        for process in reversed(self.processes):
            if process.poll() is None:
                process.kill()
            process.wait()
        self.clear_mount()

    def ctl(self, *args, good=(0,)):
        run = subprocess.run([self.bin + '/ackctl', *args], timeout=DEADLINE + 30,
                             capture_output=True, check=False)
        if run.returncode not in good:
            raise Failure('ackctl %s: status %d' % (' '.join(args), run.returncode),
                          run.stderr.decode(errors='replace'),
                          run.stdout.decode(errors='replace')[-2000:])
        return run.stdout

    # -- OSS and the application, without the mount ---------------------------------

    def http(self, connection, method, path, body=None):
        connection.request(method, path, body)
        answer = connection.getresponse()
        data = answer.read()
        if answer.status not in (200, 201, 204):
            raise Failure('emulator: %s %s: %d' % (method, path, answer.status),
                          data[:400].decode(errors='replace'))
        return data

    def connect(self):
        return contextlib.closing(
            http.client.HTTPConnection('127.0.0.1', self.emulator, timeout=DEADLINE))

    def faults(self, rules):
        with self.connect() as c:
            self.http(c, 'POST', '/-/faults', json.dumps(rules))

    def clear_faults(self):
        """Clear all; how often each kind has hit."""
        hits = {}
        with self.connect() as c:
            for rule in json.loads(self.http(c, 'GET', '/-/faults')):
                name = '%s:%s' % (rule.get('operation', '*'), rule['fault'])
                hits[name] = hits.get(name, 0) + rule['hits']
            self.http(c, 'DELETE', '/-/faults')
        return hits

    def objects(self):
        """What OSS has: {key: bytes}."""
        found = {}
        with self.connect() as c:
            for key in list(self.keys(c)):
                found[key] = self.http(
                    c, 'GET', '/%s/%s' % (BUCKET, urllib.parse.quote(key)))
        return found

    def uploads(self):
        """Keys of multipart uploads that are neither completed nor aborted, and
        have parts: of one whose Initiate was not answered before the crash
        nobody can know."""
        with self.connect() as c:
            for item in self.get_xml(c, '?uploads&max-uploads=1000').findall('Upload'):
                key = item.findtext('Key')
                if self.get_xml(c, '/%s?uploadId=%s' % (
                        urllib.parse.quote(key), item.findtext('UploadId'))).find('Part'):
                    yield key

    def get_xml(self, connection, path):
        return xml.etree.ElementTree.fromstring(
            self.http(connection, 'GET', '/' + BUCKET + path))

    def keys(self, connection):
        at = ''
        while at is not None:
            page = self.get_xml(connection, '?max-keys=1000&marker=' +
                                urllib.parse.quote(at))
            for item in page.findall('Contents'):
                yield item.findtext('Key')
            at = page.findtext('NextMarker') or None

    def callbacks(self):
        with open(self.folder + '/callbacks.jsonl') as f:
            return [json.loads(line) for line in f]

    def incomplete(self):
        """{key: bytes} of the files that nobody finished.  (Status 1: zeros stand
        where bytes of the object were neither changed nor fetched.)"""
        found = {}
        for line in self.ctl('incomplete', 'list', '--json', self.mount).splitlines():
            item = json.loads(line)
            found[item['key']] = self.ctl('incomplete', 'extract', str(item['id']), '-',
                                          '--mount', self.mount, good=(0, 1))
        return found

    def staged(self):
        """Files of the state folder: staged ones, and those moved aside."""
        inside = {}
        for name in ('staging', 'aside'):
            folder = '%s/state/world/%s' % (self.folder, name)
            inside[name] = sorted(os.listdir(folder)) if os.path.isdir(folder) else []
        return inside
