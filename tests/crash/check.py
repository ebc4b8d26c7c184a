# SPDX-License-Identifier: Apache-2.0
"""Does what is there agree with the steps that were answered?"""
import collections
import json
import os
import time

from model import Model, describe, is_temporary, pattern, worlds
from worker import DIED


class Log:
    """The workers' log, sorted by area."""

    def __init__(self, path):
        self.areas = collections.defaultdict(list)  # name -> [record]
        self.wrong = []
        begun = {}
        for line in open(path):
            record = json.loads(line)
            if record['ev'] == 'begin':
                record['end'] = None
                begun[record['w'], record['n']] = record
                self.areas[record['area']].append(record)
            elif record['ev'] == 'end':
                begun[record['w'], record['n']]['end'] = record
            elif record['why']:
                self.wrong.append('worker %d: %s' % (record['w'], record['why']))

    def died(self):
        """Did any worker see the daemon's end?"""
        return any(was_interrupted(r) for rs in self.areas.values() for r in rs)

    def steps(self):
        return sum(map(len, self.areas.values()))

    def closes(self):
        return sum(r['step']['do'] == 'close' and was_answered(r)
                   for rs in self.areas.values() for r in rs)


def was_interrupted(record):
    return record['end'] is None or record['end']['error'] in DIED


def was_answered(record):
    return not was_interrupted(record) and record['end']['error'] is None


class AreaCheck:
    """One area that is changed by one process at a time."""

    def __init__(self, name, records):
        self.name = name
        self.model = Model()
        self.interrupted = None
        self.problems = []
        for record in records:
            self.replay(record)
        self.worlds = worlds(self.model, self.interrupted)
        self.world = None  # the one that OSS is in

    def replay(self, record):
        step = record['step']
        if was_interrupted(record):
            # What others tried later did not reach the daemon.
            self.interrupted = self.interrupted or step
            return
        want, got = self.model.expected_error(step), record['end']['error']
        if want != got:
            self.problems.append('%s: %s instead of %s' % (step, got, want))
        elif got is None:
            self.model.apply(step)

    def certain(self):
        """{path: content} where the worlds leave no choice; None: no file."""
        found = {}
        for path in set().union(*(w.allowed for w in self.worlds)):
            contents = set().union(*(w.allowed.get(path, {None})
                                     for w in self.worlds))
            if len(contents) == 1:
                found[path], = contents
        moved = self.worlds[0].moved
        return {} if moved else found

    def check_objects(self, objects):
        """One of the worlds must have these objects."""
        reports = []
        for world in self.worlds:
            found = world.problems(objects)
            if not found:
                self.world = world
                return
            reports.append(found)
        self.problems += min(reports, key=len)
        if self.interrupted:
            self.problems.append('interrupted: %s' % self.interrupted)

    def check_synced(self, objects, incomplete):
        """What was fsynced is on OSS, or kept as an incomplete file."""
        after = self.worlds[-1].model
        for h, node in self.model.handles.items():
            last = after.handles.get(h, node)
            if not (node.synced and node.dirty and node.path and last.path):
                continue
            have = [files.get(p) for p in {node.path, last.path}
                    for files in (objects, incomplete)]
            if not any(lies_between(data, node.working, last.working,
                                    node.committed or b'')
                       for data in have if data is not None):
                self.problems.append('%s: fsynced bytes are gone' % node.path)

    def check_incomplete(self, incomplete):
        """Only what was open when the daemon died is incomplete."""
        after = self.worlds[-1].model
        may_be = {n.path for m in (self.model, after) for n in m.handles.values()}
        may_be |= after.killed
        if self.interrupted and 'path' in self.interrupted:
            may_be.add(self.interrupted['path'])
        for path in incomplete:
            if path.split('/')[0] == self.name and path not in may_be:
                self.problems.append('%s: incomplete, though nobody had it open' % path)


def lies_between(data, one, other, base):
    """Is each byte from one of two versions, of which one may be longer?  Zeros
    may stand for bytes of the object that was changed."""
    if data in (one, other):
        return True
    short, long = sorted((one, other), key=len)

    def is_fine(i):
        return data[i] == long[i] or i < len(short) and data[i] == short[i] or \
            data[i] == 0 and i < len(base) and long[i] == base[i]

    return len(short) <= len(data) <= len(long) and all(map(is_fine, range(len(data))))


class RaceCheck:
    """Files that several processes rename to the same names at a time."""

    def __init__(self, records):
        self.problems = []
        self.sources = {}  # path -> dict
        self.deliveries = collections.Counter()
        self.closes = []
        by_handle = {}
        for record in records:
            step, ok = record['step'], was_answered(record)
            if step['do'] == 'create':
                by_handle[step['h']] = self.sources[step['path']] = {
                    'path': step['path'], 'data': b'', 'closed': None, 'rename': None}
            elif step['do'] == 'write':
                by_handle[step['h']]['data'] += pattern(step['token'], step['len'])
            elif step['do'] == 'close':
                self.note_close(by_handle[step['h']], ok)
            elif step['do'] == 'rename':
                source = self.sources[step['path']]
                source['rename'] = record
                self.deliveries[step['to'], len(source['data'])] += 1

    def note_close(self, source, ok):
        source['closed'] = 'yes' if ok else 'perhaps'
        self.deliveries[source['path'], len(source['data'])] += 1
        if ok:
            self.closes.append((source['path'], len(source['data'])))

    def check_objects(self, objects):
        for path in {p for p in objects if p.startswith('race/')} - \
                self.sources.keys() - {'race/r0', 'race/r1'}:
            self.problems.append('%s: nobody made that' % path)
        for source in self.sources.values():
            if objects.get(source['path']) not in self.allowed(source):
                self.problems.append('%s: is %s, though its close was %s, its rename %s' % (
                    source['path'],
                    'there' if source['path'] in objects else 'not there',
                    source['closed'], source['rename'] and source['rename']['end']))
        for target in ('race/r0', 'race/r1'):
            self.check_target(target, objects.get(target))

    @staticmethod
    def allowed(source):
        if source['rename'] and was_answered(source['rename']):
            return {None}
        if source['closed'] != 'yes':
            return {None, source['data'] if source['closed'] else None}
        return {source['data']} | ({None} if source['rename'] else set())

    def check_target(self, target, have):
        """Whole, and not older than what was renamed there afterwards."""
        renames = [s['rename'] for s in self.sources.values()
                   if s['rename'] and s['rename']['step']['to'] == target]
        answered = [r for r in renames if was_answered(r)]
        if have is None:
            if answered:
                self.problems.append('%s: is gone' % target)
            return
        for r in renames:
            if self.sources[r['step']['path']]['data'] != have:
                continue
            end = r['end']['t'] if was_answered(r) else float('inf')
            if any(later['t'] > end for later in answered):
                self.problems.append('%s: older than the last rename' % target)
            return
        self.problems.append('%s: a mixture, or never closed' % target)


class Callbacks:
    """What the application was told."""

    def __init__(self, lines):
        self.problems = []
        self.answered = collections.defaultdict(collections.Counter)
        self.repeats = 0
        seen = set()
        for line in lines:
            if not line['verified']:
                self.problems.append('a callback that is not genuine: %s' % line)
            elif line['status'] == 200:
                fields = line['fields']
                self.answered[fields['object'], fields['size']][fields['id']] += 1
                self.repeats += fields['id'] in seen
                seen.add(fields['id'])

    def check_heard(self, path, size):
        if not self.answered.get((path, size)) and size and not is_temporary(path):
            self.problems.append('%s: no callback was answered for %d bytes' % (path, size))

    def check_final(self, node, size):
        """Under one of the names that those bytes have had."""
        names = [n for n in {*node.names, node.path} if n and not is_temporary(n)]
        if names and size and not any(self.answered.get((n, size)) for n in names):
            self.problems.append('%s: no callback was answered for %d bytes' % (
                ' or '.join(names), size))

    def check_promised(self, deliveries):
        """No callback for what was never closed, one id for each close."""
        for (path, size), ids in self.answered.items():
            if (path, size) not in deliveries:
                self.problems.append('%s: a callback for %d bytes, which nobody closed' % (
                    path, size))
            elif size and len(ids) > deliveries[path, size]:
                self.problems.append('%s: %d bytes have delivery ids %s' % (
                    path, size, ' '.join(ids)))

    def check_attributes(self, mount, path, size):
        """The mount names the delivery that the application knows."""
        # While a change of metadata is carried out, its record is on the way
        # from one version to the next.
        end = time.monotonic() + 10
        while (state := attribute(mount, path, 'callback.state')) == 'unknown' and \
                time.monotonic() < end:
            time.sleep(0.05)
        if state == 'none' and is_temporary(path) or size == 0:
            return
        delivery = attribute(mount, path, 'callback.delivery_id')
        if state != 'ok' or not any(delivery in ids for (_, n), ids in
                                    self.answered.items() if n == size):
            self.problems.append('%s: callback.state is %s, delivery id %s' % (
                path, state, delivery))


def attribute(mount, path, name):
    try:
        return os.getxattr('%s/%s' % (mount, path), 'user.oss.' + name).decode()
    except OSError as e:
        return e.strerror


def read_tree(mount):
    """What the mount shows: {path: bytes, or an error's name}."""
    found = {}
    for folder, _, names in os.walk(mount, onerror=raise_it):
        for name in names:
            path = os.path.join(folder, name)
            found[path[len(mount) + 1:]] = read_file(path)
    return found


def raise_it(error):
    raise error


def read_file(path):
    try:
        with open(path, 'rb') as f:
            return f.read()
    except OSError as e:
        return e.strerror


def differences(shown, wanted):
    """Lines about paths whose contents differ."""
    for path in sorted(shown.keys() | wanted.keys()):
        if shown.get(path) != wanted.get(path):
            yield '%s: %s instead of %s' % (
                path, describe(shown.get(path)), describe(wanted.get(path)))


class Check:
    """Everything about one round."""

    def __init__(self, log, answers_at_close):
        self.log = log
        self.answers_at_close = answers_at_close
        self.areas = [AreaCheck(name, records) for name, records in log.areas.items()
                      if name != 'race']
        self.race = RaceCheck(log.areas.get('race', []))
        self.problems = []

    def files(self, world):
        """OSS, the mount and the state folder, once nothing waits any more."""
        objects = {k: v for k, v in world.objects().items() if not k.endswith('/')}
        incomplete = world.incomplete()
        for area in self.areas:
            inside = {k: v for k, v in objects.items()
                      if k.split('/')[0] == area.name}
            area.check_objects(inside)
            area.check_synced(inside, incomplete)
            area.check_incomplete(incomplete)
        self.race.check_objects(objects)
        for line in differences(read_tree(world.mount), objects):
            self.problems.append('the mount does not show what OSS has: ' + line)
        left = world.staged()['staging']
        if len(left) != len(incomplete):
            self.problems.append('staged files are left: %s; incomplete: %s' % (
                left, sorted(incomplete)))
        for key in world.uploads():
            if key not in incomplete:
                self.problems.append('%s: a multipart upload was left behind' % key)

    def callbacks(self, world):
        """Returns how many were repeated."""
        heard = Callbacks(world.callbacks())
        deliveries = self.race.deliveries.copy()
        for area in self.areas:
            for model in [w.model for w in area.worlds]:
                for what, count in model.deliveries.items():
                    deliveries[what] = max(deliveries[what], count)
        heard.check_promised(deliveries)
        if self.answers_at_close:
            for part in [self.race, *(a.model for a in self.areas)]:
                for path, size in part.closes:
                    heard.check_heard(path, size)
        for node in self.final_nodes():
            heard.check_final(node, len(node.committed))
            heard.check_attributes(world.mount, node.path, len(node.committed))
        self.problems += heard.problems
        return heard.repeats

    def final_nodes(self):
        return [n for a in self.areas if a.world for n in a.world.model.names.values()
                if n.allowed() == {n.committed} and n.committed is not None]

    def all_problems(self):
        return [p for part in [*self.areas, self.race, self] for p in part.problems]
