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
local meta, log = KEYS[1], KEYS[2]
local epoch, seq, tag, sum, from
local function load()
  local known = redis.pcall('HMGET', meta, 'epoch', 'run', 'seq', 'tag', 'sum', 'from')
  seq = not known.err and known[2] == run and tonumber(known[3])
  if not (seq and known[1] and known[4]) then return false end
  epoch, tag, sum, from = known[1], known[4], tonumber(known[5]) or 0, tonumber(known[6]) or 0
  return true
end
local function begin(new)
  redis.call('DEL', meta, log)
  redis.call('HSET', meta, 'epoch', new, 'run', run, 'seq', 0, 'tag', '', 'sum', 0, 'from', 0)
  epoch, seq, tag, sum, from = new, 0, '', 0, 0
end
`

/** The epoch of an entry that nobody will ever ask for: no group has it. */
const UNLOGGED = 'unlogged'

/**
 * For each of several groups: takes the next number, logs and sends, in one step; nothing of it in a group that nobody
 * has joined. What fails for one group does not concern the others: its answer is an empty text, and what was wrong.
 * KEYS: meta, log, channel of each. ARGV: entries and bytes to keep, milliseconds to keep them, the same for meta, and the
 * command that sends; then a new epoch, tag and body for each.
 */
const PUBLISH = `${RUN}${STATE}
local bytes, command = tonumber(ARGV[2]), ARGV[5]
local function append(body)
  sum = sum + #body
  return redis.pcall('XADD', log, 'MAXLEN', ARGV[1], number(seq + 1) .. '-0', 'p', tag, 'b', body, 's', number(sum))
end
local function publish(channel, new, next, body)
  if not load() then
    -- A join begins a group, and a position is one of a group that has begun: without one nobody can ask for this entry.
    -- Whoever listens all the same has lost the group, and is told to look.
    if redis.call(command, channel, '${MESSAGE_VERSION}:' .. new .. ':0::') == 0 then return {'${UNLOGGED}', '1'} end
    begin(new)
  end
  local added = append(body)
  if type(added) == 'table' and added.err then
    -- Out of memory or not allowed: nothing has been written. Anything else: somebody has written into the log.
    if string.find(added.err, '^OOM') or string.find(added.err, 'NOPERM', 1, true) then return {'', added.err} end
    begin(new)
    added = append(body)
    if type(added) == 'table' and added.err then return {'', added.err} end
  end
  if sum - from > bytes then
    local first, start = nil, '-'
    repeat
      local part = redis.call('XRANGE', log, start, '+', 'COUNT', 50)
      for _, entry in ipairs(part) do
        local before = (tonumber(entry[2][6]) or sum) - #(entry[2][4] or '')
        if sum - before <= bytes then
          first, from = entry[1], before
          break
        end
        start = '(' .. entry[1]
      end
    until first or #part == 0
    if first then redis.call('XTRIM', log, 'MINID', first)
    else
      redis.call('DEL', log)
      from = sum
    end
  end
  redis.call('HSET', meta, 'seq', number(seq + 1), 'tag', next, 'sum', number(sum), 'from', number(from))
  redis.call('PEXPIRE', meta, ARGV[4])
  redis.call('PEXPIRE', log, ARGV[3])
  local head = '${MESSAGE_VERSION}:' .. epoch .. ':' .. number(seq + 1) .. ':' .. tag .. ':'
  redis.call(command, channel, head .. body)
  return {epoch, number(seq + 1)}
end
local replies = {}
for i = 1, #KEYS / 3 do
  meta, log = KEYS[3 * i - 2], KEYS[3 * i - 1]
  local done, reply = pcall(publish, KEYS[3 * i], ARGV[3 * i + 3], ARGV[3 * i + 4], ARGV[3 * i + 5])
  if not done then reply = {'', type(reply) == 'table' and reply.err or tostring(reply)} end
  replies[i] = reply
end
return replies
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

/** A script from its text. */
export function script(text: string): Script {
  return { text, sha: createHash('sha1').update(text).digest('hex') }
}
