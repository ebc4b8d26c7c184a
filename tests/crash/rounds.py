#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""One round in a process of its own; scripts/crash starts it.

Prints one JSON object: problems (lines), and what happened in numbers.
"""
import json
import os
import random
import select
import signal
import sys
import time

from check import Check, Log, differences, read_tree
from worker import Worker
from world import BUCKET, DEADLINE, Failure, World, wait_until

WORKERS = 4
ROUND_DEADLINE = 300  # seconds


class Round:
    """settings: seed, mode, failpoint or None, faults, files, bin, folder"""

    def __init__(self, settings):
        self.settings = settings
        self.random = random.Random(settings['seed'])
        self.world = World(settings['folder'], settings['bin'], settings['mode'],
                           empty_hold='200ms', temporary_hold='500ms')
        self.log_path = settings['folder'] + '/steps.jsonl'
        self.workers = {}  # process id -> number
        self.signal_fd, self.worker_fd = os.pipe()
        self.result = {'reached': False}

    def run(self):
        with self.world.connect() as c:
            for folder in ('both', 'race'):
                self.world.http(c, 'PUT', '/%s/%s/' % (BUCKET, folder))
        self.work()
        # A callback that failed is made again later, unless something newer is
        # there by then.
        check = Check(Log(self.log_path), self.settings['mode'] == 'stored' and
                      not self.settings['faults'])
        self.look(check)
        if not check.log.died():
            check.problems += check.log.wrong
        self.world.ctl('wait', '--timeout', '%ds' % DEADLINE, '--callbacks',
                       self.world.mount)
        self.result['hits'] = self.world.clear_faults()
        check.files(self.world)
        self.result.update(
            closes=check.log.closes(), steps=check.log.steps(),
            repeats=check.callbacks(self.world))
        self.world.stop()
        return check.all_problems()

    def look(self, check):
        """What is certain of the mount before the uploads are through."""

    # -- workers ---------------------------------------------------------------

    def start_workers(self, **settings):
        settings['signal_fd'] = self.worker_fd
        for number in range(WORKERS):
            pid = os.fork()
            if pid == 0:
                code = 1
                try:
                    Worker(number, WORKERS, self.world.mount, self.log_path,
                           self.settings['seed'], settings).run()
                    code = 0
                finally:
                    os._exit(code)
            self.workers[pid] = number

    def reap(self):
        """True once all workers have ended."""
        for pid in list(self.workers):
            if os.waitpid(pid, os.WNOHANG)[0]:
                number = self.workers.pop(pid)
                self.result.setdefault('ended', []).append(number)
        return not self.workers

    def join(self):
        try:
            wait_until('the programs to end', self.reap, ROUND_DEADLINE / 2)
        finally:
            for pid in self.workers:
                os.kill(pid, signal.SIGKILL)


class CrashRound(Round):
    """The daemon is killed, at a random moment or at a failpoint."""

    SIZES = [400, 4000, 4000, 30000, 30000, 400000]

    def work(self):
        self.slow_down()
        failpoint = self.settings['failpoint']
        if self.world.start(failpoint):
            self.start_workers(
                files=30, names=6, sizes=self.SIZES,
                signal_at=self.random.randrange(5, 150),
                signal_worker=self.random.randrange(WORKERS))
            self.kill_later(self.random.random() * 0.03)
            self.join()
        else:
            self.note_reached()
        open(self.log_path, 'a').close()
        if failpoint or self.random.random() < 0.3:
            self.crash_again(failpoint)
        self.world.start()

    def slow_down(self):
        """Give the uploads a duration, so that kills hit them."""
        rule = {'bucket': BUCKET, 'operation': '*', 'seed': self.settings['seed']}
        # close() returns before: it does not hear of it.
        refused = [dict(rule, operation='PutObject', key='w*/f*', fault='status',
                        status=403, code='AccessDenied', count=1)]
        self.world.faults((refused if self.needs('staging.retry.') else []) + [
            dict(rule, fault='latency', ms=5, probability=0.3),
            dict(rule, fault='stall_after', ms=30, probability=0.2),
            dict(rule, fault='stall', ms=20, probability=0.1)])

    def needs(self, point):
        """Is it the round of a failpoint that has to be provoked?"""
        return (self.settings['failpoint'] or '').startswith(point)

    def kill_later(self, delay):
        def is_time():
            return self.world.is_dead() or self.reap() or \
                select.select([self.signal_fd], [], [], 0)[0]

        wait_until('the moment to kill', is_time, ROUND_DEADLINE / 2)
        time.sleep(delay)
        self.note_reached()
        self.world.kill()

    def note_reached(self):
        self.result['reached'] |= self.world.is_dead()

    def crash_again(self, failpoint):
        """While it recovers, or soon after."""
        if self.needs('staging.recover.moved_aside'):
            with open('%s/state/world/staging/%016x' % (self.settings['folder'], 0xfffffff), 'w') as f:
                f.write('nobody knows of it')
        if self.world.start(failpoint):
            end = time.monotonic() + self.random.random() * 0.4
            while not self.world.is_dead() and time.monotonic() < end:
                time.sleep(0.002)
            self.note_reached()
            self.world.kill()
        else:
            self.note_reached()

    def look(self, check):
        shown = read_tree(self.world.mount)
        for area in check.areas:
            wanted = area.certain()
            for line in differences({p: shown.get(p) for p in wanted}, wanted):
                check.problems.append('right after the mount: ' + line)


class FaultRound(Round):
    """No crash, but a part of all requests and callbacks fails."""

    SHARE = 0.1

    def work(self):
        self.world.faults(self.rules())
        self.world.start()
        self.start_workers(files=self.settings['files'] // WORKERS, names=30,
                           sizes=[400, 4000, 20000, 20000, 20000, 300000],
                           read_tries=3)  # a wrong sum is EIO, once
        self.join()

    def rules(self):
        """Every kind has the same share; the first rule that hits is taken."""
        seed = self.settings['seed']
        kinds = [{'operation': '*', 'bucket': BUCKET, **kind} for kind in (
            {'fault': 'status', 'status': 503, 'code': 'SlowDown'},
            {'fault': 'status', 'status': 500, 'code': 'InternalError'},
            {'fault': 'html', 'status': 502},
            {'fault': 'reset_before'},
            {'fault': 'reset_during', 'bytes': 300},
            {'fault': 'reset_stored'},
            {'fault': 'reset_after'},
            {'fault': 'stall', 'ms': 300},
            {'fault': 'stall_after', 'ms': 300},
            {'fault': 'latency', 'ms': 100},
            {'fault': 'bandwidth', 'rate': 200000},
            {'fault': 'trickle', 'rate': 20000},  # a large file within the deadline
            {'fault': 'truncate', 'bytes': 100},
            {'fault': 'wrong_crc'})]
        kinds += [{'operation': o, 'bucket': BUCKET, 'fault': 'garbage'}
                  for o in ('GetBucket*', 'InitiateMultipartUpload', 'CopyObject')]
        callbacks = [{'operation': 'Callback', 'bucket': BUCKET, **kind} for kind in (
            {'fault': 'status', 'status': 500},
            {'fault': 'timeout'},
            {'fault': 'refuse'},
            {'fault': 'stall', 'ms': 300})]
        for i, rule in enumerate(kinds + callbacks):
            of = len(callbacks) if rule['operation'] == 'Callback' else len(kinds)
            rule.update(probability=self.SHARE / of, seed=seed * 100 + i)
        return callbacks + kinds


def main():
    settings = json.loads(sys.argv[1])
    signal.alarm(ROUND_DEADLINE + DEADLINE)
    make = FaultRound if settings['faults'] else CrashRound
    result, problems = {}, []
    one = None
    try:
        one = make(settings)
        result = one.result
        problems = one.run()
    except Failure as failure:
        problems = list(failure.args)
    finally:
        if one:
            one.world.close()
    print(json.dumps(dict(result, problems=problems)))


if __name__ == '__main__':
    main()
