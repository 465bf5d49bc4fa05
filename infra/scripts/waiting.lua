-- Save what waits in one partition for its labels, if that moves it forward.
--
-- KEYS[1] gradstream:{NAME}:waiting:PARTITION         hash: sample id → the sample
-- KEYS[2] gradstream:{NAME}:waiting:PARTITION:about   hash: log_offset, log_topic_id and more
-- ARGV[1] mode: "partial" (all in one call), or "begin", "put" …, "end" for what is too much for one call
-- ARGV[2] log offset of the save
-- ARGV[3] topic id of the learning log
-- ARGV[4] log offset of the stored state that the changes are to; "" if all that waits is written
-- ARGV[5] a token: from "begin" to "end" only the calls with it write
-- ARGV[6], ARGV[7], ARGV[8] numbers of fields of about, of ids to remove, of samples that come after that; the
--                           first and the last as name, value, …
--
-- Returns "saved", "stale" (as far already, or further), "full" (all must be written), or "lost" (another
-- save began meanwhile). Between "begin" and "end" there is no log_offset: what is there counts for nothing.

local mode, new = ARGV[1], tonumber(ARGV[2])
local stored = redis.call('HGET', KEYS[2], 'log_offset')
if stored and redis.call('HGET', KEYS[2], 'log_topic_id') ~= ARGV[3] then stored = false end

if mode == 'partial' or mode == 'begin' then
  if stored and tonumber(stored) >= new then return 'stale' end
  if ARGV[4] ~= '' and not (stored and tonumber(stored) == tonumber(ARGV[4])) then return 'full' end
else
  if redis.call('HGET', KEYS[2], 'token') ~= ARGV[5] then return 'lost' end
end

if mode == 'begin' then
  redis.call('HDEL', KEYS[2], 'log_offset')
  redis.call('HSET', KEYS[2], 'token', ARGV[5])
end
if ARGV[4] == '' and (mode == 'partial' or mode == 'begin') then redis.call('DEL', KEYS[1]) end

local at = 9
local function put(key, count)
  for i = 1, count do
    redis.call('HSET', key, ARGV[at], ARGV[at + 1])
    at = at + 2
  end
end

put(KEYS[2], tonumber(ARGV[6]))
for i = 1, tonumber(ARGV[7]) do
  redis.call('HDEL', KEYS[1], ARGV[at])
  at = at + 1
end
put(KEYS[1], tonumber(ARGV[8]))
if mode == 'partial' or mode == 'end' then redis.call('HDEL', KEYS[2], 'token') end
return 'saved'
