import { createHash } from 'node:crypto'
import { MESSAGE_VERSION } from './message.ts'

/** A script of the server, and the name it is called by. */
export interface Script {
  readonly text: string
  readonly sha: string
}

/**
 * A server that becomes a master, by starting or by a failover, takes a new replication id. It may have lost the end of
 * the logs, and would give their numbers a second time: a log belongs to the run in which it began, and to no other.
 */
const RUN = `
local info = redis.call('INFO', 'replication')
if not string.find(info, 'role:master', 1, true) then
  return redis.error_reply('READONLY this server is no master')
end
local run = string.match(info, 'master_replid:(%w+)') or ''
`

/** Reads what is known of the group; what is of another run, or no log at all, counts as nothing. KEYS: meta, log */
const STATE = `
local function number(n) return string.format('%.0f', n) end
local epoch, seq, tag, sum, from
local function load()
  local meta = redis.pcall('HMGET', KEYS[1], 'epoch', 'run', 'seq', 'tag', 'sum', 'from')
  seq = not meta.err and meta[2] == run and tonumber(meta[3])
  if not (seq and meta[1] and meta[4]) then return false end
  epoch, tag, sum, from = meta[1], meta[4], tonumber(meta[5]) or 0, tonumber(meta[6]) or 0
  return true
end
local function begin(new)
  redis.call('DEL', KEYS[1], KEYS[2])
  redis.call('HSET', KEYS[1], 'epoch', new, 'run', run, 'seq', 0, 'tag', '', 'sum', 0, 'from', 0)
  epoch, seq, tag, sum, from = new, 0, '', 0, 0
end
`

/** The epoch of an entry that nobody will ever ask for: no group has it. */
const UNLOGGED = 'unlogged'

/**
 * Takes the next number, logs and sends, in one step; nothing of it in a group that nobody has joined.
 * KEYS: meta, log, channel. ARGV: a new epoch, tag, body, entries and bytes to keep, milliseconds to keep them, the same
 * for meta, and the command that sends.
 */
const PUBLISH = `${RUN}${STATE}
if not load() then
  -- A join begins a group, and a position is one of a group that has begun: without one nobody can ask for this entry.
  -- Whoever listens all the same has lost the group, and is told to look.
  if redis.call(ARGV[8], KEYS[3], '${MESSAGE_VERSION}:' .. ARGV[1] .. ':0::') == 0 then return {'${UNLOGGED}', '1'} end
  begin(ARGV[1])
end
local function append()
  sum = sum + #ARGV[3]
  return redis.pcall('XADD', KEYS[2], 'MAXLEN', ARGV[4], number(seq + 1) .. '-0', 'p', tag, 'b', ARGV[3], 's', number(sum))
end
local added = append()
if type(added) == 'table' and added.err then
  -- Out of memory or not allowed: nothing has been written. Anything else: somebody has written into the log.
  if string.find(added.err, '^OOM') or string.find(added.err, 'NOPERM', 1, true) then return added end
  begin(ARGV[1])
  added = append()
  if type(added) == 'table' and added.err then return added end
end
local bytes = tonumber(ARGV[5])
if sum - from > bytes then
  local first, start = nil, '-'
  repeat
    local part = redis.call('XRANGE', KEYS[2], start, '+', 'COUNT', 50)
    for _, entry in ipairs(part) do
      local before = (tonumber(entry[2][6]) or sum) - #(entry[2][4] or '')
      if sum - before <= bytes then
        first, from = entry[1], before
        break
      end
      start = '(' .. entry[1]
    end
  until first or #part == 0
  if first then redis.call('XTRIM', KEYS[2], 'MINID', first)
  else
    redis.call('DEL', KEYS[2])
    from = sum
  end
end
redis.call('HSET', KEYS[1], 'seq', number(seq + 1), 'tag', ARGV[2], 'sum', number(sum), 'from', number(from))
redis.call('PEXPIRE', KEYS[1], ARGV[7])
redis.call('PEXPIRE', KEYS[2], ARGV[6])
local head = '${MESSAGE_VERSION}:' .. epoch .. ':' .. number(seq + 1) .. ':' .. tag .. ':'
redis.call(ARGV[8], KEYS[3], head .. ARGV[3])
return {epoch, number(seq + 1)}
`

/** Where the group stands; a group that is not there begins. KEYS: meta, log. ARGV: a new epoch, milliseconds to keep meta */
const JOIN = `${RUN}${STATE}
if not load() then begin(ARGV[1]) end
redis.call('PEXPIRE', KEYS[1], ARGV[2])
return {epoch, number(seq), tag}
`

/** All entries after a number, or nothing if any of them is not there. KEYS: meta, log. ARGV: epoch, number */
const READ = `${RUN}${STATE}
local since = tonumber(ARGV[2])
if not load() or epoch ~= ARGV[1] or since > seq then return false end
local entries = {}
if since < seq then
  entries = redis.pcall('XRANGE', KEYS[2], number(since + 1) .. '-0', number(seq) .. '-0')
  if entries.err or #entries ~= seq - since then return false end
end
return {tag, entries}
`

/**
 * Where many groups stand. Those who ask are joined, so that a group lives on however long nothing happens in it.
 * KEYS: the meta of each. ARGV: milliseconds to keep meta
 */
const TOPS = `${RUN}
local age = tonumber(ARGV[1])
local tops = {}
for i, key in ipairs(KEYS) do
  local meta = redis.pcall('HMGET', key, 'epoch', 'run', 'seq', 'tag')
  if meta.err or meta[2] ~= run or not (meta[1] and meta[3] and meta[4]) then tops[i] = false
  else
    tops[i] = {meta[1], meta[3], meta[4]}
    if redis.call('PTTL', key) < age / 2 then redis.call('PEXPIRE', key, ARGV[1]) end
  end
end
return tops
`

/** Ends the log, and tells everybody. KEYS: meta, log, channel. ARGV: a new epoch, milliseconds to keep meta, the command */
const FORGET = `${RUN}${STATE}
begin(ARGV[1])
redis.call('PEXPIRE', KEYS[1], ARGV[2])
redis.call(ARGV[3], KEYS[3], '${MESSAGE_VERSION}:' .. epoch .. ':0::')
return 1
`

/** The scripts of a group's log. */
export const scripts: Readonly<Record<'publish' | 'join' | 'read' | 'tops' | 'forget', Script>> = {
  publish: script(PUBLISH),
  join: script(JOIN),
  read: script(READ),
  tops: script(TOPS),
  forget: script(FORGET),
}

function script(text: string): Script {
  return { text, sha: createHash('sha1').update(text).digest('hex') }
}
